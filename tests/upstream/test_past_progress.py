import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord.core.activity import Activity
from condord.core.market_hours import exchange_day, start_of_day
from condord.upstream.interfaces import ActivityPage
from condord.upstream.past_progress import LATE_FOR, PastProgress, PastRequest
from tests.examples import examples
from tests.fakes.alpaca import STARTED_AT, FakeBrokerage
from tests.virtualtime import run

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
OLDEST_AT = start_of_day(exchange_day(STARTED_AT - 60 * DAY))
TODAY_AT = start_of_day(exchange_day(STARTED_AT))


def fill(id_, at):
    return Activity(id=id_, kind="FILL", symbol="SPY", quantity=1, at=at, day=exchange_day(at))


def page(*activities, is_full=True, last_id="last"):
    return ActivityPage(activities=activities, last_id=last_id if is_full else None, is_full=is_full)


def first():
    """The progress of an account of which nothing is stored."""
    return PastProgress((), None, STARTED_AT)


def later_start():
    """The progress of an account whose newest stored activity is of two days ago, and all of ten days is stored."""
    return PastProgress([fill("1", STARTED_AT - 2 * DAY)], TODAY_AT - 10 * DAY, STARTED_AT)


def request(progress):
    return progress.request(STARTED_AT, OLDEST_AT)


class TestFirstReading:
    def test_the_first_reading_goes_back_from_now(self):
        assert request(first()) == PastRequest(direction="earlier", at=STARTED_AT)

    def test_a_full_page_is_followed_by_the_next(self):
        progress = first()
        progress.take(request(progress), page(fill("1", STARTED_AT - 3 * DAY)), OLDEST_AT)
        assert request(progress) == PastRequest(direction="earlier", at=STARTED_AT, token="last")

    def test_a_page_proves_the_days_after_its_oldest_row(self):
        progress = first()
        progress.take(request(progress), page(fill("2", STARTED_AT), fill("1", STARTED_AT - 3 * DAY)), OLDEST_AT)
        assert progress.complete_from == TODAY_AT - 2 * DAY

    def test_a_booking_proves_the_days_after_it_was_booked(self):
        progress = first()
        booked = Activity(
            id="1", kind="OPEXP", symbol="SPY", quantity=1, at=STARTED_AT - 3 * DAY, day=TODAY_AT.date() - 6 * DAY
        )
        progress.take(request(progress), page(booked), OLDEST_AT)
        assert progress.complete_from == TODAY_AT - 2 * DAY

    def test_a_full_page_of_today_proves_nothing_before_now(self):
        progress = first()
        progress.take(request(progress), page(fill("1", STARTED_AT - HOUR)), OLDEST_AT)
        assert progress.complete_from == STARTED_AT

    def test_a_full_page_without_a_readable_row_proves_nothing(self):
        progress = first()
        progress.take(request(progress), page(), OLDEST_AT)
        assert (progress.complete_from, request(progress).token) == (STARTED_AT, "last")

    def test_a_page_that_is_not_full_is_the_end(self):
        progress = first()
        progress.take(request(progress), page(is_full=False), OLDEST_AT)
        assert (progress.complete_from, request(progress)) == (OLDEST_AT, None)

    def test_nothing_before_the_oldest_instant_is_read(self):
        progress = first()
        progress.take(request(progress), page(fill("1", OLDEST_AT - HOUR)), OLDEST_AT)
        assert request(progress) is None

    @pytest.mark.parametrize("last_id", [None, "last"])
    def test_a_token_that_leads_no_further_ends_the_reading_until_the_next_whole_one(self, last_id):
        progress = first()
        progress.take(request(progress), page(fill("1", STARTED_AT - 3 * DAY)), OLDEST_AT)
        progress.take(request(progress), page(fill("1", STARTED_AT - 3 * DAY), last_id=last_id), OLDEST_AT)
        assert request(progress) is None
        progress.ask(STARTED_AT, is_whole=True)
        progress.take(request(progress), page(is_full=False), OLDEST_AT)
        assert request(progress) == PastRequest(direction="earlier", at=TODAY_AT - 2 * DAY)


class TestRestart:
    def test_a_restart_first_completes_the_stored_activities_with_those_booked_late(self):
        progress = later_start()
        assert request(progress) == PastRequest(direction="later", at=STARTED_AT - 2 * DAY - LATE_FOR)
        progress.take(request(progress), page(fill("2", STARTED_AT - DAY)), OLDEST_AT)
        assert request(progress).token == "last"
        progress.take(request(progress), page(is_full=False), OLDEST_AT)
        assert request(progress) == PastRequest(direction="earlier", at=TODAY_AT - 10 * DAY)

    def test_completing_proves_nothing_about_the_past(self):
        progress = later_start()
        progress.take(request(progress), page(is_full=False), OLDEST_AT)
        assert progress.complete_from == TODAY_AT - 10 * DAY

    def test_an_account_without_activities_is_completed_from_where_it_was_complete(self):
        progress = PastProgress((), OLDEST_AT, STARTED_AT)
        assert request(progress) == PastRequest(direction="later", at=OLDEST_AT - LATE_FOR)

    def test_a_past_that_is_to_be_kept_longer_is_read_further_back(self):
        progress = PastProgress((), OLDEST_AT, STARTED_AT)
        progress.take(request(progress), page(is_full=False), OLDEST_AT)
        assert request(progress) is None
        next_request = PastRequest(direction="earlier", at=OLDEST_AT)
        assert progress.request(STARTED_AT, OLDEST_AT - 100 * DAY) == next_request

    def test_stored_instants_in_the_future_are_ignored(self):
        progress = PastProgress([fill("1", STARTED_AT + DAY)], STARTED_AT + DAY, STARTED_AT)
        assert request(progress) == PastRequest(direction="later", at=STARTED_AT - LATE_FOR)
        assert progress.complete_from == STARTED_AT


class TestNewest:
    def test_after_a_trade_the_current_day_is_read_again_before_the_past_goes_on(self):
        progress = first()
        before = request(progress)
        progress.ask(STARTED_AT, is_whole=False)
        next_request = PastRequest(direction="later", at=TODAY_AT - dt.timedelta(seconds=1))
        assert request(progress) == next_request
        progress.take(next_request, page(is_full=False), OLDEST_AT)
        assert request(progress) == before

    def test_the_newest_reading_begins_before_the_day_if_the_last_one_did(self):
        progress = PastProgress([fill("1", STARTED_AT - 2 * DAY)], None, STARTED_AT - 2 * DAY)
        progress.ask(STARTED_AT, is_whole=False)
        assert request(progress).at == STARTED_AT - 2 * DAY - HOUR

    def test_two_requests_are_one_reading_that_begins_with_the_earlier(self):
        for kinds in ((True, False), (False, True)):
            progress = first()
            for is_whole in kinds:
                progress.ask(STARTED_AT, is_whole=is_whole)
            assert request(progress).at == STARTED_AT - LATE_FOR

    def test_a_request_during_a_reading_starts_another_one(self):
        progress = first()
        progress.ask(STARTED_AT, is_whole=True)
        before = request(progress)
        progress.ask(STARTED_AT, is_whole=False)
        progress.take(before, page(fill("1", STARTED_AT)), OLDEST_AT)
        assert request(progress).token == "last"
        progress.take(request(progress), page(is_full=False), OLDEST_AT)
        assert (request(progress).direction, request(progress).token) == ("later", None)

    def test_a_refused_request_begins_with_the_first_page_again(self):
        progress = first()
        progress.take(request(progress), page(fill("1", STARTED_AT - 3 * DAY)), OLDEST_AT)
        progress.ask(STARTED_AT, is_whole=True)
        progress.take(request(progress), page(fill("1", STARTED_AT)), OLDEST_AT)
        progress.restart()
        assert request(progress) == PastRequest(direction="later", at=STARTED_AT - LATE_FOR)
        progress.take(request(progress), page(is_full=False), OLDEST_AT)
        assert request(progress) == PastRequest(direction="earlier", at=TODAY_AT - 2 * DAY)
        progress.restart()
        assert request(progress).token is None


@st.composite
def pasts(draw):
    """Bookings for 60 days, each booked up to four days late, in no order."""
    count = draw(st.integers(1, 25))
    return [_booked(number, *(draw(st.integers(0, most)) for most in (54, 4, 1439))) for number in range(count)]


def _booked(number, days, late_days, minute):
    day = exchange_day(OLDEST_AT) + dt.timedelta(days=1 + days)
    at = start_of_day(day) + late_days * DAY + dt.timedelta(minutes=minute)
    return Activity(id=f"{number:04d}", kind="OPEXP", symbol="SPY", quantity=1, at=at, day=day)


class TestAnyPast:
    @settings(max_examples=examples(400))
    @given(
        pasts(),
        st.sampled_from([lambda each: each.at, lambda each: start_of_day(each.day)]),
        st.integers(1, 4),
        st.lists(st.tuples(st.integers(0, 59), st.integers(1, 6)), max_size=6),
    )
    def test_everything_since_complete_from_is_known_in_any_order_and_after_any_restart(self, past, order, size, runs):
        """`runs` are the days on which a process starts, and after how many pages it ends; what is stored survives."""
        brokerage = FakeBrokerage()
        brokerage.past_order, brokerage.past_page_size = order, size
        stored, complete_from = {}, None

        async def read(now_at, pages):
            nonlocal complete_from
            brokerage.past = [each for each in past if each.at < now_at]
            progress = PastProgress(sorted(stored.values(), key=lambda each: each.at), complete_from, now_at)
            for _ in range(pages):
                next_request = progress.request(now_at, OLDEST_AT)
                if next_request is None or next_request.direction == "earlier":
                    known_from = exchange_day(progress.complete_from - dt.timedelta(microseconds=1)) + DAY
                    assert {each.id for each in brokerage.past if each.day >= known_from} <= stored.keys()
                if next_request is None:
                    return
                call = brokerage.past_activities if next_request.direction == "earlier" else brokerage.later_activities
                answer = await call(next_request.at, next_request.token)
                progress.take(next_request, answer, OLDEST_AT)
                stored.update({each.id: each for each in answer.activities})
                complete_from = progress.complete_from

        async def scenario():
            for days, pages in sorted(runs):
                await read(OLDEST_AT + days * DAY, pages)
            await read(STARTED_AT, 1000)

        run(scenario())
        assert stored.keys() == {each.id for each in past}
