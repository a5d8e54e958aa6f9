"""Send what a maker stores and its successor needs to the front, and restore what the front hands over at a start."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from condord.cluster.maker_channel import Keep, Kept, StateCopy
from condord.daemon.alert_service import FILE_NAME
from condord.notify import alert_copy
from condord.upstream import state_files

KEPT_SECONDS = 2.0
"""How long the messages of a change of alerts wait, at most, for a successor to be able to know of the change."""
ALERTS = "alerts"
KINDS = (*sorted(state_files.COPIED), ALERTS)

_log = logging.getLogger(__name__)


class CopiedState:
    """Sends a maker's copies in order once it is connected, only the newest of each kind."""

    def __init__(self) -> None:
        self._send: Callable[[Keep], None] | None = None
        self._waiting: dict[str, Keep] = {}
        self._number = 0
        self._kept: dict[str, int] = {}
        self._has_changed = asyncio.Condition()

    def connect(self, send: Callable[[Keep], None]) -> None:
        """Send what is waiting, and from now on every copy at once."""
        self._send = send
        for keep in self._waiting.values():
            send(keep)
        self._waiting.clear()

    async def confirm(self, kept: Kept) -> None:
        """Note what the front has stored for a successor."""
        async with self._has_changed:
            self._kept[kept.kind] = kept.number
            self._has_changed.notify_all()

    def copy_file(self, name: str, content: bytes) -> None:
        """Send a file of `condord.upstream.state_files`."""
        kind = name.removesuffix(".json").rpartition("-")[2]
        self._keep(StateCopy(kind=kind, name=name, content=content))

    async def copy_alerts(self, content: bytes) -> bool:
        """Send the alerts, and return True once a successor would have them, or False after `KEPT_SECONDS`."""
        number = self._keep(StateCopy(kind=ALERTS, name=FILE_NAME, content=content))
        try:
            async with asyncio.timeout(KEPT_SECONDS), self._has_changed:
                return await self._has_changed.wait_for(lambda: self._kept.get(ALERTS, 0) >= number)
        except TimeoutError:
            return False

    def _keep(self, copy: StateCopy) -> int:
        self._number += 1
        keep = Keep(number=self._number, copy=copy)
        if self._send is None:
            self._waiting.pop(copy.kind, None)
            self._waiting[copy.kind] = keep
        else:
            self._send(keep)
        return self._number


def restore(copies: Sequence[StateCopy], directory: Path, *, machine_at: Callable[[], dt.datetime]) -> None:
    """Write the state of an earlier leader into `directory`.

    What cannot be used is logged and left out: Alpaca has most of it, and the rest starts empty.
    """
    for copy in copies:
        try:
            if copy.kind == ALERTS:
                alert_copy.restore(directory / FILE_NAME, copy.content, machine_at=machine_at)
            else:
                state_files.restore(directory, copy.name, copy.content)
        except (OSError, ValueError) as error:
            fields = {"code": "noStateCopy", "kind": copy.kind, "reason": str(error)}
            _log.error("What the earlier leader has handed over cannot be used", extra={"fields": fields})
