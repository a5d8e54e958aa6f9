"""Store closed trades, and the activities that they are computed from."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Sequence

import msgspec

from condord.core.activity import Activity
from condord.core.trade import DeliveredShares, Trade
from condord.history.instants import instant, instant_or_none, microseconds, microseconds_or_none

_ACTIVITIES = """
SELECT id, kind, symbol, quantity, at_us, day, price_e6, amount_e4, order_id, execution_id
FROM activities JOIN accounts USING (account) WHERE hash = ? ORDER BY at_us, id, symbol
"""
_ADD_ACTIVITY = """
INSERT OR REPLACE INTO activities
    (account, id, kind, symbol, quantity, at_us, day, price_e6, amount_e4, order_id, execution_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_TRADES = """
SELECT condor, opened_us, closed_us, underlying, kind, direction, trades.quantity, how, credit_e4, debit_e4,
    realized_e4, max_profit_e4, fees_e4, shares_symbol, shares_quantity, shares_price_e4, rolled_to, is_whole
FROM trades JOIN accounts USING (account) WHERE hash = ? ORDER BY closed_us DESC, condor, opened_us
"""
_ADD_TRADE = """
INSERT OR REPLACE INTO trades
    (account, condor, opened_us, closed_us, underlying, kind, direction, quantity, how, credit_e4, debit_e4,
    realized_e4, max_profit_e4, fees_e4, shares_symbol, shares_quantity, shares_price_e4, rolled_to, is_whole)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def load_activities(connection: sqlite3.Connection, account: str) -> tuple[tuple[Activity, ...], dt.datetime | None]:
    """Return the stored activities, oldest first, and the instant since which they are complete."""
    rows = connection.execute(_ACTIVITIES, (account,)).fetchall()
    found = connection.execute("SELECT complete_from_us FROM accounts WHERE hash = ?", (account,)).fetchone()
    return tuple(_activity(row) for row in rows), None if found is None else instant_or_none(found[0])


def add_activities(
    connection: sqlite3.Connection, account_id: int, activities: Sequence[Activity], complete_from: dt.datetime | None
) -> None:
    """Store activities; those of the same id, kind and symbol are replaced."""
    connection.executemany(
        _ADD_ACTIVITY,
        [
            (
                account_id,
                row.id,
                row.kind,
                row.symbol,
                row.quantity,
                microseconds(row.at),
                row.day.isoformat(),
                row.price_e6,
                row.amount_e4,
                row.order_id,
                row.execution_id,
            )
            for row in activities
        ],
    )
    if complete_from is not None:
        connection.execute(
            "UPDATE accounts SET complete_from_us = ? WHERE account = ?", (microseconds(complete_from), account_id)
        )


def load_trades(connection: sqlite3.Connection, account: str) -> tuple[Trade, ...]:
    """Return the stored trades, newest first."""
    return tuple(_trade(row) for row in connection.execute(_TRADES, (account,)).fetchall())


def save_trades(connection: sqlite3.Connection, account_id: int, trades: Sequence[Trade]) -> None:
    """Store `trades`, all that orders and activities give, and remove others that were closed after `complete_from`.

    While no activities have been read, others are removed from the oldest of `trades` on.
    """
    (complete_us,) = connection.execute(
        "SELECT complete_from_us FROM accounts WHERE account = ?", (account_id,)
    ).fetchone()
    if complete_us is None:
        complete_us = min((microseconds(trade.closed_at) for trade in trades), default=None)
    if complete_us is not None:
        connection.execute("DELETE FROM trades WHERE account = ? AND closed_us >= ?", (account_id, complete_us))
    connection.executemany(_ADD_TRADE, [(account_id, *_trade_values(trade)) for trade in trades])


def _activity(row: tuple[object, ...]) -> Activity:
    identity, kind, symbol, quantity, at_us, day, *rest = row
    assert isinstance(at_us, int)  # noqa: S101 - the schema is STRICT
    price_e6, amount_e4, order_id, execution_id = rest
    return msgspec.convert(
        {
            "id": identity,
            "kind": kind,
            "symbol": symbol,
            "quantity": quantity,
            "at": instant(at_us),
            "day": day,
            "price_e6": price_e6,
            "amount_e4": amount_e4,
            "order_id": order_id,
            "execution_id": execution_id,
        },
        Activity,
    )


_FIELDS = (
    "underlying",
    "kind",
    "direction",
    "quantity",
    "how",
    "credit_e4",
    "debit_e4",
    "realized_e4",
    "max_profit_e4",
    "fees_e4",
)
"""The fields of a trade that are stored as they are, in the order of the columns."""


def _trade_values(trade: Trade) -> tuple[object, ...]:
    shares = trade.shares
    return (
        trade.id,
        microseconds_or_none(trade.opened_at) or 0,
        microseconds(trade.closed_at),
        *(getattr(trade, field) for field in _FIELDS),
        *((None, None, None) if shares is None else (shares.symbol, shares.quantity, shares.price_e4)),
        trade.rolled_to,
        int(trade.is_whole),
    )


def _trade(row: tuple[object, ...]) -> Trade:
    condor, opened_us, closed_us, *fields, symbol, quantity, price_e4, rolled_to, is_whole = row
    assert isinstance(opened_us, int)  # noqa: S101 - the schema is STRICT
    assert isinstance(closed_us, int)  # noqa: S101 - the same
    shares = None if symbol is None else {"symbol": symbol, "quantity": quantity, "price_e4": price_e4}
    return msgspec.convert(
        {
            "id": condor,
            "opened_at": instant_or_none(opened_us or None),
            "closed_at": instant(closed_us),
            **dict(zip(_FIELDS, fields, strict=True)),
            "shares": None if shares is None else msgspec.convert(shares, DeliveredShares),
            "rolled_to": rolled_to,
            "is_whole": bool(is_whole),
        },
        Trade,
    )
