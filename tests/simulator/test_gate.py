import asyncio

import pytest

CLOCK = "/v2/clock"


def strike(bench, name, **args):
    bench.simulation.faults.activate(name, bench.now, **args)


@pytest.mark.parametrize(
    "headers",
    [{}, {"APCA-API-KEY-ID": "k"}, {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": ""}],
)
def test_without_both_keys_nothing_is_answered(bench, headers):
    answer = bench.ask(CLOCK, headers=headers)
    assert answer.status == 401
    assert answer.json == {"code": 40110000, "message": "request is not authorized"}


def test_fixed_credentials_are_the_only_ones(make_bench):
    assert make_bench(credentials=("k", "s")).ask(CLOCK).status == 200
    assert make_bench(credentials=("k", "other")).ask(CLOCK).status == 401


def test_every_answer_says_how_many_requests_are_left_and_then_none(make_bench):
    bench = make_bench(rate_limit=2)
    answers = [bench.ask(CLOCK) for _ in range(3)]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"2"}
    assert 0 < int(answers[0].headers["x-ratelimit-reset"]) - bench.wall <= 60
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].json == {"message": "too many requests."}
    assert bench.ask("/v1beta1/options/quotes/latest?symbols=A").status == 200
    bench.wall += 60
    assert bench.ask(CLOCK).status == 200


def test_the_routes_of_the_simulator_need_no_keys(bench):
    assert bench.ask("/simulator/state", headers={}).status == 200
    assert bench.ask("/simulator/nothing", headers={}).status == 404


def test_an_unknown_path_is_404(bench):
    assert bench.ask("/v2/nothing").json == {"code": 40410000, "message": "endpoint not found"}


@pytest.mark.parametrize(
    ("fault", "status", "start"),
    [
        ("rest-500", 500, b"{"),
        ("rest-429", 429, b'{"message":"too many requests."}'),
        ("rest-html", 200, b"<html>"),
        ("rest-empty", 200, b""),
    ],
)
def test_a_struck_request_is_answered_wrongly(bench, fault, status, start):
    strike(bench, fault, count=1)
    answer = bench.ask(CLOCK)
    assert answer.status == status
    assert answer.body.startswith(start)
    assert bool(answer.body) == bool(start)
    assert "x-ratelimit-reset" in answer.headers
    assert bench.ask(CLOCK).json["is_open"]


def test_a_truncated_answer_is_half_of_it(bench):
    whole = bench.ask("/v2/positions").body
    strike(bench, "rest-truncated", count=1)
    answer = bench.ask("/v2/positions")
    assert answer.body == whole[: len(whole) // 2]
    assert answer.headers["content-length"] == str(len(answer.body))


def test_a_fault_may_be_limited_to_a_path(bench):
    strike(bench, "rest-500", path="/v2/positions")
    assert bench.ask(CLOCK).status == 200
    assert bench.ask("/v2/positions").status == 500


def test_a_dripping_answer_comes_byte_by_byte(bench):
    strike(bench, "rest-drip", seconds_each=0)
    answer = bench.ask(CLOCK)
    assert answer.json["is_open"]
    assert {len(chunk) for chunk in answer.chunks} == {1}


def test_a_stalled_answer_comes_after_its_time(bench):
    strike(bench, "rest-stall", seconds_each=0.01)
    assert bench.ask(CLOCK).status == 200


def test_a_stalled_answer_is_given_up_when_the_client_leaves_or_the_simulator_ends(bench):
    strike(bench, "rest-stall")
    assert asyncio.run(bench.ask_async(CLOCK, leaves=True)).status == 503
    bench.stopping.set()
    assert bench.ask(CLOCK).status == 503


def test_requests_are_counted_by_path(bench):
    bench.ask(CLOCK)
    bench.ask(f"{CLOCK}?x=1")
    assert bench.ask("/simulator/state").json["requests"] == {CLOCK: 2}
