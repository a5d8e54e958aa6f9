import msgspec
from hypothesis import given
from hypothesis import strategies as st

from condord.live import wire
from condord.live.frames import MAX_LINE_BYTES, framed, lines

from .accounts import EPOCH_AT, events


def test_a_frame_has_its_event_id_and_data_and_ends_with_an_empty_line():
    frame = framed("bye", wire.Bye(reason="so"), "k3f9-7")
    assert frame == b'event: bye\nid: k3f9-7\ndata: {"reason":"so"}\n\n'


def test_a_frame_without_a_version_has_no_id():
    assert framed("heartbeat", wire.Heartbeat(as_of=EPOCH_AT)) == (
        b'event: heartbeat\ndata: {"asOf":"2026-11-20T15:00:00Z"}\n\n'
    )


any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers()
    | st.text(',"\\:]}{[ aü', max_size=9),
    lambda parts: st.lists(parts, max_size=6) | st.dictionaries(st.text(',"\\:]} aü', max_size=9), parts, max_size=6),
)


@given(st.lists(any_json, max_size=8), st.integers(1, 60))
def test_lines_joined_by_newlines_are_the_same_json(value, size):
    data = wire.encode(value)
    pieces = [*lines(data, size)]
    assert b"".join(pieces) == data
    assert msgspec.json.decode(b"\n".join(pieces)) == msgspec.json.decode(data)


def test_a_line_ends_after_the_last_comma_that_fits():
    data = b'{"a":1,"b":[2,3],"c":"x,","d":",","e":""}'
    assert [*lines(data, 100)] == [data]
    assert [*lines(data, 17)] == [b'{"a":1,"b":[2,3],', b'"c":"x,","d":",",', b'"e":""}']
    assert [*lines(data, 16)][:2] == [b'{"a":1,', b'"b":[2,3],']


def test_a_line_without_a_place_to_split_is_longer():
    assert [*lines(b'{"a":"' + b"x" * 30 + b'","b":1}', 10)] == [b'{"a":"' + b"x" * 30 + b'",', b'"b":1}']
    assert [*lines(b'["' + b"x" * 30 + b'"]', 10)] == [b'["' + b"x" * 30 + b'"]']


def test_data_that_is_too_long_for_a_line_is_split_into_several():
    refused = {f"reason{number}": number for number in range(10_000)}
    frame = framed("bye", Counted(refused=refused), "k3f9-7")
    sizes = [len(line) + 1 for line in frame.split(b"\n")]
    assert len(frame) > 4 * MAX_LINE_BYTES
    assert 0.99 * MAX_LINE_BYTES < max(sizes) <= MAX_LINE_BYTES
    assert frame.startswith(b'event: bye\nid: k3f9-7\ndata: {"refused":{"reason0":0,')
    assert events(frame) == [("bye", "k3f9-7", {"refused": refused})]


class Counted(msgspec.Struct):
    refused: dict[str, int]


@given(st.text())
def test_no_text_breaks_out_of_its_frame(text):
    assert events(framed("bye", wire.Bye(reason=text))) == [("bye", None, {"reason": text})]
