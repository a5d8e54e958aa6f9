import asyncio
import types

from condord.core.calendar import Calendar
from condord.core.expiry import Expiry
from condord.core.position import Holdings
from condord.upstream.applied_positions import AppliedPositions
from tests.fakes.alpaca import CONDOR, STARTED_AT, FakeWholeSink, holding, wall
from tests.upstream.test_order_history import CONDOR_ORDER
from tests.virtualtime import run, settle, until


class Reader:
    """The parts of an activity reader."""

    def __init__(self):
        self.activities, self.splits = ("booked",), ("split",)
        self.watched = []

    def watch_splits(self, stocks):
        is_new = stocks not in self.watched
        self.watched.append(stocks)
        return is_new


class Sink(FakeWholeSink):
    """A sink whose grouping takes `seconds`, and that notes the order of calls."""

    def __init__(self):
        super().__init__()
        self.seconds = 0.0
        self.regrouped = 0

    async def regroup(self, _positions, _lots):
        self.regrouped += 1
        await asyncio.sleep(self.seconds)

    def set_positions(self, *arguments):
        self.calls.append(("set_positions",))
        super().set_positions(*arguments)


class Harness:
    def __init__(self):
        self.sink = Sink()
        self.has_learned = asyncio.Event()
        self.reader = Reader()
        self.request_splits = 0
        self.applied = []
        self.orders = types.SimpleNamespace(history=types.SimpleNamespace(orders=()), was_tried=False)
        known = types.SimpleNamespace(
            contracts=types.SimpleNamespace(answers=types.SimpleNamespace(applied=tuple)), orders=self.orders
        )
        self.positions = AppliedPositions(
            sink=self.sink,
            identity=types.SimpleNamespace(known=known),
            memory=types.SimpleNamespace(activity_reader=self.reader),
            hours=types.SimpleNamespace(calendar=Calendar()),
            now_at=wall,
            has_learned=self.has_learned,
            request_splits=self._want_splits,
            applied=self.applied.append,
        )

    def _want_splits(self):
        self.request_splits += 1

    def take(self, *symbols):
        self.positions.take(Holdings(options=tuple(map(holding, symbols)), stocks={"SPY": 7}, closes_e4={"A": 5}))


def run_scenario(test):
    """Run `test` with a harness at work, on a virtual loop."""

    async def main():
        harness = Harness()
        task = asyncio.ensure_future(harness.positions.apply_all())
        await test(harness)
        task.cancel()

    run(main())


def test_positions_are_applied_with_everything_that_is_known():
    @run_scenario
    async def _(harness):
        assert (harness.positions.read_at, harness.positions.expiries) == (None, {})
        harness.take(*CONDOR)
        await until(lambda: harness.applied)
        assert [one.symbol for one in harness.sink.positions] == list(CONDOR)
        assert (harness.sink.shares, harness.sink.activities, harness.sink.splits) == (
            {"SPY": 7},
            ("booked",),
            ("split",),
        )
        assert harness.positions.read_at == STARTED_AT
        expiry = harness.positions.expiries[CONDOR[0]]
        assert expiry == Expiry("SPY", "SPY", expiry.day)


def test_the_closes_that_came_with_the_positions_are_set_before_them():
    @run_scenario
    async def _(harness):
        harness.take(*CONDOR)
        await until(lambda: harness.applied)
        assert [name for name, *_ in harness.sink.calls] == ["set_closes", "set_positions"]
        assert harness.sink.last("set_closes")[0].prices_e4 == {"A": 5}


def test_orders_are_reported_complete_once_positions_are_set_with_them():
    @run_scenario
    async def _(harness):
        harness.take(*CONDOR)
        await until(lambda: harness.applied)
        assert harness.sink.complete == []
        harness.orders.was_tried, harness.orders.history.orders = True, (CONDOR_ORDER,)
        harness.has_learned.set()
        await until(lambda: len(harness.applied) == 2)
        assert harness.sink.complete == [(CONDOR_ORDER,)]


def test_whether_new_symbols_are_held_is_passed_on():
    @run_scenario
    async def _(harness):
        for symbols in (CONDOR[:2], CONDOR[:2], CONDOR[1:3], CONDOR[1:2]):
            count = len(harness.applied)
            harness.take(*symbols)
            await until(lambda count=count: len(harness.applied) > count)
        assert harness.applied == [True, False, True, False]


def test_splits_are_asked_for_when_other_stocks_are_held():
    @run_scenario
    async def _(harness):
        for symbol in (CONDOR[0], CONDOR[1], "QQQ261218C00650000"):
            count = len(harness.applied)
            harness.take(symbol)
            await until(lambda count=count: len(harness.applied) > count)
        assert harness.request_splits == 2


def test_new_facts_about_orders_wait_for_the_positions():
    @run_scenario
    async def _(harness):
        harness.has_learned.set()
        await settle(1.0)
        assert (harness.sink.regrouped, harness.applied) == (0, [])


def test_new_facts_about_orders_during_a_grouping_are_applied_after_it():
    @run_scenario
    async def _(harness):
        harness.sink.seconds = 5.0
        harness.take(*CONDOR)
        await settle(1.0)
        harness.has_learned.set()
        await settle(1.0)
        assert harness.sink.regrouped == 1
        await until(lambda: len(harness.applied) == 2)
        assert harness.sink.regrouped == 2


def test_positions_of_the_last_key_are_not_applied():
    @run_scenario
    async def _(harness):
        harness.sink.seconds = 5.0
        harness.take(*CONDOR)
        await settle(1.0)
        harness.positions.forget()
        await settle(10.0)
        assert (harness.applied, harness.positions.read_at) == ([], None)
        harness.has_learned.set()
        await settle(10.0)
        assert harness.applied == []


def test_positions_of_the_next_key_are_applied_although_they_came_while_those_of_the_last_key_were_grouped():
    @run_scenario
    async def _(harness):
        harness.sink.seconds = 5.0
        harness.take(*CONDOR)
        await settle(1.0)
        harness.positions.forget()
        harness.take("QQQ261218C00650000")
        await settle(20.0)
        assert len(harness.applied) == 1
        assert harness.sink.symbols == ("QQQ261218C00650000",)
