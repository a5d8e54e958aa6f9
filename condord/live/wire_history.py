"""The public JSON of recorded profit and loss, and of closed condors."""

from __future__ import annotations

import datetime as dt

import msgspec

from condord.core.position import Direction, Kind
from condord.core.trade import How
from condord.live.wire_values import Dollars, Instant, PublicJson


class RecordedJson(PublicJson, frozen=True, kw_only=True):
    """`GET /api/history`: what was recorded of one condor's current or last holding, or of all open condors together.

    All lists have one entry for each minute or bucket that has a row, oldest first. `seconds` are the ends of these,
    in seconds since 1970, `resolutionSeconds` apart where nothing is absent. The current bucket ends at the last
    minute that has ended. `cents` (profit or loss at mark), `naturalCents` and `price` (of the underlying) are the
    last known values in it, null if none was known; `low` and `high` are the least and the greatest `cents` published
    in it. `id`, `openedAt` and every `price` are null for all condors.
    """

    id: str | None
    opened_at: Instant | None
    resolution_seconds: int
    seconds: list[int]
    cents: list[int | None]
    natural_cents: list[int | None]
    price: list[Dollars | None]
    low: list[int | None]
    high: list[int | None]
    quantity: list[int | None]


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query of `GET /api/history`: a condor, or all open condors (None), and at most `points` buckets.

    `from_at` None begins with the first row, `until_at` (not included) None ends now.
    """

    condor_id: str | None
    from_at: dt.datetime | None = None
    until_at: dt.datetime | None = None
    points: int = 600


class SharesJson(PublicJson, frozen=True, kw_only=True):
    """The net shares that an assignment brought (+) or took (-), and the close of that day; null while not known."""

    symbol: str
    quantity: int
    price: Dollars | None


class TradeJson(PublicJson, frozen=True, kw_only=True):
    """A closed condor, or the part of one that was closed.

    `credit` and `debit` are net per share: negative for what was paid to open, and for what was received to close.
    `realizedPl` is before `fees`, the sum of those of its fills, rounded to the cent. `worstPl` and `bestPl` are those
    recorded while the condor was held in full: null for a part of it, for what a roll closed or led to, and if nothing
    was recorded. `shares` are what assignments brought, null if none. `rolledTo` is left out unless `how` is `rolled`,
    and null until the successor is a whole condor. Everything else that is null is not known.
    """

    id: str
    underlying: str
    kind: Kind
    direction: Direction
    quantity: int
    opened_at: Instant | None
    closed_at: Instant
    how: How
    credit: Dollars | None
    debit: Dollars | None
    realized_pl: Dollars | None
    percent_of_max_profit: float | None
    days_held: int | None
    worst_pl: Dollars | None
    best_pl: Dollars | None
    fees: Dollars | None
    shares: SharesJson | None
    rolled_to: str | msgspec.UnsetType | None = msgspec.UNSET


class TradeTotalsJson(PublicJson, frozen=True, kw_only=True):
    """Totals over the trades of an answer.

    `unknown` counts the trades whose result is null; they are in no sum. `winRate` is winners / (winners + losers) in
    percent, with one decimal; `averageLoss` is negative. `completeFrom` is the instant from which on everything that
    was closed is known, null while nothing has been read. Until then, `realizedPl` without trades is null.
    """

    trades: int
    realized_pl: Dollars | None
    winners: int
    losers: int
    unknown: int
    win_rate: float | None
    average_win: Dollars | None
    average_loss: Dollars | None
    complete_from: Instant | None


class TradesJson(PublicJson, frozen=True, kw_only=True):
    """`GET /api/trades`: closed condors, the newest first, and their totals."""

    trades: list[TradeJson]
    totals: TradeTotalsJson
