import asyncio
import contextlib

import pytest

from condord.cluster.interfaces import Answer
from condord.daemon.followed_bus import FollowedBus
from condord.errors import ConfigError, Unavailable
from tests.cluster.leader import ACCOUNT, Leader, working
from tests.cluster.leases import ReadyLease
from tests.cluster.nats_server import eventually, nats_server, running

from .relay_harness import RelayHarness

__all__ = ["nats_server"]


@contextlib.asynccontextmanager
async def following(server, harness, refused, account=ACCOUNT):
    followed = FollowedBus(server.settings(), account, harness.replica, harness.feed, refused)
    task = asyncio.create_task(followed.run())
    try:
        yield followed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.slow
def test_a_relay_of_a_bus_follows_asks_and_names_the_leader(nats_server):
    async def answer(method, target):
        return Answer(200, {}, f"{method} {target}".encode())

    async def scenario():
        server = nats_server()
        leader = Leader(server.bus(), fence=7, answer=answer)
        async with working(leader):
            leader.begin()
            harness = RelayHarness()
            async with following(server, harness, [].append) as followed:
                assert (followed.cluster.leader, followed.cluster.fence) == (None, None)
                with pytest.raises(Unavailable, match=r"^the leader on the bus nats://.* is lost$"):
                    await followed.ask("GET", "/x")
                await eventually(lambda: harness.replica.is_known and followed.cluster.leader)
                cluster = followed.cluster
                assert (cluster.role, cluster.leader, cluster.fence, cluster.source) == ("relay", "a:1", 7, None)
                assert (await followed.ask("POST", "/x?a=b")).body == b"POST /x?a=b"
                leader.move_unsent()
                leader.move()
                await eventually(lambda: followed.cluster.gaps == 1)
                harness.replica.dropped = 2
                assert followed.cluster.dropped == 2
                followed.retry()

    asyncio.run(scenario())


@pytest.mark.slow
def test_several_accounts_on_the_bus_end_a_relay_unless_one_is_named(nats_server):
    async def scenario():
        server = nats_server()
        bus = server.bus()
        async with running(bus):
            for account in ("one", "two"):
                await ReadyLease(bus, account).acquire("a:1")
            refused = []
            async with following(server, RelayHarness(), refused.append, ""):
                await eventually(lambda: refused)
            assert isinstance(refused[0], ConfigError)

    asyncio.run(scenario())
