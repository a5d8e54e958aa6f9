"""The log lines of an outage: each is useful to an operator, and none is repeated at every attempt."""

import contextlib
import datetime as dt
import logging
from types import SimpleNamespace

import pytest
import requests

import tests.upstream.conftest  # noqa: F401 - alpaca-py cannot be imported with warnings as errors but there

# isort: split
from condord.live import wire
from condord.live.link import LinkFault
from condord.upstream import transport
from condord.upstream.breaker import Breaker
from condord.upstream.health import Health
from condord.upstream.rest_fault import RestFault
from condord.upstream.without_pandas import TradingClient
from tests.fakes.alpaca import NETWORK, OUTAGE, STARTED_AT
from tests.fakes.rest import Answer, Drop, RestServer
from tests.fakes.streams import OptionServer, frame
from tests.live.accounts import MODEL
from tests.upstream.stream_harnesses import OptionHarness
from tests.virtualtime import run, until

STATE = "Option stream changed state"


def logged(caplog, level=logging.INFO):
    """Level, message and fields of each of the daemon's records."""
    records = [record for record in caplog.records if record.name.startswith("condord") and record.levelno >= level]
    return [(record.levelname, record.getMessage(), record.fields) for record in records]


def test_a_breaker_logs_an_outage_once_and_its_duration(caplog):
    caplog.set_level(logging.DEBUG, "condord.upstream.breaker")
    breaker = Breaker(2, 10.0, "side")
    for now, outcome in ((0.0, OUTAGE), (1.0, OUTAGE), (12.0, OUTAGE), (30.5, None), (31.0, None)):
        with contextlib.suppress(RestFault), breaker.guarding(lambda now=now: now):
            if outcome is not None:
                raise outcome
    opened = {"breaker": "side", "code": OUTAGE.code, "retry_seconds": 10.0, "reason": OUTAGE.reason}
    closed = {"breaker": "side", "lasted_seconds": 29.5}
    assert logged(caplog) == [
        ("WARNING", "REST breaker opened, requests are suspended", opened),
        ("INFO", "REST breaker closed, requests resume", closed),
    ]
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "INFO"]


def test_a_cut_is_logged_as_two_lines_the_second_with_its_duration(caplog):
    caplog.set_level(logging.INFO, "condord.upstream")
    cut = LinkFault(code="unreachable", text="it was cut")
    live_through([(0.0, "live", None), (5.0, "reconnecting", cut), (7.0, "halted", cut), (12.5, "live", None)])
    assert logged(caplog) == [
        ("INFO", STATE, {"state": "live", "code": None, "reason": None, "was": "starting", "lasted_seconds": 0.0}),
        ("WARNING", STATE, {"state": "reconnecting", "code": cut.code, "reason": cut.text, "was": "live"}),
        ("ERROR", STATE, {"state": "halted", "code": cut.code, "reason": cut.text, "was": "reconnecting"}),
        ("INFO", STATE, {"state": "live", "code": None, "reason": None, "was": "halted", "lasted_seconds": 7.5}),
    ]


def live_through(states):
    stream = SimpleNamespace(symbols=(), streamed=(), missing=[], is_limited=False, last_message_at=None)
    trades, quotes = SimpleNamespace(link=SimpleNamespace(fault=None)), SimpleNamespace(silent=())
    clock = [STARTED_AT]
    health = Health(
        stream=stream,
        trades=trades,
        quotes=quotes,
        stocks_fault=lambda: None,
        stocks_doubt=lambda: None,
        now_at=lambda: clock[0],
    )
    for seconds, state, fault in states:
        clock[0] = STARTED_AT + dt.timedelta(seconds=seconds)
        stream.now = lambda seconds=seconds: seconds
        stream.link = SimpleNamespace(state=state, public_state=state, fault=fault, reconnects=0, tries_at=None)
        market = wire.MarketJson(is_open=True, next_open=None, next_close=None)
        for _ in range(2):
            health.status(
                source="simulator",
                feed="opra",
                model=MODEL,
                market=market,
                read_at=STARTED_AT,
                breaker="closed",
                pending_fault=None,
            )


def test_a_recovered_reading_logs_the_error_and_its_duration(caplog):
    caplog.set_level(logging.INFO, "condord.upstream")
    clock = [STARTED_AT]
    health = Health(
        stream=None, trades=None, quotes=None, stocks_fault=None, stocks_doubt=None, now_at=lambda: clock[0]
    )
    for seconds, fault in ((0, OUTAGE), (5, OUTAGE), (65, None)):
        clock[0] = STARTED_AT + dt.timedelta(seconds=seconds)
        with health.noting("positions", lambda: None):
            if fault is not None:
                raise fault
    assert logged(caplog) == [
        ("WARNING", "REST reading failed", {"reading": "positions", "code": OUTAGE.code, "reason": OUTAGE.reason}),
        ("INFO", "REST reading works again", {"reading": "positions", "code": OUTAGE.code, "lasted_seconds": 65.0}),
    ]


def test_a_request_is_logged_at_debug_without_its_query(caplog):
    caplog.set_level(logging.DEBUG, "condord.upstream.transport")
    with RestServer() as server:
        server.script = {"/v2/positions": [Answer([]), Drop()]}
        client = TradingClient("KEYOFOURS", "SECRETOFOURS", paper=True, raw_data=True, url_override=server.url)
        transport.harden(client, 1.0, lambda headers: None, NETWORK)
        client.get("/positions", {"symbols": "SPY"})
        with pytest.raises(requests.ConnectionError):
            client.get("/positions")
        transport.close(client)
    (_, _, answered), (_, _, lost) = logged(caplog, logging.DEBUG)
    assert answered.pop("ms") >= 0
    assert answered == {"method": "GET", "endpoint": "/v2/positions", "status": 200}
    assert lost["status"] is None


def test_a_link_logs_its_states_at_debug_and_never_quotes(caplog):
    caplog.set_level(logging.DEBUG, "condord.upstream.link_runner")

    async def cut():
        async with OptionServer() as server:
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                for _ in range(100):
                    server.peer.send(frame({"T": "q", "S": "A", "t": "2026-11-20T15:00:00Z", "bp": 1.0, "ap": 1.2}))
                await until(lambda: len(harness.sink.offered) == 100)
                server.peer.reset()
                await until(lambda: harness.state == "backingOff")

    run(cut())
    states = [fields for _, _, fields in logged(caplog, logging.DEBUG)]
    assert [entry["state"] for entry in states[:2]] == ["connecting", "authenticating"]
    (waiting,) = [entry for entry in states if entry["state"] == "backingOff"]
    assert waiting["code"] == "unreachable"
    assert waiting["retry_seconds"] > 0
    assert len(states) < 10
