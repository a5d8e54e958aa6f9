"""The clauses about how far the price is from the strikes of a condor."""

import msgspec
import pytest

from condord.core.grouping.account import group
from condord.core.rules.facts import Between

from .accounts import position, qqq
from .alert_parts import rule
from .test_alert_text import RULES, clause, condor, risk, symbol


@pytest.mark.parametrize(
    ("spot", "expected"),
    [
        (756.2, "the short put 755 is 1.20 (0.16 %) away"),
        (754.0, "the short put 755 is 1.00 (0.13 %) in the money"),
        (744.0, "the short put 755 is 11.00 (1.48 %) in the money"),
        (755.0, "the short put 755 is at the price"),
        (779.5, "the short call 780 is 0.50 (0.06 %) away"),
        (795.0, "the short call 780 is 15.00 (1.89 %) in the money"),
    ],
)
def test_a_near_strike_text_names_the_leg_and_the_distance(spot, expected):
    words = clause(rule(when="nearStrike"), {"nearStrike": True}, spot=spot, risk=risk(price=spot))
    assert words == f"{expected}, SPY {spot:.2f}."


def test_the_price_of_adjusted_contracts_is_the_one_that_their_strikes_compare_with():
    words = clause(rule(when="nearStrike"), {"nearStrike": True}, spot=756.2, risk=risk(price=378.0))
    assert words == "the short put 755 is 1.20 (0.16 %) away, SPY 378.00."


def test_the_near_leg_of_a_long_condor_is_the_long_one():
    long = msgspec.structs.replace(
        condor(), legs=tuple(msgspec.structs.replace(leg, quantity=-leg.quantity) for leg in condor().legs)
    )
    words = clause(rule(when="nearStrike"), {"nearStrike": True}, condor=long, spot=754.0)
    assert words.startswith("the long put 755 is 1.00 (0.13 %) in the money, ")


def test_the_text_of_tested_states_how_far_away_the_price_is():
    near = risk(price=757.3, put=2.3, sigmas=0.21)
    assert clause(RULES["tested"], {"distanceSigmas": 0.21}, risk=near) == (
        "the short put 755 is tested, 0.21 sigmas away, SPY 757.30."
    )
    call = risk(price=778.0, put=23.0, call=2.0, sigmas=1.9, call_sigmas=0.18)
    assert clause(rule(when="tested"), {"tested": True}, risk=call) == (
        "the short call 780 is tested, 0.18 sigmas away, SPY 778.00."
    )
    assert clause(rule(when="distancePercent < 2"), {"distancePercent": 0.3}, risk=near) == (
        "the short put 755 is tested, 0.3 % away, SPY 757.30."
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # The other side has no volatility, so that only a range of the distance is known.
        ({"put": 2.3, "sigmas": 0.2, "call_sigmas": None}, "the short put 755 is tested, 0.2 sigmas away"),
        ({"put": 2.3, "sigmas": 0.4, "call_sigmas": None}, "the short put 755 is 0.4 sigmas away"),
        # The call is further away in dollars, and the only side that may have decided the rule.
        (
            {"put": 2.3, "sigmas": None, "call": 2.5, "call_sigmas": 0.2},
            "the short call 780 is tested, 0.2 sigmas away",
        ),
        ({"put": 2.3, "sigmas": None, "call_sigmas": None}, "the short put 755 is 0.3 % away"),
    ],
)
def test_a_distance_has_a_verb_and_a_number_without_every_volatility(fields, expected):
    words = clause(RULES["tested"], {"distanceSigmas": Between(0.0, 0.2)}, risk=risk(price=757.3, **fields))
    assert words == f"{expected}, SPY 757.30."


@pytest.mark.parametrize("alert_rule", [RULES["tested"], rule(when="tested"), rule(when="distancePercent < 2")])
def test_the_text_of_tested_does_not_state_that_the_strike_is_breached(alert_rule):
    """The alert `breached` fires at the same time and states that."""
    assert clause(alert_rule, {"distanceSigmas": -0.6}) == "the price is 1.74 % beyond the short put 755, SPY 742.10."
    assert clause(rule(when="distanceSigmas < 0")) == "the short put 755 is breached, SPY 742.10."
    assert clause(rule(when="breached")) == "the short put 755 is breached, SPY 742.10."


def test_a_side_that_is_passed_comes_before_one_that_is_near():
    beyond = risk(price=782.0, put=27.0, call=-2.0, sigmas=0.1, call_sigmas=None)
    assert clause(RULES["breached"], risk=beyond) == "the short call 780 is breached, SPY 782.00."


def test_a_butterfly_has_breakevens():
    entries = ((590, "P", 1, 1.0), (600, "P", -1, 3.0), (600, "C", -1, 3.0), (610, "C", 1, 1.0))
    [butterfly] = group(tuple(position(symbol(strike, r), sign, price) for strike, r, sign, price in entries)).condors
    assert clause(RULES["breached"], condor=butterfly) == "the lower breakeven 596.00 is breached, SPY 742.10."
    beyond = risk(price=605.0, put=9.0, call=-1.0)
    assert clause(RULES["breached"], condor=butterfly, risk=beyond) == (
        "the upper breakeven 604.00 is breached, SPY 605.00."
    )


def test_a_long_condor_is_not_breached_but_passed():
    [long] = group(qqq()).condors
    words = clause(RULES["breached"], condor=long, risk=risk(price=405.0, put=-5.0, call=45.0))
    assert words == "the price is beyond the long put 410, QQQ 405.00."


@pytest.mark.parametrize("fields", [{"condor": None}, {"risk": None}, {"risk": risk(price=None)}])
def test_without_a_price_the_text_comes_from_the_catalogue(fields):
    assert clause(rule(when="breached"), {"breached": True}, **fields) == "the underlying is beyond a short strike."


def test_without_levels_the_text_comes_from_the_catalogue():
    nothing = risk(put=None, call=None, sigmas=None)
    words = clause(rule(when="distanceSigmas < 1"), {"distanceSigmas": 0.5}, risk=nothing)
    assert words == "the distance to the nearer strike is 0.5 sigmas (below 1 sigmas)."
