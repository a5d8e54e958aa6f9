"""A server that follows another one without a network, and clients that go from server to server."""

import zlib

from condord.cluster.event_blocks import EventBlocks
from condord.live.fanout import Fanout
from condord.live.published import EVERYTHING
from condord.live.replica import Replica, empty_edition

from .accounts import applied, events


def number_of(version):
    return int(version.rpartition("-")[2])


def epoch_of(version):
    return version.rpartition("-")[0]


class Origin:
    """A publishing service as a server; `service` can be replaced by one of another epoch."""

    def __init__(self, service):
        self.service = service

    @property
    def now(self):
        return self.service.now

    @property
    def now_at(self):
        return self.service.now_at

    @property
    def fanout(self):
        return self.service.fanout

    def subscribe(self, selection, interval=0.0, version=None, coding="identity"):
        return self.service.subscribe(selection, interval=interval, version=version, coding=coding)


class Hop:
    """A server that follows `upstream`; `pump` reads what waits, unless it is cut off."""

    def __init__(self, upstream, *, ring_size=256, replay_size=1024):
        self.upstream = upstream
        edition = empty_edition(replay_size)
        self.replica = Replica(edition, Fanout(edition, ring_size=ring_size, follows=True))
        self.subscriber = None
        self.blocks = []
        self.connect()

    @property
    def now(self):
        return self.upstream.now

    @property
    def now_at(self):
        return self.upstream.now_at

    @property
    def fanout(self):
        return self.replica.fanout

    @property
    def edition(self):
        return self.replica.edition

    def subscribe(self, selection, interval=0.0, version=None, coding="identity"):
        return self.fanout.subscribe(
            selection=selection,
            interval_seconds=interval,
            version=version,
            now_at=self.now_at,
            wake=lambda: None,
            coding=coding,
        )

    def connect(self):
        """Open another connection, which resumes."""
        self.cut()
        self.subscriber = self.upstream.subscribe(EVERYTHING, version=self.replica.resume_version)
        self.reading = EventBlocks()
        self.replica.begin()

    def cut(self):
        """Lose the connection, with what was not read."""
        if self.subscriber is not None:
            self.upstream.fanout.unsubscribe(self.subscriber)
            self.subscriber = None

    def pump(self):
        """Read what waits; after a gap connect again and read that."""
        for _ in range(3):
            if self.subscriber is None:
                break
            found = self.reading.feed(self.subscriber.take(lambda: self.now_at))
            for event in found:
                self.blocks.append(event.block)
                self.replica.take(event, self.now, self.now_at)
                if self.replica.needs_snapshot and event.name == "delta":
                    self.connect()
                    break
            if not found:
                break
        self.fanout.tick(self.now, self.now_at)

    def lose(self, code="sourceLost", reason="the source is lost"):
        """Tell the replica that its source is lost."""
        self.replica.lose(code, reason, self.now_at)

    def document(self, selection=EVERYTHING):
        return self.edition.document(self.now_at, selection)


class Client:
    """A client that knows the rule of the stream and nothing of the servers; `seen` has what followed each event."""

    def __init__(self, server, selection=EVERYTHING, interval=0.0, coding="identity"):
        self.selection, self.interval, self.coding = selection, interval, coding
        self.document = self.version = None
        self.seen = []
        self.go_to(server)

    def go_to(self, server):
        """Connect to `server` with the last event; what was not read before is lost."""
        if self.version is not None or hasattr(self, "subscriber"):
            self.leave()
        self.server = server
        self.subscriber = server.subscribe(self.selection, self.interval, self.version, self.coding)
        self.reading = zlib.decompressobj(31)

    def leave(self):
        self.server.fanout.unsubscribe(self.subscriber)

    def read(self):
        """Apply what waits; returns the names, ids and data of the events."""
        sent = self.subscriber.take(lambda: self.server.now_at)
        found = events(self.reading.decompress(sent) if self.coding == "gzip" else sent)
        for event, identity, data in found:
            if event == "delta" and identity is None:
                assert {name for name, value in data.items() if value} == {"asOf", "status"}
                self.document = applied(self.document, event, self.version, data)
            elif event in ("snapshot", "delta"):
                if self.version is not None and epoch_of(self.version) == epoch_of(identity):
                    assert number_of(identity) >= number_of(self.version), "an older version after a newer one"
                self.document = applied(self.document, event, identity, data)
                self.version = identity
            self.seen.append((event, identity, self.document))
        return found
