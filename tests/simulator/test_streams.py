import msgspec
import pytest

from condord.simulator.entitlements import Entitlements
from condord.simulator.faults import Faults
from condord.simulator.option_session import OptionSession
from condord.simulator.stock_session import StockSession
from condord.simulator.streams import PATHS, Streams
from condord.simulator.trading_session import TradingSession

NOW = 100.0


class FakeConnection:
    """A connection without a socket."""

    def __init__(self):
        self.stream, self.id, self.session = "", 0, None
        self.calls = []

    def __getattr__(self, name):
        return lambda *args: self.calls.append(name)


def join(streams, path):
    connection = FakeConnection()
    connection.session = streams.join(connection, path, NOW, is_msgpack=True)
    return connection


@pytest.fixture
def streams():
    return Streams(entitlements=Entitlements(), faults=Faults())


def test_each_path_has_its_session(streams):
    assert [type(join(streams, path).session) for path in PATHS] == [
        *[OptionSession] * 2,
        *[StockSession] * 3,
        TradingSession,
    ]
    assert join(streams, "/v1beta1/opra?x=1").session.feed == "opra"


def test_open_connections_their_maximum_and_accepted_ones_are_counted(streams):
    first = join(streams, "/v1beta1/indicative")
    streams.leave(first)
    second = join(streams, "/v1beta1/indicative")
    state = streams.state()
    assert [row["id"] for row in state["option"]["open"]] == [second.id]
    assert (state["option"]["accepted"], state["option"]["maxOpen"]) == (2, 1)
    assert state["trading"] == {"open": [], "accepted": 0, "maxOpen": 0}
    join(streams, "/v1beta1/indicative")
    assert streams.state()["option"]["maxOpen"] == 2


def test_live_faults_affect_only_their_stream(streams):
    option, trading = join(streams, "/v1beta1/indicative"), join(streams, "/stream")
    streams.faults.activate("reset", NOW)
    streams.apply_faults(NOW)
    assert (option.calls, trading.calls) == (["reset"], [])
    streams.faults.activate("close-1001", NOW, stream="trading")
    streams.apply_faults(NOW)
    assert (option.calls, trading.calls) == (["reset"], ["close"])
    stock = join(streams, "/v2/iex")
    streams.faults.activate("reset", NOW, stream="stock")
    streams.apply_faults(NOW)
    assert (option.calls, stock.calls) == (["reset"], ["reset"])
    streams.faults.activate("mute", NOW, stream="all", seconds=1.0)
    streams.apply_faults(NOW)
    assert (option.calls[-1], trading.calls[-1]) == ("mute", "mute")


def test_frame_faults_wait_for_a_subscriber_and_affect_only_their_stream(streams):
    option, trading = join(streams, "/v1beta1/indicative"), join(streams, "/stream")
    streams.faults.activate("garbage", NOW, stream="trading")
    streams.apply_faults(NOW)
    assert (option.calls, trading.calls) == ([], [])
    trading.session.received(b'{"action":"auth","key":"k","secret":"s"}', NOW)
    trading.session.received(b'{"action":"listen","data":{"streams":["trade_updates"]}}', NOW)
    streams.apply_faults(NOW)
    streams.apply_faults(NOW)
    assert (option.calls, trading.calls) == ([], ["apply"])


def test_unknown_paths_and_upgrades_with_a_fault_are_refused(streams):
    assert streams.refusal("/v2/other", NOW)[0] == 404
    assert streams.refusal("/stream", NOW) is None
    streams.faults.activate("upgrade-429", NOW)
    assert streams.refusal("/v1beta1/indicative", NOW)[0] == 429
    assert streams.refusal("/stream", NOW) is None


def test_the_stock_stream_has_a_slot_counts_and_refusals_of_its_own(streams):
    join(streams, "/v1beta1/indicative")
    assert streams.state()["stock"] == {"open": [], "accepted": 0, "maxOpen": 0}
    stock = join(streams, "/v2/iex")
    stock.session.received(msgspec.msgpack.encode({"action": "auth", "key": "k", "secret": "s"}), NOW)
    message = {"action": "subscribe", "quotes": ["SPY"], "trades": ["QQQ"]}
    stock.session.received(msgspec.msgpack.encode(message), NOW)
    state = streams.state()["stock"]
    assert state == {
        "open": [{"id": 2, "subscriptions": ["SPY"], "feed": "iex", "tradeSubscriptions": ["QQQ"]}],
        "accepted": 1,
        "maxOpen": 1,
    }
    assert streams.subscribed("stock") == {"SPY", "QQQ"}
    assert streams.subscribed() == set()
    streams.faults.activate("upgrade-502", NOW, stream="stock")
    assert streams.refusal("/v1beta1/indicative", NOW) is None
    assert streams.refusal("/v2/sip", NOW)[0] == 502
