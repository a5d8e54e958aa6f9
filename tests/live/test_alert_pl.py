"""The profit or loss of a condor as rules see it."""

import msgspec
import pytest

from condord.core.grouping.account import group
from condord.core.quote import judge
from condord.core.rules.facts import ABSENT, Between
from condord.core.valuation import value
from condord.live.alert_pl import PlRange, pl_range, pl_values

from .accounts import C630, C640, P560, P570, Q400, Q410, Q450, Q460, position, qqq, spy, tick

MARKS = {P560: 0.90, P570: 1.70, C630: 1.30, C640: 0.90}
"""The mark is 1.20, and the profit 230 dollars of 470."""


def condor_parts(positions=None, unconfirmed=(), marks=MARKS, **quoted):
    (condor,) = group(positions or spy()).condors
    pairs = {each: (mark - 0.01, mark + 0.01) for each, mark in marks.items()} | quoted
    quotes = {each: judge(tick(each, *both), round(marks[each] * 10_000)) for each, both in pairs.items()}
    return condor, value(condor, quotes, unconfirmed), quotes


def ends(basis="mark", **fields):
    found = pl_range(*condor_parts(**fields), basis)
    return None if found is None else (found.low_e4 / 10_000, found.high_e4 / 10_000)


def test_a_profit_made_from_good_quotes_is_known():
    assert ends() == (230, 230)
    assert ends("natural") == (222, 222)


@pytest.mark.parametrize(
    "fields",
    [
        {"unconfirmed": {C640}},
        {P560: (1.2, 1.0)},
        {P560: (1.0, 0.0)},
        {P570: (0.2, 3.2), P560: (0.0, 0.4), "unconfirmed": {C640}},
        {P570: (0.2, 3.2), C640: (1.2, 1.0)},
        {P570: (0.2, 3.2), C640: (1.0, 0.0)},
        {P560: (0.3, 1.5), P570: (1.1, 2.3), C630: (0.7, 1.9), C640: (0.3, 1.5)},
    ],
    ids=["unconfirmed", "crossed", "no ask", "stub unconfirmed", "stub and crossed", "stub and no ask", "wide"],
)
def test_a_profit_that_cannot_be_relied_on_is_not_known(fields):
    assert ends(**fields) is None
    assert ends("natural", **fields) is None


def test_a_leg_without_a_bid_is_worth_from_zero_to_its_ask():
    """The long put is worth 0 to 0.40: 180 dollars less than at 0.90, and 100."""
    assert ends(**{P560: (0.0, 0.4)}) == (50, 130)


def test_a_long_wing_is_worth_at_most_the_short_of_its_right():
    """The wing is worth from 0 to the mark of the short put, 1.70, though its own ask is 9."""
    assert ends(**{P560: (0.05, 9.0)}) == (50, 390)
    assert ends(**{C640: (0.05, 9.0)}) == (50, 310)


def test_if_the_short_of_its_right_has_no_reliable_price_its_ask_limits_a_long_wing():
    assert ends(**{P560: (0.05, 9.0), P570: (0.0, 2.0)}) == (-10, 470)


def test_a_range_is_within_the_greatest_profit_and_loss_of_the_condor():
    """The condor can make 470 dollars, or lose 1530; closing at natural prices may lose more."""
    assert ends(**{P570: (0.0, 1.0), P560: (0.0, 0.4), C630: (0.0, 1.0), C640: (0.0, 0.4)})[1] == 470
    worthless = {P570: (0.0, 30.0)}
    assert ends(**worthless) == (-1530, 470)
    assert ends("natural", **worthless)[0] < -1530
    condor, worth, quotes = condor_parts(**worthless)
    unlimited = msgspec.structs.replace(condor, max_profit_e4=None, max_loss_e4=None)
    assert pl_range(unlimited, worth, quotes, "mark") == PlRange(-54_300_000, 5_700_000)


def test_a_range_beyond_the_greatest_loss_or_profit_is_not_moved_to_it():
    """A loss of 1750 to 1930 dollars is not one of 1530, and a profit of 650 to 750 not one of 470."""
    deep = MARKS | {P570: 11.6}
    assert ends(marks=deep, **{P560: (0.0, 0.9)}) == (-1930, -1750)
    condor, worth, quotes = condor_parts(marks=deep, **{P560: (0.0, 0.9)})
    found = pl_values(condor, worth, pl_range(condor, worth, quotes, "mark"))
    assert found["percentOfRisk"] == Between(-126.14, -114.38)
    crossed_over = {P560: 0.9, P570: 0.7, C630: 0.4, C640: 0.9}
    assert ends(marks=crossed_over, **{P570: (0.0, 0.5)}) == (650, 750)


def test_a_short_leg_is_worth_from_its_bid_to_its_ask():
    assert ends(**{P570: (0.1, 4.1)}) == (-250, 470)


def test_for_a_long_condor_bid_and_ask_count_on_every_leg():
    marks = {Q400: 1.0, Q410: 2.0, Q450: 2.0, Q460: 1.0}
    assert ends(positions=qqq(), marks=marks) == (0, 0)
    assert ends(positions=qqq(), marks=marks, **{Q400: (0.1, 3.1)}) == (-200, 90)
    assert ends("natural", positions=qqq(), marks=marks, **{Q400: (0.1, 3.1)})[0] < -200
    assert ends(positions=qqq(), marks=marks, **{Q410: (0.1, 3.1)}) == (-190, 110)


def test_a_stub_does_not_make_the_other_legs_reliable():
    """20 % of the wing of 10 is 2.00: bids and asks of the others are 2.40 from their marks."""
    wide = dict.fromkeys((P570, C630), (0.5, 2.1 + 0.0))
    assert ends(**{P560: (0.05, 9.0)}, **dict.fromkeys((P570, C630, C640), (0.45, 2.05))) is None
    assert ends(**{P560: (0.05, 9.0)}, **wide) is not None


def test_without_a_cost_nothing_is_known():
    unpaid = (*spy()[:3], position(C640, 2, cost_basis_e4=None))
    condor, worth, quotes = condor_parts(unpaid, **{P560: (0.05, 9.0), C640: (0.05, 9.0)})
    assert pl_range(condor, worth, quotes, "mark") is None
    assert pl_values(condor, worth, PlRange(0, 0)) == {}


def test_without_a_mark_of_the_short_a_wing_has_no_limit():
    condor, worth, quotes = condor_parts(**{P560: (0.05, 9.0)})
    quotes[P570] = msgspec.structs.replace(quotes[P570], mark_e4=None)
    assert pl_range(condor, worth, quotes, "mark") is None


# The quantities.


def quantities(low=230, high=None, *, positions=None, marks=MARKS, day=None, **fields):
    condor, worth, _ = condor_parts(positions, marks=marks)
    condor = msgspec.structs.replace(condor, **fields)
    if day is not None:
        worth = msgspec.structs.replace(worth, day_pl_e4=day * 10_000)
    return pl_values(condor, worth, PlRange(low * 10_000, (low if high is None else high) * 10_000))


def test_a_known_profit_gives_all_quantities():
    assert quantities(day=20) == {
        "unrealizedPl": 230.0,
        "mark": pytest.approx(1.2),
        "percentOfMaxProfit": 48.94,
        "percentOfRisk": 15.03,
        "lossMultipleOfCredit": pytest.approx(-0.4894, abs=1e-4),
        "dayPl": 20.0,
    }


def test_a_loss_is_a_multiple_of_the_credit():
    assert quantities(-940)["lossMultipleOfCredit"] == 2.0
    assert quantities(-940)["mark"] == pytest.approx(7.05)


def test_rolls_count_in_the_percentages():
    values = quantities(-940, realized_e4=1_000_000)
    assert values["lossMultipleOfCredit"] == pytest.approx(840 / 570)
    assert values["percentOfMaxProfit"] == pytest.approx(-147.37)
    assert values["percentOfRisk"] == pytest.approx(-840 / 1430 * 100, abs=0.01)


def test_a_range_is_a_range_of_every_quantity():
    values = quantities(50, 390, day=20)
    assert values["percentOfMaxProfit"] == Between(10.64, 82.98)
    assert values["mark"] == Between(pytest.approx(0.4), pytest.approx(2.1))
    assert values["lossMultipleOfCredit"] == Between(pytest.approx(-0.8298, abs=1e-4), pytest.approx(-0.1064, abs=1e-4))
    assert values["dayPl"] == Between(-160.0, 180.0)


def test_a_debit_has_no_multiple_of_a_credit():
    marks = {Q400: 1.0, Q410: 2.0, Q450: 2.0, Q460: 1.0}
    values = quantities(10, positions=qqq(), marks=marks)
    assert values["lossMultipleOfCredit"] is ABSENT
    assert (values["percentOfMaxProfit"], values["percentOfRisk"]) == (1.25, 5.0)


def test_a_percentage_of_nothing_does_not_apply():
    values = quantities(max_profit_e4=0, max_loss_e4=0)
    assert (values["percentOfMaxProfit"], values["percentOfRisk"]) == (ABSENT, ABSENT)


def test_without_a_range_nothing_is_known():
    condor, worth, _ = condor_parts()
    assert pl_values(condor, worth, None) == {}
    assert "dayPl" not in quantities()


def test_a_profit_made_by_rolls_counts_if_nothing_more_can_be_gained():
    values = quantities(max_profit_e4=0, realized_e4=10_000)
    assert values["percentOfMaxProfit"] == pytest.approx(23_100.0)
