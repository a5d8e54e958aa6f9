"""Alerts from a quote to a webhook: over bad feeds, restarts, kills, dead receivers and reloads."""

import json
import signal
import sqlite3
import stat
import time
from contextlib import closing

import pytest

from tests.e2e.alerting import (
    BEYOND,
    CALM,
    LINE,
    NEAR,
    Receiver,
    alerts,
    also_replaced,
    await_alert,
    await_mark,
    channel,
    settle,
    the_alert,
    watching,
)
from tests.e2e.running import STOP_SECONDS, Follower, fetch, until
from tests.http.scrape import samples

pytestmark = pytest.mark.slow

TICKS, MESSAGE_TICKS = 1000, 5
"""An odd number of ticks in a message: the last one is above the line in every other message."""
STATE = "state/alerts.sqlite3"


def alert_events(follower):
    return [json.loads(event.data) for event in follower.events.copy() if event.name == "alert"]


def notified(condord):
    """How many messages were delivered by the channel, by the metrics."""
    return samples(condord.get("/metrics")[1])["condord_notifications_total{channel=hook,result=delivered}"]


def test_a_crossing_is_one_alert_and_one_post_over_many_ticks_around_the_line(market, receiver, files):
    with watching(files) as condord, closing(Follower(condord.url)) as follower:
        until(lambda: follower.events, "the stream has begun")
        market.move(*(LINE + 0.2 if number % 2 else NEAR for number in range(TICKS)), together=MESSAGE_TICKS)
        alert = await_alert(condord, "firing")
        until(lambda: receiver.posts, "the webhook has the alert")
        settle()
        assert receiver.kinds == ["firing"]
        ((headers, body),) = receiver.posts
        assert body["data"]["id"] == alert["id"] == f"line:{market.condor['id']}"
        assert (alert["atStart"], alert["severity"], alert["threshold"]) == (False, "critical", LINE)
        assert headers["content-type"] == "application/json"
        assert [event["state"] for event in alert_events(follower)] == ["firing"]
        assert [each["id"] for each in condord.document()["alerts"]] == [alert["id"]]
        assert condord.document()["totals"]["alerts"] == {"critical": 1, "warning": 0, "info": 0}
        market.move(CALM)
        until(lambda: receiver.kinds == ["firing", "resolved"], lambda: receiver.kinds)
        until(lambda: [event["state"] for event in alert_events(follower)] == ["firing", "resolved"], "both events")
        market.move(BEYOND)
        until(lambda: receiver.kinds == ["firing", "resolved", "firing"], lambda: receiver.kinds)
        assert len(receiver.ids) == 3
        until(lambda: notified(condord) == 3, lambda: notified(condord))
        assert receiver.path not in condord.get("/api/alerts")[1].__repr__() + "".join(condord.stderr)


def test_bad_quotes_and_a_feed_that_is_cut_or_silent_fire_nothing(market, receiver, files):
    with watching(files) as condord:
        for bid, ask in ((0.05, 19.95), (9.0, 8.0), (0.0, 0.0)):
            market.quote((bid, ask))
            settle(0.3)
            assert the_alert(condord) is None
            market.move(CALM)
            await_mark(condord, CALM)
        for fault in ({"name": "mute", "seconds": 1.0}, {"name": "reset"}):
            market.simulated.fault("rest-500")
            if fault["name"] == "reset":
                market.simulated.fault("upgrade-502")
            market.simulated.fault(**fault)
            settle()
            assert the_alert(condord) is None
            market.simulated.clear()
            condord.await_state("live")
        assert receiver.posts == []
        market.move(BEYOND)
        await_alert(condord, "firing")
        until(lambda: receiver.kinds == ["firing"], lambda: receiver.kinds)


def test_a_crossing_that_a_silent_feed_hides_fires_once_with_the_next_quote(market, receiver, files):
    with watching(files) as condord:
        market.simulated.fault("rest-500")
        market.simulated.fault("mute", seconds=2.0)
        market.move(BEYOND)
        settle(1.0)
        assert (the_alert(condord), receiver.posts) == (None, [])
        settle(1.5)
        market.move(BEYOND + 0.5)
        await_alert(condord, "firing")
        until(lambda: receiver.kinds == ["firing"], lambda: receiver.kinds)
        market.simulated.clear()
        settle()
        assert receiver.kinds == ["firing"]


def test_a_crossing_that_a_cut_feed_hides_fires_once_when_the_feed_is_back(market, receiver, files):
    with watching(files) as condord:
        market.simulated.fault("upgrade-502")
        market.simulated.fault("rest-500")
        market.simulated.fault("reset")
        condord.await_state("reconnecting")
        market.move(BEYOND)
        settle(1.0)
        assert (the_alert(condord), receiver.posts) == (None, [])
        market.simulated.clear()
        await_alert(condord, "firing")
        until(lambda: receiver.kinds == ["firing"], lambda: receiver.kinds)


def test_a_receiver_that_is_down_gets_the_alert_with_the_same_id_when_it_is_back(market, receiver, files):
    receiver.status = 503
    with watching(files) as condord:
        market.move(BEYOND)
        until(lambda: len(receiver.posts) >= 2, "a second attempt")
        shown = channel(condord)
        assert (shown["waiting"], shown["lastDeliveryAt"]) == (1, None)
        assert "503" in shown["lastError"]
        assert receiver.path not in shown["lastError"]
        receiver.status = 204
        until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
        assert channel(condord)["lastDeliveryAt"]
        assert len(receiver.ids) == 1
        count = len(receiver.posts)
        settle()
        assert len(receiver.posts) == count


def test_a_test_message_reports_how_the_channel_answers(market, receiver, files):
    receiver.status = 401
    with watching(files) as condord:
        status, _, answer = fetch(f"{condord.url}/api/channels/hook/test", method="POST")
        assert (status, answer["ok"], answer["status"]) == (200, False, 401)
        assert "401" in answer["text"]
        assert receiver.path not in answer["text"]
        assert fetch(f"{condord.url}/api/channels/pager/test", method="POST")[0] == 404
        assert alerts(condord) == []


def test_a_kill_between_firing_and_delivery_loses_and_repeats_nothing(market, receiver, files):
    receiver.status = 503
    with watching(files) as condord:
        market.move(BEYOND)
        until(lambda: receiver.posts, "the first attempt")
        fired = await_alert(condord, "firing")
        condord.stop(signal.SIGKILL)
    receiver.status = 204
    failed = len(receiver.posts)
    with watching(files) as condord:
        until(lambda: len(receiver.posts) > failed, "the delivery")
        assert await_alert(condord, "firing")["since"] == fired["since"]
        until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
        settle()
        assert (len(receiver.ids), len(receiver.posts)) == (1, failed + 1)


def test_a_restart_while_an_alert_fires_neither_repeats_nor_forgets_it(market, receiver, files):
    with watching(files) as condord:
        market.move(BEYOND)
        fired = await_alert(condord, "firing")
        assert fetch(f"{condord.url}/api/alerts/{fired['id']}/acknowledge", method="POST")[0] == 204
        until(lambda: receiver.posts, "the delivery")
        until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
        seen = await_alert(condord, "firing")
        assert seen["acknowledgedAt"]
        assert condord.stop() == 0
    with watching(files) as condord:
        assert await_alert(condord, "firing") == seen
        settle()
        assert receiver.kinds == ["firing"]
        market.move(CALM)
        until(lambda: receiver.kinds == ["firing", "resolved"], lambda: receiver.kinds)


def test_a_restart_keeps_for_how_long_a_condition_has_held(market, receiver, files):
    files.rule["for_seconds"] = 4
    files.change()
    often = also_replaced(live__alert_machine__SAVE_SECONDS=0.2)
    with watching(files, **often) as condord:
        market.move(BEYOND)
        until(lambda: 'condord_alerts{rule="line",state="pending"} 1.0' in condord.get("/metrics")[1], "it is pending")
        settle(2.2)
        assert condord.stop() == 0
        assert receiver.posts == []
    with watching(files, **often) as condord:
        began = time.monotonic()
        assert not await_alert(condord, "firing")["atStart"]
        assert time.monotonic() - began < 3.5
        until(lambda: receiver.kinds == ["firing"], lambda: receiver.kinds)


def test_a_rule_that_is_true_at_the_first_start_fires_once_with_at_start(market, receiver, files):
    market.move(BEYOND)
    for _ in range(2):
        with watching(files) as condord:
            assert await_alert(condord, "firing")["atStart"]
            until(lambda: receiver.posts, "the delivery")
            until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
            assert condord.stop() == 0
    assert receiver.kinds == ["firing"]


def test_a_slow_receiver_delays_neither_the_stream_nor_a_stop(market, receiver, files):
    receiver.delay_seconds = 60.0
    with watching(files) as condord, closing(Follower(condord.url)) as follower:
        until(lambda: follower.events, "the stream has begun")
        market.move(BEYOND)
        until(lambda: receiver.posts, "the receiver has the request")
        began = time.monotonic()
        market.move(BEYOND + 1)
        until(lambda: _mark(follower) == pytest.approx(BEYOND + 1), "the stream goes on")
        assert condord.stop() == 0
        assert time.monotonic() - began < STOP_SECONDS


def _mark(follower):
    condors = follower.document["condors"]
    return next(condor for condor in condors if condor["id"].startswith("SPY-"))["valuation"]["mark"]


def test_a_reload_changes_rules_and_channels_without_losing_state(market, receiver, files):
    with watching(files) as condord, closing(Receiver()) as other:
        market.move(BEYOND)
        fired = await_alert(condord, "firing")
        until(lambda: receiver.kinds == ["firing"], lambda: receiver.kinds)
        files.rule["severity"] = "warning"
        files.write_url(other.url)
        files.change()
        assert "needs_restart=[]" in condord.reload("Configuration reloaded")
        settle(0.3)
        assert await_alert(condord, "firing")["since"] == fired["since"]
        assert (receiver.kinds, other.kinds) == (["firing"], [])
        files.rule["when"] = "mark >= nonsense"
        files.change()
        condord.reload("Configuration refused")
        assert await_alert(condord, "firing")
        files.has_rule = False
        files.change()
        condord.reload("Configuration reloaded")
        await_alert(condord, "ended")
        until(lambda: other.kinds == ["ended"], lambda: other.kinds)
        assert receiver.kinds == ["firing"]
        assert other.path not in "".join(condord.stderr)


def test_a_rule_that_was_removed_while_condord_did_not_run_ends_its_alert(market, receiver, files):
    with watching(files) as condord:
        market.move(BEYOND)
        until(lambda: receiver.kinds == ["firing"], lambda: receiver.kinds)
        until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
        assert condord.stop() == 0
    files.has_rule = False
    files.change()
    with watching(files) as condord:
        await_alert(condord, "ended")
        until(lambda: receiver.kinds == ["firing", "ended"], lambda: receiver.kinds)


def test_alerts_are_stored_for_their_owner_only_also_without_history(market, receiver, files, tmp_path):
    market.move(BEYOND)
    with watching(files, CONDORD_HISTORY_ENABLED="false") as condord:
        await_alert(condord, "firing")
        until(lambda: receiver.posts, "the delivery")
        assert stat.S_IMODE((tmp_path / STATE).stat().st_mode) == 0o600
        assert condord.stop() == 0
    for path in (tmp_path / "state").iterdir():
        assert receiver.path.encode() not in path.read_bytes()


def test_a_damaged_file_is_set_aside_and_alerts_that_hold_are_not_sent_again(market, receiver, files, tmp_path):
    market.move(BEYOND)
    with watching(files) as condord:
        until(lambda: receiver.kinds == ["firing"], lambda: receiver.kinds)
        assert condord.stop() == 0
    (tmp_path / STATE).write_bytes(b"this is not a database" * 1000)
    with watching(files) as condord:
        assert await_alert(condord, "firing")["atStart"]
        (aside,) = (tmp_path / "state").glob("alerts.sqlite3.broken-*")
        assert aside.name in condord.notices()["alertsNotStored"]
        settle()
        assert receiver.kinds == ["firing"]


def test_alerts_continue_in_memory_while_the_file_is_locked(market, receiver, files, tmp_path):
    with watching(files, **also_replaced(host__database__BUSY_SECONDS=0.2)) as condord:
        with closing(sqlite3.connect(tmp_path / STATE, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            market.move(BEYOND)
            until(lambda: receiver.kinds == ["firing"], lambda: receiver.kinds)
            until(lambda: "locked" in condord.notices().get("alertsNotStored", ""), condord.notices)
            other.execute("ROLLBACK")
        market.move(CALM)
        until(lambda: receiver.kinds == ["firing", "resolved"], lambda: receiver.kinds)
        until(lambda: "alertsNotStored" not in condord.notices(), condord.notices)
        assert [alert["state"] for alert in alerts(condord)] == ["resolved"]
