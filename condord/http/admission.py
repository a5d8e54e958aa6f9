"""Choose which connections stay when there are too many.

The number of slots is limited. When all are taken, a new connection evicts an unadmitted one, none of whose requests
has been authorized. If there is none, it evicts a waiting one. If every connection is busy, the new one is refused.

The connection that has been in its state for longest is evicted first, because the newest may not have had time to
send its token.

An evicted connection stays open for a moment, so that the client can read why. The number of these is limited too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

Standing = Literal["unadmitted", "waiting", "busy"]
"""`unadmitted`: no request of the connection was authorized yet. `waiting`: one was, and now the connection is idle or
its client does not read the answer. `busy`: an authorized request is being answered."""


class Evictable(Protocol):
    """A connection, as admission control sees it. Every connection ends with a call of `AdmissionControl.gone`."""

    def give_way(self) -> None:
        """Give up the slot to another connection: call `leave` or `gone` before returning."""

    def drop(self) -> None:
        """Close at once: call `gone` before returning."""


class AdmissionControl:
    """Slots for connections.

    `slots` returns their current number. In addition, at most `max_leaving` evicted connections stay open.
    """

    def __init__(self, *, slots: Callable[[], int], max_leaving: int) -> None:
        self._slots = slots
        self._max_leaving = max_leaving
        self._inside: set[Evictable] = set()
        # Dictionaries serve as ordered sets: the first key has been in the state for longest.
        self._unadmitted: dict[Evictable, None] = {}
        self._waiting: dict[Evictable, None] = {}
        self._leaving: dict[Evictable, None] = {}

    def enter(self, connection: Evictable) -> bool:
        """Take a slot for `connection`, if necessary by evicting another; False if every slot is busy."""
        if len(self._inside) >= self._slots():
            longest = next(iter(self._unadmitted or self._waiting), None)
            if longest is None:
                return False
            longest.give_way()
        self._inside.add(connection)
        return True

    def note(self, connection: Evictable, standing: Standing) -> None:
        """Record the standing of `connection`. An unchanged standing keeps its position in the queue."""
        for name, queue in (("unadmitted", self._unadmitted), ("waiting", self._waiting)):
            if name != standing:
                queue.pop(connection, None)
            elif connection in self._inside:
                queue.setdefault(connection)

    def leave(self, connection: Evictable) -> None:
        """Free the slot of `connection`, which stays open until its client has read why it is refused."""
        self.gone(connection)
        self._leaving[connection] = None
        if len(self._leaving) > self._max_leaving:
            next(iter(self._leaving)).drop()

    def gone(self, connection: Evictable) -> None:
        """Forget `connection`."""
        self._inside.discard(connection)
        self._unadmitted.pop(connection, None)
        self._waiting.pop(connection, None)
        self._leaving.pop(connection, None)
