import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord.core.quote import Tick
from condord.live.published import EVERYTHING
from condord.simulator import wire
from condord.upstream.quote_protocol import MAX_FRAME_BYTES, Subscription
from tests.examples import examples
from tests.fuzz.damage import DAMAGED, FRAMES, JSON, damaged_row, spliced
from tests.fuzz.decoders import (
    STATES,
    check_option_frame,
    check_stock_frame,
    check_trading_frame,
    option_stream,
    receive,
    trade_updates,
)
from tests.fuzz.samples import (
    AT_NS,
    ELEMENTS,
    EVENTS,
    FILL,
    LISTENING,
    P560,
    P570,
    PACK,
    SUBSCRIBED,
    WELCOME,
    frame,
    json_map,
    json_pairs,
    quote,
)

FIRST, LAST = PACK(quote("FIRST")), PACK(quote("LAST", 96))
ANY_ELEMENT = DAMAGED | st.sampled_from(ELEMENTS).map(PACK)
DEEP = b"\x82\xa1T\xa1q\xa1z" + b"\x91" * 10_000 + b"\xc0"


def repeated(element, size):
    count = size // len(element)
    return b"\xdd" + count.to_bytes(4, "big") + element * count


def symbols(messages):
    return [message.symbol for message in messages if isinstance(message, Tick)]


class TestFramesOfTheOptionStream:
    @pytest.mark.slow
    @given(DAMAGED)
    def test_a_damaged_element_affects_no_other(self, damaged):
        messages, refused = receive(frame([FIRST, damaged, LAST]))
        assert (symbols(messages)[0], symbols(messages)[-1]) == ("FIRST", "LAST")
        assert len(messages) + refused.get("element", 0) == 3

    @pytest.mark.slow
    @given(st.lists(ANY_ELEMENT, max_size=6))
    def test_a_frame_decodes_to_the_same_messages_as_its_elements_one_by_one(self, elements):
        messages, refused = receive(frame(elements))
        single = [receive(frame([element])) for element in elements]
        assert repr(messages) == repr(
            [message for found, _ in single for message in found]
        )  # a NaN is not equal to itself
        assert refused.get("element", 0) == sum(counted.get("element", 0) for _, counted in single)
        assert "frame" not in refused

    @pytest.mark.slow
    @given(st.lists(ANY_ELEMENT, min_size=1, max_size=4).map(frame).flatmap(spliced))
    def test_a_frame_with_spliced_bytes_is_read_or_counted(self, data):
        messages, refused = receive(data)
        assert messages or refused or data in (b"\x90", b"\xdc\x00\x00", b"\xdd\x00\x00\x00\x00")

    def test_one_value_of_a_duplicate_key_counts(self):
        twice = b"\x87" + b"".join(PACK(part) for pair in [*quote().items(), ("bp", 7.5)][:7] for part in pair)
        messages, refused = receive(frame([FIRST, twice, LAST]))
        assert len(messages) + refused.get("element", 0) == 3


class TestTheOptionStreamInEveryState:
    @pytest.mark.slow
    @settings(max_examples=examples(300))
    @given(st.sampled_from(STATES), FRAMES)
    def test_no_frame_stops_the_stream(self, state, data):
        check_option_frame(state, data)

    @pytest.mark.slow
    @given(st.sampled_from(STATES), st.lists(st.binary(max_size=60) | FRAMES, max_size=4))
    def test_quotes_are_accepted_after_any_junk(self, state, junk):
        stream, service = option_stream(state)
        for data in junk:
            stream.read(data)
        later = quote(P570, t=wire.timestamp(AT_NS + 30 * 10**9), bp=7.5, ap=7.5)
        stream.read(frame([PACK(later)]))
        service.wait(5.0)
        assert service.quote(P570).bid == 7.5

    @given(st.lists(st.sampled_from([P560, P570, "X", "Y"]), max_size=4, unique=True))
    def test_the_acknowledged_symbols_count_as_subscribed(self, names):
        stream, _ = check_option_frame("live", frame([PACK(SUBSCRIBED | {"quotes": names})]))
        assert stream.streamed == frozenset(names)

    @pytest.mark.slow
    @given(st.lists(st.lists(st.sampled_from([P560, P570, "X", "Y"]), max_size=4), max_size=30))
    def test_acknowledgements_never_cause_endless_requests(self, acknowledged):
        elements = [PACK(SUBSCRIBED | {"quotes": names}) for names in acknowledged]
        stream, _ = option_stream("live")
        before = len(stream._outbox)
        stream.read(frame(elements))
        assert len(stream._outbox) - before <= len(elements) + 1


class TestTheTradingStreamInEveryState:
    @pytest.mark.slow
    @settings(max_examples=examples(300))
    @given(st.sampled_from(STATES), st.sampled_from(EVENTS).flatmap(damaged_row) | JSON)
    def test_no_frame_stops_the_stream(self, state, data):
        check_trading_frame(state, data)

    @pytest.mark.slow
    @given(st.sampled_from(EVENTS).map(json.dumps).map(str.encode).flatmap(spliced))
    def test_a_fill_is_accepted_after_any_junk(self, junk):
        updates, hints = trade_updates("live")
        updates.read(junk)
        before = len(hints)
        updates.read(json.dumps(FILL).encode())
        assert len(hints) == before + 1

    @pytest.mark.slow
    @given(st.sampled_from(EVENTS), st.binary(min_size=1, max_size=20))
    def test_a_frame_that_is_not_an_object_is_counted(self, event, rest):
        whole = json.dumps(event).encode()
        for data in (whole[:-1], b"[" + whole + b"]", whole + b"]" + rest, whole[1:]):
            updates, hints = check_trading_frame("authenticating", data)
            assert (hints, sum(updates.refused.values())) == ([], 1)

    def test_a_duplicate_key_is_ignored(self):
        data = json_map([*json_pairs(LISTENING), *json_pairs(FILL)])
        updates, _ = check_trading_frame("live", data)
        assert updates.link.state == "live"


@pytest.mark.slow
@pytest.mark.timeout(60)
class TestFramesOfTheMaximumSize:
    @pytest.mark.parametrize(
        "element",
        [
            b"\xc0",
            PACK({"T": "zz"}),
            PACK({"T": "subscription"}),
            PACK({"T": "error", "code": 405}),
            PACK({"T": "error", "code": 402}),
            PACK(WELCOME),
            PACK(quote("X")),
        ],
        ids=["nulls", "unknown", "acknowledgements", "symbol limits", "refusals", "welcomes", "quotes"],
    )
    def test_an_endlessly_repeated_message_does_not_block_the_loop(self, element):
        stream, service = option_stream("live")
        stream.read(repeated(element, MAX_FRAME_BYTES - 5))
        assert len(stream._outbox) < 10
        service.wait(5.0)

    @pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1z"], ids=["arrays", "maps"])
    def test_deep_nesting_does_not_block_the_loop(self, opening):
        _, refused = receive(b"\x91" + opening * (MAX_FRAME_BYTES // len(opening) - 1))
        assert sum(refused.values()) == 1


class TestDamageOutsideElements:
    """Elements before the damage are read."""

    def test_an_element_nested_ten_thousand_levels_deep_affects_no_other(self):
        messages, refused = receive(frame([FIRST, DEEP, LAST]))
        assert symbols(messages) == ["FIRST", "LAST"]
        assert refused == {"element": 1}

    @pytest.mark.parametrize(
        "data",
        [
            frame([FIRST, LAST, LAST])[:-1],
            frame([FIRST, LAST]) + b"\x00",
            frame([FIRST, LAST, b"\xc1"]),
            frame([FIRST, LAST, b"\xdb\xff\xff\xff\xff"]),
        ],
        ids=["cut short", "more than the array", "no MessagePack", "longer than the frame"],
    )
    def test_elements_before_the_damage_are_read(self, data):
        messages, refused = receive(data)
        assert symbols(messages) == ["FIRST", "LAST"]
        assert sum(refused.values()) == 1

    def test_an_acknowledgement_before_the_damage_is_read(self):
        messages, _ = receive(frame([PACK(SUBSCRIBED), b"\xc1"]))
        assert messages == [Subscription(quotes=[P560])]


class TestTheStockStream:
    @settings(max_examples=examples(100))
    @given(st.sampled_from(STATES), FRAMES)
    def test_no_frame_stops_the_stream(self, state, data):
        check_stock_frame(state, data)

    def test_a_quote_reaches_the_document(self):
        _, service = check_stock_frame("live", frame([PACK(quote(bp=582.08, ap=582.1))]))
        assert [each["price"] for each in service.document(EVERYTHING)["underlyings"]] == [582.09]
