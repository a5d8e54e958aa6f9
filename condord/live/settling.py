"""Decides when a changed account is shown: at once, or after a moment in which its legs may still be changing.

A multi-leg order fills leg by leg, and one reading may show 1 to 3 of its 4 legs. So a reading that leaves contracts
over which were not left over before is held for `settle_seconds`, and the last whole account stays; a reading
without new leftovers is shown at once, and what is still in pieces when the time is over is shown as it is.
The time runs from the first such reading: readings that keep changing cannot put it off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

Account = TypeVar("Account")


class Settling(Generic[Account]):
    """Holds back an account in pieces. `settle_seconds` may be 0, which holds nothing back."""

    def __init__(self, settle_seconds: float) -> None:
        self.settle_seconds = settle_seconds
        self._held: Account | None = None
        self._since: float | None = None
        self._leftovers: Mapping[str, int] | None = None
        self._held_leftovers: Mapping[str, int] = {}

    @property
    def deadline(self) -> float | None:
        """When `expire` is due, in loop seconds; None: nothing is held back."""
        return None if self._since is None else self._since + self.settle_seconds

    def offer(self, account: Account, leftovers: Mapping[str, int], now: float) -> Account | None:
        """Take a reading; the account to show, or None where it is held back.

        `leftovers` has the signed contracts by symbol that would be in no condor. The first account is never held.
        """
        if self._leftovers is None or self.settle_seconds <= 0 or not self._is_in_pieces(leftovers):
            return self._show(account, leftovers)
        self._held = account
        self._held_leftovers = leftovers
        if self._since is None:
            self._since = now
        return self.expire(now)

    def expire(self, now: float) -> Account | None:
        """The account that has been held back for long enough, or None."""
        deadline = self.deadline
        if deadline is None or now < deadline or self._held is None:
            return None
        return self._show(self._held, self._held_leftovers)

    def _show(self, account: Account, leftovers: Mapping[str, int]) -> Account:
        self._held = self._since = None
        self._leftovers = dict(leftovers)
        return account

    def _is_in_pieces(self, leftovers: Mapping[str, int]) -> bool:
        """Whether contracts are left over that were not before; fewer of them, or none, is no piece of a change."""
        before = self._leftovers or {}
        return any(
            abs(quantity) > abs(before.get(symbol, 0)) or quantity * before.get(symbol, 0) < 0
            for symbol, quantity in leftovers.items()
        )
