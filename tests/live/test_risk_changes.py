import datetime as dt

import msgspec
import pytest

from condord.core.model.distance import Distance
from condord.core.model.figures import Figures
from condord.core.model.probability import Probabilities
from condord.core.model.risk import Greeks, Risk
from condord.core.underlying import UnderlyingPrice
from condord.live import render_risk, risk_changes
from condord.live.wire_risk import RiskJson

from .accounts import EPOCH_AT

LATER_AT = EPOCH_AT + dt.timedelta(minutes=1)
LEG = Figures(iv=0.18, delta=-0.12, gamma=0.011, theta=-0.08, vega=0.31, source="model")
SIDE = Distance(dollars=12.1, percent=2.08, sigmas=0.42)
PUBLISHED = Risk(
    price=600.0,
    greeks=Greeks(delta=-3.2, gamma=-0.41, theta=11.8, vega=-20.0),
    legs={"leg": LEG},
    put=SIDE,
    call=SIDE,
    tested="none",
    breached=False,
    expected_move=29.14,
    probabilities=Probabilities(profit=64.8, max_profit=61.0, max_loss=24.5),
)
PRICE = UnderlyingPrice(symbol="SPY", price_e4=6_000_000, source="iexMid", at=EPOCH_AT, previous_close_e4=5_990_000)


def changed(struct=PUBLISHED, **fields):
    return msgspec.structs.replace(struct, **fields)


@pytest.mark.parametrize(
    "newest",
    [
        PUBLISHED,
        changed(price=600.11),
        changed(greeks=changed(PUBLISHED.greeks, delta=-3.24)),
        changed(greeks=changed(PUBLISHED.greeks, theta=11.917)),
        changed(greeks=changed(PUBLISHED.greeks, vega=-20.19)),
        changed(probabilities=changed(PUBLISHED.probabilities, profit=65.29)),
        changed(put=changed(SIDE, sigmas=0.439, dollars=100.0, percent=50.0)),
        changed(legs={"leg": changed(LEG, iv=0.1819, delta=0.9, gamma=0.9, theta=0.9, vega=0.9)}),
        changed(expected_move=100.0),
    ],
)
def test_a_risk_that_has_moved_by_less_than_its_thresholds_waits(newest):
    assert not risk_changes.risk_counts(newest, PUBLISHED)


@pytest.mark.parametrize(
    "newest",
    [
        changed(price=600.12),
        changed(price=599.88),
        changed(greeks=changed(PUBLISHED.greeks, delta=-3.25)),
        changed(greeks=changed(PUBLISHED.greeks, theta=11.918)),
        changed(greeks=changed(PUBLISHED.greeks, vega=-19.8)),
        changed(probabilities=changed(PUBLISHED.probabilities, max_loss=24.0)),
        changed(call=changed(SIDE, sigmas=0.44)),
        changed(legs={"leg": changed(LEG, iv=0.182)}),
        changed(tested="put"),
        changed(breached=True),
        changed(missing=("leg",)),
    ],
)
def test_a_risk_that_has_reached_a_threshold_counts(newest):
    assert risk_changes.risk_counts(newest, PUBLISHED)


@pytest.mark.parametrize(
    "newest",
    [
        changed(price=None),
        changed(greeks=changed(PUBLISHED.greeks, gamma=None)),
        changed(put=changed(SIDE, dollars=None)),
        changed(put=changed(SIDE, percent=None)),
        changed(call=changed(SIDE, sigmas=None)),
        changed(expected_move=None),
        changed(probabilities=changed(PUBLISHED.probabilities, touch_put=10.0)),
        changed(legs={"leg": changed(LEG, vega=None)}),
        changed(legs={}),
    ],
)
def test_a_figure_that_becomes_known_or_unknown_counts(newest):
    assert risk_changes.risk_counts(newest, PUBLISHED)
    assert risk_changes.risk_counts(PUBLISHED, newest)


def test_a_changed_source_of_a_figure_counts():
    legs = {"leg": changed(LEG, source="alpaca")}
    assert risk_changes.risk_counts(changed(legs=legs), PUBLISHED)
    assert not risk_changes.risk_counts(changed(legs={"leg": changed(LEG)}), PUBLISHED)


def test_the_moment_from_which_time_counts_is_not_a_change_of_a_risk():
    published = RiskJson(id="a", as_of=EPOCH_AT, price=600)
    assert risk_changes.same_risk(RiskJson(id="a", as_of=LATER_AT, price=600), published)
    assert not risk_changes.same_risk(RiskJson(id="a", as_of=LATER_AT, price=600, delta=0.01), published)


@pytest.mark.parametrize(
    ("newest", "counts"),
    [
        (PRICE, False),
        (changed(PRICE, at=LATER_AT), False),
        (changed(PRICE, price_e4=6_000_599), False),
        (changed(PRICE, price_e4=6_000_600), True),
        (changed(PRICE, price_e4=None), True),
        (changed(PRICE, unconfirmed=True), True),
        (changed(PRICE, source="iexTrade"), True),
        (changed(PRICE, reason="stale"), True),
        (changed(PRICE, previous_close_e4=5_990_001), True),
    ],
)
def test_an_underlying_counts_when_its_price_has_moved_or_anything_but_its_time_changed(newest, counts):
    assert risk_changes.underlying_counts(newest, PRICE) is counts


def test_an_underlying_is_unchanged_if_only_its_time_differs_and_a_holding_if_only_its_greeks_differ():
    published = render_risk.underlying(PRICE, Greeks(delta=1.0), shares=100, dividend=None)
    later = msgspec.structs.replace(published, time=LATER_AT)
    assert risk_changes.same_underlying(later, published)
    assert not risk_changes.same_underlying(changed(later, delta=1.01), published)
    assert risk_changes.same_shares_and_dividend(changed(later, delta=1.01), published)
    assert not risk_changes.same_shares_and_dividend(changed(later, shares=99), published)
    assert risk_changes.same_known_greeks(changed(later, delta=1.01), published)
    assert not risk_changes.same_known_greeks(changed(later, delta=None), published)
    assert not risk_changes.same_known_greeks(changed(later, theta=1.0), published)
