import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.calendar import Calendar
from condord.core.cutoffs import CutoffSettings, cutoffs
from condord.core.expiry import Expiry, ending_of, style_of
from condord.core.market_hours import hours_of, wall_time

CHRISTMAS_EVE, FRIDAY, GOOD_FRIDAY = dt.date(2026, 12, 24), dt.date(2026, 12, 18), dt.date(2026, 4, 3)
EARLY = {CHRISTMAS_EVE: hours_of(CHRISTMAS_EVE, dt.time(9, 30), dt.time(13))}
KNOWN = Calendar(
    {dt.date(2026, 4, 2): hours_of(dt.date(2026, 4, 2), dt.time(9, 30), dt.time(16))}
    | {
        day: hours_of(day, dt.time(9, 30), dt.time(16))
        for day in (dt.date(2026, 4, 6) + dt.timedelta(days=number) for number in range(262))
        if day.weekday() < 5
    }
    | EARLY
)


def cutoffs_of(root, day=FRIDAY, settings=None, style=None):
    """The cut-offs as (kind, time in New York, source)."""
    expiry = Expiry(root, root, day)
    found = cutoffs(expiry, ending_of(expiry, KNOWN), style or style_of(expiry), KNOWN, settings or CutoffSettings())
    return [(cutoff.kind, wall_time(cutoff.at), cutoff.source) for cutoff in found]


def test_stocks_have_their_cut_offs_before_the_close():
    assert cutoffs_of("AAPL") == [("orders", "15:15", "config"), ("liquidation", "15:15", "config")]


def test_cut_offs_of_funds_that_trade_longer_count_from_the_close_of_stocks():
    assert cutoffs_of("SPY") == [("orders", "15:30", "config"), ("liquidation", "15:15", "config")]
    assert cutoffs_of("TLT") == [("orders", "15:15", "config"), ("liquidation", "15:15", "config")]


def test_cut_offs_count_from_an_early_close():
    assert cutoffs_of("SPY", CHRISTMAS_EVE) == [("orders", "12:30", "config"), ("liquidation", "12:15", "config")]


def test_a_holiday_moves_cut_offs_to_the_session_before():
    [orders, _] = cutoffs(
        Expiry("AAPL", "AAPL", GOOD_FRIDAY),
        ending_of(Expiry("AAPL", "AAPL", GOOD_FRIDAY), KNOWN),
        "american",
        KNOWN,
        CutoffSettings(),
    )
    assert orders.at == dt.datetime(2026, 4, 2, 19, 15, tzinfo=dt.UTC)


@pytest.mark.parametrize(("root", "last"), [("SPXW", "16:00"), ("SPX", "16:15"), ("XSP", "16:00")])
def test_european_contracts_only_stop_trading(root, last):
    assert cutoffs_of(root) == [("orders", last, "product")]


def test_the_style_decides_and_not_the_product():
    assert cutoffs_of("AAPL", style="european") == [("orders", "16:00", "product")]
    assert len(cutoffs_of("SPXW", style="american")) == 2


def test_the_configuration_decides_how_early_cut_offs_are():
    settings = CutoffSettings(
        order_cutoff_minutes=10, order_cutoff_minutes_etf=20, etfs=frozenset({"TLT"}), liquidation_minutes=0
    )
    assert cutoffs_of("SPY", settings=settings) == [("orders", "15:50", "config"), ("liquidation", "16:00", "config")]
    assert cutoffs_of("TLT", settings=settings) == [("orders", "15:40", "config"), ("liquidation", "16:00", "config")]


@given(
    st.sampled_from(["SPY", "AAPL", "SPX", "SPXW", "OEX", "VIX"]), st.dates(dt.date(2026, 4, 6), dt.date(2026, 12, 24))
)
def test_no_cut_off_is_after_the_last_trade(root, day):
    expiry = Expiry(root, root, day)
    ending = ending_of(expiry, KNOWN)
    found = cutoffs(expiry, ending, style_of(expiry), KNOWN, CutoffSettings())
    assert found
    assert all(cutoff.at <= ending.last_trading_at for cutoff in found)
