import math

import pytest

from condord.core.model.assumptions import Assumptions
from condord.core.model.black_scholes import MarketConditions, price
from condord.core.position import Position
from condord.live.chains import chains_of
from condord.live.index_parity import MAX_ASKED, contracts_to_request, nearest, price_e4

from .accounts import option, position
from .test_chains import reading

ASSUMED = Assumptions(rate=0.04, dividend_yields={"SPX": 0.012})
YEARS = 28 / 365
SPOT = 6012.34


def index(strike, right="P", quantity=1, root="SPXW"):
    return position(option(strike, right, root), quantity, underlying="SPX")


def chain(*positions: Position):
    [found] = chains_of(reading(*positions))
    return found


def mids(spot=SPOT, volatility=0.15, missing=()):
    """The mid of every contract by the model."""
    conditions = MarketConditions(spot=spot, years=YEARS, rate=ASSUMED.rate, dividend_yield=0.012)

    def mid(symbol):
        if symbol in missing:
            return None
        right = "call" if "C0" in symbol else "put"
        return price(right, int(symbol[-8:]) / 1000, volatility, conditions)

    return mid


HELD = chain(index(5900), index(5950, quantity=-1), index(6050, "C", -1), index(6100, "C"))


def test_the_price_follows_from_both_rights_at_the_strike_nearest_the_money():
    assert price_e4(HELD, YEARS, mids(), ASSUMED) == pytest.approx(SPOT * 10_000, abs=1)


def test_the_strike_whose_call_and_put_cost_nearly_the_same_counts():
    exact, wrong = mids(), mids(missing={option(5900, root="SPXW")})

    def skewed(symbol):
        """Quotes far from the money are off."""
        return exact(symbol) + (5.0 if symbol == option(5900, "C", "SPXW") else 0.0)

    assert price_e4(HELD, YEARS, skewed, ASSUMED) == pytest.approx(SPOT * 10_000, abs=1)
    assert price_e4(HELD, YEARS, wrong, ASSUMED) == pytest.approx(SPOT * 10_000, abs=1)


def test_without_both_rights_at_any_strike_there_is_no_price():
    only_held = {held.opposite.symbol for held in HELD.contracts}
    assert price_e4(HELD, YEARS, mids(missing=only_held), ASSUMED) is None


def test_mids_that_give_no_price_above_zero_give_none():
    def mid(symbol):
        return 7000.0 if symbol.endswith("P05900000") else 1.0 if symbol.endswith("C05900000") else None

    assert price_e4(HELD, YEARS, mid, ASSUMED) is None


def test_the_nearest_expiration_of_european_options_counts():
    month = chains_of(reading(index(6000, root="SPX"), index(6000), position(option(600, root="SPY"), 1)))
    assert nearest(month, "SPX").key.expiry.root == "SPX"  # settles at the open, before SPXW does at the close
    assert nearest(month, "SPY") is None
    assert nearest([], "SPX") is None


def test_all_opposites_are_asked_for_until_there_is_a_price_the_dearest_first():
    assert contracts_to_request(HELD, None, mids())[0] == option(6050, root="SPXW")
    assert len(contracts_to_request(HELD, None, mids())) == 4
    assert len(contracts_to_request(HELD, None, lambda _symbol: None)) == 4
    many = chain(*(index(5000 + 5 * number) for number in range(100)))
    assert len(contracts_to_request(many, None, mids())) == MAX_ASKED


def test_with_a_price_only_the_strikes_nearest_to_it_are_asked_for():
    assert contracts_to_request(HELD, 5960.0, mids()) == [
        option(5950, "C", "SPXW"),
        option(5900, "C", "SPXW"),
        option(6050, root="SPXW"),
    ]


def test_a_right_that_is_held_is_not_asked_for():
    straddle = chain(index(6000), index(6000, "C"))
    assert contracts_to_request(straddle, None, mids()) == []
    assert math.isclose(price_e4(straddle, YEARS, mids(), ASSUMED), SPOT * 10_000, abs_tol=1)
