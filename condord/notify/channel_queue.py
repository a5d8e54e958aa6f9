"""The queue of messages for one channel. `condord.notify.outbox` has the table of states."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Literal

import msgspec

from condord.core.rules.rule import Severity
from condord.notify import quiet
from condord.notify.channel import Channel
from condord.notify.messages import RANKS, Key, Message
from condord.notify.schedule import ExpiresAt, retry_seconds

MAX_WAITING = 10_000
"""How many messages wait for one channel; beyond that the oldest of the least severe is dropped."""

Result = Literal["delivered", "failed", "expired", "dropped", "quiet"]


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that are sent together: one message to a webhook, one or more to Apprise."""

    channel: Channel
    messages: tuple[Message, ...]


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing is due for `seconds`; None: until something changes."""

    seconds: float | None


class Edits:
    """The changes to be stored: the latest version of each changed message, None for a removed one."""

    def __init__(self) -> None:
        self._changed: dict[Key, Message | None] = {}

    def put(self, message: Message) -> None:
        """Store the message."""
        self._changed[message.key] = message

    def remove(self, key: Key) -> None:
        """Remove the message."""
        self._changed[key] = None

    def clear(self) -> None:
        """Forget all of them."""
        self._changed.clear()

    def take(self) -> tuple[tuple[Message, ...], tuple[Key, ...]]:
        """Return the messages to store and the keys to remove, and forget them."""
        put = tuple(message for message in self._changed.values() if message is not None)
        removed = tuple(key for key, message in self._changed.items() if message is None)
        self._changed.clear()
        return put, removed


class _QueuedMessages:
    """Messages by id, by alert and by severity, each in order."""

    def __init__(self) -> None:
        self.by_id: dict[str, Message] = {}
        self._by_alert: dict[str, dict[str, None]] = {}
        self._by_severity: dict[Severity, dict[str, None]] = {severity: {} for severity in RANKS}

    def put(self, message: Message) -> None:
        """Add a message, or replace it in its place."""
        self.by_id[message.id] = message
        self._by_alert.setdefault(message.alert_id, {})[message.id] = None
        self._by_severity[message.severity][message.id] = None

    def remove(self, message: Message) -> None:
        """Remove a message."""
        del self.by_id[message.id]
        del self._by_severity[message.severity][message.id]
        of_alert = self._by_alert[message.alert_id]
        del of_alert[message.id]
        if not of_alert:
            del self._by_alert[message.alert_id]

    def of_alert(self, alert_id: str) -> list[Message]:
        """The messages of one alert."""
        return [self.by_id[each] for each in self._by_alert.get(alert_id, ())]

    def least(self) -> Message:
        """The oldest of the least severe."""
        return self.by_id[next(iter(next(filter(None, self._by_severity.values()))))]


class ChannelQueue:
    """The messages for `channel`, in order. Messages in `saving` are not sent yet.

    `is_disabled`: the receiver answered 410. `is_down`: the last attempt failed for a reason that all messages share.
    """

    def __init__(self, channel: Channel, edits: Edits, counts: Counter[tuple[str, Result]], saving: set[Key]) -> None:
        self.channel = channel
        self.is_disabled = False
        self.is_down = False
        self._edits = edits
        self._counts = counts
        self._saving = saving
        self._waiting = _QueuedMessages()
        self._joins: dict[str, tuple[str, dt.datetime]] = {}

    def __len__(self) -> int:
        return len(self._waiting.by_id)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The waiting messages, in order."""
        return tuple(self._waiting.by_id.values())

    def configure(self, channel: Channel, now_at: dt.datetime) -> None:
        """Use the settings in `channel`. New ones enable the channel, and waiting messages are tried at once."""
        if channel == self.channel:
            return
        self.channel = channel
        self.is_disabled = self.is_down = False
        self._hurry(self.messages, now_at)

    def disable(self) -> None:
        """Send nothing until the settings of the channel change: its receiver is gone."""
        self.is_disabled = True

    def clear(self) -> None:
        """Forget all messages, without removing them from the store."""
        self._waiting = _QueuedMessages()
        self._joins.clear()

    def drop_all(self) -> None:
        """Remove all messages."""
        self._drop(self.messages, "dropped")

    def restore(self, message: Message, now_at: dt.datetime) -> None:
        """Add a stored message. A due time that lies further ahead than any retry comes from a clock set back."""
        if not message.is_held and message.attempts:
            latest_at = now_at + dt.timedelta(seconds=retry_seconds(message.attempts))
            message = msgspec.structs.replace(message, due_at=min(message.due_at, latest_at))
        if message.id not in self._waiting.by_id:
            self._waiting.put(message)
            self._limit()

    def add(self, message: Message, now_at: dt.datetime) -> None:
        """Add a new message, unless quiet hours drop it. Earlier ones of its alert are tried again before it."""
        if message.id in self._waiting.by_id:
            return
        self._hurry(self._waiting.of_alert(message.alert_id), now_at)
        self._put(message)
        self._saving.add(message.key)
        if not message.is_critical and quiet.end_of(self.channel.quiet, now_at) is not None:
            self._hold(message.alert_id)
        self._limit()

    def forget(self, alert_ids: Collection[str]) -> None:
        """Drop the held messages of alerts that no longer fire."""
        if alert_ids:
            self._drop([each for each in self._held() if each.alert_id in alert_ids], "quiet")

    def joined(
        self, underlying: str, message_id: str, now_at: dt.datetime, within: dt.timedelta
    ) -> tuple[str, dt.datetime]:
        """Return the batch that a message of `underlying` joins, and when that is sent."""
        batch, closes_at = self._joins.get(underlying, ("", now_at))
        if not now_at < closes_at <= now_at + within:
            batch, closes_at = self._joins[underlying] = message_id, now_at + within
        return batch, closes_at

    def next(self, now_at: dt.datetime, expires_at: ExpiresAt) -> Batch | Pause:
        """Return what is due now, or how long nothing is."""
        waiting = self.messages
        self._drop([each for each in waiting if not each.is_held and now_at >= each.expires_at], "expired")
        quiet_end_at = quiet.end_of(self.channel.quiet, now_at)
        if quiet_end_at is None:
            self._release_held(now_at, expires_at)
        else:
            loud = [each for each in self._waiting.by_id.values() if not (each.is_held or each.is_critical)]
            for alert_id in {each.alert_id for each in loud if each.due_at <= now_at}:
                self._hold(alert_id)
        if self.is_disabled:
            return Pause(seconds=None)
        ready = self._unblocked()
        due = [each for each in ready if each.due_at <= now_at]
        if due:
            first = min(due, key=lambda each: (-RANKS[each.severity], each.due_at, each.sequence))
            messages = tuple(each for each in ready if each.batch == first.batch)
            return Batch(channel=self.channel, messages=messages)
        times = [each.due_at for each in ready] + ([] if quiet_end_at is None or not self._held() else [quiet_end_at])
        return Pause(seconds=(min(times) - now_at).total_seconds() if times else None)

    def delivered(self, batch: Batch, now_at: dt.datetime) -> None:
        """Remove the sent messages. If the channel was down, everything that waits for a retry is tried at once."""
        self._drop([each for each in batch.messages if each.id in self._waiting.by_id], "delivered")
        if self.is_down:
            self._hurry(self.messages, now_at)
        self.is_down = False

    def failed(self, batch: Batch, now_at: dt.datetime, *, is_down: bool, is_gone: bool) -> None:
        """Let the messages wait for their next attempt. `is_gone` disables the channel."""
        self.is_down = is_down
        self.is_disabled = is_gone or self.is_disabled
        for sent in batch.messages:
            self._counts[self.channel.name, "failed"] += 1
            if (message := self._waiting.by_id.get(sent.id)) is not None:
                attempts = message.attempts + 1
                due_at = now_at + dt.timedelta(seconds=retry_seconds(attempts))
                self._put(msgspec.structs.replace(message, attempts=attempts, due_at=due_at))

    def _unblocked(self) -> list[Message]:
        """The messages that may be sent: stored, not held, and none of their alert is earlier but outside the batch."""
        batches: dict[str, str | None] = {}
        found = []
        for message in self._waiting.by_id.values():
            if message.is_held:
                continue
            batch = batches.setdefault(message.alert_id, message.batch)
            if batch == message.batch and not (self._saving and message.key in self._saving):
                found.append(message)
            else:
                batches[message.alert_id] = None  # it blocks all later ones
        return found

    def _hold(self, alert_id: str) -> None:
        """Hold the one message of an alert that is worth sending after quiet hours, and drop its others.

        That is its last firing, or else its last repeat; nothing, if it has resolved or ended.
        """
        waiting = [each for each in self._waiting.of_alert(alert_id) if not each.is_critical]
        kept: Message | None = None
        for message in waiting:
            if message.kind in ("resolved", "ended"):
                kept = None
            elif message.kind == "firing" or kept is None or kept.kind == "repeat":
                kept = message
        self._drop([each for each in waiting if each is not kept], "quiet")
        if kept is not None and not kept.is_held:
            self._put(msgspec.structs.replace(kept, is_held=True))

    def _release_held(self, now_at: dt.datetime, expires_at: ExpiresAt) -> None:
        held = self._held()
        for message in held:
            batch = f"quiet_{held[0].id}" if self.channel.type == "apprise" else message.id
            until_at = expires_at(message.underlying)
            self._put(msgspec.structs.replace(message, is_held=False, due_at=now_at, expires_at=until_at, batch=batch))

    def _hurry(self, messages: Iterable[Message], now_at: dt.datetime) -> None:
        """Let messages that wait for a retry be tried at once."""
        for message in list(messages):
            if message.attempts and not message.is_held and message.due_at > now_at:
                self._put(msgspec.structs.replace(message, due_at=now_at))

    def _limit(self) -> None:
        while len(self._waiting.by_id) > MAX_WAITING:
            self._drop([self._waiting.least()], "dropped")

    def _held(self) -> list[Message]:
        return [each for each in self._waiting.by_id.values() if each.is_held]

    def _put(self, message: Message) -> None:
        self._waiting.put(message)
        self._edits.put(message)

    def _drop(self, messages: Iterable[Message], result: Result) -> None:
        for message in messages:
            self._waiting.remove(message)
            self._edits.remove(message.key)
            self._counts[self.channel.name, result] += 1
