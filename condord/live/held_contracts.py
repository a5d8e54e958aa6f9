"""Index what is held: by contract, in the order of the document, and in the order of importance."""

from __future__ import annotations

from condord.core import valuation as values
from condord.core.condor import Condor
from condord.core.cover import Leftover
from condord.core.grouping.account import Grouping
from condord.core.worst_case import max_losses_e4
from condord.live.lifecycle import AccountReading


class HeldContracts:
    """The contracts of a grouped account.

    `listed` are the contracts in the order of the document. `max_losses_e4` is the worst case of each underlying, None
    where it has no bound.
    """

    def __init__(self) -> None:
        self.grouping = Grouping()
        self.condors_of: dict[str, list[Condor]] = {}
        self.leftover_of: dict[str, Leftover] = {}
        self.listed: tuple[str, ...] = ()
        self.max_losses_e4: dict[str, int | None] = {}

    def hold(self, reading: AccountReading) -> None:
        """Index `reading` in place of the earlier reading."""
        grouping = self.grouping = reading.grouping
        self.max_losses_e4 = max_losses_e4(
            values.as_grouped(reading.positions, grouping),
            grouping.pairs,
            calendar=reading.calendar,
            settled=reading.settled,
        )
        self.leftover_of = {left.position.symbol: left for left in grouping.unmatched}
        self.condors_of = {}
        for condor in grouping.condors:
            for leg in condor.legs:
                self.condors_of.setdefault(leg.symbol, []).append(condor)
        symbols = [position.symbol for position in reading.positions if position.contract is not None]
        self.listed = tuple(sorted(symbols))

    def rank(self, symbol: str) -> tuple[int, str]:
        """Sort short legs of condors first: they are kept when the stream has no room for more symbols."""
        legs = [leg for condor in self.condors_of.get(symbol, ()) for leg in condor.legs]
        if any(leg.symbol == symbol and leg.quantity < 0 for leg in legs):
            return 0, symbol
        return (1 if legs else 2), symbol
