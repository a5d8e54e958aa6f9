import datetime as dt
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.account_summary import AccountSummary
from condord.core.cutoffs import Cutoff
from condord.core.dividend import Dividend
from condord.core.expiry import Ending
from condord.core.grouping.account import group
from condord.core.model.distance import Distance
from condord.core.model.figures import Figures
from condord.core.model.probability import Probabilities
from condord.core.model.risk import Greeks, Risk
from condord.core.underlying import UnderlyingPrice
from condord.core.working_order import ClosingOrder
from condord.live import render_risk, wire

from .accounts import C630, C640, EPOCH_AT, P560, P570, SPY_ID, spy

[SPY] = group(spy()).condors


def risk(**fields):
    return render_risk.risk(SPY, Risk(**{"price": 582.1, "legs": {}, **fields}), EPOCH_AT)


def summary(**fields):
    defaults = {
        "read_at": EPOCH_AT,
        "equity_e4": 501_234_000,
        "last_equity_e4": 499_800_000,
        "cash_e4": 201_112_000,
        "buying_power_e4": 402_224_000,
        "options_buying_power_e4": 201_112_000,
        "maintenance_margin_e4": 78_000_000,
        "transfers_e4": 0,
    }
    return AccountSummary(**{**defaults, **fields})


@pytest.mark.parametrize(
    ("figure", "digits", "shown"),
    [
        (64.849, 1, 64.8),
        (-0.001, 2, 0.0),
        (0.18249, 4, 0.1825),
        (None, 2, None),
        (math.inf, 2, None),
        (math.nan, 2, None),
    ],
)
def test_a_figure_is_rounded_and_unknown_if_it_is_not_finite(figure, digits, shown):
    assert render_risk.rounded(figure, digits) == shown


@given(st.floats(allow_nan=True, allow_infinity=True), st.integers(1, 4))
def test_every_figure_is_a_json_number_and_none_is_minus_zero(figure, digits):
    encoded = wire.encode(render_risk.rounded(figure, digits))
    assert encoded == b"null" or math.isfinite(json.loads(encoded))
    assert encoded != b"-0.0"


def test_the_balances_show_the_example_of_the_contract():
    assert json.loads(wire.encode(render_risk.account(summary()))) == {
        "readAt": "2026-11-20T15:00:00Z",
        "equity": 50123.4,
        "lastEquity": 49980,
        "dayPl": 143.4,
        "cash": 20111.2,
        "buyingPower": 40222.4,
        "optionsBuyingPower": 20111.2,
        "maintenanceMargin": 7800,
    }


def test_without_the_days_transfers_the_account_has_no_profit_or_loss_of_the_day():
    shown = render_risk.account(summary(transfers_e4=None, cash_e4=None))
    assert (shown.day_pl, shown.cash, shown.equity) == (None, None, 50123.4)


def test_balances_read_later_are_the_same_unless_one_of_them_differs():
    shown = render_risk.account(summary())
    later = render_risk.account(summary(read_at=EPOCH_AT + dt.timedelta(seconds=5)))
    assert render_risk.same_account(shown, later)
    assert not render_risk.same_account(shown, render_risk.account(summary(cash_e4=0)))
    assert not render_risk.same_account(shown, None)
    assert not render_risk.same_account(None, shown)
    assert render_risk.same_account(None, None)


def test_an_underlying_shows_the_example_of_the_contract():
    price = UnderlyingPrice(symbol="SPY", price_e4=5_821_000, source="iexMid", at=EPOCH_AT, previous_close_e4=5_798_000)
    dividend = Dividend(symbol="SPY", ex_date=dt.date(2026, 12, 18), amount_e6=1_970_000, source="alpaca")
    greeks = Greeks(delta=12.404, gamma=-0.901, theta=31.2, vega=-60.5)
    shown = render_risk.underlying(price, greeks, shares=100, dividend=dividend)
    assert json.loads(wire.encode(shown)) == {
        "symbol": "SPY",
        "price": 582.1,
        "source": "iexMid",
        "time": "2026-11-20T15:00:00Z",
        "unconfirmed": False,
        "reason": None,
        "previousClose": 579.8,
        "change": 2.3,
        "percentChange": 0.4,
        "shares": 100,
        "delta": 12.4,
        "gamma": -0.9,
        "theta": 31.2,
        "vega": -60.5,
        "exDividend": {"date": "2026-12-18", "amount": 1.97, "source": "alpaca"},
    }


@pytest.mark.parametrize(("price_e4", "close_e4"), [(None, 5_798_000), (5_821_000, None)])
def test_without_a_price_or_a_close_there_is_no_change(price_e4, close_e4):
    price = UnderlyingPrice(symbol="SPY", price_e4=price_e4, previous_close_e4=close_e4, reason="noQuote")
    shown = render_risk.underlying(price, Greeks(), shares=0, dividend=None)
    assert (shown.change, shown.percent_change, shown.delta, shown.ex_dividend) == (None, None, None, None)
    assert shown.reason == "noQuote"


def test_a_risk_is_rounded_as_the_contract_requires():
    figures = Figures(iv=0.18249, delta=-0.12344, gamma=0.011_04, theta=-0.08004, vega=0.31004, source="model")
    shown = risk(
        greeks=Greeks(delta=-3.2049, gamma=-0.4149, theta=11.8, vega=-20.149),
        legs={P560: figures},
        put=Distance(dollars=12.1, percent=2.0786, sigmas=0.4249),
        call=Distance(dollars=47.9, percent=8.2288, sigmas=1.58),
        tested="none",
        breached=False,
        expected_move=29.1449,
        probabilities=Probabilities(
            profit=64.849,
            max_profit=61.04,
            max_loss=24.54,
            touch_put=67.04,
            touch_call=11.84,
            profit_by_credit=76.5,
            profit_by_delta=62.04,
        ),
        missing=(P570, C630, C640),
    )
    assert (shown.id, shown.as_of, shown.price) == (SPY_ID, EPOCH_AT, 582.1)
    assert (shown.delta, shown.gamma, shown.theta, shown.vega) == (-3.2, -0.41, 11.8, -20.15)
    leg = shown.legs[0]
    assert (leg.symbol, leg.iv, leg.delta, leg.gamma, leg.theta, leg.vega, leg.source) == (
        *(P560, 0.1825, -0.1234, 0.011, -0.08, 0.31, "model"),
    )
    assert (shown.distance.put.dollars, shown.distance.put.percent, shown.distance.put.sigmas) == (12.1, 2.08, 0.42)
    assert (shown.tested, shown.breached, shown.expected_move) == ("none", False, 29.14)
    assert list(json.loads(wire.encode(shown.probabilities)).values()) == [64.8, 61.0, 24.5, 67.0, 11.8, 76.5, 62.0]
    assert shown.missing == [P570, C630, C640]


def test_a_risk_with_only_unknown_values_still_has_all_its_objects_and_lists():
    shown = json.loads(wire.encode(risk(price=None, missing=("price",))))
    assert [leg["symbol"] for leg in shown["legs"]] == [P560, P570, C630, C640]
    assert {value for leg in shown["legs"] for name, value in leg.items() if name != "symbol"} == {None}
    assert set(shown["distance"]["put"].values()) == set(shown["probabilities"].values()) == {None}
    assert (shown["price"], shown["delta"], shown["missing"]) == (None, None, ["price"])


@pytest.mark.parametrize("amount", [math.inf, math.nan])
def test_a_distance_that_is_not_a_number_is_unknown(amount):
    assert risk(put=Distance(dollars=amount, percent=amount, sigmas=amount)).distance.put.dollars is None


def test_an_expiry_shows_when_it_ends_and_its_cutoffs():
    close_at = dt.datetime(2026, 12, 18, 21, 15, tzinfo=dt.UTC)
    ending = Ending(settlement="pm", last_trading_at=close_at, settles_at=close_at)
    shown = render_risk.expiry(ending, [Cutoff(kind="liquidation", at=close_at, source="config")])
    assert (shown.last_trading_at, shown.settles_at) == (close_at, close_at)
    assert [(each.kind, each.at, each.source) for each in shown.cutoffs] == [("liquidation", close_at, "config")]


def test_a_closing_order_shows_the_example_of_the_contract():
    order = ClosingOrder(
        order_id="order", limit_e4=12_000, quantity=2, percent_of_max_profit=48.936, submitted_at=EPOCH_AT
    )
    market = ClosingOrder(
        order_id="market", limit_e4=None, quantity=1, percent_of_max_profit=None, submitted_at=EPOCH_AT
    )
    assert json.loads(wire.encode(render_risk.closing([order, market]))) == [
        {
            "orderId": "order",
            "limitPrice": 1.2,
            "quantity": 2,
            "percentOfMaxProfit": 48.94,
            "submittedAt": "2026-11-20T15:00:00Z",
        },
        {
            "orderId": "market",
            "limitPrice": None,
            "quantity": 1,
            "percentOfMaxProfit": None,
            "submittedAt": "2026-11-20T15:00:00Z",
        },
    ]


def test_the_theta_of_the_account_is_rounded_to_cents():
    assert (render_risk.theta(31.204), render_risk.theta(None)) == (31.2, None)
