import datetime as dt

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from condord.core.quote import judge
from condord.live.prices import GRACE_SECONDS, Prices
from tests.examples import examples

from .accounts import C630, C640, EPOCH_AT, P560, P570, REPEATABLE, tick, ticks
from .clocks import PlainClock, at

HELD = (P560, P570)
LAST_SECOND = (dt.datetime.max.replace(tzinfo=dt.UTC) - EPOCH_AT).total_seconds() - 1


def confirm(prices, *batch, now=0.0, generation=None):
    """Pass on REST's answer, requested in the current generation unless `generation` is another one."""
    prices.confirm(batch, now, prices.generation if generation is None else generation)


def offer(prices, *batch):
    prices.offer(batch)


@pytest.fixture
def prices():
    prices = Prices(max_symbols=100, ttl_seconds=600.0)
    prices.hold(HELD)
    return prices


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


def test_quotes_that_were_replaced_before_settling_are_counted(prices):
    prices.offer([tick(P560, 1.0, 1.2, 1), tick(P570, 1.0, 1.2, 1), tick(P560, 2.0, 2.2, 2)])
    prices.offer([tick(P560, 3.0, 3.2, 3), tick(P560, 9.0, 9.2, 0), tick(P560, -1.0, 1.0, 4)])
    assert prices.superseded == 2
    prices.settle(0.0)
    prices.offer([tick(P560, 4.0, 4.2, 5)])
    assert prices.superseded == 2


def test_the_last_of_several_quotes_with_the_same_time_counts(prices):
    prices.offer([tick(P560, 1.0, 1.2, 5), tick(P560, 2.0, 2.2, 5)])
    prices.settle(0.0)
    assert prices.quotes[P560].mark_e4 == 21_000


@pytest.mark.parametrize("price", [float("nan"), float("inf"), float("-inf"), -0.01, 1e6])
@pytest.mark.parametrize("way", [offer, confirm])
def test_an_invalid_price_is_refused_and_counted(prices, way, price):
    way(prices, tick(P560, price, 1.0), tick(P560, 1.0, price))
    assert prices.settle(0.0) == set()
    assert prices.refused == {"price": 2}


def test_a_quote_of_a_contract_that_is_not_held_is_refused_and_counted(prices):
    prices.offer([tick(C630, 1.0, 1.2)])
    assert prices.settle(0.0) == set()
    assert prices.quotes == {}
    assert prices.refused == {"notHeld": 1}


def test_rest_confirms_nothing_of_a_contract_that_is_not_held(prices):
    confirm(prices, tick(C630, 1.0, 1.2))
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


def test_a_waiting_quote_of_a_contract_no_longer_held_is_dropped(prices):
    prices.offer([tick(P560, 1.0, 1.2)])
    prices.settle(0.0)
    prices.gap()
    confirm(prices, tick(P560, 1.0, 1.2))
    prices.hold([P570])
    assert prices.settle(1.0) == set()
    assert not prices.is_confirmed(P560)


def test_a_quote_that_arrived_before_its_position_was_read_counts(prices):
    prices.offer([tick(C640, 1.0, 1.2)])
    prices.hold([*HELD, C640])
    assert prices.settle(0.0) == {C640}


def test_a_gap_makes_every_quote_unconfirmed(prices):
    prices.offer([tick(P560, 1.0, 1.2), tick(P570, 1.0, 1.2)])
    prices.settle(0.0)
    prices.gap()
    assert prices.settle(1.0) == set(HELD)
    assert prices.unconfirmed == set(HELD)


def test_an_answer_asked_for_before_the_gap_replaces_an_older_quote_but_confirms_nothing(prices):
    prices.offer([tick(P560, 1.0, 1.2, 1), tick(P570, 1.0, 1.2, 1)])
    generation = prices.generation
    prices.gap()
    prices.settle(1.0)
    confirm(prices, tick(P560, 2.0, 2.2, 2), tick(P570, 2.0, 2.2, 1), now=2.0, generation=generation)
    assert prices.settle(2.0) == {P560}
    assert [prices.quotes[symbol].mark_e4 for symbol in HELD] == [21_000, 11_000]
    assert prices.unconfirmed == set(HELD)


def test_an_answer_asked_for_before_the_gap_takes_no_confirmation_away(prices):
    generation = prices.generation
    prices.gap()
    prices.offer([tick(P560, 1.0, 1.2, 1)])
    confirm(prices, tick(P560, 2.0, 2.2, 2), generation=generation)
    prices.settle(1.0)
    assert prices.is_confirmed(P560)


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
    confirm(prices, tick(P560, 1.0, 1.2))
    prices.gap()
    prices.settle(0.1)
    assert prices.unconfirmed == {P560}


@pytest.mark.parametrize(
    ("way", "second", "is_confirmed"),
    [(offer, 4, False), (offer, 5, True), (offer, 6, True), *((confirm, second, True) for second in (4, 5, 6))],
)
def test_after_a_gap_any_quote_from_rest_confirms_but_a_streamed_one_only_if_not_older(
    prices, way, second, is_confirmed
):
    prices.offer([tick(P560, 1.0, 1.2, 5)])
    prices.settle(0.0)
    prices.gap()
    prices.settle(1.0)
    way(prices, tick(P560, 1.0, 1.2, second))
    assert prices.settle(2.0) == ({P560} if is_confirmed else set())
    assert prices.is_confirmed(P560) is is_confirmed


@pytest.mark.parametrize(("second", "is_confirmed"), [(9, False), (10, True)])
def test_a_quote_that_has_waited_in_the_connection_while_the_process_was_suspended_does_not_confirm(
    prices, second, is_confirmed
):
    deliver(prices, 0.0, tick(P560, 1.0, 1.2, 1))
    prices.set_exchange_time(at(10))
    prices.gap()
    deliver(prices, 10.0, tick(P560, 2.0, 2.2, second))
    assert prices.quotes[P560].mark_e4 == 21_000
    assert prices.is_confirmed(P560) is is_confirmed
    confirm(prices, tick(P560, 2.0, 2.2, second), now=11.0)
    assert prices.is_confirmed(P560)


def test_every_quote_of_the_next_connection_confirms(prices):
    deliver(prices, 0.0, tick(P560, 1.0, 1.2, 1))
    prices.set_exchange_time(at(10))
    prices.gap()
    prices.resume()
    deliver(prices, 10.0, tick(P560, 2.0, 2.2, 9))
    assert prices.is_confirmed(P560)


def test_the_same_quote_from_rest_confirms_but_does_not_replace(prices):
    prices.offer([tick(P560, 1.0, 1.2, 5)])
    prices.settle(0.0)
    confirm(prices, tick(P560, 7.0, 7.2, 5))
    assert prices.settle(1.0) == set()
    assert prices.quotes[P560].mark_e4 == 11_000


def test_a_newer_quote_from_rest_replaces_one_that_waits(prices):
    prices.offer([tick(P560, 1.0, 1.2, 5)])
    confirm(prices, tick(P560, 2.0, 2.2, 6))
    prices.settle(0.0)
    assert prices.quotes[P560].mark_e4 == 21_000


def test_an_older_quote_from_rest_leaves_the_one_that_waits(prices):
    prices.offer([tick(P560, 1.0, 1.2, 5)])
    confirm(prices, tick(P560, 2.0, 2.2, 4))
    prices.settle(0.0)
    assert prices.quotes[P560].mark_e4 == 11_000


def test_a_late_quote_that_waits_does_not_keep_rest_from_confirming(prices):
    prices.offer([tick(P560, 1.0, 1.2, 5)])
    prices.settle(0.0)
    prices.gap()
    prices.offer([tick(P560, 9.0, 9.2, 4)])
    confirm(prices, tick(P560, 1.0, 1.2, 5))
    prices.settle(1.0)
    assert prices.is_confirmed(P560)
    assert prices.quotes[P560].mark_e4 == 11_000


def test_a_quote_not_confirmed_for_the_time_to_live_becomes_unconfirmed(prices):
    prices.offer([tick(P560, 1.0, 1.2)])
    prices.settle(0.0)
    assert prices.settle(599.0) == set()
    assert prices.settle(600.0) == {P560}
    assert prices.unconfirmed == {P560}
    assert prices.quotes[P560].mark_e4 == 11_000


def test_the_same_quote_from_rest_starts_the_time_to_live_again(prices):
    prices.offer([tick(P560, 1.0, 1.2)])
    prices.settle(0.0)
    confirm(prices, tick(P560, 1.0, 1.2), now=500.0)
    prices.settle(501.0)
    assert prices.settle(1099.0) == set()
    assert prices.settle(1100.0) == {P560}


def test_rest_confirms_after_a_silence_longer_than_the_time_to_live(prices):
    prices.offer([tick(P560, 1.0, 1.2)])
    prices.settle(0.0)
    prices.gap()
    prices.settle(1.0)
    confirm(prices, tick(P560, 1.0, 1.2), now=5000.0)
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


def test_any_quote_from_rest_is_newer_than_none(prices):
    assert prices.has_missed([tick(P560, 1.0, 1.2)])


@pytest.mark.parametrize(("second", "is_newer"), [(4, False), (5, False), (6, True)])
@pytest.mark.parametrize("settles", [False, True])
def test_only_a_later_quote_is_newer_than_the_known_and_the_waiting_one(prices, settles, second, is_newer):
    prices.offer([tick(P560, 1.0, 1.2, 5)])
    if settles:
        prices.settle(0.0)
    assert prices.has_missed([tick(P560, 1.0, 1.2, second)]) is is_newer


def test_neither_an_invalid_price_nor_another_contract_is_newer(prices):
    assert not prices.has_missed([tick(P560, float("nan"), 1.2, 9), tick(C630, 1.0, 1.2, 9)])


@pytest.mark.slow
@REPEATABLE
@given(st.lists(ticks(symbols=HELD)))
def test_the_newest_quote_is_kept_for_any_division_into_windows(history):
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


# One symbol silent while others flow.


@pytest.fixture
def flowing(prices):
    """Prices of two contracts that the stream has delivered in second 10, at 100 s of the loop's time."""
    prices.offer([tick(symbol, 1.0, 1.2, 10) for symbol in HELD])
    prices.settle(100.0)
    return prices


def deliver(prices, now, *batch):
    prices.offer(batch)
    prices.settle(now)


def test_a_symbol_is_silent_when_the_stream_lacks_a_quote_that_rest_returned(flowing):
    confirm(flowing, tick(P560, 2.0, 2.2, 11), tick(P570, 1.0, 1.2, 10), now=101.0)
    assert flowing.silent_at(101.0 + GRACE_SECONDS - 0.001) == frozenset()
    assert flowing.silent_at(101.0 + GRACE_SECONDS) == {P560}


def test_the_prices_of_a_silent_symbol_come_from_rest(flowing):
    confirm(flowing, tick(P560, 2.0, 2.2, 11), now=101.0)
    confirm(flowing, tick(P560, 3.0, 3.2, 12), now=161.0)
    assert flowing.silent_at(161.0) == {P560}
    assert (flowing.quotes[P560].mark_e4, flowing.is_confirmed(P560)) == (31_000, True)


@pytest.mark.parametrize(("second", "is_silent"), [(10, True), (10.999, True), (11, False), (12, False)])
@pytest.mark.parametrize("settles", [False, True])
def test_a_quote_at_least_as_new_by_the_stream_ends_a_silence(flowing, settles, second, is_silent):
    confirm(flowing, tick(P560, 2.0, 2.2, 11), now=101.0)
    flowing.offer([tick(P560, 2.0, 2.2, second)])
    if settles:
        flowing.settle(120.0)
    assert flowing.silent_at(120.0) == ({P560} if is_silent else frozenset())


def test_another_quote_from_rest_does_not_delay_the_silence(flowing):
    for second in range(5):
        confirm(flowing, tick(P560, 2.0, 2.2, 11 + second), now=101.0 + second)
    assert flowing.silent_at(106.0) == {P560}


def test_a_stream_that_is_always_a_little_behind_is_not_silent(flowing):
    for second in range(20):
        confirm(flowing, tick(P560, 2.0, 2.2, 12 + second), now=102.0 + second)
        deliver(flowing, 102.0 + second, tick(P560, 2.0, 2.2, 10 + second))
        assert flowing.silent_at(102.0 + second) == frozenset()


def test_a_quote_that_waits_to_be_settled_counts_as_delivered(flowing):
    flowing.offer([tick(P560, 2.0, 2.2, 11)])
    confirm(flowing, tick(P560, 2.0, 2.2, 11), now=101.0)
    assert flowing.silent_at(200.0) == frozenset()


def test_a_late_quote_does_not_undo_a_delivery_by_the_stream(flowing):
    deliver(flowing, 101.0, tick(P560, 2.0, 2.2, 9))
    confirm(flowing, tick(P560, 1.0, 1.2, 10), now=102.0)
    assert flowing.silent_at(200.0) == frozenset()


def test_a_gap_ends_a_silence(flowing):
    confirm(flowing, tick(P560, 2.0, 2.2, 11), now=101.0)
    flowing.gap()
    assert flowing.silent_at(200.0) == frozenset()


def test_a_lapsed_quote_is_unconfirmed_until_it_is_confirmed_again(flowing):
    flowing.settle(100.0)
    flowing.lapse([P560, C630])
    assert flowing.unconfirmed == {P560}
    assert flowing.settle(101.0) == {P560}
    deliver(flowing, 102.0, tick(P560, 1.0, 1.2, 12))
    assert flowing.unconfirmed == frozenset()


def test_no_earlier_quote_is_expected_of_a_symbol_that_is_streamed_again(flowing):
    confirm(flowing, tick(P560, 2.0, 2.2, 11), tick(P570, 2.0, 2.2, 11), now=101.0)
    flowing.follow([P560, C630])
    assert flowing.silent_at(200.0) == {P570}
    confirm(flowing, tick(P560, 2.0, 2.2, 12), now=201.0)
    confirm(flowing, tick(P560, 2.0, 2.2, 13), now=202.0)
    assert flowing.silent_at(208.0) == {P560, P570}


def test_quotes_that_the_stream_missed_in_a_gap_are_not_expected(flowing):
    flowing.gap()
    confirm(flowing, tick(P560, 2.0, 2.2, 11), now=101.0)
    flowing.resume()
    deliver(flowing, 102.0, tick(P570, 1.0, 1.2, 12))
    confirm(flowing, tick(P560, 2.0, 2.2, 11.5), now=103.0)
    assert flowing.silent_at(200.0) == frozenset()


def test_a_symbol_never_streamed_is_silent_once_rest_returns_a_second_quote(prices):
    deliver(prices, 100.0, tick(P570, 1.0, 1.2, 10))
    confirm(prices, tick(P560, 1.0, 1.2, 5), now=101.0)
    confirm(prices, tick(P560, 1.0, 1.2, 5), now=161.0)
    assert prices.silent_at(200.0) == frozenset()
    confirm(prices, tick(P560, 1.0, 1.2, 12), now=221.0)
    assert prices.silent_at(226.0) == {P560}


def test_a_stream_without_quotes_is_expected_to_deliver_those_newer_than_the_first_from_rest(prices):
    confirm(prices, *(tick(symbol, 1.0, 1.2, 5) for symbol in HELD), now=100.0)
    assert not prices.has_missed([tick(P560, 1.0, 1.2, 5)])
    assert prices.has_missed([tick(P560, 1.0, 1.2, 6)])


def test_quotes_that_rest_returned_meanwhile_are_expected_too(flowing):
    confirm(flowing, tick(P560, 2.0, 2.2, 11), now=101.0)
    flowing.settle(102.0)
    assert flowing.has_missed([tick(P560, 2.0, 2.2, 11)])


def test_a_quote_that_waits_to_be_settled_is_not_missed(flowing):
    flowing.offer([tick(P560, 2.0, 2.2, 11)])
    assert not flowing.has_missed([tick(P560, 2.0, 2.2, 11)])


def test_an_answer_requested_before_the_stream_came_back_confirms_nothing(prices):
    prices.gap()
    generation = prices.generation
    prices.resume()
    confirm(prices, tick(P560, 1.0, 1.2, 5), now=100.0, generation=generation)
    assert prices.quotes.keys() == {P560}
    assert prices.unconfirmed == {P560}


def test_a_stream_that_comes_back_makes_nothing_unconfirmed(prices):
    prices.gap()
    confirm(prices, tick(P560, 1.0, 1.2, 5), now=100.0)
    prices.resume()
    assert prices.unconfirmed == frozenset()


def test_an_answer_requested_before_the_gap_makes_nothing_silent(prices):
    generation = prices.generation
    prices.gap()
    deliver(prices, 100.0, tick(P560, 1.0, 1.2, 10))
    confirm(prices, tick(P560, 1.0, 1.2, 11), now=101.0, generation=generation)
    assert prices.silent_at(200.0) == frozenset()


def test_no_earlier_quote_is_expected_of_a_contract_that_is_held_again(flowing):
    confirm(flowing, tick(P560, 2.0, 2.2, 11), now=101.0)
    flowing.hold([P570])
    assert flowing.silent_at(200.0) == frozenset()
    flowing.hold(HELD)
    confirm(flowing, tick(P560, 2.0, 2.2, 12), now=201.0)
    assert flowing.silent_at(300.0) == frozenset()


# A quote from the future.


@pytest.mark.parametrize("way", [offer, confirm])
def test_a_quote_far_ahead_of_the_clock_is_refused_and_counted_and_makes_the_clock_doubtful(prices, way):
    prices.set_exchange_time(at(0))
    way(prices, tick(P560, 9.0, 9.2, 60.001))
    way(prices, tick(P570, 1.0, 1.2, 60))
    assert prices.settle(0.0) == {P570}
    assert prices.refused == {"future": 1}
    assert (prices.take_clock_doubt(), prices.take_clock_doubt()) == (True, False)


def test_before_the_clock_was_read_a_quote_of_any_time_is_accepted(prices):
    prices.offer([tick(P560, 1.0, 1.2, LAST_SECOND)])
    assert prices.settle(0.0) == {P560}
    assert not prices.take_clock_doubt()


def test_a_quote_from_the_future_is_not_missed(prices):
    prices.set_exchange_time(at(0))
    assert not prices.has_missed([tick(P560, 1.0, 1.2, 61)])


def test_the_newest_quotes_move_the_limit_in_a_market_faster_than_the_clock(prices):
    prices.set_exchange_time(at(0))
    for second in range(0, 600, 50):
        deliver(prices, second / 50, tick(P560, 1.0, 1.2, second))
    assert prices.quotes[P560].at == at(550)
    deliver(prices, 20.0, tick(P570, 1.0, 1.2, 611))
    assert prices.refused == {"future": 1}


def test_the_newest_quote_of_a_window_moves_the_limit(prices):
    prices.set_exchange_time(at(0))
    deliver(prices, 1.0, tick(P560, 1.0, 1.2, 1), tick(P570, 1.0, 1.2, 60))
    deliver(prices, 2.0, tick(P560, 1.0, 1.2, 120))
    assert prices.quotes[P560].at == at(120)


def test_only_the_last_window_with_quotes_moves_the_limit(prices):
    prices.set_exchange_time(at(0))
    deliver(prices, 1.0, tick(P560, 1.0, 1.2, 60))
    deliver(prices, 2.0, tick(P570, 1.0, 1.2, 1))
    prices.settle(3.0)
    deliver(prices, 4.0, tick(P570, 1.0, 1.2, 100))
    assert prices.refused == {"future": 1}


def test_a_quote_from_rest_does_not_move_the_limit(prices):
    prices.set_exchange_time(at(0))
    confirm(prices, tick(P560, 1.0, 1.2, 60))
    confirm(prices, tick(P560, 1.0, 1.2, 120))
    assert prices.refused == {"future": 1}


def test_quotes_accepted_before_the_clock_was_read_do_not_move_the_limit(prices):
    deliver(prices, 1.0, tick(P560, 1.0, 1.2, LAST_SECOND))
    prices.set_exchange_time(at(0))
    deliver(prices, 2.0, tick(P560, 1.0, 1.2, LAST_SECOND))
    assert prices.refused == {"future": 1}


def test_a_quote_that_still_waits_when_the_clock_is_read_is_judged_by_it(prices):
    prices.offer([tick(P560, 1.0, 1.2, LAST_SECOND)])
    prices.set_exchange_time(at(0))
    assert prices.settle(1.0) == set()
    assert prices.refused == {"future": 1}


@pytest.mark.parametrize("way", [offer, confirm])
def test_a_quote_accepted_before_the_clock_was_read_does_not_hold_back_others_indefinitely(prices, way):
    deliver(prices, 1.0, tick(P560, 9.0, 9.2, LAST_SECOND))
    way(prices, tick(P560, 1.0, 1.2, 1))
    prices.settle(2.0)
    assert prices.quotes[P560].mark_e4 == 91_000
    prices.set_exchange_time(at(0))
    assert prices.has_missed([tick(P560, 1.0, 1.2, 1)])
    way(prices, tick(P560, 1.0, 1.2, 1))
    assert prices.settle(3.0) == {P560}
    assert prices.quotes[P560].mark_e4 == 11_000


def test_a_quote_that_waits_from_the_future_does_not_hold_back_the_next_one(prices):
    prices.offer([tick(P560, 9.0, 9.2, 300)])
    prices.set_exchange_time(at(0))
    prices.offer([tick(P560, 1.0, 1.2, 1)])
    prices.settle(1.0)
    assert prices.quotes[P560].mark_e4 == 11_000


@pytest.mark.parametrize(("held", "second", "is_replaced"), [(60, -1, False), (61, 1, False), (61, 0.999, True)])
def test_only_a_quote_far_ahead_of_the_clock_is_replaced_and_only_by_a_much_older_one(
    prices, held, second, is_replaced
):
    deliver(prices, 1.0, tick(P560, 9.0, 9.2, held))
    prices.set_exchange_time(at(0))
    deliver(prices, 2.0, tick(P560, 1.0, 1.2, second))
    assert (prices.quotes[P560].mark_e4 == 11_000) is is_replaced


@pytest.mark.parametrize(("second", "is_doubtful"), [(0, True), (1, False)])
@pytest.mark.parametrize("settles", [False, True])
def test_a_quote_that_is_very_late_makes_the_clock_doubtful(prices, settles, second, is_doubtful):
    prices.offer([tick(P560, 1.0, 1.2, 61)])
    if settles:
        prices.settle(1.0)
    deliver(prices, 2.0, tick(P560, 1.0, 1.2, second))
    assert prices.refused == {"outOfOrder": 1}
    assert prices.take_clock_doubt() is is_doubtful


def test_the_largest_time_that_datetime_has_is_ignored_as_a_clock(prices):
    prices.set_exchange_time(dt.datetime.max.replace(tzinfo=dt.UTC))
    deliver(prices, 1.0, tick(P560, 1.0, 1.2, LAST_SECOND))
    assert prices.refused == {}


def test_the_limit_follows_a_clock_that_jumps_ahead_and_back(prices):
    prices.set_exchange_time(at(0))
    deliver(prices, 1.0, tick(P560, 1.0, 1.2, 0), tick(P570, 1.0, 1.2, 0))
    deliver(prices, 2.0, tick(P560, 2.0, 2.2, 301))
    assert (prices.quotes[P560].mark_e4, prices.take_clock_doubt()) == (11_000, True)
    prices.set_exchange_time(at(301))
    deliver(prices, 3.0, tick(P560, 3.0, 3.2, 302))
    confirm(prices, tick(P560, 3.0, 3.2, 302), tick(P570, 3.0, 3.2, 302), now=3.0)
    assert [prices.quotes[symbol].mark_e4 for symbol in HELD] == [31_000, 31_000]
    deliver(prices, 4.0, tick(P560, 4.0, 4.2, 3))
    assert (prices.quotes[P560].mark_e4, prices.take_clock_doubt()) == (31_000, True)
    prices.set_exchange_time(at(3))
    deliver(prices, 5.0, tick(P560, 5.0, 5.2, 4), tick(P570, 5.0, 5.2, 4))
    assert [prices.quotes[symbol].mark_e4 for symbol in HELD] == [51_000, 51_000]
    assert prices.silent_at(100.0) == frozenset()
    deliver(prices, 6.0, tick(P560, 6.0, 6.2, 304))
    assert prices.refused == {"future": 2, "outOfOrder": 1}


@st.composite
def timed(draw, symbols):
    """Quotes of whole seconds, some of them far ahead."""
    second = draw(st.one_of(st.integers(0, 6), st.sampled_from([30, 62, 64, 66, 90, 125, 300, 10**6])))
    return msgspec.structs.replace(draw(ticks(symbols=symbols)), at=at(second))


class AgainstAPlainModel(RuleBasedStateMachine):
    """`Prices` against a few dicts: what is known, until when it is confirmed, what waits, and what is expected."""

    TTL = 5.0
    SYMBOLS = (P560, P570, C630)

    def __init__(self):
        super().__init__()
        self.prices = Prices(max_symbols=100, ttl_seconds=self.TTL)
        self.now = 0.0
        self.held = set()
        self.clock = PlainClock()
        self.cut_at = None
        self.known, self.until, self.good = {}, {}, {}
        self.waiting, self.changed = {}, set()
        self.delivered, self.expected = {}, {}
        self.refused, self.is_doubtful = {}, False
        self.superseded = 0

    @rule(held=st.sets(st.sampled_from(SYMBOLS)))
    def hold(self, held):
        self.prices.hold(held)
        self.held = held
        for part in (self.known, self.until, self.good, self.delivered, self.expected):
            for symbol in part.keys() - held:
                del part[symbol]
        self.changed &= held

    @rule(second=st.sampled_from([-100, 0, 0, 3, 60, 66, 240, 300, 10**6]))
    def set_exchange_time(self, second):
        self.prices.set_exchange_time(at(second))
        self.clock.set_time(at(second))

    @rule()
    def take_clock_doubt(self):
        assert self.prices.take_clock_doubt() is self.is_doubtful
        self.is_doubtful = False

    @rule(batch=st.lists(timed(SYMBOLS), max_size=4))
    def offer(self, batch):
        self.prices.offer(batch)
        for each in filter(self.is_accepted, batch):
            if each.symbol not in self.waiting or not self.is_late(each, self.waiting[each.symbol].at):
                self.superseded += each.symbol in self.waiting
                self.waiting[each.symbol] = each

    @rule(batch=st.lists(timed(SYMBOLS), max_size=3), gaps=st.sampled_from([0, 0, 0, 1]))
    def confirm(self, batch, gaps):
        confirm(self.prices, *batch, now=self.now, generation=self.prices.generation - gaps)
        self.take_in()
        for each in filter(self.is_accepted, batch):
            symbol = each.symbol
            if symbol in self.held:
                known_at = self.known[symbol].at if symbol in self.known else None
                if known_at is None or (each.at != known_at and not self.clock.holds_back(known_at, each.at)):
                    self.replace(each)
                if not gaps:
                    self.confirm_symbol(symbol)
                    self.expect(each)

    def expect(self, each):
        if each.symbol in self.delivered:
            if each.at > self.delivered[each.symbol] and each.symbol not in self.expected:
                self.expected[each.symbol] = each.at, self.now
        else:
            self.delivered[each.symbol] = each.at

    @rule(symbols=st.sets(st.sampled_from(SYMBOLS)))
    def follow(self, symbols):
        self.prices.follow(symbols)
        self.judge_waiting()
        for symbol in symbols:
            self.delivered.pop(symbol, None)
            self.expected.pop(symbol, None)

    @rule()
    def resume(self):
        self.prices.resume()
        self.judge_waiting()
        self.cut_at = None
        self.delivered.clear()
        self.expected.clear()

    @rule()
    def gap(self):
        self.prices.gap()
        self.judge_waiting()
        self.changed |= self.until.keys()
        for part in (self.until, self.delivered, self.expected):
            part.clear()
        self.cut_at = self.clock.clock_at

    @rule(seconds=st.sampled_from([0.0, 1.0, 2.5, 5.0]))
    def settle(self, seconds):
        self.now += seconds
        self.take_in()
        changed, self.changed = self.changed, set()
        assert self.prices.settle(self.now) == changed

    def take_in(self):
        over = {symbol for symbol, until in self.until.items() if until <= self.now}
        for symbol in over:
            del self.until[symbol]
        self.changed |= over
        self.judge_waiting()

    def judge_waiting(self):
        accepted_at = []
        for symbol, each in self.waiting.items():
            if not self.is_accepted(each):
                continue
            if symbol not in self.held:
                self.refuse("notHeld")
                continue
            if symbol not in self.delivered or not self.clock.holds_back(self.delivered[symbol], each.at):
                self.delivered[symbol] = each.at
            if symbol in self.expected and not self.clock.holds_back(self.expected[symbol][0], each.at):
                del self.expected[symbol]
            if symbol not in self.known or not self.is_late(each, self.known[symbol].at):
                self.replace(each)
                if self.cut_at is None or each.at >= self.cut_at:
                    self.confirm_symbol(symbol)
                accepted_at.append(each.at)
        self.waiting.clear()
        self.clock.move_limit(accepted_at)

    def replace(self, each):
        quote = self.known[each.symbol] = judge(each, self.good.get(each.symbol))
        if quote.state not in ("crossed", "stub", "noAsk"):
            self.good[each.symbol] = quote.mark_e4
        self.changed.add(each.symbol)

    def confirm_symbol(self, symbol):
        if symbol not in self.until:
            self.changed.add(symbol)
        self.until[symbol] = self.now + self.TTL

    def is_accepted(self, each):
        if not each.is_sane:
            self.refuse("price")
        elif self.clock.is_future(each.at):
            self.refuse("future")
            self.is_doubtful = True
        else:
            return True
        return False

    def is_late(self, each, known_at):
        if not self.clock.holds_back(known_at, each.at):
            return False
        self.refuse("outOfOrder")
        self.is_doubtful |= (known_at - each.at).total_seconds() > 60
        return True

    def refuse(self, reason):
        self.refused[reason] = self.refused.get(reason, 0) + 1

    @invariant()
    def the_quotes_are_the_models(self):
        assert self.prices.quotes == self.known

    @invariant()
    def what_is_unconfirmed_is_the_models(self):
        assert self.prices.unconfirmed == self.known.keys() - self.until.keys()

    @invariant()
    def what_is_silent_is_the_models(self):
        silent = {
            symbol
            for symbol, (owed_at, since) in self.expected.items()
            if self.now - since >= GRACE_SECONDS
            and (symbol not in self.waiting or self.clock.holds_back(owed_at, self.waiting[symbol].at))
        }
        assert self.prices.silent_at(self.now) == silent

    @invariant()
    def what_is_refused_is_the_models(self):
        assert self.prices.refused == self.refused

    @invariant()
    def what_is_superseded_is_the_models(self):
        assert self.prices.superseded == self.superseded


TestAgainstAPlainModel = pytest.mark.slow(AgainstAPlainModel.TestCase)
TestAgainstAPlainModel.settings = settings(REPEATABLE, max_examples=examples(60))


def test_instants_are_compared_and_not_their_zones(prices):
    there = dt.timezone(dt.timedelta(hours=-5))
    prices.offer([tick(P560, 1.0, 1.2, 5)])
    late = tick(P560, 9.0, 9.2, 4)
    prices.offer([type(late)(symbol=P560, at=late.at.astimezone(there), bid=9.0, ask=9.2)])
    prices.settle(0.0)
    assert prices.quotes[P560].at == EPOCH_AT + dt.timedelta(seconds=5)
