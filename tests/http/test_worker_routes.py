import asyncio

import pytest

from condord.errors import Unavailable
from condord.http.app import ROUTES, build_relay
from condord.http.worker_routes import ENDPOINTS
from tests.http.fake_daemon import Conversation, FakeDaemon
from tests.http.test_forwarding import FakeAnswer


class FakeSourceDaemon:
    def __init__(self):
        self.asked = []
        self.answer = FakeAnswer(200, {"content-type": "application/json"}, b'{"of": "all"}')

    async def ask_now(self, target, accept="*/*"):
        self.asked.append((target, accept))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def whole():
    return FakeSourceDaemon()


def ask(whole, path, **headers):
    app = build_relay(FakeDaemon(), whole, ENDPOINTS)
    return asyncio.run(Conversation(app, path, headers=headers).run())


def test_every_endpoint_of_a_worker_is_a_route():
    assert ENDPOINTS.keys() <= {route.name for route in ROUTES}


def test_a_worker_serves_the_metrics_of_its_daemon_in_the_requested_format(whole):
    whole.answer = FakeAnswer(200, {"content-type": "text/plain"}, b"condord_subscribers 3")
    found = ask(whole, "/metrics", accept="application/openmetrics-text")
    assert (found.status, found.body) == (200, b"condord_subscribers 3")
    assert whole.asked == [("/metrics", "application/openmetrics-text")]


def test_without_its_daemon_a_worker_serves_no_metrics(whole):
    whole.answer = Unavailable("the source is lost", "")
    found = ask(whole, "/metrics")
    assert found.status == 503
    assert int(found.headers["retry-after"]) > 0


@pytest.mark.parametrize("path", ["/api/status", "/readyz"])
def test_a_worker_serves_the_status_of_its_daemon(whole, path):
    found = ask(whole, path)
    assert found.json() == {"of": "all"}
    assert found.status == 200
    assert whole.asked == [("/api/status", "*/*")]


@pytest.mark.parametrize("path", ["/api/status", "/readyz"])
def test_without_its_daemon_a_worker_serves_its_own_status(whole, path):
    whole.answer = Unavailable("the source is lost", "")
    assert ask(whole, path).json()["state"] == "starting"
