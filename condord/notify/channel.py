"""A channel as it is configured, with its secrets read, and how its last attempts ended."""

from __future__ import annotations

import datetime as dt
import hashlib
from zoneinfo import ZoneInfo

import msgspec

from condord.core.rules.rule import Severity
from condord.host.secret import Secret
from condord.live.alert_records import Instant
from condord.live.wire_alerts import ChannelType


class ChannelQuietHours(msgspec.Struct, frozen=True, kw_only=True):
    """Quiet hours from `begin` to `end`, the latter not included, in local time; they may span midnight."""

    begin: dt.time
    end: dt.time
    zone: ZoneInfo


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """`url` is a webhook's URL, or any that Apprise takes. `signing_key` signs webhooks; None: they are not signed."""

    name: str
    type: ChannelType
    url: Secret
    signing_key: Secret | None = None
    min_severity: Severity = "warning"
    quiet: ChannelQuietHours | None = None


def url_digest(channel: Channel) -> str:
    """Return a text that differs where the URL does, and does not show it."""
    return hashlib.sha256(channel.url.reveal().encode()).hexdigest()[:16]


class ChannelState(msgspec.Struct, frozen=True, kw_only=True):
    """How the last attempts of a channel ended. `last_error` is None if the last one succeeded.

    `gone` is the digest of the URL whose receiver answered 410, empty unless that was its last answer.
    """

    name: str
    last_delivery_at: Instant | None = None
    last_error: str | None = None
    gone: str = ""
