import datetime as dt
import json
import re

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.simulator import wire
from condord.simulator.market import SimulatedQuote

QUOTE = SimulatedQuote(
    symbol="SPXW240327P04925000", at_ns=1710244738897261568, bid=9.46, bid_size=53, bid_exchange="C",
    ask=9.66, ask_size=38, ask_exchange="C",
)  # fmt: skip


@given(st.integers(0, 2**34 * 10**9 - 1), st.sampled_from([64, 96]))
def test_64_and_96_bit_timestamps_are_exact(at_ns, bits):
    decoded = msgpack.unpackb(msgspec.msgpack.encode(wire.timestamp(at_ns, bits)))
    assert decoded.to_unix_nano() == at_ns


def test_a_32_bit_timestamp_drops_the_fraction():
    encoded = msgspec.msgpack.encode(wire.timestamp(QUOTE.at_ns, 32))
    assert encoded[:2] == b"\xd6\xff"
    assert msgspec.msgpack.decode(encoded) == dt.datetime(2024, 3, 12, 11, 58, 58, tzinfo=dt.UTC)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 255, 65_535, 65_536])
def test_a_frame_is_an_array_of_any_length(count):
    assert msgspec.msgpack.decode(wire.frame([b"\x01"] * count)) == [1] * count


def test_a_quote_has_the_documented_fields():
    decoded = msgpack.unpackb(wire.encode(wire.quote_message(QUOTE)))
    assert decoded.pop("t").to_unix_nano() == QUOTE.at_ns
    assert decoded == {
        "T": "q", "S": "SPXW240327P04925000", "bx": "C", "bp": 9.46, "bs": 53, "ax": "C", "ap": 9.66, "as": 38, "c": "A",
    }  # fmt: skip


def test_no_bid_is_the_integer_zero():
    message = wire.quote_message(msgspec.structs.replace(QUOTE, bid=0.0, bid_size=0, bid_exchange="?"))
    assert (message["bp"], type(message["bp"]), message["bs"], message["bx"]) == (0, int, 0, "?")


@pytest.mark.parametrize("code", wire.MESSAGES)
def test_every_error_has_its_message(code):
    assert wire.error_message(code) == {"T": "error", "code": code, "msg": wire.MESSAGES[code]}


def test_a_trade_has_the_documented_fields():
    assert set(wire.trade_message(QUOTE)) == {"T", "S", "t", "p", "s", "x", "c"}


@given(st.integers(0, 4 * 10**18))
def test_instants_have_zero_to_nine_digits_and_no_trailing_zeros(at_ns):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z", wire.instant_ns(at_ns))


@given(st.integers(0, 2**34 * 10**9 - 1), st.sampled_from([32, 64, 96]))
def test_a_timestamp_in_json_is_the_same_instant(at_ns, bits):
    at_ns = at_ns if bits > 32 else at_ns % (2**32 * 10**9)
    expected = at_ns if bits > 32 else at_ns // 10**9 * 10**9
    assert json.loads(wire.encode_text({"t": wire.timestamp(at_ns, bits)})) == {"t": wire.instant_ns(expected)}


def test_nan_is_null_in_json():
    assert wire.encode_text({"bp": float("nan")}) == b'{"bp":null}'
