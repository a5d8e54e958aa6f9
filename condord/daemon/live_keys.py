"""Apply a changed configuration to a running process, where that is possible.

Live keys are applied, and all others wait for a restart. `[alpaca]` is applied as a whole or not at all: if the account
or its address has to wait for a restart, so do the feed and the key that belong to it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from condord.config import schema
from condord.config.schema import Config
from condord.errors import CondordError, ConfigError
from condord.host import logs

LIVE_KEYS = frozenset(field.name for field in schema.fields() if field.is_live) | schema.TABLES.keys()

_log = logging.getLogger(__name__)


def reload(renew: Callable[[], list[str]], apply: Callable[[], None]) -> None:
    """Call `renew`, which returns the keys that need a restart, then `apply` unless `renew` fails; log the result."""
    try:
        needs_restart = renew()
    except CondordError as error:
        faults = error.faults if isinstance(error, ConfigError) else (str(error),)
        fields = logs.fields(code=error.code, faults=list(faults), hint=error.hint)
        _log.error("Configuration refused, nothing changed", extra=fields)
    else:
        apply()
        _log.info("Configuration reloaded", extra=logs.fields(needs_restart=needs_restart))


def differing(old: Config, new: Config) -> list[str]:
    """The keys and arrays of tables whose values differ, in the order of the schema."""
    names = (*(field.name for field in schema.fields()), *schema.TABLES)
    return [name for name in names if _value(old, name) != _value(new, name)]


def taken(old: Config, new: Config) -> Config:
    """The configuration in force once a process that has `old` in force reloads `new`."""
    changed = differing(old, new)
    waiting = {name for name in changed if name not in LIVE_KEYS}
    if any(name.startswith("alpaca.") for name in waiting):
        waiting |= {name for name in changed if name.startswith("alpaca.")}
    for name in set(changed) - waiting:
        section, _, key = name.partition(".")
        part = _value(new, name)
        if key:
            part = msgspec.structs.replace(getattr(old, section), **{key: part})
        old = msgspec.structs.replace(old, **{section: part})
    return old


def _value(config: Config, name: str) -> object:
    section, _, key = name.partition(".")
    return getattr(getattr(config, section), key) if key else getattr(config, section)
