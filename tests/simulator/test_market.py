import datetime as dt
import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord.core import occ
from condord.core.calendar import Calendar
from condord.core.expiry import ending_of, expiry_of
from condord.core.occ import OptionSymbol
from condord.simulator import contracts
from condord.simulator.market import Market, quoted_cents
from tests.examples import examples
from tests.simulator.builders import make_quote

AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC).timestamp()
LISTED = contracts.expirations(dt.date(2026, 11, 20))
SPY_CALL = f"SPY{LISTED.monthly:%y%m%d}C00745000"
SPY_FAR = f"SPY{LISTED.near:%y%m%d}P00500000"


@pytest.fixture
def market():
    return Market(seed=1, at=AT)


@st.composite
def listed_symbols(draw):
    root = draw(st.sampled_from(contracts.ROOTS))
    low, high = int(root.spot * 0.7), int(root.spot * 1.3)
    step = root.strike_step_mills
    return OptionSymbol(
        root=root.symbol,
        expiration=draw(st.sampled_from(tuple(LISTED))),
        right=draw(st.sampled_from(["put", "call"])),
        strike_mills=draw(st.integers(low, high)) * 1000 // step * step,
    ).compact


@settings(max_examples=examples(60))
@given(listed_symbols(), st.integers(0, 2**32))
def test_every_quote_is_plausible(symbol, seed):
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


@settings(max_examples=examples(60))
@given(st.integers(0, 2**32), st.lists(st.floats(0.001, 5), max_size=20))
def test_the_same_seed_and_steps_give_the_same_quotes(seed, steps):
    def generate():
        market = Market(seed=seed, at=AT)
        market.watch(SPY_CALL)
        at = AT
        quotes = [market.latest(SPY_CALL)]
        for step in steps:
            at += step
            quotes += market.advance(at)
        return quotes

    assert generate() == generate()


@settings(max_examples=examples(60))
@given(st.lists(listed_symbols(), max_size=4))
def test_the_quotes_of_a_contract_do_not_depend_on_which_others_are_watched(others):
    only, among = Market(seed=1, at=AT), Market(seed=1, at=AT)
    for symbol in [*others, SPY_CALL]:
        among.watch(symbol)
    only.watch(SPY_CALL)
    for step in range(1, 20):
        quotes = [quote for quote in among.advance(AT + step / 2) if quote.symbol == SPY_CALL]
        assert only.advance(AT + step / 2) == quotes


def test_a_call_is_worth_less_the_higher_its_strike(market):
    symbols = [f"SPY{LISTED.monthly:%y%m%d}C00{strike}000" for strike in range(700, 790, 10)]
    mids = [market.latest(symbol).mid for symbol in symbols]
    assert mids == sorted(mids, reverse=True)


def test_a_far_wing_has_no_bid(market):
    quote = market.latest(SPY_FAR)
    assert (quote.bid, quote.bid_size, quote.bid_exchange) == (0, 0, "?")


def test_near_contracts_quote_several_times_a_second_and_far_wings_rarely(market):
    market.watch(SPY_CALL)
    market.watch(SPY_FAR)
    symbols = [quote.symbol for step in range(1, 601) for quote in market.advance(AT + step / 10)]
    assert 150 < symbols.count(SPY_CALL) < 400
    assert symbols.count(SPY_FAR) < 20


def test_quotes_are_in_order_and_never_in_the_future():
    market = Market(seed=1, at=AT, rate=10)
    market.watch(SPY_CALL)
    quotes = market.advance(AT + 10)
    stamps = [quote.at_ns for quote in quotes]
    assert len(stamps) > 100
    assert max(stamps) <= (AT + 10) * 1e9
    assert stamps[0] < stamps[-1]


def test_quotes_missed_while_the_market_stands_still_are_not_caught_up(market):
    market.watch(SPY_CALL)
    before = market.latest(SPY_CALL)
    assert market.advance(AT + 3600, moving=False) == []
    assert market.latest(SPY_CALL) is before
    assert len(market.advance(AT + 3601)) < 20


def test_a_rate_of_zero_stops_all_quotes_and_another_rate_resumes_them(market):
    market.watch(SPY_CALL)
    market.set_rate(0)
    assert market.advance(AT + 60) == []
    market.set_rate(1)
    assert market.advance(AT + 70)


def test_an_unlisted_symbol_has_no_quote_until_it_is_watched(market):
    unlisted = "ABCD270115C00012500"
    assert market.latest(unlisted) is None
    assert market.latest("no symbol") is None
    assert not market.watch("no symbol")
    assert market.watch(unlisted)
    assert market.latest(unlisted).ask > 0
    assert market.spot("ABCD") == pytest.approx(12.5, rel=0.01)


def test_a_pinned_symbol_does_not_move_until_it_is_released():
    market = Market(seed=1, at=AT, rate=10)
    pinned = make_quote(SPY_CALL, bid=1.0, ask=9.0)
    market.pin([pinned], hold=True)
    assert market.advance(AT + 10) == []
    assert market.latest(SPY_CALL) is pinned
    market.release()
    assert market.advance(AT + 20)
    assert market.latest(SPY_CALL) is not pinned


def test_an_expired_contract_is_quoted_at_its_intrinsic_value(market):
    market.watch("SPY240119C00700000")
    quote = market.latest("SPY240119C00700000")
    assert quote.mid == pytest.approx(market.spot("SPY") - 700, abs=0.5)


def test_roots_are_found_by_symbol_and_by_underlying(market):
    assert market.root_of("XYZ1") is market.root_of("XYZ")
    assert market.root_of("NONE") is None
    assert market.spot("NONE") is None


def test_a_contract_quotes_until_its_last_trading_time():
    friday = dt.datetime(2026, 12, 18, 20, 59, tzinfo=dt.UTC).timestamp()
    market = Market(seed=1, at=friday, rate=200)
    roots = {"SPXW": "5600", "SPX": "5600", "SPY": "560", "SOLD": "560"}
    for root, strike in roots.items():
        market.watch(f"{root}261218P{int(strike) * 1000:08d}")

    def quoted_roots(until):
        quotes = [
            quote for step in range(1, 11) for quote in market.advance(market.at + (until - market.at) * step / 10)
        ]
        return {quote.symbol.partition("2")[0] for quote in quotes}

    assert quoted_roots(friday + 50) == {"SPXW", "SPY", "SOLD"}  # SPX is AM-settled
    assert quoted_roots(friday + 60) <= {"SPXW", "SPY", "SOLD"}
    assert quoted_roots(friday + 600) == {"SPY"}
    assert quoted_roots(friday + 17 * 60) <= {"SPY"}
    assert quoted_roots(friday + 20 * 60) == set()


@pytest.mark.parametrize("symbol", ["SPXW{:%y%m%d}{}07400000", "SPX{:%y%m%d}{}07500000", "XSP{:%y%m%d}{}00740000"])
def test_the_quotes_of_index_options_give_the_index_by_put_call_parity(market, symbol):
    call, put = (market.latest(symbol.format(LISTED.monthly, right)).mid for right in "CP")
    contract = occ.parse(symbol.format(LISTED.monthly, "C"))
    years = (ending_of(expiry_of(contract, None), Calendar()).settles_at.timestamp() - AT) / (365 * 86_400)
    forward = contract.strike_mills / 1000 + math.exp(0.04 * years) * (call - put)
    spot = market.spot(market.root_of(contract.root).underlying)
    tick = market.tick_cents(contract.compact, call) / 100
    assert forward * math.exp(-(0.04 - 0.012) * years) == pytest.approx(spot, abs=2 * tick)


def test_a_known_dividend_makes_calls_cheaper_and_puts_dearer(market):
    put = SPY_CALL.replace("C00", "P00")

    def prices(dividends):
        market.underlyings.dividends["SPY"] = dividends
        return [market.theoretical_value(symbol).price for symbol in (SPY_CALL, put) if market.watch(symbol)]

    without, paying = prices([]), prices([(LISTED.monthly, Decimal(5))])
    assert paying[0] < without[0] - 1
    assert paying[1] > without[1] + 1


def test_a_price_that_is_set_moves_every_watched_contract_at_once(market):
    other = f"AAPL{LISTED.monthly:%y%m%d}C00330000"
    ended = "SPY240119C00700000"
    for symbol in (SPY_CALL, SPY_FAR, other, ended):
        market.watch(symbol)
    spot = market.spot("SPY")
    before = market.latest(SPY_CALL)
    quotes = market.set_spot("SPY", spot + 20, hold=True)
    assert {quote.symbol for quote in quotes} == {SPY_CALL, SPY_FAR}
    assert market.latest(SPY_CALL).mid > before.mid + 5
    assert market.spot("SPY") == spot + 20
    market.advance(AT + 600)
    assert market.spot("SPY") == spot + 20
    market.underlyings.release()
    market.advance(AT + 1200)
    assert market.spot("SPY") != spot + 20


def test_a_pinned_contract_stays_where_it_is_when_a_price_is_set(market):
    pinned = make_quote(SPY_CALL, bid=1.0, ask=9.0)
    market.pin([pinned], hold=True)
    assert market.set_spot("SPY", 700.0, hold=False) == []
    assert market.latest(SPY_CALL) is pinned
    with pytest.raises(KeyError):
        market.set_spot("NONE", 1.0, hold=False)


def test_setting_xsp_moves_the_contracts_on_spx(market):
    symbol = f"SPXW{LISTED.monthly:%y%m%d}C07400000"
    market.watch(symbol)
    assert [quote.symbol for quote in market.set_spot("XSP", 760.0, hold=False)] == [symbol]
    assert market.spot("SPX") == 7600


def test_a_long_step_makes_only_its_last_quotes(market):
    market.watch(SPY_CALL)
    quotes = market.advance(AT + 86_400)
    assert 600 < len(quotes) < 1800
    assert quotes[0].at_ns >= (AT + 86_400 - 301) * 1e9
    assert market.latest(SPY_CALL) is quotes[-1]


@pytest.mark.parametrize(
    ("cents", "width", "expected"),
    [(0.4, 1.0, (0, 5)), (100.0, 1.0, (95, 105)), (1000.0, 1.0, (990, 1010)), (1000.0, 3.0, (980, 1020))],
)
def test_a_quote_is_rounded_outwards_to_the_tick(cents, width, expected):
    root = Market(seed=1, at=0.0).root_of("SPXW")
    assert quoted_cents(root, cents, width) == expected
