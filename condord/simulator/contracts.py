"""The underlyings and option roots of the simulated market, and the contracts that are listed on them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from condord.core.occ import OptionSymbol

_NAMESPACE = uuid.UUID("6d0f7b5e-3c0e-5b63-9f1c-6a7f3c2b9d10")
_NEAR_DAYS = 4
INDEXES = frozenset({"SPX", "XSP", "NDX", "XND", "RUT", "MRUT", "DJX", "OEX", "XEO", "VIX"})
"""The underlyings that are indexes: they have values instead of stock quotes."""
_INDEX_ROOTS = {"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT", "MRUTW": "MRUT", "VIXW": "VIX"}
_EUROPEAN_ROOTS = frozenset({*_INDEX_ROOTS, *INDEXES}) - {"OEX"}
_MONTHLY_DAYS = 25
_QUARTERLY_MONTHS = (3, 6, 9, 12)
_PAST_DIVIDENDS, _DIVIDENDS = 1, 5
_PAID_AFTER_DAYS = 7


class OptionRoot(msgspec.Struct, frozen=True, kw_only=True):
    """An option root, which need not be its underlying: XYZ1 is an adjusted root of XYZ.

    `volatility` is annual; `liquidity` is quotes per second at the money; strikes are multiples of
    `strike_step_mills`; `tick_cents` are the ticks below and from three dollars; `spread` is a share of the value;
    `deliverables` are (stock, shares, percentage).

    `quarterly_dividend` is dollars a share of the underlying. An index has `dividend_yield` instead, a year and
    continuously compounded. `follows` names another underlying: its price times the number is this one's price. Without
    `has_weeklies`, only third Fridays are listed.
    """

    symbol: str
    underlying: str
    spot: float
    volatility: float
    liquidity: float
    strike_step_mills: int
    tick_cents: tuple[int, int] = (1, 5)
    spread: float = 0.012
    deliverables: tuple[tuple[str, int, int], ...] = ()
    quarterly_dividend: Decimal | None = None
    dividend_yield: float = 0.0
    follows: tuple[str, float] | None = None
    has_weeklies: bool = True

    @property
    def is_index(self) -> bool:
        """Whether the underlying is an index."""
        return self.underlying in INDEXES

    @property
    def is_european(self) -> bool:
        """Whether the options can be exercised only at expiration."""
        return self.symbol in _EUROPEAN_ROOTS


ROOTS: tuple[OptionRoot, ...] = (
    OptionRoot(
        symbol="SPY", underlying="SPY", spot=742.0, volatility=0.14, liquidity=4.0, strike_step_mills=1000,
        tick_cents=(1, 1), spread=0.005, quarterly_dividend=Decimal("1.97"),
    ),
    OptionRoot(
        symbol="QQQ", underlying="QQQ", spot=648.0, volatility=0.18, liquidity=3.0, strike_step_mills=1000,
        tick_cents=(1, 1), spread=0.005, quarterly_dividend=Decimal("0.79"),
    ),
    OptionRoot(
        symbol="IWM", underlying="IWM", spot=287.0, volatility=0.20, liquidity=2.0, strike_step_mills=1000,
        tick_cents=(1, 1), spread=0.008, quarterly_dividend=Decimal("0.72"),
    ),
    OptionRoot(symbol="NVDA", underlying="NVDA", spot=217.0, volatility=0.38, liquidity=2.5, strike_step_mills=2500),
    OptionRoot(
        symbol="AAPL", underlying="AAPL", spot=327.0, volatility=0.26, liquidity=1.8, strike_step_mills=5000,
        quarterly_dividend=Decimal("0.26"),
    ),
    OptionRoot(symbol="AMD", underlying="AMD", spot=452.0, volatility=0.48, liquidity=1.5, strike_step_mills=5000),
    OptionRoot(symbol="INTC", underlying="INTC", spot=38.4, volatility=0.45, liquidity=0.9, strike_step_mills=500),
    OptionRoot(
        symbol="XYZ1", underlying="XYZ", spot=78.0, volatility=0.42, liquidity=0.08, strike_step_mills=2500,
        tick_cents=(5, 10), spread=0.09, deliverables=(("XYZ", 100, 95), ("XYZ.WS", 10, 5)),
    ),
    OptionRoot(
        symbol="SPX", underlying="SPX", spot=7420.0, volatility=0.14, liquidity=1.0, strike_step_mills=25_000,
        tick_cents=(5, 10), spread=0.008, dividend_yield=0.012, has_weeklies=False,
    ),
    OptionRoot(
        symbol="SPXW", underlying="SPX", spot=7420.0, volatility=0.14, liquidity=2.0, strike_step_mills=5000,
        tick_cents=(5, 10), spread=0.008, dividend_yield=0.012,
    ),
    OptionRoot(
        symbol="XSP", underlying="XSP", spot=742.0, volatility=0.14, liquidity=1.0, strike_step_mills=1000,
        tick_cents=(1, 1), spread=0.01, dividend_yield=0.012, follows=("SPX", 0.1),
    ),
)  # fmt: skip


class Expirations(msgspec.Struct, frozen=True, kw_only=True):
    """The three listed expirations.

    They are the `near` weekly, the first `monthly` at least 25 days away, and the `later` monthly after it.
    """

    near: dt.date
    monthly: dt.date
    later: dt.date

    def __iter__(self) -> Iterator[dt.date]:
        return iter((self.near, self.monthly, self.later))


def expirations(today: dt.date, *, expires_today: bool = False) -> Expirations:
    """The expirations listed on `today`: Fridays, in order. With `expires_today` the first one is `today`."""
    near = today + dt.timedelta(days=_NEAR_DAYS)
    near = today if expires_today else near + dt.timedelta(days=(4 - near.weekday()) % 7)
    monthly = _third_friday(today.year, today.month)
    while (monthly - today).days < _MONTHLY_DAYS:
        monthly = _next_third_friday(monthly)
    return Expirations(near=near, monthly=monthly, later=_next_third_friday(monthly))


def dividends(root: OptionRoot, today: dt.date) -> list[tuple[dt.date, Decimal]]:
    """The dividends of the underlying as (ex-date, dollars a share): the last one before `today` and the next four.

    Ex-dates are the third Fridays of March, June, September and December.
    """
    if root.quarterly_dividend is None:
        return []
    years = range(today.year - 1, today.year + 3)
    days = [_third_friday(year, month) for year in years for month in _QUARTERLY_MONTHS]
    first = sum(day < today for day in days) - _PAST_DIVIDENDS
    return [(day, root.quarterly_dividend) for day in days[first : first + _DIVIDENDS]]


def dividend_json(symbol: str, ex_date: dt.date, rate: float | None) -> dict[str, Any]:
    """A row of `cash_dividends` in `GET /v1/corporate-actions`; Alpaca processes it on the day of the payment."""
    payable_date = (ex_date + dt.timedelta(days=_PAID_AFTER_DAYS)).isoformat()
    return {
        "id": stable_uuid("dividend", symbol, ex_date.isoformat()),
        "symbol": symbol,
        "cusip": stable_uuid("cusip", symbol)[:9].replace("-", "0").upper(),
        "rate": rate,
        "special": False,
        "foreign": False,
        "ex_date": ex_date.isoformat(),
        "record_date": ex_date.isoformat(),
        "payable_date": payable_date,
        "process_date": payable_date,
    }


@lru_cache(maxsize=4096)
def stable_uuid(*parts: str) -> str:
    """A UUID that depends only on `parts`; used for the ids of assets, accounts, orders and activities."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def listed_expirations(root: OptionRoot, listed: Expirations) -> list[dt.date]:
    """The contracts among `listed` that belong to `root`."""
    return [day for day in listed if root.has_weeklies or day == _third_friday(day.year, day.month)]


def is_listed(symbol: OptionSymbol, root: OptionRoot, listed: Expirations) -> bool:
    """Whether `symbol` is listed on `root`: a listed expiration, a strike on the grid and within 35 % of the spot."""
    strike = symbol.strike_mills / 1000
    return (
        symbol.expiration in listed_expirations(root, listed)
        and symbol.strike_mills % root.strike_step_mills == 0
        and 0.65 * root.spot <= strike <= 1.35 * root.spot
    )


def listed_symbols(root: OptionRoot, listed: Expirations) -> Iterator[OptionSymbol]:
    """Every contract listed on `root`, by expiration, right and strike."""
    step = root.strike_step_mills
    low, high = int(650 * root.spot) // step + 1, int(1350 * root.spot) // step
    for expiration in listed_expirations(root, listed):
        for right in ("call", "put"):
            for count in range(low, high + 1):
                yield OptionSymbol(
                    root=root.symbol, expiration=expiration, right=right, strike_mills=count * step
                )  # fmt: skip


def underlying_of(root: str) -> str:
    """The underlying of a root that is not in `ROOTS`: its index for SPXW and the like, else the root itself."""
    return _INDEX_ROOTS.get(root, root)


def contract_json(
    symbol: OptionSymbol, root: OptionRoot | None, close_price: str, close_date: dt.date
) -> dict[str, Any]:
    """One row of `GET /v2/options/contracts`."""
    underlying = root.underlying if root else underlying_of(symbol.root)
    strike = msgspec.json.encode(symbol.strike_mills / 1000).decode().removesuffix(".0")
    row: dict[str, Any] = {
        "id": stable_uuid("asset", symbol.compact),
        "symbol": symbol.compact,
        "name": f"{symbol.root} {symbol.expiration:%b %d %Y} {strike} {symbol.right.title()}",
        "status": "active",
        "tradable": not symbol.root_is_adjusted,
        "expiration_date": symbol.expiration.isoformat(),
        "root_symbol": symbol.root,
        "underlying_symbol": underlying,
        "underlying_asset_id": stable_uuid("asset", underlying),
        "type": symbol.right,
        "style": "european" if symbol.root in _EUROPEAN_ROOTS else "american",
        "strike_price": strike,
        "multiplier": "100",
        "size": "100",
        "open_interest": str(symbol.strike_mills // 7 % 4000),
        "open_interest_date": close_date.isoformat(),
        "close_price": close_price,
        "close_price_date": close_date.isoformat(),
        "ppind": not symbol.root_is_adjusted,
    }
    return row


def deliverables_json(deliverables: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """The `deliverables` of a contract that delivers these (stock, shares)."""
    return [
        {
            "type": "equity",
            "symbol": symbol,
            "asset_id": stable_uuid("asset", symbol),
            "amount": str(amount),
            "allocation_percentage": "100" if index == 0 and len(deliverables) == 1 else str(95 if index == 0 else 5),
            "settlement_type": "T+1",
            "settlement_method": "CCC" if index == 0 else "BTOB",
            "delayed_settlement": False,
        }
        for index, (symbol, amount) in enumerate(deliverables)
    ]


def _third_friday(year: int, month: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(4 - first.weekday()) % 7 + 14)


def _next_third_friday(day: dt.date) -> dt.date:
    return _third_friday(day.year + day.month // 12, day.month % 12 + 1)
