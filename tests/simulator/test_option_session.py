import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from condord.simulator import wire
from condord.simulator.faults import Faults
from condord.simulator.option_session import OptionSession
from condord.simulator.session import Close, Send, Slots, Terms
from condord.simulator.wire import Encoded

NOW = 100.0
AUTH = {"action": "auth", "key": "k", "secret": "s"}
actions = st.sampled_from(["auth", "subscribe", "unsubscribe", "else", None, 3, []])
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


class Talk:
    """A session, spoken to in maps."""

    def __init__(self, *, feed="indicative", terms=None, slots=None, is_msgpack=True):
        self.faults = Faults()
        self.session = OptionSession(
            feed=feed,
            terms=terms or Terms(),
            slots=slots or Slots(),
            faults=self.faults,
            now=NOW,
            is_msgpack=is_msgpack,
        )
        self.is_msgpack = is_msgpack

    def say(self, message, now=NOW):
        encoder = msgspec.msgpack if self.is_msgpack else msgspec.json
        body = encoder.encode(message)
        return said(self.session.received(body if self.is_msgpack else body.decode(), now))

    def ready(self, *symbols):
        self.say(AUTH)
        return self.say({"action": "subscribe", "quotes": list(symbols)})


def said(outputs):
    assert len(outputs) <= 1
    if not outputs:
        return None
    (message,) = (msgspec.json if outputs[0].is_text else msgspec.msgpack).decode(outputs[0].body)
    return message.get("code") or message.get("msg") or message


def batch(*symbols):
    return [Encoded(symbol=symbol, body=wire.encode({"T": "q", "S": symbol})) for symbol in symbols]


def test_the_handshake_is_connected_authenticated_and_an_ack():
    talk = Talk()
    assert said(talk.session.opened(NOW)) == "connected"
    assert talk.say(AUTH) == "authenticated"
    assert talk.say({"action": "subscribe", "quotes": ["A"]}) == {"T": "subscription", "trades": [], "quotes": ["A"]}


def test_an_ack_names_everything_subscribed_so_far():
    talk = Talk()
    talk.ready("A", "B")
    assert talk.say({"action": "subscribe", "quotes": ["C"], "trades": ["A"]}) == {
        "T": "subscription",
        "trades": ["A"],
        "quotes": ["A", "B", "C"],
    }
    assert talk.say({"action": "unsubscribe", "quotes": ["A", "never"]})["quotes"] == ["B", "C"]


def test_only_what_is_subscribed_is_sent_in_one_frame():
    talk = Talk()
    assert talk.session.offer(batch("A"), NOW) == []
    talk.ready("A", "C")
    (output,) = talk.session.offer(batch("A", "B", "C"), NOW)
    assert [each["S"] for each in msgspec.msgpack.decode(output.body)] == ["A", "C"]
    assert talk.session.offer(batch("B"), NOW) == []


def test_a_late_auth_is_404_and_closed():
    talk = Talk()
    assert talk.session.tick(NOW + 9.9) == []
    error, close = talk.session.tick(NOW + 10)
    assert said([error]) == 404
    assert isinstance(close, Close)
    assert talk.session.tick(NOW + 11) == []


def test_a_wrong_secret_is_402_and_leaves_the_session_open():
    talk = Talk(terms=Terms(credentials=("k", "right")))
    assert talk.say(AUTH) == 402
    assert talk.session.tick(NOW + 1000) == []
    assert talk.say(AUTH | {"secret": "right"}) == "authenticated"


def test_a_second_session_is_406_after_its_auth_and_closed_ten_seconds_later():
    slots = Slots()
    first, second = Talk(slots=slots), Talk(slots=slots)
    assert first.say(AUTH) == "authenticated"
    assert second.say(AUTH) == 406
    assert second.session.tick(NOW + 9.9) == []
    assert isinstance(second.session.tick(NOW + 10)[0], Close)
    assert first.ready("A")["quotes"] == ["A"]
    first.session.closed()
    assert Talk(slots=slots).say(AUTH) == "authenticated"


def test_opra_is_409_without_the_agreement():
    assert Talk(feed="opra").say(AUTH) == 409
    assert Talk(feed="opra", terms=Terms(has_opra=True)).say(AUTH) == "authenticated"


def test_more_symbols_than_the_limit_are_405_and_change_nothing():
    talk = Talk(terms=Terms(symbol_limit=2))
    talk.ready("A", "B")
    assert talk.say({"action": "subscribe", "quotes": ["C"]}) == 405
    assert talk.session.subscriptions == ("A", "B")
    assert talk.say({"action": "subscribe", "quotes": ["A"]})["quotes"] == ["A", "B"]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"action": "subscribe", "quotes": ["*"]}, 413),
        ({"action": "subscribe", "bars": ["A"]}, 410),
        ({"action": "subscribe", "quotes": "A"}, 400),
        ({"action": "subscribe", "quotes": [1]}, 400),
        ({"action": "dance"}, 400),
        ([1], 400),
        (AUTH, 403),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_code(message, code):
    talk = Talk()
    talk.say(AUTH)
    assert talk.say(message) == code


def test_before_auth_a_subscribe_is_401():
    assert Talk().say({"action": "subscribe", "quotes": ["A"]}) == 401


def test_text_is_412():
    assert said(Talk().session.received('{"action":"auth"}', NOW)) == 412


def test_a_client_without_messagepack_may_log_in_and_is_412_when_it_subscribes():
    talk = Talk(is_msgpack=False)
    (greeting,) = talk.session.opened(NOW)
    assert greeting.is_text
    assert talk.say(AUTH) == "authenticated"
    assert talk.say({"action": "subscribe", "quotes": ["A"]}) == 412


@pytest.mark.parametrize(
    ("fault", "heard"),
    [
        ("mute-after-upgrade", 0),
        ("mute-after-connected", 1),
        ("mute-after-authenticated", 2),
        ("mute-after-subscribe", 3),
    ],
)
def test_a_mute_session_falls_silent_where_told(fault, heard):
    talk = Talk()
    talk.faults.activate(fault, NOW, count=1)
    steps = [
        said(talk.session.opened(NOW)),
        talk.say(AUTH),
        talk.say({"action": "subscribe", "quotes": ["A"]}),
        said(talk.session.offer(batch("A"), NOW)),
    ]
    assert [step is not None for step in steps] == [True] * heard + [False] * (4 - heard)


@pytest.mark.parametrize(("fault", "code"), [("auth-402", 402), ("connection-406", 406), ("insufficient-409", 409)])
def test_auth_faults_answer_with_their_code(fault, code):
    talk = Talk()
    talk.faults.activate(fault, NOW, count=1)
    assert talk.say(AUTH) == code


def test_a_405_fault_strikes_one_subscribe():
    talk = Talk()
    talk.faults.activate("limit-405", NOW)
    assert talk.ready("A") == 405
    assert talk.ready("A")["quotes"] == ["A"]


def test_a_405_fault_with_a_limit_strikes_only_above_it():
    talk = Talk()
    talk.faults.activate("limit-405", NOW, seconds=60, limit=2)
    assert talk.ready("A", "B", "C") == 405
    assert talk.ready("A", "B")["quotes"] == ["A", "B"]
    assert talk.ready("C") == 405
    talk.faults.clear()
    assert talk.ready("C")["quotes"] == ["A", "B", "C"]


def test_an_ack_that_lacks_a_symbol_keeps_it_silent():
    talk = Talk()
    talk.faults.activate("ack-lacks-symbol", NOW)
    assert talk.ready("A", "B")["quotes"] == ["A"]
    assert talk.session.offer(batch("B"), NOW) == []


def test_a_symbol_that_an_ack_lacked_comes_when_it_is_asked_for_again():
    talk = Talk()
    talk.faults.activate("ack-lacks-symbol", NOW, symbol="A")
    assert talk.ready("A", "B")["quotes"] == ["B"]
    assert talk.ready("A")["quotes"] == ["A", "B"]
    assert talk.session.offer(batch("A"), NOW) != []


@given(st.binary(max_size=60) | st.text(max_size=20), st.booleans(), st.booleans())
def test_any_bytes_are_answered_with_an_error_or_nothing(message, is_msgpack, is_ready):
    talk = Talk(is_msgpack=is_msgpack)
    if is_ready:
        talk.ready("A")
    for output in talk.session.received(message, NOW):
        assert isinstance(output, Send | Close)


@given(actions, anything, anything, anything)
def test_any_map_is_answered(action, key, quotes, trades):
    talk = Talk()
    assert talk.say({"action": action, "key": key, "secret": key, "quotes": quotes, "trades": trades}) is not None
    talk.session.received(msgspec.msgpack.encode(AUTH), NOW)
    talk.session.received(msgspec.msgpack.encode({"action": action, "quotes": quotes, "trades": trades}), NOW)


class TwoSessions(RuleBasedStateMachine):
    """Two sessions on one feed: never are both authenticated, whoever comes and goes."""

    def __init__(self):
        super().__init__()
        self.slots = Slots()
        self.talks = [Talk(slots=self.slots), Talk(slots=self.slots)]
        self.is_in = [False, False]

    @rule(which=st.integers(0, 1))
    def authenticate(self, which):
        answer = self.talks[which].say(AUTH)
        expected = 403 if self.is_in[which] else 406 if self.is_in[1 - which] else "authenticated"
        assert answer == expected
        self.is_in[which] |= answer == "authenticated"

    @rule(which=st.integers(0, 1))
    def leave(self, which):
        self.talks[which].session.closed()
        self.talks[which] = Talk(slots=self.slots)
        self.is_in[which] = False

    @rule(which=st.integers(0, 1), symbol=st.sampled_from("AB"))
    def subscribe(self, which, symbol):
        answer = self.talks[which].say({"action": "subscribe", "quotes": [symbol]})
        assert (answer == 401) is not self.is_in[which]

    @invariant()
    def one_is_in_at_most(self):
        assert self.is_in != [True, True]


TwoSessions.TestCase.settings = settings(max_examples=25, stateful_step_count=12)
TestTwoSessions = TwoSessions.TestCase
