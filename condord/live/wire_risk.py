"""The public JSON of the account, the underlyings, risk figures, expiry and closing orders.

Model figures are rounded only here: dollars of greeks and P/L percentages to two decimals, probabilities to one,
volatilities and greeks per share to four, sigmas, distance in percent and expected moves to two.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

from condord.core.underlying import PriceProblem, PriceSource
from condord.live.wire_values import Dollars, Instant, PublicJson

CutoffKind = Literal["orders", "liquidation"]
CutoffSource = Literal["config", "product"]
DividendSource = Literal["alpaca", "config"]
FigureSource = Literal["model", "alpaca"]
Tested = Literal["none", "put", "call"]


class ModelJson(PublicJson, frozen=True, kw_only=True):
    """The assumptions behind every model figure: rates and yields a year, continuously compounded."""

    rate: float
    dividend_yields: dict[str, float]
    day_count: Literal["minutes/525600"] = "minutes/525600"


class AccountJson(PublicJson, frozen=True, kw_only=True):
    """The account's balances. `dayPl` leaves out the day's transfers and is null while they are not known."""

    read_at: Instant
    equity: Dollars | None
    last_equity: Dollars | None
    day_pl: Dollars | None
    cash: Dollars | None
    buying_power: Dollars | None
    options_buying_power: Dollars | None
    maintenance_margin: Dollars | None


class ExDividend(PublicJson, frozen=True, kw_only=True):
    """The next dividend: the day from which a buyer does not get it, and dollars a share."""

    date: dt.date
    amount: float
    source: DividendSource


class UnderlyingJson(PublicJson, frozen=True, kw_only=True):
    """The price of an underlying, the shares held, and the greeks of all options and shares held on it, in dollars.

    `unconfirmed`: neither the stream nor REST has confirmed the price for 60 s; nothing is computed from it. `reason`
    is why there is no price, or no confirmed one. `change` is against the close of the session before.
    """

    symbol: str
    price: Dollars | None
    source: PriceSource | None
    time: Instant | None
    unconfirmed: bool
    reason: PriceProblem | None
    previous_close: Dollars | None
    change: Dollars | None
    percent_change: float | None
    shares: int
    delta: float | None
    gamma: float | None
    theta: float | None
    vega: float | None
    ex_dividend: ExDividend | None


class CutoffJson(PublicJson, frozen=True, kw_only=True):
    """From `at` on, Alpaca refuses orders (`orders`) or may close positions (`liquidation`)."""

    kind: CutoffKind
    at: Instant
    source: CutoffSource


class ExpiryJson(PublicJson, frozen=True, kw_only=True):
    """When the contracts last trade, when their value is fixed, and Alpaca's cut-offs on that day."""

    last_trading_at: Instant
    settles_at: Instant
    cutoffs: list[CutoffJson]


class ClosingJson(PublicJson, frozen=True, kw_only=True):
    """A working order that closes the condor, or one side of it.

    `limitPrice` is net per share with the sign of `mark`, null for a market order. `percentOfMaxProfit` is what the
    condor has made when it fills, null for an order of one side.
    """

    order_id: str
    limit_price: Dollars | None
    quantity: int
    percent_of_max_profit: float | None
    submitted_at: Instant


class LegRiskJson(PublicJson, frozen=True, kw_only=True):
    """Per share of one long contract: theta per calendar day, vega per volatility point.

    `source` is null where nothing is known.
    """

    symbol: str
    iv: float | None
    delta: float | None
    gamma: float | None
    theta: float | None
    vega: float | None
    source: FigureSource | None


class DistanceJson(PublicJson, frozen=True, kw_only=True):
    """The distance from the price to an inner strike (butterfly: to a breakeven): negative is beyond it."""

    dollars: float | None = None
    percent: float | None = None
    sigmas: float | None = None


class DistancesJson(PublicJson, frozen=True, kw_only=True):
    """The distances on the sides of the puts and of the calls."""

    put: DistanceJson = DistanceJson()
    call: DistanceJson = DistanceJson()


class ProbabilitiesJson(PublicJson, frozen=True, kw_only=True):
    """Probabilities in percent; each is null where it is not known or not defined."""

    profit: float | None = None
    max_profit: float | None = None
    max_loss: float | None = None
    touch_put: float | None = None
    touch_call: float | None = None
    profit_by_credit: float | None = None
    profit_by_delta: float | None = None


class RiskJson(PublicJson, frozen=True, kw_only=True):
    """Model figures of a condor; all of them belong to its `price` and to `asOf`, the moment from which time counts.

    Greeks are dollars for the whole quantity. `missing` is `price` or `expired`, or the legs without figures. The
    defaults are for a client of an older daemon, which sends no `risk`.
    """

    id: str = ""
    as_of: Instant | None = None
    price: Dollars | None = None
    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None
    vega: float | None = None
    legs: list[LegRiskJson] = []
    distance: DistancesJson = DistancesJson()
    tested: Tested | None = None
    breached: bool | None = None
    expected_move: float | None = None
    probabilities: ProbabilitiesJson = ProbabilitiesJson()
    missing: list[str] = []


class ClosingOrders(PublicJson, frozen=True, kw_only=True):
    """The working orders that close the condor with this `id`, which replace its list."""

    id: str
    orders: list[ClosingJson]


class StocksJson(PublicJson, frozen=True, kw_only=True):
    """The stream of the underlyings' prices in `GET /api/status`.

    `stream` has the symbols that it delivers, `polled` those that REST is asked for instead.
    """

    state: Literal["starting", "live", "closed", "stale", "reconnecting", "halted"]
    code: str | None
    reason: str | None
    since: Instant
    stream: list[str]
    polled: list[str]
