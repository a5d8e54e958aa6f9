from condord.config.schema import Server
from condord.daemon import counts
from condord.daemon.counts import Counts
from condord.daemon.subscribers import Subscribers
from condord.live.published import EVERYTHING
from tests.http.fake_daemon import NOW_AT, FakeDaemon


def test_the_sum_adds_every_number_and_every_name():
    one = Counts(
        subscribers=1, tasks=2, frames=3, sent_bytes=4, dropped=5, evicted=6, log_dropped=7, gaps=8, outdated=9
    )
    total = one + Counts(subscribers=10, resyncs={"a": 1}, disconnects={"client": 2}) + Counts(resyncs={"a": 2, "b": 0})
    assert total == Counts(
        subscribers=11, tasks=2, frames=3, sent_bytes=4, dropped=5, evicted=6, log_dropped=7, gaps=8, outdated=9,
        resyncs={"a": 3, "b": 0}, disconnects={"client": 2},
    )  # fmt: skip


def test_only_counters_outlast_a_process():
    assert Counts(subscribers=3, tasks=4, frames=5, resyncs={"a": 1}).lasting() == Counts(frames=5, resyncs={"a": 1})


def test_a_process_counts_its_own_fan_out():
    daemon = FakeDaemon()
    subscribers = Subscribers(daemon.fanout, settings=Server, now_at=lambda: NOW_AT)
    subscribers.subscribe(EVERYTHING, 0.0, None, "identity", lambda: None)
    subscribers.sent_bytes = 70
    daemon.fanout.dropped, daemon.fanout.evicted = 3, 2
    found = counts.own(daemon.fanout, subscribers, log_dropped=6)
    assert (found.subscribers, found.frames, found.sent_bytes) == (1, 1, 70)
    assert (found.dropped, found.evicted, found.log_dropped, found.gaps, found.tasks) == (3, 2, 6, 0, 0)
    daemon.fanout.resyncs["ringOverflow"] = 1
    assert found.resyncs == {}


def test_a_daemon_with_workers_counts_their_subscribers():
    own = Counts(subscribers=2, frames=9, log_dropped=1, gaps=3, outdated=4)
    assert counts.summed(own, Counts(subscribers=50, frames=500, log_dropped=2, tasks=7)) == Counts(
        subscribers=50, frames=500, log_dropped=3, gaps=3, outdated=4, tasks=7
    )
