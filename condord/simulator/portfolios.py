"""The holdings of each portfolio's account, as the orders that opened it.

Strikes are ratios of the current spot, and expirations are relative to today, so that a portfolio looks plausible
whenever it is started.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from condord.core.occ import Right
from condord.simulator import past_trades
from condord.simulator.past_trades import PastCondor

Expiration = Literal["today", "near", "monthly", "later"]
"""`today` is the expiration of the session that is under way, or of the next one; the others are those listed."""


class PastLeg(msgspec.Struct, frozen=True, kw_only=True):
    """One leg of a past order: its strike is `ratio` times the spot, on the grid, plus `shift` dollars."""

    right: Right
    quantity: int
    ratio: float
    shift: float = 0.0


class PastOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order filled `age_days` ago, with the underlying at `spot_factor` times its current price.

    Strikes are `grid_start` plus a multiple of `grid` dollars. With `is_closing`, an order that closes it for half of
    its credit has been working since yesterday; it replaced one of four days ago.
    """

    root: str
    expiration: Expiration
    age_days: float
    spot_factor: float
    legs: tuple[PastLeg, ...]
    grid: float = 5.0
    grid_start: float = 0.0
    is_closing: bool = False


class Portfolio(msgspec.Struct, frozen=True, kw_only=True):
    """The orders of a portfolio, and its stocks with shares and dollars paid a share.

    `closed` are the condors that it held before and holds no longer.
    """

    orders: tuple[PastOrder, ...] = ()
    stocks: tuple[tuple[str, int, Decimal], ...] = ()
    closed: tuple[PastCondor, ...] = ()


def _condor(quantity: int, low: float, high: float, put_wing: float, call_wing: float) -> tuple[PastLeg, ...]:
    """The legs of a short condor, or of a reverse one if `quantity` is negative.

    `low` and `high` are the short strikes as ratios of the spot; the wings are widths in dollars.
    """
    return (
        PastLeg(right="put", quantity=quantity, ratio=low, shift=-put_wing),
        PastLeg(right="put", quantity=-quantity, ratio=low),
        PastLeg(right="call", quantity=-quantity, ratio=high),
        PastLeg(right="call", quantity=quantity, ratio=high, shift=call_wing),
    )


_DEFAULT = Portfolio(
    orders=(
        PastOrder(
            root="SPY", expiration="monthly", age_days=11, spot_factor=0.997, legs=_condor(2, 0.962, 1.037, 10, 10),
            is_closing=True,
        ),
        PastOrder(root="QQQ", expiration="monthly", age_days=9, spot_factor=1.006, legs=_condor(1, 1.0, 1.0, 25, 25)),
        PastOrder(
            root="NVDA", expiration="monthly", age_days=8, spot_factor=0.985, grid_start=2.5,
            legs=_condor(1, 0.93, 1.08, 5, 10),
        ),
        PastOrder(root="AAPL", expiration="later", age_days=15, spot_factor=1.01, legs=_condor(-1, 0.95, 1.05, 10, 10)),
        PastOrder(
            root="IWM", expiration="near", age_days=16, spot_factor=1.0, grid=1.0, legs=_condor(1, 0.972, 1.03, 5, 5)
        ),
        PastOrder(
            root="IWM", expiration="near", age_days=13, spot_factor=0.994, grid=1.0,
            legs=(
                PastLeg(right="put", quantity=2, ratio=0.972, shift=-45.0),
                PastLeg(right="put", quantity=-2, ratio=0.972, shift=-3.0),
                PastLeg(right="call", quantity=-2, ratio=1.03),
                PastLeg(right="call", quantity=2, ratio=1.03, shift=8.0),
            ),
        ),
        PastOrder(
            root="XYZ1", expiration="monthly", age_days=20, spot_factor=1.015, legs=_condor(1, 0.91, 1.09, 5, 5)
        ),
        PastOrder(
            root="AMD", expiration="later", age_days=6, spot_factor=1.01,
            legs=(
                PastLeg(right="put", quantity=1, ratio=0.9, shift=-10.0),
                PastLeg(right="put", quantity=-1, ratio=0.9),
            ),
        ),
        PastOrder(
            root="INTC", expiration="monthly", age_days=5, spot_factor=1.0, grid=0.5,
            legs=(PastLeg(right="put", quantity=-1, ratio=0.93),),
        ),
        # Tested: the short put is within a quarter of a deviation.
        PastOrder(
            root="INTC", expiration="later", age_days=7, spot_factor=1.04, grid=0.5,
            legs=_condor(1, 0.98, 1.22, 2.5, 2.5),
        ),
        # Breached: the market is above the short call.
        PastOrder(
            root="NVDA", expiration="later", age_days=12, spot_factor=0.94, grid_start=2.5,
            legs=_condor(1, 0.85, 0.97, 5, 5),
        ),
        PastOrder(
            root="QQQ", expiration="today", age_days=2, spot_factor=1.002, grid=1.0, legs=_condor(1, 0.985, 1.015, 5, 5)
        ),
    ),
    stocks=(("AAPL", 100, Decimal("312.48")),),
    closed=past_trades.DEFAULT,
)  # fmt: skip

_TESTED = Portfolio(
    orders=(
        PastOrder(
            root="SPY", expiration="monthly", age_days=9, spot_factor=1.02, grid=1.0,
            legs=_condor(1, 0.995, 1.07, 10, 10),
        ),
        PastOrder(
            root="QQQ", expiration="monthly", age_days=7, spot_factor=0.98, grid=1.0,
            legs=_condor(1, 0.93, 1.006, 10, 10),
        ),
        PastOrder(
            root="NVDA", expiration="monthly", age_days=10, spot_factor=0.94, grid_start=2.5,
            legs=_condor(1, 0.85, 0.97, 5, 5),
        ),
        PastOrder(
            root="AMD", expiration="later", age_days=12, spot_factor=1.08, legs=_condor(1, 1.03, 1.25, 10, 10)
        ),
        PastOrder(
            root="IWM", expiration="later", age_days=6, spot_factor=1.0, grid=1.0, legs=_condor(2, 0.93, 1.06, 5, 5)
        ),
    ),
    closed=past_trades.TESTED,
)  # fmt: skip

_EXPIRATION_DAY = Portfolio(
    orders=(
        PastOrder(
            root="SPY", expiration="today", age_days=4, spot_factor=1.0, grid=1.0, legs=_condor(2, 0.998, 1.003, 5, 5)
        ),
        PastOrder(root="AAPL", expiration="today", age_days=6, spot_factor=0.99, legs=_condor(1, 0.985, 1.015, 5, 5)),
        # Its long put is in the money, and the account has no shares to deliver.
        PastOrder(
            root="NVDA", expiration="today", age_days=8, spot_factor=1.08, grid_start=2.5,
            legs=_condor(1, 1.05, 1.15, 5, 5),
        ),
        PastOrder(
            root="INTC", expiration="today", age_days=8, spot_factor=1.08, grid=0.5,
            legs=_condor(1, 1.05, 1.15, 1, 1),
        ),
        PastOrder(
            root="IWM", expiration="monthly", age_days=5, spot_factor=1.0, grid=1.0, legs=_condor(1, 0.95, 1.05, 5, 5),
            is_closing=True,
        ),
    ),
    stocks=(("INTC", 100, Decimal("36.90")),),
    closed=past_trades.EXPIRATION_DAY,
)  # fmt: skip

_EX_DIVIDEND = Portfolio(
    orders=(
        PastOrder(
            root="SPY", expiration="near", age_days=8, spot_factor=0.96, grid=1.0, legs=_condor(2, 0.92, 0.97, 10, 10)
        ),
        PastOrder(
            root="SPY", expiration="monthly", age_days=6, spot_factor=1.0, grid=1.0,
            legs=_condor(1, 0.96, 1.04, 10, 10),
        ),
        # Covered by shares, which would be called away before the dividend.
        PastOrder(
            root="SPY", expiration="near", age_days=10, spot_factor=0.97, grid=1.0,
            legs=(PastLeg(right="call", quantity=-1, ratio=0.955),),
        ),
        PastOrder(
            root="QQQ", expiration="near", age_days=8, spot_factor=0.96, grid=1.0, legs=_condor(1, 0.92, 0.97, 10, 10)
        ),
    ),
    stocks=(("SPY", 100, Decimal("701.15")),),
    closed=past_trades.EX_DIVIDEND,
)  # fmt: skip

_INDEX = Portfolio(
    orders=(
        PastOrder(
            root="SPX", expiration="monthly", age_days=10, spot_factor=0.998, grid=25.0,
            legs=_condor(1, 0.955, 1.04, 50, 50), is_closing=True,
        ),
        PastOrder(
            root="SPXW", expiration="near", age_days=5, spot_factor=1.0, legs=_condor(2, 0.98, 1.018, 25, 25)
        ),
        PastOrder(
            root="XSP", expiration="monthly", age_days=7, spot_factor=1.0, grid=1.0, legs=_condor(3, 0.95, 1.045, 5, 5)
        ),
    ),
    closed=past_trades.INDEX,
)  # fmt: skip

PORTFOLIOS: Mapping[str, Portfolio] = {
    "default": _DEFAULT,
    "empty": Portfolio(),
    "tested": _TESTED,
    "expiration-day": _EXPIRATION_DAY,
    "ex-dividend": _EX_DIVIDEND,
    "index": _INDEX,
}
"""The portfolios by name, as scenarios name them."""
