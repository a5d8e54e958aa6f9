import asyncio
import dataclasses
import datetime as dt
import logging

import pytest

from condord.live import wire
from condord.live.link import LinkFault
from condord.live.remedies import WRITABLE
from condord.upstream.health import Health
from condord.upstream.rest_fault import RestFault
from tests.fakes.alpaca import CONDOR, OUTAGE, STARTED_AT, wall
from tests.live.accounts import MODEL
from tests.virtualtime import run, settle

SHUT = wire.MarketJson(is_open=False, next_open=None, next_close=None)
OPEN = wire.MarketJson(is_open=True, next_open=None, next_close=None)
UNREACHABLE = LinkFault(code="unreachable", text="connection refused", remedy="check the network")


@dataclasses.dataclass
class Link:
    """The parts of a link that a status needs."""

    state: str = "live"
    public_state: str = "live"
    fault: LinkFault | None = None
    reconnects: int = 0
    tries_at: float | None = None


class Stream:
    """The parts of a stream that a status needs."""

    def __init__(self):
        self.link = Link()
        self.symbols = CONDOR
        self.streamed = frozenset(CONDOR)
        self.missing = []
        self.is_limited = False
        self.last_message_at = None

    def now(self):
        return asyncio.get_running_loop().time()


class Quotes:
    silent = ()


class Harness:
    def __init__(self):
        self.stream, self.trades, self.quotes = Stream(), Stream(), Quotes()
        self.stocks_fault = self.stocks_silence = None
        self.health = Health(
            stream=self.stream,
            trades=self.trades,
            quotes=self.quotes,
            stocks_fault=lambda: self.stocks_fault,
            stocks_doubt=lambda: self.stocks_fault or self.stocks_silence,
            now_at=wall,
        )

    def status(self, market=OPEN, read_at=STARTED_AT, breaker="closed", pending_fault=None, state_fault=None):
        return self.health.status(
            source="alpaca-paper",
            feed="indicative",
            model=MODEL,
            market=market,
            read_at=read_at,
            breaker=breaker,
            pending_fault=pending_fault,
            state_fault=state_fault,
        )

    def fail(self, what, fault=OUTAGE):
        with self.health.noting(what, lambda: None):
            raise fault

    def succeed(self, what):
        with self.health.noting(what, lambda: None):
            pass


def run_scenario(test):
    """Run `test` with a harness on a virtual loop."""

    async def main():
        await test(Harness())

    run(main())


def test_a_live_stream_has_no_reason():
    @run_scenario
    async def _(harness):
        status = harness.status()
        assert (status.state, status.reason, status.code, status.notices) == ("live", None, None, [])
        assert (status.stream.subscribed, status.stream.requested) == (4, 4)


def test_a_live_stream_of_a_closed_market_is_closed():
    @run_scenario
    async def _(harness):
        assert (harness.status(SHUT).state, harness.status(SHUT).reason) == ("closed", None)


@pytest.mark.parametrize("market", [OPEN, SHUT])
def test_a_stream_is_starting_until_positions_were_read(market):
    @run_scenario
    async def _(harness):
        status = harness.status(market, read_at=None)
        assert (status.state, status.reason) == ("starting", "the positions have not been read yet")


def test_a_failed_attempt_is_shown_before_the_call_gives_up():
    @run_scenario
    async def _(harness):
        assert harness.status(pending_fault=OUTAGE).positions.error == wire.RestError(
            code=OUTAGE.code, text=OUTAGE.text
        )
        assert harness.status().positions.error is None


@pytest.mark.parametrize(("code", "is_good"), [("timeout", False), ("malformed", False), ("forbidden", True)])
def test_a_refusal_is_not_repeated_soon(code, is_good):
    @run_scenario
    async def _(harness):
        harness.fail("orders", RestFault(code, "no", may_retry=False))
        assert harness.health.is_good("orders", "clock") is is_good
        assert harness.health.is_good("clock")


@pytest.mark.parametrize("state", ["starting", "reconnecting"])
def test_a_stream_that_is_not_up_has_a_reason_even_without_a_fault(state):
    @run_scenario
    async def _(harness):
        harness.stream.link = Link(state="connecting", public_state=state)
        assert harness.status().reason


def test_a_fault_is_shown_with_its_remedy():
    @run_scenario
    async def _(harness):
        harness.stream.link = Link(state="backingOff", public_state="reconnecting", fault=UNREACHABLE)
        status = harness.status()
        assert (status.code, status.reason) == ("unreachable", "connection refused; check the network")
        assert not status.stream.connected


def test_the_status_has_the_time_of_its_last_change_of_state():
    @run_scenario
    async def _(harness):
        harness.status()
        await settle(5.0)
        harness.stream.link = Link(state="stale", public_state="stale", fault=UNREACHABLE)
        assert harness.status().since == STARTED_AT + dt.timedelta(seconds=5)
        await settle(5.0)
        assert harness.status().since == STARTED_AT + dt.timedelta(seconds=5)


def test_the_reason_names_some_of_many_symbols_that_are_not_streamed_and_the_notice_all():
    @run_scenario
    async def _(harness):
        missing = [f"S{number}" for number in range(7)]
        harness.stream.missing, harness.stream.is_limited = missing, True
        status = harness.status()
        assert status.code == "symbolLimit"
        assert status.reason.endswith("read over REST instead: S0, S1, S2, S3, S4 and 2 more")
        assert [(notice.code, notice.symbols) for notice in status.notices] == [("notStreamed", missing)]


def test_a_symbol_that_is_left_out_is_only_a_notice():
    @run_scenario
    async def _(harness):
        harness.stream.missing = [CONDOR[0]]
        status = harness.status()
        assert (status.code, status.reason) == (None, None)
        assert [notice.code for notice in status.notices] == ["notStreamed"]


def test_a_notice_keeps_its_start_until_it_ends():
    @run_scenario
    async def _(harness):
        harness.quotes.silent = ["A"]
        harness.status()
        await settle(5.0)
        harness.quotes.silent = ["A", "B"]
        [notice] = harness.status().notices
        assert (notice.code, notice.symbols, notice.since) == ("silentSymbols", ["A", "B"], STARTED_AT)
        harness.quotes.silent = []
        assert harness.status().notices == []
        harness.quotes.silent = ["A"]
        assert harness.status().notices[0].since == STARTED_AT + dt.timedelta(seconds=5)


@pytest.mark.parametrize("what", ["positions", "quotes", "poll", "clock"])
def test_a_failed_poll_is_shown_until_it_succeeds(what):
    @run_scenario
    async def _(harness):
        harness.fail(what)
        assert harness.status().positions.error == wire.RestError(code=OUTAGE.code, text=OUTAGE.text)
        harness.succeed("another")
        assert harness.status().positions.error
        harness.succeed(what)
        assert harness.status().positions.error is None


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("contracts", "contractsUnavailable"),
        ("calendar", "calendarUnavailable"),
        ("orders", "ordersUnavailable"),
        ("activities", "activitiesUnavailable"),
        ("account", "accountUnavailable"),
        ("balances", "accountUnavailable"),
        ("workingOrders", "ordersUnavailable"),
        ("dayFills", "activitiesUnavailable"),
        ("indexes", "stocksUnavailable"),
        ("snapshots", "snapshotsUnavailable"),
        ("opposites", "snapshotsUnavailable"),
        ("dividends", "dividendsUnavailable"),
    ],
)
def test_failures_that_are_not_vital_are_notices(what, code):
    @run_scenario
    async def _(harness):
        harness.fail(what)
        await settle(3.0)
        harness.fail(what)
        status = harness.status()
        assert status.positions.error is None
        assert [(notice.code, notice.since) for notice in status.notices] == [(code, STARTED_AT)]
        assert OUTAGE.text in status.notices[0].text


def test_a_stock_stream_that_does_not_work_is_only_a_notice():
    @run_scenario
    async def _(harness):
        harness.stocks_fault = UNREACHABLE
        status = harness.status()
        assert (status.state, status.code, status.reason) == ("live", None, None)
        (notice,) = status.notices
        assert notice.code == "stocksUnavailable"
        assert notice.text == f"the prices of underlyings are requested over REST: {UNREACHABLE.reason}"
        harness.stocks_fault = None
        assert harness.status().notices == []


def test_without_the_stock_stream_and_rest_one_notice_names_both():
    @run_scenario
    async def _(harness):
        harness.stocks_fault = UNREACHABLE
        harness.fail("stocks")
        (notice,) = harness.status().notices
        assert notice.code == "stocksUnavailable"
        assert OUTAGE.text in notice.text
        assert UNREACHABLE.text in notice.text
        harness.succeed("stocks")
        assert harness.status().notices[0].since == notice.since


def test_a_silent_stock_stream_does_not_stand_in_for_rest():
    @run_scenario
    async def _(harness):
        harness.stocks_silence = LinkFault(code="silent", text="the stock stream is silent")
        assert harness.status().notices == []
        harness.fail("stocks")
        (notice,) = harness.status().notices
        assert notice.text.endswith("; nor by the stock stream: the stock stream is silent")


def test_the_status_names_the_assumptions_in_force():
    @run_scenario
    async def _(harness):
        assert harness.status().model == MODEL


def test_a_state_that_cannot_be_saved_is_a_notice():
    @run_scenario
    async def _(harness):
        (notice,) = harness.status(state_fault=f"/var/lib/condord: No space left on device; {WRITABLE}").notices
        assert (notice.code, notice.symbols) == ("stateUnavailable", [])
        assert f": /var/lib/condord: No space left on device; {WRITABLE}" in notice.text
        assert harness.status().notices == []


def test_the_status_is_published_after_every_poll():
    @run_scenario
    async def _(harness):
        calls = []
        with harness.health.noting("positions", lambda: calls.append(1)):
            pass
        with harness.health.noting("positions", lambda: calls.append(1)):
            raise OUTAGE
        assert len(calls) == 2


def test_only_faults_of_rest_are_caught():
    @run_scenario
    async def _(harness):
        with pytest.raises(ZeroDivisionError), harness.health.noting("positions", lambda: None):
            raise ZeroDivisionError


def test_a_failure_is_logged_when_it_begins_changes_and_ends(caplog):
    caplog.set_level(logging.INFO, "condord.upstream")

    @run_scenario
    async def _(harness):
        other = RestFault("timeout", "Alpaca's REST did not answer in time", may_retry=True)
        for fault in (OUTAGE, OUTAGE, other):
            harness.fail("positions", fault)
        harness.succeed("positions")
        harness.succeed("positions")

    assert [record.message for record in caplog.records] == ["REST reading failed"] * 2 + ["REST reading works again"]


def test_a_read_that_is_not_needed_any_more_does_not_count_as_one_that_works_again(caplog):
    caplog.set_level(logging.INFO, "condord.upstream")

    @run_scenario
    async def _(harness):
        harness.fail("opposites")
        calls = []
        harness.health.unneeded("opposites", lambda: calls.append(1))
        harness.health.unneeded("opposites", lambda: calls.append(1))
        assert list(harness.status().notices) == []
        assert len(calls) == 1

    assert [record.message for record in caplog.records if record.message.startswith("REST")] == [
        "REST reading failed",
        "REST reading is not needed now, its failure is not repeated",
    ]


def test_a_change_of_state_or_code_is_logged_once(caplog):
    caplog.set_level(logging.INFO, "condord.upstream")

    @run_scenario
    async def _(harness):
        for fault in (UNREACHABLE, UNREACHABLE, LinkFault(code="silent", text="it says nothing")):
            harness.stream.link = Link(state="stale", public_state="stale", fault=fault)
            harness.status()

    assert [(record.levelname, record.fields["code"]) for record in caplog.records] == [
        ("WARNING", "unreachable"),
        ("WARNING", "silent"),
    ]


def test_a_limited_live_stream_is_logged_as_a_warning_and_its_end_is_not(caplog):
    caplog.set_level(logging.INFO, "condord.upstream")

    @run_scenario
    async def _(harness):
        for is_limited in (False, True, False):
            harness.stream.is_limited = is_limited
            harness.status()

    assert [(record.levelname, record.fields["code"]) for record in caplog.records] == [
        ("INFO", None),
        ("WARNING", "symbolLimit"),
        ("INFO", None),
    ]


def test_the_time_of_the_next_attempt_is_calculated_once_for_each_wait():
    @run_scenario
    async def _(harness):
        waiting = Link(
            state="backingOff", public_state="reconnecting", fault=UNREACHABLE, tries_at=harness.stream.now() + 30.0
        )
        harness.stream.link = waiting
        assert harness.status().stream.next_attempt_at == STARTED_AT + dt.timedelta(seconds=30)
        await settle(10.0)
        assert harness.status().stream.next_attempt_at == STARTED_AT + dt.timedelta(seconds=30)
        harness.stream.link = Link()
        assert harness.status().stream.next_attempt_at is None
