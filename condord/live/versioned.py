"""Hold published objects by key, and which event brought each of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import takewhile
from typing import Generic, TypeVar

Core = TypeVar("Core")
Json = TypeVar("Json")


class Versioned(Generic[Core, Json]):
    """Published objects by key, in document order: the core value, its JSON, and the event that brought it."""

    def __init__(self) -> None:
        self.core: dict[str, Core] = {}
        self.json: dict[str, Json] = {}
        self._numbers: dict[str, int] = {}  # of objects put since `fill`, the newest last

    def fill(self, entries: Iterable[tuple[str, Core, Json]]) -> None:
        """Hold `entries` and nothing else. No event is noted, because a snapshot contains them."""
        self.core, self.json, self._numbers = {}, {}, {}
        for key, core, json in entries:
            self.core[key], self.json[key] = core, json

    def fill_shown(self, entries: Iterable[tuple[str, Json]]) -> None:
        """Like `fill`, without core values."""
        self.core, self.json, self._numbers = {}, dict(entries), {}

    def put(self, key: str, core: Core, json: Json, number: int) -> None:
        """Replace the object of `key`; event `number`, the newest of all, brings it."""
        self.core[key] = core
        self.show(key, json, number)

    def show(self, key: str, json: Json, number: int) -> None:
        """Like `put`, without core values."""
        self.json[key] = json
        self._numbers.pop(key, None)
        self._numbers[key] = number

    def since(self, number: int, keys: frozenset[str] | None = None) -> list[str]:
        """Return the keys whose objects came after event `number`, or those of them in `keys`."""
        if keys is not None:
            return [key for key in sorted(common(keys, self._numbers)) if self._numbers[key] > number]
        return list(takewhile(lambda key: self._numbers[key] > number, reversed(self._numbers)))

    def new(self, number: int, keys: frozenset[str] | None = None) -> list[Json]:
        """Return the JSON of `since`."""
        return [self.json[key] for key in self.since(number, keys)]

    def among(self, keys: frozenset[str] | None) -> list[Json]:
        """Return the JSON of all objects, or of those in `keys`, in document order."""
        return [json for key, json in self.json.items() if keys is None or key in keys]


def common(names: Collection[str], known: Collection[str]) -> frozenset[str]:
    """Return the known ones of `names`, in time proportional to the shorter: a filter may have many unknown names."""
    few, many = (names, known) if len(names) < len(known) else (known, names)
    return frozenset(name for name in few if name in many)
