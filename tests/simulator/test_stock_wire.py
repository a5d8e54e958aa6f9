import json

import msgpack
import msgspec
import pytest

from condord.simulator import stock_wire
from condord.simulator.stocks import MinuteEnd, SimulatedTrade, StockBar
from tests.simulator.builders import make_quote

AT_NS = 1_795_000_000_123_456_789
QUOTE = make_quote("SPY", bid=742.01, ask=742.02, at_ns=AT_NS)
TRADE = SimulatedTrade(symbol="AAPL", at_ns=AT_NS, id=7, price=327.5, size=40)
BAR = StockBar(symbol="SPY", start=1_795_000_020, open=1.0, high=4.0, low=0.5, close=2.0, volume=300, count=2)
INSTANT = "2026-11-18T11:06:40.123456789Z"


def both(message):
    """The message decoded from each format; times are nanoseconds and RFC 3339."""
    encoded = stock_wire.encoded(message, "quotes")
    packed, text = msgpack.unpackb(encoded.body), json.loads(encoded.text)
    return packed, text


def test_a_quote_has_the_documented_fields_in_both_formats():
    packed, text = both(stock_wire.quote_message(QUOTE))
    assert (packed.pop("t").to_unix_nano(), text.pop("t")) == (AT_NS, INSTANT)
    assert packed == text
    assert text == {
        "T": "q", "S": "SPY", "bx": "C", "bp": 742.01, "bs": 3, "ax": "C", "ap": 742.02, "as": 4, "c": ["A"], "z": "B",
    }  # fmt: skip


def test_a_trade_has_the_documented_fields_in_both_formats():
    packed, text = both(stock_wire.trade_message(TRADE))
    assert (packed.pop("t").to_unix_nano(), text.pop("t")) == (AT_NS, INSTANT)
    assert packed == text
    assert text == {"T": "t", "S": "AAPL", "i": 7, "x": "V", "p": 327.5, "s": 40, "c": ["@", "I"], "z": "C"}


def test_over_rest_a_missing_side_has_a_price_of_zero():
    fields = stock_wire.quote_fields(msgspec.structs.replace(QUOTE, bid=0.0, ask=0.0))
    assert (fields["bp"], fields["ap"], fields["t"]) == (0, 0, INSTANT)
    assert set(fields) == {"t", "ax", "ap", "as", "bx", "bp", "bs", "c", "z"}
    assert set(stock_wire.trade_fields(TRADE)) == {"t", "x", "p", "s", "c", "i", "z"}


def test_a_bar_has_the_prices_of_its_time():
    assert stock_wire.bar_fields(BAR) == {
        "t": "2026-11-18T11:07:00Z", "o": 1.0, "h": 4.0, "l": 0.5, "c": 2.0, "v": 300, "n": 2, "vw": 1.875,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("is_corrected", "expected"),
    [(False, {"bars": "b", "dailyBars": "d"}), (True, {"bars": "b", "dailyBars": "d", "updatedBars": "u"})],
)
def test_the_end_of_a_minute_sends_bars_on_their_channels(is_corrected, expected):
    messages = stock_wire.bar_messages(MinuteEnd(minute=BAR, session=BAR, is_corrected=is_corrected))
    assert {message.channel: msgpack.unpackb(message.body)["T"] for message in messages} == expected


def test_each_type_but_quotes_and_trades_is_built_once():
    types = [both(message)[1]["T"] for message in stock_wire.messages_of_other_types(TRADE)]
    assert sorted(types) == sorted("budcxls")


def test_the_rare_messages_are_about_the_trade():
    for channel, builders in stock_wire.RARE_MESSAGES.items():
        for build in builders:
            message = build(TRADE)
            assert (message["S"], message["z"]) == ("AAPL", "C")
            assert stock_wire.encoded(message, channel).channel == channel
    band = stock_wire.band_message(TRADE)
    assert band["d"] < TRADE.price < band["u"]
