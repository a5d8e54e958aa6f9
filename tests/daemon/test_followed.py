import asyncio

import pytest

from condord.client.address import parse_url
from condord.cluster.connection import SourceSettings
from condord.daemon.followed import FollowedSource
from condord.errors import Unavailable

from .relay_harness import RelayHarness


def test_a_relay_follows_its_source_and_asks_it():
    async def scenario():
        harness = RelayHarness()
        settings = SourceSettings(address=parse_url("unix:///nonexistent/x"), token=None, context=lambda: None)
        followed = FollowedSource(settings, harness.replica, harness.feed, [].append)
        harness.replica.gaps, harness.replica.dropped = 2, 3
        cluster = followed.cluster
        assert (cluster.role, cluster.source, cluster.gaps, cluster.dropped) == ("relay", "unix:///nonexistent/x", 2, 3)
        assert (cluster.leader, cluster.fence) == (None, None)
        with pytest.raises(Unavailable, match=r"^the source unix:///nonexistent/x is lost$"):
            await followed.ask("GET", "/x")
        harness.pass_events()
        with pytest.raises(Unavailable, match="cannot be reached"):
            await followed.ask("GET", "/x")
        following = asyncio.create_task(followed.run())
        await asyncio.sleep(0)
        followed.retry()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    asyncio.run(scenario())
