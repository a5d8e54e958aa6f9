import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.quote import Tick
from condord.core.underlying import (
    Bar,
    ChosenPrice,
    StockTrade,
    UnderlyingPrice,
    change_e4,
    choose,
    percent_change,
    previous_close_e4,
)
from tests.core.strategies import e4

AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
THURSDAY, FRIDAY, MONDAY, TUESDAY = (dt.date(2026, 11, day) for day in (19, 20, 23, 24))


def quote(bid, ask):
    return Tick("SPY", AT, bid, ask)


def trade(dollars, seconds=-5):
    return StockTrade(price_e4=e4(dollars), at=AT + dt.timedelta(seconds=seconds))


TRADE = trade("581.20")


def test_the_price_is_the_mid_of_a_narrow_quote():
    assert choose(quote(582.0, 582.2), TRADE, "iex") == ChosenPrice(e4("582.10"), "iexMid", AT)
    assert choose(quote(582.0, 582.2), None, "sip") == ChosenPrice(e4("582.10"), "sipMid", AT)


@pytest.mark.parametrize(
    ("bid", "ask"),
    [(0.0, 582.0), (582.0, 0.0), (580.0, 590.0), (582.0, 581.9), (float("nan"), 582.0), (-1.0, 582.0)],
    ids=["no bid", "no ask", "wide", "crossed", "NaN", "negative"],
)
def test_the_price_is_the_last_trade_if_the_quote_is_unusable(bid, ask):
    assert choose(quote(bid, ask), TRADE, "iex") == ChosenPrice(e4("581.20"), "iexTrade", TRADE.at)
    assert choose(quote(bid, ask), None, "iex") is None


def test_the_price_is_the_last_trade_if_there_is_no_quote():
    assert choose(None, TRADE, "sip") == ChosenPrice(e4("581.20"), "sipTrade", TRADE.at)


def test_a_trade_at_zero_is_not_a_price():
    assert choose(None, trade("0"), "iex") is None
    assert choose(None, None, "iex") is None


def test_a_spread_of_half_a_percent_is_too_wide():
    assert choose(quote(199.5, 200.5), None, "iex") is None
    assert choose(quote(199.5, 200.4999), None, "iex") is not None


@given(st.integers(1, 10_000_000), st.integers(0, 100_000))
def test_a_mid_is_between_bid_and_ask(bid_e4, spread_e4):
    found = choose(Tick("SPY", AT, bid_e4 / 10_000, (bid_e4 + spread_e4) / 10_000), None, "iex")
    is_narrow = spread_e4 * 2 * 200 < 2 * bid_e4 + spread_e4
    assert (found is not None) == is_narrow
    assert found is None or bid_e4 <= found.price_e4 <= bid_e4 + spread_e4


# The previous close.


def bars(*days):
    """The close of each day is its number."""
    return [Bar(day=day, close_e4=day.day) for day in days]


@pytest.mark.parametrize(
    ("at", "known", "expected"),
    [
        (dt.datetime(2026, 11, 23, 15, tzinfo=dt.UTC), (MONDAY, FRIDAY), 20),  # in session
        (dt.datetime(2026, 11, 23, 23, tzinfo=dt.UTC), (MONDAY, FRIDAY), 20),  # after the close
        (dt.datetime(2026, 11, 24, 3, tzinfo=dt.UTC), (MONDAY, FRIDAY), 20),  # still Monday in New York
        (dt.datetime(2026, 11, 23, 13, tzinfo=dt.UTC), (FRIDAY, THURSDAY), 20),  # before the open
        (dt.datetime(2026, 11, 20, 21, tzinfo=dt.UTC), (FRIDAY, THURSDAY), 19),  # Friday's last, on the weekend
        (dt.datetime(2026, 11, 20, 21, tzinfo=dt.UTC), (MONDAY, FRIDAY, THURSDAY), 19),  # the same on Monday morning
        (dt.datetime(2026, 11, 24, 15, tzinfo=dt.UTC), (FRIDAY, THURSDAY), 20),  # not traded on Monday
        (dt.datetime(2026, 11, 19, 15, tzinfo=dt.UTC), (FRIDAY, THURSDAY), None),
        (dt.datetime(2026, 11, 19, 15, tzinfo=dt.UTC), (), None),
    ],
)
def test_a_price_compares_with_the_close_of_the_session_before_its_own(at, known, expected):
    assert previous_close_e4(bars(*known), at) == expected
    assert previous_close_e4(bars(*reversed(known)), at) == expected


def priced(price, previous):
    return UnderlyingPrice(symbol="SPY", price_e4=e4(price), previous_close_e4=e4(previous))


@pytest.mark.parametrize(
    ("price", "previous", "change", "percent"),
    [
        ("582.10", "579.80", "2.30", 0.4),
        ("579.80", "582.10", "-2.30", -0.4),
        ("100", "100", "0", 0.0),
        ("100.005", "100", "0.005", 0.01),
        ("99.995", "100", "-0.005", -0.01),
        ("3", "0", "3", None),
        (None, "100", None, None),
        ("100", None, None, None),
    ],
)
def test_a_change_is_exact_and_its_percentage_has_two_decimals(price, previous, change, percent):
    assert change_e4(priced(price, previous)) == e4(change)
    assert percent_change(priced(price, previous)) == percent
