"""Publish a leader's events on the bus, each unchanged, and keep a snapshot there for followers that join later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from condord.cluster.bus import Bus, BusError
from condord.cluster.bus_frames import SNAPSHOTS, FrameHead, ask_subject, frames_subject, resume_subject
from condord.cluster.denials import publishing, subscribing
from condord.cluster.fenced import FencedKey, StaleFence
from condord.cluster.kv import BusRefusal, KvBucket
from condord.live.remedies import FORBIDDEN_REMEDY
from condord.live.replica import SourceEvent

SNAPSHOT_SECONDS = 5.0
"""How old the stored snapshot may be; after a change of positions a new one is stored at once."""
MIN_SNAPSHOT_SECONDS = 0.5
CHECK_SECONDS = 5.0
"""How often an ingester that stands by checks that it could publish: a permission may come or go at any time."""

_log = logging.getLogger(__name__)


class BusPublisher:
    """Publishes the given events while it leads.

    `snapshot` returns the version and the block of a snapshot of the document, None before there is one. `overtaken` is
    called if another leader has a higher fence; then this process no longer leads.
    """

    def __init__(
        self,
        bus: Bus,
        account: str,
        *,
        snapshot: Callable[[], tuple[str, bytes] | None],
        overtaken: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._subject = frames_subject(account)
        # Without one of the latter two, followers that have missed a frame, or have just begun, would get nothing.
        self._needed = (
            publishing(self._subject),
            subscribing(resume_subject(account)),
            subscribing(ask_subject(account)),
        )
        self._check_at = 0.0
        self._key = FencedKey(KvBucket(bus, SNAPSHOTS), account)
        self._snapshot = snapshot
        self._overtaken = overtaken
        self._fence: int | None = None
        self._leader = ""
        self._version = ""
        self._number: int | None = None
        self._stored = (0, "")  # fence and version
        self._has_failed = False
        self._due = asyncio.Event()
        bus.watch(self._connection_changed)

    def lead(self, fence: int, leader: str) -> None:
        """Publish under this fence from now on; `leader` is the name that followers show."""
        self._fence, self._leader = fence, leader
        self._version, self._number = "", None
        self._due.set()

    def step_down(self) -> None:
        """Publish nothing from now on."""
        self._fence = None

    def take(self, event: SourceEvent) -> None:
        """Publish the next event. Each names the one before, so none may be left out."""
        if self._fence is None:
            return
        base = None
        if event.id is not None:
            base, self._version = self._number, event.id
            self._number = int(event.id.rpartition("-")[2])
        head = FrameHead(self._fence, event.name, self._version, base, self._leader)
        self._bus.publish(self._subject, event.block, head.headers())
        if event.name == "snapshot":
            self._due.set()

    @property
    def forbidden(self) -> str | None:
        """The permission that a leader lacks, such as `publish to a.b`; None if none is known to be missing."""
        return self._bus.denials.first(self._needed)

    async def require_permission(self) -> None:
        """Check a leader's permissions on the bus. A leader without them would keep others from leading.

        Raises:
            BusRefusal: a permission is missing.
            BusError: the bus is lost, or does not answer.
        """
        now = asyncio.get_running_loop().time()
        if now >= self._check_at:
            await self._bus.try_out(publish=(self._subject,))  # followers ignore a message without a head
            self._check_at = now + CHECK_SECONDS
        if (what := self.forbidden) is not None:
            raise BusRefusal(f"the bus forbids this user to {what}", FORBIDDEN_REMEDY)

    def _connection_changed(self) -> None:
        """Store the snapshot again after a reconnection, as the bus may have lost it; permissions may differ, too."""
        self._stored = (0, "")
        self._check_at = 0.0
        self._due.set()

    async def run(self) -> None:
        """Keep the stored snapshot up to date until cancelled."""
        while True:
            try:
                async with asyncio.timeout(SNAPSHOT_SECONDS):
                    await self._due.wait()
            except TimeoutError:
                pass  # it is due because of its age
            self._due.clear()
            await self._store()
            await asyncio.sleep(MIN_SNAPSHOT_SECONDS)

    async def _store(self) -> None:
        """Store the snapshot if it is newer than the stored one."""
        fence, found = self._fence, self._snapshot()
        if fence is None or found is None or not self._bus.is_connected:
            return
        version, block = found
        if (fence, version) == self._stored or not self._bus.takes(len(block)):
            return
        try:
            await self._key.write(fence, block)
        except StaleFence as error:
            fields = {"own_fence": fence, "higher_fence": error.higher_fence}
            _log.warning("Another leader has a higher fence", extra={"fields": fields})
            self.step_down()
            self._overtaken()
        except BusError as error:
            if not self._has_failed:
                _log.warning("The snapshot cannot be stored on the bus", extra={"fields": {"reason": str(error)}})
            self._has_failed = True
        else:
            self._stored = fence, version
            self._has_failed = False
