import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from condord.core.quote import Tick
from condord.core.underlying import Bar, IndexValue, StockSnapshot, StockTrade, UnderlyingPrice
from condord.live.underlying_prices import CONFIRMED_SECONDS, UnderlyingPrices
from tests.core.strategies import e4
from tests.examples import examples

from .accounts import EPOCH_AT, REPEATABLE
from .clocks import at

THURSDAY, FRIDAY = dt.date(2026, 11, 19), dt.date(2026, 11, 20)


def tick(bid, ask=None, second=0.0, symbol="SPY"):
    """A quote of `second` after the epoch; without `ask`, of one price."""
    return Tick(symbol, at(second), bid, bid if ask is None else ask)


def snapshot(quote=None, trade=None, *, symbol="SPY", today=None, before=None):
    """An answer of REST; `trade` is (dollars, second)."""
    return StockSnapshot(
        symbol=symbol,
        quote=quote,
        trade=None if trade is None else StockTrade(price_e4=e4(trade[0]), at=at(trade[1])),
        today=None if today is None else Bar(day=FRIDAY, close_e4=e4(today)),
        before=None if before is None else Bar(day=THURSDAY, close_e4=e4(before)),
    )


def settle(prices, now=0.0, *, is_open=True):
    """Settle at `now` after the epoch."""
    return prices.settle(now, at(now), is_open=is_open)


def shown(prices, symbol="SPY"):
    """The price as (dollars, source, reason)."""
    price = prices.price(symbol)
    assert price.unconfirmed == (price.reason == "stale")
    return None if price.price_e4 is None else price.price_e4 / 10_000, price.source, price.reason


@pytest.fixture
def prices():
    prices = UnderlyingPrices()
    prices.hold(["SPY", "QQQ"], ["SPX"])
    settle(prices)
    return prices


# From where a price comes.


def test_a_quote_of_the_stream_is_a_price_once_it_is_settled(prices):
    prices.offer([tick(582.0, 582.2)], 0.0)
    assert shown(prices) == (None, None, "unreachable")
    assert settle(prices) == {"SPY"}
    assert shown(prices) == (582.1, "iexMid", None)
    assert prices.price("SPY").at == EPOCH_AT


def test_an_answer_of_rest_gives_a_price_and_the_close_before(prices):
    prices.confirm([snapshot(tick(582.0, 582.2), ("581", -9), today="582.5", before="579.80")], 0.0)
    assert settle(prices) == {"SPY"}
    assert shown(prices) == (582.1, "iexMid", None)
    assert prices.price("SPY").previous_close_e4 == e4("579.80")


def test_the_last_trade_stands_in_for_a_wide_quote(prices):
    prices.confirm([snapshot(tick(570.0, 590.0), ("581", -9))], 0.0)
    settle(prices)
    assert shown(prices) == (581, "iexTrade", None)
    prices.offer([tick(582.0, second=1)], 1.0)
    settle(prices, 1.0)
    assert shown(prices) == (582, "iexMid", None)
    prices.offer([tick(570.0, 590.0, second=2)], 2.0)
    settle(prices, 2.0)
    assert shown(prices) == (581, "iexTrade", None)


def test_a_wide_quote_without_a_trade_leaves_the_price_as_it_is(prices):
    prices.offer([tick(582.0)], 0.0)
    settle(prices)
    prices.offer([tick(570.0, 590.0, second=1)], 1.0)
    assert settle(prices, 1.0) == set()
    assert shown(prices) == (582, "iexMid", None)
    settle(prices, CONFIRMED_SECONDS)
    assert shown(prices) == (582, "iexMid", "stale")


@pytest.mark.parametrize(("bid", "ask"), [(0.0, 582.2), (582.0, 0.0), (0.0, 0.0)])
def test_the_last_trade_stands_in_for_a_quote_of_one_side(prices, bid, ask):
    prices.confirm([snapshot(tick(582.0, 582.2), (581.5, 1))], 1.0)
    settle(prices, 1.0)
    assert shown(prices) == (582.1, "iexMid", None)
    prices.offer([tick(bid, ask, second=2)], 2.0)
    assert settle(prices, 2.0) == {"SPY"}
    assert shown(prices) == (581.5, "iexTrade", None)


def test_a_wide_quote_by_itself_is_not_a_price(prices):
    prices.offer([tick(570.0, 590.0)], 0.0)
    settle(prices)
    assert shown(prices) == (None, None, "unreachable")


def test_the_last_of_several_quotes_with_the_same_time_counts(prices):
    prices.offer([tick(582.0), tick(583.0)], 0.0)
    settle(prices)
    assert shown(prices)[0] == 583


def test_a_change_of_only_the_time_does_not_count(prices):
    prices.offer([tick(582.0)], 0.0)
    settle(prices)
    prices.offer([tick(582.0, second=1)], 1.0)
    assert settle(prices, 1.0) == set()
    assert prices.price("SPY").at == at(1)


# What is not known.


def test_a_stock_without_an_answer_is_unreachable_and_one_with_an_empty_answer_has_no_quote(prices):
    prices.confirm([snapshot(tick(0.0, 0.0))], 0.0)
    assert settle(prices) == {"SPY"}
    assert shown(prices) == (None, None, "noQuote")
    assert shown(prices, "QQQ") == (None, None, "unreachable")


def test_an_underlying_that_is_not_held_has_no_price(prices):
    assert prices.price("IWM") == UnderlyingPrice(symbol="IWM", reason="noQuote")


def test_the_price_of_an_underlying_that_is_no_longer_held_is_forgotten(prices):
    prices.offer([tick(582.0)], 0.0)
    prices.confirm_indexes([IndexValue(symbol="SPX", value_e4=e4("5800"), at=at(0))], 0.0, is_entitled=True)
    settle(prices)
    prices.hold(["QQQ"], [])
    assert prices.prices.keys() == {"QQQ"}
    prices.hold(["SPY", "QQQ"], ["SPX"])
    assert settle(prices) == {"SPY", "SPX"}
    assert shown(prices)[0] is shown(prices, "SPX")[0] is None


def test_a_symbol_that_stays_held_keeps_its_price(prices):
    prices.offer([tick(582.0)], 0.0)
    settle(prices)
    prices.hold(["SPY"], [])
    assert settle(prices) == set()
    assert shown(prices)[0] == 582


# Confirmation.


def test_a_price_is_unconfirmed_a_minute_after_it_was_given_last(prices):
    prices.offer([tick(582.0)], 3.0)
    settle(prices, 3.0)
    assert settle(prices, 62.9) == set()
    assert settle(prices, 63.0) == {"SPY"}
    assert shown(prices) == (582, "iexMid", "stale")
    prices.offer([tick(582.0, second=64)], 64.0)
    assert settle(prices, 64.0) == {"SPY"}
    assert shown(prices) == (582, "iexMid", None)


def test_after_a_suspension_nothing_that_was_given_before_confirms_a_price(prices):
    prices.offer([tick(582.0)], 3.0)
    prices.confirm_indexes([IndexValue(symbol="SPX", value_e4=e4("5800"), at=at(3))], 3.0, is_entitled=True)
    settle(prices, 3.0)
    prices.offer([tick(582.0, second=4), tick(500.0, second=4, symbol="QQQ")], 4.0)
    prices.confirm([snapshot(tick(583.0, second=4))], 4.0)
    prices.lapse(at(5))
    assert settle(prices, 5.0) == {"SPY", "QQQ", "SPX"}
    assert shown(prices) == (583, "iexMid", "stale")
    assert [shown(prices, symbol)[2] for symbol in ("QQQ", "SPX")] == ["stale"] * 2
    prices.confirm([snapshot(tick(583.0, second=4))], 6.0)
    assert settle(prices, 6.0) == {"SPY"}
    assert shown(prices) == (583, "iexMid", None)


def test_a_quote_that_has_waited_in_the_connection_while_the_process_was_suspended_does_not_confirm(prices):
    prices.offer([tick(582.0)], 0.0)
    settle(prices)
    prices.lapse(at(10))
    prices.offer([tick(583.0, second=9)], 10.0)
    settle(prices, 10.0)
    assert shown(prices) == (583, "iexMid", "stale")
    prices.offer([tick(584.0, second=10)], 10.5)
    settle(prices, 10.5)
    assert shown(prices) == (584, "iexMid", None)


def test_age_is_not_staleness_while_rest_still_gives_the_price(prices):
    for second in range(0, 600, 50):
        prices.confirm([snapshot(tick(582.0))], float(second))
        settle(prices, float(second))
    assert shown(prices) == (582, "iexMid", None)


def test_an_older_quote_from_rest_confirms_the_one_of_the_stream(prices):
    prices.offer([tick(583.0, second=5)], 5.0)
    settle(prices, 5.0)
    prices.confirm([snapshot(tick(582.0, second=4))], 60.0)
    settle(prices, 100.0)
    assert shown(prices) == (583, "iexMid", None)


def test_an_answer_without_a_price_confirms_nothing(prices):
    prices.offer([tick(582.0)], 0.0)
    settle(prices)
    prices.confirm([snapshot(tick(0.0, 583.0, 30))], 30.0)
    settle(prices, 60.0)
    assert shown(prices) == (582, "iexMid", "stale")


def test_an_old_trade_is_shown_but_not_confirmed_even_if_rest_still_gives_it(prices):
    prices.confirm([snapshot(None, ("581", 0))], 60.0)
    settle(prices, 60.0)
    assert shown(prices) == (581, "iexTrade", None)
    prices.confirm([snapshot(None, ("581", 0))], 61.0)
    settle(prices, 61.0)
    assert shown(prices) == (581, "iexTrade", "stale")


def test_an_older_trade_over_rest_does_not_replace_a_newer_one(prices):
    prices.confirm([snapshot(None, ("581", 5))], 5.0)
    prices.confirm([snapshot(None, ("580", 4))], 6.0)
    settle(prices, 6.0)
    assert shown(prices)[0] == 581


# The market is closed.


def test_prices_freeze_at_the_close_and_do_not_become_stale(prices):
    prices.offer([tick(582.0)], 0.0)
    settle(prices)
    prices.offer([tick(590.0, second=1)], 1.0)
    prices.confirm([snapshot(tick(591.0, second=2), ("592", 2))], 2.0)
    assert settle(prices, 2.0, is_open=False) == set()
    assert settle(prices, 5000.0, is_open=False) == set()
    assert shown(prices) == (582, "iexMid", None)


def test_a_stale_price_is_not_stale_any_longer_once_the_market_closes(prices):
    prices.offer([tick(582.0)], 0.0)
    settle(prices, 61.0)
    assert settle(prices, 62.0, is_open=False) == {"SPY"}
    assert shown(prices) == (582, "iexMid", None)


def test_a_first_price_is_accepted_while_the_market_is_closed(prices):
    prices.confirm([snapshot(tick(570.0, 590.0), ("581", -9000))], 0.0)
    prices.confirm_indexes([IndexValue(symbol="SPX", value_e4=e4("5800"), at=at(-9000))], 0.0, is_entitled=True)
    prices.offer([tick(480.0, symbol="QQQ")], 0.0)
    assert settle(prices, is_open=False) == {"SPY", "QQQ", "SPX"}
    assert shown(prices) == (581, "iexTrade", None)
    assert shown(prices, "QQQ") == (480, "iexMid", None)
    prices.confirm_indexes([IndexValue(symbol="SPX", value_e4=e4("5801"), at=at(1))], 1.0, is_entitled=True)
    settle(prices, 1.0, is_open=False)
    assert shown(prices, "SPX") == (5800, "index", None)


def test_at_the_open_a_price_needs_to_be_given_again(prices):
    prices.offer([tick(582.0)], 0.0)
    settle(prices)
    settle(prices, 5000.0, is_open=False)
    settle(prices, 5001.0)
    assert shown(prices) == (582, "iexMid", "stale")


def test_a_frozen_price_keeps_its_close_before_when_the_next_day_begins(prices):
    prices.confirm([snapshot(tick(582.0), today="582", before="579.80")], 0.0)
    settle(prices)
    later = [Bar(day=FRIDAY + dt.timedelta(days=number), close_e4=e4("600")) for number in (3, 4)]
    newest = StockSnapshot(symbol="SPY", quote=None, trade=None, today=later[1], before=later[0])
    prices.confirm([newest], 1.0)
    settle(prices, 1.0, is_open=False)
    assert prices.price("SPY").previous_close_e4 == e4("579.80")


def test_a_bar_without_a_close_is_left_out(prices):
    prices.confirm([snapshot(tick(582.0), before="0")], 0.0)
    settle(prices)
    assert prices.price("SPY").previous_close_e4 is None


# What is refused.


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -0.01, 1e6])
def test_quotes_that_are_not_sane_are_refused(prices, price):
    prices.offer([tick(price, 582.0), tick(582.0, price)], 0.0)
    assert settle(prices) == set()
    assert prices.refused == {"price": 2}


def test_late_quotes_and_duplicates_are_refused(prices):
    prices.offer([tick(582.0, second=5), tick(581.0, second=4), tick(582.0, second=5)], 5.0)
    assert prices.refused == {"outOfOrder": 2}
    settle(prices, 5.0)
    prices.offer([tick(581.0, second=4)], 6.0)
    settle(prices, 6.0)
    prices.offer([tick(582.0, second=5)], 6.0)
    settle(prices, 6.0)
    assert prices.refused == {"outOfOrder": 4}
    assert shown(prices)[0] == 582


def test_quotes_of_stocks_that_are_not_held_are_refused(prices):
    prices.offer([tick(200.0, symbol="IWM")], 0.0)
    prices.confirm([snapshot(tick(200.0, symbol="IWM"), symbol="IWM")], 0.0)
    prices.confirm_indexes([IndexValue(symbol="VIX", value_e4=e4("15"), at=at(0))], 0.0, is_entitled=True)
    settle(prices)
    assert prices.refused == {"notHeld": 1}
    assert prices.prices.keys() == {"SPY", "QQQ", "SPX"}


def test_quotes_from_the_future_are_refused(prices):
    prices.offer([tick(582.0, second=60.5)], 0.0)
    settle(prices)
    assert prices.refused == {"future": 1}
    prices.offer([tick(583.0, second=60)], 0.0)
    settle(prices)
    assert shown(prices)[0] == 583


def test_before_the_clock_is_known_quotes_from_the_future_wait_for_it():
    prices = UnderlyingPrices()
    prices.hold(["SPY"], [])
    prices.offer([tick(582.0, second=61)], 0.0)
    assert prices.refused == {}
    settle(prices)
    assert prices.refused == {"future": 1}


def test_a_market_that_runs_faster_than_the_clock_moves_the_limit(prices):
    for second in (50, 100, 150):
        prices.offer([tick(500.0 + second, second=second)], 0.0)
        settle(prices)
    assert shown(prices)[0] == 650
    assert prices.refused == {}


def test_a_clock_that_is_set_back_resets_the_limit_for_quotes_from_the_future(prices):
    prices.offer([tick(582.0, second=50)], 0.0)
    settle(prices)
    settle(prices, -30.0)
    prices.offer([tick(583.0, second=31)], 0.0)
    settle(prices, -30.0)
    assert prices.refused == {"future": 1}


def test_a_quote_accepted_by_a_wrong_clock_does_not_block_others_until_its_time(prices):
    settle(prices, 1000.0)
    prices.offer([tick(582.0, second=1000)], 0.0)
    settle(prices, 1000.0)
    prices.offer([tick(583.0, second=1)], 0.0)
    settle(prices, 1.0)
    assert shown(prices)[0] == 583


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (snapshot(tick(-1.0)), "price"),
        (snapshot(tick(582.0, second=61)), "future"),
        (snapshot(None, ("0", 0)), "price"),
        (snapshot(None, ("-1", 0)), "price"),
        (snapshot(None, ("581", 61)), "future"),
    ],
)
def test_prices_from_rest_are_refused_by_the_same_rules(prices, answer, reason):
    prices.confirm([answer], 0.0)
    settle(prices)
    assert prices.refused == {reason: 1}
    assert shown(prices) == (None, None, "noQuote")


@pytest.mark.parametrize(("dollars", "second", "reason"), [("0", 0, "price"), ("-1", 0, "price"), ("5", 61, "future")])
def test_index_values_are_refused_by_the_same_rules(prices, dollars, second, reason):
    value = IndexValue(symbol="SPX", value_e4=e4(dollars), at=at(second))
    prices.confirm_indexes([value], 0.0, is_entitled=True)
    settle(prices)
    assert prices.refused == {reason: 1}
    assert shown(prices, "SPX") == (None, None, "noQuote")


# Indexes.


def values(dollars, second=0):
    return [IndexValue(symbol="SPX", value_e4=e4(dollars), at=at(second))]


def test_an_index_has_the_newest_value(prices):
    prices.confirm_indexes(values("5800", 1), 1.0, is_entitled=True)
    prices.confirm_indexes(values("5700", 0), 2.0, is_entitled=True)
    settle(prices, 61.5)
    assert shown(prices, "SPX") == (5800, "index", None)
    settle(prices, 62.0)
    assert shown(prices, "SPX") == (5800, "index", "stale")


def test_without_the_entitlement_to_an_index_parity_gives_its_price(prices):
    assert shown(prices, "SPX") == (None, None, "unreachable")
    prices.confirm_indexes((), 0.0, is_entitled=False)
    settle(prices)
    assert shown(prices, "SPX") == (None, None, "indexNotEntitled")
    prices.set_parity("SPX", e4("5799.5"), at(1))
    assert settle(prices, 1.0) == {"SPX"}
    assert prices.price("SPX") == UnderlyingPrice(symbol="SPX", price_e4=e4("5799.5"), source="parity", at=at(1))
    assert settle(prices, 500.0) == set()
    prices.set_parity("SPX", None, at(2))
    settle(prices, 500.0)
    assert shown(prices, "SPX") == (None, None, "indexNotEntitled")


def test_an_index_value_takes_precedence_over_parity_until_the_entitlement_ends(prices):
    prices.set_parity("SPX", e4("5799.5"), at(0))
    prices.confirm_indexes(values("5800"), 0.0, is_entitled=True)
    settle(prices)
    assert shown(prices, "SPX") == (5800, "index", None)
    prices.confirm_indexes(values("5801"), 1.0, is_entitled=False)
    settle(prices, 1.0)
    assert shown(prices, "SPX") == (5799.5, "parity", None)


@pytest.mark.parametrize(("symbol", "price"), [("SPX", 0), ("SPX", -1), ("SPY", 1)])
def test_parity_needs_a_price_above_zero_of_an_index_that_is_held(prices, symbol, price):
    prices.set_parity(symbol, price, at(0))
    settle(prices)
    assert prices.price(symbol).price_e4 is None


# Feeds.


def test_the_source_names_the_feed(prices):
    prices.set_feed("sip")
    prices.offer([tick(582.0)], 0.0)
    settle(prices)
    assert shown(prices) == (582, "sipMid", None)


def test_another_feed_replaces_the_prices_of_the_previous_one(prices):
    prices.confirm([snapshot(tick(582.0, second=9), ("581", 9))], 0.0)
    settle(prices, 9.0)
    prices.offer([tick(583.0, second=10)], 0.0)
    prices.confirm([snapshot(tick(583.0, second=10))], 0.0)
    prices.confirm_indexes(values("5800"), 0.0, is_entitled=True)
    prices.set_feed("sip")
    settle(prices, 10.0)
    assert shown(prices) == (582, "iexMid", None)
    assert shown(prices, "SPX") == (5800, "index", None)
    prices.confirm([snapshot(tick(570.0, 590.0, 8), ("579", 5))], 11.0)
    settle(prices, 11.0)
    assert shown(prices) == (579, "sipTrade", None)
    prices.set_feed("sip")
    assert settle(prices, 11.0) == set()


# Any sequence.


class UnderlyingPricesMachine(RuleBasedStateMachine):
    """Compares with the newest sane quote by the exchange's time and the last time that anything gave a price."""

    def __init__(self):
        super().__init__()
        self.prices = UnderlyingPrices()
        self.prices.hold(["SPY"], [])
        self.now, self.is_open = 0.0, True
        self.newest = self.given_at = self.frozen = None
        self.settle()

    @rule(seconds=st.sampled_from([1.0, 20.0, 59.0, 61.0]))
    def wait(self, seconds):
        self.now += seconds
        self.settle()

    @rule(
        price=st.sampled_from([500.0, 501.0, 0.0, float("nan"), -1.0]),
        age=st.sampled_from([0, 0, 1, 30, -30, -400]),
        is_stream=st.booleans(),
    )
    def quote(self, price, age, is_stream):
        given_tick = tick(price, second=self.now - age)
        if is_stream:
            self.prices.offer([given_tick], self.now)
        else:
            self.prices.confirm([snapshot(given_tick)], self.now)
        if price > 0 and age >= -60:
            self.take(given_tick, is_stream=is_stream)
        self.settle()

    def take(self, given_tick, *, is_stream):
        if not self.is_open and self.newest is not None:
            if not is_stream:
                self.given_at = self.now
            return
        is_new = self.newest is None or given_tick.at > self.newest.at
        is_other = self.newest is not None and given_tick.at == self.newest.at and given_tick.bid != self.newest.bid
        if is_new or is_other:
            self.newest = given_tick
        if is_new or is_other or not is_stream:
            self.given_at = self.now

    @rule(is_open=st.booleans())
    def open(self, is_open):
        self.is_open = is_open
        self.settle()

    def settle(self):
        before = dict(self.prices.prices)
        changed = self.prices.settle(self.now, at(self.now), is_open=self.is_open)
        price = self.prices.price("SPY")
        was = before.get("SPY")
        same = was is not None and (was.price_e4, was.source, was.reason) == (
            price.price_e4,
            price.source,
            price.reason,
        )
        assert changed == (set() if same else {"SPY"})

    @invariant()
    def it_is_the_newest_quote(self):
        price = self.prices.price("SPY")
        if self.newest is None:
            assert price.price_e4 is None
            assert price.reason in ("noQuote", "unreachable")
            return
        assert (price.price_e4, price.at) == (round(self.newest.bid * 10_000), self.newest.at)
        assert price.unconfirmed == (self.is_open and self.now - self.given_at >= CONFIRMED_SECONDS)


TestUnderlyingPrices = UnderlyingPricesMachine.TestCase
TestUnderlyingPrices.settings = settings(REPEATABLE, max_examples=examples(100), stateful_step_count=30)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1))
def test_the_newest_of_many_quotes_in_one_window_counts(quotes):
    prices = UnderlyingPrices()
    prices.hold(["SPY"], [])
    settle(prices)
    prices.offer([tick(float(price), second=second) for price, second in quotes], 0.0)
    settle(prices)
    newest = max(second for _, second in quotes)
    assert shown(prices)[0] == [price for price, second in quotes if second == newest][-1]
