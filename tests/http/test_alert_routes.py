import asyncio

import pytest

from condord.http.alert_routes import BETWEEN_TESTS_SECONDS, TEST_SECONDS, ChannelPace
from condord.live.wire_alerts import ChannelTestJson
from tests import virtualtime
from tests.fakes import documents
from tests.http.fake_daemon import Conversation, FakeDaemon, ask, build

ALERT_ID = documents.alert()["id"]
ACKNOWLEDGE = f"/api/alerts/{ALERT_ID}/acknowledge"
TEST = "/api/channels/phone/test"


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def daemon():
    return FakeDaemon()


@pytest.fixture
def paced(daemon):
    """The application, and the clock of its tests of channels."""
    app, clock = build(daemon), Clock()
    app.state.channel_pace = ChannelPace(clock)
    return app, clock


def tried(app, name="phone"):
    return asyncio.run(Conversation(app, f"/api/channels/{name}/test", method="POST").run())


def test_alerts_come_with_their_rules_and_channels(daemon):
    answer = ask(daemon, "/api/alerts")
    assert (answer.status, answer.json()) == (200, documents.alerts())
    assert answer.headers["cache-control"] == "no-cache"


def test_an_alert_is_acknowledged_by_its_id_with_a_colon(daemon):
    answer = ask(daemon, ACKNOWLEDGE, method="POST")
    assert (answer.status, answer.body) == (204, b"")
    assert daemon.acknowledged == [ALERT_ID]


def test_an_unknown_alert_is_not_acknowledged(daemon):
    answer = ask(daemon, "/api/alerts/tested:SPY/acknowledge", method="POST")
    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "GET /api/alerts" in answer.json()["detail"]
    assert daemon.acknowledged == []


def test_an_acknowledgement_that_may_be_lost_is_answered_with_the_reason(daemon):
    daemon.is_kept = False
    answer = ask(daemon, ACKNOWLEDGE, method="POST")
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["detail"] == "the next leader may not know of it"


@pytest.mark.parametrize("path", [ACKNOWLEDGE, TEST])
def test_a_route_that_changes_something_needs_a_post(daemon, path):
    assert ask(daemon, path).status == 405
    assert (daemon.acknowledged, daemon.tested) == ([], [])


def test_a_test_reports_how_the_channel_answered(daemon):
    daemon.channel_answers["phone"] = ChannelTestJson(ok=False, status=503, text="the receiver is down")
    answer = ask(daemon, TEST, method="POST")
    assert (answer.status, daemon.tested) == (200, ["phone"])
    assert answer.json() == {"ok": False, "status": 503, "text": "the receiver is down"}


def test_an_unknown_channel_is_not_tested(daemon):
    answer = ask(daemon, "/api/channels/pager/test", method="POST")
    assert (answer.status, daemon.tested) == (404, [])


def test_a_channel_that_a_reload_removes_during_its_test_is_unknown(daemon, paced):
    daemon.is_channel_removed = True
    assert tried(paced[0]).status == 404


def test_a_channel_is_tested_at_most_once_in_ten_seconds(daemon, paced):
    app, clock = paced
    assert tried(app).status == 200
    clock.now += 3.5
    refused = tried(app)
    assert (refused.status, refused.headers["retry-after"]) == (429, "7")
    clock.now += 6.5
    assert tried(app).status == 200
    assert daemon.tested == ["phone"] * 2
    assert BETWEEN_TESTS_SECONDS == 10.0


def test_the_tests_of_each_channel_are_limited_separately(daemon, paced):
    daemon.channel_answers["desk"] = ChannelTestJson(ok=True, status=None, text="delivered")
    assert [tried(paced[0], name).status for name in ("phone", "desk", "phone")] == [200, 200, 429]


def test_tests_of_an_unknown_channel_are_not_limited(daemon, paced):
    assert tried(paced[0], "pager").status == tried(paced[0], "pager").status == 404


def test_the_test_of_a_channel_that_does_not_answer_is_answered_within_25_seconds(daemon):
    daemon.channel_answers["phone"] = None

    async def scenario():
        loop = asyncio.get_running_loop()
        begun = loop.time()
        answer = await Conversation(build(daemon), TEST, method="POST").run()
        return answer, loop.time() - begun

    answer, seconds = virtualtime.run(scenario())
    assert (answer.status, answer.json()["ok"], answer.json()["status"]) == (200, False, None)
    assert seconds == pytest.approx(TEST_SECONDS)
    assert TEST_SECONDS <= 25.0
