import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.notify.channel import ChannelQuietHours
from condord.notify.quiet import end_of
from tests.notify.builders import after

BERLIN = ZoneInfo("Europe/Berlin")


def quiet(begin, end, zone=BERLIN):
    return ChannelQuietHours(begin=dt.time.fromisoformat(begin), end=dt.time.fromisoformat(end), zone=zone)


def berlin(text, fold=0):
    return dt.datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(dt.UTC)


@pytest.mark.parametrize(
    ("hours", "at", "end"),
    [
        (("22:00", "08:00"), "2026-11-20T21:59:59", None),
        (("22:00", "08:00"), "2026-11-20T22:00", "2026-11-21T08:00"),
        (("22:00", "08:00"), "2026-11-21T07:59:59", "2026-11-21T08:00"),
        (("22:00", "08:00"), "2026-11-21T08:00", None),
        (("12:00", "13:00"), "2026-11-20T12:30", "2026-11-20T13:00"),
        (("12:00", "13:00"), "2026-11-20T13:00", None),
        (("12:00", "12:00"), "2026-11-20T12:00", None),
        (("22:00", "08:00"), "2026-03-28T23:00", "2026-03-29T08:00"),
        (("22:00", "08:00"), "2026-10-24T23:00", "2026-10-25T08:00"),
    ],
)
def test_quiet_hours_are_local_and_may_pass_midnight(hours, at, end):
    found = end_of(quiet(*hours), berlin(at))
    assert found == (None if end is None else berlin(end))


def test_a_channel_without_quiet_hours_is_never_quiet():
    assert end_of(None, berlin("2026-11-20T03:00")) is None


def test_an_end_that_the_clock_skips_is_the_moment_of_the_change():
    change = dt.datetime(2026, 3, 29, 1, tzinfo=dt.UTC)  # 02:00 becomes 03:00
    hours = quiet("22:00", "02:30")
    assert end_of(hours, change - dt.timedelta(seconds=1)) == change
    assert end_of(hours, change) is None


def test_an_end_that_the_clock_shows_twice_counts_once():
    hours = quiet("22:00", "02:30")
    first = berlin("2026-10-25T02:30")
    assert end_of(hours, berlin("2026-10-25T02:15")) == first
    assert end_of(hours, berlin("2026-10-25T02:15", fold=1)) is None


TIMES = st.times().map(lambda time: time.replace(second=0, microsecond=0))


@given(
    TIMES,
    TIMES,
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"]),
    st.integers(0, 730 * 86_400).map(lambda seconds: after(-seconds)),
)
def test_the_end_of_quiet_hours_is_not_quiet(begin, end, zone, at):
    hours = ChannelQuietHours(begin=begin, end=end, zone=ZoneInfo(zone))
    end_at = end_of(hours, at)
    if end_at is None:
        return
    assert at < end_at <= at + dt.timedelta(hours=25)
    assert end_of(hours, end_at - dt.timedelta(seconds=1)) == end_at or end_at - at <= dt.timedelta(seconds=1)
    again = end_of(hours, end_at)
    assert again is None or begin == end or again > end_at
