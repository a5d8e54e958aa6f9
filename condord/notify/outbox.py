"""The outbox: what waits for which channel, and what may be sent now. Time is an argument.

A message goes through these states; `next` makes the moves that only time causes.

| state  | moves to                                                                                                 |
|--------|----------------------------------------------------------------------------------------------------------|
| saving | waiting, once it is stored (`release`)                                                                   |
| waiting| sent (`delivered`); waiting again (`failed`); held, in quiet hours; given up, at `expires_at`            |
| held   | waiting, when quiet hours end and its alert still fires; dropped, when the alert no longer fires         |

A message waits while an earlier one of the same alert does, so that a receiver never gets `resolved` before `firing`.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from condord.live.alert_records import Transition
from condord.live.alerts import AlertChanges
from condord.live.wire_alerts import AlertJson
from condord.notify.channel import Channel
from condord.notify.channel_queue import Batch, ChannelQueue, Edits, Pause, Result
from condord.notify.messages import RANKS, Key, Message, data_of, instant_of, message_id
from condord.notify.schedule import ExpiresAt

JOIN = dt.timedelta(seconds=10)
"""How long an Apprise message collects alerts about one underlying."""
_JOIN_MARGIN = dt.timedelta(seconds=2)


class _EvaluationContext(msgspec.Struct, frozen=True, kw_only=True):
    """The values shared by all messages of one evaluation. `criticals` are batches by underlying."""

    now_at: dt.datetime
    expires_at: ExpiresAt
    first_at_start: str | None
    criticals: dict[str, str]


class Outbox:
    """The queues of all channels. `account` is the hash that goes into ids."""

    def __init__(self, account: str = "") -> None:
        self.account = account
        self._queues: dict[str, ChannelQueue] = {}
        self._edits = Edits()
        self._saving: set[Key] = set()
        self._sequence = 0
        self._counts: Counter[tuple[str, Result]] = Counter()

    @property
    def counts(self) -> Mapping[tuple[str, Result], int]:
        """How many messages had which result, by channel and result."""
        return self._counts

    @property
    def queues(self) -> Mapping[str, ChannelQueue]:
        """The channels by name, in the order of the configuration."""
        return self._queues

    def set_channels(self, channels: Sequence[Channel], now_at: dt.datetime) -> None:
        """Replace the channels. Messages for a removed channel are dropped; a changed one is tried at once."""
        old, self._queues = self._queues, {}
        for channel in channels:
            queue = old.pop(channel.name, None)
            if queue is None:
                queue = ChannelQueue(channel, self._edits, self._counts, self._saving)
            queue.configure(channel, now_at)
            self._queues[channel.name] = queue
        for gone in old.values():
            gone.drop_all()

    def load(self, account: str, messages: Iterable[Message], now_at: dt.datetime) -> None:
        """Replace everything with the stored values of `account`. `set_channels` comes first."""
        self.account = account
        self._saving.clear()
        self._edits.clear()
        for queue in self._queues.values():
            queue.clear()
        self.join(messages, now_at)

    def join(self, messages: Iterable[Message], now_at: dt.datetime) -> None:
        """Add stored messages. Those for unknown channels are dropped."""
        for message in sorted(messages, key=lambda each: each.sequence):
            self._sequence = max(self._sequence, message.sequence)
            queue = self._queues.get(message.channel)
            if queue is None:
                self._edits.remove(message.key)
            else:
                queue.restore(message, now_at)

    def add(
        self, changes: AlertChanges, documents: Sequence[AlertJson], *, now_at: dt.datetime, expires_at: ExpiresAt
    ) -> frozenset[Key]:
        """Add the messages of an evaluation, and return their keys; none is sent before `release` has them.

        `documents` has the alert of each transition, in order.
        """
        before = set(self._saving)
        for name, queue in self._queues.items():
            due = [
                (transition, document)
                for transition, document in zip(changes.transitions, documents, strict=True)
                if _wants(queue.channel, transition)
            ]
            first = next((message_id(self.account, each) for each, _ in due if _is_at_start(each)), None)
            context = _EvaluationContext(now_at=now_at, expires_at=expires_at, first_at_start=first, criticals={})
            for transition, document in due:
                queue.add(self._message(name, queue, transition, document, context), now_at)
            queue.forget({record.id for record in changes.records if record.state != "firing"})
        return frozenset(self._saving - before)

    def release(self, keys: Iterable[Key]) -> None:
        """Let messages be sent that are stored, or cannot be stored."""
        self._saving.difference_update(keys)

    def next(self, name: str, *, now_at: dt.datetime, expires_at: ExpiresAt) -> Batch | Pause:
        """Return the messages to send to a channel now, or how long there is nothing to do.

        `expires_at` is when messages expire whose quiet hours end now.
        """
        queue = self._queues.get(name)
        return Pause(seconds=None) if queue is None else queue.next(now_at, expires_at)

    def delivered(self, batch: Batch, now_at: dt.datetime) -> None:
        """Remove the sent messages."""
        if (queue := self._queues.get(batch.channel.name)) is not None:
            queue.delivered(batch, now_at)

    def failed(self, batch: Batch, now_at: dt.datetime, *, is_down: bool, is_gone: bool) -> None:
        """Let unsent messages wait for their next attempt."""
        if (queue := self._queues.get(batch.channel.name)) is not None:
            queue.failed(batch, now_at, is_down=is_down, is_gone=is_gone)

    def take_edits(self) -> tuple[tuple[Message, ...], tuple[Key, ...]]:
        """Return the changes since the last call: messages to store, and keys of messages to remove."""
        return self._edits.take()

    def _message(
        self, name: str, queue: ChannelQueue, transition: Transition, document: AlertJson, context: _EvaluationContext
    ) -> Message:
        record = transition.record
        identity = message_id(self.account, transition)
        self._sequence += 1
        message = Message(
            sequence=self._sequence,
            channel=name,
            id=identity,
            kind=transition.kind,
            alert_id=record.id,
            severity=record.severity,
            underlying=record.underlying,
            text=record.text,
            data=data_of(transition, document),
            at=instant_of(transition, context.now_at),
            batch=identity,
            due_at=context.now_at,
            expires_at=context.expires_at(record.underlying),
        )
        if queue.channel.type != "apprise":
            return message
        if _is_at_start(transition) and context.first_at_start is not None:
            return msgspec.structs.replace(message, batch=f"start_{context.first_at_start}")
        if message.underlying is None:
            return message
        if message.is_critical:  # a fall brings several at once, and so does the end of a condor
            batch = context.criticals.setdefault(message.underlying, identity)
            return msgspec.structs.replace(message, batch=batch)
        batch, closes_at = queue.joined(message.underlying, identity, context.now_at, JOIN)
        due_at = max(context.now_at, min(closes_at, message.expires_at - _JOIN_MARGIN))
        return msgspec.structs.replace(message, batch=batch, due_at=due_at)


def _wants(channel: Channel, transition: Transition) -> bool:
    if transition.notify is not None:
        return channel.name in transition.notify
    return RANKS[transition.reach] >= RANKS[channel.min_severity]


def _is_at_start(transition: Transition) -> bool:
    return transition.kind == "firing" and transition.record.at_start
