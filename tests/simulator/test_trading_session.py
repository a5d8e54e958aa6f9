import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.simulator.entitlements import Entitlements
from condord.simulator.faults import Faults
from condord.simulator.trading_session import TradingSession

NOW = 100.0
LISTEN = {"action": "listen", "data": {"streams": ["trade_updates"]}}
NEW_AUTH = {"action": "auth", "key": "k", "secret": "s"}
OLD_AUTH = {"action": "authenticate", "data": {"key_id": "k", "secret_key": "s"}}


def make_session(faults=None, **entitlements):
    return TradingSession(entitlements=Entitlements(**entitlements), faults=faults or Faults())


def send(session, message):
    outputs = session.received(msgspec.json.encode(message), NOW)
    return msgspec.json.decode(outputs[0].body) if outputs else None


@pytest.mark.parametrize("auth", [NEW_AUTH, OLD_AUTH])
def test_both_forms_of_auth_lead_to_updates_in_binary_frames(auth):
    session = make_session()
    assert session.opened(NOW) == []
    assert send(session, auth) == {
        "stream": "authorization",
        "data": {"status": "authorized", "action": "authenticate"},
    }
    assert send(session, LISTEN) == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
    (update,) = session.update({"stream": "trade_updates", "data": {"event": "fill"}})
    assert not update.is_text
    assert session.subscriptions == ("trade_updates",)


def test_after_a_wrong_secret_the_client_may_try_again():
    session = make_session(credentials=("k", "right"))
    assert send(session, NEW_AUTH)["data"]["status"] == "unauthorized"
    assert send(session, NEW_AUTH | {"secret": "right"})["data"]["status"] == "authorized"


def test_listening_before_auth_is_unauthorized():
    assert send(make_session(), LISTEN)["data"] == {"status": "unauthorized", "action": "listen"}


def test_a_client_that_does_not_listen_gets_no_updates():
    session = make_session()
    send(session, NEW_AUTH)
    assert session.update({}) == []
    assert send(session, {"action": "listen", "data": {"streams": []}})["data"]["streams"] == []
    assert session.update({}) == []


def test_faults_of_the_trading_stream_affect_the_session():
    faults = Faults()
    faults.activate("auth-402", NOW, count=1, stream="trading")
    faults.activate("mute-after-subscribe", NOW, count=1, stream="trading")
    session = make_session(faults)
    assert send(session, NEW_AUTH)["data"]["status"] == "unauthorized"
    send(session, NEW_AUTH)
    assert send(session, LISTEN) is not None
    assert session.update({"x": 1}) == []


@given(st.binary(max_size=60) | st.text(max_size=30))
def test_any_bytes_are_answered_with_an_error(message):
    session = make_session()
    (output,) = session.received(message, NOW)
    assert msgspec.json.decode(output.body)["action"] == "error"


@given(
    st.sampled_from(["auth", "authenticate", "listen", "x", None, 1]),
    st.none()
    | st.integers()
    | st.lists(st.integers())
    | st.dictionaries(st.sampled_from(["streams", "key_id"]), st.integers()),
)
def test_any_map_is_answered(action, data):
    session = make_session()
    assert send(session, {"action": action, "data": data}) is not None
    send(session, NEW_AUTH)
    assert send(session, {"action": action, "data": data}) is not None
