import pytest

from condord.simulator.faults import Faults
from condord.simulator.option_session import OptionSession
from condord.simulator.session import Terms
from condord.simulator.streams import PATHS, Streams
from condord.simulator.trading_session import TradingSession

NOW = 100.0


class FakeConnection:
    """A connection without a socket."""

    def __init__(self):
        self.stream, self.id, self.session = "", 0, None
        self.done = []

    def __getattr__(self, name):
        return lambda *args: self.done.append(name)


def join(streams, path):
    connection = FakeConnection()
    connection.session = streams.joined(connection, path, NOW, is_msgpack=True)
    return connection


@pytest.fixture
def streams():
    return Streams(terms=Terms(), faults=Faults())


def test_each_path_has_its_session(streams):
    assert [type(join(streams, path).session) for path in PATHS] == [OptionSession, OptionSession, TradingSession]
    assert join(streams, "/v1beta1/opra?x=1").session.feed == "opra"


def test_connections_are_counted_open_accepted_and_at_most(streams):
    first = join(streams, "/v1beta1/indicative")
    streams.left(first)
    second = join(streams, "/v1beta1/indicative")
    state = streams.state()
    assert [each["id"] for each in state["option"]["open"]] == [second.id]
    assert (state["option"]["accepted"], state["option"]["maxOpen"]) == (2, 1)
    assert state["trading"] == {"open": [], "accepted": 0, "maxOpen": 0}
    join(streams, "/v1beta1/indicative")
    assert streams.state()["option"]["maxOpen"] == 2


def test_live_faults_strike_their_stream_only(streams):
    option, trading = join(streams, "/v1beta1/indicative"), join(streams, "/stream")
    streams.faults.activate("reset", NOW)
    streams.strike(NOW)
    assert (option.done, trading.done) == (["reset"], [])
    streams.faults.activate("close-1001", NOW, stream="trading")
    streams.strike(NOW)
    assert (option.done, trading.done) == (["reset"], ["close"])
    streams.faults.activate("mute", NOW, stream="all", seconds=1.0)
    streams.strike(NOW)
    assert (option.done[-1], trading.done[-1]) == ("mute", "mute")


def test_bad_frames_wait_for_a_subscriber_and_strike_their_stream_only(streams):
    option, trading = join(streams, "/v1beta1/indicative"), join(streams, "/stream")
    streams.faults.activate("garbage", NOW, stream="trading")
    streams.strike(NOW)
    assert (option.done, trading.done) == ([], [])
    trading.session.received(b'{"action":"auth","key":"k","secret":"s"}', NOW)
    trading.session.received(b'{"action":"listen","data":{"streams":["trade_updates"]}}', NOW)
    streams.strike(NOW)
    streams.strike(NOW)
    assert (option.done, trading.done) == ([], ["apply"])


def test_unknown_paths_and_struck_upgrades_are_refused(streams):
    assert streams.refusal("/v2/other", NOW)[0] == 404
    assert streams.refusal("/stream", NOW) is None
    streams.faults.activate("upgrade-429", NOW)
    assert streams.refusal("/v1beta1/indicative", NOW)[0] == 429
    assert streams.refusal("/stream", NOW) is None
