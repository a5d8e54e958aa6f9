import functools
import json

import msgpack
import pytest

from condord.simulator.entitlements import Entitlements
from condord.simulator.faults import FAULTS, Faults
from condord.simulator.stock_feed import StockFeed
from condord.simulator.stocks import MinuteEnd, SimulatedTrade, StockBar
from condord.simulator.streams import Streams
from tests.simulator.builders import AUTH, NOW, make_quote

QUOTE, OTHER = make_quote("SPY", bid=742.01, ask=742.02, at_ns=10_000_000_000), make_quote("QQQ", bid=648.0, ask=648.01)
TRADE = SimulatedTrade(symbol="SPY", at_ns=10_000_000_000, id=1, price=742.01, size=100)
BAR = StockBar(symbol="SPY", start=60, open=1.0, high=1.0, low=1.0, close=1.0)
END = MinuteEnd(minute=BAR, session=BAR, is_corrected=True)


class Listener:
    """A connection without a socket, which keeps the messages that arrive."""

    def __init__(self):
        self.stream, self.id, self.session = "", 0, None
        self.received = []

    def offer(self, batch, now):
        for output in self.session.offer(batch, now):
            self.received += json.loads(output.body) if output.is_text else msgpack.unpackb(output.body)


class StockFeedHarness:
    """A feed with one listener, which subscribes to channels."""

    def __init__(self, *, is_msgpack=True, **channels):
        self.faults = Faults()
        self.streams = Streams(entitlements=Entitlements(has_sip=True), faults=self.faults)
        self.feed = StockFeed(self.streams, self.faults, seed=1)
        if channels:
            self.listener = Listener()
            self.listener.session = self.streams.join(self.listener, "/v2/iex", NOW, is_msgpack=is_msgpack)
            for message in (AUTH, {"action": "subscribe", **channels}):
                body = msgpack.packb(message) if is_msgpack else json.dumps(message)
                self.listener.session.received(body, NOW)

    def publish(self, *events):
        self.listener.received.clear()
        self.feed.publish(events, NOW)
        return [(message["T"], message["S"]) for message in self.listener.received]


def test_without_a_connection_nothing_is_encoded_or_counted():
    harness = StockFeedHarness()
    harness.feed.publish([QUOTE, TRADE, END], NOW)
    assert harness.streams.stock_messages_sent == 0


def test_each_event_goes_to_the_subscribers_of_its_channel():
    assert StockFeedHarness(quotes=["SPY"]).publish(QUOTE, OTHER, TRADE, END) == [("q", "SPY")]
    assert StockFeedHarness(trades=["SPY"]).publish(QUOTE, TRADE, END)[0] == ("t", "SPY")
    assert StockFeedHarness(bars=["SPY"], dailyBars=["SPY"], updatedBars=["SPY"]).publish(QUOTE, TRADE, END) == [
        ("b", "SPY"),
        ("d", "SPY"),
        ("u", "SPY"),
    ]


def test_a_subscription_to_all_symbols_gets_all():
    assert StockFeedHarness(quotes=["*"]).publish(QUOTE, OTHER) == [("q", "SPY"), ("q", "QQQ")]


def test_corrections_cancellations_bands_and_statuses_are_sent_now_and_then():
    harness = StockFeedHarness(trades=["SPY"], lulds=["SPY"], statuses=["SPY"])
    types = [kind for kind, _ in harness.publish(*[TRADE] * 1000)]
    assert types.count("t") == 1000
    assert all(1 <= types.count(kind) < 60 for kind in "cxls")


@pytest.mark.parametrize(
    ("fault", "bid", "ask"),
    [("crossed", 742.07, 742.02), ("zero-prices", 0, 0), ("null-price", None, 742.02), ("no-bid", 0, 742.02)],
)
def test_price_faults_of_the_stock_stream_alter_its_quotes(fault, bid, ask):
    harness = StockFeedHarness(quotes=["SPY"])
    harness.faults.activate(fault, NOW, stream="stock")
    harness.publish(QUOTE)
    assert [harness.listener.received[0][key] for key in ("bp", "ap", "z")] == [bid, ask, "B"]


def test_a_fault_waits_for_a_quote_that_somebody_receives():
    harness = StockFeedHarness(quotes=["SPY"])
    harness.faults.activate("silent-symbol", NOW, stream="stock", count=1)
    assert harness.publish(OTHER) == []
    assert harness.publish(QUOTE) == []
    assert harness.publish(QUOTE) == [("q", "SPY")]


def test_faults_of_the_option_stream_leave_stocks_alone():
    harness = StockFeedHarness(quotes=["SPY"])
    harness.faults.activate("crossed", NOW)
    assert harness.publish(QUOTE) == [("q", "SPY")]
    assert harness.listener.received[0]["bp"] == 742.01


def test_message_faults_add_messages_that_a_client_must_ignore():
    harness = StockFeedHarness(quotes=["SPY"])
    inject = functools.partial(harness.faults.activate, now=NOW, stream="stock")
    inject("unknown-type")
    inject("unsubscribed-symbol")
    assert harness.publish(QUOTE) == [("zz", "SPY"), ("q", "ZZZZ"), ("q", "SPY")]
    inject("other-messages")
    assert sorted(kind for kind, _ in harness.publish(QUOTE)) == sorted("budcxlsq")


def test_time_faults_alter_the_time_of_a_stocks_quote():
    harness = StockFeedHarness(quotes=["SPY"])
    harness.publish(make_quote("SPY", at_ns=10_000_000_000))
    for fault, expected in (("duplicate-time", 10_000_000_000), ("out-of-order-time", 15_000_000_000)):
        harness.faults.activate(fault, NOW, stream="stock")
        harness.publish(make_quote("SPY", at_ns=20_000_000_000))
        assert harness.listener.received[0]["t"].to_unix_nano() == expected
        harness.publish(make_quote("SPY", at_ns=10_000_000_000))


@pytest.mark.parametrize("is_msgpack", [True, False], ids=["msgpack", "json"])
@pytest.mark.parametrize("fault", [fault.name for fault in FAULTS if fault.target == "quote"])
def test_every_fault_of_quotes_arrives_in_a_frame_that_can_be_decoded(fault, is_msgpack):
    harness = StockFeedHarness(quotes=["SPY"], is_msgpack=is_msgpack)
    harness.faults.activate(fault, NOW, stream="stock")
    kinds = [kind for kind, _ in harness.publish(QUOTE, QUOTE)]
    assert set(kinds) <= set("budcxlsq") | {"zz"}
    assert kinds.count("q") >= (0 if fault == "silent-symbol" else 2)
