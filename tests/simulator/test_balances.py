import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.simulator.balances import Balances, ValuedHolding, account_json, maintenance_margin


def held(symbol, quantity, value=0, spot=742):
    return ValuedHolding(symbol=symbol, quantity=quantity, value=Decimal(value), spot=Decimal(spot))


CONDOR = [
    held("SPY261218P00705000", 2, 400),
    held("SPY261218P00715000", -2, -700),
    held("SPY261218C00770000", -2, -500),
    held("SPY261218C00785000", 2, 300),
]


@pytest.mark.parametrize(
    ("holdings", "margin"),
    [
        ([], 0),
        (CONDOR, 3000),  # the wider side
        (CONDOR[:2], 2000),
        (CONDOR[:1], 0),
        ([held("SPY261218C00770000", -1)], Decimal(14840)),
        ([held("INTC261218P00035500", -1, spot=38)], 3550),
        ([held("AAPL", 100, 30_000)], 9000),
        ([held("AAPL", -100, -30_000)], 9000),
        ([*CONDOR, held("SPY270115P00700000", -1)], 73_000),  # each expiration by itself
    ],
)
def test_the_margin_is_the_worst_value_at_each_expiration(holdings, margin):
    assert maintenance_margin(holdings) == margin


@given(
    st.lists(
        st.tuples(st.sampled_from("PC"), st.integers(1, 9), st.integers(-3, 3).filter(bool)),
        max_size=8,
        unique_by=lambda leg: leg[:2],
    )
)
def test_the_worst_value_is_the_lowest_at_zero_and_at_each_strike(legs):
    def value(price):
        puts = sum(quantity * max(0, 100 * strike - price) for right, strike, quantity in legs if right == "P")
        return puts + sum(quantity * max(0, price - 100 * strike) for right, strike, quantity in legs if right == "C")

    worst = min(value(price) for price in (0, *(100 * strike for _, strike, _ in legs)))
    naked = -min(0, sum(quantity for right, _, quantity in legs if right == "C"))
    holdings = [held(f"SPY261218{right}{strike:03d}00000", quantity, spot=500) for right, strike, quantity in legs]
    assert maintenance_margin(holdings) == 100 * max(0, -worst) + 100 * 100 * naked


def test_the_balances_are_strings_and_agree_with_each_other():
    stock = held("AAPL", 100, 32_700)
    body = account_json(
        Balances(
            account_id="0a1b2c3d-0000",
            cash=Decimal("70000.50"),
            last_equity=Decimal("102000.00"),
            asof=dt.date(2026, 11, 19),
            holdings=[*CONDOR, stock],
        )
    )
    assert body["equity"] == body["portfolio_value"] == "102200.5"
    assert (body["last_equity"], body["balance_asof"]) == ("102000", "2026-11-19")
    assert (body["long_market_value"], body["short_market_value"]) == ("33400", "-1200")
    assert body["position_market_value"] == "34600"
    assert body["maintenance_margin"] == "12810"
    excess = Decimal("70000.50") + 32_700 - 12_810
    assert Decimal(body["options_buying_power"]) == excess
    assert Decimal(body["buying_power"]) == 4 * excess
    assert Decimal(body["regt_buying_power"]) == 2 * excess


def test_buying_power_is_never_below_zero():
    body = account_json(
        Balances(account_id="a", cash=Decimal(0), last_equity=Decimal(0), asof=dt.date(2026, 11, 19), holdings=CONDOR)
    )
    assert body["buying_power"] == body["options_buying_power"] == "0"
