"""States of alerts and of channels, and the outbox, of one account at a time, in an SQLite file.

The store keeps a copy of everything in memory, so a file that cannot be written, was damaged or was replaced gets all
of it later.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from condord.errors import Unavailable
from condord.host.database_thread import FAULTS, DatabaseFault, DatabaseThread
from condord.live.alert_records import AlertRecord
from condord.notify.alert_copy import CopiedAlerts, Copy, encoded, keep_none
from condord.notify.channel import ChannelState
from condord.notify.file import AlertFile, Edit, StoredAlerts, WriteResult
from condord.notify.messages import Key, Message

RETRY_SECONDS = 5.0
"""How long the file is not used after a failure: each use may wait for a lock, and messages must not wait with it."""

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class AlertStore:
    """The file at `path`, which is created by the first use; if it is None, nothing is stored.

    `machine_at` is the machine's clock (UTC). `copy` gets everything after each change, and returns once another
    ingester can have it, or it has waited long enough. `is_kept` is whether one can have the last copy. `handed_over`
    is such a copy by another ingester. It replaces the records of its account in the file, and is used even if the file
    cannot be written.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        machine_at: Callable[[], dt.datetime],
        copy: Copy = keep_none,
        handed_over: CopiedAlerts | None = None,
    ) -> None:
        self.is_kept = False
        self._copy = copy
        self._handed_over = handed_over
        self._is_file_outdated = False
        self._thread: DatabaseThread[AlertFile] | None = None
        if path is not None:
            file, effect = AlertFile(path, machine_at=machine_at), "Alerts are not stored"
            self._thread = DatabaseThread(file, name="alerts", effect=effect, machine_at=machine_at)
        self._account = ""
        self._records: dict[str, AlertRecord] = {}
        self._messages: dict[Key, Message] = {}
        self._channels: dict[str, ChannelState] = {}
        self._dirty_records: dict[str, int] = {}
        self._dirty_messages: dict[Key, int] = {}
        self._dirty_channels: dict[str, int] = {}
        self._saves = 0
        self._recovered: list[Message] = []

    @property
    def fault(self) -> DatabaseFault | None:
        """Why nothing is stored; it ends with the next successful write.

        A file that was set aside is a fault until the next start.
        """
        return None if self._thread is None else self._thread.fault

    @property
    def is_behind(self) -> bool:
        """Whether something waits to be written, or the last use of the file failed."""
        is_dirty = bool(self._dirty_records or self._dirty_messages or self._dirty_channels)
        return is_dirty or not (self._thread is None or self._thread.is_usable)

    @property
    def is_copied(self) -> bool:
        """Whether other ingesters get what is stored, and this one has begun with what they had."""
        return self._copy is not keep_none

    @property
    def account(self) -> str:
        """A hash of the account; empty without one."""
        return self._account

    @property
    def messages(self) -> tuple[Message, ...]:
        """The outbox, in order."""
        return tuple(sorted(self._messages.values(), key=lambda message: message.sequence))

    @property
    def channels(self) -> Mapping[str, ChannelState]:
        """How the last attempts of each channel ended, by name."""
        return self._channels

    def take_recovered(self) -> tuple[Message, ...]:
        """Return messages that were found in the file only when it was written, once."""
        recovered, self._recovered = tuple(self._recovered), []
        return recovered

    async def switch_to(self, account_key: str | None) -> tuple[AlertRecord, ...] | None:
        """Store that account from now on, and return its records; None if they are lost.

        They are lost without a path or an account, and if the file was set aside or this version cannot open it. If it
        is locked, or the disk fails, no records are returned: alerts then begin as with a new file, and are notified.
        Silence, as for lost records, could hide alerts that have begun since.

        `account_key` is any text that identifies the account; only its hash is stored. `messages` has its outbox then,
        and `channels` what is known of them.
        """
        if self.is_behind:
            await self.save(())
        self._account = "" if account_key is None else hashlib.sha256(account_key.encode()).hexdigest()[:20]
        self._records, self._messages, self._channels = {}, {}, {}
        self._forget_changes()
        self._recovered = []
        self._is_file_outdated = False
        account = self._account
        if not account:
            return None
        if self._handed_over is not None and self._handed_over.account == account:
            stored, self._handed_over = self._handed_over.stored, None
            self._take(stored)
            self._is_file_outdated = True
            await self._write(self._whole_edit(), self._saves)
        else:
            if self._thread is None:
                return None
            aside = self._thread.file.aside
            nothing: StoredAlerts | None = None
            read = await self._run(lambda file: file.read(account), nothing)
            if read is None:
                is_unusable = isinstance(self._thread.error, Unavailable)
                return None if is_unusable or self._thread.file.aside != aside else ()
            stored = read
            self._take(stored)
        await self._copy_all()
        return stored.records

    async def save(
        self,
        records: Sequence[AlertRecord],
        messages: Sequence[Message] = (),
        removed: Iterable[Key] = (),
        *,
        channels: Iterable[ChannelState] = (),
        removed_channels: Iterable[str] = (),
    ) -> bool:
        """Write all of this in one transaction, with the records that could not be written before; True if it worked.

        Records with the state `inactive` are removed unless they are silent, and so are the messages in `removed`.
        """
        self._saves += 1
        for record in records:
            self._dirty_records[record.id] = self._saves
            if record.state == "inactive" and not record.is_silent:
                self._records.pop(record.id, None)
            else:
                self._records[record.id] = record
        for message in messages:
            self._dirty_messages[message.key] = self._saves
            self._messages[message.key] = message
        for key in removed:
            self._dirty_messages[key] = self._saves
            self._messages.pop(key, None)
        for channel in channels:
            self._dirty_channels[channel.name] = self._saves
            self._channels[channel.name] = channel
        for name in removed_channels:
            self._dirty_channels[name] = self._saves
            self._channels.pop(name, None)
        is_stored = await self._flush()
        await self._copy_all()
        return is_stored

    async def check(self) -> None:
        """Write everything again if the file was deleted."""
        is_replaced = await self._run(lambda file: file.is_replaced, default=False)
        if self._account and is_replaced:
            await self._write(self._whole_edit(), self._saves)

    def close(self) -> None:
        """Close the file and end the thread, after its current work; from now on nothing is read or written.

        If the file was deleted, everything is written into a new one first.

        This waits for `CLOSE_SECONDS` at most.
        """
        if self._thread is not None:
            account, edit = self._account, self._whole_edit()
            self._thread.close(lambda file: _close(file, account, edit))

    def _take(self, stored: StoredAlerts) -> None:
        self._records = {record.id: record for record in stored.records}
        self._messages = {message.key: message for message in stored.messages}
        self._channels = {channel.name: channel for channel in stored.channels}

    async def _copy_all(self) -> None:
        if self._account and self.is_copied:
            everything = StoredAlerts(
                records=tuple(self._records.values()),
                messages=tuple(self._messages.values()),
                channels=tuple(self._channels.values()),
            )
            self.is_kept = await self._copy(encoded(self._account, everything))

    async def _flush(self) -> bool:
        if not self._account or self._thread is None:
            self._forget_changes()
            return False
        failed = self._thread.failed
        if failed is not None and asyncio.get_running_loop().time() < failed + RETRY_SECONDS:
            return False
        written = await self._write(self._edit(), self._saves)
        if written is not None and written.is_incomplete:
            written = await self._write(self._whole_edit(), self._saves)
        return written is not None and not written.is_incomplete

    async def _write(self, edit: Edit, saves: int) -> WriteResult | None:
        account = self._account
        nothing: WriteResult | None = None
        written = await self._run(lambda file: file.write(account, edit), nothing)
        if self._thread is None or written is None or written.is_incomplete or account != self._account:
            return written
        self._dirty_records = {key: save for key, save in self._dirty_records.items() if save > saves}
        self._dirty_messages = {key: save for key, save in self._dirty_messages.items() if save > saves}
        self._dirty_channels = {name: save for name, save in self._dirty_channels.items() if save > saves}
        self._thread.succeeded()
        self._is_file_outdated = False
        for message in written.recovered:
            if self._messages.setdefault(message.key, message) is message:
                self._recovered.append(message)
        return written

    def _edit(self) -> Edit:
        return Edit(
            records={name: self._records.get(name) for name in self._dirty_records},
            messages={key: self._messages.get(key) for key in self._dirty_messages},
            channels={name: self._channels.get(name) for name in self._dirty_channels},
        )

    def _whole_edit(self) -> Edit:
        gone: dict[Key, Message | None] = dict.fromkeys(self._dirty_messages)
        gone_channels: dict[str, ChannelState | None] = dict.fromkeys(self._dirty_channels)
        return Edit(
            records=dict(self._records),
            messages={**gone, **self._messages},
            channels={**gone_channels, **self._channels},
            is_whole=True,
            is_handed_over=self._is_file_outdated,
        )

    def _forget_changes(self) -> None:
        self._dirty_records, self._dirty_messages, self._dirty_channels = {}, {}, {}

    async def _run(self, work: Callable[[AlertFile], Result], default: Result) -> Result:
        return default if self._thread is None else await self._thread.run(work, default)


def _close(file: AlertFile, account: str, edit: Edit) -> None:
    """Close the file; if it was deleted, write the edit into a new one before."""
    try:
        if account and file.is_replaced:
            file.write(account, edit)
    except FAULTS as error:
        fields = {"code": "alertsNotStored", "reason": type(error).__name__}
        _log.warning("The file of alerts was deleted, and could not be written again", extra={"fields": fields})
    finally:
        file.close()
