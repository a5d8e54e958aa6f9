"""Decides which underlyings and option roots exist, and which contracts are listed on them.

Rules: a root is not the underlying (XYZ1 is an adjusted root of XYZ). Expirations are relative to today: a near
weekly, the third Friday at least 25 days away, and the one a month later. Strikes stand on a grid around the spot.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from condord.core.occ import OptionSymbol

_SPACE = uuid.UUID("6d0f7b5e-3c0e-5b63-9f1c-6a7f3c2b9d10")
_NEAR_DAYS = 4
_MONTHLY_DAYS = 25


class Name(msgspec.Struct, frozen=True, kw_only=True):
    """One option root: how its underlying moves, and how its options are quoted.

    `volatility` is a year's; `liquidity` is the quotes a second at the money; `strike_step_mills` is the grid;
    `tick_cents` holds the tick below three dollars and from there on.
    """

    root: str
    underlying: str
    spot: float
    volatility: float
    liquidity: float
    strike_step_mills: int
    tick_cents: tuple[int, int] = (1, 5)
    spread: float = 0.012
    deliverables: tuple[tuple[str, int, int], ...] = ()


NAMES: tuple[Name, ...] = (
    Name(
        root="SPY", underlying="SPY", spot=742.0, volatility=0.14, liquidity=4.0, strike_step_mills=1000,
        tick_cents=(1, 1), spread=0.005,
    ),
    Name(
        root="QQQ", underlying="QQQ", spot=648.0, volatility=0.18, liquidity=3.0, strike_step_mills=1000,
        tick_cents=(1, 1), spread=0.005,
    ),
    Name(
        root="IWM", underlying="IWM", spot=287.0, volatility=0.20, liquidity=2.0, strike_step_mills=1000,
        tick_cents=(1, 1), spread=0.008,
    ),
    Name(root="NVDA", underlying="NVDA", spot=217.0, volatility=0.38, liquidity=2.5, strike_step_mills=2500),
    Name(root="AAPL", underlying="AAPL", spot=327.0, volatility=0.26, liquidity=1.8, strike_step_mills=5000),
    Name(root="AMD", underlying="AMD", spot=452.0, volatility=0.48, liquidity=1.5, strike_step_mills=5000),
    Name(root="INTC", underlying="INTC", spot=38.4, volatility=0.45, liquidity=0.9, strike_step_mills=500),
    Name(
        root="XYZ1", underlying="XYZ", spot=78.0, volatility=0.42, liquidity=0.08, strike_step_mills=2500,
        tick_cents=(5, 10), spread=0.09, deliverables=(("XYZ", 100, 95), ("XYZ.WS", 10, 5)),
    ),
)  # fmt: skip


class Expirations(msgspec.Struct, frozen=True, kw_only=True):
    """The three expirations that are listed: `near` weekly, `monthly`, and the `later` monthly."""

    near: dt.date
    monthly: dt.date
    later: dt.date

    def __iter__(self) -> Iterator[dt.date]:
        return iter((self.near, self.monthly, self.later))


def expirations(today: dt.date) -> Expirations:
    """The expirations listed on `today`; all of them Fridays, in order."""
    near = today + dt.timedelta(days=_NEAR_DAYS)
    near += dt.timedelta(days=(4 - near.weekday()) % 7)
    monthly = _third_friday(today.year, today.month)
    while (monthly - today).days < _MONTHLY_DAYS:
        monthly = _next_third_friday(monthly)
    return Expirations(near=near, monthly=monthly, later=_next_third_friday(monthly))


def identity(*parts: str) -> str:
    """A UUID that is always the same for the same words, as the ids of assets, accounts and orders."""
    return str(uuid.uuid5(_SPACE, "/".join(parts)))


def is_listed(symbol: OptionSymbol, name: Name, listed: Expirations) -> bool:
    """Whether `symbol` is one of the contracts listed on `name`: its date, grid, and within 35 % of the spot."""
    strike = symbol.strike_mills / 1000
    return (
        symbol.expiration in tuple(listed)
        and symbol.strike_mills % name.strike_step_mills == 0
        and 0.65 * name.spot <= strike <= 1.35 * name.spot
    )


def listed_symbols(name: Name, listed: Expirations) -> Iterator[OptionSymbol]:
    """Every contract listed on `name`, by expiration, right and strike."""
    step = name.strike_step_mills
    low, high = int(650 * name.spot) // step + 1, int(1350 * name.spot) // step
    for expiration in listed:
        for right in ("call", "put"):
            for count in range(low, high + 1):
                yield OptionSymbol(
                    root=name.root, expiration=expiration, right=right, strike_mills=count * step
                )  # fmt: skip


def contract_answer(symbol: OptionSymbol, name: Name | None, close_price: str, close_date: dt.date) -> dict[str, Any]:
    """One row of `GET /v2/options/contracts`; an unknown root is its own underlying."""
    underlying = name.underlying if name else symbol.root
    strike = msgspec.json.encode(symbol.strike_mills / 1000).decode().removesuffix(".0")
    row: dict[str, Any] = {
        "id": identity("asset", symbol.compact),
        "symbol": symbol.compact,
        "name": f"{symbol.root} {symbol.expiration:%b %d %Y} {strike} {symbol.right.title()}",
        "status": "active",
        "tradable": not symbol.root_is_adjusted,
        "expiration_date": symbol.expiration.isoformat(),
        "root_symbol": symbol.root,
        "underlying_symbol": underlying,
        "underlying_asset_id": identity("asset", underlying),
        "type": symbol.right,
        "style": "american",
        "strike_price": strike,
        "multiplier": "100",
        "size": "100",
        "open_interest": str(symbol.strike_mills // 7 % 4000),
        "open_interest_date": close_date.isoformat(),
        "close_price": close_price,
        "close_price_date": close_date.isoformat(),
        "ppind": not symbol.root_is_adjusted,
    }
    if name and name.deliverables:
        row["deliverables"] = _deliverables(name.deliverables)
    return row


def _deliverables(deliverables: Sequence[tuple[str, int, int]]) -> list[dict[str, Any]]:
    return [
        {
            "type": "equity",
            "symbol": symbol,
            "asset_id": identity("asset", symbol),
            "amount": str(amount),
            "allocation_percentage": str(share),
            "settlement_type": "T+1",
            "settlement_method": "CCC" if position == 0 else "BTOB",
            "delayed_settlement": False,
        }
        for position, (symbol, amount, share) in enumerate(deliverables)
    ]


def _third_friday(year: int, month: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(4 - first.weekday()) % 7 + 14)


def _next_third_friday(day: dt.date) -> dt.date:
    return _third_friday(day.year + day.month // 12, day.month % 12 + 1)
