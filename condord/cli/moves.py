"""Find the condors that have moved: whose profit or loss has changed since they were last shown. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from condord.live.wire_condor import ValuationJson

_E4_PER_DOLLAR = 10_000


class Move(NamedTuple):
    """A valuation, and the change of its profit or loss in dollars since the one shown before."""

    value: ValuationJson
    change: float


class Moves:
    """The profit or loss of each condor as it was last shown; `amount` is the smallest change to show, in dollars."""

    def __init__(self, amount: float) -> None:
        self._amount_e4 = _e4(amount)
        self._shown_e4: dict[str, int] = {}

    def moved(self, values: Iterable[ValuationJson]) -> list[Move]:
        """Return those that moved by at least the amount, which are shown now.

        The first known value of a condor is not a move. One that is not known is skipped.
        """
        found = []
        for value in values:
            if value.unrealized_pl is None:
                continue
            pl_e4 = _e4(value.unrealized_pl)
            change_e4 = pl_e4 - self._shown_e4.setdefault(value.id, pl_e4)
            if abs(change_e4) >= max(1, self._amount_e4):
                self._shown_e4[value.id] = pl_e4
                found.append(Move(value, change_e4 / _E4_PER_DOLLAR))
        return found


def _e4(amount: float) -> int:
    return round(amount * _E4_PER_DOLLAR)
