import pytest

from condord.simulator import contracts
from condord.simulator.portfolios import PORTFOLIOS
from condord.simulator.scenarios import SCENARIOS

ROOTS = {root.symbol: root for root in contracts.ROOTS}


def test_every_scenario_names_a_portfolio_and_every_portfolio_has_a_scenario():
    assert {scenario.portfolio for scenario in SCENARIOS} == PORTFOLIOS.keys()


@pytest.mark.parametrize("name", PORTFOLIOS)
def test_strikes_are_on_the_grid_of_their_root(name):
    for order in PORTFOLIOS[name].orders:
        step = ROOTS[order.root].strike_step_mills
        for leg in order.legs:
            for part in (order.grid, order.grid_start, leg.shift):
                assert part * 1000 % step == 0, (order.root, part)
        assert order.expiration != "near" or ROOTS[order.root].has_weeklies


@pytest.mark.parametrize("name", PORTFOLIOS)
def test_every_order_of_four_legs_is_a_condor(name):
    for order in PORTFOLIOS[name].orders:
        if len(order.legs) == 4:
            assert sum(leg.quantity for leg in order.legs) == 0
            assert [leg.right for leg in order.legs] == ["put", "put", "call", "call"]
            assert len({abs(leg.quantity) for leg in order.legs}) == 1
