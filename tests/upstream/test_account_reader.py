import asyncio
import contextlib
import datetime as dt
import itertools

import msgspec
import pytest

from condord.core.calendar import Calendar
from condord.core.day_pl import ClosingPrices, DayFill
from condord.core.market_hours import hours_of
from condord.core.position import Holdings
from condord.core.working_order import OrderLeg, WorkingOrder
from condord.upstream.account_reader import PAGES_PER_READING, SETTLE_SECONDS, AccountReader, closes_of
from condord.upstream.interfaces import FillPage
from condord.upstream.rate_limit import SHARES
from condord.upstream.rest_fault import RestFault
from tests.fakes.alpaca import (
    BALANCES,
    OUTAGE,
    SHORT_PUT,
    STARTED_AT,
    FakeBrokerage,
    FakeMarketSink,
    wall,
)
from tests.virtualtime import run

REFRESH_SECONDS = 60.0
TODAY = dt.date(2026, 11, 20)
MIDNIGHT_AT = dt.datetime(2026, 11, 20, 5, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def fill(minute, quantity=1):
    """A fill `minute` minutes after the tests began."""
    at = STARTED_AT + dt.timedelta(minutes=minute)
    return DayFill(symbol=SHORT_PUT, quantity=quantity, price_e6=1_000_000, at=at)


def order(id_, replaces=None):
    leg = OrderLeg(symbol=SHORT_PUT, quantity=1, closes=True)
    return WorkingOrder(id=id_, submitted_at=STARTED_AT, limit_e4=500, quantity=1, legs=(leg,), origin=replaces)


class Harness:
    """A reader of fakes; `chains` has the first order of known chains, `failures` the current ones by name.

    `unknown` is why it is not known which account it is, None once it is.
    """

    def __init__(self, refresh_seconds=REFRESH_SECONDS):
        self.brokerage = FakeBrokerage()
        self.sink = FakeMarketSink()
        self.refresh_seconds = refresh_seconds
        self.chains = {}
        self.failures = {}
        self.unknown = None

    async def ready(self):
        """The account may be shown, unless there is a fault."""
        if self.unknown is not None:
            raise self.unknown

    @contextlib.contextmanager
    def noting(self, what):
        try:
            yield
        except RestFault as fault:
            self.failures[what] = fault.code
        else:
            self.failures.pop(what, None)

    def run_scenario(self, seconds, *events):
        """Run for `seconds`; each event is (seconds, function of the reader)."""

        async def main():
            reader = AccountReader(
                brokerage=self.brokerage,
                sink=self.sink,
                now_at=wall,
                refresh_seconds=self.refresh_seconds,
                ready=self.ready,
                origin=lambda id_: self.chains.get(id_, id_),
                noting=self.noting,
                is_good=lambda what: what not in self.failures,
            )
            loop = asyncio.get_running_loop()
            for at, event in events:
                loop.call_at(1000.0 + at, event, reader)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
                    for work in reader.tasks():
                        tasks.create_task(work)

        run(main())

    def times(self, what):
        """When requests went, in seconds since the start."""
        return [round(at - 1000.0, 6) for name, at, _ in self.brokerage.asked if name == what]

    def arguments(self, what):
        return [argument for name, _, argument in self.brokerage.asked if name == what]


class TestBalances:
    def test_balances_are_read_with_each_refresh_and_have_the_transfers_of_today(self):
        harness = Harness()
        harness.brokerage.transferred_e4 = -5_000_000
        harness.run_scenario(65.0)
        assert len(harness.times("balances")) == 2
        assert harness.arguments("transfers") == [TODAY, TODAY]
        assert harness.sink.last("set_account_summary") == (msgspec.structs.replace(BALANCES, transfers_e4=-5_000_000),)

    def test_nothing_is_read_of_an_unknown_account(self):
        harness = Harness()
        harness.unknown = OUTAGE
        harness.run_scenario(1.0)
        assert harness.failures == dict.fromkeys(("balances", "workingOrders", "dayFills"), "serverError")
        assert harness.brokerage.asked == []

    def test_without_the_transfers_the_balances_count_and_the_failure_is_noted(self):
        harness = Harness()
        harness.brokerage.failures["transfers"] = OUTAGE
        harness.run_scenario(1.0)
        assert harness.sink.last("set_account_summary") == (BALANCES,)
        assert harness.failures == {"balances": "serverError"}

    def test_failures_are_tried_again_with_growing_waits(self):
        harness = Harness()
        harness.brokerage.failures["balances"] = OUTAGE
        harness.run_scenario(100.0)
        pauses = [round(after - before) for before, after in itertools.pairwise(harness.times("balances"))]
        assert pauses == [5, 10, 20, 40]
        assert "set_account_summary" not in harness.sink.names()

    def test_the_transfers_of_the_next_day_are_read_when_it_begins(self):
        harness = Harness(refresh_seconds=80_000.0)
        harness.run_scenario(51_000.0)  # the tests begin at 10:00 in New York
        assert harness.arguments("transfers") == [TODAY, TODAY + dt.timedelta(days=1)]
        assert harness.times("transfers")[1] == pytest.approx(50_401.0, abs=1.0)


class TestOrders:
    def test_orders_are_read_with_each_refresh_and_soon_after_a_trade(self):
        harness = Harness()
        harness.brokerage.working = [order("one")]
        harness.run_scenario(40.0, (20.0, lambda reader: reader.traded()))
        assert harness.times("workingOrders") == [0.1, 20.1, 20.1 + SETTLE_SECONDS]
        assert harness.sink.last("set_working_orders") == ([order("one")],)

    def test_an_order_has_the_first_of_its_chain_as_origin(self):
        harness = Harness()
        harness.brokerage.working = [order("b", replaces="a")]
        harness.run_scenario(
            40.0,
            (10.0, lambda _: setattr(harness.brokerage, "working", [order("c", replaces="b"), order("x")])),
            (11.0, lambda reader: reader.ask()),
            (20.0, lambda _: setattr(harness.brokerage, "working", [order("d", replaces="c")])),
            (21.0, lambda reader: reader.ask()),
        )
        received = [arguments[0] for name, *arguments in harness.sink.calls if name == "set_working_orders"]
        assert [[one.origin for one in orders] for orders in received] == [["a"], ["a", None], ["a"]]

    def test_the_order_history_knows_chains_from_before_the_start(self):
        harness = Harness()
        harness.chains = {"b": "a", "c": "a"}
        harness.brokerage.working = [order("c", replaces="b")]
        harness.run_scenario(1.0)
        assert harness.sink.last("set_working_orders")[0][0].origin == "a"


class TestFills:
    def test_fills_of_today_are_read_from_the_start_of_the_day_at_the_exchange(self):
        harness = Harness()
        harness.brokerage.fill_pages = lambda *_: FillPage(
            fills={"b": fill(0), "c": fill(0), "a": fill(1)}, last_id="c", is_full=False
        )
        harness.run_scenario(1.0)
        assert harness.arguments("dayFills") == [(TODAY, MIDNIGHT_AT - SECOND, None)]
        assert harness.sink.last("set_day_fills") == (TODAY, [fill(0), fill(0), fill(1)])

    def test_a_day_without_fills_is_known_to_have_none(self):
        harness = Harness()
        harness.run_scenario(1.0)
        assert harness.sink.last("set_day_fills") == (TODAY, [])

    def test_every_page_is_read_before_any_fill_counts(self):
        harness = Harness()
        pages = {
            None: FillPage(fills={"a": fill(0)}, last_id="a", is_full=True),
            "a": FillPage(fills={"b": fill(1)}, last_id="b", is_full=True),
            "b": FillPage(fills={"c": fill(2)}, last_id="c", is_full=False),
        }
        harness.brokerage.fill_pages = lambda day, after, token: pages[token]
        harness.run_scenario(1.0)
        assert [token for _, _, token in harness.arguments("dayFills")] == [None, "a", "b"]
        assert harness.sink.names().count("set_day_fills") == 1
        assert harness.sink.last("set_day_fills") == (TODAY, [fill(0), fill(1), fill(2)])

    def test_later_reads_begin_a_little_before_the_newest_fill_and_add_to_it(self):
        harness = Harness()
        pages = [
            FillPage(fills={"a": fill(-300), "b": fill(-10)}, last_id="b", is_full=False),
            FillPage(fills={"b": fill(-10), "c": fill(0)}, last_id="c", is_full=False),
        ]
        harness.brokerage.fill_pages = lambda *_: pages.pop(0)
        harness.run_scenario(10.0, (5.0, lambda reader: reader.ask()))
        afters = [after for _, after, _ in harness.arguments("dayFills")]
        assert afters == [MIDNIGHT_AT - SECOND, STARTED_AT - dt.timedelta(minutes=15)]
        assert harness.sink.last("set_day_fills") == (TODAY, [fill(-300), fill(-10), fill(0)])

    def test_a_failure_between_pages_sets_nothing_until_all_were_read(self):
        harness = Harness()
        harness.brokerage.fill_pages = lambda *_: FillPage(fills={"a": fill(0)}, last_id="a", is_full=True)

        async def fail_on_the_second(day, after, token):
            if token is not None:
                raise OUTAGE
            return FillPage(fills={"a": fill(0)}, last_id="a", is_full=True)

        harness.brokerage.day_fills = fail_on_the_second
        harness.run_scenario(1.0)
        assert "set_day_fills" not in harness.sink.names()
        assert harness.failures == {"dayFills": "serverError"}

    @pytest.mark.parametrize("last_id", [None, "same"])
    def test_a_page_that_leads_nowhere_is_the_last(self, last_id):
        harness = Harness()
        harness.brokerage.fill_pages = lambda *_: FillPage(fills={}, last_id=last_id, is_full=True)
        harness.run_scenario(1.0)
        assert len(harness.times("dayFills")) == (1 if last_id is None else 2)
        assert harness.sink.last("set_day_fills") == (TODAY, [])

    def test_an_endless_list_is_given_up_and_the_fills_are_not_known(self):
        harness = Harness()
        numbers = itertools.count()
        harness.brokerage.fill_pages = lambda *_: FillPage(fills={}, last_id=f"{next(numbers)}", is_full=True)
        harness.run_scenario(1.0)
        assert len(harness.times("dayFills")) == PAGES_PER_READING
        assert "set_day_fills" not in harness.sink.names()

    def test_fills_are_read_soon_after_a_trade_and_once_more_a_little_later(self):
        harness = Harness()
        harness.run_scenario(40.0, (20.0, lambda reader: reader.traded()))
        assert harness.times("dayFills") == [0.1, 20.1, 20.1 + SETTLE_SECONDS]

    def test_the_next_day_begins_without_fills_as_soon_as_it_is_there(self):
        harness = Harness(refresh_seconds=80_000.0)
        harness.brokerage.fill_pages = lambda day, *_: FillPage(
            fills={"a": fill(0)} if day == TODAY else {}, last_id="a", is_full=False
        )
        harness.run_scenario(51_000.0)
        received = [(day, len(fills)) for name, day, fills in (one for one in harness.sink.calls if len(one) == 3)]
        assert received == [(TODAY, 1), (TODAY + dt.timedelta(days=1), 0)]
        assert harness.times("dayFills")[1] == pytest.approx(50_401.0, abs=1.0)


class TestKeys:
    def test_answers_to_the_last_key_are_dropped_and_everything_is_read_again(self):
        harness = Harness()
        harness.brokerage.delay = 2.0
        harness.brokerage.fill_pages = lambda *_: FillPage(fills={"a": fill(0)}, last_id="a", is_full=False)
        harness.run_scenario(3.0, (1.0, lambda reader: reader.forget()))
        assert harness.sink.calls == []
        again = Harness()
        again.brokerage.delay = 2.0
        again.run_scenario(12.0, (1.0, lambda reader: reader.forget()))
        assert set(again.sink.names()) == {"set_account_summary", "set_working_orders", "set_day_fills"}

    def test_a_failure_of_the_transfers_sets_no_balances_of_another_key(self):
        harness = Harness()
        harness.brokerage.delay = 2.0
        harness.brokerage.failures["transfers"] = OUTAGE
        harness.run_scenario(4.5, (3.0, lambda reader: reader.forget()))
        assert "set_account_summary" not in harness.sink.names()


class TestBudget:
    def test_a_flood_of_trades_stays_within_the_share(self):
        harness = Harness(refresh_seconds=1.0)
        harness.run_scenario(300.0, *((second / 2, lambda reader: reader.traded()) for second in range(600)))
        times = sorted(at for _, at, _ in harness.brokerage.asked)
        most, seconds = SHARES["account"]
        burst = 2 * 4  # each poll may begin with two at once, and balances take two requests
        assert len(times) <= 300.0 / seconds * most + burst

    def test_each_kind_is_read_although_another_hangs(self):
        harness = Harness()

        async def hang(*_):
            await asyncio.Event().wait()

        harness.brokerage.account_summary = hang
        harness.run_scenario(1.0)
        assert {name for name, _, _ in harness.brokerage.asked} == {"workingOrders", "dayFills"}


class TestCloses:
    HELD = Holdings(options=(), stocks={}, closes_e4={SHORT_PUT: 12_300})

    @pytest.mark.parametrize(
        ("now_at", "day"),
        [
            (STARTED_AT, dt.date(2026, 11, 19)),
            (dt.datetime(2026, 11, 21, 4, 59, tzinfo=dt.UTC), dt.date(2026, 11, 19)),
            (dt.datetime(2026, 11, 21, 5, tzinfo=dt.UTC), dt.date(2026, 11, 20)),
            (dt.datetime(2026, 11, 23, 15, tzinfo=dt.UTC), dt.date(2026, 11, 20)),
        ],
    )
    def test_closes_come_from_the_last_session_before_today(self, now_at, day):
        assert closes_of(self.HELD, Calendar(), now_at) == ClosingPrices(day=day, prices_e4={SHORT_PUT: 12_300})

    def test_a_holiday_has_no_close(self):
        days = (dt.date(2026, 11, 25), dt.date(2026, 11, 27))
        calendar = Calendar({day: hours_of(day, dt.time(9, 30), dt.time(16)) for day in days})
        now_at = dt.datetime(2026, 11, 27, 15, tzinfo=dt.UTC)
        assert closes_of(self.HELD, calendar, now_at).day == dt.date(2026, 11, 25)
