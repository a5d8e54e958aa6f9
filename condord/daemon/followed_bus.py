"""Follow the leading ingester on a bus; the other `RelaySource` is in `condord.daemon.followed`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from condord.cluster.bus import Bus, BusSettings
from condord.cluster.bus_follower import BusFollower
from condord.cluster.bus_questions import BusQuestions
from condord.daemon.bus_settings import own_name
from condord.daemon.relay_feed import RelayFeed
from condord.errors import CondordError
from condord.live import wire
from condord.live.relay_path import RelayPath
from condord.live.replica import Replica


class FollowedBus:
    """Implements `RelaySource` for a bus. An empty `account` stands for the only one on the bus."""

    def __init__(
        self,
        settings: BusSettings,
        account: str,
        replica: Replica,
        feed: RelayFeed,
        refused: Callable[[CondordError], None],
    ) -> None:
        self.relays = RelayPath()  # no relay sends anything over a bus
        self._replica = replica
        self._feed = feed
        self._bus = Bus(settings, name=f"condord relay {own_name()}", refused=refused, chance=random.random)
        self._follower = BusFollower(self._bus, account, feed, refused=refused, chance=random.random)
        self._questions = BusQuestions(
            self._bus,
            account=lambda: self._follower.account,
            fence=lambda: self._follower.order.fence,
            lost=lambda: feed.lost_name,
            now=asyncio.get_running_loop().time,
        )
        self.retry = self._follower.retry
        self.note_suspension = self._follower.note_suspension
        self.ask = self._questions.ask

    @property
    def cluster(self) -> wire.ClusterJson:
        """The role of this relay, and its source, without the lag."""
        order = self._follower.order
        return wire.ClusterJson(
            role="relay",
            leader=None if self._feed.lost_reason is not None else order.leader or None,
            fence=order.fence or None,
            gaps=order.gaps,
            dropped=order.dropped + self._replica.dropped,
        )

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._bus.run())
            tasks.create_task(self._follower.run())
