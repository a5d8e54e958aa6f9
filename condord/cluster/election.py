"""Elect the ingester that leads: a state machine that takes the time as an argument.

| role         | moves to                                                                                              |
|--------------|-------------------------------------------------------------------------------------------------------|
| standby      | candidate, when it is time to ask for the lease                                                       |
| candidate    | leading, with the lease; standby, if another has it or no clear answer comes                          |
| leading      | steppingDown: the lease is lost or runs out, or the process stops                                     |
| steppingDown | standby, once the maker has ended; what is left of the lease is released                              |

The lease counts from when it was asked for, which is before the server begins to count, so it ends here first. The
maker ends a margin before that, even while an answer is awaited. Times are seconds of a clock that also runs while the
machine sleeps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

ElectionRole = Literal["standby", "candidate", "leading", "steppingDown"]

RENEWALS = 3
"""How often a lease is renewed within its length."""
MARGIN_SHARE, MIN_MARGIN_SECONDS = 0.15, 0.2
"""How long before the end of its lease a maker ends: a share of the lease, and the least in seconds."""
MAX_POLL_SECONDS = 0.5
"""The longest time between two attempts of a standby to get the lease."""


class Acquire(NamedTuple):
    """Ask for the lease; the answer comes with `number`."""

    number: int


class Renew(NamedTuple):
    """Renew the lease; the answer comes with `number`."""

    number: int
    fence: int


class Release(NamedTuple):
    """Give the lease back. No answer is needed: it ends by itself."""

    fence: int


class Lead(NamedTuple):
    """Start a maker, which may run until `until`."""

    fence: int
    until: float


class Extend(NamedTuple):
    """Let the maker run until `until`."""

    until: float


class StopMaker(NamedTuple):
    """End the maker: at once, or gracefully, while the lease is still renewed."""

    at_once: bool


Command = Acquire | Renew | Release | Lead | Extend | StopMaker


class Election:
    """One ingester's part in the election. Each method returns the commands to carry out, in order.

    `lease_seconds` is how long a lease lives. `last_fence` is the fence of this process's last maker, 0 before the
    first. `chance` returns a number in [0, 1), which spreads the attempts.
    """

    def __init__(self, lease_seconds: float, *, chance: Callable[[], float]) -> None:
        self.role: ElectionRole = "standby"
        self.fence: int | None = None
        self._lease_seconds = lease_seconds
        self.last_fence = 0
        self._chance = chance
        self._number = 0
        self._asked_at: float | None = None
        self._try_at = 0.0
        self._renew_at = 0.0
        self._until = 0.0
        self._has_lease = False
        self._is_leaving = False

    def set_lease_seconds(self, lease_seconds: float) -> None:
        """Set how long the next lease lives."""
        self._lease_seconds = lease_seconds

    @property
    def is_over(self) -> bool:
        """Whether this ingester has left and has no maker."""
        return self._is_leaving and self.role == "standby"

    @property
    def is_leader(self) -> bool:
        """Whether this ingester leads, or is stopping gracefully and still has the lease."""
        return self.role in ("leading", "steppingDown") and self._has_lease

    @property
    def deadline(self) -> float | None:
        """When `tick` is due; None if only an answer or the end of the maker changes anything."""
        if self.role == "standby":
            return None if self._is_leaving else self._try_at
        if not self._has_lease:
            return None
        return self._until if self._asked_at is not None else min(self._until, self._renew_at)

    def tick(self, now: float) -> list[Command]:
        """Do what is due."""
        if self._has_lease:
            if now >= self._until:
                return self._lose()
            if self._asked_at is None and now >= self._renew_at:
                return [self._renewal(now)]
        elif self.role == "standby" and not self._is_leaving and now >= self._try_at:
            self.role = "candidate"
            return [Acquire(self._ask(now))]
        return []

    # Answers. An answer to any request but the last is ignored.

    def acquired(self, number: int, now: float, fence: int) -> list[Command]:
        """Lead, unless the lease is nearly over or has the fence of an earlier maker, as each maker needs its own."""
        asked_at = self._answer(number)
        if asked_at is None:
            return []
        self._extend(asked_at)
        if now >= self._until or fence <= self.last_fence:
            self._stand_by(now, self._poll_seconds())
            return [Release(fence)]
        self.last_fence = fence
        self.role, self.fence = "leading", fence
        return [Lead(fence, self._until)]

    def refused(self, number: int, now: float) -> list[Command]:
        """Note that another has the lease."""
        if self._answer(number) is not None:
            self._stand_by(now, self._poll_seconds())
        return []

    def renewed(self, number: int, now: float, *, is_ours: bool) -> list[Command]:
        """Extend the term, or end it if the lease is no longer ours."""
        asked_at = self._answer(number)
        if asked_at is None:
            return []
        if not is_ours:
            return self._lose()
        self._extend(asked_at)
        return self.tick(now) if now >= self._until else [Extend(self._until)]

    def failed(self, number: int, now: float) -> list[Command]:
        """Note that a request got no clear answer, so it may have been carried out."""
        if self._answer(number) is None:
            return []
        if self.role == "candidate":
            self._stand_by(now, self._poll_seconds())
        else:
            self._renew_at = now + self._poll_seconds()
        return []

    # The maker, and the process.

    def maker_ended(self, now: float, pause_seconds: float) -> list[Command]:
        """Give the lease back, and stand by for `pause_seconds` at least, so that others can take it."""
        fence, has_lease = self.fence, self._has_lease
        self._stand_by(now, max(pause_seconds, self._poll_seconds()))
        return [Release(fence)] if has_lease and fence is not None else []

    def leave(self) -> list[Command]:
        """Take no further part, as the process stops. `is_over` becomes true when the maker has ended."""
        self._is_leaving = True
        if self.role == "candidate":
            self._asked_at, self.role = None, "standby"  # if the lease is still granted, it ends by itself
        if self.role != "leading":
            return []
        self.role = "steppingDown"
        return [StopMaker(at_once=False)]

    def _extend(self, asked_at: float) -> None:
        margin = max(MARGIN_SHARE * self._lease_seconds, MIN_MARGIN_SECONDS)
        self._has_lease = True
        self._until = asked_at + self._lease_seconds - margin
        self._renew_at = asked_at + self._lease_seconds / RENEWALS

    def _lose(self) -> list[Command]:
        self.role, self._has_lease, self._asked_at = "steppingDown", False, None
        return [StopMaker(at_once=True)]

    def _stand_by(self, now: float, pause_seconds: float) -> None:
        self.role, self.fence, self._has_lease, self._asked_at = "standby", None, False, None
        self._try_at = now + pause_seconds

    def _renewal(self, now: float) -> Renew:
        assert self.fence is not None  # noqa: S101 - there is one with every lease
        return Renew(self._ask(now), self.fence)

    def _ask(self, now: float) -> int:
        self._number += 1
        self._asked_at = now
        return self._number

    def _answer(self, number: int) -> float | None:
        """Return when the request was made; None if another one has replaced it."""
        if number != self._number:
            return None
        asked_at, self._asked_at = self._asked_at, None
        return asked_at

    def _poll_seconds(self) -> float:
        return min(self._lease_seconds / 6, MAX_POLL_SECONDS) * (0.75 + self._chance() / 2)
