import datetime as dt
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.config.quiet_hours import doubt, parse

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("text", ["22:00-08:00 Europe/Berlin", " 22:00 - 8:00  Europe/Berlin "])
def test_quiet_hours_are_two_times_and_a_time_zone(text):
    assert parse(text) == (dt.time(22), dt.time(8), BERLIN)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "two times and a time zone, 22:00-08:00 Europe/Berlin"),
        ("22-8 Europe/Berlin", "two times and a time zone"),
        ("22:00-08:00", "must name a time zone"),
        ("24:00-08:00 Europe/Berlin", "from 00:00 to 23:59"),
        ("22:60-08:00 Europe/Berlin", "from 00:00 to 23:59"),
        ("22:00-22:00 Europe/Berlin", "at different times"),
        ("22:00-08:00 Europe/Berln", "the nearest known zone is Europe/Berlin"),
        ("22:00-08:00 europe/berlin", "the nearest known zone is Europe/Berlin"),
        ("22:00-08:00 Europe", "unknown time zone"),
        ("22:00-08:00 ../../etc/passwd", "unknown time zone"),
        ("22:00-08:00 /etc/localtime", "unknown time zone"),
        ("22:00-08:00 A\0B", "unknown time zone"),
        ("22:00-08:00 " + "x" * 5000, "unknown time zone"),
    ],
)
def test_invalid_quiet_hours_are_refused_with_what_is_allowed(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse(text)


@given(st.times(), st.times())
def test_any_two_different_times_are_parsed(begin, end):
    begin, end = (each.replace(second=0, microsecond=0) for each in (begin, end))
    if begin != end:
        assert parse(f"{begin:%H:%M}-{end:%H:%M} Europe/Berlin") == (begin, end, BERLIN)


@given(st.text())
def test_any_text_is_parsed_or_refused(text):
    with pytest.raises(ValueError, match="must"):
        parse(text)


@pytest.mark.parametrize(
    ("zone", "place"),
    [
        ("EST", "America/New_York"),
        ("MST", "America/Denver"),
        ("GMT", "Europe/London"),
        ("Etc/GMT+5", "a place such as"),
    ],
)
def test_a_zone_without_daylight_saving_time_raises_a_doubt(zone, place):
    found = doubt(parse(f"22:00-08:00 {zone}"))
    assert found.startswith(f"{zone} has no daylight saving time, ")
    assert place in found


@pytest.mark.parametrize("zone", ["America/New_York", "EST5EDT", "Asia/Tokyo", "HST", "UTC", "CET"])
def test_any_other_zone_raises_no_doubt(zone):
    assert doubt(parse(f"22:00-08:00 {zone}")) is None
