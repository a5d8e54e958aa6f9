import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.quote import Quote, Tick, is_good, judge
from tests.core.strategies import QUOTED_AT, e4

SYMBOL = "SPY261218P00560000"
LAST_GOOD = "2.5"
NAN, INFINITY = float("nan"), float("inf")


def tick(bid, ask, bid_size=10, ask_size=20):
    return Tick(SYMBOL, QUOTED_AT, float(bid), float(ask), bid_size, ask_size)


def judged(bid, ask, last_good=LAST_GOOD):
    return judge(tick(bid, ask), e4(last_good))


# bid, ask, state, mark, natural of a long, natural of a short
TABLE = [
    ("1.00", "1.20", "twoSided", "1.10", "1.00", "1.20"),
    ("0.01", "0.02", "twoSided", "0.015", "0.01", "0.02"),
    ("0", "0.05", "zeroBid", "0.025", "0", "0.05"),
    ("0", "4.80", "stub", LAST_GOOD, "0", "4.80"),
    ("0", "1.90", "stub", LAST_GOOD, "0", "1.90"),
    ("0", "0.5001", "stub", LAST_GOOD, "0", "0.5001"),
    ("0", "0.50", "zeroBid", "0.25", "0", "0.50"),
    ("0", "0.0001", "zeroBid", "0.0001", "0", "0.0001"),
    ("0", "0", "noAsk", None, "0", None),
    ("1.00", "0", "noAsk", None, "1.00", None),
    ("1.10", "1.10", "locked", "1.10", "1.10", "1.10"),
    ("1.20", "1.10", "crossed", LAST_GOOD, None, None),
    ("50", "0.01", "crossed", LAST_GOOD, None, None),
    ("0.10", "5.00", "stub", LAST_GOOD, "0.10", "5.00"),
    ("0.0001", "2.0001", "stub", LAST_GOOD, "0.0001", "2.0001"),
    # the edges of a stub: more than ten times the bid, and a mid above a dollar
    ("1.00", "10.00", "twoSided", "5.50", "1.00", "10.00"),
    ("1.00", "10.01", "stub", LAST_GOOD, "1.00", "10.01"),
    ("1.00", "10.0001", "stub", LAST_GOOD, "1.00", "10.0001"),
    ("0.05", "1.95", "twoSided", "1.00", "0.05", "1.95"),
    ("0.05", "1.9501", "stub", LAST_GOOD, "0.05", "1.9501"),
    ("0.05", "1.96", "stub", LAST_GOOD, "0.05", "1.96"),
    ("0.01", "0.90", "twoSided", "0.455", "0.01", "0.90"),
]


@pytest.mark.parametrize(("bid", "ask", "state", "mark", "long", "short"), TABLE)
def test_bid_and_ask_decide_state_mark_and_natural(bid, ask, state, mark, long, short):
    quote = judged(bid, ask)
    assert (quote.state, quote.mark_e4) == (state, e4(mark))
    assert (quote.natural_e4(3), quote.natural_e4(-3)) == (e4(long), e4(short))
    assert (quote.bid_e4, quote.ask_e4) == (e4(bid), e4(ask))


@pytest.mark.parametrize(("bid", "ask"), [("1.20", "1.10"), ("0.10", "5.00"), ("0", "4.80")])
def test_without_a_last_good_mark_a_crossed_quote_or_a_stub_has_no_mark(bid, ask):
    assert judged(bid, ask, last_good=None).mark_e4 is None


def test_a_last_good_mark_does_not_replace_a_missing_ask():
    assert judged("1", "0", last_good="1.1").mark_e4 is None


def test_a_contract_never_quoted_has_neither_mark_nor_natural():
    quote = Quote(symbol=SYMBOL)
    assert (quote.state, quote.at, quote.mark_e4) == ("none", None, None)
    assert (quote.natural_e4(1), quote.natural_e4(-1)) == (None, None)


@pytest.mark.parametrize(
    ("bid", "ask", "good"),
    [
        ("1.00", "1.20", True),
        ("0", "0.05", True),
        ("1.10", "1.10", True),
        ("1.00", "0", False),
        ("1.20", "1.10", False),
        ("0.10", "5.00", False),
        ("0", "0.60", False),
    ],
)
def test_only_a_mark_from_its_own_prices_can_be_the_last_good_mark(bid, ask, good):
    assert is_good(judged(bid, ask)) is good


def test_a_contract_never_quoted_gives_no_last_good_mark():
    assert not is_good(Quote(symbol=SYMBOL))


@pytest.mark.parametrize(
    ("bid", "ask", "mark_e4"),
    [
        (0.0001, 0.0002, 2),  # 1.5 is rounded up
        (0.0, 0.0001, 1),  # so is half of the least ask
        (1.0001, 1.0002, 10_002),
        (0.005, 0.01, 75),
        (2.01, 2.02, 20_150),
        (4.35, 4.36, 43_550),
    ],
)
def test_a_mark_between_two_units_is_rounded_up(bid, ask, mark_e4):
    assert judged(bid, ask).mark_e4 == mark_e4


def test_a_price_finer_than_the_unit_is_rounded_to_the_nearest():
    quote = judged(1.00004, 1.00006)
    assert (quote.bid_e4, quote.ask_e4, quote.state) == (10_000, 10_001, "twoSided")


@pytest.mark.parametrize("price", ["0.57", "1.13", "1.39", "2.01", "2.26"])
def test_no_price_loses_a_unit_to_binary_fractions(price):
    assert int(float(price) * 10_000) == e4(price) - 1
    quote = judged(price, price)
    assert (quote.bid_e4, quote.ask_e4) == (e4(price), e4(price))


def test_prices_that_round_to_the_same_unit_are_locked():
    assert judged(1.00001, 1.00002).state == "locked"


@pytest.mark.parametrize("price", [NAN, INFINITY, -INFINITY, -0.01, -1e-9, 1_000_000.0])
@pytest.mark.parametrize("side", ["bid", "ask"])
def test_an_impossible_price_is_refused(price, side):
    prices = {"bid": 1.0, "ask": 1.2} | {side: price}
    assert not tick(**prices).is_sane


@pytest.mark.parametrize(("bid", "ask"), [(0.0, 0.0), (-0.0, 0.05), (1.2, 1.1), (999_999.99, 999_999.99)])
def test_finite_prices_from_zero_are_sane(bid, ask):
    assert tick(bid, ask).is_sane


@pytest.mark.parametrize(
    ("size", "contracts"),
    [(0, 0), (7, 7), (7.0, 7), (-1.0, None), (NAN, None), (INFINITY, None), (1e12, None)],
)
def test_sizes_are_whole_contracts_or_none(size, contracts):
    quote = judge(tick(1, 2, bid_size=size, ask_size=3), None)
    assert (quote.bid_size, quote.ask_size) == (contracts, 3)
    quote = judge(tick(1, 2, bid_size=3, ask_size=size), None)
    assert (quote.bid_size, quote.ask_size) == (3, contracts)


def test_a_quote_keeps_its_symbol_and_its_time():
    quote = judged("1", "2")
    assert (quote.symbol, quote.at) == (SYMBOL, QUOTED_AT)


def test_a_tick_is_decoded_although_the_stream_mixes_integers_and_floats():
    frame = {"T": "q", "S": SYMBOL, "bp": 1, "bs": 3, "ap": 1.25, "as": 4.0, "t": QUOTED_AT, "bx": "C", "c": "A"}
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(frame), type=Tick)
    assert (read.symbol, read.at, read.bid, read.ask) == (SYMBOL, QUOTED_AT, 1.0, 1.25)
    assert (judge(read, None).bid_size, judge(read, None).ask_size) == (3, 4)


def test_a_message_of_another_type_is_not_a_quote():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"T": "t", "S": SYMBOL, "bp": 1, "ap": 2, "t": QUOTED_AT}, Tick)


@given(st.floats(), st.floats())
def test_every_sane_tick_can_be_judged(bid, ask):
    if not tick(bid, ask).is_sane:
        return
    quote = judged(bid, ask)
    assert quote.bid_e4 >= 0
    assert quote.ask_e4 >= 0
    assert quote.state != "none"
    assert is_good(quote) == (quote.state in ("twoSided", "zeroBid", "locked"))


@given(st.integers(0, 9_999_999_999))
def test_a_price_of_the_unit_is_kept_exactly(price_e4):
    assert judge(tick(price_e4 / 10_000, price_e4 / 10_000), None).ask_e4 == price_e4


@given(st.integers(0, 10_000_000), st.integers(0, 10_000_000))
def test_a_good_mark_lies_between_bid_and_ask(bid_e4, ask_e4):
    quote = judge(tick(bid_e4 / 10_000, ask_e4 / 10_000), None)
    if is_good(quote):
        assert bid_e4 <= quote.mark_e4 <= ask_e4
        assert 0 <= 2 * quote.mark_e4 - bid_e4 - ask_e4 <= 1
