"""The words that the shell offers after Tab.

A failure offers and prints nothing, as a message would appear in the line that is being typed.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, get_args, get_type_hints

import typer

from condord.cli import options
from condord.cli.screen import plain
from condord.config import schema
from condord.errors import CondordError

if TYPE_CHECKING:
    from condord.client.http import Daemon
    from condord.live.wire_alerts import AlertsJson

TIMEOUT_SECONDS = 0.5

Words = list[tuple[str, str]]
"""Words, each with its description."""


def condor_ids(context: typer.Context, incomplete: str) -> Words:
    """Return the condors that the daemon holds now, and then those that are broken."""
    from condord.cli import formatting
    from condord.client.http import decoded
    from condord.live.wire import Document

    try:
        document = decoded(_daemon(context).positions(), Document)
    except (CondordError, typer.BadParameter):
        return []
    kinds = {condor.id: formatting.kind(condor) for condor in document.condors}
    broken = {each.id: f"broken {formatting.kind(each)}" for each in document.broken if each.id not in kinds}
    return _matching((kinds | broken).items(), incomplete)


def sorts(incomplete: str) -> Words:
    """Return the orders of the table."""
    from condord.cli.view import SORTS

    return _matching(SORTS.items(), incomplete)


def shows(context: typer.Context, incomplete: str) -> Words:
    """Return the filters of the table, and the symbols that condors are held on."""
    from condord.cli.view import SHOWS
    from condord.client.http import decoded
    from condord.live.urgency import symbols
    from condord.live.wire import Document

    try:
        held = symbols(decoded(_daemon(context).positions(), Document))
    except (CondordError, typer.BadParameter):
        held = []
    return _matching([*SHOWS.items(), *((symbol, "condors on it") for symbol in held)], incomplete)


def recorded_ids(context: typer.Context, incomplete: str) -> Words:
    """Return the condors that the daemon holds, and then those that were closed, the newest first."""
    from condord.client.http import decoded
    from condord.core.market_hours import exchange_day
    from condord.live.wire_history import TradesJson

    words = condor_ids(context, incomplete)
    try:
        closed = decoded(_daemon(context).trades({}), TradesJson).trades
    except (CondordError, typer.BadParameter):
        return words
    ended = {trade.id: f"closed {exchange_day(trade.closed_at)}" for trade in reversed(closed)}
    held = {word for word, _ in words}
    return words + _matching([word for word in reversed(ended.items()) if word[0] not in held], incomplete)


def alert_ids(context: typer.Context, incomplete: str) -> Words:
    """Return the alerts that fire and are not acknowledged, the most severe first."""
    from condord.cli.alert_lines import ordered

    waiting = (alert for alert in ordered(_alerts(context).alerts, None) if alert.acknowledged_at is None)
    return _matching([(alert.id, f"{alert.severity}: {plain(alert.text)}") for alert in waiting], incomplete)


def channels(context: typer.Context, incomplete: str) -> Words:
    """Return the channels that the daemon delivers to."""
    return _matching([(channel.name, channel.type) for channel in _alerts(context).channels], incomplete)


def _alerts(context: typer.Context) -> AlertsJson:
    """Return the alerts and channels of the daemon; none without a daemon."""
    from condord.client.http import decoded
    from condord.live.wire_alerts import AlertsJson

    try:
        return decoded(_daemon(context).alerts(), AlertsJson)
    except (CondordError, typer.BadParameter):
        return AlertsJson(as_of=dt.datetime.min.replace(tzinfo=dt.UTC), alerts=[], rules=[], channels=[])


def _daemon(context: typer.Context) -> Daemon:
    from condord.cli.daemon_address import find_daemon

    url = context.params.get("url") or options.parent_url(context)
    return find_daemon(url, os.environ, TIMEOUT_SECONDS)


def scenarios(incomplete: str) -> Words:
    """Return the scenarios that `simulate` knows."""
    from condord.simulator import SCENARIOS  # 0.2 s, only needed after Tab

    return _matching([(scenario.name, scenario.description) for scenario in SCENARIOS], incomplete)


def log_levels(incomplete: str) -> Words:
    """Return the values of `log.level`."""
    return _matching([(level, "") for level in get_args(get_type_hints(schema.Log)["level"])], incomplete)


def log_formats(incomplete: str) -> Words:
    """Return the values of `log.format`."""
    return _matching([(name, "") for name in get_args(get_type_hints(schema.Log)["format"])], incomplete)


def _matching(words: Iterable[tuple[str, str]], incomplete: str) -> Words:
    return [(word, description) for word, description in words if word.startswith(incomplete)]
