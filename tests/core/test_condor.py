import pytest
from hypothesis import given
from msgspec.structs import replace

from condord.core.condor import condor_id, strike_text
from condord.core.valuation import percent
from tests.core.strategies import (
    DECEMBER,
    STRIKES,
    condor_books,
    condor_holdings,
    dollars,
    e4,
    holding,
    legs_of,
    numbers,
    only_condor,
    payoff_e4,
)

# Published condors: strikes, prices of the legs, quantity, multiplier; credit, max profit, max loss, breakevens, profit
# or loss below and above all strikes, return on risk in per cent. Where only the net price was published, it is that of
# the short put.
PUBLISHED = {
    "schwab": (
        (140, 150, 160, 170), ("1.15", "2.89", "2.91", "0.70"), 10, 100,
        "3.95", "3950", "6050", ("146.05", "163.95"), "-6050", "-6050", 65.29,
    ),
    "optionalpha": (
        (94, 95, 105, 106), ("0", "0.50", "0", "0"), 1, 100,
        "0.5", "50", "50", ("94.5", "105.5"), "-50", "-50", 100.0,
    ),
    "index-like": (
        (400, 450, 550, 600), ("0", "15", "0", "0"), 1, 100,
        "15", "1500", "3500", ("435", "565"), "-3500", "-3500", 42.86,
    ),
    "quantinsti": (
        (45, 50, 60, 65), ("0.50", "1.00", "1.00", "0.50"), 1, 100,
        "1", "100", "400", ("49", "61"), "-400", "-400", 25.0,
    ),
    "margin-estimator": (
        (567, 572, 602, 607), ("4.78", "5.61", "5.23", "3.68"), 1, 100,
        "2.38", "238", "262", ("569.62", "604.38"), "-262", "-262", 90.84,
    ),
    "nifty": (
        (24600, 24700, 24900, 25000), ("30", "60", "60", "30"), 1, 75,
        "60", "4500", "3000", ("24640", "24960"), "-3000", "-3000", 150.0,
    ),
    "free-side": (
        (46, 49, 53, 54), ("0", "1.03", "0", "0"), 1, 100,
        "1.03", "103", "197", ("47.97", None), "-197", "3", 52.28,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_condor_has_its_published_numbers(name):
    strikes, entries, quantity, multiplier, credit, profit, loss, breakevens, _, _, on_risk = PUBLISHED[name]
    condor = only_condor(condor_holdings(strikes, entries, quantity, multiplier=multiplier))
    assert (condor.direction, condor.quantity) == ("short", quantity)
    assert (condor.credit_e4, condor.max_profit_e4, condor.max_loss_e4) == (e4(credit), e4(profit), e4(loss))
    assert (condor.lower_breakeven_e4, condor.upper_breakeven_e4) == tuple(map(e4, breakevens))
    assert percent(condor.max_profit_e4, condor.max_loss_e4) == on_risk


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_condor_has_its_published_payoff_beyond_its_strikes(name):
    strikes, entries, quantity, multiplier, *_, below, above, _ = PUBLISHED[name]
    condor = only_condor(condor_holdings(strikes, entries, quantity, multiplier=multiplier))
    assert payoff_e4(legs_of(condor), 0, multiplier) == e4(below)
    assert payoff_e4(legs_of(condor), 2 * e4(strikes[3]), multiplier) == e4(above)


def test_the_id_of_a_condor_contains_root_expiration_and_strikes():
    condor = only_condor(condor_holdings((97.5, 100, 102.5, 105), "1111", 2, root="SPXW", underlying="SPX"))
    assert condor.id == "SPXW-261218-97.5-100-102.5-105"
    assert (condor.root, condor.underlying, condor.expiration, condor.multiplier) == ("SPXW", "SPX", DECEMBER, 100)
    assert (condor.put_width_e4, condor.call_width_e4) == (e4("2.5"), e4("2.5"))


def test_an_unknown_underlying_is_taken_to_be_the_root():
    legs = [replace(position, underlying=None) for position in condor_holdings(STRIKES, "1111")]
    assert only_condor(legs).underlying == "XYZ"


def test_legs_are_sorted_by_strike_and_the_put_of_a_butterfly_comes_before_its_call():
    condor = only_condor(reversed(condor_holdings((90, 100, 100, 105), "1234", 2)))
    assert [(leg.right, leg.strike_mills, leg.quantity) for leg in condor.legs] == [
        ("put", 90_000, 2),
        ("put", 100_000, -2),
        ("call", 100_000, -2),
        ("call", 105_000, 2),
    ]


def test_a_leg_keeps_its_symbol_its_average_entry_and_its_signed_cost_basis():
    condor = only_condor(condor_holdings(STRIKES, ("0.50", "1.25", "1.5", "0.75"), 2))
    assert [(leg.symbol, leg.average_entry_e4, leg.cost_basis_e4) for leg in condor.legs] == [
        ("XYZ261218P00090000", e4("0.50"), e4("100")),
        ("XYZ261218P00095000", e4("1.25"), e4("-250")),
        ("XYZ261218C00105000", e4("1.5"), e4("-300")),
        ("XYZ261218C00110000", e4("0.75"), e4("150")),
    ]


@pytest.mark.parametrize(
    ("strike_mills", "text"),
    [(1, "0.001"), (2_010, "2.01"), (2_500, "2.5"), (560_000, "560"), (100, "0.1"), (99_999_999, "99999.999")],
)
def test_a_strike_is_written_in_dollars_without_trailing_zeros(strike_mills, text):
    assert strike_text(strike_mills) == text


def test_an_id_is_root_expiration_and_strikes():
    assert condor_id("SPY", DECEMBER, (560_000, 570_000, 630_000, 640_000)) == "SPY-261218-560-570-630-640"


# More numbers than the published ones.


def test_the_wider_wing_sets_the_maximum_loss():
    condor = only_condor(condor_holdings((90, 95, 105, 125), ("0.5", "1", "1", "0.5"), 2))
    assert numbers(condor) == dollars("1", "200", "3800", "94", "106")


def test_a_credit_as_wide_as_one_wing_leaves_that_side_without_breakeven():
    condor = only_condor(condor_holdings((90, 95, 105, 115), ("0", "3", "2", "0")))
    assert numbers(condor) == dollars("5", "500", "500", None, "110")


def test_a_credit_as_wide_as_the_call_wing_leaves_that_side_without_breakeven():
    condor = only_condor(condor_holdings((85, 95, 105, 110), ("0", "3", "2", "0")))
    assert numbers(condor) == dollars("5", "500", "500", "90", None)


def test_a_credit_wider_than_both_wings_cannot_lose():
    condor = only_condor(condor_holdings(STRIKES, ("0", "3", "3", "0")))
    assert numbers(condor) == dollars("6", "600", "0", None, None)


def test_a_short_condor_at_a_debit_always_loses():
    condor = only_condor(condor_holdings(STRIKES, ("2", "1", "1", "1.5")))
    assert condor.direction == "short"
    assert numbers(condor) == dollars("-1.5", "-150", "650", None, None)


def test_a_condor_at_no_cost_breaks_even_at_its_inner_strikes():
    condor = only_condor(condor_holdings(STRIKES, ("1", "1", "1", "1")))
    assert numbers(condor) == dollars("0", "0", "500", "95", "105")


def test_a_reverse_condor_gains_outside_its_strikes_and_loses_its_debit_inside():
    condor = only_condor(condor_holdings(STRIKES, ("0.5", "1", "1", "0.5"), -3))
    assert (condor.direction, condor.quantity) == ("long", 3)
    assert numbers(condor) == dollars("-1", "1200", "300", "94", "106")


def test_the_wider_wing_sets_the_maximum_profit_of_a_reverse_condor():
    condor = only_condor(condor_holdings((90, 95, 105, 107), ("0", "1", "2", "0"), -1))
    assert numbers(condor) == dollars("-3", "200", "300", "92", None)


def test_a_reverse_condor_at_a_credit_cannot_lose():
    condor = only_condor(condor_holdings(STRIKES, ("1", "0.5", "0.5", "1"), -1))
    assert numbers(condor) == dollars("1", "600", "0", None, None)


def test_a_reverse_condor_that_costs_more_than_its_wings_cannot_gain():
    condor = only_condor(condor_holdings(STRIKES, ("0", "3", "3", "0"), -1))
    assert numbers(condor) == dollars("-6", "-100", "600", None, None)


@pytest.mark.parametrize("leg", range(4))
def test_a_condor_with_an_unknown_cost_basis_has_no_numbers(leg):
    legs = condor_holdings(STRIKES, "1221")
    legs[leg] = replace(legs[leg], cost_basis_e4=None, average_entry_e4=None)
    condor = only_condor(legs)
    assert numbers(condor) == (None, None, None, None, None)
    assert [part.cost_basis_e4 is None for part in condor.legs] == [i == leg for i in range(4)]
    assert (condor.put_width_e4, condor.call_width_e4) == dollars("5", "5")


def test_a_credit_that_does_not_divide_is_rounded_and_no_other_number_is():
    legs = condor_holdings(STRIKES, "0000", 3)
    legs[1] = holding("P", 95, -3, None, basis="-100.00")
    condor = only_condor(legs)
    assert (condor.credit_e4, condor.lower_breakeven_e4) == (3333, e4("94.6667"))
    assert (condor.max_profit_e4, condor.max_loss_e4) == dollars("100", "1400")


def test_half_a_unit_of_credit_is_rounded_away_from_zero():
    legs = condor_holdings(STRIKES, "0000", 1)
    assert only_condor([legs[0], replace(legs[1], cost_basis_e4=-150), *legs[2:]]).credit_e4 == 2
    assert only_condor([replace(legs[0], cost_basis_e4=150), *legs[1:]]).credit_e4 == -2


# Properties of the payoff.


def corners(condor):
    """The prices of the underlying where the payoff bends: 0, every strike, and one above the last."""
    strikes_e4 = [leg.strike_mills * 10 for leg in condor.legs]
    return [0, *strikes_e4, 2 * strikes_e4[3]]


@pytest.mark.slow
@given(condor_books(exact=False))
def test_the_payoff_agrees_with_max_profit_and_max_loss(book):
    positions, short, quantity, multiplier = book
    condor = only_condor(positions)
    assert (condor.direction, condor.quantity) == ("short" if short else "long", quantity)
    payoffs = [payoff_e4(legs_of(condor), price_e4, multiplier) for price_e4 in corners(condor)]
    assert condor.max_profit_e4 == max(payoffs)
    assert condor.max_loss_e4 == max(0, -min(payoffs))


@pytest.mark.slow
@given(condor_books())
def test_the_payoff_is_zero_at_a_breakeven_and_changes_sign_on_that_side(book):
    positions, short, _, multiplier = book
    condor = only_condor(positions)
    at = {price_e4: payoff_e4(legs_of(condor), price_e4, multiplier) for price_e4 in corners(condor)}
    _, outer_put, inner_put, inner_call, outer_call, _ = corners(condor)
    sides = (
        (condor.lower_breakeven_e4, outer_put, inner_put),
        (condor.upper_breakeven_e4, outer_call, inner_call),
    )
    for breakeven_e4, outer, inner in sides:
        crosses = at[outer] < 0 <= at[inner] if short else at[inner] <= 0 < at[outer]
        assert (breakeven_e4 is not None) == crosses
        if crosses:
            assert min(outer, inner) <= breakeven_e4 <= max(outer, inner)
            assert payoff_e4(legs_of(condor), breakeven_e4, multiplier) == 0


@pytest.mark.slow
@given(condor_books(exact=False))
def test_a_breakeven_between_two_units_is_rounded_to_the_nearer_one(book):
    positions, _, quantity, multiplier = book
    condor = only_condor(positions)
    for breakeven_e4 in (condor.lower_breakeven_e4, condor.upper_breakeven_e4):
        if breakeven_e4 is not None:
            assert 2 * abs(payoff_e4(legs_of(condor), breakeven_e4, multiplier)) <= quantity * multiplier
