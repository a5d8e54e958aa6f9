import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.calendar import Calendar
from condord.core.expiry import Expiry, ending_of, expiry_of, last_trading_day, settlement_of, style_of
from condord.core.market_hours import hours_of
from condord.core.occ import parse

OPEN, CLOSE, EARLY = dt.time(9, 30), dt.time(16), dt.time(13)
FRIDAY = dt.date(2026, 12, 18)  # the third of its month


def year(*holidays, early=()):
    """The weekdays of 2026 without `holidays`."""
    days = (dt.date(2026, 1, 1) + dt.timedelta(days=number) for number in range(365))
    return Calendar(
        {
            day: hours_of(day, OPEN, EARLY if day in early else CLOSE)
            for day in days
            if day.weekday() < 5 and day not in holidays
        }
    )


JUNETEENTH, GOOD_FRIDAY, CHRISTMAS_EVE = dt.date(2026, 6, 19), dt.date(2026, 4, 3), dt.date(2026, 12, 24)
THANKSGIVING, DAY_AFTER = dt.date(2026, 11, 26), dt.date(2026, 11, 27)
KNOWN = year(JUNETEENTH, GOOD_FRIDAY, THANKSGIVING, dt.date(2026, 12, 25), early=[CHRISTMAS_EVE, DAY_AFTER])


def ending(root, day=FRIDAY, underlying=None, calendar=KNOWN):
    """The settlement, the last trading time and the settlement time in New York."""
    found = ending_of(Expiry(root, underlying or root, day), calendar)
    zone = dt.timezone(dt.timedelta(hours=-4 if 3 < day.month < 11 else -5))
    return (
        found.settlement,
        f"{found.last_trading_at.astimezone(zone):%m-%d %H:%M}",
        f"{found.settles_at.astimezone(zone):%m-%d %H:%M}",
    )


@pytest.mark.parametrize(
    ("root", "underlying", "expected"),
    [
        ("SPX", "SPX", ("am", "12-17 16:15", "12-18 09:30")),
        ("NDX", "NDX", ("am", "12-17 16:15", "12-18 09:30")),
        ("RUT", "RUT", ("am", "12-17 16:15", "12-18 09:30")),
        ("DJX", "DJX", ("am", "12-17 16:15", "12-18 09:30")),
        ("SPXW", "SPX", ("pm", "12-18 16:00", "12-18 16:00")),
        ("SPXW", "SPXW", ("pm", "12-18 16:00", "12-18 16:00")),  # before Alpaca has named the underlying
        ("NDXP", "NDX", ("pm", "12-18 16:00", "12-18 16:00")),
        ("RUTW", "RUT", ("pm", "12-18 16:00", "12-18 16:00")),
        ("XSP", "XSP", ("pm", "12-18 16:00", "12-18 16:00")),
        ("SPY", "SPY", ("pm", "12-18 16:15", "12-18 16:15")),
        ("TLT", "TLT", ("pm", "12-18 16:15", "12-18 16:15")),
        ("AAPL", "AAPL", ("pm", "12-18 16:00", "12-18 16:00")),
        ("XOM2", "XOM", ("pm", "12-18 16:00", "12-18 16:00")),
    ],
)
def test_a_third_friday_ends_by_root_and_product(root, underlying, expected):
    assert ending(root, underlying=underlying) == expected


def test_a_monthly_expires_on_the_thursday_before_a_third_friday_that_is_a_holiday():
    assert ending("SPX", dt.date(2026, 6, 18)) == ("am", "06-17 16:15", "06-18 09:30")
    assert ending("SPX", dt.date(2026, 6, 18), calendar=Calendar()) == ("am", "06-17 16:15", "06-18 09:30")


def test_the_thursday_before_a_third_friday_with_a_session_is_not_a_monthly():
    assert ending("SPX", dt.date(2026, 12, 17)) == ("pm", "12-17 16:00", "12-17 16:00")


def test_the_session_before_a_monday_or_a_holiday_comes_from_the_calendar():
    vix = dt.date(2026, 4, 6)  # a Monday after Good Friday
    assert ending("VIX", vix) == ("am", "04-02 16:15", "04-06 09:30")
    assert ending("VIX", vix, calendar=Calendar()) == ("am", "04-03 16:15", "04-06 09:30")


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("SPY", ("pm", "11-27 13:15", "11-27 13:15")),
        ("AAPL", ("pm", "11-27 13:00", "11-27 13:00")),
        ("SPXW", ("pm", "11-27 13:00", "11-27 13:00")),
    ],
)
def test_an_early_close_ends_contracts_that_expire_on_that_day(root, expected):
    assert ending(root, DAY_AFTER, underlying="SPX" if root == "SPXW" else root) == expected


def test_an_am_settled_contract_trades_until_a_quarter_past_an_early_close_of_the_session_before():
    assert ending("VIX", dt.date(2026, 11, 30)) == ("am", "11-27 13:15", "11-30 09:30")


@pytest.mark.parametrize("day", [dt.date(2026, 12, 19), dt.date(2026, 12, 20)])
def test_a_contract_dated_on_a_weekend_ends_with_the_session_before(day):
    assert ending("AAPL", day)[1:] == ("12-18 16:00", "12-18 16:00")


def test_without_a_calendar_no_contract_ends_early():
    assert ending("AAPL", DAY_AFTER, calendar=Calendar()) == ("pm", "11-27 16:00", "11-27 16:00")


@pytest.mark.parametrize(
    ("root", "underlying", "style"),
    [
        ("SPX", "SPX", "european"),
        ("SPXW", "SPXW", "european"),
        ("XSP", "XSP", "european"),
        ("MRUT", "MRUT", "european"),
        ("VIXW", "VIX", "european"),
        ("OEX", "OEX", "american"),
        ("XEO", "XEO", "european"),
        ("SPY", "SPY", "american"),
    ],
)
def test_options_on_indexes_are_european(root, underlying, style):
    assert style_of(Expiry(root, underlying, FRIDAY)) == style


@pytest.mark.parametrize(("root", "underlying"), [("SPXW", "SPX"), ("SPX", "SPX"), ("AAPL", "AAPL"), ("XOM2", "XOM2")])
def test_an_unknown_underlying_is_assumed_from_the_root(root, underlying):
    assert expiry_of(parse(f"{root}261218P05600000"), None) == Expiry(root, underlying, FRIDAY)
    assert expiry_of(parse(f"{root}261218P05600000"), "XYZ") == Expiry(root, "XYZ", FRIDAY)


@given(
    st.sampled_from(["SPX", "SPXW", "NDX", "VIX", "XSP", "SPY", "AAPL", "OEX", "XOM2"]),
    st.dates(dt.date(2026, 1, 6), dt.date(2026, 12, 30)),
    st.booleans(),
)
def test_nothing_trades_after_it_settles_or_settles_after_its_day(root, day, is_known):
    calendar = KNOWN if is_known else Calendar()
    expiry = Expiry(root, root, day)
    found = ending_of(expiry, calendar)
    assert found.settlement == settlement_of(expiry, calendar)
    assert found.last_trading_at <= found.settles_at
    assert last_trading_day(found) <= day
    assert (last_trading_day(found) < day) or found.settlement == "pm"
    assert calendar.on(last_trading_day(found)) is not None
