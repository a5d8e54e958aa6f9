import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.live.compression import Frame, coding

BATCHES = st.lists(st.lists(st.binary(max_size=400), max_size=4), max_size=6)


def test_frames_without_a_coding_are_sent_unchanged():
    plain = coding("identity")
    assert plain.join([Frame(b"one")], is_last=False) == b"one"
    assert plain.join([Frame(b"one"), Frame(b"two")], is_last=True) == b"onetwo"
    assert plain.join([], is_last=False) == b""


@given(BATCHES)
def test_any_reader_of_gzip_understands_a_gzip_stream(batches):
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


def test_a_frame_is_deflated_once_and_any_subscriber_can_join_at_it():
    frames = [Frame(b"data: %d\n\n" % number * 20) for number in range(5)]
    early, late = coding("gzip"), coding("gzip")
    early_bytes = early.join(frames[:3], is_last=False) + early.join(frames[3:], is_last=True)
    late_bytes = late.join(frames[3:], is_last=True)
    assert gzip.decompress(early_bytes) == b"".join(frame.raw for frame in frames)
    assert gzip.decompress(late_bytes) == b"".join(frame.raw for frame in frames[3:])
    assert frames[3].deflated is frames[3].deflated
    assert frames[3].deflated.raw in early_bytes
    assert frames[3].deflated.raw in late_bytes


@pytest.mark.parametrize("name", ["identity", "gzip"])
def test_two_subscribers_share_no_state(name):
    one, other = coding(name), coding(name)
    assert one.join([Frame(b"x")], is_last=True) == other.join([Frame(b"x")], is_last=True)


def unchunked(sent):
    raw = b""
    while sent:
        size, _, sent = sent.partition(b"\r\n")
        length = int(size, 16)
        assert length > 0, "an empty chunk would end the response"
        raw, end, sent = raw + sent[:length], sent[length : length + 2], sent[length + 2 :]
        assert end == b"\r\n"
    return raw


@pytest.mark.parametrize("name", ["identity", "gzip"])
@given(batches=BATCHES)
def test_chunks_carry_the_same_bytes_with_at_most_one_chunk_a_write(name, batches):
    plain, chunked = coding(name), coding(name, is_chunked=True)
    for number, batch in enumerate([*batches, []]):
        frames = [Frame(raw) for raw in batch if raw]
        is_last = number == len(batches)
        sent = chunked.join(frames, is_last=is_last)
        assert unchunked(sent) == (raw := plain.join(frames, is_last=is_last))
        assert sent == (b"%x\r\n%b\r\n" % (len(raw), raw) if raw else b"")


def test_a_chunked_frame_is_one_object_for_all_subscribers():
    frame = Frame(b"data: 1\n\n")
    writes = [coding("identity", is_chunked=True).join([frame], is_last=False) for _ in range(2)]
    assert writes[0] is writes[1] is frame.chunk


def test_a_deflated_chunk_is_one_object_for_all_subscribers():
    frame, codings = Frame(b"data: 1\n\n"), [coding("gzip", is_chunked=True) for _ in range(2)]
    for each in codings:
        each.join([], is_last=False)
    writes = [each.join([frame], is_last=False) for each in codings]
    assert writes[0] is writes[1] is frame.deflated.chunk
