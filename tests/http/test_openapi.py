import asyncio
import json
import re
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator
from prometheus_client import CollectorRegistry

from condord.config import is_loopback
from condord.http import openapi
from condord.http.app import ROUTES, build
from condord.http.guard import Guard
from condord.http.ports import GuardSettings
from condord.http.routes import Answer, Route
from condord.live import render, wire
from condord.live.edition import Edition
from tests.http.asking import LEGS, NOW_AT, FakeDaemon, ask, held, in_memory, tick
from tests.http.described import Described
from tests.live.accounts import unreadable

DOCUMENT = openapi.document(ROUTES, "1.2.3")
SCHEMAS = DOCUMENT["components"]["schemas"]
DESCRIBED = Described(json.loads(json.dumps(DOCUMENT)))
TOKEN = "a-token-of-some-length"
GETS = [route for route in ROUTES if route.method == "GET" and route.name not in {"getStream", "getAsset"}]


class Scraped(FakeDaemon):
    """A daemon that has metrics, and nothing to say in them."""

    registry = CollectorRegistry()


def check(daemon, path, status, *, method="GET", **request):
    """Ask, and hold the answer against the document."""
    answer = ask(daemon, path, method=method, **request)
    assert answer.status == status
    DESCRIBED.check(method, path, answer.status, answer.headers, answer.body)
    return answer


def guarded(app):
    """The application behind a guard with a token."""
    knows = GuardSettings(knows_host=is_loopback, origins=frozenset(), token=lambda: TOKEN)
    return Guard(app, knows)


def unread():
    """A daemon that has read nothing yet."""
    daemon = FakeDaemon()
    daemon.edition = Edition(
        epoch="test",
        replay_size=16,
        status=render.unread_status("simulator", "indicative", NOW_AT),
        totals=render.UNREAD_TOTALS,
    )
    daemon.is_ready = daemon.is_alive = False
    return daemon


def priced():
    """A daemon with a quote of every leg."""
    daemon = FakeDaemon()
    daemon.quote(*(tick(symbol, 1.0, 1.2) for symbol in LEGS))
    assert daemon.document().condors[0].valuation.unrealized_pl is not None
    return daemon


def incomplete():
    """A daemon without a quote of any leg."""
    daemon = FakeDaemon()
    assert daemon.document().condors[0].valuation.missing
    return daemon


def odd():
    """A daemon whose account has a leg of nothing, and a contract that nobody can read."""
    daemon = FakeDaemon()
    alone = [held(next(iter(LEGS)), 3), unreadable()]
    daemon.publisher.set_positions(alone, 0.0, NOW_AT)
    assert any(each.problem for each in daemon.document().unmatched)
    return daemon


@pytest.mark.slow
def test_the_document_is_valid():
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_route_is_in_it():
    listed = {
        (path, method.upper(), operation["operationId"])
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
    }
    assert listed == {(route.path, route.method, route.name) for route in ROUTES}


def test_it_names_the_version_of_the_daemon():
    assert DOCUMENT["info"]["version"] == "1.2.3"


def test_it_is_served_as_json_and_made_once():
    first, second = (check(FakeDaemon(), "/openapi.json", 200) for _ in range(2))
    assert first.headers["content-type"] == "application/json"
    assert first.json()["paths"].keys() == DOCUMENT["paths"].keys()
    assert first.chunks[0] is second.chunks[0]


def test_two_methods_of_one_path_stand_beside_each_other():
    def route(method):
        return Route(path="/x", method=method, name=method, endpoint=print, summary="", answers=())

    assert openapi.document([route("GET"), route("POST")], "1")["paths"]["/x"].keys() == {"get", "post"}


def test_a_media_type_that_is_no_json_is_a_string():
    answer = Answer(status=200, about="The page.", body="text/html")
    route = Route(path="/", name="getPage", endpoint=print, summary="", answers=(answer,))
    described = openapi.document([route], "1")["paths"]["/"]["get"]["responses"]["200"]
    assert described == {"description": "The page.", "content": {"text/html": {"schema": {"type": "string"}}}}


def test_a_status_may_come_in_two_media_types_with_the_headers_that_both_have():
    responses = DOCUMENT["paths"]["/readyz"]["get"]["responses"]
    assert responses["503"]["content"].keys() == {"application/json", "application/problem+json"}
    assert "headers" not in responses["503"]
    assert responses["401"] == {"$ref": "#/components/responses/Problem401"}
    assert "Retry-After" in DOCUMENT["paths"]["/api/stream"]["get"]["responses"]["503"]["headers"]


def test_every_struct_has_its_plain_name():
    assert {"Document", "Condor", "Delta", "Problem", "StatusReport", "StreamEvent"} <= SCHEMAS.keys()
    assert [name for name in SCHEMAS if not re.fullmatch(r"[A-Z][A-Za-z]+", name)] == []


def test_what_people_read_speaks_of_names_and_values_as_they_are_in_json():
    told = re.findall(r'"description": "((?:[^"\\]|\\.)*)"', json.dumps(SCHEMAS))
    assert told
    assert [text for text in told if re.search(r"`[a-z]+_\w+`|\bNone\b|condord\.| {2}", text)] == []


def test_only_what_a_delta_leaves_out_may_be_absent():
    absent = {
        (name, field)
        for name, schema in SCHEMAS.items()
        for field in schema.get("properties", {}).keys() - schema.get("required", [])
    }
    assert absent == {("Delta", "totals"), ("Delta", "status")}


def test_nothing_in_it_is_a_default():
    assert '"default"' not in json.dumps(SCHEMAS)


@pytest.mark.parametrize(
    ("name", "field", "schema"),
    [
        ("Leg", "strike", {"type": "number"}),
        ("Leg", "quantity", {"type": "integer"}),
        ("Leg", "side", {"type": "string", "enum": ["long", "short"]}),
        ("Leg", "problem", {"type": ["string", "null"]}),
        ("Unmatched", "side", {"type": ["string", "null"], "enum": ["long", "short", None]}),
        ("Unmatched", "expiration", {"type": ["string", "null"], "format": "date"}),
        ("Valuation", "mark", {"type": ["number", "null"]}),
        ("Valuation", "asOf", {"type": ["string", "null"], "format": "date-time"}),
        ("Valuation", "plBounds", {"anyOf": [{"$ref": "#/components/schemas/PlBounds"}, {"type": "null"}]}),
        ("Document", "asOf", {"type": "string", "format": "date-time"}),
        ("StatusReport", "resyncs", {"type": "object", "additionalProperties": {"type": "integer"}}),
        ("SnapshotEvent", "event", {"type": "string", "const": "snapshot"}),
    ],
)
def test_a_value_has_the_types_that_it_can_have(name, field, schema):
    assert SCHEMAS[name]["properties"][field] == schema


def test_a_value_of_two_kinds_may_be_either():
    kinds = {"anyOf": [{"type": "string"}, {"type": "boolean"}]}
    assert openapi._value(kinds) == kinds


def test_the_interval_has_its_bounds():
    (schema,) = (
        parameter["schema"]
        for parameter in DOCUMENT["paths"]["/api/stream"]["get"]["parameters"]
        if parameter["name"] == "interval"
    )
    assert schema == {"type": "integer", "minimum": 0, "maximum": 10_000}


@pytest.mark.parametrize("make", [unread, incomplete, priced, odd])
def test_every_state_of_the_account_is_as_described(make):
    daemon = make()
    check(daemon, "/api/positions", 200)
    check(daemon, "/api/status", 200)
    check(daemon, "/readyz", 200 if daemon.is_ready else 503)
    check(daemon, "/livez", 200 if daemon.is_alive else 503)
    check(daemon, "/healthz", 200 if daemon.is_alive else 503)
    check(daemon, "/api/refresh", 202, method="POST")
    for condor in daemon.document().condors:
        check(daemon, f"/api/positions/{condor.id}", 200)


@pytest.mark.parametrize("kind", ["text/plain", "application/openmetrics-text"])
def test_metrics_of_both_kinds_are_as_described(kind):
    answer = check(Scraped(), "/metrics", 200, headers={"Accept": f"{kind}; version=1.0.0"})
    assert answer.headers["content-type"].startswith(kind)


def test_a_known_version_is_as_described():
    daemon = FakeDaemon()
    etag = check(daemon, "/api/positions", 200).headers["etag"]
    check(daemon, "/api/positions", 304, headers={"If-None-Match": etag})


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_refusal_of_the_guard_is_as_described(route):
    path = route.path.replace("{id}", "x")
    check(FakeDaemon(), path, 401, method=route.method, around=guarded)
    check(FakeDaemon(), path, 421, method=route.method, around=guarded, headers={"Host": "evil.example"})
    if route.method != "GET":
        headers = {"Authorization": f"Bearer {TOKEN}", "Origin": "https://evil.example"}
        check(FakeDaemon(), path, 403, method=route.method, around=guarded, headers=headers)


def test_a_bug_is_as_described():
    daemon = FakeDaemon()
    daemon.breaks = True
    check(daemon, "/api/status", 500, raises=True)


@settings(max_examples=25)
@given(st.text(min_size=1).filter(lambda text: not {"/", "?"} & set(text)))
def test_whatever_is_asked_for_is_a_condor_or_an_error_as_described(identity):
    check(FakeDaemon(), f"/api/positions/{identity}", 404)


@pytest.mark.parametrize("path", ["/nowhere", "/assets/x.js", "/assets/", "/api/positions/a/b", "/livez/"])
def test_what_is_nowhere_is_as_described(path):
    check(FakeDaemon(), path, 404)


def test_a_full_stream_and_a_wrong_interval_are_as_described():
    check(FakeDaemon(room=0), "/api/stream", 503)
    check(FakeDaemon(), "/api/stream?interval=soon", 400)


def test_every_event_of_a_stream_is_as_described():
    async def scene():
        daemon = priced()
        async with in_memory(build(daemon)) as opened:
            conversation = opened("/api/stream")
            streaming = asyncio.create_task(conversation.run())
            await conversation.answer.has(b"event: snapshot")
            daemon.quote(tick(next(iter(LEGS)), 1.1, 1.3, second=1))
            await conversation.answer.has(b"event: delta")
            for subscriber in daemon.fanout.heartbeat(NOW_AT):
                subscriber.wake()
            await conversation.answer.has(b"event: heartbeat")
            daemon.stop()
            await streaming
        return conversation.answer

    answer = asyncio.run(scene())
    names = re.findall(r"^event: (\w+)$", answer.plain.decode(), re.MULTILINE)
    assert names == ["snapshot", "delta", "heartbeat", "bye"]
    DESCRIBED.check("GET", "/api/stream", answer.status, answer.headers, answer.plain)


@pytest.mark.parametrize("route", GETS, ids=lambda route: route.name)
def test_head_is_answered_like_get(route):
    daemon = Scraped()
    path = route.path.replace("{id}", urllib.parse.quote(daemon.document().condors[0].id))
    asked = check(daemon, path, 200)
    told = check(daemon, path, 200, method="HEAD")
    assert {**told.headers, "etag": ""} == {**asked.headers, "etag": ""}


def test_a_field_that_it_does_not_name_would_be_a_fault():
    document = json.loads(wire.encode(FakeDaemon().document()))
    schema = {"$ref": "#/components/schemas/Document"}
    DESCRIBED.check_value(schema, document)
    for fault in ({**document, "surprise": 1}, {**document, "asOf": "today"}, {**document, "condors": None}):
        with pytest.raises(Exception, match=r"surprise|today|None"):
            DESCRIBED.check_value(schema, fault)
