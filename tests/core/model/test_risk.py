import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from condord.core.model.black_scholes import price
from condord.core.model.distance import Distance
from condord.core.model.figures import Chain, Figures, ModelQuote, figures
from condord.core.model.probability import Probabilities, probabilities
from condord.core.model.risk import Greeks, condor_risk, contract_greeks, sum_greeks
from tests.core.model.builders import MONTH, at, flat, inputs, make_condor
from tests.core.strategies import condor_books, only_condor

LEG = Figures(iv=0.2, delta=-0.25, gamma=0.02, theta=-0.04, vega=0.12, source="model")
PARTS = st.none() | st.floats(-1e6, 1e6)
GREEKS = st.builds(Greeks, delta=PARTS, gamma=PARTS, theta=PARTS, vega=PARTS)


def by_smile(condor, spot=100.0, years=MONTH):
    """The figures of a condor whose legs are quoted at the prices of a smile."""

    def paid(leg):
        volatility = 0.2 - 0.3 * math.log(leg.strike_mills / 1000 / spot)
        return price(leg.right, leg.strike_mills / 1000, volatility, at(spot, years))

    quotes = tuple(
        ModelQuote(symbol=leg.symbol, right=leg.right, strike=leg.strike_mills / 1000, price=paid(leg))
        for leg in condor.legs
    )
    return figures(Chain(spot=spot, years=years, rate=0.04, dividend_yield=0.0, quotes=quotes))


def test_greeks_of_contracts_are_dollars_for_the_whole_quantity():
    assert contract_greeks(LEG, 3, 100) == Greeks(delta=-75, gamma=6, theta=-12, vega=36)
    assert contract_greeks(LEG, -3, 100) == Greeks(delta=75, gamma=-6, theta=12, vega=-36)


def test_greeks_of_an_adjusted_contract_are_per_dollar_of_the_underlying():
    assert contract_greeks(LEG, 2, 100, 1.5) == Greeks(delta=-75, gamma=pytest.approx(9), theta=-8, vega=24)
    assert contract_greeks(LEG, 2, 100, 0.1) == Greeks(delta=-5, gamma=pytest.approx(0.04), theta=-8, vega=24)


@given(st.floats(20, 200), st.floats(0.5, 2), st.sampled_from(["put", "call"]))
def test_dollars_of_an_adjusted_contract_are_the_slopes_of_its_value(underlying, ratio, right):
    def worth(underlying):
        return 100 * price(right, 100, 0.4, at(underlying * ratio + 2))

    quote = ModelQuote(symbol="X", right=right, strike=100, price=None)
    listed = Chain(
        spot=underlying * ratio + 2, years=MONTH, rate=0.04, dividend_yield=0.0, quotes=(quote,), other_ivs={100: 0.4}
    )
    found = figures(listed)["X"]
    if found.source is None:  # out of the money, and without a price
        return
    dollars = contract_greeks(found, 1, 100, ratio)
    step = 0.01
    assert dollars.delta == pytest.approx((worth(underlying + step) - worth(underlying - step)) / (2 * step), abs=1e-3)
    bend = (worth(underlying + step) - 2 * worth(underlying) + worth(underlying - step)) / step**2
    assert dollars.gamma == pytest.approx(bend, abs=1e-3)


def test_unknown_figures_of_a_contract_have_no_dollars():
    assert contract_greeks(Figures(), 1, 100) == Greeks()
    assert contract_greeks(Figures(theta=-0.04), 1, 100) == Greeks(theta=-4)


def test_each_share_adds_one_to_delta_and_nothing_else():
    assert sum_greeks([], shares=150) == Greeks(delta=150, gamma=0, theta=0, vega=0)
    part = Greeks(delta=-75, gamma=6, theta=-12, vega=36)
    assert sum_greeks([part, part], shares=-100) == Greeks(delta=-250, gamma=12, theta=-24, vega=72)


@given(st.lists(GREEKS), st.integers(-1000, 1000))
def test_a_sum_adds_its_parts_and_is_unknown_if_one_of_them_is(parts, shares):
    whole = sum_greeks(parts, shares)
    for name in ("delta", "gamma", "theta", "vega"):
        values = [getattr(part, name) for part in parts]
        found = getattr(whole, name)
        if None in values:
            assert found is None
        else:
            assert found == pytest.approx(sum(values) + (shares if name == "delta" else 0), abs=1e-4)


@given(condor_books(), st.floats(0.5, 1.5))
def test_a_condor_has_the_sum_of_the_greeks_of_its_legs(book, moneyness):
    condor = only_condor(book[0])
    spot = condor.legs[1].strike_mills / 1000 * moneyness
    found = condor_risk(condor, by_smile(condor, spot), inputs(spot))
    for name in ("delta", "gamma", "theta", "vega"):
        parts = [getattr(found.legs[leg.symbol], name) for leg in condor.legs]
        total = getattr(found.greeks, name)
        if None in parts:
            assert total is None
            assert found.missing
        else:
            signed = sum(leg.quantity * part for leg, part in zip(condor.legs, parts, strict=True))
            assert total == pytest.approx(condor.multiplier * signed, abs=1e-6)


@given(st.floats(70, 130), st.floats(1e-4, 1))
def test_a_long_condor_has_the_greeks_of_the_short_one_with_the_opposite_sign(spot, years):
    short, long = make_condor(), make_condor(credit="-2", quantity=-1)
    known = inputs(spot, years=years)
    sold, bought = (condor_risk(condor, by_smile(condor, spot, years), known) for condor in (short, long))
    for mine, other in zip(structs.astuple(sold.greeks), structs.astuple(bought.greeks), strict=True):
        assert (mine is None and other is None) or mine == -other
    assert (sold.put, sold.call, sold.expected_move) == (bought.put, bought.call, bought.expected_move)


def test_a_short_condor_between_its_strikes_gains_with_time_and_loses_with_volatility():
    found = condor_risk(make_condor(), by_smile(make_condor()), inputs())
    assert found.greeks.theta > 0
    assert found.greeks.vega < 0
    assert found.greeks.gamma < 0
    assert found.missing == ()


def test_theta_of_a_condor_on_the_last_afternoon_is_at_most_what_it_can_still_earn():
    # A rate per day would be 48 times what half an hour leaves.
    years = 30 / 525_600
    condor = make_condor((6790, 6800, 6810, 6820), "5")
    found = condor_risk(condor, by_smile(condor, 6805, years), inputs(6805, years=years))
    volatilities = [leg.iv for leg in found.legs.values()]
    worth = sum(
        -leg.quantity * condor.multiplier * price(leg.right, leg.strike_mills / 1000, iv, at(6805, years))
        for leg, iv in zip(condor.legs, volatilities, strict=True)
    )
    assert found.greeks.theta == pytest.approx(worth)


def test_the_risk_of_a_condor_has_the_price_its_distances_and_the_tested_side():
    condor = make_condor()
    found = condor_risk(condor, flat(condor), inputs(94.0))
    assert found.price == 94
    assert found.put.dollars == -1
    assert found.call.dollars == 11
    assert (found.tested, found.breached) == ("put", True)
    assert condor_risk(condor, flat(condor), inputs(100.0)).tested == "none"
    assert condor_risk(condor, flat(condor), inputs(104.0)).tested == "call"


def test_the_distance_and_the_probabilities_of_a_side_use_the_volatility_of_its_inner_leg():
    condor = make_condor()
    legs = flat(condor)
    _, put, call, _ = condor.legs
    legs |= {put.symbol: Figures(iv=0.3, delta=-0.3), call.symbol: Figures(iv=0.15, delta=0.2)}
    found = condor_risk(condor, legs, inputs())
    assert found.put.sigmas == pytest.approx(math.log(100 / 95) / (0.3 * math.sqrt(MONTH)))
    assert found.call.sigmas == pytest.approx(math.log(105 / 100) / (0.15 * math.sqrt(MONTH)))
    assert found.expected_move == pytest.approx(100 * 0.225 * math.sqrt(MONTH))
    assert found.probabilities == probabilities(condor, legs[put.symbol], legs[call.symbol], 100, at())
    assert found.probabilities.profit_by_delta == pytest.approx(50)


def test_known_dividends_lower_the_price_in_the_model_but_not_in_distances():
    condor = make_condor()
    found = condor_risk(condor, flat(condor), inputs(model_spot=98.0))
    assert found.put.dollars == 5
    assert found.expected_move == pytest.approx(100 * 0.2 * math.sqrt(MONTH))
    leg = flat(condor)[condor.legs[1].symbol]
    assert found.probabilities == probabilities(condor, leg, leg, 100, at(98))


def test_the_strikes_of_an_adjusted_contract_compare_with_its_deliverable():
    condor = make_condor()
    found = condor_risk(condor, flat(condor), inputs(66.0, spot=99.0, model_spot=99.0, shares_ratio=1.5))
    assert found.price == 66
    assert (found.put.dollars, found.call.dollars) == (4, 6)
    plain = condor_risk(condor, flat(condor, delta=0.3, gamma=0.01), inputs(99.0))
    adjusted = condor_risk(condor, flat(condor, delta=0.3, gamma=0.01), inputs(66.0, spot=99.0, model_spot=99.0))
    assert adjusted.put == plain.put
    assert adjusted.probabilities == plain.probabilities


def test_a_leg_without_figures_is_missing_and_makes_its_greeks_unknown():
    condor = make_condor()
    outer = condor.legs[0].symbol
    found = condor_risk(condor, {**flat(condor), outer: Figures()}, inputs())
    assert found.missing == (outer,)
    assert found.greeks == Greeks()
    assert found.probabilities.max_loss is not None
    assert found.tested == "none"


def test_a_leg_for_which_no_figures_were_given_is_missing():
    condor = make_condor()
    put = condor.legs[1].symbol
    found = condor_risk(condor, {symbol: leg for symbol, leg in flat(condor).items() if symbol != put}, inputs())
    assert found.missing == (put,)
    assert found.legs[put] == Figures()
    assert (found.put.sigmas, found.tested, found.breached, found.expected_move) == (None, None, False, None)
    assert found.probabilities.touch_call is not None


def test_a_leg_with_some_of_its_figures_is_missing_and_only_the_others_are_unknown():
    condor = make_condor()
    legs = flat(condor)
    legs[condor.legs[3].symbol] = Figures(iv=0.2, delta=0.1, gamma=0.01, theta=None, vega=0.05, source="alpaca")
    found = condor_risk(condor, legs, inputs())
    assert found.missing == (condor.legs[3].symbol,)
    assert found.greeks.theta is None
    assert found.greeks.delta is not None


@pytest.mark.parametrize(
    "without", [{"price": None}, {"spot": None}, {"model_spot": None}, {"model_spot": 0.0}, {"model_spot": -1.0}]
)
def test_without_a_price_only_alpacas_greeks_and_the_rule_by_credit_are_known(without):
    condor = make_condor()
    found = condor_risk(
        condor, flat(condor, source="alpaca"), inputs(**without) if "price" not in without else inputs(None)
    )
    assert found.missing == ("price",)
    assert found.greeks == condor_risk(condor, flat(condor), inputs()).greeks
    assert (found.put, found.call, found.tested, found.breached) == (Distance(), Distance(), None, None)
    assert found.expected_move is None
    assert found.probabilities == Probabilities(profit_by_credit=60)


def test_without_a_price_and_figures_only_the_price_is_reported_as_missing():
    found = condor_risk(make_condor(), {}, inputs(None))
    assert found.missing == ("price",)
    assert found.greeks == Greeks()
    assert set(found.legs.values()) == {Figures()}


@pytest.mark.parametrize("years", [None, 0.0, -0.001])
def test_after_the_settlement_nothing_is_known(years):
    condor = make_condor()
    found = condor_risk(condor, flat(condor), inputs(years=years))
    assert found.missing == ("expired",)
    assert found.greeks == Greeks()
    assert list(found.legs) == [leg.symbol for leg in condor.legs]
    assert set(found.legs.values()) == {Figures()}
    assert (found.put, found.call, found.tested, found.breached) == (Distance(), Distance(), None, None)
    assert (found.expected_move, found.probabilities) == (None, Probabilities())


@pytest.mark.parametrize("known", [inputs(), inputs(None), inputs(years=None)])
def test_a_long_condor_is_never_tested_or_breached(known):
    condor = make_condor(credit="-2", quantity=-1)
    found = condor_risk(condor, flat(condor), known)
    assert (found.tested, found.breached) == (None, False)


def test_a_butterfly_is_measured_at_its_breakevens():
    condor = make_condor((90, 100, 100, 110), "4")
    found = condor_risk(condor, flat(condor), inputs(103.0))
    assert (found.put.dollars, found.call.dollars) == (7, 1)
    assert found.breached is False
    assert condor_risk(condor, flat(condor), inputs(104.5)).breached is True


@given(condor_books(), st.none() | st.floats(0.5, 1.5), st.none() | st.floats(1e-6, 2))
def test_every_condor_has_a_risk_whose_numbers_are_finite(book, moneyness, years):
    condor = only_condor(book[0])
    spot = None if moneyness is None else condor.legs[1].strike_mills / 1000 * moneyness
    legs = by_smile(condor, spot or 100, years or MONTH)
    found = condor_risk(condor, legs, inputs(spot, years=years))
    numbers = [found.expected_move]
    for part in (found.greeks, found.put, found.call, found.probabilities):
        numbers += structs.astuple(part)
    assert all(number is None or math.isfinite(number) for number in numbers)
    assert (found.missing == ("expired",)) == (years is None)
