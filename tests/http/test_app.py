import json

import msgspec
import pytest

from condord.http.app import ROUTES
from condord.live import wire
from tests.fakes import documents
from tests.http.fake_daemon import FakeDaemon, ask


@pytest.fixture
def daemon():
    return FakeDaemon()


def test_the_positions_are_the_published_document_with_its_version_as_etag(daemon):
    answer = ask(daemon, "/api/positions")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == json.loads(wire.encode(daemon.document()))
    assert answer.headers["etag"] == f'W/"{daemon.edition.version}"'


@pytest.mark.parametrize("form", ["{}", 'W/"{}"', '"{}"', '"other", "{}"', "*"])
def test_a_known_etag_gets_304_without_a_body(daemon, form):
    tag = form.format(daemon.edition.version) if form != "{}" else f'W/"{daemon.edition.version}"'
    answer = ask(daemon, "/api/positions", headers={"If-None-Match": tag})
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["etag"] == f'W/"{daemon.edition.version}"'


def test_a_lost_source_changes_the_etag_of_the_same_version(daemon):
    edition = daemon.edition
    known = {"If-None-Match": f'W/"{edition.version}"'}
    edition.touch(msgspec.structs.replace(edition.status, state="reconnecting", code="sourceLost"))
    answer = ask(daemon, "/api/positions", headers=known)
    assert (answer.status, answer.json()["version"]) == (200, edition.version)
    assert ask(daemon, "/api/positions", headers={"If-None-Match": answer.headers["etag"]}).status == 304


def test_an_outdated_etag_gets_the_document(daemon):
    assert ask(daemon, "/api/positions", headers={"If-None-Match": '"abc-0"'}).status == 200


def test_one_condor_comes_with_the_quotes_of_its_legs(daemon):
    condor = daemon.document().condors[0]
    answer = ask(daemon, f"/api/positions/{condor.id}").json()
    assert set(answer) == {"asOf", "condor", "quotes"}
    assert answer["condor"]["id"] == condor.id
    assert [quote["symbol"] for quote in answer["quotes"]] == [leg.symbol for leg in condor.legs]


def test_while_positions_were_never_read_a_condor_gets_404_with_that_reason(daemon):
    daemon.document = lambda: msgspec.convert(documents.unread(), wire.Document)
    answer = ask(daemon, "/api/positions/nothing")
    assert (answer.status, answer.json()["detail"]) == (404, "the positions have not been read yet")


def test_an_unknown_condor_is_a_404_problem(daemon):
    answer = ask(daemon, "/api/positions/SPY-261218-1-2-3-4")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail"}
    assert answer.json()["title"] == "Not Found"
    assert "GET /api/positions" in answer.json()["detail"]


def test_an_error_does_not_repeat_the_address(daemon):
    for path in ("/api/positions/a-token-in-the-wrong-place", "/a-token-in-the-wrong-place"):
        assert b"token" not in ask(daemon, path).body


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/api/positions", 405)])
def test_every_error_is_a_problem(daemon, method, path, status):
    answer = ask(daemon, path, method=method)
    assert answer.status == status == answer.json()["status"]
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_status_has_the_counters(daemon):
    report = ask(daemon, "/api/status").json()
    counters = {"subscribers", "frames", "dropped", "reconnects", "uptime", "version"}
    assert counters | {"state", "stream", "positions", "market"} <= set(report)


def test_a_refresh_is_requested_and_answered_with_202(daemon):
    assert ask(daemon, "/api/refresh", method="POST").status == 202
    assert daemon.refreshes == 1


@pytest.mark.parametrize("path", ["/livez", "/healthz"])
def test_liveness_depends_only_on_the_process(daemon, path):
    daemon.is_ready = False
    assert ask(daemon, path).status == 200
    daemon.is_alive = False
    assert ask(daemon, path).status == 503


def test_readiness_is_the_status_with_200_or_503(daemon):
    assert ask(daemon, "/readyz").status == 200
    daemon.is_ready = False
    answer = ask(daemon, "/readyz")
    assert answer.status == 503
    assert answer.json()["state"] == "starting"


def test_a_bug_is_a_500_problem_without_details_of_the_exception(daemon):
    daemon.breaks = True
    answer = ask(daemon, "/api/status", raises=True)
    assert answer.status == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.body.decode()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_an_unsupported_method_gets_405_with_the_supported_ones_in_allow(daemon, route):
    supported = {"GET", "HEAD"} if route.method == "GET" else {"POST"}
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"} - {route.method}:
        answer = ask(daemon, route.path.replace("{id}", "x"), method=method)
        assert answer.status == 405, method
        assert set(answer.headers["allow"].split(", ")) == supported, method


def test_a_path_with_a_trailing_slash_gets_404(daemon):
    assert ask(daemon, "/api/status/").status == 404


@pytest.mark.parametrize("path", ["/api/positions", "/api/status", "/livez", "/openapi.json"])
def test_unknown_query_parameters_are_ignored(daemon, path):
    assert ask(daemon, f"{path}?what=ever&interval=x").status == 200
