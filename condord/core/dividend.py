"""Dividends: which one is next, and which are paid before an expiration.

A dividend in the configuration replaces Alpaca's of the same symbol and ex-date; one of 0 removes it. Several dividends
of a stock with one ex-date, an ordinary and a special one, are one dividend of their sum.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Literal

import msgspec

DividendSource = Literal["alpaca", "config"]


class Dividend(msgspec.Struct, frozen=True, kw_only=True):
    """A cash dividend: dollars a share in 1e-6, paid to holders of the stock on the day before `ex_date`."""

    symbol: str
    ex_date: dt.date
    amount_e6: int
    source: DividendSource


def next_dividend(
    symbol: str, dividends: Iterable[Dividend], overrides: Iterable[Dividend], day: dt.date
) -> Dividend | None:
    """The first dividend of `symbol` with an ex-date on `day`, the date in New York, or later; None if none is known.

    On its ex-date a dividend is still the next one: the price has fallen by it, and short calls that were exercised on
    the evening before are reported that day.
    """
    return next((dividend for dividend in _known(symbol, dividends, overrides) if dividend.ex_date >= day), None)


def dividends_until(
    symbol: str, dividends: Iterable[Dividend], overrides: Iterable[Dividend], day: dt.date, expiration: dt.date
) -> tuple[tuple[dt.date, float], ...]:
    """The dividends that a price of `day` includes and one at `expiration` does not: (ex-date, dollars), oldest first.

    These have an ex-date after `day` and up to `expiration`.
    """
    return tuple(
        (dividend.ex_date, dividend.amount_e6 / 1_000_000)
        for dividend in _known(symbol, dividends, overrides)
        if day < dividend.ex_date <= expiration
    )


def _known(symbol: str, dividends: Iterable[Dividend], overrides: Iterable[Dividend]) -> list[Dividend]:
    """The dividends of `symbol`, one for each ex-date, oldest first."""
    by_day: dict[dt.date, Dividend] = {}
    for dividend in dict.fromkeys(dividends):  # the same one twice is one
        if dividend.symbol == symbol:
            known = by_day.get(dividend.ex_date)
            amount_e6 = dividend.amount_e6 + (0 if known is None else known.amount_e6)
            by_day[dividend.ex_date] = msgspec.structs.replace(dividend, amount_e6=amount_e6)
    by_day |= {dividend.ex_date: dividend for dividend in overrides if dividend.symbol == symbol}
    return [by_day[day] for day in sorted(by_day) if by_day[day].amount_e6 > 0]
