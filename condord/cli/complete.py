"""Decides which words the shell offers after Tab.

Rules: whoever types waits for nobody: a daemon that does not answer in half a second, or not at all, offers nothing,
and no failure is told, for it would stand in the line that is being typed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import get_args, get_type_hints

import typer

from condord import config
from condord.errors import CondordError

PATIENCE_SECONDS = 0.5

Offer = list[tuple[str, str]]
"""Words, each with what it means."""


def condor_ids(context: typer.Context, incomplete: str) -> Offer:
    """The condors that are held now, by the daemon that the command would ask."""
    from condord.cli import words
    from condord.cli.find import find
    from condord.client import decoded
    from condord.live.wire import Document

    try:
        daemon = find(context.params.get("url"), os.environ, PATIENCE_SECONDS)
        held = decoded(daemon.positions(), Document).condors
    except (CondordError, typer.BadParameter):  # see the rules
        return []
    return _beginning([(condor.id, words.kind(condor)) for condor in held], incomplete)


def scenarios(incomplete: str) -> Offer:
    """What `simulate` can play."""
    from condord.simulator import SCENARIOS  # 0.2 s, and only after Tab

    return _beginning([(scenario.name, scenario.sentence) for scenario in SCENARIOS], incomplete)


def log_levels(incomplete: str) -> Offer:
    """What `log.level` can be."""
    return _beginning([(level, "") for level in get_args(get_type_hints(config.Log)["level"])], incomplete)


def log_formats(incomplete: str) -> Offer:
    """What `log.format` can be."""
    return _beginning([(name, "") for name in get_args(get_type_hints(config.Log)["format"])], incomplete)


def _beginning(offer: Iterable[tuple[str, str]], incomplete: str) -> Offer:
    return [(word, meaning) for word, meaning in offer if word.startswith(incomplete)]
