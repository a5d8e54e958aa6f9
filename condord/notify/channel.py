"""A channel as it is configured, with its secrets read."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import msgspec

from condord.core.rules.rule import Severity
from condord.host.secret import Secret
from condord.live.wire_alerts import ChannelType


class Quiet(msgspec.Struct, frozen=True, kw_only=True):
    """Quiet hours from `begin` to `end`, the latter not included, in local time; they may pass midnight."""

    begin: dt.time
    end: dt.time
    zone: ZoneInfo


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """`url` is that of a webhook, or any that Apprise takes. `signing_key` signs webhooks, None without one."""

    name: str
    type: ChannelType
    url: Secret
    signing_key: Secret | None = None
    min_severity: Severity = "warning"
    quiet: Quiet | None = None
