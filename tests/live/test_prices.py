import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from condord.core.quote import judge
from condord.live.prices import Prices

from .accounts import C630, C640, EPOCH_AT, P560, P570, REPEATABLE, tick, ticks

HELD = (P560, P570)


@pytest.fixture
def prices():
    made = Prices(max_symbols=100, ttl_seconds=600.0)
    made.hold(HELD)
    return made


def test_a_quote_is_known_once_it_is_settled(prices):
    prices.offer([tick(P560, 1.0, 1.2)])
    assert prices.quotes == {}
    assert prices.settle(0.0) == {P560}
    assert prices.quotes[P560].mark_e4 == 11_000


def test_a_second_settling_finds_nothing_new(prices):
    prices.offer([tick(P560, 1.0, 1.2)])
    prices.settle(0.0)
    assert prices.settle(1.0) == set()


def test_an_older_quote_never_replaces_a_newer_one_in_the_same_window(prices):
    prices.offer([tick(P560, 1.0, 1.2, 5), tick(P560, 9.0, 9.2, 4)])
    prices.settle(0.0)
    assert prices.quotes[P560].mark_e4 == 11_000
    assert prices.refused == {"outOfOrder": 1}


def test_an_older_quote_never_replaces_a_newer_one_of_an_earlier_window(prices):
    prices.offer([tick(P560, 1.0, 1.2, 5)])
    prices.settle(0.0)
    prices.offer([tick(P560, 9.0, 9.2, 4)])
    assert prices.settle(1.0) == set()
    assert prices.quotes[P560].mark_e4 == 11_000
    assert prices.refused == {"outOfOrder": 1}


def test_of_quotes_of_the_same_instant_the_last_counts(prices):
    prices.offer([tick(P560, 1.0, 1.2, 5), tick(P560, 2.0, 2.2, 5)])
    prices.settle(0.0)
    assert prices.quotes[P560].mark_e4 == 21_000


@pytest.mark.parametrize("price", [float("nan"), float("inf"), float("-inf"), -0.01, 1e6])
@pytest.mark.parametrize("way", ["offer", "confirm"])
def test_a_price_that_is_none_is_refused_and_counted(prices, way, price):
    getattr(prices, way)([tick(P560, price, 1.0), tick(P560, 1.0, price)])
    assert prices.settle(0.0) == set()
    assert prices.refused == {"price": 2}


def test_a_quote_of_a_contract_that_is_not_held_is_refused_and_counted(prices):
    prices.offer([tick(C630, 1.0, 1.2)])
    assert prices.settle(0.0) == set()
    assert prices.quotes == {}
    assert prices.refused == {"notHeld": 1}


def test_rest_says_nothing_about_a_contract_that_is_not_held(prices):
    prices.confirm([tick(C630, 1.0, 1.2)])
    assert prices.settle(0.0) == set()
    assert prices.quotes == {}


def test_a_crossed_quote_keeps_the_last_good_mark(prices):
    prices.offer([tick(P560, 1.0, 1.2, 0)])
    prices.settle(0.0)
    prices.offer([tick(P560, 3.0, 2.0, 1)])
    prices.settle(1.0)
    assert prices.quotes[P560].state == "crossed"
    assert prices.quotes[P560].mark_e4 == 11_000


def test_a_crossed_mark_never_becomes_the_last_good_one(prices):
    for second, (bid, ask) in enumerate([(1.0, 1.2), (3.0, 2.0), (0.1, 4.0)]):
        prices.offer([tick(P560, bid, ask, second)])
        prices.settle(second)
    assert prices.quotes[P560].state == "stub"
    assert prices.quotes[P560].mark_e4 == 11_000


def test_a_contract_no_longer_held_is_forgotten_with_its_last_good_mark(prices):
    prices.offer([tick(P560, 1.0, 1.2, 0)])
    prices.settle(0.0)
    prices.hold([P570])
    assert prices.quotes == {}
    prices.hold(HELD)
    assert prices.unconfirmed == frozenset()
    prices.offer([tick(P560, 3.0, 2.0, 1)])
    prices.settle(1.0)
    assert prices.quotes[P560].mark_e4 is None


def test_what_waits_of_a_contract_no_longer_held_is_not_told(prices):
    prices.offer([tick(P560, 1.0, 1.2)])
    prices.settle(0.0)
    prices.gap()
    prices.confirm([tick(P560, 1.0, 1.2)])
    prices.hold([P570])
    assert prices.settle(1.0) == set()
    assert not prices.is_confirmed(P560)


def test_a_quote_that_came_before_its_contract_was_read_counts(prices):
    prices.offer([tick(C640, 1.0, 1.2)])
    prices.hold([*HELD, C640])
    assert prices.settle(0.0) == {C640}


def test_a_gap_makes_every_quote_unconfirmed(prices):
    prices.offer([tick(P560, 1.0, 1.2), tick(P570, 1.0, 1.2)])
    prices.settle(0.0)
    prices.gap()
    assert prices.settle(1.0) == set(HELD)
    assert prices.unconfirmed == set(HELD)


def test_a_second_gap_changes_nothing(prices):
    prices.offer([tick(P560, 1.0, 1.2)])
    prices.settle(0.0)
    prices.gap()
    prices.settle(1.0)
    prices.gap()
    assert prices.settle(2.0) == set()


def test_a_quote_that_came_before_the_gap_does_not_confirm_after_it(prices):
    prices.offer([tick(P560, 1.0, 1.2)])
    prices.gap()
    assert prices.settle(0.1) == {P560}
    assert prices.quotes[P560].mark_e4 == 11_000
    assert prices.unconfirmed == {P560}


def test_a_rest_answer_that_came_before_the_gap_does_not_confirm_after_it(prices):
    prices.offer([tick(P560, 1.0, 1.2)])
    prices.settle(0.0)
    prices.gap()
    prices.confirm([tick(P560, 1.0, 1.2)])
    prices.gap()
    prices.settle(0.1)
    assert prices.unconfirmed == {P560}


@pytest.mark.parametrize(
    ("way", "second", "is_confirmed"),
    [("offer", 4, False), ("offer", 5, True), ("offer", 6, True), *(("confirm", second, True) for second in (4, 5, 6))],
)
def test_after_a_gap_rest_confirms_whatever_its_time_and_the_stream_only_if_not_older(
    prices, way, second, is_confirmed
):
    prices.offer([tick(P560, 1.0, 1.2, 5)])
    prices.settle(0.0)
    prices.gap()
    prices.settle(1.0)
    getattr(prices, way)([tick(P560, 1.0, 1.2, second)])
    assert prices.settle(2.0) == ({P560} if is_confirmed else set())
    assert prices.is_confirmed(P560) is is_confirmed


def test_the_same_quote_by_rest_confirms_but_does_not_replace(prices):
    prices.offer([tick(P560, 1.0, 1.2, 5)])
    prices.settle(0.0)
    prices.confirm([tick(P560, 7.0, 7.2, 5)])
    assert prices.settle(1.0) == set()
    assert prices.quotes[P560].mark_e4 == 11_000


def test_a_newer_quote_by_rest_replaces_one_that_waits(prices):
    prices.offer([tick(P560, 1.0, 1.2, 5)])
    prices.confirm([tick(P560, 2.0, 2.2, 6)])
    prices.settle(0.0)
    assert prices.quotes[P560].mark_e4 == 21_000


def test_an_older_quote_by_rest_leaves_the_one_that_waits(prices):
    prices.offer([tick(P560, 1.0, 1.2, 5)])
    prices.confirm([tick(P560, 2.0, 2.2, 4)])
    prices.settle(0.0)
    assert prices.quotes[P560].mark_e4 == 11_000


def test_a_late_quote_that_waits_does_not_keep_rest_from_confirming(prices):
    prices.offer([tick(P560, 1.0, 1.2, 5)])
    prices.settle(0.0)
    prices.gap()
    prices.offer([tick(P560, 9.0, 9.2, 4)])
    prices.confirm([tick(P560, 1.0, 1.2, 5)])
    prices.settle(1.0)
    assert prices.is_confirmed(P560)
    assert prices.quotes[P560].mark_e4 == 11_000


def test_without_a_word_for_the_time_to_live_a_quote_stands_unconfirmed(prices):
    prices.offer([tick(P560, 1.0, 1.2)])
    prices.settle(0.0)
    assert prices.settle(599.0) == set()
    assert prices.settle(600.0) == {P560}
    assert prices.unconfirmed == {P560}
    assert prices.quotes[P560].mark_e4 == 11_000


def test_the_same_quote_by_rest_starts_the_time_to_live_again(prices):
    prices.offer([tick(P560, 1.0, 1.2)])
    prices.settle(0.0)
    prices.confirm([tick(P560, 1.0, 1.2)])
    prices.settle(500.0)
    assert prices.settle(1099.0) == set()
    assert prices.settle(1100.0) == {P560}


def test_rest_confirms_after_a_silence_longer_than_the_time_to_live(prices):
    prices.offer([tick(P560, 1.0, 1.2)])
    prices.settle(0.0)
    prices.gap()
    prices.settle(1.0)
    prices.confirm([tick(P560, 1.0, 1.2)])
    prices.settle(5000.0)
    assert prices.is_confirmed(P560)


def test_more_contracts_than_may_be_confirmed_make_the_longest_silent_one_unconfirmed():
    prices = Prices(max_symbols=1, ttl_seconds=600.0)
    prices.hold(HELD)
    prices.offer([tick(P560, 1.0, 1.2)])
    prices.settle(0.0)
    prices.offer([tick(P570, 1.0, 1.2)])
    assert prices.settle(1.0) == set(HELD)
    assert prices.unconfirmed == {P560}
    assert prices.quotes.keys() == set(HELD)


def test_rest_has_newer_quotes_than_none(prices):
    assert prices.has_older([tick(P560, 1.0, 1.2)])


@pytest.mark.parametrize(("second", "is_newer"), [(4, False), (5, False), (6, True)])
@pytest.mark.parametrize("settles", [False, True])
def test_only_a_later_quote_is_newer_than_what_came_or_waits(prices, settles, second, is_newer):
    prices.offer([tick(P560, 1.0, 1.2, 5)])
    if settles:
        prices.settle(0.0)
    assert prices.has_older([tick(P560, 1.0, 1.2, second)]) is is_newer


def test_neither_a_strange_price_nor_another_contract_is_newer(prices):
    assert not prices.has_older([tick(P560, float("nan"), 1.2, 9), tick(C630, 1.0, 1.2, 9)])


@pytest.mark.slow
@REPEATABLE
@given(st.lists(ticks(symbols=HELD)))
def test_however_quotes_are_divided_into_windows_the_newest_stands(history):
    at_once, one_by_one = (Prices(max_symbols=100, ttl_seconds=600.0) for _ in range(2))
    at_once.hold(HELD)
    one_by_one.hold(HELD)
    at_once.offer(history)
    at_once.settle(0.0)
    for each in history:
        one_by_one.offer([each])
        one_by_one.settle(0.0)
    shown = [
        {symbol: (quote.at, quote.bid_e4, quote.ask_e4, quote.state) for symbol, quote in prices.quotes.items()}
        for prices in (at_once, one_by_one)
    ]
    assert shown[0] == shown[1]
    assert at_once.refused == one_by_one.refused


class AgainstAPlainModel(RuleBasedStateMachine):
    """`Prices` against three dicts: what is known, until when it is confirmed, and what waits."""

    TTL = 5.0

    def __init__(self):
        super().__init__()
        self.prices = Prices(max_symbols=100, ttl_seconds=self.TTL)
        self.now = 0.0
        self.held = set()
        self.known, self.until, self.good = {}, {}, {}
        self.waiting, self.named, self.told = {}, set(), set()

    @rule(held=st.sets(st.sampled_from([P560, P570, C630])))
    def hold(self, held):
        self.prices.hold(held)
        self.held = held
        for part in (self.known, self.until, self.good):
            for symbol in part.keys() - held:
                del part[symbol]
        self.told &= held
        self.named &= held

    @rule(given=st.lists(ticks(symbols=[P560, P570, C630], latest=6), max_size=4))
    def offer(self, given):
        self.prices.offer(given)
        for each in given:
            if each.is_sane and (each.symbol not in self.waiting or each.at >= self.waiting[each.symbol].at):
                self.waiting[each.symbol] = each

    @rule(given=st.lists(ticks(symbols=[P560, P570, C630], latest=6), max_size=3))
    def confirm(self, given):
        self.prices.confirm(given)
        for each in given:
            symbol = each.symbol
            if not each.is_sane or symbol not in self.held:
                continue
            known_at = self.known[symbol].at if symbol in self.known else dt.datetime.min.replace(tzinfo=dt.UTC)
            if each.at > known_at and (symbol not in self.waiting or each.at > self.waiting[symbol].at):
                self.waiting[symbol] = each
            elif symbol in self.known:
                self.named.add(symbol)

    @rule()
    def gap(self):
        self.prices.gap()
        self.take_in(confirms=False)
        self.told |= self.until.keys()
        self.until.clear()
        self.named.clear()

    @rule(seconds=st.sampled_from([0.0, 1.0, 2.5, 5.0]))
    def settle(self, seconds):
        self.now += seconds
        over = {symbol for symbol, until in self.until.items() if until <= self.now}
        for symbol in over:
            del self.until[symbol]
        self.told |= over
        self.take_in(confirms=True)
        self.told |= {symbol for symbol in self.named if symbol not in self.until}
        self.until.update(dict.fromkeys(self.named, self.now + self.TTL))
        self.named.clear()
        told, self.told = self.told, set()
        assert self.prices.settle(self.now) == told

    def take_in(self, *, confirms):
        for symbol, each in self.waiting.items():
            if symbol in self.held and (symbol not in self.known or each.at >= self.known[symbol].at):
                quote = self.known[symbol] = judge(each, self.good.get(symbol))
                if quote.state not in ("crossed", "stub", "noAsk"):
                    self.good[symbol] = quote.mark_e4
                self.told.add(symbol)
                if confirms:
                    self.until[symbol] = self.now + self.TTL
        self.waiting.clear()

    @invariant()
    def the_quotes_are_the_models(self):
        assert self.prices.quotes == self.known

    @invariant()
    def what_is_unconfirmed_is_the_models(self):
        assert self.prices.unconfirmed == self.known.keys() - self.until.keys()


TestAgainstAPlainModel = pytest.mark.slow(AgainstAPlainModel.TestCase)
TestAgainstAPlainModel.settings = settings(REPEATABLE, max_examples=60)


def test_instants_are_compared_and_not_their_zones(prices):
    there = dt.timezone(dt.timedelta(hours=-5))
    prices.offer([tick(P560, 1.0, 1.2, 5)])
    late = tick(P560, 9.0, 9.2, 4)
    prices.offer([type(late)(symbol=P560, at=late.at.astimezone(there), bid=9.0, ask=9.2)])
    prices.settle(0.0)
    assert prices.quotes[P560].at == EPOCH_AT + dt.timedelta(seconds=5)
