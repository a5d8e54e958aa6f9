"""Condors that an account has opened and closed in the past, and the prices of the underlyings at that time.

Ages are calendar days before the start. A `factor` is the price of the underlying as a multiple of that at the start,
and a `ratio` is a strike as a multiple of the price at which it was chosen. The factors of one underlying, those of the
orders in `portfolios` included, are one path, so they have to be plausible together.
"""

from __future__ import annotations

from typing import Literal

import msgspec

ALL_LEGS = (0, 1, 2, 3)
PUTS, CALLS = (0, 1), (2, 3)


class PastEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An order on the `legs` of a condor (by strike), for `quantity` condors or what is left of them.

    - `close` closes them.
    - `roll` closes them and opens them at `ratios`, expiring in the week `expiry_age` days ago, by default unchanged:
      in one order, or in two that are `gap_seconds` apart.
    - `reopen` opens the condor again, after it was closed.
    """

    kind: Literal["close", "roll", "reopen"]
    age: float
    factor: float
    legs: tuple[int, ...] = ALL_LEGS
    quantity: int | None = None
    ratios: tuple[float, float] = (0.0, 0.0)
    expiry_age: int | None = None
    gap_seconds: float = 0.0


class PastCondor(msgspec.Struct, frozen=True, kw_only=True):
    """A condor opened `age` days ago that expired in the week `expiry_age` days ago, unless `events` closed it.

    `quantity` is negative for a reverse condor, and `ratios` give the inner strikes, which are `grid_start`
    plus a multiple of `grid` dollars. `end_factor` is that at the expiration of a condor that was held until then.
    """

    root: str
    quantity: int
    age: float
    factor: float
    expiry_age: int
    ratios: tuple[float, float]
    width: float
    grid: float = 1.0
    grid_start: float = 0.0
    events: tuple[PastEvent, ...] = ()
    end_factor: float | None = None

    def strikes_mills(self, price: float, ratios: tuple[float, float]) -> tuple[int, int, int, int]:
        """The strikes chosen at `price`, ascending."""
        low, high = (
            round((price * ratio - self.grid_start) / self.grid) * self.grid + self.grid_start for ratio in ratios
        )
        low_outer, low_inner, high_inner, high_outer = (
            round(strike * 1000) for strike in (low - self.width, low, high, high + self.width)
        )
        return low_outer, low_inner, high_inner, high_outer


DEFAULT: tuple[PastCondor, ...] = (
    # Closed completely.
    PastCondor(
        root="SPY", quantity=2, age=57, factor=0.965, expiry_age=14, ratios=(0.95, 1.045), width=10,
        events=(PastEvent(kind="close", age=38, factor=0.972),),
    ),
    # Expired worthless.
    PastCondor(
        root="SPY", quantity=1, age=45, factor=0.968, expiry_age=28, ratios=(0.96, 1.035), width=5, end_factor=0.975
    ),
    # The short put was assigned, and the shares were sold.
    PastCondor(
        root="SPY", quantity=1, age=34, factor=0.974, expiry_age=21, ratios=(0.992, 1.03), width=10, end_factor=0.9594
    ),
    # Closed in parts.
    PastCondor(
        root="QQQ", quantity=3, age=52, factor=0.96, expiry_age=14, ratios=(0.95, 1.05), width=5,
        events=(
            PastEvent(kind="close", age=41, factor=0.965, quantity=1),
            PastEvent(kind="close", age=33, factor=0.975),
        ),
    ),
    # Closed leg by leg.
    PastCondor(
        root="QQQ", quantity=1, age=30, factor=0.978, expiry_age=7, ratios=(0.96, 1.04), width=10,
        events=(
            PastEvent(kind="close", age=21, factor=0.99, legs=(1,)),
            PastEvent(kind="close", age=20, factor=0.99, legs=(0,)),
            PastEvent(kind="close", age=19, factor=0.985, legs=(2,)),
            PastEvent(kind="close", age=18, factor=0.987, legs=(3,)),
        ),
    ),
    # The puts rolled down in one order.
    PastCondor(
        root="IWM", quantity=1, age=50, factor=0.985, expiry_age=21, ratios=(0.97, 1.06), width=5,
        events=(
            PastEvent(kind="roll", age=43, factor=0.965, legs=PUTS, ratios=(0.95, 1.06)),
            PastEvent(kind="close", age=36, factor=0.98),
        ),
    ),
    # Rolled out by two orders.
    PastCondor(
        root="NVDA", quantity=1, age=48, factor=0.93, expiry_age=28, ratios=(0.92, 1.08), width=5, grid=2.5,
        events=(
            PastEvent(
                kind="roll", age=35, factor=0.95, ratios=(0.9, 1.12), expiry_age=7, gap_seconds=41.7,
            ),
            PastEvent(kind="close", age=22, factor=0.94),
        ),
    ),
    # Closed, and opened again at the same strikes.
    PastCondor(
        root="AAPL", quantity=1, age=55, factor=0.94, expiry_age=21, ratios=(0.95, 1.06), width=10, grid=5.0,
        events=(
            PastEvent(kind="close", age=46, factor=0.95),
            PastEvent(kind="reopen", age=37, factor=0.96),
            PastEvent(kind="close", age=28, factor=0.965),
        ),
    ),
    # A loss: the price passed the short call.
    PastCondor(
        root="AMD", quantity=1, age=44, factor=0.93, expiry_age=14, ratios=(0.9, 1.08), width=10, grid=5.0,
        events=(PastEvent(kind="close", age=31, factor=1.03),),
    ),
    PastCondor(
        root="INTC", quantity=2, age=40, factor=0.98, expiry_age=14, ratios=(0.88, 1.13), width=1, grid=0.5,
        end_factor=1.0,
    ),
    # Settled in cash.
    PastCondor(
        root="XSP", quantity=2, age=35, factor=0.974, expiry_age=21, ratios=(0.992, 1.03), width=10, end_factor=0.9594
    ),
    PastCondor(
        root="IWM", quantity=-2, age=33, factor=0.985, expiry_age=14, ratios=(0.98, 1.02), width=5,
        events=(PastEvent(kind="close", age=24, factor=1.01),),
    ),
)  # fmt: skip

TESTED: tuple[PastCondor, ...] = (
    PastCondor(
        root="SPY", quantity=1, age=41, factor=1.0, expiry_age=14, ratios=(0.96, 1.04), width=10,
        events=(PastEvent(kind="close", age=23, factor=1.01),),
    ),
    PastCondor(
        root="IWM", quantity=2, age=38, factor=0.98, expiry_age=21, ratios=(0.94, 1.06), width=5, end_factor=0.99
    ),
)  # fmt: skip

EXPIRATION_DAY: tuple[PastCondor, ...] = (
    PastCondor(
        root="SPY", quantity=2, age=18, factor=0.99, expiry_age=7, ratios=(0.975, 1.03), width=5, end_factor=0.996
    ),
    PastCondor(
        root="IWM", quantity=1, age=32, factor=0.98, expiry_age=14, ratios=(0.95, 1.05), width=5,
        events=(PastEvent(kind="close", age=20, factor=0.99),),
    ),
    PastCondor(
        root="AAPL", quantity=1, age=34, factor=0.97, expiry_age=21, ratios=(0.97, 1.07), width=10, grid=5.0,
        end_factor=0.9256,
    ),
)  # fmt: skip

EX_DIVIDEND: tuple[PastCondor, ...] = (
    PastCondor(
        root="QQQ", quantity=1, age=44, factor=0.94, expiry_age=21, ratios=(0.95, 1.05), width=10,
        events=(PastEvent(kind="close", age=29, factor=0.95),),
    ),
    PastCondor(
        root="QQQ", quantity=1, age=27, factor=0.95, expiry_age=14, ratios=(0.96, 1.04), width=5, end_factor=0.955
    ),
)  # fmt: skip

INDEX: tuple[PastCondor, ...] = (
    PastCondor(
        root="SPXW", quantity=1, age=43, factor=0.98, expiry_age=28, ratios=(0.985, 1.03), width=50, grid=5.0,
        end_factor=0.9624,
    ),
    PastCondor(
        root="SPXW", quantity=1, age=20, factor=0.985, expiry_age=7, ratios=(0.97, 1.03), width=25, grid=5.0,
        end_factor=0.998,
    ),
    PastCondor(
        root="XSP", quantity=2, age=50, factor=0.975, expiry_age=21, ratios=(0.95, 1.045), width=5,
        events=(PastEvent(kind="close", age=36, factor=0.97),),
    ),
)  # fmt: skip
