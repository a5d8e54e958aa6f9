import asyncio

import pytest

from condord.http import access
from condord.http.app import build
from condord.http.unread import UnreadGate
from tests.http.asking import Conversation, FakeDaemon

WHY = "nothing has been read from the source yet: it answers 503"


def ask(path, why=WHY, *, is_anonymous=False, method="GET"):
    app = UnreadGate(build(FakeDaemon()), lambda: why)

    async def marked(scope, receive, send):
        await app(access.anonymous(scope) if is_anonymous else scope, receive, send)

    return asyncio.run(Conversation(marked, path, method=method).run())


@pytest.mark.parametrize("path", ["/api/positions", "/api/stream", "/api/status", "/api/trades", "/readyz"])
def test_what_needs_the_document_is_503_with_the_reason(path):
    found = ask(path)
    assert (found.status, found.headers["retry-after"], found.json()["detail"]) == (503, "1", WHY)


@pytest.mark.parametrize(("path", "method"), [("/livez", "GET"), ("/openapi.json", "GET"), ("/api/tickets", "POST")])
def test_everything_else_is_answered(path, method):
    assert ask(path, method=method).status in (200, 201)


def test_once_it_is_read_everything_is_answered():
    assert ask("/api/positions", None).status == ask("/readyz", None).status == 200


def test_a_probe_without_a_token_gets_no_details():
    found = ask("/readyz", is_anonymous=True)
    assert (found.status, found.body) == (503, b"")
