import asyncio
import contextlib
import datetime as dt
import itertools
import logging

import msgspec
import pytest

from condord.core import occ
from condord.core.orders import Fill, Order
from condord.core.position import Contract, Position
from condord.core.session import Hours
from condord.live import wire
from condord.upstream.faults import RestFault
from condord.upstream.ports import Login, OrderPage
from condord.upstream.store import Store
from condord.upstream.supervisor import (
    HISTORY_SECONDS,
    STUCK_SECONDS,
    TRADE_DEBOUNCE_SECONDS,
    Supervisor,
    SupervisorSettings,
)
from tests.fakes.alpaca import (
    CONDOR,
    KEY_ID,
    LOGIN,
    OPEN,
    OUTAGE,
    SHUT,
    STARTED_AT,
    FakeBrokerage,
    FakeDesk,
    holding,
    wall,
)
from tests.fakes.streams import AUTHENTICATED, OptionServer, TradingServer, error, frame
from tests.virtualtime import run, settle, until

EXTRA = "SPY261218C00650000"
OPENED = OrderPage(
    orders=(
        Order(
            id="opened",
            filled_at=STARTED_AT,
            fills=tuple(
                Fill(symbol=symbol, contract=occ.parse(symbol), quantity=quantity, price_e4=10_000, opens=True)
                for symbol, quantity in zip(CONDOR, (-1, -1, 1, 1), strict=True)
            ),
        ),
    ),
    newest_at=STARTED_AT,
    open_since=None,
    is_full=False,
)
FILL = {"stream": "trade_updates", "data": {"event": "fill"}}


def quote(symbol, seconds=0):
    return {"T": "q", "S": symbol, "t": f"2026-11-20T15:00:{seconds:02d}Z", "bp": 1.0, "ap": 1.2}


class Bench:
    """A supervisor between two servers, a brokerage and a desk."""

    def __init__(self, options, trading, **bounds):
        self.options = options
        self.trading = trading
        self.brokerage = FakeBrokerage()
        self.desk = FakeDesk()
        self.settings = SupervisorSettings(
            source="alpaca-paper",
            feed="indicative",
            option_stream_url=options.url,
            trading_stream_url=trading.url,
            **{
                "symbol_limit": 200,
                "refresh_seconds": 60.0,
                "silence_seconds": 3000.0,
                "backoff_min_seconds": 1.0,
                "backoff_max_seconds": 60.0,
                **bounds,
            },
        )
        self.supervisor = Supervisor(
            self.settings,
            brokerage=self.brokerage,
            desk=self.desk,
            login=LOGIN,
            store=Store(None, account=""),
            now_at=wall,
            chance=lambda: 0.5,
        )

    @property
    def status(self):
        return self.supervisor.status()

    def reload(self, login=LOGIN, **settings):
        """Reload the configuration with other settings, or with another key."""
        self.settings = msgspec.structs.replace(self.settings, **settings)
        self.supervisor.reload(self.settings, login, Store(None, account=login.key_id))

    @contextlib.asynccontextmanager
    async def at_work(self):
        task = asyncio.ensure_future(self.supervisor.run())
        try:
            yield task
        except BaseException:
            task.cancel()
            raise
        task.cancel()
        await asyncio.wait([task], timeout=10.0)
        assert task.cancelled()
        await settle()
        assert (self.options.peers, self.trading.peers) == ([], [])

    async def ready(self):
        await until(lambda: self.supervisor.is_ready and self.status.stream.subscribed == len(self.desk.symbols) > 0)
        await settle(1.5)


def play(test=None, **bounds):
    """Play `test` with a bench on a virtual loop."""

    def played(test):
        async def whole():
            async with OptionServer() as options, TradingServer() as trading:
                await test(Bench(options, trading, **bounds))

        run(whole())

    return played if test is None else played(test)


class TestReadings:
    def test_everything_is_read_at_the_start(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                assert [one.symbol for one in bench.desk.positions] == list(CONDOR)
                assert bench.status.positions.read_at == STARTED_AT + dt.timedelta(seconds=TRADE_DEBOUNCE_SECONDS)
                assert bench.status.market == wire.Market(
                    is_open=True, next_open=OPEN.next_open, next_close=OPEN.next_close
                )

    @pytest.mark.slow
    def test_everything_is_read_again_every_refresh(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                before = {what: len(bench.brokerage.times(what)) for what in ("positions", "quotes", "clock")}
                await settle(3 * 60.0 + 1.0)
                after = {what: len(bench.brokerage.times(what)) - times for what, times in before.items()}
                assert after == {"positions": 3, "quotes": 3, "clock": 3}

    def test_what_is_held_is_subscribed_and_quoted(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                assert bench.options.peer.subscribed == set(CONDOR)
                assert {tick.symbol for tick in bench.desk.confirmed[-1]} == set(CONDOR)

    def test_a_symbol_that_cannot_be_parsed_is_never_subscribed(self):
        @play
        async def _(bench):
            bad = Position(symbol="???", contract=None, quantity=1, average_entry_e4=None, cost_basis_e4=None)
            bench.brokerage.held = [bad, holding(EXTRA)]
            async with bench.at_work():
                await bench.ready()
                assert bench.options.peer.subscribed == {EXTRA}
                assert bench.status.stream.requested == 1

    def test_a_new_symbol_is_quoted_and_subscribed_at_once(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.brokerage.held.append(holding(EXTRA))
                bench.trading.say(bench.trading.peer, FILL)
                await until(lambda: EXTRA in bench.options.peer.subscribed, within=0.5)
                await until(lambda: EXTRA in [tick.symbol for tick in bench.desk.confirmed[-1]], within=0.5)
                assert len(bench.options.all_peers) == 1

    def test_a_new_symbol_is_subscribed_before_it_is_shown(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                streamed = []
                show = bench.desk.set_positions

                def noted(*account):
                    streamed.append(set(bench.supervisor.stream.streamed))
                    show(*account)

                bench.desk.set_positions = noted
                bench.brokerage.held.append(holding(EXTRA))
                bench.trading.say(bench.trading.peer, FILL)
                await until(lambda: streamed)
                assert EXTRA in streamed[0]

    def test_a_stream_that_does_not_answer_holds_positions_up_for_a_second_at_most(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.options.acknowledges = False
                bench.brokerage.held.append(holding(EXTRA))
                bench.trading.say(bench.trading.peer, FILL)
                await until(lambda: EXTRA in bench.desk.symbols, within=1.3)

    def test_a_vanished_position_is_unsubscribed(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.brokerage.held.pop()
                await until(lambda: bench.options.peer.subscribed == set(CONDOR[:-1]), within=61.0)
                assert bench.status.stream.requested == 3

    @pytest.mark.slow
    def test_an_account_without_options_is_ready_and_asks_for_no_quotes(self):
        @play
        async def _(bench):
            bench.brokerage.held = []
            async with bench.at_work():
                await until(lambda: bench.supervisor.is_ready)
                await settle(130.0)
                assert bench.brokerage.times("quotes") == []
                assert bench.status.state == "live"

    def test_a_fill_reads_the_positions_again(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                before = len(bench.brokerage.times("positions"))
                bench.trading.say(bench.trading.peer, FILL)
                await settle(1.0)
                assert len(bench.brokerage.times("positions")) == before + 1

    def test_a_burst_of_fills_reads_the_positions_once(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                before = len(bench.brokerage.times("positions"))
                for _ in range(20):
                    bench.trading.say(bench.trading.peer, FILL)
                    await settle(0.001)
                await settle(1.0)
                assert len(bench.brokerage.times("positions")) == before + 1

    def test_a_fill_during_a_reading_reads_once_more(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.brokerage.delay = 2.0
                before = len(bench.brokerage.times("positions"))
                bench.trading.say(bench.trading.peer, FILL)
                await settle(1.0)
                bench.trading.say(bench.trading.peer, FILL)
                await settle(10.0)
                assert len(bench.brokerage.times("positions")) == before + 2

    def test_a_refresh_reads_everything_now(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                before = len(bench.brokerage.asked)
                bench.supervisor.refresh()
                await settle(0.5)
                asked = sorted(what for what, _, _ in bench.brokerage.asked[before:])
                assert asked == ["clock", "orders", "positions", "quotes"]

    def test_quotes_are_read_after_every_reconnect(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.options.peer.reset()
                await until(lambda: bench.status.state != "live")
                before = len(bench.brokerage.times("quotes"))
                await until(lambda: bench.status.state == "live")
                await settle(0.1)
                assert len(bench.brokerage.times("quotes")) == before + 1
                assert bench.desk.gaps == 1


class TestContractsAndOrders:
    def test_what_contracts_tell_is_applied_to_the_positions_last_read(self):
        @play
        async def _(bench):
            bench.brokerage.contracts = dict.fromkeys(CONDOR, Contract(multiplier=10, underlying="XYZ"))
            async with bench.at_work():
                await bench.ready()
                assert {(one.multiplier, one.underlying, one.multiplier_assumed) for one in bench.desk.positions} == {
                    (10, "XYZ", False)
                }
                assert len(bench.brokerage.times("positions")) == 1

    def test_positions_do_not_wait_for_either(self):
        @play
        async def _(bench):
            answer = bench.brokerage._answer

            async def stalling(what, argument=None):
                await answer(what, argument)
                if what in ("contract", "orders"):
                    await asyncio.sleep(1000.0)

            bench.brokerage._answer = stalling
            async with bench.at_work():
                await bench.ready()
                assert [one.multiplier_assumed for one in bench.desk.positions] == [True] * 4

    def test_contracts_are_asked_for_once_though_positions_are_read_again(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                await settle(600.0)
                assert len(bench.brokerage.times("contract")) == 4

    def test_a_new_symbol_is_looked_up_at_once(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.brokerage.held.append(holding(EXTRA))
                bench.trading.say(bench.trading.peer, FILL)
                await until(lambda: ("contract", EXTRA) in [asked[::2] for asked in bench.brokerage.asked], within=0.5)

    def test_the_condors_that_orders_opened_are_given_to_the_desk(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.brokerage.pages = lambda after: OPENED
                bench.trading.say(bench.trading.peer, FILL)
                await until(lambda: bench.desk.lots, within=0.5)
                assert [lot.id for lot in bench.desk.lots] == ["opened"]
                assert [one.symbol for one in bench.desk.positions] == list(CONDOR)

    def test_orders_are_read_every_few_minutes_anyway(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                before = len(bench.brokerage.times("orders"))
                await settle(10 * HISTORY_SECONDS)
                assert len(bench.brokerage.times("orders")) - before in (9, 10)

    @pytest.mark.parametrize(
        ("what", "code", "words"),
        [
            ("contract", "contractsUnavailable", "contracts cannot be looked up"),
            ("orders", "ordersUnavailable", "the order history cannot be read"),
        ],
    )
    def test_their_failure_is_a_notice_and_no_more(self, what, code, words):
        @play
        async def _(bench):
            bench.brokerage.failures[what] = OUTAGE
            async with bench.at_work():
                await bench.ready()
                assert bench.status.positions.error is None
                (notice,) = bench.status.notices
                assert (notice.code, notice.symbols) == (code, [])
                assert notice.text.startswith(words)
                assert notice.text.endswith(OUTAGE.text)
                await settle(1000.0)
                assert bench.status.notices == [notice]
                del bench.brokerage.failures[what]
                await until(lambda: bench.status.notices == [], within=181.0)


class TestFailures:
    def test_a_failing_reading_keeps_what_was_read_and_says_why(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                read_at, positions = bench.status.positions.read_at, bench.desk.positions
                bench.brokerage.failures["positions"] = OUTAGE
                await until(lambda: bench.status.positions.error is not None, within=61.0)
                assert bench.status.positions.error == wire.RestError(code="serverError", text=OUTAGE.text)
                assert (bench.status.positions.read_at, bench.desk.positions) == (read_at, positions)
                assert bench.supervisor.is_ready

    @pytest.mark.slow
    def test_an_error_stays_until_a_reading_succeeds(self):
        @play
        async def _(bench):
            bench.brokerage.failures["positions"] = OUTAGE
            bench.brokerage.delay = 5.0
            async with bench.at_work():
                await until(lambda: bench.status.positions.error is not None)
                bench.desk.statuses.clear()
                await settle(140.0)
                assert len(bench.brokerage.times("positions")) >= 3
                assert None not in [status.positions.error for status in bench.desk.statuses]

    def test_an_error_clears_when_a_reading_succeeds(self):
        @play
        async def _(bench):
            bench.brokerage.failures["positions"] = OUTAGE
            async with bench.at_work():
                await until(lambda: bench.status.positions.error is not None)
                assert not bench.supervisor.is_ready
                del bench.brokerage.failures["positions"]
                await until(lambda: bench.status.positions.error is None, within=61.0)
                assert bench.desk.status.positions.error is None
                await until(lambda: bench.supervisor.is_ready, within=1.0)

    @pytest.mark.parametrize("what", ["quotes", "clock"])
    def test_the_other_readings_are_told_of_too(self, what):
        @play
        async def _(bench):
            bench.brokerage.failures[what] = OUTAGE
            async with bench.at_work():
                await until(lambda: bench.status.positions.error is not None)
                await until(lambda: bench.supervisor.is_ready)

    def test_the_error_of_the_positions_is_told_first(self):
        @play
        async def _(bench):
            bench.brokerage.failures["quotes"] = OUTAGE
            bench.brokerage.failures["positions"] = RestFault("timeout", "late", may_retry=True)
            async with bench.at_work():
                await settle(70.0)
                assert bench.status.positions.error.code == "timeout"

    @pytest.mark.slow
    def test_one_outage_is_logged_once(self, caplog):
        caplog.set_level(logging.INFO, "condord.upstream.health")

        @play
        async def _(bench):
            bench.brokerage.failures["positions"] = OUTAGE
            async with bench.at_work():
                await settle(130.0)
                del bench.brokerage.failures["positions"]
                await settle(62.0)

        said = [record.message for record in caplog.records if record.message.startswith("REST")]
        assert said == ["REST reading failed", "REST reading works again"]

    def test_the_breaker_is_shown(self):
        @play
        async def _(bench):
            bench.brokerage.breaker = "open"
            assert bench.status.positions.breaker == "open"

    def test_a_bug_ends_the_supervisor(self):
        @play
        async def _(bench):
            bench.brokerage.failures["clock"] = ZeroDivisionError()
            with pytest.raises(ExceptionGroup) as caught:
                await bench.supervisor.run()
            assert caught.group_contains(ZeroDivisionError)
            await settle()
            assert bench.options.peers == bench.trading.peers == []


class TestState:
    def test_it_starts_with_starting(self):
        @play
        async def _(bench):
            status = bench.status
            assert (status.state, status.since, status.source, status.feed) == (
                "starting",
                STARTED_AT,
                "alpaca-paper",
                "indicative",
            )
            assert status.market == wire.Market(is_open=None, next_open=None, next_close=None)
            assert not bench.supervisor.is_ready

    def test_a_shut_market_is_closed(self):
        @play
        async def _(bench):
            bench.brokerage.hours = SHUT
            async with bench.at_work():
                await bench.ready()
                assert (bench.status.state, bench.status.market.is_open) == ("closed", False)

    def test_options_on_an_index_fund_trade_a_quarter_of_an_hour_longer_than_the_clock_says(self):
        @play
        async def _(bench):
            ago = dt.timedelta(minutes=10)
            bench.brokerage.hours = SHUT
            bench.brokerage.session = Hours(open_at=STARTED_AT - 40 * ago, close_at=STARTED_AT - ago)
            bench.brokerage.held = [holding("SPY261218P00560000")]
            async with bench.at_work():
                await bench.ready()
                assert bench.status.state == "live"
                await until(lambda: bench.status.state == "closed", within=301.0)
                assert len(bench.brokerage.times("trading_day")) == 1

    def test_a_calendar_that_cannot_be_read_is_a_notice_and_no_more(self):
        @play
        async def _(bench):
            bench.brokerage.failures["trading_day"] = OUTAGE
            async with bench.at_work():
                await bench.ready()
                assert bench.status.positions.error is None
                assert [notice.code for notice in bench.status.notices] == ["calendarUnavailable"]
                del bench.brokerage.failures["trading_day"]
                await until(lambda: bench.status.notices == [], within=61.0)

    def test_the_market_opens_between_two_readings_of_the_clock(self):
        @play(refresh_seconds=7200.0)
        async def _(bench):
            soon = STARTED_AT + dt.timedelta(seconds=100)
            bench.brokerage.hours = msgspec.structs.replace(SHUT, next_open=soon)
            async with bench.at_work():
                await bench.ready()
                assert bench.status.state == "closed"
                await until(lambda: bench.desk.status.state == "live", within=101.0)
                assert 0.0 <= (wall() - soon).total_seconds() <= 1.0
                assert (bench.desk.status.since - soon).total_seconds() <= 1.0

    def test_a_clock_that_runs_ahead_of_ours_counts(self):
        @play
        async def _(bench):
            bench.brokerage.hours = msgspec.structs.replace(OPEN, offset=dt.timedelta(hours=7))
            async with bench.at_work():
                await bench.ready()
                assert bench.status.state == "closed"

    def test_a_lost_stream_is_reconnecting_and_not_ready(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.options.upgrade = 502
                bench.options.peer.reset()
                await until(lambda: bench.desk.status.state == "reconnecting", within=0.1)
                assert bench.desk.status.code == "unreachable"
                assert not bench.supervisor.is_ready
                assert bench.desk.status.stream.connected is False
                assert bench.desk.status.stream.subscribed == 0

    def test_a_refused_key_is_halted_and_a_retry_heals_it(self):
        @play
        async def _(bench):
            bench.options.login = error(402, "auth failed")
            async with bench.at_work():
                await until(lambda: bench.desk.statuses and bench.desk.status.state == "halted")
                assert bench.desk.status.code == "authFailed"
                await settle(5.0)
                bench.options.login = AUTHENTICATED
                bench.supervisor.retry()
                await until(lambda: bench.desk.status.state == "live", within=0.5)

    def test_a_lost_trading_stream_leaves_the_state(self):
        @play
        async def _(bench):
            bench.trading.status = "unauthorized"
            async with bench.at_work():
                await bench.ready()
                assert (bench.status.state, bench.status.code) == ("live", None)

    def test_a_symbol_limit_is_told_and_the_state_stays_live(self):
        @play(symbol_limit=3)
        async def _(bench):
            async with bench.at_work():
                await until(lambda: bench.desk.statuses and bench.desk.status.stream.subscribed)
                status = bench.desk.status
                assert (status.state, status.code) == ("live", "symbolLimit")
                assert (status.stream.subscribed, status.stream.requested) == (3, 4)
                assert status.reason == f"Alpaca streams 3 of 4 symbols; read by REST instead: {CONDOR[3]}"
                [notice] = status.notices
                assert (notice.code, notice.symbols) == ("notStreamed", [CONDOR[3]])
                assert bench.options.peer.subscribed == set(CONDOR[:3])

    def test_a_405_is_told_as_a_symbol_limit(self):
        @play
        async def _(bench):
            bench.options.limit = 2
            async with bench.at_work():
                await until(lambda: bench.desk.statuses and bench.desk.status.code == "symbolLimit")
                assert (bench.desk.status.state, bench.desk.status.stream.subscribed) == ("live", 2)
                await until(lambda: bench.options.peer.subscribed == set(CONDOR[:2]))
                await until(lambda: bench.desk.status.notices[0].symbols == list(CONDOR[2:]))

    def test_what_is_not_streamed_is_polled_by_rest(self):
        @play(symbol_limit=3)
        async def _(bench):
            async with bench.at_work():
                await until(lambda: bench.desk.statuses and bench.desk.status.stream.subscribed == 3)
                await settle(20.5)
                polls = [at for what, at, asked in bench.brokerage.asked if asked == (CONDOR[3],)]
                assert len(polls) == 4
                assert [later - earlier for earlier, later in itertools.pairwise(polls)] == pytest.approx([5.0] * 3)

    def test_a_limit_that_is_gone_is_found_out_within_a_minute(self):
        @play
        async def _(bench):
            bench.options.limit = 2
            async with bench.at_work():
                await until(lambda: bench.desk.statuses and bench.desk.status.code == "symbolLimit")
                bench.options.limit = None
                await until(lambda: bench.desk.status.code is None, within=62.0)
                assert bench.desk.status.stream.subscribed == 4
                assert bench.desk.status.notices == []

    def test_a_limit_that_stays_is_told_all_the_time(self):
        @play
        async def _(bench):
            bench.options.limit = 2
            async with bench.at_work():
                await until(lambda: bench.desk.statuses and bench.desk.status.code == "symbolLimit")
                await settle(1.0)
                told = len(bench.desk.statuses)
                await settle(130.0)
                assert {status.code for status in bench.desk.statuses[told:]} == {"symbolLimit"}

    def test_while_the_market_is_shut_nothing_is_polled(self):
        @play(symbol_limit=3)
        async def _(bench):
            bench.brokerage.hours = SHUT
            async with bench.at_work():
                await until(lambda: bench.desk.statuses and bench.desk.status.stream.subscribed == 3)
                await settle(50.0)
                assert (CONDOR[3],) not in [asked for _, _, asked in bench.brokerage.asked]

    def test_while_there_is_no_stream_all_is_polled(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.options.login = error(406)
                bench.options.peer.reset()
                await until(lambda: bench.status.code == "connectionLimit")
                before = len(bench.brokerage.times("quotes"))
                await settle(20.0)
                assert len(bench.brokerage.times("quotes")) == before + 4

    def test_a_silent_symbol_is_told_and_polled_and_the_connection_stays(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.desk.silent = frozenset({CONDOR[1], "ANOTHER"})
                await settle(11.0)
                [notice] = bench.desk.status.notices
                assert (notice.code, notice.symbols) == ("silentSymbols", [CONDOR[1]])
                assert bench.desk.status.state == "live"
                assert (CONDOR[1],) in [asked for _, _, asked in bench.brokerage.asked]
                bench.desk.silent = frozenset()
                await until(lambda: bench.desk.status.notices == [], within=1.1)
                assert len(bench.options.all_peers) == 1

    def test_a_trading_stream_that_is_away_is_a_notice(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.trading.status = "unauthorized"
                bench.trading.peer.reset()
                await until(lambda: bench.desk.status.notices)
                [notice] = bench.desk.status.notices
                assert notice.code == "tradeUpdatesUnavailable"
                assert "fills are seen only when positions are read" in notice.text
                await until(lambda: "API key" in bench.desk.status.notices[0].text)
                assert bench.desk.status.notices[0].since == notice.since
                assert bench.desk.status.state == "live"
                bench.trading.status = "authorized"
                bench.supervisor.retry()
                await until(lambda: not bench.desk.status.notices)

    def test_the_next_attempt_is_told_and_does_not_tremble(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                assert bench.status.stream.next_attempt_at is None
                bench.options.login = error(406)
                bench.options.peer.reset()
                await until(lambda: bench.status.code == "connectionLimit" and bench.status.stream.next_attempt_at)
                told, now_at = bench.status.stream.next_attempt_at, wall()
                assert told - now_at == pytest.approx(dt.timedelta(seconds=60), abs=dt.timedelta(seconds=1))
                await settle(30.0)
                assert bench.status.stream.next_attempt_at == told
                await until(lambda: bench.status.stream.next_attempt_at != told, within=31.0)

    def test_since_moves_only_with_the_state(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.options.login = error(406)
                bench.options.peer.reset()
                await until(lambda: bench.desk.status.state == "reconnecting")
                since = bench.desk.status.since
                await until(lambda: bench.desk.status.code == "connectionLimit")
                await settle(70.0)
                assert bench.desk.status.since == since

    def test_since_of_a_steady_state_stays(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                since = bench.status.since
                for seconds in range(30):
                    bench.options.peer.send(frame(quote(CONDOR[0], seconds)))
                    await settle(1.0)
                assert bench.status.since == since

    def test_the_last_message_is_told(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                assert bench.status.stream.last_message_at is None
                bench.options.peer.send(frame(quote(CONDOR[0])))
                await until(lambda: bench.desk.offered)
                heard_at = wall()
                await settle(7.0)
                assert bench.status.stream.last_message_at == heard_at

    def test_a_change_of_state_is_logged_once_by_its_weight(self, caplog):
        caplog.set_level(logging.INFO, "condord.upstream.health")

        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.options.login = error(402)
                bench.options.peer.reset()
                await settle(20.0)

        said = [
            (record.levelname, record.fields["state"]) for record in caplog.records if "changed state" in record.message
        ]
        assert said == [("INFO", "live"), ("WARNING", "reconnecting"), ("ERROR", "halted")]


class TestSilence:
    def test_a_silent_stream_is_stale_and_then_live_again(self):
        @play(silence_seconds=30.0)
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                await until(lambda: bench.desk.status.state == "stale", within=32.0)
                assert bench.desk.status.code == "silent"
                assert not bench.supervisor.is_ready
                bench.options.peer.send(frame(quote(CONDOR[0])))
                await until(lambda: bench.desk.status.state == "live", within=1.1)
                assert bench.desk.status.reason is None

    def test_newer_quotes_at_rest_mean_a_reconnect(self):
        @play(silence_seconds=30.0)
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.desk.is_owed = True
                await until(lambda: bench.desk.status.state == "reconnecting", within=35.0)
                assert bench.desk.status.code == "silent"
                await until(lambda: bench.status.stream.connected, within=5.0)
                await settle(2.0)
                assert (bench.desk.status.state, bench.desk.status.code) == ("stale", "silent")
                bench.options.peer.send(frame(quote(CONDOR[0])))
                await until(lambda: bench.desk.status.state == "live", within=1.1)

    def test_rest_that_fails_says_nothing_about_the_stream(self):
        @play(silence_seconds=30.0)
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.desk.is_owed = True
                bench.brokerage.failures["quotes"] = OUTAGE
                await until(lambda: bench.desk.status.state == "stale", within=35.0)
                await settle(20.0)
                assert bench.status.state == "stale"

    def test_silence_is_noticed_though_rest_is_never_read_again(self):
        @play(silence_seconds=30.0, refresh_seconds=36_000.0)
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                await until(lambda: bench.desk.status.state == "stale", within=32.0)

    @pytest.mark.slow
    def test_a_shut_market_may_be_silent(self):
        @play(silence_seconds=30.0)
        async def _(bench):
            bench.brokerage.hours = SHUT
            async with bench.at_work():
                await bench.ready()
                await settle(330.0)
                assert bench.status.state == "closed"
                assert len(bench.options.all_peers) == 1

    def test_other_bounds_take_effect_without_a_reconnect(self):
        @play(silence_seconds=30.0)
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.reload(silence_seconds=5.0)
                bench.supervisor.retry()
                await until(lambda: bench.desk.status.state == "stale", within=6.0)
                assert len(bench.options.all_peers) == 1


class TestReload:
    def test_another_key_is_another_account_on_both_streams_and_by_rest(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.brokerage.held = [holding(EXTRA)]
                bench.reload(Login(lambda: "OTHERKEY", lambda: "othersecret"))
                await until(lambda: bench.desk.symbols == (EXTRA,))
                await until(lambda: bench.desk.status.stream.subscribed == 1)
                assert [login[0] for login in bench.options.logins] == [KEY_ID, "OTHERKEY"]
                assert bench.trading.logins[-1][0] == "OTHERKEY"
                assert (bench.options.most, bench.trading.most) == (1, 1)
                assert bench.desk.status.stream.reconnects == 1

    def test_an_answer_about_the_last_account_is_not_shown(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.brokerage.delay = 5.0
                bench.supervisor.refresh()
                await settle(1.0)
                bench.reload(Login(lambda: "OTHERKEY", lambda: "othersecret"))
                bench.desk.positions = None
                await settle(5.0)
                assert bench.desk.positions is None
                await until(lambda: bench.desk.positions is not None, within=6.0)

    def test_another_feed_is_another_option_stream_alone(self):
        @play
        async def _(bench):
            async with OptionServer() as other, bench.at_work():
                await bench.ready()
                bench.reload(feed="opra", option_stream_url=other.url)
                assert bench.status.state == "reconnecting"
                assert "configuration was reloaded" in bench.status.reason
                await until(lambda: bench.status.state == "live")
                assert (bench.status.feed, bench.status.stream.subscribed) == ("opra", 4)
                assert (bench.options.peers, len(bench.trading.all_peers)) == ([], 1)

    def test_the_same_configuration_drops_nothing(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.reload()
                await settle(30.0)
                assert (len(bench.options.all_peers), len(bench.trading.all_peers)) == (1, 1)

    def test_another_symbol_limit_needs_no_other_connection(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.reload(symbol_limit=2)
                await until(lambda: bench.status.stream.subscribed == 2)
                assert bench.status.code == "symbolLimit"
                bench.reload(symbol_limit=200)
                await until(lambda: bench.status.stream.subscribed == 4)
                await until(lambda: bench.status.code is None)
                assert len(bench.options.all_peers) == 1


class TestTime:
    def test_the_desk_is_told_the_exchanges_time(self):
        @play
        async def _(bench):
            bench.brokerage.hours = msgspec.structs.replace(OPEN, offset=dt.timedelta(minutes=5))
            async with bench.at_work():
                await bench.ready()
                assert bench.desk.exchange_times[-1] - wall() == pytest.approx(
                    dt.timedelta(minutes=5), abs=dt.timedelta(seconds=1)
                )

    def test_quotes_at_odds_with_the_clock_have_it_read_again_soon_and_not_all_the_time(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                before = len(bench.brokerage.times("clock"))
                for _ in range(25):
                    bench.desk.doubt = True
                    await settle(1.0)
                assert len(bench.brokerage.times("clock")) == before + 3


class TestTrust:
    def test_a_reading_that_failed_is_due_again_soon(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.brokerage.failures["positions"] = OUTAGE
                bench.supervisor.refresh()
                await settle(1.0)
                before = len(bench.brokerage.times("positions"))
                await settle(10.5)
                assert len(bench.brokerage.times("positions")) == before + 2
                del bench.brokerage.failures["positions"]
                await until(lambda: bench.status.positions.error is None, within=5.5)

    def test_a_retry_asks_rest_as_well(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                before = len(bench.brokerage.times("positions"))
                bench.supervisor.retry()
                await settle(0.5)
                assert len(bench.brokerage.times("positions")) == before + 1

    def test_what_only_rest_knows_is_unconfirmed_when_rest_is_away(self):
        @play(symbol_limit=3)
        async def _(bench):
            async with bench.at_work():
                await until(lambda: bench.desk.statuses and bench.desk.status.stream.subscribed == 3)
                await settle(30.0)
                assert bench.desk.lapsed == []
                bench.brokerage.failures["quotes"] = OUTAGE
                await until(lambda: bench.desk.lapsed, within=22.0)
                assert bench.desk.lapsed[-1] == {CONDOR[3]}
                del bench.brokerage.failures["quotes"]
                await settle(6.0)
                before = len(bench.desk.lapsed)
                await settle(30.0)
                assert len(bench.desk.lapsed) == before

    def test_after_a_sleep_nothing_is_confirmed_until_somebody_says_so(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                before = len(bench.brokerage.times("quotes"))
                bench.supervisor._beat_at -= dt.timedelta(seconds=30)
                await settle(1.5)
                assert bench.desk.gaps == 1
                assert len(bench.brokerage.times("quotes")) == before + 1
                await settle(10.0)
                assert bench.desk.gaps == 1


class TestProgress:
    def test_a_supervisor_at_work_is_never_stuck(self):
        @play
        async def _(bench):
            bench.options.upgrade = bench.trading.upgrade = None
            bench.brokerage.delay = 300.0
            async with bench.at_work():
                for _ in range(100):
                    await settle(1.0)
                    assert bench.supervisor.stuck(bench.supervisor.stream.now()) is None

    def test_one_whose_pulse_is_gone_is_stuck(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                later = bench.supervisor.stream.now() + STUCK_SECONDS + 2.0
                assert bench.supervisor.stuck(later).startswith("the supervisor has not turned for")

    @pytest.mark.parametrize("end", ["returns", "raises", "is cancelled by nobody"])
    def test_a_task_that_ends_however_ends_the_supervisor(self, end):
        @play
        async def _(bench):
            async def work():
                await settle(5.0)
                if end == "raises":
                    raise ZeroDivisionError
                if end == "is cancelled by nobody":
                    nobody = asyncio.get_running_loop().create_future()
                    nobody.cancel()
                    await nobody

            bench.supervisor.trades.run = work
            with pytest.raises(ExceptionGroup):
                await bench.supervisor.run()

    @pytest.mark.parametrize("name", ["stream", "trades"])
    def test_a_link_that_nobody_serves_is_named(self, name):
        @play
        async def _(bench):
            getattr(bench.supervisor, name).run = asyncio.Event().wait
            async with bench.at_work():
                await settle(STUCK_SECONDS - 5.0)
                assert bench.supervisor.stuck(bench.supervisor.stream.now()) is None
                await settle(10.0)
                said = bench.supervisor.stuck(bench.supervisor.stream.now())
                assert "stream is starting 3" in said


class TestLife:
    def test_the_beat_goes_on_while_everything_is_away(self):
        @play
        async def _(bench):
            bench.options.upgrade = bench.trading.upgrade = None
            bench.brokerage.delay = 300.0
            async with bench.at_work():
                for _ in range(50):
                    await settle(1.0)
                    assert asyncio.get_running_loop().time() - bench.supervisor.beat <= 1.0

    @pytest.mark.parametrize("seconds", [0.0, 0.05, 0.5, 3.0])
    def test_it_ends_at_any_time_and_leaves_no_socket(self, seconds):
        @play
        async def _(bench):
            bench.brokerage.delay = 0.3
            async with bench.at_work():
                await settle(seconds)
