"""Webhooks from the daemon: outages, answers that are no success, signatures, and secrets that stay secret."""

import datetime as dt
import subprocess
import sys
import time
from contextlib import closing

import pytest
from standardwebhooks import Webhook

from tests.e2e.alerting import (
    BEYOND,
    CALM,
    SCALE,
    SCALED,
    AlertFiles,
    Receiver,
    also_replaced,
    await_alert,
    channel,
    market_of_one,
    settle,
    watching,
)
from tests.e2e.recording import NEW_YORK, exchange_time, refresh
from tests.e2e.running import Follower, fetch, until
from tests.http.scrape import samples

pytestmark = pytest.mark.slow

OUTAGE_SECONDS = 180.0
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def counted(condord, result):
    """How many messages of the channel had this result, by the metrics."""
    return samples(condord.get("/metrics")[1])[f"condord_notifications_total{{channel=hook,result={result}}}"]


def test_a_receiver_that_is_not_there_for_three_minutes_gets_each_alert_once(market, receiver, files):
    """The minutes and the waits between attempts are shortened alike."""
    receiver.close()
    with watching(files, **also_replaced(**SCALED)) as condord:
        began = time.monotonic()
        market.move(BEYOND)
        await_alert(condord, "firing")
        until(lambda: channel(condord)["lastError"], lambda: channel(condord))
        assert channel(condord)["lastError"] == "It cannot be reached: Connection refused."
        market.move(CALM)
        await_alert(condord, "resolved")
        time.sleep(max(0.0, began + OUTAGE_SECONDS * SCALE - time.monotonic()))
        assert receiver.posts == []
        assert channel(condord)["waiting"] == 2
        receiver.open()
        until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
        settle()
        assert receiver.kinds == ["firing", "resolved"]
        assert len(receiver.ids) == 2
        assert channel(condord)["lastError"] is None
        assert counted(condord, "failed") >= 2


def test_a_receiver_that_is_down_names_its_error_after_a_restart_before_the_next_attempt(market, receiver, files):
    receiver.status = 503
    rarely = also_replaced(notify__schedule__RETRY_SECONDS=[600.0] * 4)
    with watching(files, **rarely) as condord:
        market.move(BEYOND)
        until(lambda: channel(condord)["lastError"], lambda: channel(condord))
        shown = channel(condord)
        assert condord.stop() == 0
    with watching(files, **rarely) as condord:
        assert (shown["waiting"], shown["lastError"]) == (1, "HTTP 503 Service Unavailable")
        assert channel(condord) == shown
        answer = listed(condord)
        assert "hook" in answer
        assert "HTTP 503 Service Unavailable" in answer
        assert len(receiver.posts) == 1


def listed(condord):
    """What `condord alerts` prints."""
    command = [sys.executable, "-m", "condord", "alerts", "--url", condord.url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout


def test_410_disables_a_channel_until_it_changes_or_the_next_start(market, receiver, files):
    receiver.status = 410
    with watching(files) as condord:
        market.move(BEYOND)
        until(lambda: channel(condord)["disabled"], lambda: channel(condord))
        market.move(CALM)
        await_alert(condord, "resolved")
        settle(1.0)
        assert (len(receiver.posts), channel(condord)["waiting"]) == (1, 2)
        files.channel["min_severity"] = "info"
        files.change()
        condord.reload("Configuration reloaded")
        until(lambda: len(receiver.posts) == 2 and channel(condord)["disabled"], lambda: receiver.kinds)
        assert condord.stop() == 0
    receiver.status = 204
    with watching(files) as condord:
        until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
        assert not channel(condord)["disabled"]
        assert receiver.kinds == ["firing", "firing", "firing", "resolved"]
        assert len(receiver.ids) == 2


def test_a_message_expires_at_the_end_of_the_session_or_of_the_next_one_if_the_market_is_closed(receiver, tmp_path):
    receiver.status = 503
    with market_of_one() as market:
        rarely = also_replaced(notify__schedule__RETRY_SECONDS=[1e6] * 4, notify__delivery__CHECK_SECONDS=0.3)
        with watching(AlertFiles(tmp_path, market, receiver), **rarely) as condord:
            market.move(BEYOND)
            until(lambda: channel(condord)["lastError"], lambda: channel(condord))
            expires_at = dt.datetime.fromisoformat(receiver.posts[0][1]["expiresAt"])
            assert expires_at == next_close(market.simulated) + SPY_EXTRA
            assert channel(condord)["waiting"] == 1
            market.simulated.post("market", at=(expires_at + dt.timedelta(seconds=1)).isoformat())
            refresh(condord)
            until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
            assert (counted(condord, "expired"), counted(condord, "delivered")) == (1, 0)
            assert len(receiver.posts) == 1


SPY_EXTRA = dt.timedelta(minutes=15)
"""How long options on SPY trade after the close of the calendar."""


def next_close(simulated):
    """The first close after now of the exchange's calendar."""
    now_at = exchange_time(simulated)
    days = simulated.ask(f"/v2/calendar?start={now_at:%Y-%m-%d}&end={now_at + dt.timedelta(days=10):%Y-%m-%d}")
    closes = [dt.datetime.fromisoformat(f"{day['date']}T{day['close']}").replace(tzinfo=NEW_YORK) for day in days]
    return min(close_at for close_at in closes if close_at + SPY_EXTRA > now_at)


def test_a_redirect_is_a_failure_and_is_not_followed(market, receiver, files):
    with closing(Receiver()) as elsewhere:
        receiver.status, receiver.headers = 307, {"Location": elsewhere.url}
        with watching(files) as condord:
            market.move(BEYOND)
            until(lambda: len(receiver.posts) >= 2, "a second attempt")
            assert channel(condord)["lastError"] == "HTTP 307 Temporary Redirect: redirects are not followed"
            assert elsewhere.posts == []


def test_a_retry_after_does_not_change_when_it_is_tried_again(market, receiver, files):
    receiver.status, receiver.headers = 429, {"Retry-After": "3600"}
    with watching(files) as condord:
        market.move(BEYOND)
        until(lambda: len(receiver.posts) >= 2, "a second attempt")
        receiver.status = 204
        until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
        assert len(receiver.ids) == 1


def test_the_reference_library_verifies_each_attempt(market, receiver, files, tmp_path):
    path = tmp_path / "hook-secret"
    path.write_text(SECRET)
    path.chmod(0o600)
    files.channel["secret_file"] = str(path)
    files.change()
    receiver.status = 503
    with watching(files) as condord:
        market.move(BEYOND)
        until(lambda: len(receiver.posts) >= 2, "a second attempt")
        receiver.status = 204
        until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
    for (headers, body), raw in zip(receiver.posts, receiver.raw, strict=True):
        assert Webhook(SECRET).verify(raw.decode(), headers) == body
    assert len(set(receiver.raw)) == 1


def test_no_log_and_no_answer_has_the_url_or_the_secret(market, receiver, files, tmp_path):
    path = tmp_path / "hook-secret"
    path.write_text(SECRET)
    path.chmod(0o600)
    files.channel["secret_file"] = str(path)
    files.change()
    receiver.status = 500
    secrets = (receiver.path.strip("/"), SECRET.removeprefix("whsec_"))
    with watching(files, CONDORD_LOG_LEVEL="debug") as condord, closing(Follower(condord.url)) as follower:
        market.move(BEYOND)
        await_alert(condord, "firing")
        until(lambda: channel(condord)["lastError"], lambda: channel(condord))
        fetch(f"{condord.url}/api/channels/hook/test", method="POST")
        receiver.close()
        until(lambda: "reached" in channel(condord)["lastError"], lambda: channel(condord))
        paths = ("/api/alerts", "/api/positions", "/api/status", "/metrics")
        texts = [repr(condord.get(path)[1]) for path in paths]
        texts += [listed(condord), *(event.data for event in follower.events.copy())]
        assert condord.stop() == 0
        texts += condord.stderr
    assert any("Alert fires" in text for text in texts)
    assert any("Channel does not deliver" in text for text in texts)
    assert not [text for text in texts for secret in secrets if secret in text]
    for file in (tmp_path / "state").iterdir():
        assert not [secret for secret in secrets if secret.encode() in file.read_bytes()]


def test_a_channel_that_is_flooded_gets_at_most_ten_a_second_and_no_more_than_it_can_hold(market, receiver, files):
    """The outbox holds 10 here; more wait than that, as the channel is down."""
    files.more_rules = [
        {"name": f"more-{number}", "when": f"mark >= {BEYOND}", "severity": "warning"} for number in range(12)
    ]
    files.change()
    receiver.status = 503
    with watching(files, **also_replaced(notify__channel_queue__MAX_WAITING=10)) as condord:
        market.move(BEYOND)
        await_alert(condord, "firing", rule="more-11")
        until(lambda: channel(condord)["waiting"] == 10, lambda: channel(condord))
        until(lambda: counted(condord, "dropped") >= 3, lambda: counted(condord, "dropped"))
        receiver.status = 204
        before = len(receiver.posts)
        began = time.monotonic()
        until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord), pause=0.01)
        assert time.monotonic() - began >= 0.09 * (len(receiver.posts) - before - 1)
        assert counted(condord, "delivered") == 10
        assert "line:" in repr([body["data"]["id"] for _, body in receiver.posts[before:]])
