import asyncio
import datetime as dt

import msgspec
import pytest

from condord.core.activity import Activity
from condord.core.calendar import Calendar
from condord.core.market_hours import Hours
from condord.core.trade import Trade
from condord.daemon.recorder import RETRY_SECONDS
from condord.daemon.trade_book import DEBOUNCE_SECONDS, WHOLE, TradeBook
from condord.live.minutes import Extremes, RecordedPast
from condord.live.render_trades import holding
from tests import virtualtime
from tests.fakes.history_store import FakeFault, FakeHistoryStore
from tests.http.fake_daemon import held

NOW_AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
ORDERS = ("an order",)
PUT = "SPY261218P00560000"


def trade(name, days_ago=1, opened_days_ago=10, **changes):
    opened_at = None if opened_days_ago is None else NOW_AT - opened_days_ago * DAY
    new = Trade(
        id=name,
        underlying="SPY",
        kind="ironCondor",
        direction="short",
        quantity=1,
        opened_at=opened_at,
        closed_at=NOW_AT - days_ago * DAY,
        how="closed",
        credit_e4=20_000,
        debit_e4=10_000,
        realized_e4=1_000_000,
        max_profit_e4=2_000_000,
        is_whole=True,
    )
    return msgspec.structs.replace(new, **changes)


def activity(name, days_ago=1):
    at = NOW_AT - days_ago * DAY
    return Activity(id=name, kind="OPEXP", symbol=PUT, quantity=1, at=at, day=at.date())


class FakeWorker:
    """Returns `found` and `wanted` instead of computing; `inputs` has the arguments of each computation."""

    def __init__(self):
        self.found, self.wanted = (), frozenset()
        self.inputs = []
        self.can_work = asyncio.Event()
        self.can_work.set()

    async def __call__(self, work):
        self.inputs.append(work.keywords)
        found, wanted = self.found, self.wanted
        await self.can_work.wait()
        return found, wanted


class Harness:
    """A trade book whose task runs while the context is open."""

    def __init__(self):
        self.store = FakeHistoryStore()
        self.worker = FakeWorker()
        self.recalled = []
        self.book = TradeBook(
            self.store, switch=self._switch, recall=self.recalled.append, work=self.worker, now_at=lambda: NOW_AT
        )

    async def _switch(self, account_key):
        return await self.store.switch_to(account_key, "alpaca-paper", NOW_AT.date())

    async def __aenter__(self):
        self._task = asyncio.create_task(self.book.run())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.wait([self._task])

    async def begin(self, account="one", orders=ORDERS):
        """Do what the supervisor does at a start."""
        await self.book.switch_to(account)
        activities, complete_from = await self.book.recall_past()
        self.book.set_account([held(PUT, -1)], orders)
        await self.settle()
        return activities, complete_from

    async def settle(self):
        await asyncio.sleep(3 * DEBOUNCE_SECONDS)

    async def shown(self, from_at=None, until_at=None):
        return [each.id for each in (await self.book.trades(from_at, until_at)).trades]


def run(main):
    virtualtime.run(main())


def test_trades_are_computed_from_all_orders_and_activities_and_saved():
    async def scenario():
        async with Harness() as harness:
            harness.store.activities, harness.store.complete_from = (activity("b"),), NOW_AT - 100 * DAY
            harness.worker.found = (trade("SPY-1"),)
            calendar = Calendar({NOW_AT.date(): Hours(open_at=NOW_AT, close_at=NOW_AT + DAY)})
            harness.book.set_calendar(calendar)
            assert await harness.begin() == ((activity("b"),), NOW_AT - 100 * DAY)
            harness.book.add_day_closes({("SPY", NOW_AT.date()): 5_800_000})
            await harness.book.add_past([activity("a", days_ago=2)], NOW_AT - 200 * DAY)
            await harness.settle()
            assert harness.worker.inputs[-1] == {
                "orders": ORDERS,
                "activities": (activity("b"), activity("a", days_ago=2)),
                "multipliers": {PUT: 100},
                "closes_e4": {("SPY", NOW_AT.date()): 5_800_000},
                "calendar": calendar,
            }
            assert harness.store.trades == (trade("SPY-1"),)
            assert {each.id for each in harness.store.activities} == {"a", "b"}
            assert harness.store.complete_from == NOW_AT - 200 * DAY
            assert await harness.shown() == ["SPY-1"]

    run(scenario)


def test_a_burst_of_changes_is_computed_once_and_no_change_is_not():
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            for name in "abc":
                await harness.book.add_past([activity(name)], NOW_AT - 100 * DAY)
            await harness.settle()
            assert len(harness.worker.inputs) == 2
            await harness.book.add_past([activity("c")], NOW_AT - 100 * DAY)
            harness.book.set_account([held(PUT, -2)], ORDERS)
            harness.book.set_account([], ORDERS)
            harness.book.set_calendar(Calendar())
            await harness.settle()
            assert len(harness.worker.inputs) == 2

    run(scenario)


def test_without_orders_nothing_is_computed_and_stored_trades_stay():
    async def scenario():
        async with Harness() as harness:
            harness.store.trades = (trade("SPY-1"),)
            await harness.begin(orders=())
            assert (harness.worker.inputs, harness.store.saved) == ([], [])
            assert await harness.shown() == ["SPY-1"]

    run(scenario)


def test_a_stored_trade_that_the_evidence_contradicts_is_removed():
    async def scenario():
        async with Harness() as harness:
            harness.store.complete_from = NOW_AT - 100 * DAY
            harness.store.trades = (trade("KEPT", days_ago=101), trade("GONE", days_ago=99))
            harness.worker.found = (trade("NEW", days_ago=2),)
            await harness.begin()
            assert await harness.shown() == ["NEW", "KEPT"]
            assert [each.id for each in harness.store.trades] == ["NEW", "KEPT"]

    run(scenario)


@pytest.mark.parametrize("opened_days_ago", [None, WHOLE.days + 1])
def test_a_stored_trade_whose_orders_are_no_longer_kept_stays_as_it_is(opened_days_ago):
    async def scenario():
        async with Harness() as harness:
            harness.store.complete_from = NOW_AT - 1000 * DAY
            whole = trade("OLD", days_ago=350, opened_days_ago=WHOLE.days + 1)
            harness.store.trades = (whole,)
            found = trade("OLD", days_ago=350, opened_days_ago=opened_days_ago, how="expired")
            harness.worker.found = (found,)
            await harness.begin()
            assert harness.store.trades == (whole if opened_days_ago is None else found,)

    run(scenario)


def test_a_trade_that_is_completed_replaces_its_earlier_form():
    async def scenario():
        async with Harness() as harness:
            harness.store.trades = (trade("SPY-1", realized_e4=None),)
            harness.worker.found = (trade("SPY-1"),)
            await harness.begin()
            assert harness.store.trades == (trade("SPY-1"),)

    run(scenario)


@pytest.mark.parametrize(("quantity", "result_e4"), [(1, -5_000_000), (2, None)])
def test_a_result_is_kept_until_the_close_that_it_needs_is_read_again(quantity, result_e4):
    async def scenario():
        async with Harness() as harness:
            harness.store.complete_from = NOW_AT - 100 * DAY
            harness.store.trades = (trade("SPY-1", how="assigned", realized_e4=-5_000_000),)
            harness.worker.found = (trade("SPY-1", how="assigned", realized_e4=None, quantity=quantity),)
            await harness.begin()
            assert [each.realized_e4 for each in harness.store.trades] == [result_e4]

    run(scenario)


def test_a_result_that_is_kept_has_the_extremes_that_the_evidence_allows():
    async def scenario():
        async with Harness() as harness:
            harness.store.complete_from = NOW_AT - 100 * DAY
            harness.store.trades = (trade("SPY-1", how="assigned", is_whole=False),)
            harness.worker.found = (trade("SPY-1", how="assigned", realized_e4=None),)
            await harness.begin()
            assert harness.store.trades == (trade("SPY-1", how="assigned"),)

    run(scenario)


def test_the_closes_that_assignments_need_are_wanted_until_they_are_known():
    async def scenario():
        async with Harness() as harness:
            needed = {("SPY", NOW_AT.date()), ("QQQ", NOW_AT.date())}
            assert harness.book.wanted_closes == frozenset()
            harness.worker.wanted = frozenset(needed)
            await harness.begin()
            assert harness.book.wanted_closes == needed
            harness.book.add_day_closes({("SPY", NOW_AT.date()): 5_800_000})
            assert harness.book.wanted_closes == {("QQQ", NOW_AT.date())}
            harness.book.forget()
            assert harness.book.wanted_closes == frozenset()

    run(scenario)


def test_the_close_of_a_new_assignment_is_wanted_at_once():
    async def scenario():
        async with Harness() as harness:
            await harness.begin()
            assigned = msgspec.structs.replace(activity("a"), kind="OPASN")
            await harness.book.add_past([assigned], NOW_AT - 100 * DAY)
            assert harness.book.wanted_closes == {("SPY", assigned.day)}

    run(scenario)


def test_another_account_begins_with_its_own_past():
    async def scenario():
        async with Harness() as harness:
            harness.store.past = RecordedPast(quantities={"SPY-1": 1})
            harness.worker.found = (trade("SPY-1"),)
            await harness.begin("one")
            harness.store.trades, harness.worker.found = (trade("QQQ-1"),), ()
            harness.book.forget()
            assert await harness.shown() == []
            await harness.book.switch_to("two")
            assert harness.recalled == [harness.store.past] * 2
            assert await harness.shown() == ["QQQ-1"]
            await harness.settle()
            assert harness.worker.inputs == harness.worker.inputs[:1]  # the orders of the first account are gone

    run(scenario)


def test_orders_that_are_read_before_the_account_is_known_count():
    async def scenario():
        async with Harness() as harness:
            harness.book.set_account([held(PUT, -1)], ORDERS)
            harness.worker.found = (trade("SPY-1"),)
            await harness.book.switch_to("one")
            await harness.settle()
            assert harness.worker.inputs == []  # without the stored activities, a part of the trades would be lost
            await harness.book.recall_past()
            await harness.settle()
            assert harness.worker.inputs[-1]["orders"] == ORDERS
            assert harness.worker.inputs[-1]["multipliers"] == {PUT: 100}
            assert harness.store.trades == (trade("SPY-1"),)

    run(scenario)


def test_results_for_the_previous_account_are_dropped():
    async def scenario():
        async with Harness() as harness:
            harness.worker.can_work.clear()
            harness.worker.found = (trade("SPY-1"),)
            await harness.begin("one")
            harness.book.forget()
            await harness.book.switch_to("two")
            harness.worker.can_work.set()
            await harness.settle()
            assert (await harness.shown(), harness.store.saved) == ([], [])

    run(scenario)


def test_an_account_that_is_switched_again_while_it_is_loaded_recalls_nothing():
    async def scenario():
        async with Harness() as harness:
            harness.store.can_write.clear()
            switching = [asyncio.create_task(harness.book.switch_to(name)) for name in ("one", "two")]
            await asyncio.sleep(0)
            harness.store.can_write.set()
            await asyncio.gather(*switching)
            assert len(harness.recalled) == 1

    run(scenario)


def test_while_the_database_cannot_be_used_trades_come_from_memory_without_extremes():
    async def scenario():
        async with Harness() as harness:
            harness.store.trades = (trade("STORED", days_ago=300),)
            harness.store.complete_from = NOW_AT - 100 * DAY
            harness.store.holdings = {holding(trade("SPY-1")): Extremes(worst=-5_000, best=2_500)}
            harness.store.fault = FakeFault(text="it is locked", since=NOW_AT)
            harness.worker.found = (trade("SPY-1"),)
            await harness.begin()
            (shown,) = (await harness.book.trades(None, None)).trades
            assert (shown.id, shown.worst_pl) == ("SPY-1", None)
            harness.store.fault = None
            await harness.book.add_past([activity("a")], NOW_AT - 100 * DAY)
            await harness.settle()
            shown, stored = (await harness.book.trades(None, None)).trades
            assert (shown.id, shown.worst_pl, shown.best_pl) == ("SPY-1", -50, 25)
            assert stored.id == "STORED"

    run(scenario)


def test_stored_trades_are_served_as_soon_as_the_database_can_be_used_again():
    async def scenario():
        async with Harness() as harness:
            harness.store.trades = (trade("STORED"),)
            harness.store.fault = FakeFault(text="it is locked", since=NOW_AT)
            await harness.begin(orders=())
            assert await harness.shown() == []
            harness.store.fault = None
            assert await harness.shown() == ["STORED"]

    run(scenario)


def test_the_recorded_past_is_recalled_when_the_database_can_be_used_again():
    async def scenario():
        async with Harness() as harness:
            harness.store.fault = FakeFault(text="it is locked", since=NOW_AT)
            await harness.begin()
            await asyncio.sleep(2 * RETRY_SECONDS)
            assert harness.recalled == [RecordedPast()]
            harness.store.fault, harness.store.past = None, RecordedPast(quantities={"SPY-1": 1})
            await asyncio.sleep(3 * RETRY_SECONDS)
            assert harness.recalled == [RecordedPast(), harness.store.past]
            assert {account for account, *_ in harness.store.accounts} == {"one"}

    run(scenario)


def test_until_the_account_is_known_no_trades_are_loaded_and_nothing_is_complete():
    async def scenario():
        async with Harness() as harness:
            harness.store.trades, harness.store.complete_from = (trade("STORED"),), NOW_AT - 100 * DAY
            answer = await harness.book.trades(None, None)
            assert (answer.trades, answer.totals.complete_from) == ([], None)
            await harness.begin(orders=())
            answer = await harness.book.trades(None, None)
            assert (len(answer.trades), answer.totals.complete_from) == (1, NOW_AT - 100 * DAY)

    run(scenario)


def test_the_totals_are_complete_from_the_instant_from_which_trades_were_computed():
    async def scenario():
        async with Harness() as harness:
            harness.store.complete_from = NOW_AT - 100 * DAY
            await harness.begin()
            harness.worker.can_work.clear()
            await harness.book.add_past([activity("a", days_ago=150)], NOW_AT - 200 * DAY)
            await harness.settle()
            assert (await harness.book.trades(None, None)).totals.complete_from == NOW_AT - 100 * DAY
            harness.worker.can_work.set()
            await harness.settle()
            assert (await harness.book.trades(None, None)).totals.complete_from == NOW_AT - 200 * DAY

    run(scenario)


def test_an_account_that_has_never_filled_an_order_is_complete_without_trades():
    async def scenario():
        async with Harness() as harness:
            await harness.begin(orders=())
            await harness.book.add_past([], NOW_AT - 400 * DAY)
            assert (await harness.book.trades(None, None)).totals.complete_from is None
            await harness.settle()
            assert (await harness.book.trades(None, None)).totals.complete_from == NOW_AT - 400 * DAY

    run(scenario)


def test_trades_are_those_closed_between_two_instants_with_the_totals_of_these():
    async def scenario():
        async with Harness() as harness:
            harness.store.complete_from = NOW_AT - 100 * DAY
            harness.worker.found = tuple(trade(f"SPY-{days}", days_ago=days) for days in (1, 2, 3))
            await harness.begin()
            assert await harness.shown() == ["SPY-1", "SPY-2", "SPY-3"]
            assert await harness.shown(from_at=NOW_AT - 2 * DAY) == ["SPY-1", "SPY-2"]
            assert await harness.shown(until_at=NOW_AT - 2 * DAY) == ["SPY-3"]
            answer = await harness.book.trades(NOW_AT - 2 * DAY, NOW_AT - DAY)
            assert (answer.totals.trades, answer.totals.realized_pl) == (1, 100)
            assert answer.totals.complete_from == NOW_AT - 100 * DAY

    run(scenario)
