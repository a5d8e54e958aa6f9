import gzip
import re
import zlib

import pytest

from condord.live.fanout import BYE_RETRIES_MS, RESYNCS, Fanout
from condord.live.published import EVERYTHING, Selection
from condord.live.subscriber import RETRY

from .accounts import C650, P560, P570, SPY_ID, House, events, position, spy, status

ONE_CALL = Selection(symbols=frozenset([C650]))


@pytest.fixture
def house():
    made = House((*spy(), position(C650, 3, 0.40)), ring_size=2)
    made.set_status(status())
    made.move()
    return made


def kinds(found):
    return [event for event, _, _ in found]


def test_a_stream_begins_with_the_retry_and_a_snapshot(house):
    frames = house.subscribe(EVERYTHING).take(lambda: house.now_at)
    assert frames.startswith(RETRY + b"event: snapshot\nid: k3f9-3\ndata: {")
    assert kinds(events(frames)) == ["snapshot"]


def test_what_was_taken_is_no_longer_waiting(house):
    subscriber = house.subscribe(EVERYTHING)
    subscriber.take(lambda: house.now_at)
    assert subscriber.take(lambda: house.now_at) == b""


def test_frames_that_wait_are_joined_for_one_write(house):
    subscriber = house.subscribe(EVERYTHING)
    house.move()
    assert kinds(events(subscriber.take(lambda: house.now_at))) == ["snapshot", "delta"]


def test_a_client_with_the_newest_event_gets_an_empty_delta_at_once(house):
    [(event, identity, data)] = house.take(house.subscribe(EVERYTHING, version=house.edition.version))
    assert (event, identity) == ("delta", house.edition.version)
    assert {name for name, value in data.items() if value} == {"asOf", "status"}


def test_the_first_delta_after_a_resume_has_the_current_status(house):
    version = house.edition.version
    house.move()
    house.set_status(status(read=9))
    [(_, _, data)] = house.take(house.subscribe(ONE_CALL, version=version))
    assert data["status"]["positions"]["readAt"] == "2026-11-20T15:00:09Z"


def test_a_client_that_missed_events_is_sent_one_delta_that_joins_them(house):
    version = house.edition.version
    house.move(P560)
    house.move(P570)
    [(event, identity, data)] = house.take(house.subscribe(EVERYTHING, version=version))
    assert (event, identity) == ("delta", house.edition.version)
    assert {quote["symbol"] for quote in data["quotes"]} == {P560, P570}


@pytest.mark.parametrize(
    ("version", "reason"),
    [("other-1", "unknownEpoch"), ("k3f9-1", "replayWindowPassed"), ("k3f9-4", "positionsChanged")],
)
def test_a_client_that_cannot_resume_is_sent_a_snapshot_and_counted_with_the_reason(version, reason):
    house = House(spy(), replay_size=3)
    for _ in range(3):
        house.move()
    house.set_positions(spy(1))
    [(event, _, _)] = house.take(house.subscribe(EVERYTHING, version=version))
    assert event == "snapshot"
    assert house.fanout.resyncs == {reason: 1}
    assert reason in RESYNCS


def test_a_new_client_is_not_a_resync(house):
    first = house.subscribe(EVERYTHING).take(lambda: house.now_at)
    assert house.fanout.resyncs == {}
    assert b"resync" not in first


def test_a_resync_carries_its_reason_in_a_comment_of_the_block_of_the_snapshot(house):
    frames = house.subscribe(EVERYTHING, version="other-1").take(lambda: house.now_at)
    assert frames.startswith(RETRY + b": resync, unknownEpoch\nevent: snapshot\n")


def test_a_slow_subscriber_gets_the_reason_with_its_snapshot(house):
    subscriber = house.subscribe(EVERYTHING)
    for _ in range(5):
        house.move()
    assert subscriber.take(lambda: house.now_at).startswith(RETRY + b": resync, ringOverflow\nevent: snapshot\n")
    house.move()
    assert b"resync" not in subscriber.take(lambda: house.now_at)
    for _ in range(5):
        house.move()
    assert subscriber.take(lambda: house.now_at).startswith(b": resync, ringOverflow\nevent: snapshot\n")


def test_only_the_newest_reason_for_a_snapshot_is_sent(house):
    subscriber = house.subscribe(EVERYTHING, version="other-1")
    for _ in range(5):
        house.move()
    assert subscriber.take(lambda: house.now_at).startswith(RETRY + b": resync, ringOverflow\nevent: snapshot\n")


@pytest.mark.parametrize("version", [None, "other-1", "k3f9-3"])
def test_no_block_of_the_stream_is_without_data(house, version):
    subscriber = house.subscribe(EVERYTHING, version=version)
    sent = subscriber.take(lambda: house.now_at)
    for _ in range(5):
        house.move()
    house.fanout.heartbeat(house.now_at)
    sent += subscriber.take(lambda: house.now_at)
    house.fanout.close("the daemon is stopping")
    sent += subscriber.take(lambda: house.now_at)
    blocks = sent.split(b"\n\n")
    assert blocks.pop() == b""
    assert len(blocks) == 3
    assert all(b"\ndata: {" in block for block in blocks)


def test_a_frame_is_encoded_once_per_filter_and_interval(house):
    subscribers = [house.subscribe(EVERYTHING) for _ in range(3)]
    for subscriber in subscribers:
        subscriber.take(lambda: house.now_at)
    house.move()
    first, *others = [subscriber.ring[0] for subscriber in subscribers]
    assert all(frame is first for frame in others)


def test_a_snapshot_of_changed_positions_is_encoded_once(house):
    subscribers = [house.subscribe(EVERYTHING) for _ in range(3)]
    for subscriber in subscribers:
        subscriber.take(lambda: house.now_at)
    house.set_positions(())
    first, *others = [subscriber.ring[0] for subscriber in subscribers]
    assert all(frame is first for frame in others)


def test_a_heartbeat_is_encoded_once(house):
    subscribers = [house.subscribe(selection) for selection in (EVERYTHING, ONE_CALL)]
    for subscriber in subscribers:
        subscriber.take(lambda: house.now_at)
    house.fanout.heartbeat(house.now_at)
    assert subscribers[0].ring[0] is subscribers[1].ring[0]


def test_the_snapshots_of_many_that_lost_frames_are_one_encoding(house):
    subscribers = [house.subscribe(EVERYTHING) for _ in range(2)]
    for _ in range(3):
        house.move()
    frames = [house.fanout.resync(subscriber, house.now_at) for subscriber in subscribers]
    assert frames[0] is frames[1]


def test_a_snapshot_is_encoded_again_when_it_is_over_a_second_old(house):
    house.subscribe(EVERYTHING)
    house.wait(2.0)
    [(_, _, data)] = house.take(house.subscribe(EVERYTHING))
    assert data["asOf"] == house.now_at.isoformat().replace("+00:00", "Z")


def test_a_snapshot_is_encoded_again_for_each_version(house):
    house.subscribe(EVERYTHING)
    house.set_positions(())
    [(_, identity, data)] = house.take(house.subscribe(EVERYTHING))
    assert identity == data["version"] == house.edition.version
    assert data["quotes"] == []


def test_what_many_clients_have_missed_since_the_same_event_is_one_encoding(house):
    versions = [house.edition.version]
    house.move(P560)
    versions.append(house.edition.version)
    house.move(P570)
    one, same, other = [house.subscribe(EVERYTHING, version=versions[number]) for number in (0, 0, 1)]
    assert one.ring[0] is same.ring[0]
    symbols = [{quote["symbol"] for quote in house.take(each)[0][2]["quotes"]} for each in (one, other)]
    assert symbols == [{P560, P570}, {P570}]


def test_what_clients_have_missed_is_encoded_again_for_each_version(house):
    version = house.edition.version
    for symbol in (P560, P570):
        house.move(symbol)
        [(_, identity, data)] = house.take(house.subscribe(EVERYTHING, version=version))
        assert identity == house.edition.version
        assert symbol in {quote["symbol"] for quote in data["quotes"]}


def test_the_first_frames_of_one_filter_are_not_those_of_another(house):
    [(_, _, everything)] = house.take(house.subscribe(EVERYTHING))
    [(_, _, filtered)] = house.take(house.subscribe(ONE_CALL))
    assert [len(data["quotes"]) for data in (everything, filtered)] == [5, 1]


def test_subscribers_with_and_without_gzip_share_a_frame(house):
    plain, packed = house.subscribe(EVERYTHING), house.subscribe(EVERYTHING, coding="gzip")
    house.move()
    assert [*plain.ring] == [*packed.ring]
    assert zlib.decompressobj(31).decompress(packed.take(lambda: house.now_at)) == plain.take(lambda: house.now_at)


@pytest.mark.parametrize("moves", [0, 1, 5])
def test_a_deflated_stream_ends_with_bye_after_all_that_waits(house, moves):
    subscriber = house.subscribe(EVERYTHING, coding="gzip")
    sent = subscriber.take(lambda: house.now_at)
    for _ in range(moves):
        house.move()
    house.fanout.close("the daemon is stopping")
    sent += subscriber.take(lambda: house.now_at)
    plain = gzip.decompress(sent)
    assert plain.startswith(RETRY)
    assert plain.endswith(b'event: bye\ndata: {"reason":"the daemon is stopping"}\n\n')


def test_a_slow_subscriber_gets_a_snapshot_in_place_of_what_it_lost(house):
    subscriber = house.subscribe(EVERYTHING)
    for _ in range(5):
        house.move()
    [(event, identity, _)] = house.take(subscriber)
    assert (event, identity) == ("snapshot", house.edition.version)
    assert house.fanout.resyncs == {"ringOverflow": 1}
    assert house.fanout.dropped == 6


def test_a_full_ring_has_lost_nothing_yet(house):
    subscriber = house.subscribe(EVERYTHING)
    house.move()
    assert kinds(house.take(subscriber)) == ["snapshot", "delta"]
    assert house.fanout.resyncs == {}


def test_a_subscriber_that_lost_frames_continues_with_deltas(house):
    subscriber = house.subscribe(EVERYTHING)
    for _ in range(5):
        house.move()
    house.take(subscriber)
    house.move()
    assert kinds(house.take(subscriber)) == ["delta"]


def test_a_subscriber_that_lost_its_first_frames_still_gets_the_retry(house):
    subscriber = house.subscribe(EVERYTHING)
    for _ in range(5):
        house.move()
    assert subscriber.take(lambda: house.now_at).startswith(RETRY)


def test_a_slow_subscriber_does_not_affect_a_fast_one(house):
    slow, fast = house.subscribe(EVERYTHING), house.subscribe(EVERYTHING)
    for _ in range(5):
        assert set(house.move()) == {slow, fast}
        house.take(fast)
    house.move()
    assert kinds(house.take(fast)) == ["delta"]


def test_a_heartbeat_has_no_id(house):
    subscriber = house.subscribe(EVERYTHING)
    house.take(subscriber)
    assert house.fanout.heartbeat(house.now_at) == [subscriber]
    frame = subscriber.take(lambda: house.now_at)
    assert frame.startswith(b'event: heartbeat\ndata: {"asOf":"2026-11-20T')
    assert b"id:" not in frame


def test_a_heartbeat_is_only_for_those_with_nothing_to_take(house):
    house.subscribe(EVERYTHING)
    lost = house.subscribe(EVERYTHING)
    for _ in range(5):
        house.move()
    assert lost.is_lost
    assert house.fanout.heartbeat(house.now_at) == []


@pytest.mark.parametrize("moves", [0, 1, 5])
def test_bye_follows_all_that_waits(house, moves):
    subscriber = house.subscribe(EVERYTHING)
    for _ in range(moves):
        house.move()
    assert house.fanout.close("the daemon is stopping") == [subscriber]
    assert subscriber.is_over
    *before, (event, identity, data) = house.take(subscriber)
    assert (event, identity, data) == ("bye", None, {"reason": "the daemon is stopping"})
    assert kinds(before)[0] == "snapshot"


def test_a_stream_that_opens_after_the_end_is_ended_at_once(house):
    house.fanout.close("the daemon is stopping")
    subscriber = house.subscribe(EVERYTHING)
    assert subscriber.is_over
    assert kinds(house.take(subscriber)) == ["snapshot", "bye"]


def retry_ms(frames):
    return [int(found) for found in re.findall(rb"retry: (\d+)\n", frames)]


def test_clients_get_staggered_retries_with_their_bye(house):
    subscribers = [house.subscribe(EVERYTHING) for _ in range(len(BYE_RETRIES_MS) + 1)]
    for subscriber in subscribers:
        subscriber.take(lambda: house.now_at)
    house.fanout.close("the daemon is stopping")
    told = [retry_ms(subscriber.take(lambda: house.now_at)) for subscriber in subscribers]
    assert told == [[ms] for ms in (*BYE_RETRIES_MS, BYE_RETRIES_MS[0])]


def test_a_stream_opened_after_the_end_gets_a_retry_of_its_own(house):
    early = house.subscribe(EVERYTHING)
    house.fanout.close("the daemon is stopping")
    late = house.subscribe(EVERYTHING)
    assert retry_ms(early.take(lambda: house.now_at))[-1] != retry_ms(late.take(lambda: house.now_at))[-1]


def test_a_change_that_a_filter_leaves_out_wakes_no_subscriber(house):
    subscriber = house.subscribe(ONE_CALL)
    house.take(subscriber)
    assert house.move(P560) == []
    assert house.take(subscriber) == []
    assert house.move(C650) == [subscriber]


def test_a_change_that_was_left_out_opens_no_interval(house):
    subscriber = house.subscribe(ONE_CALL, interval=10.0)
    house.move(P560)
    assert house.move(C650) == [subscriber]


def test_a_status_reaches_a_slow_view_at_once_with_what_it_held_back(house):
    subscriber = house.subscribe(EVERYTHING, interval=10.0)
    house.take(subscriber)
    house.move()
    house.take(subscriber)
    house.move(P570)
    assert house.take(subscriber) == []
    house.set_status(status("stale"))
    [(event, identity, data)] = house.take(subscriber)
    assert (event, identity) == ("delta", house.edition.version)
    assert data["status"]["state"] == "stale"
    assert [quote["symbol"] for quote in data["quotes"]] == [P570]


def test_a_view_with_an_interval_gets_one_joined_delta_for_each(house):
    subscriber = house.subscribe(EVERYTHING, interval=5.0)
    house.take(subscriber)
    house.move()
    assert kinds(house.take(subscriber)) == ["delta"]
    for symbol in (P560, P570, P560):
        house.move(symbol)
    assert house.take(subscriber) == []
    house.wait(1.0)
    [(_, identity, data)] = house.take(subscriber)
    assert identity == house.edition.version
    assert {quote["symbol"] for quote in data["quotes"]} == {P560, P570}


def test_a_subscriber_that_joins_a_slow_view_starts_at_the_newest_event(house):
    early = house.subscribe(EVERYTHING, interval=5.0)
    house.move()
    house.move()
    late = house.subscribe(EVERYTHING, interval=5.0)
    house.wait(5.0)
    assert [identity for _, identity, _ in house.take(late)] == [house.edition.version]
    assert house.take(early)[-1][1] == house.edition.version


def test_a_subscriber_that_joins_a_slow_view_gets_nothing_twice(house):
    early = house.subscribe(EVERYTHING, interval=5.0)
    house.move()
    house.take(early)
    house.move(P560)
    late = house.subscribe(EVERYTHING, interval=5.0)
    house.take(late)
    house.move(P570)
    same = house.subscribe(EVERYTHING, interval=5.0, version=house.edition.version)
    house.take(same)
    gone = house.subscribe(EVERYTHING, interval=5.0)
    house.fanout.unsubscribe(gone)
    house.wait(5.0)
    found = [house.take(each) for each in (early, late, same)]
    assert [[{quote["symbol"] for quote in data["quotes"]} for _, _, data in each] for each in found] == [
        [{P560, P570}],
        [{P570}],
        [],
    ]


def test_a_subscriber_ahead_of_a_slow_view_without_changes_follows_it_afterwards(house):
    early = house.subscribe(ONE_CALL, interval=5.0)
    house.move(C650)
    house.move(P560)
    late = house.subscribe(ONE_CALL, interval=5.0)
    house.wait(5.0)
    house.take(early)
    house.take(late)
    house.move(C650)
    assert early.ring[0] is late.ring[0]


def test_nothing_is_due_while_nothing_is_held_back(house):
    assert house.fanout.deadline is None
    house.subscribe(EVERYTHING, interval=5.0)
    assert house.fanout.deadline is None
    assert house.fanout.tick(house.now, house.now_at) == []


def test_the_earliest_view_is_due_first(house):
    for interval in (5.0, 3.0):
        house.subscribe(EVERYTHING, interval=interval)
    house.move()
    house.move()
    assert house.fanout.deadline == pytest.approx(house.now + 1.0)


def test_subscribers_are_counted_while_they_are_there(house):
    one, other = house.subscribe(EVERYTHING), house.subscribe(ONE_CALL)
    assert house.fanout.subscribers == 2
    house.fanout.unsubscribe(one)
    house.fanout.unsubscribe(other)
    assert house.fanout.subscribers == 0


def test_unsubscribing_twice_does_nothing(house):
    one, other = house.subscribe(EVERYTHING), house.subscribe(EVERYTHING)
    house.fanout.unsubscribe(one)
    house.fanout.unsubscribe(one)
    assert house.fanout.subscribers == 1
    assert house.move() == [other]


def test_unsubscribing_twice_leaves_a_later_view_of_the_same_filter(house):
    one = house.subscribe(EVERYTHING)
    house.fanout.unsubscribe(one)
    other = house.subscribe(EVERYTHING)
    house.fanout.unsubscribe(one)
    assert house.fanout.subscribers == 1
    assert house.move() == [other]


def test_an_empty_view_is_dropped(house):
    for number in range(50):
        subscriber = house.subscribe(Selection(condors=frozenset([f"{SPY_ID}-{number}"])), interval=5.0)
        house.set_status(status("stale"))
        house.set_status(status())
        house.fanout.unsubscribe(subscriber)
    assert house.fanout.deadline is None
    assert house.fanout._views == {}


def test_frames_are_counted_as_they_are_handed_out(house):
    for _ in range(3):
        house.subscribe(EVERYTHING)
    house.move()
    assert house.fanout.frames == 6


def test_each_stream_is_counted_once_by_who_ended_it(house):
    left, stalled, stopped = [house.subscribe(EVERYTHING) for _ in range(3)]
    house.fanout.evict(stalled)
    assert house.fanout.evicted == 1
    for subscriber in (left, left):
        house.fanout.unsubscribe(subscriber)
    assert house.fanout.disconnects == {"client": 1, "stalled": 0, "stopped": 0}
    house.fanout.close("the daemon is stopping")
    for subscriber in (stopped, stalled):
        house.fanout.unsubscribe(subscriber)
    assert house.fanout.disconnects == {"client": 1, "stalled": 1, "stopped": 1}


def test_a_client_that_is_ahead_waits_until_its_event_has_come(house):
    waiting = house.subscribe(ONE_CALL, version="k3f9-4")
    assert house.fanout.is_waiting(waiting)
    assert house.take(waiting) == []
    assert waiting in house.move(P560)
    assert not house.fanout.is_waiting(waiting)
    assert house.fanout.stop_waiting(waiting, house.now_at) == []
    [(event, identity, data)] = house.take(waiting)
    assert (event, identity) == ("delta", "k3f9-4")
    assert data["quotes"] == []
    house.move(C650)
    assert [identity for _, identity, _ in house.take(waiting)] == ["k3f9-5"]
    assert house.fanout.resyncs == {}


def test_a_client_that_waits_gets_heartbeats_and_bye(house):
    waiting = house.subscribe(EVERYTHING, version="k3f9-99")
    assert house.fanout.heartbeat(house.now_at) == [waiting]
    assert kinds(house.take(waiting)) == ["heartbeat"]
    assert house.fanout.close("the daemon is stopping") == [waiting]
    assert kinds(house.take(waiting)) == ["bye"]
    house.fanout.unsubscribe(waiting)
    house.fanout.unsubscribe(waiting)
    assert house.fanout.subscribers == 0


def test_a_client_that_waits_joins_the_view_that_others_have_begun_meanwhile(house):
    waiting = house.subscribe(ONE_CALL, version="k3f9-5")
    other = house.subscribe(ONE_CALL)
    house.take(other)
    house.move(C650)
    assert house.take(waiting) == []
    house.move(C650)
    assert waiting.view is other.view
    assert [identity for _, identity, _ in house.take(waiting)] == ["k3f9-5"]


def test_a_client_that_leaves_while_it_waits_leaves_the_view_to_the_others(house):
    waiting = house.subscribe(ONE_CALL, version="k3f9-99")
    other = house.subscribe(ONE_CALL)
    house.take(other)
    house.fanout.unsubscribe(waiting)
    house.move(C650)
    assert kinds(house.take(other)) == ["delta"]


def test_a_client_ahead_of_the_server_that_makes_the_events_gets_a_snapshot_in_the_end(house):
    waiting = house.subscribe(EVERYTHING, version="k3f9-99")
    assert house.fanout.stop_waiting(waiting, house.now_at) == [waiting]
    assert kinds(house.take(waiting)) == ["snapshot"]
    assert house.fanout.resyncs == {"unknownEpoch": 1}


def test_a_client_ahead_of_a_server_that_follows_gets_nothing_older_but_bye(house):
    fanout = Fanout(house.edition, ring_size=8, follows=True)
    house.fanout = house.publisher.fanout = fanout
    waiting = house.subscribe(EVERYTHING, version="k3f9-4")
    assert fanout.stop_waiting(waiting, house.now_at) == [waiting]
    house.move()
    assert kinds(house.take(waiting)) == ["bye"]
    fanout.unsubscribe(waiting)
    assert fanout.subscribers == 0


def test_an_interval_of_its_own_takes_a_subscriber_out_of_the_common_heartbeats(house):
    own, common = house.subscribe(EVERYTHING), house.subscribe(EVERYTHING)
    for subscriber in (own, common):
        house.take(subscriber)
    own.beats_by_itself = True
    assert house.fanout.heartbeat(house.now_at) == [common]
    assert house.fanout.heartbeat_to([own], house.now_at) == [own]
