"""Remember the denials of a NATS server. It reports them in errors that belong to no call."""

from __future__ import annotations

from collections.abc import Callable, Collection

from condord.live.remedies import FORBIDDEN_REMEDY, with_remedy

STANDING_SECONDS = 15.0
"""How long a denial counts: a needed operation is tried again before that, and may be permitted then."""
MAX_DENIALS = 100


def publishing(subject: str) -> str:
    """Return the words for publishing to a subject, as a server that forbids it names that."""
    return f"publish to {subject}"


def subscribing(subject: str) -> str:
    """Return the words for subscribing to a subject."""
    return f"subscribe to {subject}"


class Denials:
    """The operations that the server of the current connection denies, as `publishing` and `subscribing` name them.

    `now` is a clock in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._at: dict[str, float] = {}

    def clear(self) -> None:
        """Note that another connection begins."""
        self._at.clear()

    def add(self, what: str) -> bool:
        """Note that something is forbidden, and return whether that is new. After `MAX_DENIALS` nothing is new."""
        is_new = what not in self._at
        if is_new and len(self._at) >= MAX_DENIALS:
            return False
        self._at[what] = self._now()
        return is_new

    def first(self, whats: Collection[str]) -> str | None:
        """Return the first of `whats` that is forbidden; None if none is."""
        since = self._now() - STANDING_SECONDS
        return next((what for what in whats if self._at.get(what, since) > since), None)

    def settle(self, whats: Collection[str], since: float) -> None:
        """Note that these were tried at `since`: those that were not forbidden again are permitted now."""
        for what in whats:
            if self._at.get(what, since) < since:
                del self._at[what]

    @property
    def text(self) -> str | None:
        """The denied operations as a sentence with the remedy; None if there are none."""
        what = self.first(self._at)
        return None if what is None else with_remedy(f"the bus forbids this user to {what}", FORBIDDEN_REMEDY)
