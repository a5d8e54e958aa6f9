import math

import msgpack
import msgspec
import pytest

from condord.simulator.faults import Faults
from condord.simulator.quote_encoder import QuoteEncoder, skew_seconds
from tests.simulator.builders import make_quote

NOW = 100.0
AT_NS = 1_795_000_000_123_456_789


def quote(symbol="A", at_ns=AT_NS):
    return make_quote(symbol, at_ns=at_ns)


class FaultyEncoder:
    """An encoder with active faults; a call returns the decoded messages."""

    def __init__(self, *names, **args):
        self.faults = Faults()
        self.encoder = QuoteEncoder(self.faults)
        for name in names:
            self.faults.activate(name, NOW, **args)

    def __call__(self, *quotes):
        encoded = self.encoder.encode(quotes or [quote()], NOW)
        return [msgpack.unpackb(message.body) for message in encoded]


def test_without_faults_a_quote_is_not_altered():
    (message,) = FaultyEncoder()()
    assert (message["bp"], message["ap"], message["t"].to_unix_nano()) == (2.5, 2.75, AT_NS)


@pytest.mark.parametrize(
    ("fault", "bid", "ask"),
    [
        ("zero-prices", 0, 0),
        ("no-bid", 0, 2.75),
        ("crossed", 2.8, 2.75),
        ("locked", 2.75, 2.75),
        ("stub", 0.05, 19.95),
        ("null-price", None, 2.75),
        ("integer-prices", 2, 3),
    ],
)
def test_a_price_fault_alters_one_quote(fault, bid, ask):
    faulty = FaultyEncoder(fault)
    (message,) = faulty()
    assert (message["bp"], message["ap"]) == (bid, ask)
    assert [message["bp"] for message in faulty()] == [2.5]


def test_integer_prices_are_integers_on_the_wire():
    (message,) = FaultyEncoder("integer-prices")()
    assert type(message["bp"]) is int


def test_the_nan_fault_makes_the_bid_nan():
    assert math.isnan(FaultyEncoder("nan")()[0]["bp"])


@pytest.mark.parametrize(("fault", "length"), [("timestamp-32", 6), ("timestamp-96", 15)])
def test_timestamp_faults_change_the_length(fault, length):
    faulty = FaultyEncoder(fault)
    (encoded,) = faulty.encoder.encode([quote()], NOW)
    raw = msgspec.msgpack.decode(encoded.body, type=dict[str, msgspec.Raw])
    assert len(bytes(raw["t"])) == length


def test_a_duplicate_time_repeats_the_one_of_the_previous_quote():
    faulty = FaultyEncoder()
    faulty(quote(at_ns=AT_NS))
    faulty.faults.activate("duplicate-time", NOW)
    assert faulty(quote(at_ns=AT_NS + 10))[0]["t"].to_unix_nano() == AT_NS


def test_an_out_of_order_time_is_five_seconds_older():
    assert FaultyEncoder("out-of-order-time")()[0]["t"].to_unix_nano() == AT_NS - 5_000_000_000


def test_an_unknown_type_precedes_its_quote():
    assert [message["T"] for message in FaultyEncoder("unknown-type")()] == ["zz", "q"]


def test_an_unsubscribed_symbol_goes_to_every_subscriber():
    faulty = FaultyEncoder("unsubscribed-symbol")
    unsubscribed, own = faulty.encoder.encode([quote()], NOW)
    assert (unsubscribed.symbol, own.symbol) == (None, "A")
    assert msgpack.unpackb(unsubscribed.body)["S"] != "A"


def test_only_the_silent_symbol_is_silent():
    faulty = FaultyEncoder("silent-symbol", symbol="A")
    assert [message["S"] for message in faulty(quote("A"), quote("B"), quote("A"))] == ["B"]


def test_a_fault_with_a_symbol_waits_for_its_quote():
    faulty = FaultyEncoder("crossed", symbol="B")
    assert [message["bp"] for message in faulty(quote("A"), quote("B"))] == [2.5, 2.8]


def test_clock_skew_shifts_every_time():
    faulty = FaultyEncoder("clock-skew", skew_seconds=2.0)
    assert faulty()[0]["t"].to_unix_nano() == AT_NS + 2_000_000_000
    assert skew_seconds(faulty.faults, NOW) == 2.0
    assert skew_seconds(Faults(), NOW) == 0.0


def test_only_the_stock_stream_has_json():
    faults = Faults()
    assert QuoteEncoder(faults).encode([quote()], NOW)[0].text == b""
    assert b'"z":"A"' in QuoteEncoder(faults, "stock").encode([quote()], NOW)[0].text


def test_a_fault_alters_only_the_quotes_of_its_stream():
    faults = Faults()
    encoders = {stream: QuoteEncoder(faults, stream) for stream in ("option", "stock")}
    for stream in ("option", "stock"):
        faults.activate("crossed", NOW, stream=stream)
        bids = {name: msgpack.unpackb(one.encode([quote()], NOW)[0].body)["bp"] for name, one in encoders.items()}
        assert bids == {name: 2.8 if name == stream else 2.5 for name in encoders}
