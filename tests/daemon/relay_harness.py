"""A relay of a fake source without a network: its replica, its feed on a virtual loop, and its view."""

import asyncio

from prometheus_client import CollectorRegistry

from condord.cluster.event_blocks import EventBlocks
from condord.config.schema import Server
from condord.daemon import counts
from condord.daemon.relay_feed import RelayFeed
from condord.daemon.relay_view import RelayView
from condord.daemon.subscribers import Subscribers
from condord.http.tickets import Tickets
from condord.live.fanout import Fanout
from condord.live.published import EVERYTHING
from condord.live.replica import Replica, empty_edition
from condord.live.source_clock import SourceClock
from condord.live.wire import ClusterJson
from tests.live.accounts import PublishingService, events, spy, status


class RelayHarness:
    """Must be made in a running loop. `pass_events` gives the feed what `source` has published."""

    def __init__(self, *, is_worker=False, **settings):
        self.source = PublishingService(spy())
        self.source.set_status(status())
        self.settings = Server(**settings)
        self.role = "relay"
        self.clock = SourceClock(lambda: self.source.now_at)
        edition = empty_edition(64)
        self.replica = Replica(edition, Fanout(edition, ring_size=16, follows=True))
        self.observed = []
        self.feed = RelayFeed(
            self.replica,
            loop=asyncio.get_running_loop(),
            clock=self.clock,
            observe=self.observed.append,
            machine="relay-1",
            source="http://127.0.0.1:1",
            is_worker=is_worker,
        )
        self.subscribers = Subscribers(self.replica.fanout, settings=lambda: self.settings, now_at=self.clock)
        self.view = RelayView(
            replica=self.replica,
            feed=self.feed,
            clock=self.clock,
            subscribers=self.subscribers,
            tickets=Tickets("", now_at=self.clock),
            registry=CollectorRegistry(),
            counts=self.counts,
            settings=lambda: self.settings,
            cluster=self.cluster,
            address="http://127.0.0.1:8420",
            followed="http://127.0.0.1:1",
        )
        self.reading = EventBlocks()
        self.upstream = self.source.subscribe(EVERYTHING)
        self.woken = []

    def counts(self):
        return counts.own(self.replica.fanout, self.subscribers, log_dropped=0, cluster=self.cluster())

    def cluster(self):
        replica = self.replica
        return ClusterJson(role=self.role, source="http://127.0.0.1:1", gaps=replica.gaps, dropped=replica.dropped)

    def pass_events(self):
        for event in self.reading.feed(self.upstream.take(lambda: self.source.now_at)):
            self.feed.take(event)

    def follow(self, interval_seconds=0.0):
        return self.subscribers.subscribe(
            EVERYTHING, interval_seconds, None, "identity", lambda: self.woken.append(interval_seconds)
        )

    def taken(self, subscriber):
        return events(subscriber.take(self.clock))
