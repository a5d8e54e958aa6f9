import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from condord.core.dividend import Dividend, dividends_until, next_dividend

EX, BEFORE, AFTER = dt.date(2026, 12, 18), dt.date(2026, 12, 17), dt.date(2026, 12, 19)


def paid(day, dollars, symbol="SPY", source="alpaca"):
    return Dividend(symbol=symbol, ex_date=day, amount_e6=round(dollars * 1_000_000), source=source)


def test_the_next_dividend_is_the_first_of_its_stock():
    known = [paid(AFTER, 3), paid(EX, 1.97), paid(BEFORE, 9, "QQQ")]
    assert next_dividend("SPY", known, (), BEFORE) == paid(EX, 1.97)
    assert next_dividend("IWM", known, (), BEFORE) is None


def test_a_dividend_is_the_next_one_up_to_its_ex_date():
    assert next_dividend("SPY", [paid(EX, 1.97)], (), EX) == paid(EX, 1.97)
    assert next_dividend("SPY", [paid(EX, 1.97)], (), AFTER) is None


def test_the_configuration_wins_on_its_date():
    own = paid(EX, 2.5, source="config")
    assert next_dividend("SPY", [paid(EX, 1.97)], [own], BEFORE) == own
    assert next_dividend("SPY", [paid(EX, 1.97)], [paid(AFTER, 2.5, source="config")], BEFORE) == paid(EX, 1.97)
    assert next_dividend("SPY", [paid(EX, 1.97)], [paid(EX, 2.5, "QQQ", "config")], BEFORE) == paid(EX, 1.97)


def test_a_configured_dividend_of_zero_removes_alpacas():
    assert next_dividend("SPY", [paid(EX, 1.97)], [paid(EX, 0, source="config")], BEFORE) is None


def test_two_dividends_on_one_date_are_added_and_a_repeated_one_counts_once():
    known = [paid(EX, 1.5), paid(EX, 1.5), paid(EX, 0.25)]
    assert next_dividend("SPY", known, (), BEFORE) == paid(EX, 1.75)


def test_the_model_takes_dividends_after_today_and_up_to_the_expiration():
    known = [paid(BEFORE, 1), paid(EX, 1.97), paid(AFTER, 3), paid(EX, 7, "QQQ")]
    assert dividends_until("SPY", known, (), BEFORE, EX) == ((EX, 1.97),)
    assert dividends_until("SPY", known, [paid(AFTER, 4, source="config")], BEFORE, AFTER) == ((EX, 1.97), (AFTER, 4.0))
    assert dividends_until("SPY", known, (), EX, EX) == ()


@given(st.lists(st.builds(paid, st.dates(BEFORE, dt.date(2027, 2, 1)), st.integers(0, 3))), st.dates(BEFORE, AFTER))
def test_the_order_of_the_rows_does_not_matter(known, day):
    found = next_dividend("SPY", known, (), day)
    assert next_dividend("SPY", known[::-1], (), day) == found
    until = dividends_until("SPY", known, (), day, dt.date(2027, 2, 1))
    assert list(until) == sorted(until)
    assert all(ex_date > day and dollars > 0 for ex_date, dollars in until)
