import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from msgspec.structs import replace

from condord.core.model import probability
from condord.core.model.figures import Figures
from condord.core.model.probability import below, expected_move, probabilities, touch
from tests.core.model.builders import all_conditions, at, deviations, make_condor, volatilities
from tests.core.model.oracles import grid, touch_by_quantlib
from tests.core.strategies import condor_books, only_condor

UNEQUAL_PUTS = (85, 95, 105, 110)
UNEQUAL_CALLS = (90, 95, 105, 115)
BUTTERFLY = (90, 100, 100, 110)


def probabilities_of(condor, conditions=None, put=0.2, call=0.2, spot=None, deltas=(-0.2, 0.2)):
    """The probabilities of a condor from the volatilities and deltas of its inner legs."""
    conditions = conditions or at()
    figures = [Figures(iv=iv, delta=delta) for iv, delta in zip((put, call), deltas, strict=True)]
    return probabilities(condor, *figures, spot or conditions.spot, conditions)


def chance_below(level, volatility=0.2):
    return 100 * below(level, volatility, at())


def test_the_published_aapl_condor_has_its_published_probabilities():
    found = probabilities_of(
        make_condor((102.67, 109.21, 129.31, 135.85), "1"), at(119.26, 30 / 365, 0.001364), put=0.294, call=0.294
    )
    assert found.max_profit == pytest.approx(68.4, abs=0.05)
    assert found.max_loss == pytest.approx(9.8, abs=0.05)


def test_optionlabs_probability_is_reproduced_at_the_breakeven_of_its_grid_and_at_the_true_one():
    conditions = at(164.04, 19 / 252, 0.0002)
    assert below(176.14, 0.272, conditions) == pytest.approx(0.8389215512, abs=5e-11)
    assert below(176.15, 0.272, conditions) == pytest.approx(0.8391072417, abs=5e-11)


def test_a_published_probability_between_two_strikes_is_reproduced():
    assert probabilities_of(make_condor(), at(100, 30 / 365, 0.045)).max_profit == pytest.approx(61.64081625, abs=5e-9)


def test_a_touch_published_by_optionlab_is_reproduced_once_it_is_discounted():
    conditions = at(100, 60 / 365, 0.01)
    assert touch(105, 0.2, conditions) == pytest.approx(0.54070, abs=5e-6)
    assert touch(105, 0.2, conditions) * math.exp(-0.01 * 60 / 365) == pytest.approx(0.5398, abs=5e-5)


def test_published_rules_of_thumb_are_reproduced():
    assert probabilities_of(make_condor((92, 95, 105, 108), "1")).profit_by_credit == pytest.approx(66.7, abs=0.05)
    assert probabilities_of(make_condor(), deltas=(-0.0821, 0.0852)).profit_by_delta == pytest.approx(83.27)


def test_quantlib_gives_the_same_touches():
    for option in grid(150):
        level = option.conditions.spot * 1.001 if option.strike == option.conditions.spot else option.strike
        ours = touch(level, option.volatility, option.conditions)
        assert ours == pytest.approx(touch_by_quantlib(option), rel=1e-7, abs=1e-12), option


def test_a_touch_at_a_tiny_volatility_does_not_overflow():
    for volatility in (1e-2, 1e-4, 1e-8, 1e-100, 1e-250):
        rising, falling = at(rate=0.05, years=0.5), at(rate=-0.05, years=0.5)
        assert touch(101, volatility, rising) == pytest.approx(1, abs=0.01)
        assert touch(99, volatility, falling) == pytest.approx(1, abs=0.01)
        assert touch(99, volatility, rising) == pytest.approx(0, abs=1e-4)
        assert touch(101, volatility, falling) == pytest.approx(0, abs=1e-4)


def test_a_touch_has_no_jump_where_its_second_term_becomes_a_series():
    limit = probability._DIRECT
    before, after = (probability._scaled_erfc(x) for x in (math.nextafter(limit, 0), limit))
    assert before == pytest.approx(after, rel=1e-10)


@given(all_conditions(), volatilities(), deviations())
def test_a_touch_is_at_least_as_likely_as_ending_beyond_and_grows_with_time(conditions, volatility, deviation):
    level = conditions.spot * math.exp(deviation * volatility * math.sqrt(conditions.years))
    beyond = below(level, volatility, conditions)
    beyond = beyond if deviation < 0 else 1 - beyond
    found = touch(level, volatility, conditions)
    assert beyond - 1e-12 <= found <= 1
    longer = replace(conditions, years=conditions.years * 1.1)
    assert touch(level, volatility, longer) >= found - 1e-12


def test_a_touch_is_certain_at_or_beyond_the_level_even_without_a_volatility():
    assert probabilities_of(make_condor(), at(95), put=None, call=None).touch_put == 100
    assert probabilities_of(make_condor(), at(94), put=None, call=None).touch_put == 100
    assert probabilities_of(make_condor(), at(105), put=None, call=None).touch_call == 100
    assert probabilities_of(make_condor(), at(106), put=None, call=None).touch_call == 100
    assert probabilities_of(make_condor(), at(95.01)).touch_put < 100
    assert probabilities_of(make_condor(), at(104.99)).touch_call < 100


def test_a_dividend_that_will_take_the_price_beyond_a_level_makes_its_touch_certain():
    assert probabilities_of(make_condor(), at(94.5), spot=96.0).touch_put == 100
    assert probabilities_of(make_condor(), at(104.0), spot=106.0).touch_call == 100


def test_a_butterfly_touches_its_breakevens():
    found = probabilities_of(make_condor(BUTTERFLY, "4"))
    assert found.touch_put == pytest.approx(100 * touch(96, 0.2, at()))
    assert found.touch_call == pytest.approx(100 * touch(104, 0.2, at()))
    assert probabilities_of(make_condor((95, 100, 100, 110), "6")).touch_put is None


def test_a_short_condor_profits_between_its_breakevens_each_by_the_volatility_of_its_side():
    found = probabilities_of(make_condor(), put=0.3, call=0.15)
    assert found.profit == pytest.approx(chance_below(107, 0.15) - chance_below(93, 0.3))
    assert found.max_profit == pytest.approx(chance_below(105, 0.15) - chance_below(95, 0.3))
    assert found.max_loss == pytest.approx(chance_below(90, 0.3) + 100 - chance_below(110, 0.15))


def test_a_long_condor_has_the_opposite_probabilities_and_no_rules_of_thumb():
    short, long = probabilities_of(make_condor()), probabilities_of(make_condor(credit="-2", quantity=-1))
    assert long.profit == pytest.approx(100 - short.profit)
    assert (long.max_profit, long.max_loss) == (short.max_loss, short.max_profit)
    assert (long.touch_put, long.touch_call) == (short.touch_put, short.touch_call)
    assert (long.profit_by_credit, long.profit_by_delta) == (None, None)


def test_with_unequal_wings_only_the_wider_one_has_the_greatest_loss_or_profit():
    puts, calls = chance_below(85), 100 - chance_below(115)
    assert probabilities_of(make_condor(UNEQUAL_PUTS)).max_loss == pytest.approx(puts)
    assert probabilities_of(make_condor(UNEQUAL_CALLS)).max_loss == pytest.approx(calls)
    assert probabilities_of(make_condor(UNEQUAL_PUTS, "-2", -1)).max_profit == pytest.approx(puts)
    assert probabilities_of(make_condor(UNEQUAL_CALLS, "-2", -1)).max_profit == pytest.approx(calls)
    assert probabilities_of(make_condor(UNEQUAL_PUTS), call=None).max_loss == pytest.approx(puts)


def test_a_side_that_cannot_lose_has_no_bound():
    assert probabilities_of(make_condor(UNEQUAL_PUTS, "6")).profit == pytest.approx(100 - chance_below(89))
    assert probabilities_of(make_condor(UNEQUAL_CALLS, "6")).profit == pytest.approx(chance_below(111))
    assert probabilities_of(make_condor(credit="6")).profit == 100


def test_a_long_condor_cannot_win_on_a_side_without_a_breakeven():
    assert probabilities_of(make_condor(UNEQUAL_PUTS, "-6", -1)).profit == pytest.approx(chance_below(89))
    assert probabilities_of(make_condor(UNEQUAL_CALLS, "-6", -1)).profit == pytest.approx(100 - chance_below(111))
    assert probabilities_of(make_condor(credit="-6", quantity=-1)).profit == pytest.approx(0)


def test_a_short_condor_at_a_debit_never_profits_and_a_long_one_for_a_credit_always():
    assert probabilities_of(make_condor(credit="-1")).profit == 0
    assert probabilities_of(make_condor(credit="0")).profit == 0
    assert probabilities_of(make_condor(credit="1", quantity=-1)).profit == 100


def test_a_long_condor_at_no_cost_profits_beyond_its_inner_strikes():
    condor = make_condor(credit="0", quantity=-1)
    expected = 100 - (chance_below(105) - chance_below(95))
    assert probabilities_of(condor).profit == pytest.approx(expected)
    assert probabilities_of(replace(condor, lower_breakeven_e4=None, upper_breakeven_e4=None)).profit == pytest.approx(
        expected
    )


def test_without_a_known_entry_only_what_depends_on_it_is_unknown():
    found = probabilities_of(make_condor(credit=None))
    assert (found.profit, found.profit_by_credit) == (None, None)
    assert found.max_profit == probabilities_of(make_condor()).max_profit
    assert found.profit_by_delta == pytest.approx(60)


def test_without_the_volatility_of_a_side_its_probabilities_are_unknown():
    for missing, kept in (("put", "touch_call"), ("call", "touch_put")):
        found = probabilities_of(make_condor(), **{missing: None})
        known = {name for name, value in structs.asdict(found).items() if value is not None}
        assert known == {kept, "profit_by_credit", "profit_by_delta"}


def test_a_butterfly_ends_at_its_inner_strike_with_probability_zero():
    found = probabilities_of(make_condor(BUTTERFLY, "4"), put=0.19, call=0.21)
    assert found.max_profit == 0
    assert found.profit == pytest.approx(chance_below(104, 0.21) - chance_below(96, 0.19))
    assert found.profit_by_credit == pytest.approx(60)
    assert found.profit_by_delta is None
    assert probabilities_of(make_condor(BUTTERFLY, "-4", -1)).max_loss == 0


def test_the_rule_by_credit_needs_equal_wings_and_a_possible_profit_and_loss():
    assert probabilities_of(make_condor(UNEQUAL_PUTS)).profit_by_credit is None
    for credit in ("5", "6", "0", "-1"):
        assert probabilities_of(make_condor(credit=credit)).profit_by_credit is None


def test_the_rule_by_delta_needs_both_deltas_and_is_never_below_zero():
    assert probabilities_of(make_condor(), deltas=(None, 0.2)).profit_by_delta is None
    assert probabilities_of(make_condor(), deltas=(-0.2, None)).profit_by_delta is None
    assert probabilities_of(make_condor(), deltas=(-0.7, 0.4)).profit_by_delta == 0


def test_two_volatilities_far_beyond_a_wing_give_a_probability_of_zero_and_not_a_negative_one():
    found = probabilities_of(make_condor((80, 85, 88, 93), "1"), at(100, 0.1), put=0.5, call=0.1)
    assert (found.profit, found.max_profit) == (0, 0)
    assert probabilities_of(make_condor((80, 85, 88, 93), "-1", -1), at(100, 0.1), put=0.5, call=0.1).profit == 100


@given(condor_books(), st.floats(0.3, 3), st.floats(1e-4, 2), st.floats(-0.05, 0.1), volatilities(), volatilities())
def test_probabilities_are_from_0_to_100_and_regions_do_not_overlap(book, moneyness, years, rate, put, call):
    condor = only_condor(book[0])
    spot = condor.legs[1].strike_mills / 1000 * moneyness
    found = probabilities_of(condor, at(spot, years, rate), put=put, call=call)
    assert all(value is None or 0 <= value <= 100 for value in structs.asdict(found).values())
    same = probabilities_of(condor, at(spot, years, rate), put=put, call=put)
    assert same.max_profit + same.max_loss <= 100 + 1e-9
    if condor.direction == "short" and condor.credit_e4 > 0 and condor.max_loss_e4 > 0:
        assert same.max_profit <= same.profit + 1e-9
        assert same.profit + same.max_loss <= 100 + 1e-9


@given(all_conditions(), volatilities(), deviations())
def test_the_probability_below_rises_with_the_level(conditions, volatility, deviation):
    level = conditions.spot * math.exp(deviation * volatility * math.sqrt(conditions.years))
    assert 0 <= below(level, volatility, conditions) <= below(level * 1.01, volatility, conditions) <= 1


def test_the_expected_move_is_one_standard_deviation():
    assert expected_move(582.1, 0.181, 28 / 365) == pytest.approx(29.18, abs=0.005)
