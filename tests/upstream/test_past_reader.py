import asyncio
import contextlib
import datetime as dt

import pytest

from condord.core.activity import Activity
from condord.core.market_hours import exchange_day, start_of_day
from condord.upstream.past_reader import CLOSES_SECONDS, PACE_SECONDS, WHOLE_SECONDS, PastReader
from condord.upstream.rest_fault import RestFault
from tests.fakes.alpaca import OUTAGE, STARTED_AT, FakeBrokerage, FakeTradeSink, wall
from tests.virtualtime import run, settle

DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
TODAY = exchange_day(STARTED_AT)
FORBIDDEN = RestFault("forbidden", "Alpaca's REST forbids it (403)", may_retry=False, is_outage=False)
ONE, OTHER = "one alpaca-paper", "other alpaca-paper"


def fill(number, at):
    return Activity(id=f"{number:04d}", kind="FILL", symbol="SPY", quantity=1, at=at, day=exchange_day(at))


def fills(count, *, first=0):
    """A fill on each of the last `count` days, the newest of yesterday."""
    return [fill(first + number, STARTED_AT - (count - number) * DAY) for number in range(count)]


class Harness:
    """A reader of fakes, and the current failures by name."""

    def __init__(self, *, keep_days=400, page_size=10):
        self.brokerage = FakeBrokerage()
        self.brokerage.past_page_size = page_size
        self.sink = FakeTradeSink()
        self.keep_days = keep_days
        self.failures = {}
        self.dated = []
        self.is_switching = False
        self.start()

    def start(self):
        """Begin as a new process does, with what is stored."""
        self.reader = PastReader(
            brokerage=self.brokerage,
            sink=self.sink,
            now_at=wall,
            keep_days=lambda: self.keep_days,
            noting=self.noting,
            unneeded=lambda what: self.failures.pop(what, None),
            is_good=lambda what: self.failures.get(what) in (None, "forbidden"),
            date=self.date,
        )

    async def date(self, activities):
        self.dated.append((self.sink.account_key, {each.id for each in activities}))
        if self.is_switching:
            self.reader.switch_to(None)

    @contextlib.contextmanager
    def noting(self, what):
        try:
            yield
        except RestFault as fault:
            self.failures[what] = fault.code
        else:
            self.failures.pop(what, None)

    @contextlib.asynccontextmanager
    async def at_work(self, account_key=ONE):
        self.reader.switch_to(account_key)
        tasks = [asyncio.ensure_future(work) for work in self.reader.tasks()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    @property
    def asked(self):
        """The requests for activities: which, from which instant, and whether it is a first page."""
        return [(what, at, token is None) for what, _, (at, token) in self._asked("past", "later")]

    @property
    def closes_asked(self):
        return [argument for _, _, argument in self._asked("closes")]

    def _asked(self, *names):
        return [entry for entry in self.brokerage.asked if entry[0] in names]


def run_scenario(test=None, **options):
    """Run `test` with a harness on a virtual loop."""

    def decorate(test):
        async def main():
            await test(Harness(**options))

        run(main())

    return decorate if test is None else decorate(test)


class TestFirstStart:
    def test_nothing_is_read_before_the_account_is_known(self):
        @run_scenario
        async def _(harness):
            async with harness.at_work(account_key=None):
                harness.reader.ask()
                harness.reader.traded()
                await settle(2 * WHOLE_SECONDS)
                assert harness.brokerage.asked == []

    def test_the_past_is_read_newest_first_and_each_page_is_stored(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.past = fills(25)
            async with harness.at_work():
                await settle(10.0)
            assert [(key, len(ids)) for key, ids, _ in harness.sink.pages] == [(ONE, 10), (ONE, 10), (ONE, 5)]
            assert harness.sink.pages[0][1][0] == "0024"
            reached = [complete_from for _, _, complete_from in harness.sink.pages]
            assert reached[:2] == [start_of_day(TODAY - 9 * DAY), start_of_day(TODAY - 19 * DAY)]
            assert reached[2] == start_of_day(TODAY - 400 * DAY)

    @pytest.mark.parametrize(("keep_days", "reach"), [(0, 400), (30, 30), (500, 500)])
    def test_the_past_is_read_back_as_far_as_history_is_kept(self, keep_days, reach):
        @run_scenario(keep_days=keep_days, page_size=100)
        async def _(harness):
            harness.brokerage.past = fills(700)
            async with harness.at_work():
                await settle(10.0)
            assert {
                each.id for each in harness.brokerage.past if each.day >= TODAY - reach * DAY
            } <= harness.sink.past.keys()
            assert len(harness.sink.past) <= reach + 100
            assert harness.sink.complete_from <= start_of_day(TODAY - reach * DAY)


class TestRestart:
    def test_a_restart_completes_the_stored_past_and_goes_on_where_it_stopped(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.past = fills(50)
            harness.brokerage.delay = 1.0
            async with harness.at_work():
                await settle(2.5)
            assert len(harness.sink.past) == 20
            harness.brokerage.past.append(fill(100, STARTED_AT))
            before = len(harness.asked)
            harness.start()
            async with harness.at_work():
                await settle(30.0)
            assert harness.sink.past.keys() == {each.id for each in harness.brokerage.past}
            since = harness.asked[before:]
            assert since[0] == ("later", STARTED_AT - 8 * DAY, True)
            goes_on_at = start_of_day(TODAY - 19 * DAY)
            assert next(entry for entry in since if entry[0] == "past") == ("past", goes_on_at, True)

    def test_a_complete_past_is_not_read_back_again(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.past = fills(5)
            async with harness.at_work():
                await settle(10.0)
            before = len(harness.asked)
            harness.start()
            async with harness.at_work():
                await settle(10.0)
            assert [what for what, _, _ in harness.asked[before:]] == ["later"]

    def test_a_restart_while_a_long_absence_is_completed_loses_nothing(self):
        @run_scenario(page_size=5)
        async def _(harness):
            harness.brokerage.past = fills(60)[:10]
            async with harness.at_work():
                await settle(10.0)
            harness.brokerage.past = fills(60)
            harness.brokerage.delay = 1.0
            for _ in range(3):
                harness.start()
                async with harness.at_work():
                    await settle(4.5)
            harness.start()
            async with harness.at_work():
                await settle(60.0)
            assert len(harness.sink.past) == 60


class TestDating:
    def test_both_stored_and_new_activities_date_orders(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.past = fills(5)
            async with harness.at_work():
                await settle(10.0)
            assert harness.dated == [(ONE, set()), (ONE, harness.sink.past.keys())]
            harness.start()
            async with harness.at_work():
                await settle(10.0)
            assert harness.dated[2] == (ONE, harness.sink.past.keys())

    def test_a_key_that_changes_meanwhile_ends_the_reading(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.past = fills(5)
            harness.is_switching = True
            async with harness.at_work():
                await settle(10.0)
            assert (harness.dated, harness.asked) == ([(ONE, set())], [])


class TestNewest:
    def test_a_fill_is_read_soon_after_its_trade_event(self):
        @run_scenario
        async def _(harness):
            async with harness.at_work():
                await settle(100.0)
                harness.brokerage.past.append(fill(1, wall()))
                harness.reader.traded()
                await settle(0.5)
                assert harness.sink.past.keys() == {"0001"}

    def test_a_fee_that_is_booked_within_a_minute_is_read_too(self):
        @run_scenario
        async def _(harness):
            async with harness.at_work():
                await settle(100.0)
                harness.reader.traded()
                await settle(30.0)
                harness.brokerage.past.append(fill(1, wall()))
                await settle(35.0)
                assert harness.sink.past.keys() == {"0001"}

    def test_a_fill_is_read_soon_while_a_long_past_is_being_read(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.past = fills(300)
            harness.brokerage.delay = 3.0
            async with harness.at_work():
                await settle(20.0)
                harness.brokerage.past.append(fill(999, wall()))
                harness.reader.traded()
                await settle(7.0)
                assert "0999" in harness.sink.past
                assert len(harness.sink.past) < 100
                await settle(120.0)
                assert len(harness.sink.past) == 301

    def test_a_booking_that_appears_days_late_is_found_within_a_quarter_of_an_hour(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.past_order = lambda each: start_of_day(each.day)
            async with harness.at_work():
                await settle(100.0)
                day = TODAY - 3 * DAY
                harness.brokerage.past.append(
                    Activity(id="late", kind="OPASN", symbol="SPY", quantity=1, at=wall(), day=day)
                )
                harness.reader.traded()
                await settle(70.0)
                assert harness.sink.past == {}
                await settle(WHOLE_SECONDS)
                assert harness.sink.past.keys() == {"late"}

    def test_a_refresh_reads_late_bookings_at_once(self):
        @run_scenario
        async def _(harness):
            async with harness.at_work():
                await settle(100.0)
                harness.reader.ask()
                await settle(0.5)
                what, after_at, _ = harness.asked[-1]
                assert what == "later"
                assert STARTED_AT - 7 * DAY <= after_at < STARTED_AT - 7 * DAY + HOUR

    def test_a_flood_of_trade_events_causes_few_requests(self):
        @run_scenario
        async def _(harness):
            async with harness.at_work():
                await settle(100.0)
                before = len(harness.asked)
                for _ in range(600):
                    harness.reader.traded()
                    await settle(0.1)
                assert len(harness.asked) - before <= 3 + 60.0 / PACE_SECONDS


class TestFaults:
    def test_an_outage_is_noted_and_retried_with_growing_waits_and_the_pages_before_it_are_kept(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.past = fills(50)
            harness.brokerage.delay = 1.0
            async with harness.at_work():
                await settle(2.5)
                harness.brokerage.failures["past"] = OUTAGE
                await settle(60.0)
                assert harness.failures == {"past": "serverError"}
                assert 4 <= len(harness.brokerage.times("past")) - 2 <= 6
                del harness.brokerage.failures["past"]
                await settle(60.0)
                assert harness.failures == {}
            assert len(harness.sink.past) == 50
            assert [first for _, _, first in harness.asked].count(True) == 1

    def test_the_notice_ends_with_the_first_page_and_not_with_the_last(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.past = fills(300)
            harness.brokerage.delay = 3.0
            harness.brokerage.failures["past"] = OUTAGE
            async with harness.at_work():
                await settle(4.0)
                assert harness.failures
                del harness.brokerage.failures["past"]
                await settle(15.0)
                assert harness.failures == {}
                assert len(harness.sink.past) < 100

    def test_a_refusal_is_not_repeated_soon_and_begins_with_the_first_page(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.past = fills(50)
            harness.brokerage.delay = 1.0
            async with harness.at_work():
                await settle(2.5)
                harness.brokerage.failures["past"] = FORBIDDEN
                await settle(WHOLE_SECONDS - 100.0)
                assert len(harness.asked) == 3
                del harness.brokerage.failures["past"]
                await settle(200.0)
                assert len(harness.sink.past) == 50
                goes_on_at = start_of_day(TODAY - 19 * DAY)
                assert ("past", goes_on_at, True) in harness.asked


class TestAccounts:
    def test_another_account_drops_the_current_reading_and_is_read_from_the_start(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.past = fills(50)
            harness.brokerage.delay = 1.0
            async with harness.at_work():
                await settle(2.5)
                harness.reader.switch_to(None)
                await settle(5.0)
                harness.brokerage.past = fills(15, first=500)
                harness.reader.switch_to(OTHER)
                await settle(30.0)
            (one, _), (other, _) = harness.sink.accounts[ONE], harness.sink.accounts[OTHER]
            assert (len(one), other.keys()) == (20, {each.id for each in fills(15, first=500)})

    def test_a_page_that_arrives_after_the_switch_belongs_to_no_account(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.past = fills(5)
            harness.brokerage.delay = 5.0
            async with harness.at_work():
                await settle(1.0)
                harness.reader.switch_to(None)
                harness.reader.switch_to(OTHER)
                harness.brokerage.past = []
                await settle(30.0)
            assert harness.sink.accounts == {ONE: ({}, None), OTHER: ({}, start_of_day(TODAY - 400 * DAY))}

    def test_a_switch_while_stored_activities_are_loaded_starts_with_the_new_account(self):
        @run_scenario
        async def _(harness):
            harness.sink.held_back = loading = asyncio.get_running_loop().create_future()
            harness.brokerage.past = fills(5)
            async with harness.at_work():
                await settle(1.0)
                harness.reader.switch_to(OTHER)
                loading.set_result(None)
                await settle(10.0)
            assert (harness.sink.accounts[ONE][0], len(harness.sink.accounts[OTHER][0])) == ({}, 5)

    def test_the_same_account_again_changes_nothing(self):
        @run_scenario
        async def _(harness):
            async with harness.at_work():
                await settle(100.0)
                before = len(harness.asked)
                harness.reader.switch_to(ONE)
                await settle(100.0)
                assert len(harness.asked) == before


class TestCloses:
    YESTERDAY = TODAY - DAY
    MONDAY = TODAY - 4 * DAY

    def test_wanted_closes_are_read_once(self):
        @run_scenario
        async def _(harness):
            harness.sink.wanted_closes = frozenset({("SPY", self.YESTERDAY), ("QQQ", self.MONDAY)})
            harness.brokerage.closes_e4 = {
                ("SPY", self.YESTERDAY): 5_821_000,
                ("SPY", self.MONDAY): 5_800_000,
                ("QQQ", self.MONDAY): 5_002_500,
            }
            async with harness.at_work():
                await settle(10 * CLOSES_SECONDS)
            assert harness.sink.closes_e4 == {("SPY", self.YESTERDAY): 5_821_000, ("QQQ", self.MONDAY): 5_002_500}
            assert harness.closes_asked == [(("QQQ", "SPY"), self.MONDAY, self.YESTERDAY)]

    def test_a_close_that_is_wanted_later_is_read_within_a_minute(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.closes_e4 = {("SPY", self.MONDAY): 5_800_000}
            async with harness.at_work():
                await settle(200.0)
                harness.sink.wanted_closes = frozenset({("SPY", self.MONDAY)})
                await settle(CLOSES_SECONDS)
                assert harness.sink.closes_e4 == {("SPY", self.MONDAY): 5_800_000}

    def test_a_close_that_alpaca_does_not_have_is_asked_for_once_a_day(self):
        @run_scenario
        async def _(harness):
            harness.sink.wanted_closes = frozenset({("GONE", self.MONDAY)})
            async with harness.at_work():
                await settle(86_400.0)
            assert len(harness.closes_asked) == 2

    def test_the_close_of_today_is_read_only_after_the_day_has_ended(self):
        @run_scenario
        async def _(harness):
            harness.sink.wanted_closes = frozenset({("SPY", TODAY)})
            harness.brokerage.closes_e4 = {("SPY", TODAY): 5_821_000}
            async with harness.at_work():
                await settle(14 * 3600.0 + 19 * 60.0)  # it is 10:00 in New York at the start
                assert harness.closes_asked == []
                await settle(120.0)
                assert harness.sink.closes_e4 == {("SPY", TODAY): 5_821_000}

    def test_an_outage_is_noted_and_does_not_hold_up_activities(self):
        @run_scenario
        async def _(harness):
            harness.sink.wanted_closes = frozenset({("SPY", self.MONDAY)})
            harness.brokerage.closes_e4 = {("SPY", self.MONDAY): 5_800_000}
            harness.brokerage.past = fills(25)
            harness.brokerage.failures["closes"] = OUTAGE
            async with harness.at_work():
                await settle(10.0)
                assert (harness.failures, len(harness.sink.past)) == ({"closes": "serverError"}, 25)
                del harness.brokerage.failures["closes"]
                await settle(CLOSES_SECONDS)
                assert (harness.failures, len(harness.sink.closes_e4)) == ({}, 1)

    def test_closes_that_arrive_after_a_switch_are_dropped(self):
        @run_scenario
        async def _(harness):
            harness.sink.wanted_closes = frozenset({("SPY", self.MONDAY)})
            harness.brokerage.closes_e4 = {("SPY", self.MONDAY): 5_800_000}
            async with harness.at_work():
                harness.brokerage.delay = 5.0
                await settle(3.0)
                harness.reader.switch_to(None)
                await settle(20.0)
            assert harness.sink.closes_e4 == {}
            assert len(harness.closes_asked) == 1
