"""The memory of an account's past that survives restarts: its lifecycle, and what the current day began with."""

from __future__ import annotations

from condord.live.day import DayMemory
from condord.live.lifecycle import Memory


class Past(Memory, frozen=True, kw_only=True):
    """The memories of `Lifecycle` and `Day`."""

    day: DayMemory = DayMemory()


def past(memory: Memory, day: DayMemory) -> Past:
    """Join the two."""
    fields = {name: getattr(memory, name) for name in Memory.__struct_fields__}
    return Past(**fields, day=day)
