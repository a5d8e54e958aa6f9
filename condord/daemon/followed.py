"""What a relay follows, and asks what it does not know itself: another condord, or on a bus whichever ingester leads.

`condord.daemon.followed_bus` has the latter, as it imports the client of NATS.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

from condord.cluster.connection import SourceSettings
from condord.cluster.follower import Follower
from condord.cluster.interfaces import Answer
from condord.cluster.questions import Questions
from condord.daemon.relay_feed import RelayFeed
from condord.errors import CondordError
from condord.live import wire
from condord.live.replica import Replica


class Followed(Protocol):
    """What is followed; its events go to the feed."""

    @property
    def cluster(self) -> wire.ClusterJson:
        """What this relay is among several, without its lag."""

    async def run(self) -> None:
        """Follow until cancelled."""

    def retry(self) -> None:
        """Connect now instead of after the wait."""

    async def ask(self, method: str, target: str) -> Answer:
        """Return the answer to what the relay does not know.

        Raises:
            Unavailable: there is none.
        """


Follow = Callable[[Replica, RelayFeed, Callable[[CondordError], None]], Followed]
"""Makes what is followed, in the running loop; the last argument gets an error that ends the relay."""


class FollowedSource:
    """Another condord."""

    def __init__(
        self, settings: SourceSettings, replica: Replica, feed: RelayFeed, refused: Callable[[CondordError], None]
    ) -> None:
        self._replica = replica
        self._url = settings.address.url
        now = asyncio.get_running_loop().time
        self._follower = Follower(settings, feed, refused=refused, chance=random.random)
        self._questions = Questions(settings, is_lost=lambda: feed.lost_reason is not None, refused=refused, now=now)
        self.run = self._follower.run
        self.retry = self._follower.retry
        self.ask = self._questions.ask
        self.ask_now = self._questions.ask_now

    @property
    def cluster(self) -> wire.ClusterJson:
        """What this relay is among several, without its lag."""
        replica = self._replica
        return wire.ClusterJson(role="relay", source=self._url, gaps=replica.gaps, dropped=replica.dropped)
