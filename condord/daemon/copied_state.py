"""The state from an earlier leader that a maker starts with, and the copies that it sends to the front."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from condord.cluster.maker_channel import CopyIsKept, KeepCopy, StateCopy
from condord.daemon.alert_service import FILE_NAME
from condord.errors import ConfigError
from condord.notify import alert_copy
from condord.notify.alert_copy import CopiedAlerts
from condord.upstream import state_files

KEPT_SECONDS = 2.0
"""How long notifications of a change wait, at most, until a successor would know of the change."""
ALERTS = "alerts"
KINDS = (*sorted(state_files.COPIED), ALERTS)

_log = logging.getLogger(__name__)


class CopiedState:
    """The `files` and the `alerts` in `copies`. Once connected, it sends a maker's own copies.

    These are sent in order, only the newest of each kind.
    """

    def __init__(self, copies: Sequence[StateCopy] = ()) -> None:
        self.files = {copy.name: copy.content for copy in copies if copy.kind != ALERTS}
        self.alerts = next((_alerts(copy.content) for copy in copies if copy.kind == ALERTS), None)
        hashes = {state_files.account_hash(name) for name in self.files}
        hashes.add(None if self.alerts is None else self.alerts.account)
        self._accounts = hashes - {None}
        self._send: Callable[[KeepCopy], None] | None = None
        self._waiting: dict[str, KeepCopy] = {}
        self._number = 0
        self._kept: dict[str, int] = {}
        self._has_changed = asyncio.Condition()

    def connect(self, send: Callable[[KeepCopy], None]) -> None:
        """Send the waiting copies, and from now on every copy at once."""
        self._send = send
        for keep in self._waiting.values():
            send(keep)
        self._waiting.clear()

    async def confirm(self, kept: CopyIsKept) -> None:
        """Note the copies that the front has stored for a successor."""
        async with self._has_changed:
            self._kept[kept.kind] = kept.number
            self._has_changed.notify_all()

    def requires_account(self) -> bool:
        """Whether the required account is known."""
        return bool(self._accounts)

    def require_account(self, account_key: str) -> None:
        """Check that this is the account whose state was handed over, or else the first one that is checked.

        Raises:
            ConfigError: it is another one.
        """
        own = state_files.hash_of(account_key)
        if self._accounts and own not in self._accounts:
            raise other_account_error()
        self._accounts = {own}

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
        keep = KeepCopy(number=self._number, copy=copy)
        if self._send is None:
            self._waiting.pop(copy.kind, None)
            self._waiting[copy.kind] = keep
        else:
            self._send(keep)
        return self._number


def other_account_error() -> ConfigError:
    """Return the error that the key is not for the account whose state is on the bus."""
    text = "the API key is for another account than the one that the bus has under this name"
    hint = "Give each account a `cluster.account` of its own, or every ingester a key for the same account."
    return ConfigError([text], hint)


def _alerts(content: bytes) -> CopiedAlerts | None:
    try:
        return alert_copy.decoded(content)
    except ValueError as error:
        fields = {"code": "noStateCopy", "kind": ALERTS, "reason": str(error)}
        _log.error("What the earlier leader has handed over cannot be used", extra={"fields": fields})
        return None
