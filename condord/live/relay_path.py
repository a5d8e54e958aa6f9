"""Recognize relays that follow each other in a loop: each answers with its own name and its sources' names."""

from __future__ import annotations

from typing import Literal

HEADER = "Condord-Relays"
"""The header of every answer of a relay, with its path as text."""
MAX_RELAYS = 16
MAX_NAME_LENGTH = 64

RelayLoop = Literal["itself", "others"]
"""Whom a relay would follow: itself, or other relays that follow it."""


class RelayPath:
    """The relays from this one to the condord of the account, as known from their answers.

    `own` names this process, and no other has the same name. Without one, as in a worker, which is a part of the relay
    that it follows, the path is the relay's.
    """

    def __init__(self, own: str = "") -> None:
        self._own = own
        self._followed: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The path, to be sent with each answer; empty if there is no relay in it."""
        return ", ".join((self._own, *self._followed) if self._own else self._followed)

    def follow(self, text: str) -> RelayLoop | None:
        """Note the path of the source; return how following it would make a loop, None if it would not.

        The names after one's own are left out, because a loop would add to them with each connection.
        """
        names = [name for each in text.split(",")[:MAX_RELAYS] if _is_name(name := each.strip())]
        if not self._own or self._own not in names:
            self._followed = tuple(names)
            return None
        self._followed = tuple(names[: names.index(self._own)])
        return "others" if self._followed else "itself"


def _is_name(text: str) -> bool:
    return text.isascii() and text.isalnum() and len(text) <= MAX_NAME_LENGTH
