"""Decides what the default account holds, so that it looks right whenever it is started.

Rules: strikes are placed around the spot of the moment, expirations relative to today; entries are what the
contracts were worth some days ago with the underlying elsewhere, so that profit and loss look plausible. It holds
a plain short condor twice, an iron butterfly, a broken wing with half-dollar strikes, a reverse condor, two condors
that share a contract, a condor on an adjusted root, a vertical left over, an uncovered short put, and a stock.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Literal

import msgspec

from condord.core.occ import OptionSymbol, Right
from condord.simulator.account import Account
from condord.simulator.market import Market

_STOCK = ("AAPL", 100, Decimal("312.48"))


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One leg of a plan: its strike is `ratio` times the spot on the grid, moved by `shift` dollars."""

    right: Right
    quantity: int
    ratio: float
    shift: float = 0.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One order of the past: filled `age_days` ago, with the underlying at `spot_factor` times today's price."""

    root: str
    expiration: Literal["near", "monthly", "later"]
    age_days: float
    spot_factor: float
    legs: tuple[Leg, ...]
    grid: float = 5.0
    grid_start: float = 0.0


def _condor(quantity: int, low: float, high: float, put_wing: float, call_wing: float) -> tuple[Leg, ...]:
    """A short condor `quantity` times (a reverse one when negative): short strikes as ratios, wings in dollars."""
    return (
        Leg(right="put", quantity=quantity, ratio=low, shift=-put_wing),
        Leg(right="put", quantity=-quantity, ratio=low),
        Leg(right="call", quantity=-quantity, ratio=high),
        Leg(right="call", quantity=quantity, ratio=high, shift=call_wing),
    )


PLANS: tuple[Plan, ...] = (
    Plan(
        root="SPY", expiration="monthly", age_days=11, spot_factor=0.997, legs=_condor(2, 0.962, 1.037, 10, 10)
    ),
    Plan(root="QQQ", expiration="monthly", age_days=9, spot_factor=1.006, legs=_condor(1, 1.0, 1.0, 25, 25)),
    Plan(
        root="NVDA", expiration="monthly", age_days=8, spot_factor=0.985, grid_start=2.5,
        legs=_condor(1, 0.93, 1.08, 5, 10),
    ),
    Plan(root="AAPL", expiration="later", age_days=15, spot_factor=1.01, legs=_condor(-1, 0.95, 1.05, 10, 10)),
    Plan(
        root="IWM", expiration="near", age_days=16, spot_factor=1.0, grid=1.0, legs=_condor(1, 0.972, 1.03, 5, 5)
    ),
    Plan(
        root="IWM", expiration="near", age_days=13, spot_factor=0.994, grid=1.0,
        legs=(
            Leg(right="put", quantity=2, ratio=0.972, shift=-45.0),
            Leg(right="put", quantity=-2, ratio=0.972, shift=-3.0),
            Leg(right="call", quantity=-2, ratio=1.03),
            Leg(right="call", quantity=2, ratio=1.03, shift=8.0),
        ),
    ),
    Plan(
        root="XYZ1", expiration="monthly", age_days=20, spot_factor=1.015, legs=_condor(1, 0.91, 1.09, 5, 5)
    ),
    Plan(
        root="AMD", expiration="later", age_days=6, spot_factor=1.01,
        legs=(
            Leg(right="put", quantity=1, ratio=0.9, shift=-10.0),
            Leg(right="put", quantity=-1, ratio=0.9),
        ),
    ),
    Plan(
        root="INTC", expiration="monthly", age_days=5, spot_factor=1.0, grid=0.5,
        legs=(Leg(right="put", quantity=-1, ratio=0.93),),
    ),
)  # fmt: skip


def open_all(account: Account, market: Market, at: dt.datetime) -> None:
    """Fill every plan in the order of its age, and hold the stock; called once at the start."""
    for plan in sorted(PLANS, key=lambda plan: -plan.age_days):
        account.trade(_changes(plan, market), at - dt.timedelta(days=plan.age_days, seconds=1234.567891))
    symbol, quantity, price = _STOCK
    account.trade([(symbol, quantity, price)], at - dt.timedelta(days=40))
    account.orders.sort(key=lambda order: str(order["submitted_at"]))
    account.activities.sort(key=lambda activity: str(activity["id"]))


def _changes(plan: Plan, market: Market) -> list[tuple[str, int, Decimal | None]]:
    changes: list[tuple[str, int, Decimal | None]] = []
    for leg in plan.legs:
        symbol = _symbol(plan, leg, market)
        market.watch(symbol)
        worth = market.valuation(symbol, seconds_ago=plan.age_days * 86_400, spot_factor=plan.spot_factor).price
        tick = market.tick_cents(symbol, worth)
        cents = max(tick, round(worth * 100 / tick) * tick)
        changes.append((symbol, leg.quantity, Decimal(cents) / 100))
    return changes


def _symbol(plan: Plan, leg: Leg, market: Market) -> str:
    name = market.name_of(plan.root)
    spot = market.spot(name.underlying) if name else None
    if name is None or spot is None:
        raise LookupError(plan.root)
    on_grid = round((spot * leg.ratio - plan.grid_start) / plan.grid) * plan.grid + plan.grid_start
    return OptionSymbol(
        root=plan.root,
        expiration=getattr(market.listed, plan.expiration),
        right=leg.right,
        strike_mills=round((on_grid + leg.shift) * 1000),
    ).compact
