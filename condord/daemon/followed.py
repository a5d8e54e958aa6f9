"""The source of a relay: another condord, or the leader on a bus. It answers requests that the relay cannot.

The part for a bus is in `condord.daemon.followed_bus`, as it imports the NATS client.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable
from typing import Protocol

from condord.cluster.connection import SourceSettings
from condord.cluster.follower import MAX_WAIT_SECONDS, Follower
from condord.cluster.interfaces import Answer
from condord.cluster.questions import Questions
from condord.daemon.relay_feed import RelayFeed
from condord.errors import CondordError
from condord.live import wire
from condord.live.relay_path import RelayPath
from condord.live.replica import Replica


class RelaySource(Protocol):
    """A source of events that a relay follows; its events go to the feed.

    `relays` are those between this process and the account.
    """

    relays: RelayPath

    @property
    def cluster(self) -> wire.ClusterJson:
        """The role of this relay, and its source, without the lag."""

    async def run(self) -> None:
        """Follow until cancelled."""

    def retry(self) -> None:
        """Connect now instead of after the wait."""

    def note_suspension(self, seconds: float) -> None:
        """Report a loss if nothing has been read for too long: this process has not run for `seconds`."""

    async def ask(self, method: str, target: str) -> Answer:
        """Return the answer to a request that the relay cannot answer itself.

        Raises:
            Unavailable: there is none.
        """


Follow = Callable[[Replica, RelayFeed, Callable[[CondordError], None]], RelaySource]
"""Creates the source, in the running loop; its last argument is called with an error that ends the relay."""


class FollowedSource:
    """Implements `RelaySource` for another condord, called `name` in errors, by default with its address.

    `relays` is made here, unless this process is a part of a relay. Attempts to connect are about `max_wait_seconds`
    apart at most.
    """

    def __init__(
        self,
        settings: SourceSettings,
        replica: Replica,
        feed: RelayFeed,
        refused: Callable[[CondordError], None],
        *,
        relays: RelayPath | None = None,
        name: str = "",
        max_wait_seconds: float = MAX_WAIT_SECONDS,
    ) -> None:
        self.relays = RelayPath(secrets.token_hex(8)) if relays is None else relays
        self._replica = replica
        self._url = settings.address.url
        now = asyncio.get_running_loop().time
        self._follower = Follower(
            settings,
            feed,
            refused=refused,
            chance=random.random,
            relays=self.relays,
            max_wait_seconds=max_wait_seconds,
        )
        self._questions = Questions(
            settings,
            name=name or f"the source {self._url}",
            is_lost=lambda: feed.lost_reason is not None,
            refused=refused,
            now=now,
        )
        self.run = self._follower.run
        self.retry = self._follower.retry
        self.note_suspension = self._follower.note_suspension
        self.ask = self._questions.ask
        self.ask_now = self._questions.ask_now

    @property
    def cluster(self) -> wire.ClusterJson:
        """The role of this relay, and its source, without the lag."""
        replica = self._replica
        return wire.ClusterJson(role="relay", source=self._url, gaps=replica.gaps, dropped=replica.dropped)
