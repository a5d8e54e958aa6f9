from condord.live.compression import Frame, coding
from condord.live.published import EVERYTHING, Selection
from condord.live.subscriber import RETRY, Subscriber, View, wake

from .accounts import C650, EPOCH_AT


class FakeFanout:
    """Replaces lost frames with a resync."""

    def resync(self, subscriber, now_at):
        return Frame(b"the newest\n\n")


def subscriber(wake=lambda: None):
    view = View(EVERYTHING, 0.0)
    return Subscriber(FakeFanout(), view, ring_size=2, coding=coding("identity"), wake=wake)


def test_the_first_frame_carries_the_retry():
    first = subscriber()
    first.begin(Frame(b"one\n\n"), None)
    assert first.take(lambda: EPOCH_AT) == RETRY + b"one\n\n"
    first.ring.append(Frame(b"two\n\n"))
    assert first.take(lambda: EPOCH_AT) == b"two\n\n"


def test_lost_frames_are_replaced_by_a_resync_that_begins_with_its_reason():
    slow = subscriber()
    slow.is_lost = True
    assert slow.take(lambda: EPOCH_AT) == RETRY + b": resync, ringOverflow\nthe newest\n\n"


def test_only_a_view_without_filter_and_interval_is_plain():
    assert View(EVERYTHING, 0.0).is_plain
    assert not View(EVERYTHING, 1.0).is_plain
    assert not View(Selection(symbols=frozenset([C650])), 0.0).is_plain


def test_each_writer_is_woken():
    woken = []
    wake([subscriber(lambda: woken.append(1)), subscriber(lambda: woken.append(2))])
    assert woken == [1, 2]
