import asyncio
import json
import re
import urllib.parse

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from condord.errors import Unavailable
from condord.http import openapi
from condord.http.access import PROBES
from condord.http.app import ROUTES, build
from condord.http.guard import Guard
from condord.http.routes import DocumentedResponse, Route
from condord.live import render, wire
from condord.live.published import Edition
from condord.live.wire_history import TradesJson
from tests.fakes import documents
from tests.http.builders import TOKEN, guard_settings
from tests.http.fake_daemon import LEGS, NOW_AT, FakeDaemon, ask, held, in_memory, tick
from tests.http.openapi_checker import OpenApiChecker
from tests.live.accounts import MODEL, unreadable

DOCUMENT = openapi.document(ROUTES, "1.2.3")
SCHEMAS = DOCUMENT["components"]["schemas"]
CHECKER = OpenApiChecker(json.loads(json.dumps(DOCUMENT)))
GETS = [route for route in ROUTES if route.method == "GET" and route.name not in {"getStream", "getAsset"}]


class EmptyMetricsDaemon(FakeDaemon):
    """A daemon with an empty metrics registry."""

    registry = CollectorRegistry()


@pytest.fixture
def daemon():
    return FakeDaemon()


def check(daemon, path, status, *, method="GET", **request):
    """Send a request, and compare the answer with the document."""
    answer = ask(daemon, path, method=method, **request)
    assert answer.status == status
    CHECKER.check(method, path, answer.status, answer.headers, answer.body)
    return answer


def guarded(app):
    """Put `app` behind a guard with a token."""
    return Guard(app, guard_settings(token=TOKEN))


def unread():
    """A daemon that has read nothing yet."""
    daemon = FakeDaemon()
    daemon.edition = Edition(
        epoch="test",
        replay_size=16,
        status=render.unread_status("simulator", "indicative", MODEL, NOW_AT),
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


def broken():
    """A daemon whose condor has lost a leg."""
    daemon = priced()
    daemon.publisher.set_positions([held(symbol, sign) for symbol, sign in list(LEGS.items())[:3]], 0.0, NOW_AT)
    assert [condor.unrealized_pl is None for condor in daemon.document().broken] == [False]
    return daemon


def unmatched():
    """A daemon whose account has a leg without a condor, and a contract that cannot be parsed."""
    daemon = FakeDaemon()
    positions = [held(next(iter(LEGS)), 3), unreadable()]
    daemon.publisher.set_positions(positions, 0.0, NOW_AT)
    assert any(contract.problem for contract in daemon.document().unmatched)
    return daemon


@pytest.mark.slow
def test_the_document_is_valid():
    from openapi_spec_validator import OpenAPIV31SpecValidator  # 0.5 s

    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_route_is_in_the_document():
    listed = {
        (path, method.upper(), operation["operationId"])
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
    }
    assert listed == {(route.path, route.method, route.name) for route in ROUTES}


def test_the_document_contains_the_version_of_the_daemon():
    assert DOCUMENT["info"]["version"] == "1.2.3"


def test_the_document_is_served_as_json_and_built_once(daemon):
    first, second = (check(daemon, "/openapi.json", 200) for _ in range(2))
    assert first.headers["content-type"] == "application/json"
    assert first.json()["paths"].keys() == DOCUMENT["paths"].keys()
    assert first.chunks[0] is second.chunks[0]


def test_the_largest_heartbeat_comes_from_the_configuration(daemon):
    parameters = check(daemon, "/openapi.json", 200).json()["paths"]["/api/stream"]["get"]["parameters"]
    [schema] = [each["schema"] for each in parameters if each["name"] == "heartbeat"]
    assert (schema["minimum"], schema["maximum"]) == (0.5, daemon.heartbeat_seconds)


def test_two_methods_of_one_path_share_its_item():
    def route(method):
        return Route(path="/x", method=method, name=method, endpoint=print, summary="", responses=())

    assert openapi.document([route("GET"), route("POST")], "1")["paths"]["/x"].keys() == {"get", "post"}


def test_a_body_that_is_not_json_is_a_string():
    answer = DocumentedResponse(status=200, description="The page.", body="text/html")
    route = Route(path="/", name="getPage", endpoint=print, summary="", responses=(answer,))
    described = openapi.document([route], "1")["paths"]["/"]["get"]["responses"]["200"]
    assert described == {"description": "The page.", "content": {"text/html": {"schema": {"type": "string"}}}}


def test_a_status_may_have_two_media_types_with_the_headers_common_to_both():
    responses = DOCUMENT["paths"]["/readyz"]["get"]["responses"]
    assert responses["503"]["content"].keys() == {"application/json", "application/problem+json"}
    assert "headers" not in responses["503"]
    assert responses["400"] == {"$ref": "#/components/responses/Problem400"}
    assert "Retry-After" in DOCUMENT["paths"]["/api/stream"]["get"]["responses"]["503"]["headers"]


def test_every_struct_has_its_public_name():
    assert {"Document", "Condor", "Delta", "Problem", "StatusReport", "StreamEvent"} <= SCHEMAS.keys()
    assert [name for name in SCHEMAS if not re.fullmatch(r"[A-Z][A-Za-z]+", name)] == []


def test_descriptions_use_the_names_and_values_of_json():
    descriptions = re.findall(r'"description": "((?:[^"\\]|\\.)*)"', json.dumps(SCHEMAS))
    assert descriptions
    assert [text for text in descriptions if re.search(r"`[a-z]+_\w+`|\bNone\b|condord\.| {2}", text)] == []


def test_only_fields_that_a_delta_or_a_trade_leaves_out_are_optional():
    absent = {
        (name, field)
        for name, schema in SCHEMAS.items()
        for field in schema.get("properties", {}).keys() - schema.get("required", [])
    }
    names = ("risks", "underlyings", "closing", "history", "alerts", "alertsGone", "totals", "account", "status")
    assert absent == {("Delta", name) for name in names} | {("Trade", "rolledTo")}


def test_the_document_has_no_defaults():
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
def test_a_value_has_all_its_possible_types(name, field, schema):
    assert SCHEMAS[name]["properties"][field] == schema


def test_a_union_of_two_types_is_kept():
    kinds = {"anyOf": [{"type": "string"}, {"type": "boolean"}]}
    assert openapi._value(kinds) == kinds


def test_the_interval_has_its_limits():
    (schema,) = (
        parameter["schema"]
        for parameter in DOCUMENT["paths"]["/api/stream"]["get"]["parameters"]
        if parameter["name"] == "interval"
    )
    assert schema == {"type": "integer", "minimum": 0, "maximum": 10_000}


@pytest.mark.parametrize("make", [unread, incomplete, priced, broken, unmatched])
def test_every_state_of_the_account_is_as_described(make):
    daemon = make()
    check(daemon, "/api/positions", 200)
    check(daemon, "/api/status", 200)
    check(daemon, "/readyz", 200 if daemon.is_ready else 503)
    check(daemon, "/livez", 200 if daemon.is_alive else 503)
    check(daemon, "/healthz", 200 if daemon.is_alive else 503)
    check(daemon, "/api/refresh", 202, method="POST")
    check(daemon, "/api/tickets", 201, method="POST")
    for condor in daemon.document().condors:
        check(daemon, f"/api/positions/{condor.id}", 200)


@pytest.mark.parametrize("kind", ["text/plain", "application/openmetrics-text"])
def test_both_formats_of_the_metrics_are_as_described(kind):
    answer = check(EmptyMetricsDaemon(), "/metrics", 200, headers={"Accept": f"{kind}; version=1.0.0"})
    assert answer.headers["content-type"].startswith(kind)


def test_an_answer_with_304_is_as_described(daemon):
    etag = check(daemon, "/api/positions", 200).headers["etag"]
    check(daemon, "/api/positions", 304, headers={"If-None-Match": etag})


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_refusal_of_the_guard_is_as_described(daemon, route):
    path = route.path.replace("{id}", "x").replace("{name}", "x")
    if path in PROBES:
        check(daemon, path, 403, method=route.method, around=guarded, headers={"Sec-Fetch-Site": "cross-site"})
        return
    if route.access != "anyone":
        check(daemon, path, 401, method=route.method, around=guarded)
    check(daemon, path, 421, method=route.method, around=guarded, headers={"Host": "evil.example"})
    if route.method != "GET":
        headers = {"Authorization": f"Bearer {TOKEN}", "Origin": "https://evil.example"}
        check(daemon, path, 403, method=route.method, around=guarded, headers=headers)


def test_the_refusal_of_a_token_in_the_query_of_the_page_is_as_described(daemon):
    check(daemon, "/?token=x", 400, around=guarded)


def test_each_route_lists_the_credentials_that_it_accepts():
    security = {
        path: operation.get("security", DOCUMENT["security"])
        for path, operations in DOCUMENT["paths"].items()
        for operation in operations.values()
    }
    default = [{}, {"bearer": []}, {"query": []}]
    assert security["/"] == security["/assets/{name}"] == []
    assert security["/api/stream"] == [*default, {"ticket": []}]
    assert security["/api/positions"] == security["/api/tickets"] == default
    assert DOCUMENT["components"]["securitySchemes"].keys() == {"bearer", "query", "ticket"}
    assert "401" not in DOCUMENT["paths"]["/"]["get"]["responses"]
    assert "cookie" not in json.dumps(DOCUMENT).lower()


def test_a_bug_is_as_described(daemon):
    daemon.breaks = True
    check(daemon, "/api/status", 500, raises=True)


@settings(max_examples=25)
@given(st.text(min_size=1).filter(lambda text: not {"/", "?"} & set(text)))
def test_an_unknown_condor_of_any_name_is_as_described(identity):
    check(FakeDaemon(), f"/api/positions/{identity}", 404)


@pytest.mark.parametrize("path", ["/nowhere", "/assets/x.js", "/assets/", "/api/positions/a/b", "/livez/"])
def test_an_unknown_path_is_as_described(daemon, path):
    check(daemon, path, 404)


def test_a_full_daemon_and_an_invalid_interval_are_as_described(daemon):
    check(FakeDaemon(room=0), "/api/stream", 503)
    check(daemon, "/api/stream?interval=soon", 400)


@pytest.mark.parametrize("suffix", ["", ".csv"])
def test_faults_of_history_and_trades_are_as_described(daemon, suffix):
    for path in ("/api/history", "/api/trades"):
        check(daemon, f"{path}{suffix}?from=soon", 400)
    check(daemon, f"/api/history{suffix}?condor=none", 404)
    daemon.history_fault = Unavailable("the database is locked", "")
    check(daemon, f"/api/history{suffix}", 503)
    daemon.records_history = False
    check(daemon, f"/api/history{suffix}", 404)


def test_every_kind_of_trade_is_as_described(daemon):
    assigned = documents.trade(shares={"symbol": "SPY", "quantity": 100, "price": None}, debit=None, realizedPl=None)
    rolled = documents.trade(how="rolled", rolledTo="SPY-261218-565-575-630-640", shares=None, openedAt=None)
    daemon.closed = msgspec.convert(documents.trades(assigned, rolled, completeFrom=None), TradesJson)
    check(daemon, "/api/trades", 200)
    daemon.closed = msgspec.structs.replace(daemon.closed, trades=[])
    check(daemon, "/api/trades.csv", 503)


def test_every_event_of_a_stream_is_as_described():
    async def scenario():
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

    answer = asyncio.run(scenario())
    names = re.findall(r"^event: (\w+)$", answer.plain.decode(), re.MULTILINE)
    assert names == ["snapshot", "delta", "heartbeat", "bye"]
    CHECKER.check("GET", "/api/stream", answer.status, answer.headers, answer.plain)


@pytest.mark.parametrize("route", GETS, ids=lambda route: route.name)
def test_head_is_answered_like_get(route):
    daemon = EmptyMetricsDaemon()
    path = route.path.replace("{id}", urllib.parse.quote(daemon.document().condors[0].id))
    get = check(daemon, path, 200)
    head = check(daemon, path, 200, method="HEAD")
    assert {**head.headers, "etag": ""} == {**get.headers, "etag": ""}


def test_a_value_that_differs_from_its_schema_is_found(daemon):
    document = json.loads(wire.encode(daemon.document()))
    schema = {"$ref": "#/components/schemas/Document"}
    CHECKER.check_value(schema, document)
    for fault in ({**document, "surprise": 1}, {**document, "asOf": "today"}, {**document, "condors": None}):
        with pytest.raises(Exception, match=r"surprise|today|None"):
            CHECKER.check_value(schema, fault)
