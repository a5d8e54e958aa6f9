"""Messages: one transition of an alert for one channel, as webhooks and Apprise send it."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from condord.core.rules.rule import Severity
from condord.live.alert_records import Instant, Transition
from condord.live.wire_alerts import AlertJson

Kind = Literal["firing", "resolved", "ended", "repeat"]
Key = tuple[str, str]
"""The channel and the id of a message."""

RANKS: dict[Severity, int] = {"info": 0, "warning": 1, "critical": 2}
MAX_LINES = 20
"""How many alerts one Apprise message names."""
MAX_LINE = 500
"""How many characters of a sentence an Apprise message has."""

_TYPES: dict[Kind, str] = {
    "firing": "condord.alert.firing",
    "repeat": "condord.alert.firing",
    "resolved": "condord.alert.resolved",
    "ended": "condord.alert.ended",
}
_STARTS: dict[Kind, str] = {"firing": "", "repeat": "Still: ", "resolved": "Resolved: ", "ended": "Ended: "}
_APPRISE_TYPES: dict[Severity, str] = {"info": "info", "warning": "warning", "critical": "failure"}
_TEST_TEXT = "This is a test of the channel {name}. No alert fires."


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message in the outbox. `id` is the same over retries and restarts, and for all channels.

    `data` is the JSON of the alert. Messages of one `batch` are one Apprise message. `is_held`: it waits for the end of
    quiet hours, and does not expire. `sequence` is its place in the order of all messages.
    """

    sequence: int
    channel: str
    id: str
    kind: Kind
    alert_id: str
    severity: Severity
    underlying: str | None
    text: str
    data: str
    at: Instant
    batch: str
    due_at: Instant
    expires_at: Instant
    attempts: int = 0
    is_held: bool = False

    @property
    def key(self) -> Key:
        """The key that identifies the message."""
        return self.channel, self.id

    @property
    def is_critical(self) -> bool:
        """Whether quiet hours and joining do not apply to it."""
        return self.severity == "critical"


class WebhookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a webhook, and its `webhook-id`."""

    id: str
    body: bytes


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """A notification to send with Apprise. `type` is info, success, warning or failure."""

    title: str
    body: str
    type: str


class _AlertBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    type: str
    timestamp: dt.datetime
    expires_at: dt.datetime
    data: msgspec.Raw


class _TestBody(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    timestamp: dt.datetime
    data: dict[str, str]


def message_id(account: str, transition: Transition) -> str:
    """Return the `webhook-id` of a transition of an alert of `account`, which is a hash."""
    record = transition.record
    repeats = record.repeats if transition.kind == "repeat" else 0
    parts = (account, record.id, record.serial, record.since.isoformat(), transition.kind, repeats)
    return "msg_" + hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]


def data_of(transition: Transition, document: AlertJson) -> str:
    """Return the JSON of the alert, with `repeat`, which counts from 1, where it repeats."""
    if transition.kind != "repeat":
        return msgspec.json.encode(document).decode()
    data = msgspec.to_builtins(document)
    return msgspec.json.encode({**data, "repeat": max(transition.record.repeats, 1)}).decode()


def instant_of(transition: Transition, now_at: dt.datetime) -> dt.datetime:
    """Return when the transition happened."""
    if transition.kind == "firing":
        return transition.record.since
    return now_at if transition.kind == "repeat" else transition.record.until or now_at


def webhook_request(message: Message) -> WebhookRequest:
    """Return the webhook of a message; it is the same for every attempt."""
    envelope = _AlertBody(
        type=_TYPES[message.kind],
        timestamp=message.at,
        expires_at=message.expires_at,
        data=msgspec.Raw(message.data.encode()),
    )
    return WebhookRequest(id=message.id, body=msgspec.json.encode(envelope))


def note(messages: Sequence[Message]) -> Note:
    """Return one Apprise message for all of `messages` (not empty)."""
    shown = messages[:MAX_LINES]
    lines = [_STARTS[message.kind] + _line(message.text) for message in shown]
    if len(messages) > len(shown):
        lines.append(f"And {len(messages) - len(shown)} more. `condord alerts` shows all of them.")
    return Note(title=_title(messages), body="\n".join(lines), type=_apprise_type(messages))


def trial_request(name: str, message_id: str, at: dt.datetime) -> WebhookRequest:
    """Return the webhook that tests the channel `name`."""
    body = _TestBody(type="condord.test", timestamp=at, data={"channel": name, "text": _TEST_TEXT.format(name=name)})
    return WebhookRequest(id=message_id, body=msgspec.json.encode(body))


def trial_note(name: str) -> Note:
    """Return the Apprise message that tests the channel `name`."""
    return Note(title="condord: test", body=_TEST_TEXT.format(name=name), type="info")


def _title(messages: Sequence[Message]) -> str:
    about = {message.underlying for message in messages}
    subject = next(iter(about)) if len(about) == 1 else None
    start = f"condord {subject}" if subject else "condord"
    if len(messages) > 1:
        critical = sum(message.is_critical and message.kind in ("firing", "repeat") for message in messages)
        return f"{start}: {len(messages)} alerts" + (f", {critical} critical" if critical else "")
    (message,) = messages
    return f"{start}: {message.severity if message.kind in ('firing', 'repeat') else message.kind}"


def _apprise_type(messages: Sequence[Message]) -> str:
    firing = [message.severity for message in messages if message.kind in ("firing", "repeat")]
    return _APPRISE_TYPES[max(firing, key=RANKS.__getitem__)] if firing else "success"


def _line(text: str) -> str:
    line = re.sub(r"\s+", " ", text).strip()
    return line if len(line) <= MAX_LINE else line[: MAX_LINE - 1] + "…"
