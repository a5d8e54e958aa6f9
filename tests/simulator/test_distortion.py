import math

import msgpack
import msgspec
import pytest

from condord.simulator.distortion import Distortion, skew_seconds
from condord.simulator.faults import Faults
from condord.simulator.market import Quote

NOW = 100.0
AT_NS = 1_795_000_000_123_456_789


def quote(symbol="A", at_ns=AT_NS):
    return Quote(
        symbol=symbol, at_ns=at_ns, bid=2.5, bid_size=3, bid_exchange="C", ask=2.75, ask_size=4, ask_exchange="C"
    )


class Bent:
    def __init__(self, *names, **args):
        self.faults = Faults()
        self.distortion = Distortion(self.faults)
        for name in names:
            self.faults.activate(name, NOW, **args)

    def __call__(self, *quotes):
        encoded = self.distortion.encode(quotes or [quote()], NOW)
        return [msgpack.unpackb(each.body) for each in encoded]


def test_without_faults_a_quote_passes_as_it_is():
    (message,) = Bent()()
    assert (message["bp"], message["ap"], message["t"].to_unix_nano()) == (2.5, 2.75, AT_NS)


@pytest.mark.parametrize(
    ("fault", "bid", "ask"),
    [
        ("no-bid", 0, 2.75),
        ("crossed", 2.8, 2.75),
        ("locked", 2.75, 2.75),
        ("stub", 0.05, 19.95),
        ("null-price", None, 2.75),
        ("integer-prices", 2, 3),
    ],
)
def test_prices_are_bent_once(fault, bid, ask):
    bent = Bent(fault)
    (message,) = bent()
    assert (message["bp"], message["ap"]) == (bid, ask)
    assert [message["bp"] for message in bent()] == [2.5]


def test_integer_prices_are_integers_on_the_wire():
    (message,) = Bent("integer-prices")()
    assert type(message["bp"]) is int


def test_a_bid_may_be_no_number():
    assert math.isnan(Bent("nan")()[0]["bp"])


@pytest.mark.parametrize(("fault", "length"), [("timestamp-32", 6), ("timestamp-96", 15)])
def test_timestamps_come_in_other_lengths(fault, length):
    bent = Bent(fault)
    (encoded,) = bent.distortion.encode([quote()], NOW)
    raw = msgspec.msgpack.decode(encoded.body, type=dict[str, msgspec.Raw])
    assert len(bytes(raw["t"])) == length


def test_a_duplicate_time_is_that_of_the_predecessor():
    bent = Bent()
    bent(quote(at_ns=AT_NS))
    bent.faults.activate("duplicate-time", NOW)
    assert bent(quote(at_ns=AT_NS + 10))[0]["t"].to_unix_nano() == AT_NS


def test_an_out_of_order_time_is_five_seconds_older():
    assert Bent("out-of-order-time")()[0]["t"].to_unix_nano() == AT_NS - 5_000_000_000


def test_an_unknown_type_precedes_its_quote():
    assert [message["T"] for message in Bent("unknown-type")()] == ["zz", "q"]


def test_a_stranger_goes_to_everyone():
    bent = Bent("unsubscribed-symbol")
    stranger, own = bent.distortion.encode([quote()], NOW)
    assert (stranger.symbol, own.symbol) == (None, "A")
    assert msgpack.unpackb(stranger.body)["S"] != "A"


def test_a_silent_symbol_is_silent_alone():
    bent = Bent("silent-symbol", symbol="A")
    assert [message["S"] for message in bent(quote("A"), quote("B"), quote("A"))] == ["B"]


def test_a_named_symbol_waits_for_its_quote():
    bent = Bent("crossed", symbol="B")
    assert [message["bp"] for message in bent(quote("A"), quote("B"))] == [2.5, 2.8]


def test_skew_moves_every_time():
    bent = Bent("clock-skew", skew_seconds=2.0)
    assert bent()[0]["t"].to_unix_nano() == AT_NS + 2_000_000_000
    assert skew_seconds(bent.faults, NOW) == 2.0
    assert skew_seconds(Faults(), NOW) == 0.0
