import asyncio
import os

import pytest

from condord import __version__
from condord.http import access
from condord.http.app import build
from condord.http.interfaces import UnreadReason
from condord.http.unread import UnreadGate
from condord.live.wire import ClusterJson
from tests.http.fake_daemon import Conversation, FakeDaemon

WHY = UnreadReason(
    detail="this relay has read nothing from http://a in 12 s: it is gone",
    code="sourceLost",
    cluster=ClusterJson(role="relay", source="http://a"),
    uptime_seconds=12.3456,
)


def ask(path, why=WHY, *, is_anonymous=False, method="GET"):
    app = UnreadGate(build(FakeDaemon()), lambda: why)

    async def marked(scope, receive, send):
        await app(access.anonymous(scope) if is_anonymous else scope, receive, send)

    return asyncio.run(Conversation(marked, path, method=method).run())


@pytest.mark.parametrize("path", ["/api/positions", "/api/stream", "/api/status", "/api/trades", "/readyz"])
def test_a_route_that_needs_the_document_gives_503_with_the_reason(path):
    found = ask(path)
    assert (found.status, found.headers["retry-after"]) == (503, "1")
    assert found.headers["content-type"] == "application/problem+json"
    cluster = {"role": "relay", "leader": None, "fence": None, "source": "http://a", "lagMs": None}
    assert found.json() == {
        "type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": WHY.detail,
        "code": "sourceLost", "cluster": {**cluster, "gaps": 0, "dropped": 0},
        "version": __version__, "pid": os.getpid(), "uptime": 12.346,
    }  # fmt: skip


@pytest.mark.parametrize(("path", "method"), [("/livez", "GET"), ("/openapi.json", "GET"), ("/api/tickets", "POST")])
def test_all_other_routes_are_answered(path, method):
    assert ask(path, method=method).status in (200, 201)


def test_once_the_document_is_read_every_route_is_answered():
    assert ask("/api/positions", None).status == ask("/readyz", None).status == 200


def test_a_probe_without_a_token_gets_no_details():
    found = ask("/readyz", is_anonymous=True)
    assert (found.status, found.body) == (503, b"")
