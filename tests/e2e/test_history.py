"""Recorded profit and loss over restarts, kills, faults of the disk and changes of the clock."""

import contextlib
import datetime as dt
import os
import signal
import sqlite3
import stat
import subprocess
import time
from contextlib import closing

import pytest

from tests.e2e.environs import UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.recording import (
    BUSY_SECONDS,
    ENVIRON,
    await_fault,
    await_no_fault,
    fault,
    history,
    move_short_put,
    pass_minute,
    plain_condor,
    record_minute,
    recording,
    refresh,
    rows,
    still_market,
)
from tests.e2e.running import STOP_SECONDS, Condord, Follower, closing_program, until

pytestmark = pytest.mark.slow

CRASH, CALM = 25.0, 1.0
"""Prices of a short put."""
SKEW = dt.timedelta(minutes=-3)


@pytest.fixture
def market():
    with still_market() as simulated:
        yield simulated


@pytest.fixture(scope="class")
def lasting_market():
    with still_market() as simulated:
        yield simulated


@pytest.fixture(scope="class")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="class")
def condord(lasting_market, state):
    """The daemon of all tests of a class."""
    with recording(lasting_market, state) as condord:
        yield condord


class TestOneDaemon:
    """Minutes of one daemon, one after the other."""

    def test_a_new_point_of_a_line_is_appended_for_a_stream_that_resumes(self, lasting_market, condord):
        record_minute(lasting_market, condord)
        with closing(Follower(condord.url)) as follower:
            until(lambda: follower.last_id, "the snapshot is there")
            version = follower.last_id
        record_minute(lasting_market, condord)
        with closing(Follower(condord.url, **{"Last-Event-ID": version})) as follower:
            until(lambda: follower.events, "the stream has resumed")
            assert follower.names[0] == "delta"
            assert '"history"' in follower.events[0].data

    def test_a_locked_database_is_a_notice_until_the_next_write(self, lasting_market, condord, state):
        record_minute(lasting_market, condord)
        with closing(sqlite3.connect(state / "history.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            pass_minute(lasting_market, condord)
            assert "locked" in await_fault(condord)
            assert condord.get("/livez")[0] == 200
            assert plain_condor(condord)["valuation"]["unrealizedPl"] is not None
            other.execute("ROLLBACK")
        record_minute(lasting_market, condord)
        await_no_fault(condord)
        assert len(history(condord)["seconds"]) >= 2

    def test_a_condor_without_rows_is_known_and_another_is_not(self, lasting_market, condord):
        assert history(condord, plain_condor(condord)["id"], to="2020-01-01")["seconds"] == []
        assert condord.get("/api/history?condor=SPY-200117-1-2-3-4")[0] == 404

    def test_a_clock_that_is_set_back_and_forward_leaves_ascending_seconds(self, lasting_market, condord):
        for _ in range(2):
            record_minute(lasting_market, condord)
        last = history(condord)["seconds"][-1]
        lasting_market.fault("clock-skew", skew_seconds=SKEW.total_seconds())
        refresh(condord)
        until(lambda: dt.datetime.fromisoformat(condord.document()["asOf"]).timestamp() < last, "the clock is back")
        pass_minute(lasting_market, condord, SKEW)
        lasting_market.clear()
        refresh(condord)
        record_minute(lasting_market, condord)
        condor = plain_condor(condord)
        for seconds in (condor["history"]["seconds"], history(condord, condor["id"])["seconds"]):
            assert seconds == sorted(set(seconds))
        assert fault(condord) is None


def test_a_restart_keeps_the_line_and_the_extremes(market, tmp_path):
    with recording(market, tmp_path) as condord:
        record_minute(market, condord)
        move_short_put(market, condord, CRASH)
        move_short_put(market, condord, CALM)
        record_minute(market, condord)
        before = plain_condor(condord)
        rows_before = history(condord, before["id"])
        account_before = history(condord)
        assert condord.stop() == 0
    worst, now = before["valuation"]["worstPl"], before["valuation"]["unrealizedPl"]
    assert worst < now
    assert [cents / 100 for cents in rows_before["cents"]][-1] == pytest.approx(now)
    assert min(rows_before["low"]) == pytest.approx(worst * 100)
    assert len(rows_before["seconds"]) == len(before["history"]["seconds"]) == 2
    with recording(market, tmp_path) as condord:
        until(
            lambda: plain_condor(condord)["valuation"]["worstPl"] == worst, lambda: plain_condor(condord)["valuation"]
        )
        after = plain_condor(condord)
        assert after["history"]["seconds"][:2] == before["history"]["seconds"]
        assert after["history"]["cents"][:2] == before["history"]["cents"]
        assert after["valuation"]["bestPl"] == before["valuation"]["bestPl"]
        again = history(condord, before["id"])
        assert {name: again[name][:2] for name in ("seconds", "cents", "low", "high")} == {
            name: rows_before[name] for name in ("seconds", "cents", "low", "high")
        }
        assert history(condord)["cents"][:2] == account_before["cents"]
        assert fault(condord) is None
    mode = stat.S_IMODE((tmp_path / "history.sqlite3").stat().st_mode)
    assert mode == 0o600


def test_a_stop_keeps_the_extremes_of_the_running_minute(market, tmp_path):
    with recording(market, tmp_path) as condord:
        record_minute(market, condord)
        move_short_put(market, condord, CRASH)
        move_short_put(market, condord, CALM)
        before = plain_condor(condord)["valuation"]
        assert before["worstPl"] < before["unrealizedPl"]
        assert condord.stop() == 0
    with recording(market, tmp_path) as condord:
        until(
            lambda: plain_condor(condord)["valuation"]["worstPl"] == before["worstPl"],
            lambda: plain_condor(condord)["valuation"],
        )
        record_minute(market, condord)
        recorded = history(condord, plain_condor(condord)["id"])
        assert recorded["low"][-1] == pytest.approx(100 * before["worstPl"])
        assert recorded["seconds"] == sorted(set(recorded["seconds"]))


def test_a_kill_loses_at_most_the_running_minute(market, tmp_path):
    with recording(market, tmp_path) as condord:
        for _ in range(2):
            record_minute(market, condord)
        condor_id = plain_condor(condord)["id"]
        before = history(condord, condor_id)["seconds"]
        condord.stop(signal.SIGKILL)
    with recording(market, tmp_path) as condord:
        assert history(condord, condor_id)["seconds"][: len(before)] == before
        assert fault(condord) is None
        record_minute(market, condord)
        assert len(history(condord, condor_id)["seconds"]) > len(before)


def test_a_history_that_is_locked_at_a_start_is_read_soon_after_the_lock_ends(market, tmp_path):
    with recording(market, tmp_path) as condord:
        record_minute(market, condord)
        move_short_put(market, condord, CRASH)
        move_short_put(market, condord, CALM)
        record_minute(market, condord)
        worst = plain_condor(condord)["valuation"]["worstPl"]
        condord.stop()
    soon = replaced(
        **UNPACED,
        host__database__BUSY_SECONDS=BUSY_SECONDS,
        daemon__recorder__RETRY_SECONDS=0.2,
        daemon__trade_book__RETRY_SECONDS=0.2,
    )
    with closing(sqlite3.connect(tmp_path / "history.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with recording(market, tmp_path, **soon) as condord:
            assert "locked" in await_fault(condord)
            assert plain_condor(condord)["valuation"]["worstPl"] != worst
            other.execute("ROLLBACK")
            await_no_fault(condord)
            until(lambda: plain_condor(condord)["valuation"]["worstPl"] == worst, "the extremes are recalled")


def test_a_locked_database_does_not_delay_a_stop(market, tmp_path):
    patient = replaced(**UNPACED, host__database__BUSY_SECONDS=60)
    with recording(market, tmp_path, **patient) as condord:
        record_minute(market, condord)
        with closing(sqlite3.connect(tmp_path / "history.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            pass_minute(market, condord)
            began = time.monotonic()
            assert condord.stop() == 0
            assert time.monotonic() - began < STOP_SECONDS


def test_a_damaged_file_is_set_aside_and_a_new_one_begun(market, tmp_path):
    with recording(market, tmp_path) as condord:
        record_minute(market, condord)
        condord.stop()
    assert [path.name for path in tmp_path.glob("history*")] == ["history.sqlite3"]
    (tmp_path / "history.sqlite3").write_bytes(b"this is not a database" * 1000)
    with recording(market, tmp_path) as condord:
        text = await_fault(condord)
        (aside,) = tmp_path.glob("history.sqlite3.broken-*")
        assert aside.name in text
        record_minute(market, condord)
        assert len(history(condord)["seconds"]) >= 1
        assert fault(condord)
        condord.stop()
    with recording(market, tmp_path) as condord:
        assert fault(condord) is None
        assert len(history(condord)["seconds"]) >= 1


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MB: each of the two databases has a write-ahead log."""
    if os.geteuid():
        pytest.skip("only root can mount")
    tmp_path.joinpath("disk").mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "condord-test", tmp_path / "disk"]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting is not permitted")
    yield tmp_path / "disk"
    subprocess.run(["umount", "--lazy", tmp_path / "disk"], check=True)


def fill(path):
    """Write a file until its disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def test_a_full_disk_is_a_notice_until_there_is_room(market, small_disk):
    with recording(market, small_disk) as condord:
        record_minute(market, condord)
        filling = small_disk / "filling"
        fill(filling)
        for _ in range(40):  # what is written before SQLite needs another page
            pass_minute(market, condord)
            if fault(condord):
                break
        assert "history.sqlite3: No space left on device; " in await_fault(condord)
        assert condord.get("/readyz")[0] == 200
        filling.unlink()
        record_minute(market, condord)
        await_no_fault(condord)


def test_without_history_nothing_is_recorded_and_the_line_begins_with_the_daemon(market, tmp_path):
    off = {"CONDORD_HISTORY_ENABLED": "false"}
    with recording(market, tmp_path) as condord:
        record_minute(market, condord)
        condord.stop()
    with recording(market, tmp_path, **off) as condord:
        condor = plain_condor(condord)
        assert condor["history"]["seconds"] == []
        status, problem = condord.get(f"/api/history?condor={condor['id']}")
        assert status == 404
        assert "history.enabled" in problem["detail"]
        for number in (1, 2):
            pass_minute(market, condord)
            until(lambda number=number: len(plain_condor(condord)["history"]["seconds"]) == number, "the line grows")
        assert rows(condord) == 0
        assert condord.get("/api/trades")[0] == 200
        condord.stop()
    with recording(market, tmp_path) as condord:
        assert len(history(condord)["seconds"]) <= 2  # the minute, and the one in which the first daemon stopped


def test_two_accounts_share_a_state_directory(market, tmp_path):
    with still_market("--seed", "2") as other, recording(market, tmp_path) as one, recording(other, tmp_path) as two:
        for simulated, condord in ((market, one), (other, two), (market, one)):
            record_minute(simulated, condord)
        assert (len(history(one)["seconds"]), len(history(two)["seconds"])) == (2, 1)
        assert (fault(one), fault(two)) == (None, None)


def test_a_simulated_account_without_a_state_directory_has_history_and_leaves_nothing(market, tmp_path):
    environ = {**ENVIRON, "TMPDIR": str(tmp_path)}
    with closing_program(Condord(market, **environ)) as condord:
        condord.await_account_read()
        assert list(tmp_path.glob("condord-history-*/history.sqlite3"))
        record_minute(market, condord)
        assert len(history(condord)["seconds"]) == 1
        assert condord.stop() == 0
    assert list(tmp_path.glob("condord-history-*")) == []
