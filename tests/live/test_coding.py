import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.live.coding import Frame, coding

BATCHES = st.lists(st.lists(st.binary(max_size=400), max_size=4), max_size=6)


def test_frames_without_a_coding_go_as_they_are():
    plain = coding("identity")
    assert plain.join([Frame(b"one")], is_last=False) == b"one"
    assert plain.join([Frame(b"one"), Frame(b"two")], is_last=True) == b"onetwo"
    assert plain.join([], is_last=False) == b""


@given(BATCHES)
def test_a_gzip_stream_is_what_any_reader_of_gzip_understands(batches):
    packing = coding("gzip")
    sent = b"".join(
        packing.join([Frame(raw) for raw in batch], is_last=number == len(batches))
        for number, batch in enumerate([*batches, []])
    )
    assert gzip.decompress(sent) == b"".join(raw for batch in batches for raw in batch)


@given(BATCHES)
def test_every_frame_can_be_read_as_soon_as_it_was_sent(batches):
    packing, reading = coding("gzip"), zlib.decompressobj(31)
    for batch in batches:
        assert reading.decompress(packing.join([Frame(raw) for raw in batch], is_last=False)) == b"".join(batch)


def test_a_frame_is_deflated_once_for_everybody_and_anybody_can_join_at_it():
    frames = [Frame(b"data: %d\n\n" % number * 20) for number in range(5)]
    early, late = coding("gzip"), coding("gzip")
    early_bytes = early.join(frames[:3], is_last=False) + early.join(frames[3:], is_last=True)
    late_bytes = late.join(frames[3:], is_last=True)
    assert gzip.decompress(early_bytes) == b"".join(frame.raw for frame in frames)
    assert gzip.decompress(late_bytes) == b"".join(frame.raw for frame in frames[3:])
    assert frames[3].deflated is frames[3].deflated
    assert frames[3].deflated in early_bytes
    assert frames[3].deflated in late_bytes


@pytest.mark.parametrize("name", ["identity", "gzip"])
def test_two_subscribers_share_no_state(name):
    one, other = coding(name), coding(name)
    assert one.join([Frame(b"x")], is_last=True) == other.join([Frame(b"x")], is_last=True)
