"""The profit and loss, since they were opened, of the condors that the account holds.

There is a point at the end of each minute of the newest session until the start of the simulator, and one every 15
minutes of the sessions before. Contracts are worth what the simulator's market would have quoted, so the points lead to
the quotes with which it started.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from condord.core import occ
from condord.core.condor import condor_id
from condord.core.occ import OptionSymbol
from condord.simulator.account import Account
from condord.simulator.orders import is_option
from condord.simulator.past_path import PastPath
from condord.simulator.past_quotes import PastQuotes

_MINUTE, _COARSE = 60, 900
_MULTIPLIER = 100
_RIGHTS = ["put", "put", "call", "call"]
_SIGNS = (1, -1, -1, 1)


class PastPoints(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The points of one condor: lists with one entry for each of `seconds`, since 1970.

    `id` has no number, even if there are several condors of these strikes. `credit` is dollars a share, negative for
    what was paid. `cents` is the profit or loss at mark and `natural_cents` at natural, for all contracts. `prices` are
    dollars of the underlying.
    """

    id: str
    opened_at: dt.datetime
    quantity: int
    credit: float
    seconds: list[int]
    cents: list[int]
    natural_cents: list[int]
    prices: list[float]


class _Leg(NamedTuple):
    """A contract of a condor, its signed quantity, and what one cost, in cents a share."""

    contract: OptionSymbol
    quantity: int
    paid_cents: Decimal


def points_of(account: Account, path: PastPath, started_at: dt.datetime) -> list[PastPoints]:
    """The points of every condor that one order opened before `started_at` and that is still held in full."""
    quotes = PastQuotes(account.market, path)
    found = []
    for order in account.orders:
        legs = _legs_of(order)
        opened_at = dt.datetime.fromisoformat(order["filled_at"] or order["submitted_at"])
        if legs and opened_at < started_at and all(_is_held(account, leg) for leg in legs):
            seconds = list(_seconds(path, opened_at.timestamp(), started_at.timestamp()))
            found.append(_points(legs, opened_at, seconds, quotes, path))
    return found


def _legs_of(order: Mapping[str, Any]) -> list[_Leg]:
    """The legs by strike of a filled order that opened one condor; empty for any other order."""
    rows = order["legs"] or []
    if order["status"] != "filled" or len(rows) != len(_RIGHTS) or not all(is_option(row["symbol"]) for row in rows):
        return []
    legs = sorted(
        (
            _Leg(
                occ.parse(row["symbol"]),
                int(row["filled_qty"]) * (1 if row["side"] == "buy" else -1),
                Decimal(row["filled_avg_price"]) * 100,
            )
            for row in rows
            if row["position_intent"].endswith("_to_open")
        ),
        key=lambda leg: (leg.contract.right == "call", leg.contract.strike_mills),
    )
    is_condor = [leg.contract.right for leg in legs] == _RIGHTS and [leg.quantity for leg in legs] == [
        legs[0].quantity * sign for sign in _SIGNS
    ]
    return legs if is_condor else []


def _is_held(account: Account, leg: _Leg) -> bool:
    held = account.holdings.get(leg.contract.compact)
    return held is not None and held.quantity * leg.quantity > 0 and abs(held.quantity) >= abs(leg.quantity)


def _seconds(path: PastPath, opened: float, started: float) -> Iterator[int]:
    """The ends of minutes at which there are points."""
    for session in path.sessions:
        step = _MINUTE if session.day == path.session_day else _COARSE
        first = max(session.open, opened)
        second = int(first) // step * step + step
        while second <= min(session.close, started):
            yield second
            second += step


def _points(
    legs: Sequence[_Leg], opened_at: dt.datetime, seconds: list[int], quotes: PastQuotes, path: PastPath
) -> PastPoints:
    underlying = quotes.underlying(legs[0].contract)
    paid_cents = sum((leg.paid_cents * leg.quantity for leg in legs), Decimal(0))
    quantity = abs(legs[0].quantity)
    cents, natural_cents = [], []
    spots = [path.price(underlying, second) for second in seconds]
    for second, spot in zip(seconds, spots, strict=True):
        mark = natural = -float(paid_cents)
        for leg in legs:
            bid, ask = quotes.cents(leg.contract, second, spot)
            mark += leg.quantity * (bid + ask) / 2
            natural += leg.quantity * (bid if leg.quantity > 0 else ask)
        cents.append(round(mark * _MULTIPLIER))
        natural_cents.append(round(natural * _MULTIPLIER))
    contract = legs[0].contract
    return PastPoints(
        id=condor_id(contract.root, contract.expiration, [leg.contract.strike_mills for leg in legs]),
        opened_at=opened_at,
        quantity=quantity,
        credit=float(-paid_cents / quantity / 100),
        seconds=seconds,
        cents=cents,
        natural_cents=natural_cents,
        prices=[round(spot, 2) for spot in spots],
    )
