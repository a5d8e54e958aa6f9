import gzip
import re
import zlib

import pytest

from condord.live.fanout import BYE_RETRIES_MS, RESYNCS, Fanout
from condord.live.published import EVERYTHING, Selection
from condord.live.subscriber import RETRY

from .accounts import C650, P560, P570, SPY_ID, PublishingService, events, position, spy, status

ONE_CALL = Selection(symbols=frozenset([C650]))


@pytest.fixture
def service():
    service = PublishingService((*spy(), position(C650, 3, 0.40)), ring_size=2)
    service.set_status(status())
    service.move()
    return service


def kinds(found):
    return [event for event, _, _ in found]


def test_a_stream_begins_with_the_retry_and_a_snapshot(service):
    frames = service.subscribe(EVERYTHING).take(lambda: service.now_at)
    assert frames.startswith(RETRY + b"event: snapshot\nid: k3f9-3\ndata: {")
    assert kinds(events(frames)) == ["snapshot"]


def test_a_frame_that_was_taken_no_longer_waits(service):
    subscriber = service.subscribe(EVERYTHING)
    subscriber.take(lambda: service.now_at)
    assert subscriber.take(lambda: service.now_at) == b""


def test_frames_that_wait_are_joined_for_one_write(service):
    subscriber = service.subscribe(EVERYTHING)
    service.move()
    assert kinds(events(subscriber.take(lambda: service.now_at))) == ["snapshot", "delta"]


def test_a_client_with_the_newest_event_gets_an_empty_delta_at_once(service):
    [(event, identity, data)] = service.take(service.subscribe(EVERYTHING, version=service.edition.version))
    assert (event, identity) == ("delta", service.edition.version)
    assert {name for name, value in data.items() if value} == {"asOf", "status"}


def test_the_first_delta_after_a_resume_has_the_current_status(service):
    version = service.edition.version
    service.move()
    service.set_status(status(read=9))
    [(_, _, data)] = service.take(service.subscribe(ONE_CALL, version=version))
    assert data["status"]["positions"]["readAt"] == "2026-11-20T15:00:09Z"


def test_a_client_that_missed_events_is_sent_one_delta_that_joins_them(service):
    version = service.edition.version
    service.move(P560)
    service.move(P570)
    [(event, identity, data)] = service.take(service.subscribe(EVERYTHING, version=version))
    assert (event, identity) == ("delta", service.edition.version)
    assert {quote["symbol"] for quote in data["quotes"]} == {P560, P570}


@pytest.mark.parametrize(
    ("version", "reason"),
    [("other-1", "unknownEpoch"), ("k3f9-1", "replayWindowPassed"), ("k3f9-4", "positionsChanged")],
)
def test_a_client_that_cannot_resume_is_sent_a_snapshot_and_counted_with_the_reason(version, reason):
    service = PublishingService(spy(), replay_size=3)
    for _ in range(3):
        service.move()
    service.set_positions(spy(1))
    [(event, _, _)] = service.take(service.subscribe(EVERYTHING, version=version))
    assert event == "snapshot"
    assert service.fanout.resyncs == {reason: 1}
    assert reason in RESYNCS


def test_a_new_client_is_not_a_resync(service):
    first = service.subscribe(EVERYTHING).take(lambda: service.now_at)
    assert service.fanout.resyncs == {}
    assert b"resync" not in first


def test_a_resync_carries_its_reason_in_a_comment_of_the_block_of_the_snapshot(service):
    frames = service.subscribe(EVERYTHING, version="other-1").take(lambda: service.now_at)
    assert frames.startswith(RETRY + b": resync, unknownEpoch\nevent: snapshot\n")


def test_a_slow_subscriber_gets_the_reason_with_its_snapshot(service):
    subscriber = service.subscribe(EVERYTHING)
    for _ in range(5):
        service.move()
    assert subscriber.take(lambda: service.now_at).startswith(RETRY + b": resync, ringOverflow\nevent: snapshot\n")
    service.move()
    assert b"resync" not in subscriber.take(lambda: service.now_at)
    for _ in range(5):
        service.move()
    assert subscriber.take(lambda: service.now_at).startswith(b": resync, ringOverflow\nevent: snapshot\n")


def test_only_the_newest_reason_for_a_snapshot_is_sent(service):
    subscriber = service.subscribe(EVERYTHING, version="other-1")
    for _ in range(5):
        service.move()
    assert subscriber.take(lambda: service.now_at).startswith(RETRY + b": resync, ringOverflow\nevent: snapshot\n")


@pytest.mark.parametrize("version", [None, "other-1", "k3f9-3"])
def test_no_block_of_the_stream_is_without_data(service, version):
    subscriber = service.subscribe(EVERYTHING, version=version)
    sent = subscriber.take(lambda: service.now_at)
    for _ in range(5):
        service.move()
    service.fanout.heartbeat(service.now_at)
    sent += subscriber.take(lambda: service.now_at)
    service.fanout.close("the daemon is stopping")
    sent += subscriber.take(lambda: service.now_at)
    blocks = sent.split(b"\n\n")
    assert blocks.pop() == b""
    assert len(blocks) == 3
    assert all(b"\ndata: {" in block for block in blocks)


def test_a_frame_is_encoded_once_per_filter_and_interval(service):
    subscribers = [service.subscribe(EVERYTHING) for _ in range(3)]
    for subscriber in subscribers:
        subscriber.take(lambda: service.now_at)
    service.move()
    first, *others = [subscriber.ring[0] for subscriber in subscribers]
    assert all(frame is first for frame in others)


def test_a_snapshot_of_changed_positions_is_encoded_once(service):
    subscribers = [service.subscribe(EVERYTHING) for _ in range(3)]
    for subscriber in subscribers:
        subscriber.take(lambda: service.now_at)
    service.set_positions(())
    first, *others = [subscriber.ring[0] for subscriber in subscribers]
    assert all(frame is first for frame in others)


def test_a_heartbeat_is_encoded_once(service):
    subscribers = [service.subscribe(selection) for selection in (EVERYTHING, ONE_CALL)]
    for subscriber in subscribers:
        subscriber.take(lambda: service.now_at)
    service.fanout.heartbeat(service.now_at)
    assert subscribers[0].ring[0] is subscribers[1].ring[0]


def test_subscribers_that_lost_frames_share_one_encoded_snapshot(service):
    subscribers = [service.subscribe(EVERYTHING) for _ in range(2)]
    for _ in range(3):
        service.move()
    frames = [service.fanout.resync(subscriber, service.now_at) for subscriber in subscribers]
    assert frames[0] is frames[1]


def test_a_snapshot_is_encoded_again_when_it_is_over_a_second_old(service):
    service.subscribe(EVERYTHING)
    service.wait(2.0)
    [(_, _, data)] = service.take(service.subscribe(EVERYTHING))
    assert data["asOf"] == service.now_at.isoformat().replace("+00:00", "Z")


def test_a_snapshot_is_encoded_again_for_each_version(service):
    service.subscribe(EVERYTHING)
    service.set_positions(())
    [(_, identity, data)] = service.take(service.subscribe(EVERYTHING))
    assert identity == data["version"] == service.edition.version
    assert data["quotes"] == []


def test_clients_that_missed_the_same_events_share_one_encoded_frame(service):
    versions = [service.edition.version]
    service.move(P560)
    versions.append(service.edition.version)
    service.move(P570)
    one, same, other = [service.subscribe(EVERYTHING, version=versions[number]) for number in (0, 0, 1)]
    assert one.ring[0] is same.ring[0]
    symbols = [{quote["symbol"] for quote in service.take(each)[0][2]["quotes"]} for each in (one, other)]
    assert symbols == [{P560, P570}, {P570}]


def test_missed_events_are_encoded_again_for_each_version(service):
    version = service.edition.version
    for symbol in (P560, P570):
        service.move(symbol)
        [(_, identity, data)] = service.take(service.subscribe(EVERYTHING, version=version))
        assert identity == service.edition.version
        assert symbol in {quote["symbol"] for quote in data["quotes"]}


def test_first_frames_are_not_shared_between_filters(service):
    [(_, _, everything)] = service.take(service.subscribe(EVERYTHING))
    [(_, _, filtered)] = service.take(service.subscribe(ONE_CALL))
    assert [len(data["quotes"]) for data in (everything, filtered)] == [5, 1]


def test_subscribers_with_and_without_gzip_share_a_frame(service):
    plain, packed = service.subscribe(EVERYTHING), service.subscribe(EVERYTHING, coding="gzip")
    service.move()
    assert [*plain.ring] == [*packed.ring]
    assert zlib.decompressobj(31).decompress(packed.take(lambda: service.now_at)) == plain.take(lambda: service.now_at)


@pytest.mark.parametrize("moves", [0, 1, 5])
def test_a_deflated_stream_ends_with_bye_after_all_that_waits(service, moves):
    subscriber = service.subscribe(EVERYTHING, coding="gzip")
    sent = subscriber.take(lambda: service.now_at)
    for _ in range(moves):
        service.move()
    service.fanout.close("the daemon is stopping")
    sent += subscriber.take(lambda: service.now_at)
    plain = gzip.decompress(sent)
    assert plain.startswith(RETRY)
    assert plain.endswith(b'event: bye\ndata: {"reason":"the daemon is stopping"}\n\n')


def test_a_slow_subscriber_gets_a_snapshot_instead_of_the_events_it_missed(service):
    subscriber = service.subscribe(EVERYTHING)
    for _ in range(5):
        service.move()
    [(event, identity, _)] = service.take(subscriber)
    assert (event, identity) == ("snapshot", service.edition.version)
    assert service.fanout.resyncs == {"ringOverflow": 1}
    assert service.fanout.dropped == 6


def test_a_full_ring_has_lost_nothing_yet(service):
    subscriber = service.subscribe(EVERYTHING)
    service.move()
    assert kinds(service.take(subscriber)) == ["snapshot", "delta"]
    assert service.fanout.resyncs == {}


def test_a_subscriber_that_lost_frames_continues_with_deltas(service):
    subscriber = service.subscribe(EVERYTHING)
    for _ in range(5):
        service.move()
    service.take(subscriber)
    service.move()
    assert kinds(service.take(subscriber)) == ["delta"]


def test_a_subscriber_that_lost_its_first_frames_still_gets_the_retry(service):
    subscriber = service.subscribe(EVERYTHING)
    for _ in range(5):
        service.move()
    assert subscriber.take(lambda: service.now_at).startswith(RETRY)


def test_a_slow_subscriber_does_not_affect_a_fast_one(service):
    slow, fast = service.subscribe(EVERYTHING), service.subscribe(EVERYTHING)
    for _ in range(5):
        assert set(service.move()) == {slow, fast}
        service.take(fast)
    service.move()
    assert kinds(service.take(fast)) == ["delta"]


def test_a_heartbeat_has_no_id(service):
    subscriber = service.subscribe(EVERYTHING)
    service.take(subscriber)
    assert service.fanout.heartbeat(service.now_at) == [subscriber]
    frame = subscriber.take(lambda: service.now_at)
    assert frame.startswith(b'event: heartbeat\ndata: {"asOf":"2026-11-20T')
    assert b"id:" not in frame


def test_a_heartbeat_is_only_for_subscribers_without_waiting_frames(service):
    service.subscribe(EVERYTHING)
    lost = service.subscribe(EVERYTHING)
    for _ in range(5):
        service.move()
    assert lost.is_lost
    assert service.fanout.heartbeat(service.now_at) == []


@pytest.mark.parametrize("moves", [0, 1, 5])
def test_bye_follows_all_that_waits(service, moves):
    subscriber = service.subscribe(EVERYTHING)
    for _ in range(moves):
        service.move()
    assert service.fanout.close("the daemon is stopping") == [subscriber]
    assert subscriber.is_over
    *before, (event, identity, data) = service.take(subscriber)
    assert (event, identity, data) == ("bye", None, {"reason": "the daemon is stopping"})
    assert kinds(before)[0] == "snapshot"


def test_a_stream_that_opens_after_the_end_is_ended_at_once(service):
    service.fanout.close("the daemon is stopping")
    subscriber = service.subscribe(EVERYTHING)
    assert subscriber.is_over
    assert kinds(service.take(subscriber)) == ["snapshot", "bye"]


def retry_ms(frames):
    return [int(found) for found in re.findall(rb"retry: (\d+)\n", frames)]


def test_clients_get_staggered_retries_with_their_bye(service):
    subscribers = [service.subscribe(EVERYTHING) for _ in range(len(BYE_RETRIES_MS) + 1)]
    for subscriber in subscribers:
        subscriber.take(lambda: service.now_at)
    service.fanout.close("the daemon is stopping")
    retries = [retry_ms(subscriber.take(lambda: service.now_at)) for subscriber in subscribers]
    assert retries == [[ms] for ms in (*BYE_RETRIES_MS, BYE_RETRIES_MS[0])]


def test_a_stream_opened_after_the_end_gets_a_retry_of_its_own(service):
    early = service.subscribe(EVERYTHING)
    service.fanout.close("the daemon is stopping")
    late = service.subscribe(EVERYTHING)
    assert retry_ms(early.take(lambda: service.now_at))[-1] != retry_ms(late.take(lambda: service.now_at))[-1]


def test_a_change_that_a_filter_leaves_out_wakes_no_subscriber(service):
    subscriber = service.subscribe(ONE_CALL)
    service.take(subscriber)
    assert service.move(P560) == []
    assert service.take(subscriber) == []
    assert service.move(C650) == [subscriber]


def test_a_change_that_was_left_out_opens_no_interval(service):
    subscriber = service.subscribe(ONE_CALL, interval=10.0)
    service.move(P560)
    assert service.move(C650) == [subscriber]


def test_a_status_reaches_a_slow_view_at_once_with_the_changes_held_back(service):
    subscriber = service.subscribe(EVERYTHING, interval=10.0)
    service.take(subscriber)
    service.move()
    service.take(subscriber)
    service.move(P570)
    assert service.take(subscriber) == []
    service.set_status(status("stale"))
    [(event, identity, data)] = service.take(subscriber)
    assert (event, identity) == ("delta", service.edition.version)
    assert data["status"]["state"] == "stale"
    assert [quote["symbol"] for quote in data["quotes"]] == [P570]


def test_a_view_with_an_interval_gets_one_joined_delta_for_each(service):
    subscriber = service.subscribe(EVERYTHING, interval=5.0)
    service.take(subscriber)
    service.move()
    assert kinds(service.take(subscriber)) == ["delta"]
    for symbol in (P560, P570, P560):
        service.move(symbol)
    assert service.take(subscriber) == []
    service.wait(1.0)
    [(_, identity, data)] = service.take(subscriber)
    assert identity == service.edition.version
    assert {quote["symbol"] for quote in data["quotes"]} == {P560, P570}


def test_a_subscriber_that_joins_a_slow_view_starts_at_the_newest_event(service):
    early = service.subscribe(EVERYTHING, interval=5.0)
    service.move()
    service.move()
    late = service.subscribe(EVERYTHING, interval=5.0)
    service.wait(5.0)
    assert [identity for _, identity, _ in service.take(late)] == [service.edition.version]
    assert service.take(early)[-1][1] == service.edition.version


def test_a_subscriber_that_joins_a_slow_view_gets_nothing_twice(service):
    early = service.subscribe(EVERYTHING, interval=5.0)
    service.move()
    service.take(early)
    service.move(P560)
    late = service.subscribe(EVERYTHING, interval=5.0)
    service.take(late)
    service.move(P570)
    same = service.subscribe(EVERYTHING, interval=5.0, version=service.edition.version)
    service.take(same)
    gone = service.subscribe(EVERYTHING, interval=5.0)
    service.fanout.unsubscribe(gone)
    service.wait(5.0)
    found = [service.take(each) for each in (early, late, same)]
    assert [[{quote["symbol"] for quote in data["quotes"]} for _, _, data in each] for each in found] == [
        [{P560, P570}],
        [{P570}],
        [],
    ]


def test_a_subscriber_ahead_of_a_slow_view_without_changes_follows_it_afterwards(service):
    early = service.subscribe(ONE_CALL, interval=5.0)
    service.move(C650)
    service.move(P560)
    late = service.subscribe(ONE_CALL, interval=5.0)
    service.wait(5.0)
    service.take(early)
    service.take(late)
    service.move(C650)
    assert early.ring[0] is late.ring[0]


def test_nothing_is_due_while_nothing_is_held_back(service):
    assert service.fanout.deadline is None
    service.subscribe(EVERYTHING, interval=5.0)
    assert service.fanout.deadline is None
    assert service.fanout.tick(service.now, service.now_at) == []


def test_the_earliest_view_is_due_first(service):
    for interval in (5.0, 3.0):
        service.subscribe(EVERYTHING, interval=interval)
    service.move()
    service.move()
    assert service.fanout.deadline == pytest.approx(service.now + 1.0)


def test_subscribers_are_counted_while_they_are_there(service):
    one, other = service.subscribe(EVERYTHING), service.subscribe(ONE_CALL)
    assert service.fanout.subscribers == 2
    service.fanout.unsubscribe(one)
    service.fanout.unsubscribe(other)
    assert service.fanout.subscribers == 0


def test_unsubscribing_twice_does_nothing(service):
    one, other = service.subscribe(EVERYTHING), service.subscribe(EVERYTHING)
    service.fanout.unsubscribe(one)
    service.fanout.unsubscribe(one)
    assert service.fanout.subscribers == 1
    assert service.move() == [other]


def test_unsubscribing_twice_leaves_a_later_view_of_the_same_filter(service):
    one = service.subscribe(EVERYTHING)
    service.fanout.unsubscribe(one)
    other = service.subscribe(EVERYTHING)
    service.fanout.unsubscribe(one)
    assert service.fanout.subscribers == 1
    assert service.move() == [other]


def test_an_empty_view_is_dropped(service):
    for number in range(50):
        subscriber = service.subscribe(Selection(condors=frozenset([f"{SPY_ID}-{number}"])), interval=5.0)
        service.set_status(status("stale"))
        service.set_status(status())
        service.fanout.unsubscribe(subscriber)
    assert service.fanout.deadline is None
    assert service.fanout._views == {}


def test_frames_are_counted_as_they_are_handed_out(service):
    for _ in range(3):
        service.subscribe(EVERYTHING)
    service.move()
    assert service.fanout.frames == 6


def test_each_stream_is_counted_once_by_the_side_that_ended_it(service):
    left, stalled, stopped = [service.subscribe(EVERYTHING) for _ in range(3)]
    service.fanout.evict(stalled)
    assert service.fanout.evicted == 1
    for subscriber in (left, left):
        service.fanout.unsubscribe(subscriber)
    assert service.fanout.disconnects == {"client": 1, "stalled": 0, "stopped": 0}
    service.fanout.close("the daemon is stopping")
    for subscriber in (stopped, stalled):
        service.fanout.unsubscribe(subscriber)
    assert service.fanout.disconnects == {"client": 1, "stalled": 1, "stopped": 1}


def test_a_client_that_is_ahead_waits_until_its_event_has_come(service):
    waiting = service.subscribe(ONE_CALL, version="k3f9-4")
    assert service.fanout.is_waiting(waiting)
    assert service.take(waiting) == []
    assert waiting in service.move(P560)
    assert not service.fanout.is_waiting(waiting)
    assert service.fanout.stop_waiting(waiting, service.now_at) == []
    [(event, identity, data)] = service.take(waiting)
    assert (event, identity) == ("delta", "k3f9-4")
    assert data["quotes"] == []
    service.move(C650)
    assert [identity for _, identity, _ in service.take(waiting)] == ["k3f9-5"]
    assert service.fanout.resyncs == {}


def test_a_client_that_waits_gets_heartbeats_and_bye(service):
    waiting = service.subscribe(EVERYTHING, version="k3f9-99")
    assert service.fanout.heartbeat(service.now_at) == [waiting]
    assert kinds(service.take(waiting)) == ["heartbeat"]
    assert service.fanout.close("the daemon is stopping") == [waiting]
    assert kinds(service.take(waiting)) == ["bye"]
    service.fanout.unsubscribe(waiting)
    service.fanout.unsubscribe(waiting)
    assert service.fanout.subscribers == 0


def test_a_client_that_waits_joins_the_view_that_others_have_begun_meanwhile(service):
    waiting = service.subscribe(ONE_CALL, version="k3f9-5")
    other = service.subscribe(ONE_CALL)
    service.take(other)
    service.move(C650)
    assert service.take(waiting) == []
    service.move(C650)
    assert waiting.view is other.view
    assert [identity for _, identity, _ in service.take(waiting)] == ["k3f9-5"]


def test_the_others_keep_the_view_when_a_waiting_client_leaves(service):
    waiting = service.subscribe(ONE_CALL, version="k3f9-99")
    other = service.subscribe(ONE_CALL)
    service.take(other)
    service.fanout.unsubscribe(waiting)
    service.move(C650)
    assert kinds(service.take(other)) == ["delta"]


def test_a_client_ahead_of_the_server_that_makes_the_events_gets_a_snapshot_in_the_end(service):
    waiting = service.subscribe(EVERYTHING, version="k3f9-99")
    assert service.fanout.stop_waiting(waiting, service.now_at) == [waiting]
    assert kinds(service.take(waiting)) == ["snapshot"]
    assert service.fanout.resyncs == {"unknownEpoch": 1}


def test_a_client_ahead_of_a_server_that_follows_gets_bye_and_no_older_event(service):
    fanout = Fanout(service.edition, ring_size=8, follows=True)
    service.fanout = service.publisher.fanout = fanout
    waiting = service.subscribe(EVERYTHING, version="k3f9-4")
    assert fanout.stop_waiting(waiting, service.now_at) == [waiting]
    service.move()
    assert kinds(service.take(waiting)) == ["bye"]
    fanout.unsubscribe(waiting)
    assert fanout.subscribers == 0


def test_an_interval_of_its_own_takes_a_subscriber_out_of_the_common_heartbeats(service):
    own, common = service.subscribe(EVERYTHING), service.subscribe(EVERYTHING)
    for subscriber in (own, common):
        service.take(subscriber)
    own.beats_by_itself = True
    assert service.fanout.heartbeat(service.now_at) == [common]
    assert service.fanout.heartbeat_to([own], service.now_at) == [own]
