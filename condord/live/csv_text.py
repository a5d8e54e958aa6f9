"""Write positions, trades and history as CSV (RFC 4180) that a spreadsheet opens safely.

The columns are the names of the JSON. Numbers stay numbers, null is an empty cell, and true and false are as in JSON.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Literal

import msgspec

from condord.live import wire
from condord.live.lost_source import unconfirmed_if_lost
from condord.live.wire_condor import CondorJson, Unmatched
from condord.live.wire_history import RecordedJson, SharesJson, TradeJson, TradesJson

LineEnd = Literal["\n", "\r\n"]
Value = str | float | bool | dt.datetime | dt.date | None
"""A float stands for an int too (PEP 484)."""

POSITION_COLUMNS = (
    "id", "kind", "direction", "underlying", "root", "expiration", "daysToExpiration", "quantity", "credit", "mark",
    "natural", "unrealizedPl", "naturalPl", "dayPl", "percentOfMaxProfit", "percentOfRisk", "maxProfit", "maxLoss",
    "lowerBreakeven", "upperBreakeven", "price", "putDistance", "callDistance", "delta", "theta", "probabilityOfProfit",
    "tested", "missing", "unconfirmed", "openedAt",
)  # fmt: skip
_SHARES = "shares"
_SHARES_COLUMNS = tuple(f"{_SHARES}.{name}" for name in SharesJson.__struct_encode_fields__)
TRADE_COLUMNS = tuple(
    column
    for name in TradeJson.__struct_encode_fields__
    for column in (_SHARES_COLUMNS if name == _SHARES else (name,))
)
HISTORY_COLUMNS = ("seconds", "cents", "naturalCents", "price", "low", "high", "quantity")

# A spreadsheet takes a cell that begins with one of these for a formula; the apostrophe makes it a text.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_CRLF = "\r\n"


def positions_csv(document: wire.Document, end: LineEnd) -> Iterator[str]:
    """Return the lines for the condors of a document, then for the contracts in no condor."""
    document = unconfirmed_if_lost(document)
    quotes = {quote.symbol: quote for quote in document.quotes}
    condors = [_condor(condor) for condor in document.condors]
    unmatched = [_unmatched(entry, quotes.get(entry.symbol)) for entry in document.unmatched]
    return _lines(POSITION_COLUMNS, [*condors, *unmatched], end)


def condor_csv(answer: wire.OneCondor, end: LineEnd) -> Iterator[str]:
    """Return the lines for one condor, with the columns of `positions_csv`."""
    return _lines(POSITION_COLUMNS, [_condor(answer.condor)], end)


def trades_csv(answer: TradesJson, end: LineEnd) -> Iterator[str]:
    """Return the lines for closed condors; the totals are left out."""
    return _lines(TRADE_COLUMNS, map(_trade, answer.trades), end)


def history_csv(answer: RecordedJson, end: LineEnd) -> Iterator[str]:
    """Return the recorded points as lines, one for each minute or bucket."""
    lists = (
        answer.seconds, answer.cents, answer.natural_cents, answer.price, answer.low, answer.high, answer.quantity
    )  # fmt: skip
    rows = (dict(zip(HISTORY_COLUMNS, row, strict=True)) for row in zip(*lists, strict=True))
    return _lines(HISTORY_COLUMNS, rows, end)


def _lines(columns: Sequence[str], rows: Iterable[Mapping[str, Value]], end: LineEnd) -> Iterator[str]:
    written: list[str] = []
    # The writer quotes a line end in a cell only if it is part of `lineterminator`, so that is CRLF for every `end`.
    writer = csv.writer(SimpleNamespace(write=written.append), lineterminator=_CRLF)
    writer.writerow(columns)
    yield written.pop().removesuffix(_CRLF) + end
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in columns])
        yield written.pop().removesuffix(_CRLF) + end


def _cell(value: Value) -> str | float:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return value
        case str():
            return f"'{value}" if value.startswith(_FORMULA_STARTS) else value
        case _:
            text: str = msgspec.to_builtins(value)  # a date or an instant, as in the JSON
            return text


def _condor(condor: CondorJson) -> Mapping[str, Value]:
    value, risk = condor.valuation, condor.risk
    return {
        "id": condor.id,
        "kind": condor.kind,
        "direction": condor.direction,
        "underlying": condor.underlying,
        "root": condor.root,
        "expiration": condor.expiration,
        "daysToExpiration": condor.days_to_expiration,
        "quantity": condor.quantity,
        "credit": condor.credit,
        "mark": value.mark,
        "natural": value.natural,
        "unrealizedPl": value.unrealized_pl,
        "naturalPl": value.natural_pl,
        "dayPl": value.day_pl,
        "percentOfMaxProfit": value.percent_of_max_profit,
        "percentOfRisk": value.percent_of_risk,
        "maxProfit": condor.max_profit,
        "maxLoss": condor.max_loss,
        "lowerBreakeven": condor.breakevens.lower,
        "upperBreakeven": condor.breakevens.upper,
        "price": risk.price,
        "putDistance": risk.distance.put.dollars,
        "callDistance": risk.distance.call.dollars,
        "delta": risk.delta,
        "theta": risk.theta,
        "probabilityOfProfit": risk.probabilities.profit,
        "tested": risk.tested,
        "missing": " ".join(value.missing),
        "unconfirmed": value.unconfirmed,
        "openedAt": condor.opened_at,
    }


def _unmatched(entry: Unmatched, quote: wire.QuoteJson | None) -> Mapping[str, Value]:
    quantity = entry.quantity
    return {
        "id": entry.symbol,
        "kind": "unmatched",
        "direction": entry.side,
        "underlying": entry.underlying,
        "root": entry.root,
        "expiration": entry.expiration,
        "quantity": -quantity if quantity is not None and entry.side == "short" else quantity,
        "mark": entry.mark,
        "unrealizedPl": entry.unrealized_pl,
        "dayPl": entry.day_pl,
        "unconfirmed": None if quote is None else quote.unconfirmed,
    }


def _trade(trade: TradeJson) -> Mapping[str, Value]:
    row: dict[str, Value] = msgspec.to_builtins(trade)
    if trade.shares is not None:
        row |= {f"{_SHARES}.{name}": value for name, value in msgspec.to_builtins(trade.shares).items()}
    return row
