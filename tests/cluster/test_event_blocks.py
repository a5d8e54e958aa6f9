import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.cluster import event_blocks
from condord.cluster.event_blocks import EventBlocks
from condord.live.replica import SourceEvent, UnreadableEvent

FIRST = b"retry: 2000\n: resync, ringOverflow\nevent: snapshot\nid: a-1\ndata: {1,\ndata: 2}\n\n"
STREAM = (
    FIRST
    + b"event: delta\nid: a-2\ndata: {}\n\n"
    + b": a comment\n\n"
    + b"event: heartbeat\ndata: {}\n\n"
    + b"retry: 500\nevent: bye\ndata: {}\n\n"
)
EVENTS = [
    SourceEvent(
        "snapshot",
        "a-1",
        b"{1,\n2}",
        b": resync, ringOverflow\nevent: snapshot\nid: a-1\ndata: {1,\ndata: 2}\n\n",
        "ringOverflow",
    ),
    SourceEvent("delta", "a-2", b"{}", b"event: delta\nid: a-2\ndata: {}\n\n"),
    SourceEvent("heartbeat", None, b"{}", b"event: heartbeat\ndata: {}\n\n"),
    SourceEvent("bye", None, b"{}", b"event: bye\ndata: {}\n\n"),
]


def test_a_block_is_kept_as_it_arrived_except_for_the_retry():
    assert EventBlocks().feed(STREAM) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_bytes_may_be_split_anywhere(cuts):
    blocks, found, begin = EventBlocks(), [], 0
    for cut in (*sorted(cuts), len(STREAM)):
        found += blocks.feed(STREAM[begin:cut])
        begin = cut
    assert found == EVENTS


def test_blocks_read_byte_by_byte_are_the_same():
    blocks = EventBlocks()
    assert [event for at in range(len(STREAM)) for event in blocks.feed(STREAM[at : at + 1])] == EVENTS


def test_an_event_that_never_ends_is_unreadable(monkeypatch):
    monkeypatch.setattr(event_blocks, "MAX_EVENT_BYTES", 100)
    blocks = EventBlocks()
    blocks.feed(b"data: " + b"x" * 90)
    with pytest.raises(UnreadableEvent, match="an event of more than 100 bytes"):
        blocks.feed(b"y" * 10)
    assert EventBlocks().feed(b"event: a\ndata: 1\n\n" * 20)
