import asyncio

from prometheus_client import CollectorRegistry, Gauge

from condord.http.app import build_relay
from condord.http.front_routes import ENDPOINTS
from tests.http.fake_daemon import Conversation, FakeDaemon


class Front:
    """A front that returns its own registry instead of the given one."""

    def __init__(self):
        self.own_registry = None

    async def with_maker(self, registry):
        self.own_registry = registry
        merged = CollectorRegistry()
        Gauge("condord_history_fault", "Whether history cannot be recorded.", registry=merged).set(1)
        return merged


def test_a_front_serves_its_own_metrics_and_its_makers_in_the_accepted_format():
    view, front = FakeDaemon(), Front()
    view.registry = CollectorRegistry()
    app = build_relay(view, front, ENDPOINTS)
    found = asyncio.run(Conversation(app, "/metrics").run())
    assert found.status == 200
    assert "condord_history_fault 1.0" in found.body.decode()
    assert front.own_registry is view.registry
    accept = {"Accept": "application/openmetrics-text"}
    found = asyncio.run(Conversation(app, "/metrics", headers=accept).run())
    assert found.headers["content-type"].startswith("application/openmetrics-text")
