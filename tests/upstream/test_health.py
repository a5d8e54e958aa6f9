import asyncio
import dataclasses
import datetime as dt
import logging

import pytest

from condord.live import wire
from condord.live.link import Fault
from condord.upstream.faults import RestFault
from condord.upstream.health import Health
from tests.fakes.alpaca import CONDOR, OUTAGE, STARTED_AT, wall
from tests.virtualtime import run, settle

SHUT = wire.Market(is_open=False, next_open=None, next_close=None)
OPEN = wire.Market(is_open=True, next_open=None, next_close=None)
AWAY = Fault(code="unreachable", text="it is away", remedy="look at the network")


@dataclasses.dataclass
class Link:
    """As much of a link as a status tells."""

    state: str = "live"
    public_state: str = "live"
    fault: Fault | None = None
    reconnects: int = 0
    tries_at: float | None = None


class Stream:
    """As much of a stream."""

    def __init__(self):
        self.link = Link()
        self.symbols = CONDOR
        self.streamed = frozenset(CONDOR)
        self.missing = []
        self.is_limited = False
        self.heard_at = None

    def now(self):
        return asyncio.get_running_loop().time()


class Quotes:
    silent = ()


class Bench:
    def __init__(self):
        self.stream, self.trades, self.quotes = Stream(), Stream(), Quotes()
        self.health = Health(stream=self.stream, trades=self.trades, quotes=self.quotes, now_at=wall)

    def status(self, market=OPEN, read_at=STARTED_AT, breaker="closed", trouble=None):
        return self.health.status(
            source="alpaca-paper",
            feed="indicative",
            market=market,
            read_at=read_at,
            breaker=breaker,
            trouble=trouble,
        )

    def fail(self, what, fault=OUTAGE):
        with self.health.noting(what, lambda: None):
            raise fault

    def succeed(self, what):
        with self.health.noting(what, lambda: None):
            pass


def play(test):
    """Play `test` with a bench on a virtual loop."""

    async def whole():
        await test(Bench())

    run(whole())


def test_a_live_stream_has_no_reason():
    @play
    async def _(bench):
        status = bench.status()
        assert (status.state, status.reason, status.code, status.notices) == ("live", None, None, [])
        assert (status.stream.subscribed, status.stream.requested) == (4, 4)


def test_a_live_stream_of_a_shut_market_is_closed():
    @play
    async def _(bench):
        assert (bench.status(SHUT).state, bench.status(SHUT).reason) == ("closed", None)


@pytest.mark.parametrize("market", [OPEN, SHUT])
def test_a_stream_is_starting_until_positions_were_read(market):
    @play
    async def _(bench):
        status = bench.status(market, read_at=None)
        assert (status.state, status.reason) == ("starting", "the positions have not been read yet")


def test_an_attempt_that_failed_is_told_before_the_reading_has_given_up():
    @play
    async def _(bench):
        assert bench.status(trouble=OUTAGE).positions.error == wire.RestError(code=OUTAGE.code, text=OUTAGE.text)
        assert bench.status().positions.error is None


@pytest.mark.parametrize(("code", "is_good"), [("timeout", False), ("malformed", False), ("forbidden", True)])
def test_a_refusal_is_no_reason_to_ask_again_soon(code, is_good):
    @play
    async def _(bench):
        bench.fail("orders", RestFault(code, "no", may_retry=False))
        assert bench.health.is_good("orders", "clock") is is_good
        assert bench.health.is_good("clock")


@pytest.mark.parametrize("state", ["starting", "reconnecting"])
def test_a_stream_that_is_not_up_has_a_reason_even_without_a_fault(state):
    @play
    async def _(bench):
        bench.stream.link = Link(state="connecting", public_state=state)
        assert bench.status().reason


def test_a_fault_is_told_with_its_remedy():
    @play
    async def _(bench):
        bench.stream.link = Link(state="backingOff", public_state="reconnecting", fault=AWAY)
        status = bench.status()
        assert (status.code, status.reason) == ("unreachable", "it is away; look at the network")
        assert not status.stream.connected


def test_since_is_when_the_state_changed():
    @play
    async def _(bench):
        bench.status()
        await settle(5.0)
        bench.stream.link = Link(state="stale", public_state="stale", fault=AWAY)
        assert bench.status().since == STARTED_AT + dt.timedelta(seconds=5)
        await settle(5.0)
        assert bench.status().since == STARTED_AT + dt.timedelta(seconds=5)


def test_many_symbols_that_are_not_streamed_are_named_in_part_by_the_reason_and_whole_by_the_notice():
    @play
    async def _(bench):
        missing = [f"S{number}" for number in range(7)]
        bench.stream.missing, bench.stream.is_limited = missing, True
        status = bench.status()
        assert status.code == "symbolLimit"
        assert status.reason.endswith("read by REST instead: S0, S1, S2, S3, S4 and 2 more")
        assert [(notice.code, notice.symbols) for notice in status.notices] == [("notStreamed", missing)]


def test_a_symbol_that_is_left_out_is_a_notice_alone():
    @play
    async def _(bench):
        bench.stream.missing = [CONDOR[0]]
        status = bench.status()
        assert (status.code, status.reason) == (None, None)
        assert [notice.code for notice in status.notices] == ["notStreamed"]


def test_a_notice_keeps_its_beginning_until_it_ends():
    @play
    async def _(bench):
        bench.quotes.silent = ["A"]
        bench.status()
        await settle(5.0)
        bench.quotes.silent = ["A", "B"]
        [notice] = bench.status().notices
        assert (notice.code, notice.symbols, notice.since) == ("silentSymbols", ["A", "B"], STARTED_AT)
        bench.quotes.silent = []
        assert bench.status().notices == []
        bench.quotes.silent = ["A"]
        assert bench.status().notices[0].since == STARTED_AT + dt.timedelta(seconds=5)


@pytest.mark.parametrize("what", ["positions", "quotes", "poll", "clock"])
def test_a_reading_that_fails_is_told_until_it_succeeds(what):
    @play
    async def _(bench):
        bench.fail(what)
        assert bench.status().positions.error == wire.RestError(code=OUTAGE.code, text=OUTAGE.text)
        bench.succeed("another")
        assert bench.status().positions.error
        bench.succeed(what)
        assert bench.status().positions.error is None


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("contracts", "contractsUnavailable"),
        ("calendar", "calendarUnavailable"),
        ("orders", "ordersUnavailable"),
    ],
)
def test_what_nothing_waits_for_is_a_notice_when_it_fails(what, code):
    @play
    async def _(bench):
        bench.fail(what)
        await settle(3.0)
        bench.fail(what)
        status = bench.status()
        assert status.positions.error is None
        assert [(notice.code, notice.since) for notice in status.notices] == [(code, STARTED_AT)]
        assert OUTAGE.text in status.notices[0].text


def test_every_reading_tells_the_status_when_it_ends():
    @play
    async def _(bench):
        told = []
        with bench.health.noting("positions", lambda: told.append(1)):
            pass
        with bench.health.noting("positions", lambda: told.append(1)):
            raise OUTAGE
        assert len(told) == 2


def test_what_is_no_fault_of_rest_is_not_swallowed():
    @play
    async def _(bench):
        with pytest.raises(ZeroDivisionError), bench.health.noting("positions", lambda: None):
            raise ZeroDivisionError


def test_a_failure_is_logged_when_it_begins_changes_and_ends(caplog):
    caplog.set_level(logging.INFO, "condord.upstream.health")

    @play
    async def _(bench):
        other = RestFault("timeout", "Alpaca's REST did not answer in time", may_retry=True)
        for fault in (OUTAGE, OUTAGE, other):
            bench.fail("positions", fault)
        bench.succeed("positions")
        bench.succeed("positions")

    assert [record.message for record in caplog.records] == ["REST reading failed"] * 2 + ["REST reading works again"]


def test_a_change_of_state_or_code_is_logged_once(caplog):
    caplog.set_level(logging.INFO, "condord.upstream.health")

    @play
    async def _(bench):
        for fault in (AWAY, AWAY, Fault(code="silent", text="it says nothing")):
            bench.stream.link = Link(state="stale", public_state="stale", fault=fault)
            bench.status()

    assert [(record.levelname, record.fields["code"]) for record in caplog.records] == [
        ("WARNING", "unreachable"),
        ("WARNING", "silent"),
    ]


def test_a_live_stream_of_part_of_the_symbols_is_a_warning_and_its_end_is_none(caplog):
    caplog.set_level(logging.INFO, "condord.upstream.health")

    @play
    async def _(bench):
        for is_limited in (False, True, False):
            bench.stream.is_limited = is_limited
            bench.status()

    assert [(record.levelname, record.fields["code"]) for record in caplog.records] == [
        ("INFO", None),
        ("WARNING", "symbolLimit"),
        ("INFO", None),
    ]


def test_the_next_attempt_is_reckoned_once_for_each_wait():
    @play
    async def _(bench):
        waiting = Link(state="backingOff", public_state="reconnecting", fault=AWAY, tries_at=bench.stream.now() + 30.0)
        bench.stream.link = waiting
        assert bench.status().stream.next_attempt_at == STARTED_AT + dt.timedelta(seconds=30)
        await settle(10.0)
        assert bench.status().stream.next_attempt_at == STARTED_AT + dt.timedelta(seconds=30)
        bench.stream.link = Link()
        assert bench.status().stream.next_attempt_at is None
