"""The public JSON of alerts, rules and channels."""

from __future__ import annotations

from typing import Literal

from condord.core.rules.rule import Basis, Severity
from condord.live.wire_values import Instant, PublicJson

AlertState = Literal["firing", "resolved", "ended"]
ChannelType = Literal["apprise", "webhook"]


class AlertJson(PublicJson, frozen=True, kw_only=True):
    """The latest alert of one rule and one subject; `id` is `rule:condorId`, `rule:SYMBOL` or `rule:account`.

    `until` is when it resolved or ended. `value` comes from the last transition, `threshold` from the rule. `basis`
    is null for quantities without one. `atStart`: it held already when the rule was first evaluated.
    """

    id: str
    rule: str
    condor_id: str | None
    underlying: str | None
    severity: Severity
    state: AlertState
    since: Instant
    until: Instant | None
    value: float | None
    threshold: float | None
    basis: Basis | None
    text: str
    at_start: bool
    acknowledged_at: Instant | None


class AlertCounts(PublicJson, frozen=True, kw_only=True):
    """How many alerts fire, by severity."""

    critical: int = 0
    warning: int = 0
    info: int = 0


class RuleJson(PublicJson, frozen=True, kw_only=True):
    """A rule in force, or one that is turned off; conditions as they are written."""

    name: str
    when: list[str]
    clear: list[str]
    for_seconds: float
    basis: Basis
    severity: Severity
    built_in: bool
    enabled: bool


class ChannelJson(PublicJson, frozen=True, kw_only=True):
    """A notification channel, without its address.

    `waiting` counts messages in the outbox. After an answer of 410, a channel is `disabled` until the next
    start or until its configuration changes.
    """

    name: str
    type: ChannelType
    min_severity: Severity
    last_delivery_at: Instant | None
    last_error: str | None
    waiting: int
    disabled: bool


class AlertsJson(PublicJson, frozen=True, kw_only=True):
    """`GET /api/alerts`: all alerts, those firing first, the rules, and the channels."""

    as_of: Instant
    alerts: list[AlertJson]
    rules: list[RuleJson]
    channels: list[ChannelJson]


class ChannelTestJson(PublicJson, frozen=True, kw_only=True):
    """`POST /api/channels/{name}/test`: how the channel answered. `status` is the HTTP status, null without one."""

    ok: bool
    status: int | None
    text: str
