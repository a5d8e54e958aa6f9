import asyncio
from typing import NamedTuple

import pytest
from starlette.requests import Request

from condord.errors import Unavailable
from condord.http.app import ROUTES, build_relay
from condord.http.forwarding import FORWARDED, target_of
from tests.http.fake_daemon import Conversation, FakeDaemon


class FakeAnswer(NamedTuple):
    status: int = 200
    headers: dict = {"content-type": "application/json", "cache-control": "no-cache"}  # noqa: RUF012 - never changed
    body: bytes = b'{"from": "the source"}'


class FakeSource:
    def __init__(self):
        self.asked = []
        self.answer = FakeAnswer()

    async def ask(self, method, target):
        self.asked.append((method, target))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def source():
    return FakeSource()


def ask(source, path, method="GET"):
    return asyncio.run(Conversation(build_relay(FakeDaemon(), source), path, method=method).run())


def test_only_what_is_not_in_the_document_is_forwarded():
    named = {route.name: route.path for route in ROUTES}
    assert {named[name] for name in FORWARDED} == {
        "/api/history",
        "/api/history.csv",
        "/api/trades",
        "/api/trades.csv",
        "/api/alerts",
        "/api/alerts/{id}/acknowledge",
        "/api/channels/{name}/test",
        "/api/refresh",
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/history?condor=SPY-261218-560-570-630-640&points=5"),
        ("GET", "/api/trades.csv"),
        ("GET", "/api/alerts"),
        ("POST", "/api/refresh"),
        ("POST", "/api/alerts/half:SPY-261218-560-570-630-640/acknowledge"),
        ("POST", "/api/channels/phone/test"),
    ],
)
def test_a_request_and_its_answer_are_passed_on_unchanged(source, method, path):
    found = ask(source, path, method)
    assert source.asked == [(method, path)]
    assert (found.status, found.body) == (200, b'{"from": "the source"}')
    assert found.headers["content-type"] == "application/json"
    assert found.headers["cache-control"] == "no-cache"


def test_the_document_is_the_relays_own(source):
    assert ask(source, "/api/positions").json()["condors"]
    assert ask(source, "/api/positions.csv").status == 200
    assert source.asked == []


def test_errors_of_the_source_are_passed_back(source):
    source.answer = FakeAnswer(429, {"retry-after": "7", "content-type": "application/problem+json"}, b"{}")
    found = ask(source, "/api/channels/phone/test", "POST")
    assert (found.status, found.headers["retry-after"], found.body) == (429, "7", b"{}")


def test_an_answer_without_a_body_is_passed_on_without_one(source):
    source.answer = FakeAnswer(204, {}, b"")
    found = ask(source, "/api/alerts/x:y/acknowledge", "POST")
    assert (found.status, found.body, found.headers.get("content-length", "0")) == (204, b"", "0")


def test_without_a_source_a_request_gets_503(source):
    source.answer = Unavailable("the source is lost", "")
    found = ask(source, "/api/trades")
    assert (found.status, found.json()["detail"], found.headers["retry-after"]) == (503, "the source is lost", "2")


def test_a_head_request_is_forwarded_as_get(source):
    ask(source, "/api/trades", "HEAD")
    assert source.asked == [("GET", "/api/trades")]


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        ("/api/alerts/a b:c%/acknowledge", b"", "/api/alerts/a%20b:c%25/acknowledge"),
        ("/api/trades", b"access_token=secret&from=2026-11-20T15:00:00%2B00:00", "/api/trades?from=2026-11-20T15%3A00%3A00%2B00%3A00"),
        ("/api/trades", b"ticket=x&points=", "/api/trades?points="),
        ("/api/x\r\ny", b"", "/api/x%0D%0Ay"),
    ],
)  # fmt: skip
def test_the_target_has_no_secret_of_this_server_and_nothing_that_breaks_a_request(path, query, target):
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": []}
    assert target_of(Request(scope)) == target
