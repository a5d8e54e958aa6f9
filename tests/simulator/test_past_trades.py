import pytest

from condord.simulator import contracts
from condord.simulator.past_trades import ALL_LEGS, PastCondor
from condord.simulator.portfolios import PORTFOLIOS

CLOSED = [
    pytest.param(condor, id=f"{name}-{condor.root}-{condor.age:g}")
    for name, portfolio in PORTFOLIOS.items()
    for condor in portfolio.closed
]


def test_strikes_are_on_the_grid_and_as_wide_as_the_wings():
    condor = PastCondor(
        root="NVDA",
        quantity=1,
        age=20,
        factor=1.0,
        expiry_age=7,
        ratios=(0.9, 1.09),
        width=5,
        grid=5.0,
        grid_start=2.5,
    )
    assert condor.strikes_mills(200.0, condor.ratios) == (177_500, 182_500, 217_500, 222_500)


@pytest.mark.parametrize("condor", CLOSED)
def test_every_strike_is_one_that_is_listed(condor):
    [step] = [root.strike_step_mills for root in contracts.ROOTS if root.symbol == condor.root]
    assert all(round(size * 1000) % step == 0 for size in (condor.grid, condor.grid_start, condor.width))


@pytest.mark.parametrize("condor", CLOSED)
def test_events_are_in_order_and_before_the_expiration(condor):
    ages = [condor.age, *(event.age for event in condor.events)]
    assert ages == sorted(ages, reverse=True)
    assert ages[0] <= 58
    expiry_age = condor.expiry_age
    for event in condor.events:
        assert event.age > expiry_age + 3  # which can be a Monday, and the expiration the Friday before
        expiry_age = event.expiry_age or expiry_age
    assert condor.age > condor.expiry_age + 3
    is_held_to_the_end = not any(event.kind == "close" for event in condor.events)
    assert (condor.end_factor is not None) == is_held_to_the_end
    assert condor.expiry_age >= 7


def test_the_default_account_has_closed_condors_in_every_way():
    closed = PORTFOLIOS["default"].closed
    events = [event for condor in closed for event in condor.events]
    assert {event.kind for event in events} == {"close", "roll", "reopen"}
    assert any(event.quantity for event in events)
    assert {event.gap_seconds > 0 for event in events if event.kind == "roll"} == {True, False}
    assert any(event.kind == "close" and event.legs != ALL_LEGS for event in events)
    assert any(condor.quantity < 0 for condor in closed)
    assert PORTFOLIOS["empty"].closed == ()
