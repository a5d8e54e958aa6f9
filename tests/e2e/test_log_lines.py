"""What the log says of an outage: each line is of use to whoever is woken by it, and no line comes at every attempt."""

import contextlib
import datetime as dt
import logging
from types import SimpleNamespace

import pytest
import requests

import tests.upstream.conftest  # noqa: F401 - alpaca-py cannot be imported with warnings as errors but there

# isort: split
from alpaca.trading.client import TradingClient

from condord.live import wire
from condord.live.link import Fault
from condord.upstream import transport
from condord.upstream.breaker import Breaker
from condord.upstream.faults import RestFault
from condord.upstream.health import Health
from tests.fakes.alpaca import OUTAGE, STARTED_AT
from tests.fakes.rest import Answer, Drop, RestServer
from tests.fakes.streams import OptionServer, frame
from tests.upstream.lines import OptionBench
from tests.virtualtime import run, until

STATE = "Option stream changed state"


def said(caplog, level=logging.INFO):
    ours = [each for each in caplog.records if each.name.startswith("condord") and each.levelno >= level]
    return [(each.levelname, each.getMessage(), each.fields) for each in ours]


def test_a_breaker_tells_of_an_outage_once_and_how_long_it_lasted(caplog):
    caplog.set_level(logging.DEBUG, "condord.upstream.breaker")
    breaker = Breaker(2, 10.0, "side")
    for now, outcome in ((0.0, OUTAGE), (1.0, OUTAGE), (12.0, OUTAGE), (30.5, None), (31.0, None)):
        with contextlib.suppress(RestFault), breaker.guarding(lambda now=now: now):
            if outcome is not None:
                raise outcome
    opened = {"breaker": "side", "code": OUTAGE.code, "retry_seconds": 10.0, "reason": OUTAGE.reason}
    closed = {"breaker": "side", "lasted_seconds": 29.5}
    assert said(caplog) == [
        ("WARNING", "REST breaker opened, Alpaca is not asked for now", opened),
        ("INFO", "REST breaker closed, Alpaca is asked again", closed),
    ]
    assert [each.levelname for each in caplog.records] == ["WARNING", "DEBUG", "INFO"]


def test_a_cut_is_two_lines_of_which_the_second_says_how_long_it_was(caplog):
    caplog.set_level(logging.INFO, "condord.upstream.health")
    cut = Fault(code="unreachable", text="it was cut")
    live_through([(0.0, "live", None), (5.0, "reconnecting", cut), (7.0, "halted", cut), (12.5, "live", None)])
    assert said(caplog) == [
        ("INFO", STATE, {"state": "live", "code": None, "reason": None, "was": "starting", "lasted_seconds": 0.0}),
        ("WARNING", STATE, {"state": "reconnecting", "code": cut.code, "reason": cut.text, "was": "live"}),
        ("ERROR", STATE, {"state": "halted", "code": cut.code, "reason": cut.text, "was": "reconnecting"}),
        ("INFO", STATE, {"state": "live", "code": None, "reason": None, "was": "halted", "lasted_seconds": 7.5}),
    ]


def live_through(states):
    stream = SimpleNamespace(symbols=(), streamed=(), missing=[], is_limited=False, heard_at=None)
    trades, quotes = SimpleNamespace(link=SimpleNamespace(fault=None)), SimpleNamespace(silent=())
    clock = [STARTED_AT]
    health = Health(stream=stream, trades=trades, quotes=quotes, now_at=lambda: clock[0])
    for seconds, state, fault in states:
        clock[0] = STARTED_AT + dt.timedelta(seconds=seconds)
        stream.link = SimpleNamespace(state=state, public_state=state, fault=fault, reconnects=0, tries_at=None)
        market = wire.Market(is_open=True, next_open=None, next_close=None)
        for _ in range(2):
            health.status(
                source="simulator",
                feed="opra",
                market=market,
                read_at=STARTED_AT,
                breaker="closed",
                trouble=None,
            )


def test_a_reading_that_works_again_says_what_was_wrong_and_for_how_long(caplog):
    caplog.set_level(logging.INFO, "condord.upstream.health")
    clock = [STARTED_AT]
    health = Health(stream=None, trades=None, quotes=None, now_at=lambda: clock[0])
    for seconds, fault in ((0, OUTAGE), (5, OUTAGE), (65, None)):
        clock[0] = STARTED_AT + dt.timedelta(seconds=seconds)
        with health.noting("positions", lambda: None):
            if fault is not None:
                raise fault
    assert said(caplog) == [
        ("WARNING", "REST reading failed", {"reading": "positions", "code": OUTAGE.code, "reason": OUTAGE.reason}),
        ("INFO", "REST reading works again", {"reading": "positions", "code": OUTAGE.code, "lasted_seconds": 65.0}),
    ]


def test_a_request_is_told_at_debug_without_its_query(caplog):
    caplog.set_level(logging.DEBUG, "condord.upstream.transport")
    with RestServer() as server:
        server.script = {"/v2/positions": [Answer([]), Drop()]}
        client = TradingClient("KEYOFOURS", "SECRETOFOURS", paper=True, raw_data=True, url_override=server.url)
        transport.tame(client, 1.0, lambda headers: None)
        client.get("/positions", {"symbols": "SPY"})
        with pytest.raises(requests.ConnectionError):
            client.get("/positions")
        transport.close(client)
    (_, _, answered), (_, _, lost) = said(caplog, logging.DEBUG)
    assert answered.pop("ms") >= 0
    assert answered == {"method": "GET", "endpoint": "/v2/positions", "status": 200}
    assert lost["status"] is None


def test_a_link_tells_of_its_states_at_debug_and_never_of_quotes(caplog):
    caplog.set_level(logging.DEBUG, "condord.upstream.line")

    async def cut():
        async with OptionServer() as server:
            bench = OptionBench(server)
            async with bench.at_work():
                await until(lambda: bench.state == "live")
                for _ in range(100):
                    server.peer.send(frame({"T": "q", "S": "A", "t": "2026-11-20T15:00:00Z", "bp": 1.0, "ap": 1.2}))
                await until(lambda: len(bench.desk.offered) == 100)
                server.peer.reset()
                await until(lambda: bench.state == "backingOff")

    run(cut())
    told = [fields for _, _, fields in said(caplog, logging.DEBUG)]
    assert [each["state"] for each in told[:2]] == ["connecting", "authenticating"]
    (waiting,) = [each for each in told if each["state"] == "backingOff"]
    assert waiting["code"] == "unreachable"
    assert waiting["retry_seconds"] > 0
    assert len(told) < 10
