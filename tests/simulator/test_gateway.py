import asyncio
import gzip

import pytest

CLOCK = "/v2/clock"


@pytest.mark.parametrize(
    "headers",
    [{}, {"APCA-API-KEY-ID": "k"}, {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": ""}],
)
def test_a_request_without_both_keys_is_unauthorized(harness, headers):
    response = harness.request(CLOCK, headers=headers)
    assert response.status == 401
    assert response.json == {"code": 40110000, "message": "request is not authorized"}


def test_only_configured_credentials_are_accepted(make_harness):
    assert make_harness(credentials=("k", "s")).request(CLOCK).status == 200
    assert make_harness(credentials=("k", "other")).request(CLOCK).status == 401


def test_the_rate_limit_is_in_every_response_and_enforced(make_harness):
    harness = make_harness(rate_limit=2)
    responses = [harness.request(CLOCK) for _ in range(3)]
    assert [response.headers["x-ratelimit-remaining"] for response in responses] == ["1", "0", "0"]
    assert {response.headers["x-ratelimit-limit"] for response in responses} == {"2"}
    assert 0 < int(responses[0].headers["x-ratelimit-reset"]) - harness.wall <= 60
    assert [response.status for response in responses] == [200, 200, 429]
    assert responses[2].json == {"message": "too many requests."}
    assert harness.request("/v1beta1/options/quotes/latest?symbols=A").status == 200
    harness.wall += 60
    assert harness.request(CLOCK).status == 200


def test_the_admin_routes_need_no_keys(harness):
    assert harness.request("/simulator/state", headers={}).status == 200
    assert harness.request("/simulator/nothing", headers={}).status == 404


def test_an_unknown_path_gets_404(harness):
    assert harness.request("/v2/nothing").json == {"code": 40410000, "message": "endpoint not found"}


@pytest.mark.parametrize(
    ("fault", "status", "start"),
    [
        ("rest-500", 500, b"{"),
        ("rest-429", 429, b'{"message":"too many requests."}'),
        ("rest-html", 200, b"<html>"),
        ("rest-empty", 200, b""),
        ("rest-302", 302, b"[]"),
        ("rest-203", 203, b"[]"),
        ("rest-204", 204, b""),
        ("rest-206", 206, b"[]"),
    ],
)
def test_a_fault_replaces_the_response(harness, fault, status, start):
    harness.inject(fault, count=1)
    response = harness.request(CLOCK)
    assert response.status == status
    assert response.body.startswith(start)
    assert bool(response.body) == bool(start)
    assert "x-ratelimit-reset" in response.headers
    assert harness.request(CLOCK).json["is_open"]


def test_a_redirect_leads_to_the_given_location(harness):
    harness.inject("rest-302", count=1, location="http://other.example/x")
    assert harness.request(CLOCK).headers["location"] == "http://other.example/x"


def test_a_gzip_bomb_is_small_and_expands_to_64_mb(harness):
    harness.inject("rest-bomb", count=1)
    response = harness.request(CLOCK)
    assert response.headers["content-encoding"] == "gzip"
    assert len(response.body) < 100_000
    assert len(gzip.decompress(response.body)) > 64_000_000


def test_every_response_sets_cookies_of_new_names(harness):
    harness.inject("rest-cookies", count=2)
    names = [{cookie.partition("=")[0] for cookie in harness.request(CLOCK).all("set-cookie")} for _ in range(2)]
    assert [len(cookies) for cookies in names] == [90, 90]
    assert not names[0] & names[1]


def test_a_truncated_response_is_half_of_it(harness):
    whole = harness.request("/v2/positions").body
    harness.inject("rest-truncated", count=1)
    response = harness.request("/v2/positions")
    assert response.body == whole[: len(whole) // 2]
    assert response.headers["content-length"] == str(len(response.body))


def test_a_fault_can_be_limited_to_a_path(harness):
    harness.inject("rest-500", path="/v2/positions")
    assert harness.request(CLOCK).status == 200
    assert harness.request("/v2/positions").status == 500


def test_a_dripping_response_arrives_byte_by_byte(harness):
    harness.inject("rest-drip", seconds_each=0)
    response = harness.request(CLOCK)
    assert response.json["is_open"]
    assert {len(chunk) for chunk in response.chunks} == {1}


def test_a_stalled_response_arrives_after_its_delay(harness):
    harness.inject("rest-stall", seconds_each=0.01)
    assert harness.request(CLOCK).status == 200


def test_a_stalled_request_ends_when_the_client_disconnects_or_the_simulator_stops(harness):
    harness.inject("rest-stall")
    assert asyncio.run(harness.request_async(CLOCK, disconnects=True)).status == 503
    harness.stopping.set()
    assert harness.request(CLOCK).status == 503


def test_requests_are_counted_by_path(harness):
    harness.request(CLOCK)
    harness.request(f"{CLOCK}?x=1")
    assert harness.request("/simulator/state").json["requests"] == {CLOCK: 2}
