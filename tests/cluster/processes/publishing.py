"""Puts what a real daemon publishes on a bus, as a leader does, on a loop of its own thread."""

import asyncio
import contextlib
import random
import threading

from condord.client.address import parse_url
from condord.cluster.bus_publisher import BusPublisher
from condord.cluster.bus_questions import BusAnswers
from condord.cluster.connection import SourceSettings
from condord.cluster.follower import Follower
from condord.cluster.questions import Questions
from condord.daemon.relay_feed import RelayFeed
from condord.daemon.relay_service import utc_now
from condord.live.catch_up import caught_up
from condord.live.fanout import Fanout
from condord.live.frames import framed
from condord.live.replica import Replica, empty_edition
from condord.live.source_clock import SourceClock
from tests.cluster.leases import ReadyLease
from tests.cluster.nats_server import eventually

ACCOUNT = "e2e"


class Publishing:
    """Follows the daemon at `url`, and leads on the bus of `server` until it is closed."""

    def __init__(self, url: str, server, *, name: str = "host:1") -> None:
        self._url, self._server, self._name = url, server, name
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(60)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._main())

    async def _main(self) -> None:
        self._task = asyncio.current_task()
        settings = SourceSettings(address=parse_url(self._url), token=None, context=lambda: None)
        edition = empty_edition(1024)
        self._fanout = Fanout(edition, ring_size=256, follows=True)
        self._replica = Replica(edition, self._fanout)
        self._clock = SourceClock(utc_now)
        self._feed = RelayFeed(
            self._replica, loop=self._loop, clock=self._clock, observe=lambda _: None, machine="relay-1"
        )
        bus = self._server.bus(name="publisher")
        questions = Questions(settings, name="the source", is_lost=lambda: False, refused=print, now=self._loop.time)
        self._publisher = BusPublisher(bus, ACCOUNT, snapshot=self._snapshot, overtaken=lambda: None)
        answers = BusAnswers(
            bus,
            ACCOUNT,
            answer=questions.ask,
            resume=lambda version: caught_up(self._fanout, version, self._clock()),
        )
        lease = ReadyLease(bus, ACCOUNT)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bus.run())
            self.fence = await eventually(lambda: lease.acquire(self._name))
            tasks.create_task(Follower(settings, self, refused=print, chance=random.random).run())
            tasks.create_task(self._publisher.run())
            tasks.create_task(answers.run())
            await eventually(lambda: self._replica.is_known)
            self._publisher.lead(self.fence, self._name)
            answers.lead(self.fence)
            self._ready.set()

    def _snapshot(self):
        document = self._replica.edition.document(self._clock())
        return document.version, framed("snapshot", document, document.version)

    def __getattr__(self, name):
        return getattr(self._feed, name)

    def take(self, event) -> None:
        """Take the next event of the daemon, as a front does."""
        self._feed.take(event)
        self._publisher.take(event)

    def close(self) -> None:
        """Publish nothing more, as one that was killed."""
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(60)
        self._loop.close()
