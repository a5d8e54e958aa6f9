import asyncio
import contextlib
import datetime as dt
import itertools
import logging
from contextlib import closing

import msgspec
import pytest

from condord.core import occ
from condord.core.activity import Activity, Split
from condord.core.calendar import Calendar
from condord.core.filled_orders import Fill, Order
from condord.core.market_hours import LATE, Hours
from condord.core.position import Contract, Position
from condord.live import wire
from condord.live.exchange_clock import ExchangeClock
from condord.live.freshness import STUCK_SECONDS
from condord.live.lifecycle import Memory, ReadingSummary
from condord.live.past import Past
from condord.upstream.account_polls import TRADE_DEBOUNCE_SECONDS
from condord.upstream.interfaces import ActivityPage, Login, OrderPage
from condord.upstream.market_reader import PRICE_SECONDS
from condord.upstream.poller import BURST, PACE_SECONDS
from condord.upstream.rest_fault import RestFault
from condord.upstream.state_files import Store
from condord.upstream.supervisor import Supervisor
from condord.upstream.supervisor_settings import HISTORY_SECONDS, SupervisorSettings
from tests.fakes.alpaca import (
    CONDOR,
    KEY_ID,
    LOGIN,
    NETWORK,
    OPEN,
    OUTAGE,
    SECRET_KEY,
    SHORT_PUT,
    SHUT,
    STARTED_AT,
    FakeBrokerage,
    FakeTradeSink,
    FakeWholeSink,
    holding,
    wall,
)
from tests.fakes.streams import AUTHENTICATED, OptionServer, StockServer, TradingServer, error, frame
from tests.live.accounts import MODEL
from tests.virtualtime import run, settle, until

EXTRA = "SPY261218C00650000"
OTHER = "QQQ261218C00650000"
OPENED = OrderPage(
    orders=(
        Order(
            id="opened",
            filled_at=STARTED_AT,
            fills=tuple(
                Fill(symbol=symbol, contract=occ.parse(symbol), quantity=quantity, price_e6=1_000_000, opens=True)
                for symbol, quantity in zip(CONDOR, (-1, -1, 1, 1), strict=True)
            ),
        ),
    ),
    newest_at=STARTED_AT,
    open_since=None,
    is_full=False,
)
SETTLED_SECONDS = 2 * BURST * PACE_SECONDS + 0.5
"""After this time the polls of the start are over, and the next request is answered at once."""
OTHER_LOGIN = Login(reveal_key_id=lambda: "PKOTHER", reveal_secret_key=lambda: SECRET_KEY)
FILL = {"stream": "trade_updates", "data": {"event": "fill"}}


def fill(id_):
    """A fill of an hour ago."""
    at = STARTED_AT - dt.timedelta(hours=1)
    return Activity(id=id_, kind="FILL", symbol="SPY", quantity=1, at=at, day=at.date())


def quote(symbol, seconds=0):
    return {"T": "q", "S": symbol, "t": f"2026-11-20T15:00:{seconds:02d}Z", "bp": 1.0, "ap": 1.2}


class Harness:
    """A supervisor with three fake servers, a fake brokerage and a fake sink."""

    def __init__(self, options, trading, stocks, *, state_path=None, **bounds):
        self.options = options
        self.stocks = stocks
        self.store = Store(state_path)
        self.trading = trading
        self.brokerage = FakeBrokerage()
        self.sink = FakeWholeSink()
        self.past = FakeTradeSink()
        self.suspended = dt.timedelta()
        self.settings = SupervisorSettings(
            source="alpaca-paper",
            feed="indicative",
            model=MODEL,
            option_stream_url=options.url,
            trading_stream_url=trading.url,
            stock_stream_url=stocks.url,
            stock_feed="iex",
            **{
                "stock_symbol_limit": 30,
                "symbol_limit": 200,
                "refresh_seconds": 60.0,
                "keep_days": 400,
                "silence_seconds": 3000.0,
                "backoff_min_seconds": 1.0,
                "backoff_max_seconds": 60.0,
                **bounds,
            },
        )
        self.supervisor = Supervisor(
            self.settings,
            brokerage=self.brokerage,
            sink=self.sink,
            past=self.past,
            login=LOGIN,
            network=NETWORK,
            store=self.store,
            clock=ExchangeClock(lambda: wall() + self.suspended),
            chance=lambda: 0.5,
        )

    @property
    def status(self):
        return self.supervisor.status()

    def reload(self, login=LOGIN, **settings):
        """Reload with other settings or another key."""
        self.settings = msgspec.structs.replace(self.settings, **settings)
        self.supervisor.reload(self.settings, login)

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
        assert (self.options.peers, self.trading.peers, self.stocks.peers) == ([], [], [])

    async def ready(self):
        await until(lambda: self.supervisor.is_ready and self.status.stream.subscribed == len(self.sink.symbols) > 0)
        await settle(SETTLED_SECONDS)


def run_scenario(test=None, **bounds):
    """Run `test` with a harness on a virtual loop."""

    def decorate(test):
        async def main():
            async with OptionServer() as options, TradingServer() as trading, StockServer() as stocks:
                await test(Harness(options, trading, stocks, **bounds))

        run(main())

    return decorate if test is None else decorate(test)


def run_ready(test=None, **bounds):
    """Run `test` with a harness whose supervisor is at work and ready."""

    def decorate(test):
        async def main(harness):
            async with harness.at_work():
                await harness.ready()
                await test(harness)

        run_scenario(main, **bounds)

    return decorate if test is None else decorate(test)


class TestReadings:
    def test_everything_is_read_at_the_start(self):
        @run_ready
        async def _(harness):
            assert [position.symbol for position in harness.sink.positions] == list(CONDOR)
            assert harness.status.positions.read_at == STARTED_AT + dt.timedelta(seconds=TRADE_DEBOUNCE_SECONDS)
            assert harness.status.market == wire.MarketJson(
                is_open=True, next_open=OPEN.next_open, next_close=OPEN.next_close + LATE
            )

    @pytest.mark.slow
    def test_everything_is_read_again_every_refresh(self):
        @run_ready
        async def _(harness):
            before = {what: len(harness.brokerage.times(what)) for what in ("positions", "quotes", "clock")}
            await settle(3 * 60.0 + 1.0)
            after = {what: len(harness.brokerage.times(what)) - times for what, times in before.items()}
            assert after == {"positions": 3, "quotes": 3, "clock": 3}

    def test_held_contracts_are_subscribed_and_quoted(self):
        @run_ready
        async def _(harness):
            assert harness.options.peer.subscribed == set(CONDOR)
            assert {tick.symbol for tick in harness.sink.confirmed[-1]} == set(CONDOR)

    def test_a_symbol_that_cannot_be_parsed_is_never_subscribed(self):
        @run_scenario
        async def _(harness):
            bad = Position(symbol="???", contract=None, quantity=1, average_entry_e4=None, cost_basis_e4=None)
            harness.brokerage.held = [bad, holding(EXTRA)]
            async with harness.at_work():
                await harness.ready()
                assert harness.options.peer.subscribed == {EXTRA}
                assert harness.status.stream.requested == 1

    def test_a_new_symbol_is_quoted_and_subscribed_at_once(self):
        @run_ready
        async def _(harness):
            harness.brokerage.held.append(holding(EXTRA))
            harness.trading.send_message(harness.trading.peer, FILL)
            await until(lambda: EXTRA in harness.options.peer.subscribed, within=0.5)
            await until(lambda: EXTRA in [tick.symbol for tick in harness.sink.confirmed[-1]], within=0.5)
            assert len(harness.options.all_peers) == 1

    def test_a_new_symbol_is_subscribed_before_it_is_shown(self):
        @run_ready
        async def _(harness):
            streamed = []
            show = harness.sink.set_positions

            def noted(*account):
                streamed.append(set(harness.supervisor.stream.streamed))
                show(*account)

            harness.sink.set_positions = noted
            harness.brokerage.held.append(holding(EXTRA))
            harness.trading.send_message(harness.trading.peer, FILL)
            await until(lambda: streamed)
            assert EXTRA in streamed[0]

    def test_a_stream_that_does_not_answer_holds_positions_up_for_a_second_at_most(self):
        @run_ready
        async def _(harness):
            harness.options.acknowledges = False
            harness.brokerage.held.append(holding(EXTRA))
            harness.trading.send_message(harness.trading.peer, FILL)
            await until(lambda: EXTRA in harness.sink.symbols, within=1.3)

    def test_a_vanished_position_is_unsubscribed(self):
        @run_ready
        async def _(harness):
            harness.brokerage.held.pop()
            await until(lambda: harness.options.peer.subscribed == set(CONDOR[:-1]), within=61.0)
            assert harness.status.stream.requested == 3

    @pytest.mark.slow
    def test_an_account_without_options_is_ready_and_asks_for_no_quotes(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.held = []
            async with harness.at_work():
                await until(lambda: harness.supervisor.is_ready)
                await settle(130.0)
                assert harness.brokerage.times("quotes") == []
                assert harness.status.state == "live"

    def test_a_fill_reads_the_positions_again(self):
        @run_ready
        async def _(harness):
            before = len(harness.brokerage.times("positions"))
            harness.trading.send_message(harness.trading.peer, FILL)
            await settle(1.0)
            assert len(harness.brokerage.times("positions")) == before + 1

    def test_a_burst_of_fills_reads_the_positions_once(self):
        @run_ready
        async def _(harness):
            before = len(harness.brokerage.times("positions"))
            for _ in range(20):
                harness.trading.send_message(harness.trading.peer, FILL)
                await settle(0.001)
            await settle(1.0)
            assert len(harness.brokerage.times("positions")) == before + 1

    def test_a_fill_during_a_poll_causes_another_poll(self):
        @run_ready
        async def _(harness):
            harness.brokerage.delay = 2.0
            before = len(harness.brokerage.times("positions"))
            harness.trading.send_message(harness.trading.peer, FILL)
            await settle(1.0)
            harness.trading.send_message(harness.trading.peer, FILL)
            await settle(10.0)
            assert len(harness.brokerage.times("positions")) == before + 2

    def test_a_refresh_reads_everything_now(self):
        @run_ready
        async def _(harness):
            await settle(2 * PRICE_SECONDS)
            before = len(harness.brokerage.asked)
            harness.supervisor.refresh()
            await settle(0.5)
            asked = sorted(what for what, _, _ in harness.brokerage.asked[before:])
            assert asked == [
                *("activities", "activities", "balances", "clock", "dayFills", "later", "orders", "positions"),
                *("quotes", "snapshots", "stocks", "transfers", "workingOrders"),
            ]

    def test_quotes_are_read_after_every_reconnect(self):
        @run_ready
        async def _(harness):
            harness.options.peer.reset()
            await until(lambda: harness.status.state != "live")
            before = len(harness.brokerage.times("quotes"))
            await until(lambda: harness.status.state == "live")
            await settle(0.1)
            assert len(harness.brokerage.times("quotes")) == before + 1
            assert harness.sink.gaps == 1


FLOOD_SECONDS = 9.0
MAX_REQUESTS = BURST + int(FLOOD_SECONDS / PACE_SECONDS) + 1
"""The most polls of one kind that a flood may cause, including the one after its last request."""


async def flood(send, count=110):
    """Call `send` `count` times in nine seconds, and wait until the last call has taken effect."""
    for _ in range(count):
        send()
        await settle(FLOOD_SECONDS / count)
    await settle(PACE_SECONDS + 0.5)


class TestFloods:
    """However often polls are requested, Alpaca gets two requests at once and then one every two seconds."""

    READINGS = ("positions", "quotes", "clock", "orders")

    @pytest.mark.parametrize("way", ["refresh", "retry"])
    def test_a_flood_of_refreshes_or_signals_reads_each_kind_a_few_times(self, way):
        @run_ready
        async def _(harness):
            before = {what: len(harness.brokerage.times(what)) for what in self.READINGS}
            await flood(getattr(harness.supervisor, way))
            asked = {what: len(harness.brokerage.times(what)) - before[what] for what in self.READINGS}
            assert all(1 < count <= MAX_REQUESTS <= 7 for count in asked.values()), asked

    def test_a_position_that_changes_in_a_flood_is_seen_within_two_seconds(self):
        @run_ready
        async def _(harness):
            flooding = asyncio.ensure_future(flood(harness.supervisor.refresh))
            await settle(3.3)
            harness.brokerage.held.append(holding(EXTRA))
            await until(lambda: EXTRA in harness.sink.symbols, within=PACE_SECONDS + TRADE_DEBOUNCE_SECONDS)
            await flooding

    @pytest.mark.slow
    def test_thousands_of_trade_updates_read_positions_and_orders_a_few_times(self):
        @run_ready
        async def _(harness):
            before = {what: len(harness.brokerage.times(what)) for what in ("positions", "orders")}
            await flood(lambda: harness.trading.send_message(harness.trading.peer, FILL), count=3000)
            assert all(1 < len(harness.brokerage.times(what)) - count <= MAX_REQUESTS for what, count in before.items())

    def test_the_last_of_a_flood_is_read_too(self):
        @run_ready
        async def _(harness):
            for _ in range(50):
                harness.supervisor.refresh()
                await settle(0.1)
            last = asyncio.get_running_loop().time()
            harness.supervisor.refresh()
            await settle(PACE_SECONDS + 0.2)
            assert all(harness.brokerage.times(what)[-1] >= last for what in self.READINGS)

    def test_a_flood_of_signals_tries_a_refused_key_a_few_times(self):
        @run_scenario
        async def _(harness):
            harness.options.login = error(402)
            async with harness.at_work():
                await until(lambda: harness.status.state == "halted", within=5.0)
                await settle(SETTLED_SECONDS)
                before = len(harness.options.all_peers)
                await flood(harness.supervisor.retry)
                assert 1 < len(harness.options.all_peers) - before <= MAX_REQUESTS

    def test_a_storm_of_reconnections_reads_quotes_a_few_times(self):
        async def _(harness):
            async with harness.at_work():
                await harness.ready()
                before = len(harness.brokerage.times("quotes"))
                until_at = asyncio.get_running_loop().time() + FLOOD_SECONDS
                while asyncio.get_running_loop().time() < until_at:
                    if harness.options.peers:
                        harness.options.peer.close()
                    await settle(0.2)
                await settle(PACE_SECONDS + 0.5)
                assert harness.supervisor.stream.link.reconnects > MAX_REQUESTS
                assert 1 < len(harness.brokerage.times("quotes")) - before <= MAX_REQUESTS

        run_scenario(_, backoff_min_seconds=0.05, backoff_max_seconds=0.1)

    def test_a_period_shorter_than_the_pace_is_kept_in_a_flood(self):
        async def _(harness):
            async with harness.at_work():
                await harness.ready()
                before = len(harness.brokerage.times("positions"))
                await flood(harness.supervisor.refresh)
                seconds = FLOOD_SECONDS + PACE_SECONDS
                assert seconds / 1.2 - 1 <= len(harness.brokerage.times("positions")) - before <= seconds + 2

        run_scenario(_, refresh_seconds=1.0)

    def test_quotes_of_many_contracts_are_read_less_often(self):
        async def _(harness):
            harness.brokerage.held = [holding(f"SPY261218P{strike:05d}000") for strike in range(100, 500)]
            async with harness.at_work():
                await until(lambda: len(harness.sink.symbols) == 400)
                await settle(2 * BURST * 4 * PACE_SECONDS)
                before = len(harness.brokerage.times("quotes"))
                await flood(harness.supervisor.refresh)
                assert 1 < len(harness.brokerage.times("quotes")) - before <= BURST + 1

        run_scenario(_, symbol_limit=1000)


class TestContractsAndOrders:
    def test_contracts_are_applied_to_the_last_positions(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.contracts = dict.fromkeys(CONDOR, Contract(multiplier=10, underlying="XYZ"))
            async with harness.at_work():
                await harness.ready()
                assert {
                    (position.multiplier, position.underlying, position.multiplier_assumed)
                    for position in harness.sink.positions
                } == {(10, "XYZ", False)}
                assert len(harness.brokerage.times("positions")) == 1

    def test_positions_do_not_wait_for_either(self):
        @run_scenario
        async def _(harness):
            answer = harness.brokerage._answer

            async def stalling(what, argument=None):
                await answer(what, argument)
                if what in ("contract", "orders"):
                    await asyncio.sleep(1000.0)

            harness.brokerage._answer = stalling
            async with harness.at_work():
                await harness.ready()
                assert [position.multiplier_assumed for position in harness.sink.positions] == [True] * 4

    @pytest.mark.slow
    def test_one_contract_per_root_is_requested_once_although_positions_are_read_again(self):
        @run_ready
        async def _(harness):
            await settle(600.0)
            assert len(harness.brokerage.times("contract")) == 1

    def test_a_new_root_is_looked_up_at_once(self):
        @run_ready
        async def _(harness):
            harness.brokerage.held.append(holding(OTHER))
            harness.trading.send_message(harness.trading.peer, FILL)
            await until(lambda: ("contract", OTHER) in [asked[::2] for asked in harness.brokerage.asked], within=0.5)

    def test_the_condors_that_orders_opened_are_passed_on(self):
        @run_ready
        async def _(harness):
            harness.brokerage.pages = lambda after: OPENED
            harness.trading.send_message(harness.trading.peer, FILL)
            await until(lambda: harness.sink.lots, within=0.5)
            assert [lot.id for lot in harness.sink.lots] == ["opened"]
            assert [order.id for order in harness.sink.orders] == ["opened"]
            assert [position.symbol for position in harness.sink.positions] == list(CONDOR)

    @pytest.mark.slow
    def test_orders_are_read_every_few_minutes_anyway(self):
        @run_ready
        async def _(harness):
            before = len(harness.brokerage.times("orders"))
            await settle(4 * HISTORY_SECONDS)
            assert len(harness.brokerage.times("orders")) - before in (3, 4)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("what", "code", "words"),
        [
            ("contract", "contractsUnavailable", "contracts cannot be read"),
            ("orders", "ordersUnavailable", "the order history cannot be read"),
            ("activities", "activitiesUnavailable", "activities or splits cannot be read"),
            ("splits", "activitiesUnavailable", "activities or splits cannot be read"),
        ],
    )
    def test_a_failure_is_only_a_notice(self, what, code, words):
        @run_scenario
        async def _(harness):
            harness.brokerage.failures[what] = OUTAGE
            async with harness.at_work():
                await harness.ready()
                assert harness.status.positions.error is None
                (notice,) = harness.status.notices
                assert (notice.code, notice.symbols) == (code, [])
                assert notice.text.startswith(words)
                assert notice.text.endswith(OUTAGE.text)
                await settle(100.0)
                assert harness.status.notices == [notice]
                del harness.brokerage.failures[what]
                await until(lambda: harness.status.notices == [], within=181.0)


class TestPast:
    def test_activities_and_splits_are_passed_on_with_the_positions(self):
        @run_scenario
        async def _(harness):
            booked = Activity(id="1", kind="OPASN", symbol=SHORT_PUT, quantity=1, at=wall(), day=wall().date())
            split = Split(symbol="SPY", new_shares="4", old_shares="1", day=wall().date())
            harness.brokerage.activity_pages = lambda *_: ActivityPage(activities=(booked,), last_id="1", is_full=False)
            harness.brokerage.announced = [split]
            async with harness.at_work():
                await harness.ready()
                await until(lambda: harness.sink.splits == (split,), within=5.0)
                assert harness.sink.activities == (booked,)
                assert [argument[0] for what, _, argument in harness.brokerage.asked if what == "splits"] == [("SPY",)]

    def test_the_saved_state_is_loaded_before_the_positions(self, tmp_path):
        kept = Past(shown=ReadingSummary(at=STARTED_AT, held={}, stocks={"SPY": 100}, condors=()))

        async def test(harness):
            with closing(harness.store):
                store = harness.store.of(f"{harness.brokerage.account} {harness.settings.source}")
                await store.write("life", kept)
                async with harness.at_work():
                    await harness.ready()
                    assert harness.sink.recalled == [(None, None), (kept, None)]
                    harness.sink.memory = Past(first_seen={"key": STARTED_AT})
                    await settle(1.5)
                assert await store.read("life", Past) == harness.sink.memory

        run_scenario(test, state_path=tmp_path)

    def test_another_account_begins_without_a_past(self):
        @run_ready
        async def _(harness):
            harness.sink.memory = Memory(first_seen={"key": STARTED_AT})
            harness.reload(OTHER_LOGIN)
            assert harness.sink.memory == Memory()


class TestReadingBack:
    def test_the_past_is_read_once_the_account_is_known(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.failures["account"] = OUTAGE
            harness.brokerage.past = [fill("one")]
            async with harness.at_work():
                await settle(20.0)
                assert harness.past.accounts == {}
                del harness.brokerage.failures["account"]
                await settle(60.0)
                assert harness.past.account_key == "account-one alpaca-paper"
                assert harness.past.past.keys() == {"one"}

    def test_the_past_is_read_as_far_back_as_history_is_kept_even_after_a_reload(self):
        @run_ready(keep_days=500)
        async def _(harness):
            assert STARTED_AT - harness.past.complete_from >= dt.timedelta(days=500)
            assert next(
                after for what, _, after in harness.brokerage.asked if what == "orders"
            ) <= STARTED_AT - dt.timedelta(days=499)
            harness.reload(keep_days=600)
            harness.supervisor.refresh()
            await settle(20.0)
            assert STARTED_AT - harness.past.complete_from >= dt.timedelta(days=600)

    def test_a_trade_event_is_followed_by_its_fill(self):
        @run_ready
        async def _(harness):
            harness.brokerage.past = [fill("one")]
            harness.trading.send_message(harness.trading.peer, FILL)
            await until(lambda: harness.past.past, within=7.0)

    @pytest.mark.slow
    def test_a_booking_is_read_soon_after_its_contracts_have_left_the_account(self):
        @run_ready
        async def _(harness):
            await settle(60.0)
            harness.sink.awaited_bookings = frozenset({"a change"})
            await settle(10.0)
            harness.brokerage.past = [fill("one")]
            await until(lambda: harness.past.past, within=12.0)
            before = len(harness.brokerage.times("later"))
            await settle(600.0)
            assert 4 <= len(harness.brokerage.times("later")) - before <= 6

    def test_the_update_of_an_order_filled_in_part_reaches_the_condor(self):
        @run_scenario
        async def _(harness):
            part = Fill(
                symbol=SHORT_PUT, contract=occ.parse(SHORT_PUT), quantity=-1, price_e6=1, opens=True, leg_id="leg"
            )
            order = Order(id="order", filled_at=STARTED_AT, fills=(part,), is_partial=True)
            harness.brokerage.pages = lambda after: OrderPage(
                orders=(order,), newest_at=STARTED_AT, open_since=None, is_full=False
            )
            harness.brokerage.past = [
                msgspec.structs.replace(fill("one"), symbol=SHORT_PUT, quantity=-1, order_id="leg")
            ]
            async with harness.at_work():
                await harness.ready()
                await settle(10.0)
                assert [each.filled_at for each in harness.sink.orders] == [fill("one").at]

    def test_another_key_drops_the_past_until_its_account_is_known(self):
        @run_ready
        async def _(harness):
            harness.brokerage.account = "account-two"
            harness.brokerage.past = [fill("two")]
            harness.reload(OTHER_LOGIN)
            await settle(20.0)
            one, two = (harness.past.accounts[f"account-{which} alpaca-paper"][0] for which in ("one", "two"))
            assert (one, two.keys()) == ({}, {"two"})

    def test_while_the_past_cannot_be_read_there_is_a_notice_and_everything_else_goes_on(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.failures["past"] = OUTAGE
            async with harness.at_work():
                await harness.ready()
                (notice,) = harness.status.notices
                assert (notice.code, OUTAGE.text in notice.text) == ("activitiesUnavailable", True)
                del harness.brokerage.failures["past"]
                await settle(60.0)
                assert harness.status.notices == []


class TestFailures:
    def test_a_failed_poll_keeps_the_last_reading_and_the_status_has_the_reason(self):
        @run_ready
        async def _(harness):
            read_at, positions = harness.status.positions.read_at, harness.sink.positions
            harness.brokerage.failures["positions"] = OUTAGE
            await until(lambda: harness.status.positions.error is not None, within=61.0)
            assert harness.status.positions.error == wire.RestError(code="serverError", text=OUTAGE.text)
            assert (harness.status.positions.read_at, harness.sink.positions) == (read_at, positions)
            assert harness.supervisor.is_ready

    @pytest.mark.slow
    def test_an_error_stays_until_a_poll_succeeds(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.failures["positions"] = OUTAGE
            harness.brokerage.delay = 5.0
            async with harness.at_work():
                await until(lambda: harness.status.positions.error is not None)
                harness.sink.statuses.clear()
                await settle(140.0)
                assert len(harness.brokerage.times("positions")) >= 3
                assert None not in [status.positions.error for status in harness.sink.statuses]

    def test_an_error_clears_when_a_poll_succeeds(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.failures["positions"] = OUTAGE
            async with harness.at_work():
                await until(lambda: harness.status.positions.error is not None)
                assert not harness.supervisor.is_ready
                del harness.brokerage.failures["positions"]
                await until(lambda: harness.status.positions.error is None, within=61.0)
                assert harness.sink.status.positions.error is None
                await until(lambda: harness.supervisor.is_ready, within=1.0)

    @pytest.mark.parametrize("what", ["quotes", "clock"])
    def test_failures_of_the_other_polls_are_in_the_status_too(self, what):
        @run_scenario
        async def _(harness):
            harness.brokerage.failures[what] = OUTAGE
            async with harness.at_work():
                await until(lambda: harness.status.positions.error is not None)
                await until(lambda: harness.supervisor.is_ready)

    def test_the_error_of_the_positions_comes_first(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.failures["quotes"] = OUTAGE
            harness.brokerage.failures["positions"] = RestFault("timeout", "late", may_retry=True)
            async with harness.at_work():
                await settle(70.0)
                assert harness.status.positions.error.code == "timeout"

    @pytest.mark.slow
    def test_one_outage_is_logged_once(self, caplog):
        caplog.set_level(logging.INFO, "condord.upstream")

        @run_scenario
        async def _(harness):
            harness.brokerage.failures["positions"] = OUTAGE
            async with harness.at_work():
                await settle(130.0)
                del harness.brokerage.failures["positions"]
                await settle(62.0)

        messages = [record.message for record in caplog.records if record.message.startswith("REST")]
        assert messages == ["REST reading failed", "REST reading works again"]

    def test_the_breaker_is_shown(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.breaker = "open"
            assert harness.status.positions.breaker == "open"

    def test_a_bug_ends_the_supervisor(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.failures["clock"] = ZeroDivisionError()
            with pytest.raises(ExceptionGroup) as caught:
                await harness.supervisor.run()
            assert caught.group_contains(ZeroDivisionError)
            await settle()
            assert harness.options.peers == harness.trading.peers == []


class TestState:
    def test_the_first_state_is_starting(self):
        @run_scenario
        async def _(harness):
            status = harness.status
            assert (status.state, status.since, status.source, status.feed) == (
                "starting",
                STARTED_AT,
                "alpaca-paper",
                "indicative",
            )
            assert status.market == wire.MarketJson(is_open=None, next_open=None, next_close=None)
            assert not harness.supervisor.is_ready

    def test_a_closed_market_is_closed(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.hours = SHUT
            async with harness.at_work():
                await harness.ready()
                assert (harness.status.state, harness.status.market.is_open) == ("closed", False)

    def test_options_on_an_index_fund_trade_a_quarter_of_an_hour_longer_than_alpacas_clock_shows(self):
        @run_scenario
        async def _(harness):
            ago = dt.timedelta(minutes=10)
            harness.brokerage.hours = SHUT
            today = Hours(open_at=STARTED_AT - 40 * ago, close_at=STARTED_AT - ago)
            harness.brokerage.sessions = Calendar({STARTED_AT.date(): today})
            harness.brokerage.held = [holding("SPY261218P00560000")]
            async with harness.at_work():
                await harness.ready()
                assert harness.status.state == "live"
                await until(lambda: harness.status.state == "closed", within=301.0)
                assert len(harness.brokerage.times("calendar")) == 1

    def test_a_calendar_that_cannot_be_read_is_only_a_notice(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.failures["calendar"] = OUTAGE
            async with harness.at_work():
                await harness.ready()
                assert harness.status.positions.error is None
                assert [notice.code for notice in harness.status.notices] == ["calendarUnavailable"]
                del harness.brokerage.failures["calendar"]
                await until(lambda: harness.status.notices == [], within=61.0)

    def test_the_clock_does_not_wait_for_the_calendar(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.calendar = lambda *_: asyncio.Event().wait()
            async with harness.at_work():
                await harness.ready()
                await settle(3 * 60.0)
                assert len(harness.brokerage.times("clock")) == 4

    def test_the_market_opens_between_two_polls_of_the_clock(self):
        @run_scenario(refresh_seconds=7200.0)
        async def _(harness):
            soon = STARTED_AT + dt.timedelta(seconds=100)
            harness.brokerage.hours = msgspec.structs.replace(SHUT, next_open=soon)
            async with harness.at_work():
                await harness.ready()
                assert harness.status.state == "closed"
                await until(lambda: harness.sink.status.state == "live", within=101.0)
                assert 0.0 <= (wall() - soon).total_seconds() <= 1.0
                assert (harness.sink.status.since - soon).total_seconds() <= 1.0

    def test_alpacas_clock_counts_when_it_is_ahead_of_the_machines(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.hours = msgspec.structs.replace(OPEN, offset=dt.timedelta(hours=7))
            async with harness.at_work():
                await harness.ready()
                assert harness.status.state == "closed"

    def test_a_lost_stream_is_reconnecting_and_not_ready(self):
        @run_ready
        async def _(harness):
            harness.options.upgrade = 502
            harness.options.peer.reset()
            await until(lambda: harness.sink.status.state == "reconnecting", within=0.1)
            assert harness.sink.status.code == "unreachable"
            assert not harness.supervisor.is_ready
            assert harness.sink.status.stream.connected is False
            assert harness.sink.status.stream.subscribed == 0

    def test_a_refused_key_halts_the_stream_and_a_retry_recovers_it(self):
        @run_scenario
        async def _(harness):
            harness.options.login = error(402, "auth failed")
            async with harness.at_work():
                await until(lambda: harness.sink.statuses and harness.sink.status.state == "halted")
                assert harness.sink.status.code == "authFailed"
                await settle(5.0)
                harness.options.login = AUTHENTICATED
                harness.supervisor.retry()
                await until(lambda: harness.sink.status.state == "live", within=0.5)

    def test_a_lost_trading_stream_does_not_change_the_state(self):
        @run_scenario
        async def _(harness):
            harness.trading.status = "unauthorized"
            async with harness.at_work():
                await harness.ready()
                assert (harness.status.state, harness.status.code) == ("live", None)

    def test_a_symbol_limit_is_shown_and_the_state_stays_live(self):
        @run_scenario(symbol_limit=3)
        async def _(harness):
            async with harness.at_work():
                await until(lambda: harness.sink.statuses and harness.sink.status.stream.subscribed)
                status = harness.sink.status
                assert (status.state, status.code) == ("live", "symbolLimit")
                assert (status.stream.subscribed, status.stream.requested) == (3, 4)
                assert status.reason == f"Alpaca streams 3 of 4 symbols; read over REST instead: {CONDOR[3]}"
                [notice] = status.notices
                assert (notice.code, notice.symbols) == ("notStreamed", [CONDOR[3]])
                assert harness.options.peer.subscribed == set(CONDOR[:3])

    def test_a_405_is_shown_as_a_symbol_limit(self):
        @run_scenario
        async def _(harness):
            harness.options.limit = 2
            async with harness.at_work():
                await until(lambda: harness.sink.statuses and harness.sink.status.code == "symbolLimit")
                assert (harness.sink.status.state, harness.sink.status.stream.subscribed) == ("live", 2)
                await until(lambda: harness.options.peer.subscribed == set(CONDOR[:2]))
                await until(lambda: harness.sink.status.notices[0].symbols == list(CONDOR[2:]))

    def test_contracts_that_are_not_streamed_are_polled_over_rest(self):
        @run_scenario(symbol_limit=3)
        async def _(harness):
            async with harness.at_work():
                await until(lambda: harness.sink.statuses and harness.sink.status.stream.subscribed == 3)
                await settle(20.5)
                polls = [at for what, at, asked in harness.brokerage.asked if asked == (CONDOR[3],)]
                assert len(polls) == 4
                assert [later - earlier for earlier, later in itertools.pairwise(polls)] == pytest.approx([5.0] * 3)

    def test_a_limit_that_is_gone_is_found_out_within_a_minute(self):
        @run_scenario
        async def _(harness):
            harness.options.limit = 2
            async with harness.at_work():
                await until(lambda: harness.sink.statuses and harness.sink.status.code == "symbolLimit")
                harness.options.limit = None
                await until(lambda: harness.sink.status.code is None, within=62.0)
                assert harness.sink.status.stream.subscribed == 4
                assert harness.sink.status.notices == []

    def test_a_limit_is_shown_as_long_as_it_lasts(self):
        @run_scenario
        async def _(harness):
            harness.options.limit = 2
            async with harness.at_work():
                await until(lambda: harness.sink.statuses and harness.sink.status.code == "symbolLimit")
                await settle(1.0)
                before = len(harness.sink.statuses)
                await settle(130.0)
                assert {status.code for status in harness.sink.statuses[before:]} == {"symbolLimit"}

    def test_nothing_is_polled_while_the_market_is_closed(self):
        @run_scenario(symbol_limit=3)
        async def _(harness):
            harness.brokerage.hours = SHUT
            async with harness.at_work():
                await until(lambda: harness.sink.statuses and harness.sink.status.stream.subscribed == 3)
                await settle(50.0)
                assert (CONDOR[3],) not in [asked for _, _, asked in harness.brokerage.asked]

    def test_everything_is_polled_without_a_stream(self):
        @run_ready
        async def _(harness):
            harness.options.login = error(406)
            harness.options.peer.reset()
            await until(lambda: harness.status.code == "connectionLimit")
            before = len(harness.brokerage.times("quotes"))
            await settle(20.0)
            assert len(harness.brokerage.times("quotes")) == before + 4

    def test_a_silent_symbol_is_a_notice_and_is_polled_and_the_connection_stays(self):
        @run_ready
        async def _(harness):
            harness.sink.silent = frozenset({CONDOR[1], "ANOTHER"})
            await settle(11.0)
            [notice] = harness.sink.status.notices
            assert (notice.code, notice.symbols) == ("silentSymbols", [CONDOR[1]])
            assert harness.sink.status.state == "live"
            assert (CONDOR[1],) in [asked for _, _, asked in harness.brokerage.asked]
            harness.sink.silent = frozenset()
            await until(lambda: harness.sink.status.notices == [], within=1.1)
            assert len(harness.options.all_peers) == 1

    def test_a_disconnected_trading_stream_is_a_notice(self):
        @run_ready
        async def _(harness):
            harness.trading.status = "unauthorized"
            harness.trading.peer.reset()
            await until(lambda: harness.sink.status.notices)
            [notice] = harness.sink.status.notices
            assert notice.code == "tradeUpdatesUnavailable"
            assert "fills are noticed only when positions are polled" in notice.text
            await until(lambda: "API key" in harness.sink.status.notices[0].text)
            assert harness.sink.status.notices[0].since == notice.since
            assert harness.sink.status.state == "live"
            harness.trading.status = "authorized"
            harness.supervisor.retry()
            await until(lambda: not harness.sink.status.notices)

    def test_the_time_of_the_next_attempt_is_shown_without_jitter(self):
        @run_ready
        async def _(harness):
            assert harness.status.stream.next_attempt_at is None
            harness.options.login = error(406)
            harness.options.peer.reset()
            await until(lambda: harness.status.code == "connectionLimit" and harness.status.stream.next_attempt_at)
            next_at, now_at = harness.status.stream.next_attempt_at, wall()
            assert next_at - now_at == pytest.approx(dt.timedelta(seconds=60), abs=dt.timedelta(seconds=1))
            await settle(30.0)
            assert harness.status.stream.next_attempt_at == next_at
            await until(lambda: harness.status.stream.next_attempt_at != next_at, within=31.0)

    def test_since_moves_only_with_the_state(self):
        @run_ready
        async def _(harness):
            harness.options.login = error(406)
            harness.options.peer.reset()
            await until(lambda: harness.sink.status.state == "reconnecting")
            since = harness.sink.status.since
            await until(lambda: harness.sink.status.code == "connectionLimit")
            await settle(70.0)
            assert harness.sink.status.since == since

    def test_since_of_a_steady_state_stays(self):
        @run_ready
        async def _(harness):
            since = harness.status.since
            for seconds in range(30):
                harness.options.peer.send(frame(quote(CONDOR[0], seconds)))
                await settle(1.0)
            assert harness.status.since == since

    def test_the_time_of_the_last_message_is_shown(self):
        @run_ready
        async def _(harness):
            assert harness.status.stream.last_message_at is None
            harness.options.peer.send(frame(quote(CONDOR[0])))
            await until(lambda: harness.sink.offered)
            last_message_at = wall()
            await settle(7.0)
            assert harness.status.stream.last_message_at == last_message_at

    def test_a_change_of_state_is_logged_once_by_its_weight(self, caplog):
        caplog.set_level(logging.INFO, "condord.upstream")

        @run_ready
        async def _(harness):
            harness.options.login = error(402)
            harness.options.peer.reset()
            await settle(20.0)

        states = [
            (record.levelname, record.fields["state"])
            for record in caplog.records
            if record.message == "Option stream changed state"
        ]
        assert states == [("INFO", "live"), ("WARNING", "reconnecting"), ("ERROR", "halted")]


class TestSilence:
    def test_a_silent_stream_is_stale_and_then_live_again(self):
        @run_ready(silence_seconds=30.0)
        async def _(harness):
            await until(lambda: harness.sink.status.state == "stale", within=32.0)
            assert harness.sink.status.code == "silent"
            assert not harness.supervisor.is_ready
            harness.options.peer.send(frame(quote(CONDOR[0])))
            await until(lambda: harness.sink.status.state == "live", within=1.1)
            assert harness.sink.status.reason is None

    def test_newer_quotes_at_rest_mean_a_reconnect(self):
        @run_ready(silence_seconds=30.0)
        async def _(harness):
            harness.sink.has_missed_quotes = True
            await until(lambda: harness.sink.status.state == "reconnecting", within=35.0)
            assert harness.sink.status.code == "silent"
            await until(lambda: harness.status.stream.connected, within=5.0)
            await settle(2.0)
            assert (harness.sink.status.state, harness.sink.status.code) == ("stale", "silent")
            harness.options.peer.send(frame(quote(CONDOR[0])))
            await until(lambda: harness.sink.status.state == "live", within=1.1)

    def test_a_failure_of_rest_does_not_change_the_state_of_the_stream(self):
        @run_ready(silence_seconds=30.0)
        async def _(harness):
            harness.sink.has_missed_quotes = True
            harness.brokerage.failures["quotes"] = OUTAGE
            await until(lambda: harness.sink.status.state == "stale", within=35.0)
            await settle(20.0)
            assert harness.status.state == "stale"

    def test_silence_is_noticed_though_rest_is_never_read_again(self):
        @run_ready(silence_seconds=30.0, refresh_seconds=36_000.0)
        async def _(harness):
            await until(lambda: harness.sink.status.state == "stale", within=32.0)

    @pytest.mark.slow
    def test_a_closed_market_may_be_silent(self):
        @run_scenario(silence_seconds=30.0)
        async def _(harness):
            harness.brokerage.hours = SHUT
            async with harness.at_work():
                await harness.ready()
                await settle(330.0)
                assert harness.status.state == "closed"
                assert len(harness.options.all_peers) == 1

    def test_changed_bounds_take_effect_without_a_reconnect(self):
        @run_ready(silence_seconds=30.0)
        async def _(harness):
            harness.reload(silence_seconds=5.0)
            harness.supervisor.retry()
            await until(lambda: harness.sink.status.state == "stale", within=6.0)
            assert len(harness.options.all_peers) == 1


class TestReload:
    def test_another_key_is_another_account_on_both_streams_and_over_rest(self):
        @run_ready
        async def _(harness):
            harness.brokerage.held = [holding(EXTRA)]
            harness.reload(Login(lambda: "OTHERKEY", lambda: "othersecret"))
            await until(lambda: harness.sink.symbols == (EXTRA,))
            await until(lambda: harness.sink.status.stream.subscribed == 1)
            assert [login[0] for login in harness.options.logins] == [KEY_ID, "OTHERKEY"]
            assert harness.trading.logins[-1][0] == "OTHERKEY"
            assert (harness.options.max_open, harness.trading.max_open) == (1, 1)
            assert harness.sink.status.stream.reconnects == 1

    def test_another_key_of_the_same_account_keeps_the_condors_of_its_orders(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.pages = lambda after: OPENED
            async with harness.at_work():
                await until(lambda: harness.sink.lots)
                harness.brokerage.failures["orders"] = OUTAGE
                harness.sink.lots, harness.sink.positions = (), None
                harness.reload(Login(lambda: "OTHERKEY", lambda: "othersecret"))
                await until(lambda: harness.sink.positions)
                assert [lot.id for lot in harness.sink.lots] == ["opened"]

    def test_another_key_of_another_account_forgets_them(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.pages = lambda after: OPENED
            async with harness.at_work():
                await until(lambda: harness.sink.lots)
                harness.brokerage.failures["orders"] = OUTAGE
                harness.brokerage.account = "account-two"
                harness.sink.positions = None
                harness.reload(Login(lambda: "OTHERKEY", lambda: "othersecret"))
                await until(lambda: harness.sink.positions)
                assert harness.sink.lots == ()

    def test_an_account_that_cannot_be_read_is_a_notice_and_requested_again(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.failures["account"] = OUTAGE
            async with harness.at_work():
                await harness.ready()
                assert [position.symbol for position in harness.sink.positions] == list(CONDOR)
                assert [notice.code for notice in harness.status.notices] == ["accountUnavailable"]
                del harness.brokerage.failures["account"]
                await until(lambda: not harness.status.notices, within=61.0)

    def test_an_answer_about_the_last_account_is_not_shown(self):
        @run_ready
        async def _(harness):
            harness.brokerage.delay = 5.0
            harness.supervisor.refresh()
            await settle(1.0)
            harness.reload(Login(lambda: "OTHERKEY", lambda: "othersecret"))
            harness.sink.positions = None
            await settle(5.0)
            assert harness.sink.positions is None
            await until(lambda: harness.sink.positions is not None, within=6.0)

    def test_another_feed_reconnects_only_the_option_stream(self):
        @run_scenario
        async def _(harness):
            async with OptionServer() as other, harness.at_work():
                await harness.ready()
                harness.reload(feed="opra", option_stream_url=other.url)
                assert harness.status.state == "reconnecting"
                assert "configuration was reloaded" in harness.status.reason
                await until(lambda: harness.status.state == "live")
                assert (harness.status.feed, harness.status.stream.subscribed) == ("opra", 4)
                assert (harness.options.peers, len(harness.trading.all_peers)) == ([], 1)

    def test_the_same_configuration_keeps_both_connections(self):
        @run_ready
        async def _(harness):
            harness.reload()
            await settle(30.0)
            assert (len(harness.options.all_peers), len(harness.trading.all_peers)) == (1, 1)

    def test_a_changed_symbol_limit_keeps_the_connection(self):
        @run_ready
        async def _(harness):
            harness.reload(symbol_limit=2)
            await until(lambda: harness.status.stream.subscribed == 2)
            assert harness.status.code == "symbolLimit"
            harness.reload(symbol_limit=200)
            await until(lambda: harness.status.stream.subscribed == 4)
            await until(lambda: harness.status.code is None)
            assert len(harness.options.all_peers) == 1


class TestTime:
    def test_the_time_at_the_exchange_is_passed_on(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.hours = msgspec.structs.replace(OPEN, offset=dt.timedelta(minutes=5))
            async with harness.at_work():
                await harness.ready()
                assert harness.sink.exchange_times[-1] - wall() == pytest.approx(
                    dt.timedelta(minutes=5), abs=dt.timedelta(seconds=1)
                )

    def test_quotes_at_odds_with_the_clock_have_it_read_again_soon_and_not_all_the_time(self):
        @run_ready
        async def _(harness):
            before = len(harness.brokerage.times("clock"))
            for _ in range(25):
                harness.sink.doubt = True
                await settle(1.0)
            assert len(harness.brokerage.times("clock")) == before + 3


class TestTrust:
    def test_a_failed_poll_is_due_again_soon(self):
        @run_ready
        async def _(harness):
            harness.brokerage.failures["positions"] = OUTAGE
            harness.supervisor.refresh()
            await settle(1.0)
            before = len(harness.brokerage.times("positions"))
            await settle(10.5)
            assert len(harness.brokerage.times("positions")) == before + 2
            del harness.brokerage.failures["positions"]
            await until(lambda: harness.status.positions.error is None, within=5.5)

    @pytest.mark.parametrize(
        ("what", "waits"),
        [
            ("positions", [5, 5, 5, 5, 5]),
            ("orders", [5, 10, 20, 40, 80]),
            ("contract", [5, 10, 20]),
            ("calendar", [5, 10, 20]),
        ],
    )
    def test_polls_without_a_breaker_are_due_again_after_growing_waits(self, what, waits):
        @run_scenario
        async def _(harness):
            harness.brokerage.failures[what] = OUTAGE
            async with harness.at_work():
                await until(lambda: harness.brokerage.times(what))
                await settle(sum(waits) + 8.0)
                times = [at for at, _ in itertools.groupby(harness.brokerage.times(what))]
                between = [round(later - earlier) for earlier, later in itertools.pairwise(times)]
                assert [wait for wait in between if wait > PACE_SECONDS][: len(waits)] == waits

    def test_a_retry_asks_rest_as_well(self):
        @run_ready
        async def _(harness):
            before = len(harness.brokerage.times("positions"))
            harness.supervisor.retry()
            await settle(0.5)
            assert len(harness.brokerage.times("positions")) == before + 1

    def test_quotes_known_only_from_rest_are_unconfirmed_when_rest_is_down(self):
        @run_scenario(symbol_limit=3)
        async def _(harness):
            async with harness.at_work():
                await until(lambda: harness.sink.statuses and harness.sink.status.stream.subscribed == 3)
                await settle(30.0)
                assert harness.sink.lapsed == []
                harness.brokerage.failures["quotes"] = OUTAGE
                await until(lambda: harness.sink.lapsed, within=22.0)
                assert harness.sink.lapsed[-1] == {CONDOR[3]}
                del harness.brokerage.failures["quotes"]
                await settle(6.0)
                before = len(harness.sink.lapsed)
                await settle(30.0)
                assert len(harness.sink.lapsed) == before

    def test_after_a_suspension_every_quote_is_unconfirmed_and_read_again(self):
        @run_ready
        async def _(harness):
            before = len(harness.brokerage.times("quotes"))
            harness.suspended = dt.timedelta(seconds=30)
            await settle(1.5)
            assert harness.sink.gaps == 1
            assert len(harness.brokerage.times("quotes")) > before
            await settle(10.0)
            assert harness.sink.gaps == 1

    def test_after_a_suspension_the_stream_is_stale_at_once_and_live_with_the_next_quote(self):
        @run_ready
        async def _(harness):
            harness.suspended = dt.timedelta(seconds=30)
            harness.supervisor.tick()
            assert (harness.sink.gaps, harness.status.state, harness.status.code) == (1, "stale", "silent")
            assert not harness.supervisor.is_ready
            harness.options.peer.send(frame(quote(CONDOR[0])))  # it has waited: a ping is not answered yet
            await until(lambda: CONDOR[0] in {tick.symbol for tick in harness.sink.offered})
            assert harness.status.state == "stale"
            await settle(0.1)
            harness.options.peer.send(frame(quote(CONDOR[0])))
            await until(lambda: harness.status.state == "live")
            assert harness.sink.gaps == 1

    def test_while_the_market_is_closed_a_suspension_leaves_the_stream_closed(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.hours = SHUT
            async with harness.at_work():
                await until(lambda: harness.supervisor.is_ready)
                harness.suspended = dt.timedelta(seconds=30)
                harness.supervisor.tick()
                assert (harness.sink.gaps, harness.status.state) == (1, "closed")


class TestProgress:
    def test_a_supervisor_at_work_is_never_stuck(self):
        @run_scenario
        async def _(harness):
            harness.options.upgrade = harness.trading.upgrade = None
            harness.brokerage.delay = 300.0
            async with harness.at_work():
                for _ in range(100):
                    await settle(1.0)
                    assert harness.supervisor.stuck(harness.supervisor.stream.now()) is None

    def test_a_supervisor_that_does_not_tick_is_stuck(self):
        @run_ready
        async def _(harness):
            later = harness.supervisor.stream.now() + STUCK_SECONDS + 2.0
            assert harness.supervisor.stuck(later).startswith("the supervisor has not run for")

    @pytest.mark.parametrize("end", ["returns", "raises", "is cancelled by nobody"])
    def test_any_end_of_a_task_ends_the_supervisor(self, end):
        @run_scenario
        async def _(harness):
            async def work():
                await settle(5.0)
                if end == "raises":
                    raise ZeroDivisionError
                if end == "is cancelled by nobody":
                    nobody = asyncio.get_running_loop().create_future()
                    nobody.cancel()
                    await nobody

            harness.supervisor.trades.run = work
            with pytest.raises(ExceptionGroup):
                await harness.supervisor.run()

    @pytest.mark.parametrize("name", ["stream", "trades"])
    def test_a_link_that_nothing_serves_is_stuck(self, name):
        @run_scenario
        async def _(harness):
            getattr(harness.supervisor, name).run = asyncio.Event().wait
            async with harness.at_work():
                await settle(STUCK_SECONDS - 5.0)
                assert harness.supervisor.stuck(harness.supervisor.stream.now()) is None
                await settle(10.0)
                reason = harness.supervisor.stuck(harness.supervisor.stream.now())
                assert "stream is starting 3" in reason


class TestLife:
    def test_the_supervisor_keeps_ticking_while_alpaca_is_unreachable(self):
        @run_scenario
        async def _(harness):
            harness.options.upgrade = harness.trading.upgrade = None
            harness.brokerage.delay = 300.0
            async with harness.at_work():
                for _ in range(50):
                    await settle(1.0)
                    assert asyncio.get_running_loop().time() - harness.supervisor.beat <= 1.0

    @pytest.mark.parametrize("seconds", [0.0, 0.05, 0.5, 3.0])
    def test_a_supervisor_can_be_ended_at_any_time_and_leaves_no_socket(self, seconds):
        @run_scenario
        async def _(harness):
            harness.brokerage.delay = 0.3
            async with harness.at_work():
                await settle(seconds)
