"""Show closed condors as a table with totals.

A trade is one row. If the terminal is so narrow that many columns would be left out, each name gets a line of its own
above the numbers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from condord.cli import formatting
from condord.cli.grid import Cell, Row, grid, grid_width
from condord.cli.screen import Screen, joined, painted, plain
from condord.core.market_hours import exchange_day
from condord.core.trade import How
from condord.live.never_read import why_trades_unread
from condord.live.wire_history import TradeJson, TradesJson, TradeTotalsJson

_NAMES = "CONDOR|KIND|OPENED|CLOSED|HOW"
_NUMBERS = " DAYS| QTY| CREDIT| DEBIT| P/L| %MAX| WORST| BEST| FEES"

# Columns to leave out on a narrow terminal, the first to go first. The profit or loss is always shown.
_SPARE_NUMBERS = ("FEES", "BEST", "WORST", "DAYS", "CREDIT", "DEBIT", "QTY", "%MAX")
# Two lines have room for the others.
_SPARE_ON_ONE_LINE = ("KIND", "OPENED", "FEES", "BEST")

_UNREAD_PARTS = (f"{formatting.UNKNOWN} trades", f"P/L {formatting.UNKNOWN}", "not read yet")

_HOW: Mapping[How, str] = {
    "closed": "closed",
    "partlyClosed": "in part",
    "expired": "expired",
    "assigned": "assigned",
    "rolled": "rolled",
}


def trades_lines(answer: TradesJson, now: dt.datetime, screen: Screen) -> list[str]:
    """Return the lines for an answer of `GET /api/trades`; they depend only on the arguments."""
    today = exchange_day(now)
    if unread := why_trades_unread(answer):
        return [*painted(formatting.capitalized(unread), "warn", screen), "", *joined(_UNREAD_PARTS, screen)]
    shown = _table(answer.trades, today, screen) if answer.trades else ["No condor was closed in this range."]
    return [*shown, "", *joined(_total_parts(answer.totals, today), screen)]


def _table(trades: list[TradeJson], today: dt.date, screen: Screen) -> list[str]:
    names = [_name_cells(trade, today) for trade in trades]
    numbers, notes = ([make(trade) for trade in trades] for make in (_number_cells, _note))
    rows: list[Row] = [
        [*name, *number, *note] for name, number, note in zip(names, numbers, notes, strict=True)
    ]  # fmt: skip
    titles = f"{_NAMES}|{_NUMBERS}"
    if screen.width is None or grid_width(titles, rows, without=_SPARE_ON_ONE_LINE) <= screen.width:
        return grid(titles, rows, screen, spare=_SPARE_ON_ONE_LINE)
    rows = [[*number, *note] for number, note in zip(numbers, notes, strict=True)]
    details = [_detail(name, screen.width) for name in names]
    above = [screen.paint(name[0].text, name[0].style) + detail for name, detail in zip(names, details, strict=True)]
    missing = ["KIND", "OPENED", *([] if all(details) else ["CLOSED", "HOW"])]
    return grid(_NUMBERS, rows, screen, above, _SPARE_NUMBERS, missing=missing)


def _name_cells(trade: TradeJson, today: dt.date) -> list[Cell]:
    return [
        Cell(plain(trade.id), "strong"),
        Cell(formatting.kind(trade)),
        Cell(formatting.date(exchange_day(trade.opened_at), today) if trade.opened_at else formatting.UNKNOWN),
        Cell(formatting.date(exchange_day(trade.closed_at), today)),
        Cell(_HOW[trade.how]),
    ]


def _detail(cells: list[Cell], width: int) -> str:
    """Return the details after a name that is above the numbers; empty if there is no room."""
    name, _, _, closed, how = cells
    detail = f"  {how.text} {closed.text}"
    return detail if len(name.text) + len(detail) <= width else ""


def _number_cells(trade: TradeJson) -> list[Cell]:
    return [
        Cell(formatting.number(trade.days_held)),
        Cell(str(trade.quantity)),
        Cell(formatting.price(trade.credit)),
        Cell(formatting.price(trade.debit)),
        Cell(formatting.gain(trade.realized_pl), formatting.gain_style(trade.realized_pl)),
        Cell(formatting.percent(trade.percent_of_max_profit).removesuffix(" %")),
        Cell(formatting.gain(trade.worst_pl)),
        Cell(formatting.gain(trade.best_pl)),
        Cell(formatting.money(trade.fees)),
    ]


def _note(trade: TradeJson) -> list[Cell]:
    notes = []
    if trade.shares is not None:
        price = "at an unknown price" if trade.shares.price is None else f"at {formatting.price(trade.shares.price)}"
        notes.append(f"{trade.shares.quantity:+,} {trade.shares.symbol} {price}")
    if isinstance(trade.rolled_to, str):
        notes.append(f"to {trade.rolled_to}")
    return [Cell(plain(", ".join(notes)), "faint")]


def _total_parts(totals: TradeTotalsJson, today: dt.date) -> list[str]:
    count = f"{totals.trades} trade{'' if totals.trades == 1 else 's'}"
    rate = "" if totals.win_rate is None else f" ({formatting.chance(totals.win_rate)})"
    parts = [
        f"{count} ({totals.unknown} unknown)" if totals.unknown else count,
        f"P/L {formatting.gain(totals.realized_pl)}",
        f"{totals.winners} won, {totals.losers} lost{rate}",
    ]
    if totals.average_win is not None:
        parts.append(f"average win {formatting.gain(totals.average_win)}")
    if totals.average_loss is not None:
        parts.append(f"average loss {formatting.gain(totals.average_loss)}")
    complete = totals.complete_from
    parts.append(
        "not read yet" if complete is None else f"complete since {formatting.date(exchange_day(complete), today)}"
    )
    return parts
