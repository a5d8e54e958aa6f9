"""Decides who may come in, and who goes when there are too many.

Rules: there is room for so many connections. One more sends away whoever has been waiting longest without having asked
for anything, so that stalled or idle clients keep nobody out; where all have asked, the newcomer is refused. Those sent
away may read why for a moment, in a bounded number beside the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Guest(Protocol):
    """A connection, as the door sees it; it says `gone` in the end."""

    def give_way(self) -> None:
        """Leave for another, and call `leave` or `gone` in this turn."""

    def drop(self) -> None:
        """Go at once, and call `gone` in this turn."""


class Door:
    """`room` says for how many there is room now, `leaving` how many more may be on their way out."""

    def __init__(self, *, room: Callable[[], int], leaving: int) -> None:
        self._room = room
        self._most_leaving = leaving
        self._inside: set[Guest] = set()
        self._waiting: dict[Guest, None] = {}
        self._leaving: dict[Guest, None] = {}

    def enter(self, guest: Guest) -> bool:
        """Whether `guest` is in."""
        if len(self._inside) >= self._room():
            longest = next(iter(self._waiting), None)
            if longest is None:
                return False
            longest.give_way()
        self._inside.add(guest)
        return True

    def note(self, guest: Guest, *, is_waiting: bool) -> None:
        """Whether `guest`, who is in, waits from now on; who waits already keeps its turn."""
        if not is_waiting:
            self._waiting.pop(guest, None)
        elif guest in self._inside:
            self._waiting.setdefault(guest)

    def leave(self, guest: Guest) -> None:
        """`guest` is on its way out, and needs no room."""
        self.gone(guest)
        self._leaving[guest] = None
        if len(self._leaving) > self._most_leaving:
            next(iter(self._leaving)).drop()

    def gone(self, guest: Guest) -> None:
        """`guest` is of no more concern."""
        self._inside.discard(guest)
        self._waiting.pop(guest, None)
        self._leaving.pop(guest, None)
