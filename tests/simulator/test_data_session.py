"""What the option stream and the stock stream have in common, in each of their formats."""

import functools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from condord.simulator.entitlements import Entitlements, FeedSlots
from condord.simulator.option_session import OptionSession
from condord.simulator.session import Close, Send
from condord.simulator.stock_session import StockSession
from tests.examples import examples
from tests.simulator.builders import AUTH, NOW, SessionClient, reply

KINDS = {
    "option": functools.partial(SessionClient, OptionSession),
    "stock": functools.partial(SessionClient, StockSession),
    "stock in JSON": functools.partial(SessionClient, StockSession, is_msgpack=False),
}
kinds = st.sampled_from(sorted(KINDS)).map(KINDS.get)
actions = st.sampled_from(["auth", "subscribe", "unsubscribe", "else", None, 3, []])
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(params=KINDS)
def make_client(request):
    return KINDS[request.param]


@pytest.fixture
def client(make_client):
    return make_client()


def test_the_handshake_is_connected_authenticated_and_an_ack(client):
    assert reply(client.session.opened(NOW)) == "connected"
    assert client.send(AUTH) == "authenticated"
    ack = client.send({"action": "subscribe", "quotes": ["A"]})
    assert (ack["T"], ack["trades"], ack["quotes"]) == ("subscription", [], ["A"])


def test_an_ack_names_everything_subscribed_so_far(client):
    client.subscribe_to("A", "B")
    ack = client.send({"action": "subscribe", "quotes": ["C"], "trades": ["A"]})
    assert (ack["trades"], ack["quotes"]) == (["A"], ["A", "B", "C"])
    assert client.send({"action": "unsubscribe", "quotes": ["A", "never"]})["quotes"] == ["B", "C"]
    assert (client.session.subscriptions, client.session.trade_subscriptions) == (("B", "C"), ("A",))


def test_only_subscribed_messages_are_sent_in_one_frame(client):
    assert client.offer("A") is None
    client.subscribe_to("A", "C")
    assert [message["S"] for message in client.offer("A", "B", "C")] == ["A", "C"]
    assert client.offer("B") is None
    assert client.offer("A", channel="trades") is None


def test_frames_have_the_format_of_the_session(client):
    client.subscribe_to("A")
    assert client.session.opened(NOW)[0].is_text is not client.is_msgpack


def test_a_late_auth_gets_404_and_is_closed(client):
    assert client.session.tick(NOW + 9.9) == []
    error, close = client.session.tick(NOW + 10)
    assert reply([error]) == 404
    assert isinstance(close, Close)
    assert client.session.tick(NOW + 11) == []


def test_a_wrong_secret_gets_402_and_leaves_the_session_open(make_client):
    client = make_client(entitlements=Entitlements(credentials=("k", "right")))
    assert client.send(AUTH) == 402
    assert client.session.tick(NOW + 1000) == []
    assert client.send(AUTH | {"secret": "right"}) == "authenticated"


def test_a_second_session_gets_406_after_its_auth_and_is_closed_ten_seconds_later(make_client):
    slots = FeedSlots()
    first, second = make_client(slots=slots), make_client(slots=slots)
    assert first.send(AUTH) == "authenticated"
    assert second.send(AUTH) == 406
    assert second.session.tick(NOW + 9.9) == []
    assert isinstance(second.session.tick(NOW + 10)[0], Close)
    assert first.subscribe_to("A")["quotes"] == ["A"]
    first.session.closed()
    assert make_client(slots=slots).send(AUTH) == "authenticated"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"action": "subscribe", "news": ["A"]}, 410),
        ({"action": "subscribe", "quotes": "A"}, 400),
        ({"action": "subscribe", "quotes": [1]}, 400),
        ({"action": "dance"}, 400),
        ([1], 400),
        (AUTH, 403),
    ],
)
def test_an_invalid_message_is_refused_with_its_code(client, message, code):
    client.send(AUTH)
    assert client.send(message) == code


@pytest.mark.parametrize("action", ["subscribe", "unsubscribe"])
def test_before_auth_a_subscription_gets_401(client, action):
    assert client.send({"action": action, "quotes": ["A"]}) == 401


@pytest.mark.parametrize(
    ("fault", "steps_answered"),
    [
        ("mute-after-upgrade", 0),
        ("mute-after-connected", 1),
        ("mute-after-authenticated", 2),
        ("mute-after-subscribe", 3),
    ],
)
def test_a_mute_fault_silences_the_session_after_its_step(client, fault, steps_answered):
    client.inject(fault, count=1)
    steps = [
        reply(client.session.opened(NOW)),
        client.send(AUTH),
        client.send({"action": "subscribe", "quotes": ["A"]}),
        client.offer("A"),
    ]
    assert [step is not None for step in steps] == [True] * steps_answered + [False] * (4 - steps_answered)


@pytest.mark.parametrize(("fault", "code"), [("auth-402", 402), ("connection-406", 406), ("insufficient-409", 409)])
def test_auth_faults_answer_with_their_code(client, fault, code):
    client.inject(fault, count=1)
    assert client.send(AUTH) == code


def test_a_fault_of_another_stream_has_no_effect(client):
    other = "stock" if client.session.stream == "option" else "option"
    for fault in ("auth-402", "limit-405", "ack-lacks-symbol", "mute-after-subscribe"):
        client.faults.activate(fault, NOW, stream=other)
    assert client.subscribe_to("A")["quotes"] == ["A"]
    assert client.offer("A")


def test_a_405_fault_refuses_one_subscription(client):
    client.inject("limit-405")
    assert client.subscribe_to("A") == 405
    assert client.subscribe_to("A")["quotes"] == ["A"]


def test_a_405_fault_with_a_limit_refuses_only_above_it(client):
    client.inject("limit-405", seconds=60, limit=2)
    assert client.subscribe_to("A", "B", "C") == 405
    assert client.subscribe_to("A", "B")["quotes"] == ["A", "B"]
    assert client.subscribe_to("C") == 405
    client.faults.clear()
    assert client.subscribe_to("C")["quotes"] == ["A", "B", "C"]


def test_an_ack_that_lacks_a_symbol_keeps_it_silent(client):
    client.inject("ack-lacks-symbol")
    assert client.subscribe_to("A", "B")["quotes"] == ["A"]
    assert client.offer("B") is None


def test_a_symbol_that_an_ack_lacked_arrives_once_it_is_subscribed_again(client):
    client.inject("ack-lacks-symbol", symbol="A")
    assert client.subscribe_to("A", "B")["quotes"] == ["B"]
    assert client.subscribe_to("A")["quotes"] == ["A", "B"]
    assert client.offer("A")


@given(kinds, st.binary(max_size=60) | st.text(max_size=20), st.booleans())
def test_any_bytes_are_answered_with_an_error_or_nothing(make_client, message, is_ready):
    client = make_client()
    if is_ready:
        client.subscribe_to("A")
    for output in client.session.received(message, NOW):
        assert isinstance(output, Send | Close)


@given(kinds, actions, anything, anything, anything, anything)
def test_any_map_is_answered(make_client, action, key, quotes, trades, bars):
    client = make_client()
    message = {"action": action, "key": key, "secret": key, "quotes": quotes, "trades": trades, "bars": bars}
    assert client.send(message) is not None
    client.send(AUTH)
    assert client.send(message) is not None
    client.offer("A", channel="trades")


@given(kinds, anything)
def test_any_value_in_a_frame_is_answered(make_client, value):
    assert make_client().send(value) == 400 or isinstance(value, dict)


def test_a_binary_frame_of_random_nesting_gets_400(client):
    assert reply(client.session.received(b"\x91" * 5000, NOW)) == 400
    assert reply(client.session.received(msgspec.msgpack.encode([AUTH]), NOW)) == 400


class TwoSessions(RuleBasedStateMachine):
    """Two sessions on one feed, of which at most one is authenticated."""

    @initialize(make_client=kinds)
    def begin(self, make_client):
        self.slots = FeedSlots()
        self.make_client = make_client
        self.clients = [make_client(slots=self.slots), make_client(slots=self.slots)]
        self.is_authenticated = [False, False]

    @rule(which=st.integers(0, 1))
    def authenticate(self, which):
        answer = self.clients[which].send(AUTH)
        expected = 403 if self.is_authenticated[which] else 406 if self.is_authenticated[1 - which] else "authenticated"
        assert answer == expected
        self.is_authenticated[which] |= answer == "authenticated"

    @rule(which=st.integers(0, 1))
    def leave(self, which):
        self.clients[which].session.closed()
        self.clients[which] = self.make_client(slots=self.slots)
        self.is_authenticated[which] = False

    @rule(which=st.integers(0, 1), symbol=st.sampled_from("AB"))
    def subscribe(self, which, symbol):
        answer = self.clients[which].send({"action": "subscribe", "quotes": [symbol]})
        assert (answer == 401) is not self.is_authenticated[which]

    @invariant()
    def at_most_one_is_authenticated(self):
        assert getattr(self, "is_authenticated", None) != [True, True]


TwoSessions.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=12)
test_two_sessions = TwoSessions.TestCase
