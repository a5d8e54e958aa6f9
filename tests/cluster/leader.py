"""A leader that publishes an account on a bus, and what follows it, all in the loop of the test."""

import asyncio
import contextlib
import json
import random

from condord.cluster.bus_follower import BusFollower
from condord.cluster.bus_publisher import BusPublisher
from condord.cluster.bus_questions import BusAnswers
from condord.cluster.event_blocks import EventBlocks
from condord.daemon.relay_feed import RelayFeed
from condord.errors import Unavailable
from condord.live.catch_up import caught_up
from condord.live.fanout import Fanout
from condord.live.frames import framed
from condord.live.published import EVERYTHING
from condord.live.replica import Replica, empty_edition
from condord.live.source_clock import SourceClock
from tests.live.accounts import PublishingService, make_edition, settled, spy, status

from .nats_server import eventually, running

ACCOUNT = "acct"
BEAT_SECONDS = 0.2


class EpochService(PublishingService):
    """A publishing service with the epoch `epoch`."""

    def __init__(self, epoch):
        self._made = make_edition(epoch=epoch)
        super().__init__()
        self.set_positions(spy())
        self.set_status(status())

    @property
    def edition(self):
        return self._made

    @edition.setter
    def edition(self, _):
        pass


class Leader:
    """Publishes `service` on a bus, with heartbeats while `beats`."""

    def __init__(self, bus, *, fence=1, epoch="k3f9", name="a:1", answer=None):
        self.bus, self.fence, self.name = bus, fence, name
        self.service = EpochService(epoch)
        self.beats = True
        self.overtaken = []
        self.publisher = BusPublisher(
            bus, ACCOUNT, snapshot=self.snapshot, overtaken=lambda: self.overtaken.append(self.fence)
        )
        self.answers = BusAnswers(
            bus,
            ACCOUNT,
            answer=answer or self.refuse,
            resume=self.resumed,
        )
        self.reading = EventBlocks()
        self.upstream = self.service.subscribe(EVERYTHING)
        self.asked = 0

    def resumed(self, version):
        return caught_up(self.service.fanout, version, self.service.now_at)

    async def refuse(self, method, target):
        raise Unavailable(f"no {method} {target}", "")

    def snapshot(self):
        document = self.service.edition.document(self.service.now_at)
        return document.version, framed("snapshot", document, document.version)

    def begin(self):
        self.publisher.lead(self.fence, self.name)
        self.answers.lead(self.fence)
        self.pump()

    def pump(self):
        for event in self.reading.feed(self.upstream.take(lambda: self.service.now_at)):
            self.publisher.take(event)

    def move(self, count=1):
        for _ in range(count):
            self.service.move()
            self.pump()

    def move_unsent(self):
        """Publish an event that the bus loses."""
        real, self.bus.publish = self.bus.publish, lambda *_: None
        self.move()
        self.bus.publish = real

    async def run(self):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.publisher.run())
            tasks.create_task(self.answers.run())
            while True:
                await asyncio.sleep(BEAT_SECONDS)
                if self.beats:
                    self.service.fanout.heartbeat(self.service.now_at)
                    self.pump()


class Followed:
    """A follower with the document of what it follows; `blocks` has every block that it was given."""

    def __init__(self, bus, account=ACCOUNT):
        self.bus = bus
        edition = empty_edition(1024)
        self.replica = Replica(edition, Fanout(edition, ring_size=256, follows=True))
        self.clock = SourceClock(lambda: EpochService.__mro__[1].now_at.fget(self))
        self.now, self.clock_is_ahead_by = 100.0, 0.0
        loop = asyncio.get_running_loop()
        self.feed = RelayFeed(self.replica, loop=loop, clock=self.clock, observe=lambda _: None, machine="relay-1")
        self.blocks, self.losses, self.refused = [], [], []
        self.obstacle = None
        self.follower = BusFollower(
            bus,
            account,
            self,
            refused=self.refused.append,
            chance=random.random,
            obstacle=lambda: self.__dict__["obstacle"],
        )

    def __getattr__(self, name):
        return getattr(self.feed, name)

    def take(self, event):
        self.blocks.append(event.block)
        self.feed.take(event)

    def lose(self, reason, code):
        if self.losses[-1:] != [code]:
            self.losses.append(code)
        self.feed.lose(reason, code)

    @property
    def version(self):
        return self.replica.edition.version

    @property
    def code(self):
        return self.replica.edition.status.code

    def document(self):
        encoded = json.loads(json.dumps(self.replica.edition.document(self.clock()), default=_plain))
        return settled(encoded)

    def is_at(self, leader):
        return self.version == leader.service.edition.version and self.code is None

    @property
    def names(self):
        return [block.partition(b"event: ")[2].partition(b"\n")[0].decode() for block in self.blocks]


def _plain(value):
    from condord.live import wire

    return json.loads(wire.encode(value))


@contextlib.asynccontextmanager
async def working(*workers):
    """Run leaders and followers, with their buses."""
    buses = dict.fromkeys(worker.bus for worker in workers)
    async with running(*buses):
        runs = [worker.run if isinstance(worker, Leader) else worker.follower.run for worker in workers]
        tasks = [asyncio.create_task(run()) for run in runs]
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if not isinstance(end, asyncio.CancelledError):
            raise end


async def await_caught_up(followed, leader):
    """Wait until what follows is at the leader's version, and confirmed."""
    await eventually(lambda: followed.is_at(leader))
