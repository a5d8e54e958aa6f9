import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord.core.occ import OptionSymbol
from condord.simulator import names
from condord.simulator.market import Market, Quote

AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC).timestamp()
LISTED = names.expirations(dt.date(2026, 11, 20))
SPY_CALL = f"SPY{LISTED.monthly:%y%m%d}C00745000"
SPY_FAR = f"SPY{LISTED.near:%y%m%d}P00500000"


@st.composite
def listed_symbols(draw):
    name = draw(st.sampled_from(names.NAMES))
    low, high = int(name.spot * 0.7), int(name.spot * 1.3)
    step = name.strike_step_mills
    return OptionSymbol(
        root=name.root,
        expiration=draw(st.sampled_from(tuple(LISTED))),
        right=draw(st.sampled_from(["put", "call"])),
        strike_mills=draw(st.integers(low, high)) * 1000 // step * step,
    ).compact


@settings(max_examples=30)
@given(listed_symbols(), st.integers(0, 2**32))
def test_every_quote_is_one_a_trader_would_believe(symbol, seed):
    market = Market(seed=seed, at=AT, rate=20)
    assert market.watch(symbol)
    quotes = [market.latest(symbol), *(quote for step in range(20) for quote in market.advance(AT + step))]
    for quote in quotes:
        assert 0 <= quote.bid < quote.ask
        assert (quote.bid == 0) == (quote.bid_size == 0) == (quote.bid_exchange == "?")
        assert quote.ask_size >= 1
        tick = market.tick_cents(symbol, quote.bid)
        assert round(quote.bid * 100) % tick == 0
        assert quote.bid == round(quote.bid, 2)
        assert quote.ask == round(quote.ask, 2)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.lists(st.floats(0.001, 5), max_size=20))
def test_the_same_seed_and_steps_give_the_same_quotes(seed, steps):
    def tape():
        market = Market(seed=seed, at=AT)
        market.watch(SPY_CALL)
        at = AT
        quotes = [market.latest(SPY_CALL)]
        for step in steps:
            at += step
            quotes += market.advance(at)
        return quotes

    assert tape() == tape()


@settings(max_examples=20)
@given(st.lists(listed_symbols(), max_size=4))
def test_what_a_contract_does_does_not_depend_on_which_others_are_watched(others):
    alone, among = Market(seed=1, at=AT), Market(seed=1, at=AT)
    for symbol in [*others, SPY_CALL]:
        among.watch(symbol)
    alone.watch(SPY_CALL)
    for step in range(1, 20):
        quotes = [quote for quote in among.advance(AT + step / 2) if quote.symbol == SPY_CALL]
        assert alone.advance(AT + step / 2) == quotes


def test_a_call_is_worth_less_the_higher_its_strike():
    market = Market(seed=1, at=AT)
    symbols = [f"SPY{LISTED.monthly:%y%m%d}C00{strike}000" for strike in range(700, 790, 10)]
    mids = [market.latest(symbol).mid for symbol in symbols]
    assert mids == sorted(mids, reverse=True)


def test_a_far_wing_has_no_bid():
    quote = Market(seed=1, at=AT).latest(SPY_FAR)
    assert (quote.bid, quote.bid_size, quote.bid_exchange) == (0, 0, "?")


def test_near_contracts_quote_several_times_a_second_and_far_wings_rarely():
    market = Market(seed=1, at=AT)
    market.watch(SPY_CALL)
    market.watch(SPY_FAR)
    symbols = [quote.symbol for step in range(1, 601) for quote in market.advance(AT + step / 10)]
    assert 150 < symbols.count(SPY_CALL) < 400
    assert symbols.count(SPY_FAR) < 20


def test_quotes_come_in_order_and_are_never_ahead_of_time():
    market = Market(seed=1, at=AT, rate=10)
    market.watch(SPY_CALL)
    quotes = market.advance(AT + 10)
    stamps = [quote.at_ns for quote in quotes]
    assert len(stamps) > 100
    assert max(stamps) <= (AT + 10) * 1e9
    assert stamps[0] < stamps[-1]


def test_nothing_moves_and_nothing_is_caught_up_while_the_market_stands():
    market = Market(seed=1, at=AT)
    market.watch(SPY_CALL)
    before = market.latest(SPY_CALL)
    assert market.advance(AT + 3600, moving=False) == []
    assert market.latest(SPY_CALL) is before
    assert len(market.advance(AT + 3601)) < 20


def test_a_rate_of_zero_stops_all_quotes_and_another_starts_them_again():
    market = Market(seed=1, at=AT)
    market.watch(SPY_CALL)
    market.set_rate(0)
    assert market.advance(AT + 60) == []
    market.set_rate(1)
    assert market.advance(AT + 70)


def test_an_unlisted_symbol_was_never_quoted_until_it_is_watched():
    market = Market(seed=1, at=AT)
    strange = "ABCD270115C00012500"
    assert market.latest(strange) is None
    assert market.latest("no symbol") is None
    assert not market.watch("no symbol")
    assert market.watch(strange)
    assert market.latest(strange).ask > 0
    assert market.spot("ABCD") == pytest.approx(12.5, rel=0.01)


def test_a_pinned_symbol_stands_until_it_is_released():
    market = Market(seed=1, at=AT, rate=10)
    pinned = Quote(
        symbol=SPY_CALL, at_ns=1, bid=1.0, bid_size=1, bid_exchange="C", ask=9.0, ask_size=1, ask_exchange="C"
    )
    market.pin([pinned], hold=True)
    assert market.advance(AT + 10) == []
    assert market.latest(SPY_CALL) is pinned
    market.release()
    assert market.advance(AT + 20)
    assert market.latest(SPY_CALL) is not pinned


def test_an_expired_contract_is_quoted_at_its_exercise():
    market = Market(seed=1, at=AT)
    market.watch("SPY240119C00700000")
    quote = market.latest("SPY240119C00700000")
    assert quote.mid == pytest.approx(market.spot("SPY") - 700, abs=0.5)


def test_names_are_found_by_root_and_by_stock():
    market = Market(seed=1, at=AT)
    assert market.name_of("XYZ1") is market.name_of("XYZ")
    assert market.name_of("NONE") is None
    assert market.spot("NONE") is None
