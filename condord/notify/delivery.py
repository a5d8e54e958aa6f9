"""Deliver the messages in the outbox, each channel by a task and a thread of its own, so that none delays another.

A message is stored before it is sent, and removed after it was sent. A crash between the two repeats it with the same
`webhook-id`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, get_args

import msgspec

from condord.host.thread_pool import DaemonPool
from condord.live.alert_records import AlertRecord
from condord.live.alerts import AlertChanges
from condord.live.wire_alerts import AlertJson, ChannelJson, ChannelTestJson
from condord.notify.channel import Channel, ChannelState, url_digest
from condord.notify.channel_queue import Batch, Result
from condord.notify.messages import Message, Note, WebhookRequest, note, trial_note, trial_request, webhook_request
from condord.notify.outbox import Outbox
from condord.notify.outcome import Outcome
from condord.notify.schedule import ExpiresAt, expiry
from condord.notify.store import AlertStore

SEND_SECONDS = 23.0
"""The longest that a sender may take; a name lookup that hangs cannot be interrupted."""
SPACING_SECONDS = 0.11
"""At most 10 messages a second for a channel, even if the network delays some of them."""
TEST_SPACING_SECONDS = 10.0
CHECK_SECONDS = 60.0
"""The longest wait before the clock is read again, as it may have been set."""
STORE_SECONDS = 10.0
"""How often a file that cannot be written is tried again."""

_LATE = Outcome(ok=False, text="It did not answer in time.", is_down=True)
_BUG = Outcome(ok=False, text="It could not be sent because of a bug in condord, which is in the log.", is_down=False)

_log = logging.getLogger(__name__)


class Senders(Protocol):
    """Sends messages. Each call blocks, and is made on a thread."""

    def webhook(self, channel: Channel, request: WebhookRequest) -> Outcome:
        """Send a webhook."""
        ...

    def apprise(self, channel: Channel, note: Note) -> Outcome:
        """Send an Apprise message."""
        ...

    def stop(self) -> None:
        """End the running calls that can be ended."""
        ...


class _LastDelivery(msgspec.Struct, kw_only=True):
    """The results of a channel that are shown to users."""

    delivery_at: dt.datetime | None = None
    error: str | None = None
    tested_at: float | None = None


class Delivery:
    """The outbox of `store`, and the tasks that deliver it.

    `now_at` is the exchange's clock. `session_end` returns the end of the session in which options on an underlying
    trade, or of the next one while they do not. `set_channels` comes before `switch_to`, which drops messages for
    unknown channels.
    """

    def __init__(
        self,
        store: AlertStore,
        senders: Senders,
        *,
        now_at: Callable[[], dt.datetime],
        session_end: ExpiresAt,
        send_seconds: float = SEND_SECONDS,
    ) -> None:
        self._store = store
        self._senders = senders
        self._now_at = now_at
        self._session_end = session_end
        self._send_seconds = send_seconds
        self._outbox = Outbox()
        self._wakes: dict[str, asyncio.Event] = {}
        self._last: dict[str, _LastDelivery] = {}
        self._noted: set[str] = set()  # channels whose state is to be stored, or removed where they are gone
        self._changed = asyncio.Event()
        self._adding = asyncio.Lock()

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """How many messages had which result, by channel and result.

        The results are `delivered`, `failed` (an attempt), `expired`, `dropped` (too many wait, or the channel is gone)
        and `quiet` (dropped by quiet hours). Each channel has all of them from the start.
        """
        nothing: dict[tuple[str, str], int] = {
            (name, result): 0 for name in self._outbox.queues for result in get_args(Result)
        }
        return nothing | {(name, result): count for (name, result), count in self._outbox.counts.items()}

    def set_channels(self, channels: Sequence[Channel]) -> None:
        """Use these channels. A changed one is enabled again, and messages for a removed one are dropped."""
        for channel in channels:
            known = self._outbox.queues.get(channel.name)
            if known is None or known.channel != channel:
                self._last[channel.name] = _LastDelivery()
            if known is not None and known.channel != channel:
                self._noted.add(channel.name)
        self._outbox.set_channels(channels, self._now_at())
        for channel in channels:
            self._wakes.setdefault(channel.name, asyncio.Event())
        last, self._last = self._last, {channel.name: self._last[channel.name] for channel in channels}
        self._noted |= last.keys() - self._last.keys()
        self._wake_all()

    async def switch_to(self, account_key: str | None) -> tuple[AlertRecord, ...] | None:
        """Continue with the stored alerts of that account, and return its records; None if they are lost.

        `account_key` is any text that identifies the account; only its hash is stored.
        """
        async with self._adding:
            await self._persist()
            self._outbox.load("", (), self._now_at())  # nothing is sent during the switch
            records = await self._store.switch_to(account_key)
            self._outbox.load(self._store.account, self._store.messages, self._now_at())
            self._recall_channels()
        self._wake_all()
        return records

    async def add(self, changes: AlertChanges, documents: Sequence[AlertJson]) -> bool:
        """Store the records of an evaluation and the messages of its transitions in one transaction, then send them.

        `documents` has the alert of each transition, in order. The messages are sent even if they cannot be stored.
        Returns whether another ingester would have everything that has been stored so far.
        """
        async with self._adding:
            keys = self._outbox.add(changes, documents, now_at=self._now_at(), expires_at=self._expiry)
            try:
                put, removed = self._outbox.take_edits()
                await self._store.save(changes.records, put, removed)
                is_kept = self._store.is_kept  # before another save changes it
            finally:
                self._outbox.release(keys)
            self._wake_all()
            return is_kept

    async def run(self) -> None:
        """Deliver until this is cancelled."""
        workers: dict[str, asyncio.Task[None]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._changed.clear()
                    for name in workers.keys() - self._outbox.queues.keys():
                        workers.pop(name).cancel()
                    for name in self._outbox.queues.keys() - workers.keys():
                        workers[name] = group.create_task(self._work(name, self._wakes[name]))
                    await self._persist()
                    await self._store.check()
                    await _wait(self._changed, STORE_SECONDS if self._store.is_behind else CHECK_SECONDS)
        finally:
            self._senders.stop()

    async def test(self, name: str) -> ChannelTestJson | None:
        """Send a test message to a channel at once, and return how it was answered; None for an unknown channel.

        It takes `SEND_SECONDS` at most. A channel is tested at most once in `TEST_SPACING_SECONDS`. The answer 410
        disables it, as with any message.
        """
        queue = self._outbox.queues.get(name)
        if queue is None:
            return None
        last, now = self._last[name], asyncio.get_running_loop().time()
        if last.tested_at is not None and now - last.tested_at < TEST_SPACING_SECONDS:
            text = f"It was tested less than {TEST_SPACING_SECONDS:g} seconds ago. Try again later."
            return ChannelTestJson(ok=False, status=None, text=text)
        last.tested_at = now
        channel, identity = queue.channel, f"msg_test_{secrets.token_hex(12)}"
        threads = DaemonPool(1, name=f"test-{name}")
        try:
            if channel.type == "webhook":
                webhook = trial_request(name, identity, self._now_at())
                outcome = await self._call(threads, lambda: self._senders.webhook(channel, webhook))
            else:
                outcome = await self._call(threads, lambda: self._senders.apprise(channel, trial_note(name)))
        finally:
            threads.shutdown()
        if outcome.is_gone and queue.channel == channel:  # else it was changed meanwhile, which enables it
            queue.disable()
        self._note(name, outcome)
        await self._persist()
        return ChannelTestJson(ok=outcome.ok, status=outcome.status, text=outcome.text)

    def channels(self) -> list[ChannelJson]:
        """The state of each channel, without its URL."""
        return [
            ChannelJson(
                name=name,
                type=queue.channel.type,
                min_severity=queue.channel.min_severity,
                last_delivery_at=self._last[name].delivery_at,
                last_error=self._last[name].error,
                waiting=len(queue),
                disabled=queue.is_disabled,
            )
            for name, queue in self._outbox.queues.items()
        ]

    async def _work(self, name: str, wake: asyncio.Event) -> None:
        """Deliver the messages of one channel, one after the other."""
        threads = DaemonPool(1, name=f"notify-{name}")
        try:
            while True:
                wake.clear()
                found = self._outbox.next(name, now_at=self._now_at(), expires_at=self._expiry)
                await self._persist()
                if isinstance(found, Batch):
                    self._settle(found, await self._send(threads, found))
                    await self._persist()
                    await asyncio.sleep(SPACING_SECONDS)
                else:
                    await _wait(wake, CHECK_SECONDS if found.seconds is None else min(found.seconds, CHECK_SECONDS))
        finally:
            threads.shutdown()

    async def _send(self, threads: DaemonPool, batch: Batch) -> Outcome:
        channel, messages = batch.channel, batch.messages
        if channel.type == "apprise":
            return await self._call(threads, lambda: self._senders.apprise(channel, note(messages)))
        (message,) = messages
        return await self._call(threads, lambda: self._senders.webhook(channel, webhook_request(message)))

    async def _call(self, threads: DaemonPool, send: Callable[[], Outcome]) -> Outcome:
        try:
            async with asyncio.timeout(self._send_seconds):
                return await asyncio.get_running_loop().run_in_executor(threads, send)
        except TimeoutError:
            return _LATE
        except Exception as error:  # noqa: BLE001 - one channel must not end the others
            # Not its text or its traceback, which may contain the URL.
            fields = {"code": "notificationFailed", "reason": type(error).__name__}
            _log.error("A notification failed because of a bug", extra={"fields": fields})
            return _BUG

    def _settle(self, batch: Batch, outcome: Outcome) -> None:
        name, now_at = batch.channel.name, self._now_at()
        if outcome.ok:
            self._outbox.delivered(batch, now_at)
        else:
            self._outbox.failed(batch, now_at, is_down=outcome.is_down, is_gone=outcome.is_gone)
        self._note(name, outcome)

    def _note(self, name: str, outcome: Outcome) -> None:
        """Remember an outcome, and log it if it differs from the last."""
        last = self._last.get(name)
        if last is None:
            return  # the channel was removed meanwhile
        self._noted.add(name)
        if outcome.ok:
            last.delivery_at = self._now_at()
            if last.error is not None:
                _log.info("Channel delivers again", extra={"fields": {"channel": name}})
            last.error = None
        elif outcome.text != last.error:
            last.error = outcome.text
            fields = {"code": "notificationFailed", "channel": name, "status": outcome.status, "reason": outcome.text}
            _log.warning("Channel does not deliver", extra={"fields": fields})

    async def _persist(self) -> None:
        """Store the changes of the outbox, and take in the messages that the file has turned out to contain."""
        put, removed = self._outbox.take_edits()
        noted, self._noted = self._noted, set()
        if put or removed or noted or self._store.is_behind:
            known = {name: last for name, last in self._last.items() if name in noted}
            states = [self._state(name, last) for name, last in known.items()]
            await self._store.save((), put, removed, channels=states, removed_channels=noted - known.keys())
        recovered: tuple[Message, ...] = self._store.take_recovered()
        if recovered:
            self._outbox.join(recovered, self._now_at())
            self._wake_all()

    def _state(self, name: str, last: _LastDelivery) -> ChannelState:
        queue = self._outbox.queues.get(name)
        gone = url_digest(queue.channel) if queue is not None and queue.is_disabled else ""
        return ChannelState(name=name, last_delivery_at=last.delivery_at, last_error=last.error, gone=gone)

    def _recall_channels(self) -> None:
        """Show the stored state of channels that have not been used since the start.

        One whose receiver answered 410 to another ingester stays disabled. Without others, a start enables it.
        """
        for name, state in self._store.channels.items():
            last, queue = self._last.get(name), self._outbox.queues.get(name)
            if self._store.is_copied and queue is not None and state.gone == url_digest(queue.channel):
                queue.disable()
            if last is None:
                self._noted.add(name)
            elif last.delivery_at is None and last.error is None:
                last.delivery_at, last.error = state.last_delivery_at, state.last_error

    def _expiry(self, underlying: str | None) -> dt.datetime:
        return expiry(self._session_end(underlying), self._now_at())

    def _wake_all(self) -> None:
        self._changed.set()
        for wake in self._wakes.values():
            wake.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, `seconds` at most."""
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await event.wait()
    except TimeoutError:
        return
