import datetime as dt
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord.simulator import contracts
from condord.simulator.past_path import PastPath
from condord.simulator.underlyings import Underlyings
from tests.examples import examples

FRIDAY, THURSDAY = dt.date(2026, 11, 20), dt.date(2026, 11, 19)
AT = dt.datetime(2026, 11, 20, 19, 0, tzinfo=dt.UTC).timestamp()
HOUR = 3600.0


def make_underlyings(seed=1, day=FRIDAY):
    underlyings = Underlyings(seed=seed, session_day=day)
    for root in contracts.ROOTS:
        underlyings.add(root)
    return underlyings


def make_path(seed=1, *, at=AT, knots=None, day=FRIDAY, before=THURSDAY):
    return PastPath(make_underlyings(seed, day), seed=seed, started_at=at, before=before, knots=knots)


def closes(path, name="SPY"):
    return [path.day(name, session.day).close for session in path.sessions]


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 2**32))
def test_the_path_leads_to_the_last_close_and_to_the_price_at_the_start(seed):
    path, underlyings = make_path(seed), make_underlyings(seed)
    for name in underlyings.names:
        assert path.price(name, AT) == pytest.approx(underlyings.spot(name))
        assert path.day(name, THURSDAY).close == underlyings.previous_close(name)
        assert path.price(name, path.sessions[-2].close) == pytest.approx(underlyings.previous_close(name), abs=0.006)
        assert path.day(name, FRIDAY).close == round(underlyings.spot(name), 2)


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 2**32), st.lists(st.tuples(st.floats(0.01, 60), st.floats(0.8, 1.2)), max_size=8))
def test_the_path_goes_through_the_given_prices(seed, given_prices):
    path = make_path(seed)
    sessions = [session for session in path.sessions[:-2] for _ in range(2)]
    knots = {}
    for (days, factor), session in zip(given_prices, sessions[::7], strict=False):
        knots[session.open + HOUR + days * 60] = 742 * factor
    pinned = make_path(seed, knots={"SPY": [*knots.items()]})
    for second, price in knots.items():
        assert pinned.price("SPY", second) == pytest.approx(price)
    assert pinned.price("QQQ", AT - 100 * HOUR) == path.price("QQQ", AT - 100 * HOUR)


def test_an_index_that_follows_another_has_its_fraction_of_the_price():
    second = AT - 200 * HOUR
    path = make_path(knots={"XSP": [(second, 700.0)]})
    assert path.price("XSP", second) == pytest.approx(700)
    assert path.price("SPX", second) == pytest.approx(7000)
    assert path.day("XSP", THURSDAY).close == round(path.day("SPX", THURSDAY).close / 10, 2)


def test_the_same_seed_gives_the_same_path_in_any_order_of_requests():
    one, other = make_path(), make_path()
    days = [session.day for session in one.sessions]
    assert [one.day("AAPL", day) for day in days] == [other.day("AAPL", day) for day in reversed(days)][::-1]
    assert closes(one) != closes(make_path(2))


def test_weekends_and_holidays_have_no_session():
    path = make_path()
    days = [session.day for session in path.sessions]
    assert days == sorted(days)
    assert days[-2:] == [THURSDAY, FRIDAY]
    assert (FRIDAY - days[0]).days >= 60
    assert all(day.weekday() < 5 for day in days)
    assert path.day("SPY", dt.date(2026, 11, 15)) is None
    assert path.day("SPY", dt.date(2020, 1, 2)) is None
    labor_day = make_path(day=dt.date(2026, 9, 9), before=dt.date(2026, 9, 8), at=AT - 72 * 24 * HOUR)
    assert dt.date(2026, 9, 7) not in [session.day for session in labor_day.sessions]


def test_in_a_market_that_is_always_open_only_the_newest_session_can_be_on_a_weekend():
    sunday = dt.date(2026, 11, 22)
    path = make_path(day=sunday, before=FRIDAY, at=AT + 48 * HOUR)
    assert [session.day for session in path.sessions[-3:]] == [THURSDAY, FRIDAY, sunday]
    assert path.day("SPY", FRIDAY).close == make_underlyings().previous_close("SPY")


def test_between_sessions_the_price_is_the_last_close():
    path = make_path()
    close = path.sessions[-5].close
    assert path.price("SPY", close + 5 * HOUR) == path.price("SPY", close)
    assert path.price("SPY", AT + 90 * HOUR) == path.price("SPY", AT)
    assert path.price("SPY", 0.0) == path.price("SPY", path.sessions[0].open)


def test_a_session_that_has_not_begun_has_the_last_price():
    path = make_path(at=dt.datetime(2026, 11, 20, 9, 0, tzinfo=dt.UTC).timestamp())
    day = path.day("SPY", FRIDAY)
    assert day.open == day.high == day.low == day.close == round(make_underlyings().spot("SPY"), 2)


def test_a_day_has_the_extremes_of_its_prices():
    path = make_path()
    for session in path.sessions[-4:]:
        day = path.day("NVDA", session.day)
        prices = [path.price("NVDA", session.open + minute * 60) for minute in range(391)]
        assert day.open == round(prices[0], 2)
        assert day.low - 0.01 <= min(prices) <= max(prices) <= day.high + 0.01
        assert day.low <= min(day.open, day.close) <= max(day.open, day.close) <= day.high


def test_prices_move_as_much_as_their_volatility():
    changes = []
    for seed in range(40):
        days = closes(make_path(seed))
        changes += [math.log(after / before) for before, after in itertools.pairwise(days[:-2])]
    deviation = math.sqrt(sum(change * change for change in changes) / len(changes))
    assert deviation == pytest.approx(0.14 / math.sqrt(252), rel=0.1)
    inside = []
    for seed in range(40):
        day = make_path(seed).day("SPY", THURSDAY)
        inside.append(math.log(day.high / day.low))
    assert 0.4 < sum(inside) / len(inside) / deviation < 2


def test_an_unknown_underlying_is_an_error():
    with pytest.raises(KeyError):
        make_path().price("NONE", AT)
