import msgspec
import pytest

from condord.simulator import wire
from condord.simulator.entitlements import Entitlements, FeedSlots
from condord.simulator.faults import Faults
from condord.simulator.option_session import OptionSession
from condord.simulator.session import Close, Send
from condord.simulator.trading_session import TradingSession
from condord.simulator.wire import EncodedMessage

NOW = 100.0


def option_session():
    return OptionSession(feed="indicative", entitlements=Entitlements(), slots=FeedSlots(), faults=Faults(), now=NOW)


def trading_session():
    return TradingSession(entitlements=Entitlements(), faults=Faults())


@pytest.mark.parametrize("make_session", [option_session, trading_session])
def test_every_step_of_a_session_returns_what_to_send_and_when_to_close(make_session):
    session = make_session()
    quote = EncodedMessage(symbol="A", body=wire.encode({"T": "q", "S": "A"}))
    outputs = [
        *session.opened(NOW),
        *session.received(b"\xc1", NOW),
        *session.received(msgspec.json.encode({"action": "listen"}), NOW),
        *session.offer([quote], NOW),
        *session.tick(NOW + 3600),
    ]
    assert outputs
    assert all(isinstance(output, Send | Close) for output in outputs)
    assert session.subscriptions == ()
    session.closed()
