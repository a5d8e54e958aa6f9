"""The words that the shell offers after Tab.

A failure offers and prints nothing, as a message would appear in the line that is being typed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, get_args, get_type_hints

import typer

from condord.config import schema
from condord.errors import CondordError

if TYPE_CHECKING:
    from condord.client.http import Daemon

TIMEOUT_SECONDS = 0.5

Words = list[tuple[str, str]]
"""Words, each with its description."""


def condor_ids(context: typer.Context, incomplete: str) -> Words:
    """Return the condors that the daemon of the command holds now."""
    from condord.cli import formatting
    from condord.client.http import decoded
    from condord.live.wire import Document

    try:
        held = decoded(_daemon(context).positions(), Document).condors
    except (CondordError, typer.BadParameter):
        return []
    return _matching([(condor.id, formatting.kind(condor)) for condor in held], incomplete)


def recorded_ids(context: typer.Context, incomplete: str) -> Words:
    """Return the condors that the daemon of the command holds, and then those that were closed, the newest first."""
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


def _daemon(context: typer.Context) -> Daemon:
    from condord.cli.daemon_address import find_daemon

    return find_daemon(context.params.get("url"), os.environ, TIMEOUT_SECONDS)


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
