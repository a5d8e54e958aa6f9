import datetime as dt

import pytest

from condord.core.calendar import Calendar
from condord.core.market_hours import hours_of
from condord.notify.schedule import expiry, retry_seconds, session_end
from tests.notify.builders import END_AT, NOW_AT

FRIDAY = dt.date(2026, 11, 27)


def test_retries_are_after_5_and_30_seconds_2_and_10_minutes_and_then_every_30_minutes():
    assert [retry_seconds(attempts) for attempts in range(1, 8)] == [5, 30, 120, 600, 1800, 1800, 1800]


@pytest.mark.parametrize(
    ("underlying", "now", "end"),
    [
        ("SPY", "2026-11-25T15:00+00:00", "2026-11-25T21:15+00:00"),
        ("SPX", "2026-11-25T21:00+00:00", "2026-11-25T21:15+00:00"),
        (None, "2026-11-25T21:14+00:00", "2026-11-25T21:15+00:00"),
        ("QQQ", "2026-11-25T21:15+00:00", "2026-11-27T18:15+00:00"),
        ("AAPL", "2026-11-25T15:00+00:00", "2026-11-25T21:00+00:00"),
        ("AAPL", "2026-11-25T08:00+00:00", "2026-11-25T21:00+00:00"),
        ("AAPL", "2026-11-25T21:00+00:00", "2026-11-27T18:00+00:00"),  # a holiday and an early close follow
        ("AAPL", "2026-11-26T16:00+00:00", "2026-11-27T18:00+00:00"),
        ("AAPL", "2026-11-27T18:00+00:00", "2026-11-30T21:00+00:00"),
    ],
)
def test_the_session_end_belongs_to_the_current_or_next_session_of_the_product(underlying, now, end):
    days = [dt.date(2026, 11, 25), FRIDAY, dt.date(2026, 11, 30)]
    closes = {FRIDAY: dt.time(13)}
    calendar = Calendar({day: hours_of(day, dt.time(9, 30), closes.get(day, dt.time(16))) for day in days})
    assert session_end(calendar, dt.datetime.fromisoformat(now), underlying) == dt.datetime.fromisoformat(end)


def test_a_message_just_before_the_close_is_kept_for_a_minute():
    assert expiry(END_AT, NOW_AT) == END_AT
    late_at = END_AT - dt.timedelta(seconds=1)
    assert expiry(END_AT, late_at) == late_at + dt.timedelta(seconds=60)
