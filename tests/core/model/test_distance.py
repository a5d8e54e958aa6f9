import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.model import distance
from condord.core.model.distance import Distance, Levels, breached, call_distance, levels, put_distance
from tests.core.model.builders import MONTH, make_condor

NOTHING = Distance()
BUTTERFLY = (90, 100, 100, 110)


def away(sigmas, dollars=None):
    """A distance whose dollars have the sign of its sigmas."""
    return Distance(dollars=sigmas if dollars is None else dollars, percent=0.0, sigmas=sigmas)


def without_volatility(dollars):
    return Distance(dollars=dollars, percent=dollars)


def test_a_condor_is_measured_at_its_inner_strikes():
    assert levels(make_condor((90, 95, 105, 110))) == Levels(95, 105)
    assert levels(make_condor((90, 95, 105, 110), "-2", -1)) == Levels(95, 105)


def test_a_butterfly_is_measured_at_its_breakevens():
    assert levels(make_condor(BUTTERFLY, "4.25")) == Levels(95.75, 104.25)


def test_a_butterfly_has_no_level_on_a_side_that_cannot_lose_or_without_a_known_entry():
    assert levels(make_condor((95, 100, 100, 110), "6")) == Levels(None, 106)
    assert levels(make_condor(BUTTERFLY, None)) == Levels(None, None)


def test_the_distance_is_in_dollars_in_percent_of_the_price_and_in_sigmas():
    put = put_distance(570, 582.1, 0.182, 28 / 365)
    assert put.dollars == pytest.approx(12.1)
    assert put.percent == pytest.approx(2.0787, abs=1e-4)
    assert put.sigmas == pytest.approx(math.log(582.1 / 570) / (0.182 * math.sqrt(28 / 365)))
    call = call_distance(630, 582.1, 0.182, 28 / 365)
    assert call.dollars == pytest.approx(47.9)
    assert call.percent == pytest.approx(8.2288, abs=1e-4)
    assert call.sigmas == pytest.approx(math.log(630 / 582.1) / (0.182 * math.sqrt(28 / 365)))


def test_without_a_volatility_only_sigmas_are_unknown():
    assert put_distance(95, 100, None, MONTH) == without_volatility(5)
    assert call_distance(105, 100, None, MONTH) == without_volatility(5)


def test_without_a_level_there_is_no_distance():
    assert put_distance(None, 100, 0.2, MONTH) == NOTHING
    assert call_distance(None, 100, 0.2, MONTH) == NOTHING


@given(st.floats(1, 1000), st.floats(1, 1000), st.floats(0.01, 3), st.floats(1e-5, 3))
def test_all_measures_of_a_distance_share_one_sign_and_the_other_side_has_the_opposite(level, spot, iv, years):
    put, call = put_distance(level, spot, iv, years), call_distance(level, spot, iv, years)
    assert put.dollars == -call.dollars
    assert put.percent == -call.percent
    assert put.sigmas == pytest.approx(-call.sigmas)
    for part in (put, call):
        assert (part.dollars > 0) == (part.percent > 0)
        assert part.dollars * part.sigmas >= 0


@pytest.mark.parametrize(
    ("put", "call", "side"),
    [
        (away(0.5), away(1.5), "none"),
        (away(0.25), away(1.5), "put"),
        (away(1.5), away(0.25), "call"),
        (away(0.2), away(0.1), "call"),
        (away(0.1), away(0.2), "put"),
        (away(0.2, 5), away(0.3, 4), "put"),  # nearer in sigmas, though not in dollars
        (away(-2), away(3), "put"),
        (away(3), away(-2), "call"),
        (away(0.0), away(1), "put"),
        (without_volatility(-1), away(3), "put"),
        (away(3), without_volatility(0.0), "call"),
        (without_volatility(1), away(3), None),
        (away(0.1), without_volatility(3), None),
        (NOTHING, away(0.1), "call"),
        (away(3), NOTHING, "none"),
        (NOTHING, NOTHING, None),
    ],
)
def test_the_nearer_side_is_tested_beyond_its_level_or_within_a_quarter_of_a_sigma(put, call, side):
    assert distance.tested(make_condor(), put, call) == side


def test_a_long_condor_is_never_tested_or_breached():
    condor = make_condor(credit="-2", quantity=-1)
    assert distance.tested(condor, away(-1), away(1)) is None
    assert breached(condor, away(-1), away(1)) is False
    assert breached(condor, NOTHING, NOTHING) is False


@pytest.mark.parametrize(
    ("put", "call", "expected"),
    [
        (away(0.1), away(1), False),
        (away(0.0), away(1), False),
        (away(-0.1), away(1), True),
        (without_volatility(1), without_volatility(-1), True),
        (NOTHING, away(1), False),
        (NOTHING, NOTHING, None),
    ],
)
def test_a_condor_is_breached_beyond_a_level(put, call, expected):
    assert breached(make_condor(), put, call) is expected
