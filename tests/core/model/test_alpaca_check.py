import datetime as dt

import pytest

from condord.core.model.alpaca_check import by_alpacas_convention, differs
from condord.core.model.black_scholes import option_value, price
from condord.core.model.figures import Figures, OptionSnapshot
from condord.core.occ import parse
from tests.core.model.builders import at

CALL = parse("AAPL240426C00162500")
ON_TUESDAY = dt.date(2024, 4, 23)
SPOT, RATE = 165.77, 0.0531315552
# Recorded from Alpaca, for a mid of 4.10.
IV = 0.3372405712050441
DELTA = 0.7521304109871954
GAMMA = 0.06241426404871288
THETA = -0.2847623059595503
VEGA = 0.047540520834498785
RHO = 0.009910739032549095


def snapshot(delta):
    return OptionSnapshot(symbol=CALL.compact, at=None, iv=IV, delta=delta, gamma=GAMMA, theta=THETA, vega=VEGA)


def test_alpacas_recorded_figures_are_reproduced_from_their_volatility():
    value = option_value("call", 162.5, IV, at(SPOT, 3 / 365, RATE))
    assert value.price == pytest.approx(4.10, abs=4e-7)
    assert value.delta == pytest.approx(DELTA, abs=2e-8)
    assert value.gamma == pytest.approx(GAMMA, rel=1e-12)
    assert value.decay == pytest.approx(THETA, abs=1e-9)
    assert value.vega == pytest.approx(VEGA, rel=1e-12)
    assert value.rho == pytest.approx(RHO, abs=1e-9)


def test_alpacas_recorded_figures_are_reproduced_from_the_price():
    found = by_alpacas_convention(CALL, 4.10, SPOT, ON_TUESDAY, RATE)
    assert found.iv == pytest.approx(IV, abs=1e-7)
    assert found.delta == pytest.approx(DELTA, abs=5e-8)
    assert found.gamma == pytest.approx(GAMMA, abs=1e-8)
    assert found.theta == pytest.approx(THETA, abs=1e-7)
    assert found.vega == pytest.approx(VEGA, abs=1e-8)


def test_alpacas_convention_has_no_figures_on_the_expiration_day_or_later():
    assert by_alpacas_convention(CALL, 4.10, SPOT, dt.date(2024, 4, 26), RATE) is None
    assert by_alpacas_convention(CALL, 4.10, SPOT, dt.date(2024, 4, 27), RATE) is None


def test_a_price_below_the_intrinsic_value_has_no_figures():
    assert by_alpacas_convention(CALL, 3.2, SPOT, ON_TUESDAY, RATE) is None


def test_deltas_more_than_two_hundredths_apart_differ():
    recomputed = by_alpacas_convention(CALL, 4.10, SPOT, ON_TUESDAY, RATE)
    assert not differs(recomputed, snapshot(DELTA))
    assert not differs(recomputed, snapshot(recomputed.delta + 0.0199))
    assert not differs(recomputed, snapshot(recomputed.delta - 0.0199))
    assert differs(recomputed, snapshot(recomputed.delta + 0.0201))
    assert differs(recomputed, snapshot(recomputed.delta - 0.0201))


def test_an_unknown_delta_never_differs():
    assert not differs(None, snapshot(DELTA))
    assert not differs(Figures(), snapshot(DELTA))
    assert not differs(Figures(delta=0.1), snapshot(None))


def test_a_price_of_the_underlying_that_is_two_dollars_off_is_noticed():
    paid = price("call", 162.5, IV, at(SPOT, 3 / 365, RATE))
    assert differs(by_alpacas_convention(CALL, paid, SPOT - 2, ON_TUESDAY, RATE), snapshot(DELTA))
