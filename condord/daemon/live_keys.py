"""Find which keys of a changed configuration a running process can apply.

The live keys are applied and the others wait for a restart. `[alpaca]` is applied as a whole or not at all: while the
account or its address waits for a restart, so do the feed and the key that belong to it.
"""

from __future__ import annotations

import msgspec

from condord.config import schema
from condord.config.schema import Config

LIVE_KEYS = frozenset(field.name for field in schema.fields() if field.is_live) | schema.TABLES.keys()


def differing(old: Config, new: Config) -> list[str]:
    """The keys and arrays of tables whose values differ, in the order of the schema."""
    names = (*(field.name for field in schema.fields()), *schema.TABLES)
    return [name for name in names if _value(old, name) != _value(new, name)]


def taken(old: Config, new: Config) -> Config:
    """The configuration in force after a daemon with `old` has reloaded `new`."""
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
