"""A closed condor, or the part of one that was closed.

Money is in integers of 1e-4 dollars, for the whole quantity; `credit_e4` and `debit_e4` are net per share.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from condord.core.cost import divide
from condord.core.position import Direction, Kind

_CENT_E4 = 100

How = Literal["closed", "partlyClosed", "expired", "assigned", "rolled"]
"""How a trade ended. `closed` closes the rest of a condor, by one order or leg by leg, `partlyClosed` a part of it.

`rolled` has only the legs that a roll closed.
"""


class DeliveredShares(msgspec.Struct, frozen=True, kw_only=True):
    """The net shares that assignments and exercises brought (+) or took (-).

    `price_e4` is the close of the day on which they did, in 1e-4 dollars per share; None while it is not known.
    """

    symbol: str
    quantity: int
    price_e4: int | None


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One trade; `id`, `opened_at` and `closed_at` identify it.

    `credit_e4` is negative for what was paid to open, `debit_e4` for what was received to close. `realized_e4` is
    before fees. `fees_e4` is the positive sum of the fees of its fills, None if there is none. `max_profit_e4` is the
    maximum profit of the condor as it was opened, for `quantity`. Everything else that is None is not known.
    `rolled_to` is the id of the condor that a roll led to. `is_whole` is true if it ended all that was opened, and
    nothing of it was closed or rolled before. Only then are the extremes of the holding those of the trade.
    """

    id: str
    underlying: str
    kind: Kind
    direction: Direction
    quantity: int
    opened_at: dt.datetime | None
    closed_at: dt.datetime
    how: How
    credit_e4: int | None
    debit_e4: int | None
    realized_e4: int | None
    max_profit_e4: int | None
    fees_e4: int | None = None
    shares: DeliveredShares | None = None
    rolled_to: str | None = None
    is_whole: bool = False


class TradeTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Totals over trades; those whose result is not known are counted in `unknown` and are in no sum.

    `win_rate` is winners / (winners + losers) in percent, with one decimal. The averages are in 1e-4 dollars, rounded
    to cents; that of losses is negative. Each is None if there is nothing to divide by.
    """

    trades: int
    realized_e4: int
    winners: int
    losers: int
    unknown: int
    win_rate: float | None
    average_win_e4: int | None
    average_loss_e4: int | None


def totals(trades: Iterable[Trade]) -> TradeTotals:
    """The totals over `trades`. A result of zero is neither a win nor a loss."""
    results = [trade.realized_e4 for trade in trades]
    known = [result for result in results if result is not None]
    wins, losses = [result for result in known if result > 0], [result for result in known if result < 0]
    decided = len(wins) + len(losses)
    return TradeTotals(
        trades=len(results),
        realized_e4=sum(known),
        winners=len(wins),
        losers=len(losses),
        unknown=len(results) - len(known),
        win_rate=divide(1000 * len(wins), decided) / 10 if decided else None,
        average_win_e4=_average_e4(wins),
        average_loss_e4=_average_e4(losses),
    )


def _average_e4(results: Sequence[int]) -> int | None:
    return divide(sum(results), len(results) * _CENT_E4) * _CENT_E4 if results else None
