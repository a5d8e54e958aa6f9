"""Faults of `alerts.sqlite3`: shared, deleted, on a full disk, and with another account."""

import contextlib
import os
import sqlite3
import subprocess
from contextlib import closing

import pytest

from condord.daemon.alert_service import FILE_NAME
from tests import needs
from tests.e2e.alerting import (
    BEYOND,
    CALM,
    AlertFiles,
    alerts,
    also_replaced,
    await_alert,
    channel,
    market_of_one,
    settle,
    watching,
)
from tests.e2e.reloading import NO_KEYS
from tests.e2e.running import Starting, closing_program, until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def other_market():
    """The market of another account."""
    with market_of_one("--seed", "2") as market:
        yield market


def stored(state):
    """The states of the rule in the file, and how many messages wait in it; None if it is not there yet."""
    connected = f"file:{state / FILE_NAME}?mode=ro"
    with contextlib.suppress(sqlite3.OperationalError), closing(sqlite3.connect(connected, uri=True)) as connection:
        rows = connection.execute("SELECT rule, state FROM alerts WHERE rule = 'line'").fetchall()
        return rows, connection.execute("SELECT count(*) FROM outbox").fetchone()[0]
    return None


def test_two_accounts_in_one_file_see_neither_alerts_nor_messages_of_each_other(
    market, other_market, receiver, files, tmp_path
):
    receiver.status = 503
    other_market.move(CALM)
    with watching(files) as condord:
        market.move(BEYOND)
        fired = await_alert(condord, "firing")
        until(lambda: channel(condord)["waiting"] == 1 and channel(condord)["lastError"], lambda: channel(condord))
        assert condord.stop() == 0
    (identity,) = receiver.ids
    attempts = len(receiver.posts)
    (tmp_path / "other").mkdir()
    other = AlertFiles(tmp_path / "other", other_market, receiver)
    other.write_key("KEYTWO", "secret-two")
    receiver.status = 204
    with watching(other, STATE_DIRECTORY=str(tmp_path / "state")) as condord:
        settle()
        assert alerts(condord) == []
        assert (channel(condord)["waiting"], channel(condord)["lastError"]) == (0, None)
        assert len(receiver.posts) == attempts
        other_market.move(BEYOND)
        until(lambda: len(receiver.posts) == attempts + 1, lambda: receiver.kinds)
        until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
        assert condord.stop() == 0
    with watching(files) as condord:
        until(lambda: len(receiver.posts) == attempts + 2, lambda: receiver.kinds)
        assert receiver.posts[-1][0]["webhook-id"] == identity
        assert await_alert(condord, "firing")["since"] == fired["since"]
        assert len(alerts(condord)) == 1
        settle()
        assert len(receiver.posts) == attempts + 2


def test_two_daemons_of_two_accounts_share_a_state_directory(market, other_market, receiver, files, tmp_path):
    other_market.move(CALM)
    (tmp_path / "other").mkdir()
    other = AlertFiles(tmp_path / "other", other_market, receiver)
    other.write_key("KEYTWO", "secret-two")
    state = str(tmp_path / "state")
    with watching(files) as one, watching(other, STATE_DIRECTORY=state) as two:
        for each, condord in ((market, one), (other_market, two)):
            each.move(BEYOND)
            await_alert(condord, "firing")
        until(lambda: receiver.kinds == ["firing", "firing"], lambda: receiver.kinds)
        for condord in (one, two):
            until(lambda condord=condord: channel(condord)["waiting"] == 0, "all is delivered")
            assert "alertsNotStored" not in condord.notices()
        until(lambda: stored(tmp_path / "state") == ([("line", "firing")] * 2, 0), lambda: stored(tmp_path / "state"))


def test_a_second_daemon_of_the_same_key_does_not_start(market, receiver, files, tmp_path):
    locks = {"RUNTIME_DIRECTORY": str(tmp_path)}
    with watching(files, **locks) as condord:
        market.move(BEYOND)
        until(lambda: receiver.kinds == ["firing"], lambda: receiver.kinds)
        environ = {**NO_KEYS, **locks, "STATE_DIRECTORY": str(tmp_path / "state")}
        with closing_program(Starting("start", "--port", "0", "--config", str(files.path), environ=environ)) as second:
            assert second.wait() != 0
            assert "another condord" in "".join(second.stderr)
        assert "alertsNotStored" not in condord.notices()
        assert await_alert(condord, "firing")


@pytest.mark.parametrize("names", ["file", "all"])
def test_a_file_that_is_deleted_while_it_runs_is_written_again_with_all_that_is_known(
    market, receiver, files, tmp_path, names
):
    state = tmp_path / "state"
    receiver.status = 503
    with watching(files) as condord:
        market.move(BEYOND)
        fired = await_alert(condord, "firing")
        until(lambda: receiver.posts, "the first attempt")
        # The database last: if it were the first, a new one might be there before its log is deleted.
        for path in sorted(state.glob(FILE_NAME + ("*" if names == "all" else "")), reverse=True):
            path.unlink(missing_ok=True)
        until(lambda: stored(state) == ([("line", "firing")], 1), lambda: stored(state))
        assert condord.stop() == 0
    receiver.status = 204
    with watching(files) as condord:
        assert await_alert(condord, "firing")["since"] == fired["since"]
        until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
        settle()
        assert len(receiver.ids) == 1
        assert condord.notices().get("alertsNotStored") is None


def test_a_file_that_is_deleted_while_nothing_changes_is_there_again_after_a_stop(market, receiver, files, tmp_path):
    with watching(files) as condord:
        market.move(BEYOND)
        fired = await_alert(condord, "firing")
        until(lambda: receiver.kinds == ["firing"] and channel(condord)["waiting"] == 0, lambda: receiver.kinds)
        settle()
        (tmp_path / "state" / FILE_NAME).unlink()
        assert condord.stop() == 0
    with watching(files) as condord:
        alert = await_alert(condord, "firing")
        assert (alert["since"], alert["atStart"]) == (fired["since"], False)
        settle()
        assert receiver.kinds == ["firing"]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MB at the place of the state directory."""
    if os.geteuid():
        needs.lacking("a small disk")
    disk = tmp_path / "state"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "condord-test", disk], capture_output=True).returncode:
        needs.lacking("a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(path):
    """Write a file until its disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def transit(market, receiver):
    """Let the alert fire or resolve, and wait until that is delivered."""
    count = len(receiver.posts)
    market.move(CALM if count % 2 else BEYOND)
    until(lambda: len(receiver.posts) == count + 1, lambda: receiver.kinds)


def test_on_a_full_disk_alerts_go_on_with_a_notice_and_are_stored_when_there_is_room(
    market, receiver, files, small_disk
):
    with watching(files, CONDORD_HISTORY_ENABLED="false") as condord:
        filling = small_disk / "filling"
        fill(filling)
        for _ in range(200):  # what is written before SQLite needs another page
            transit(market, receiver)
            if "alertsNotStored" in condord.notices():
                break
        text = condord.notices()["alertsNotStored"]
        assert "alerts.sqlite3: No space left on device; " in text
        for _ in range(2):
            transit(market, receiver)
        assert condord.get("/readyz")[0] == 200
        filling.unlink()
        until(lambda: "alertsNotStored" not in condord.notices(), condord.notices)
        shown, count = alerts(condord), len(receiver.posts)
        until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
        assert condord.stop() == 0
    with watching(files, CONDORD_HISTORY_ENABLED="false") as condord:
        assert alerts(condord) == shown
        settle()
        assert len(receiver.posts) == count


def test_a_disk_that_is_full_from_the_start_prevents_nothing(market, receiver, files, small_disk):
    fill(small_disk / "filling")
    with watching(files, **also_replaced(host__database__BUSY_SECONDS=0.2)) as condord:
        until(lambda: "alertsNotStored" in condord.notices(), condord.notices)
        market.move(BEYOND)
        assert await_alert(condord, "firing")
        until(lambda: receiver.kinds == ["firing"], lambda: receiver.kinds)
        assert condord.stop() == 0
