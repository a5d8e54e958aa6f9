import datetime as dt

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from condord.core.quote import Tick
from condord.upstream import rest_parsing
from condord.upstream.option_stream import OptionStream
from condord.upstream.quote_protocol import ErrorFrame, QuoteProtocol, Subscription, Success, TradeMessage
from tests.examples import examples

PUT = "SPXW240327P04925000"
AT = dt.datetime(2024, 3, 12, 11, 59, 38, 897262, tzinfo=dt.UTC)

# Frames of the documented messages; `t` is the extension -1 in its three lengths.
CONNECTED = "9182a154a773756363657373a36d7367a9636f6e6e6563746564"
AUTHENTICATED = "9182a154a773756363657373a36d7367ad61757468656e74696361746564"
ERROR_402 = "9183a154a56572726f72a4636f6465cd0192a36d7367ab61757468206661696c6564"
SUBSCRIBED = (
    "9183a154ac737562736372697074696f6ea674726164657390a671756f74657391b353505857323430333237503034393235303030"
)
QUOTE_64 = (
    "918aa154a171a153b353505857323430333237503034393235303030a174d7ffd5ec800065f043aaa26278a143"
    "a26270cb4022eb851eb851eca2627335a26178a143a26170cb402351eb851eb852a2617326a163a141"
)
QUOTE_32 = (
    "918aa154a171a153b353505857323430333237503034393235303030a174d6ff65f043aaa26278a143"
    "a26270cb4022eb851eb851eca2627335a26178a143a26170cb402351eb851eb852a2617326a163a141"
)
QUOTE_96 = (
    "918aa154a171a153b353505857323430333237503034393235303030a174c70cff357b20000000000065f043aaa26278a143"
    "a26270cb4022eb851eb851eca2627335a26178a143a26170cb402351eb851eb852a2617326a163a141"
)
QUOTE_NO_BID = (
    "918aa154a171a153b353505857323430333237503034393235303030a174d7ffd5ec800065f043aaa26278a13f"
    "a2627000a2627300a26178a143a26170cb402351eb851eb852a2617326a163a120"
)
QUOTE_IN_ANOTHER_ORDER = (
    "918aa154a171a153b2535059323631303136433030363530303030a26278a143a26270cb401099999999999aa262730ca26178a158"
    "a26170cb4011333333333333a2617307a163a120a174d7ffe775bbb86abc07bc"
)


def protocol(symbol_limit=100):
    return QuoteProtocol(symbol_limit=symbol_limit, refused={}, kinds=OptionStream.refusals)


def read(text):
    return list(protocol().receive(bytes.fromhex(text)))


def encoded(*elements):
    return msgspec.msgpack.encode(list(elements))


def quote(symbol=PUT, **fields):
    return {
        "T": "q",
        "S": symbol,
        "t": msgspec.msgpack.Ext(-1, bytes.fromhex("65f043aa")),
        "bp": 1.5,
        "ap": 2,
        **fields,
    }


def sent(messages):
    return [(message["action"], message["quotes"]) for message in map(msgspec.msgpack.decode, messages)]


class TestFrames:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (CONNECTED, Success(msg="connected")),
            (AUTHENTICATED, Success(msg="authenticated")),
            (ERROR_402, ErrorFrame(code=402, msg="auth failed")),
            (SUBSCRIBED, Subscription(quotes=[PUT])),
        ],
    )
    def test_each_frame_of_the_handshake_is_one_message(self, text, message):
        assert read(text) == [message]

    @pytest.mark.parametrize("text", [QUOTE_64, QUOTE_96])
    def test_a_nanosecond_timestamp_is_rounded_to_microseconds(self, text):
        assert read(text) == [Tick(symbol=PUT, at=AT, bid=9.46, ask=9.66, bid_size=53, ask_size=38)]

    def test_a_timestamp_of_32_bits_is_whole_seconds(self):
        assert read(QUOTE_32)[0].at == AT.replace(microsecond=0)

    @given(st.integers(0, 999_999_999))
    def test_an_instant_is_the_same_from_rest_and_from_the_stream(self, nanoseconds):
        seconds = int(AT.timestamp())
        streamed = msgspec.msgpack.Ext(-1, (nanoseconds << 34 | seconds).to_bytes(8, "big"))
        (tick,) = protocol().receive(encoded(quote(t=streamed)))
        row = {"t": f"{AT:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z", "bp": 1, "ap": 2}
        (read_over_rest,) = rest_parsing.ticks({"quotes": {PUT: row}}, pytest.fail)
        assert tick.at == read_over_rest.at

    def test_a_missing_bid_may_be_an_integer_zero(self):
        assert (read(QUOTE_NO_BID)[0].bid, read(QUOTE_NO_BID)[0].ask) == (0.0, 9.66)

    def test_fields_may_come_in_any_order(self):
        assert read(QUOTE_IN_ANOTHER_ORDER)[0].symbol == "SPY261016C00650000"

    def test_integer_prices_and_float_sizes_are_numbers_too(self):
        (tick,) = protocol().receive(encoded(quote(bp=3, ap=4, bs=1.0)))
        assert (tick.bid, tick.ask, tick.bid_size) == (3.0, 4.0, 1.0)

    def test_new_fields_are_ignored(self):
        (tick,) = protocol().receive(encoded(quote(zz={"a": [1]}, c=None)))
        assert tick.symbol == PUT

    def test_trades_have_a_type_of_their_own(self):
        assert protocol().receive(encoded({"T": "t", "S": PUT, "p": 1.0}))[0] == TradeMessage()

    def test_a_batch_keeps_its_order(self):
        names = [f"SPY261218P{strike:08d}" for strike in range(1000, 400_000, 1000)]
        ticks = protocol().receive(encoded(*[quote(name) for name in names]))
        assert [tick.symbol for tick in ticks] == names


class TestBadElements:
    @pytest.mark.parametrize(
        "bad",
        [
            pytest.param({"T": "zz", "S": PUT}, id="unknown T"),
            pytest.param({"S": PUT}, id="no T"),
            pytest.param({"T": 7}, id="T is a number"),
            pytest.param(None, id="null"),
            pytest.param("text", id="text"),
            pytest.param([quote()], id="array"),
            pytest.param(quote(bp=None), id="null price"),
            pytest.param(quote(ap="1.5"), id="price as text"),
            pytest.param(quote(t=None), id="no time"),
            pytest.param(quote(S=5), id="symbol is a number"),
            pytest.param({"T": "error", "code": "402"}, id="error code as text"),
            pytest.param({"T": "subscription", "quotes": [None]}, id="subscribed to nothing"),
        ],
    )
    def test_a_bad_element_costs_only_itself_and_is_counted(self, bad):
        reader = protocol()
        messages = reader.receive(encoded(quote("A"), bad, quote("B")))
        assert [tick.symbol for tick in messages] == ["A", "B"]
        assert reader.refused == {"element": 1}

    @pytest.mark.parametrize(
        "data",
        [b"", b"\xc1", b"[]", b'[{"T":"q"}]', b"\xdd\xff\xff\xff\xff", b"\xdd\x00\x01\x00\x00" + b"\xc0" * 65536],
    )
    def test_a_frame_that_is_not_an_array_is_counted_once(self, data):
        reader = protocol()
        assert list(reader.receive(data)) == []
        assert reader.refused == {"frame": 1}

    def test_a_frame_nested_without_end_is_counted_once(self):
        reader = protocol()
        assert list(reader.receive(b"\x91" * 100_000 + b"\xc0")) == []
        assert reader.refused == {"element": 1}

    @pytest.mark.parametrize(
        "damage",
        [b"\xc1", b"\x91" * 10_000 + b"\xc0", b"\xc0", b"\x81\xa1T\xa1z", b"\xd5\xff\x00\x00"],
        ids=["no value", "nested without end", "nil", "unknown type", "a time of two bytes"],
    )
    def test_the_sound_quotes_around_damage_are_saved(self, damage):
        reader = protocol()
        sound = [msgspec.msgpack.encode(quote(symbol)) for symbol in "AB"]
        messages = reader.receive(b"\x93" + sound[0] + damage + sound[1])
        assert [message.symbol for message in messages] == ["A", "B"]
        assert reader.refused == {"element": 1}

    def test_the_sound_quotes_before_a_cut_are_saved(self):
        reader = protocol()
        messages = reader.receive(encoded(quote("A"), quote("B"))[:-3])
        assert [message.symbol for message in messages] == ["A"]
        assert reader.refused == {"element": 1}

    def test_an_element_nested_without_end_never_raises(self):
        reader = protocol()
        assert list(reader.receive(b"\x91\x82\xa1T\xa1q\xa1z" + b"\x91" * 100_000 + b"\xc0")) == []
        assert sum(reader.refused.values()) == 1

    def test_counts_go_on_over_connections(self):
        refused = {}
        for _ in range(2):
            QuoteProtocol(symbol_limit=1, refused=refused, kinds=OptionStream.refusals).receive(b"\xc1")
        assert refused == {"frame": 2}

    @given(st.binary(max_size=200))
    def test_no_bytes_ever_raise(self, data):
        protocol().receive(data)

    @given(st.binary(max_size=60), st.integers(0, 81), st.integers(0, 81))
    def test_no_damage_to_a_quote_ever_raises(self, splinter, start, stop):
        whole = bytes.fromhex(QUOTE_64)
        protocol().receive(whole[:start] + splinter + whole[stop:])

    @pytest.mark.slow
    @given(
        st.lists(
            st.recursive(
                st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from("TStqbpap"), inner),
                max_leaves=8,
            )
        )
    )
    def test_every_element_is_read_or_counted(self, elements):
        reader = protocol()
        messages = reader.receive(encoded(*elements))
        assert len(messages) + reader.refused.get("element", 0) == len(elements)


class TestSubscriptions:
    def test_the_login_names_key_and_secret(self):
        message = msgspec.msgpack.decode(protocol().authenticate("id", "word"))
        assert message == {"action": "auth", "key": "id", "secret": "word"}

    def test_wanted_symbols_are_requested_in_one_message(self):
        subscriptions = protocol()
        subscriptions.want(["B", "A"])
        assert sent(subscriptions.due()) == [("subscribe", ["A", "B"])]

    def test_nothing_is_requested_while_an_answer_is_awaited(self):
        subscriptions = protocol()
        subscriptions.want(["A"])
        subscriptions.due()
        subscriptions.want(["A", "B"])
        assert subscriptions.due() == []

    def test_only_new_symbols_are_requested(self):
        subscriptions = protocol()
        subscriptions.want(["A"])
        subscriptions.due()
        subscriptions.acknowledge(["A"])
        subscriptions.want(["A", "B"])
        assert sent(subscriptions.due()) == [("subscribe", ["B"])]

    def test_unwanted_symbols_are_unsubscribed_before_more_are_requested(self):
        subscriptions = protocol(symbol_limit=1)
        subscriptions.want(["A"])
        subscriptions.due()
        subscriptions.acknowledge(["A"])
        subscriptions.want(["B"])
        assert sent(subscriptions.due()) == [("unsubscribe", ["A"])]
        subscriptions.acknowledge([])
        assert sent(subscriptions.due()) == [("subscribe", ["B"])]

    def test_nothing_is_requested_when_all_is_acknowledged(self):
        subscriptions = protocol()
        subscriptions.want(["A"])
        subscriptions.due()
        subscriptions.acknowledge(["A"])
        assert subscriptions.due() == []

    def test_without_room_for_all_the_first_wanted_symbols_are_subscribed(self):
        subscriptions = protocol(symbol_limit=2)
        subscriptions.want(["Z", "Y", "A", "B"])
        assert sent(subscriptions.due()) == [("subscribe", ["Y", "Z"])]
        assert subscriptions.is_limited
        assert subscriptions.missing == ["A", "B"]

    def test_symbols_that_all_fit_are_not_limited(self):
        subscriptions = protocol(symbol_limit=2)
        subscriptions.want(["Z", "Y"])
        assert not subscriptions.is_limited
        assert subscriptions.missing == []

    def test_requested_symbols_are_not_missing_yet(self):
        subscriptions = protocol()
        subscriptions.want(["A"])
        subscriptions.due()
        assert (subscriptions.missing, subscriptions.is_settled) == ([], False)
        subscriptions.acknowledge(["A"])
        assert (subscriptions.missing, subscriptions.is_settled) == ([], True)

    def test_a_symbol_left_out_of_the_answer_is_counted_and_not_requested_again(self):
        subscriptions = protocol()
        subscriptions.want(["A", "B"])
        subscriptions.due()
        subscriptions.acknowledge(["A"])
        assert subscriptions.due() == []
        assert subscriptions.refused == {"unacknowledged": 1}

    def test_a_symbol_left_out_of_the_answer_is_missing_but_not_because_of_a_limit(self):
        subscriptions = protocol()
        subscriptions.want(["A", "B"])
        subscriptions.due()
        subscriptions.acknowledge(["A"])
        assert subscriptions.missing == ["B"]
        assert not subscriptions.is_limited

    def test_a_symbol_left_out_of_the_answer_is_requested_when_other_symbols_are_wanted(self):
        subscriptions = protocol()
        subscriptions.want(["A", "B"])
        subscriptions.due()
        subscriptions.acknowledge(["A"])
        subscriptions.want(["A", "B"])
        assert subscriptions.due() == []
        subscriptions.want(["A", "B", "C"])
        assert sent(subscriptions.due()) == [("subscribe", ["B", "C"])]

    def test_a_symbol_left_out_of_the_answer_is_missing_until_subscribing_again_is_granted(self):
        subscriptions = protocol()
        subscriptions.want(["A", "B"])
        subscriptions.due()
        subscriptions.acknowledge(["A"])
        subscriptions.subscribe_again()
        assert sent(subscriptions.due()) == [("subscribe", ["B"])]
        assert subscriptions.missing == ["B"]
        subscriptions.acknowledge(["A", "B"])
        assert subscriptions.missing == []

    def test_a_symbol_left_out_of_the_answer_leaves_its_room_to_the_next(self):
        subscriptions = protocol(symbol_limit=2)
        subscriptions.want(["A", "B", "C"])
        subscriptions.due()
        subscriptions.acknowledge(["B"])
        assert sent(subscriptions.due()) == [("subscribe", ["C"])]

    def test_a_symbol_that_stays_subscribed_can_be_wanted_again(self):
        subscriptions = protocol()
        subscriptions.want([])
        subscriptions.acknowledge(["A"])
        assert sent(subscriptions.due()) == [("unsubscribe", ["A"])]
        subscriptions.acknowledge(["A"])
        assert subscriptions.due() == []

    def test_a_symbol_that_stays_subscribed_takes_room(self):
        subscriptions = protocol(symbol_limit=2)
        subscriptions.acknowledge(["X"])
        subscriptions.want(["A", "B"])
        subscriptions.due()
        subscriptions.acknowledge(["X"])
        assert sent(subscriptions.due()) == [("subscribe", ["A"])]

    def test_a_405_keeps_the_subscribed_symbols_and_finds_out_how_many_more_fit(self):
        subscriptions = protocol()
        subscriptions.want(["A", "B"])
        subscriptions.due()
        subscriptions.acknowledge(["A", "B"])
        subscriptions.want(["A", "B", *"CDEFGHIJ"])
        assert answered(subscriptions, limit=7) == {"A", "B", *"CDEFG"}
        assert subscriptions.missing == ["H", "I", "J"]
        assert subscriptions.is_limited

    @given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 40))
    def test_any_limit_that_alpaca_sets_is_found_in_few_steps(self, limit, wanted, ours):
        names = [f"S{number:02d}" for number in range(wanted)]
        subscriptions = protocol(symbol_limit=ours)
        subscriptions.want(names)
        assert answered(subscriptions, limit=limit, most_steps=14) == set(names[: min(limit, ours)])
        assert subscriptions.missing == names[min(limit, ours) :]
        assert subscriptions.is_limited == (wanted > min(limit, ours))

    def test_a_limit_that_is_gone_is_noticed_when_it_subscribes_again(self):
        subscriptions = protocol()
        subscriptions.want("ABCDEF")
        assert answered(subscriptions, limit=2) == {"A", "B"}
        subscriptions.subscribe_again()
        assert subscriptions.is_limited
        assert answered(subscriptions, limit=100) == set("ABCDEF")
        assert not subscriptions.is_limited

    def test_subscribing_again_in_vain_changes_nothing(self):
        subscriptions = protocol()
        subscriptions.want("ABCDEF")
        answered(subscriptions, limit=2)
        subscriptions.subscribe_again()
        assert answered(subscriptions, limit=2) == {"A", "B"}
        assert (subscriptions.missing, subscriptions.is_limited) == (list("CDEF"), True)

    def test_a_limit_that_is_gone_is_not_reported_though_a_symbol_is_left_out(self):
        subscriptions = protocol()
        subscriptions.want("ABCDEF")
        answered(subscriptions, limit=2)
        subscriptions.subscribe_again()
        subscriptions.due()
        subscriptions.acknowledge("ABCDE")
        assert (subscriptions.missing, subscriptions.is_limited) == (["F"], False)

    def test_a_405_for_a_single_symbol_ends_the_requests(self):
        subscriptions = protocol()
        subscriptions.want(["A"])
        subscriptions.due()
        subscriptions.shrink()
        assert subscriptions.due() == []
        assert subscriptions.is_limited

    def test_an_unsolicited_405_changes_no_subscription(self):
        subscriptions = protocol()
        subscriptions.want(["A"])
        subscriptions.due()
        subscriptions.acknowledge(["A"])
        subscriptions.shrink()
        assert subscriptions.due() == []
        assert subscriptions.acknowledged == {"A"}


def answered(subscriptions, *, limit, most_steps=20):
    """Answer every request as a server with a limit does; return what is subscribed in the end."""
    for _ in range(most_steps):
        messages = sent(subscriptions.due())
        if not messages:
            return subscriptions.acknowledged
        [(action, names)] = messages
        assert action == "subscribe"
        if len(subscriptions.acknowledged.union(names)) > limit:
            subscriptions.shrink()
        else:
            subscriptions.acknowledge(subscriptions.acknowledged.union(names))
    raise AssertionError("it asks without end")


NAMES = st.lists(st.sampled_from("ABCDEFGHIJKL"), unique=True)


class Subscribing(RuleBasedStateMachine):
    """The protocol with a server that has its own limit and may leave symbols out."""

    def __init__(self):
        super().__init__()
        self.ours = 8
        self.protocol = protocol(symbol_limit=self.ours)
        self.wanted = []
        self.subscribed = set()
        self.unanswered = []
        self.server_limit = 5
        self.unknown = set()

    def ask(self):
        messages = sent(self.protocol.due())
        assert len(messages) <= 1
        assert not (messages and self.unanswered)
        for action, names in messages:
            assert names
            if action == "subscribe":
                assert len(self.subscribed | set(names)) <= self.ours
        self.unanswered += messages

    @rule()
    def subscribe_again(self):
        self.protocol.subscribe_again()
        self.ask()

    @rule(names=NAMES)
    def want(self, names):
        self.wanted = names
        self.protocol.want(names)
        self.ask()

    @rule(limit=st.integers(0, 12))
    @precondition(lambda self: not self.subscribed and not self.unanswered)
    def set_limit(self, limit):
        self.server_limit = limit

    @rule(names=NAMES)
    def forget_names(self, names):
        self.unknown = set(names)

    @rule()
    @precondition(lambda self: self.unanswered)
    def answer(self):
        action, names = self.unanswered.pop()
        if action == "unsubscribe":
            self.subscribed -= set(names)
        else:
            more = self.subscribed | (set(names) - self.unknown)
            if len(more) > self.server_limit:
                self.protocol.shrink()
                self.ask()
                return
            self.subscribed = more
        self.protocol.acknowledge(sorted(self.subscribed))
        self.ask()

    @invariant()
    def we_know_what_is_subscribed(self):
        assert self.protocol.acknowledged == self.subscribed

    def teardown(self):
        self.unknown = set()
        answers = 0
        for _ in range(3):  # what was left out, and the limit of before, are asked for again
            self.subscribe_again()
            while self.unanswered:
                self.answer()
                answers += 1
                assert answers < 60
        fit = min(self.ours, self.server_limit)
        assert self.subscribed == set(self.wanted[:fit])
        assert self.protocol.missing == self.wanted[fit:]
        assert self.protocol.is_limited == (len(self.wanted) > fit)


Subscribing.TestCase.settings = settings(max_examples=examples(100), stateful_step_count=25, deadline=None)
TestWishesAnswersAndRefusals = pytest.mark.slow(Subscribing.TestCase)
