"""Alerts through the real Apprise: joined, at once, after quiet hours, and without a trace of the URL."""

import datetime as dt
import importlib.util
import time
from pathlib import Path

import pytest

from tests import needs
from tests.e2e.alerting import (
    BEYOND,
    LINE,
    AlertFiles,
    also_replaced,
    await_alert,
    channel,
    market_of_one,
    settle,
    watching,
)
from tests.e2e.recording import NEW_YORK, exchange_time, refresh
from tests.e2e.running import KEYS, fetch, until

pytestmark = pytest.mark.slow

JOIN_SECONDS = 10.0
WORST = 8.0
"""The mark from which the rule `worst` holds; `more` holds from `MORE`."""
MORE = 5.0


@pytest.fixture(scope="module")
def lasting_market():
    if importlib.util.find_spec("apprise") is None:
        needs.lacking("apprise")
    with market_of_one() as market:
        yield market


@pytest.fixture
def files(tmp_path, market, receiver):
    """Two warnings and a critical rule, one above the other, sent by Apprise to the receiver."""
    files = AlertFiles(tmp_path, market, receiver)
    files.rule["severity"] = "warning"
    files.more_rules = [
        {**files.rule, "name": "more", "when": f"mark >= {MORE}"},
        {**files.rule, "name": "worst", "when": f"mark >= {WORST}", "clear": f"mark < {WORST}", "severity": "critical"},
    ]
    files.channel["type"] = "apprise"
    files.write_url(receiver.url.replace("http://", "json://"))
    files.change()
    return files


def titles(receiver):
    return [body["title"] for _, body in receiver.posts.copy()]


def test_alerts_about_one_underlying_are_joined_and_a_critical_alert_leaves_at_once(market, receiver, files):
    with watching(files) as condord:
        began = time.monotonic()
        market.move(LINE + 0.5)
        await_alert(condord, "firing")
        market.move(MORE + 1)
        await_alert(condord, "firing", rule="more")
        market.move(WORST + 1)
        await_alert(condord, "firing", rule="worst")
        until(lambda: len(receiver.posts) == 2, lambda: titles(receiver))
        assert time.monotonic() - began >= JOIN_SECONDS
        assert titles(receiver) == ["condord SPY: critical", "condord SPY: 2 alerts"]
        (_, critical), (_, joined) = receiver.posts
        assert (critical["type"], joined["type"]) == ("failure", "warning")
        assert critical["message"].count("\n") == 0
        assert joined["message"].count("\n") == 1
        until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
        assert channel(condord)["lastError"] is None


def test_quiet_hours_hold_a_warning_until_their_end_and_let_a_critical_alert_pass(market, receiver, files):
    now_at = exchange_time(market.simulated).astimezone(NEW_YORK)
    begin_at, end_at = now_at - dt.timedelta(hours=1), now_at + dt.timedelta(minutes=3)
    files.channel["quiet"] = f"{begin_at:%H:%M}-{end_at:%H:%M} America/New_York"
    files.change()
    with watching(files, **also_replaced(notify__delivery__CHECK_SECONDS=0.3)) as condord:
        market.move(WORST + 1)
        for rule in ("line", "more", "worst"):
            await_alert(condord, "firing", rule=rule)
        until(lambda: titles(receiver) == ["condord SPY: critical"], lambda: titles(receiver))
        market.move(LINE + 0.5)
        await_alert(condord, "resolved", rule="worst")
        until(lambda: len(receiver.posts) == 2, lambda: titles(receiver))
        settle()
        assert titles(receiver)[1:] == ["condord SPY: resolved"]
        assert channel(condord)["waiting"] == 2
        market.simulated.post("market", at=(end_at + dt.timedelta(minutes=1)).isoformat())
        refresh(condord)
        until(lambda: len(receiver.posts) == 3, lambda: titles(receiver))
        assert titles(receiver)[2] == "condord SPY: 2 alerts"
        until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))


def test_the_url_is_in_no_command_line_environment_log_or_answer(market, receiver, files):
    receiver.delay_seconds = 60.0
    secret = receiver.path.strip("/")
    with watching(files, CONDORD_LOG_LEVEL="debug") as condord:
        market.move(WORST + 1)
        until(lambda: receiver.posts, "Apprise waits for the answer")
        seen = []
        for folder in (Path(f"/proc/{pid}") for pid in (condord.process.pid, *children(condord.process.pid))):
            seen += [(folder / name).read_bytes() for name in ("cmdline", "environ")]
        assert any(b"apprise_child" in text for text in seen)
        assert not [text for text in seen if secret.encode() in text]
        (own, *others) = seen[1::2]
        assert not [text for text in others if b"CONDORD" in text or KEYS["APCA_API_SECRET_KEY"].encode() in text]
        assert own is not None
        receiver.status = 500
        receiver.close()
        until(lambda: channel(condord)["lastError"], lambda: channel(condord))
        pages = [condord.get(path)[1] for path in ("/api/alerts", "/api/positions", "/api/status", "/metrics")]
        assert secret not in repr(pages)
        status, _, answer = fetch(f"{condord.url}/api/channels/hook/test", method="POST")
        assert (status, answer["ok"]) == (200, False)
        assert secret not in answer["text"]
        assert condord.stop() == 0
        assert secret not in "".join(condord.stderr)


def children(pid):
    """The processes that a process has started."""
    return [child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def test_a_stop_does_not_wait_for_apprise_and_leaves_no_child(market, receiver, files):
    receiver.delay_seconds = 60.0
    with watching(files) as condord:
        market.move(WORST + 1)
        until(lambda: receiver.posts, "Apprise waits for the answer")
        (child,) = children(condord.process.pid)
        began = time.monotonic()
        assert condord.stop() == 0
        assert time.monotonic() - began < JOIN_SECONDS
        until(lambda: not Path(f"/proc/{child}").exists(), "the child has ended")


def test_a_service_that_answers_with_an_error_is_tried_again(market, receiver, files):
    receiver.status = 503
    with watching(files) as condord:
        market.move(BEYOND + WORST)
        until(lambda: channel(condord)["lastError"], lambda: channel(condord))
        assert "503" in channel(condord)["lastError"]
        receiver.status = 200
        until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
        assert channel(condord)["lastError"] is None
