"""The public JSON of condors and of contracts in no condor: their terms, their numbers, and what they are worth now."""

from __future__ import annotations

import datetime as dt

from condord.core.expiry import Settlement, Style
from condord.core.occ import Right
from condord.core.position import Cover, Direction, EntrySource, Kind
from condord.live.wire_risk import ClosingJson, ExpiryJson, RiskJson
from condord.live.wire_values import Dollars, Instant, PublicJson, Side


class LegJson(PublicJson, frozen=True, kw_only=True):
    """One leg of a condor; the cost basis of a short one is negative.

    `multiplierAssumed`: Alpaca has not reported the multiplier.
    """

    symbol: str
    right: Right
    strike: Dollars
    side: Side
    quantity: int
    average_entry_price: Dollars | None
    cost_basis: Dollars | None
    multiplier_assumed: bool = False
    problem: str | None = None


class Breakevens(PublicJson, frozen=True, kw_only=True):
    """The underlying's prices at which the condor breaks even at expiration; null on a side without one."""

    lower: Dollars | None
    upper: Dollars | None


class LegValuation(PublicJson, frozen=True, kw_only=True):
    """The profit or loss of one leg at its mark."""

    symbol: str
    unrealized_pl: Dollars | None


class PlBounds(PublicJson, frozen=True, kw_only=True):
    """The least and the greatest profit or loss that a condor with a missing leg can have."""

    low: Dollars
    high: Dollars


class ValuationJson(PublicJson, frozen=True, kw_only=True):
    """The current value of a condor. While a leg is `missing` a usable quote, all numbers but `plBounds` are null.

    `dayPl` is against yesterday's close, or the entry of what was opened today; null while either is not known.
    `worstPl` and `bestPl` are the extremes of `unrealizedPl` recorded since the condor was opened, without minutes in
    which quotes were too wide to rely on; null until one is known.
    """

    id: str
    as_of: Instant | None
    mark: Dollars | None
    natural: Dollars | None
    unrealized_pl: Dollars | None
    natural_pl: Dollars | None
    day_pl: Dollars | None = None
    worst_pl: Dollars | None = None
    best_pl: Dollars | None = None
    percent_of_max_profit: float | None
    percent_of_risk: float | None
    missing: list[str]
    unconfirmed: bool
    legs: list[LegValuation]
    pl_bounds: PlBounds | None = None


class HistoryJson(PublicJson, frozen=True, kw_only=True):
    """The profit or loss of a condor over the session: seconds since 1970, ascending, and cents at each of them.

    There is one point at the end of each minute, with the last value known in it. There are at most 480, of the latest
    day at the exchange that has any, since the condor has its quantity and credit. Minutes in which the daemon did not
    run or the stream was not live, or with no profit or loss that was known and confirmed, are left out.
    """

    seconds: list[int] = []
    cents: list[int] = []


class ExitsJson(PublicJson, frozen=True, kw_only=True):
    """The profit or loss at which the enabled rules take profit and stop; null without such a rule.

    `stop` is also null beyond what the condor can lose.
    """

    target: Dollars | None = None
    stop: Dollars | None = None


class CondorJson(PublicJson, frozen=True, kw_only=True):
    """A condor: four legs, the numbers that quotes do not change, and the valuation and the risk that they do.

    `openedAt`, and `realizedPl` of its rolls, are known if orders opened the condor (`entrySource`). Every other number
    is about the current legs. `style` and `settlement` are null until Alpaca has reported the contracts.
    """

    id: str
    kind: Kind
    direction: Direction
    underlying: str
    root: str
    expiration: dt.date
    days_to_expiration: int
    quantity: int
    multiplier: int
    style: Style | None = None
    settlement: Settlement | None = None
    broken_wing: bool
    ambiguous: bool
    legs: list[LegJson]
    credit: Dollars | None
    max_profit: Dollars | None
    max_loss: Dollars | None
    put_width: Dollars
    call_width: Dollars
    breakevens: Breakevens
    entry_source: EntrySource = "structure"
    opened_at: Instant | None = None
    realized_pl: Dollars | None = None
    expiry: ExpiryJson | None = None
    closing: list[ClosingJson] = []
    exits: ExitsJson = ExitsJson()
    valuation: ValuationJson
    risk: RiskJson = RiskJson()
    history: HistoryJson = HistoryJson()


class Unmatched(PublicJson, frozen=True, kw_only=True):
    """Contracts in no condor; the parsed fields are null where the symbol cannot be parsed.

    `uncoveredShort`: some of them are short and nothing covers them. Otherwise `cover` is what covers a short: a long
    of the same expiration, a later long, or shares.
    """

    symbol: str
    underlying: str | None
    root: str | None
    expiration: dt.date | None
    right: Right | None
    strike: Dollars | None
    side: Side | None
    quantity: int | None
    multiplier: int | None
    average_entry_price: Dollars | None
    cost_basis: Dollars | None
    mark: Dollars | None
    unrealized_pl: Dollars | None
    day_pl: Dollars | None = None
    uncovered_short: bool
    cover: Cover | None = None
    multiplier_assumed: bool = False
    problem: str | None
