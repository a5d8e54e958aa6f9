"""Write the state that a maker's successor needs to the bus, as soon as it changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from condord.cluster.bus import BusError
from condord.cluster.fenced import StaleFence
from condord.cluster.maker_channel import CopyIsKept, KeepCopy
from condord.cluster.state_copies import StateCopies

RETRY_SECONDS = 0.3
"""How long to wait after a failed write."""

_log = logging.getLogger(__name__)


class StateKeeper:
    """Writes a maker's state to the bus, the newest of each kind, and confirms it."""

    def __init__(self, copies: StateCopies, confirm: Callable[[CopyIsKept], None]) -> None:
        self._copies = copies
        self._confirm = confirm
        self._waiting: dict[str, KeepCopy] = {}
        self._has_more = asyncio.Event()
        self._is_failing = False

    def keep(self, keep: KeepCopy) -> None:
        """Queue a copy to be written."""
        self._waiting.pop(keep.copy.kind, None)
        self._waiting[keep.copy.kind] = keep
        self._has_more.set()

    async def run(self) -> None:
        """Write until cancelled, or until a later leader has written."""
        while True:
            await self._has_more.wait()
            self._has_more.clear()
            while self._waiting:
                kind, keep = next(iter(self._waiting.items()))
                try:
                    await self._copies.write(keep.copy)
                except BusError as error:
                    self._note(str(error))
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                except StaleFence as error:
                    fields = {"kind": kind, "own_fence": error.fence, "higher_fence": error.higher_fence}
                    _log.warning("A later leader keeps the state", extra={"fields": fields})
                    return
                self._note(None)
                if self._waiting.get(kind) is keep:
                    del self._waiting[kind]
                self._confirm(CopyIsKept(kind=kind, number=keep.number))

    def _note(self, reason: str | None) -> None:
        if reason is not None and not self._is_failing:
            _log.warning("State is not on the bus", extra={"fields": {"code": "noStateCopy", "reason": reason}})
        self._is_failing = reason is not None
