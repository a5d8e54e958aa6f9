import datetime as dt

from condord.core.model.figures import OptionSnapshot
from condord.live.fallbacks import OPPOSITE_SECONDS, Fallbacks

from .accounts import C630, C640, EPOCH_AT, P560, tick
from .test_chains import key

LATE_AT = EPOCH_AT + dt.timedelta(seconds=OPPOSITE_SECONDS)
JUST_AT = LATE_AT - dt.timedelta(seconds=1)


def snapshot(symbol, iv):
    return OptionSnapshot(symbol=symbol, at=None, iv=iv, delta=None, gamma=None, theta=None, vega=None)


def shown(fallbacks):
    return {symbol: each.iv for symbol, each in fallbacks.snapshots([P560, C630, C640]).items()}


def test_alpacas_figures_stand_in_if_they_came_with_one_of_the_last_two_reads():
    fallbacks = Fallbacks()
    assert shown(fallbacks) == {}
    fallbacks.take_snapshots([snapshot(P560, 0.1), snapshot(C630, 0.1)])
    fallbacks.take_snapshots([snapshot(P560, 0.2)])
    assert shown(fallbacks) == {P560: 0.2, C630: 0.1}
    fallbacks.take_snapshots([snapshot(C640, 0.3)])
    assert shown(fallbacks) == {P560: 0.2, C640: 0.3}


def test_the_quote_of_an_opposite_contract_counts_for_two_minutes():
    fallbacks = Fallbacks()
    fallbacks.take_quotes([tick(P560, 1.0, 1.1), tick(C630, float("nan"), 1.0)], EPOCH_AT)
    assert fallbacks.quote(P560, JUST_AT).bid_e4 == 10_000
    assert fallbacks.quote(C630, JUST_AT) is None
    assert fallbacks.quote(P560, LATE_AT) is None
    fallbacks.take_quotes([], LATE_AT)
    assert fallbacks.quote(P560, JUST_AT) is None


def test_the_volatility_of_an_opposite_contract_counts_for_two_minutes():
    fallbacks = Fallbacks()
    fallbacks.set_ivs(key(), {560.0: 0.2}, EPOCH_AT)
    fallbacks.set_ivs(key(), {570.0: 0.3}, JUST_AT)
    assert fallbacks.ivs(key(), JUST_AT) == {560.0: 0.2, 570.0: 0.3}
    assert fallbacks.ivs(key(), LATE_AT) == {570.0: 0.3}
    assert fallbacks.ivs(key("QQQ"), EPOCH_AT) == {}


def test_the_volatilities_of_chains_no_longer_held_are_forgotten():
    fallbacks = Fallbacks()
    fallbacks.set_ivs(key(), {560.0: 0.2}, EPOCH_AT)
    fallbacks.keep([key("QQQ")])
    assert fallbacks.ivs(key(), EPOCH_AT) == {}
