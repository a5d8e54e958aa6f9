"""Lay out the condors as rows of a table, the broken ones among them.

A condor is one line from about 70 columns. On a narrower terminal its name is above its numbers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from condord.cli import formatting
from condord.cli.alert_lines import MARKS
from condord.cli.condor_notes import condor_notes, why_broken
from condord.cli.grid import GAP, Cell, Grid, Row, grid_width, lay_out
from condord.cli.last_day import awaits_settlement, has_expired, time_left
from condord.cli.max_loss import whys_above_max_loss
from condord.cli.row_notes import RowNote, full_text, vital_width
from condord.cli.screen import Screen, plain
from condord.cli.view import AnyCondor
from condord.core.market_hours import exchange_day
from condord.core.rules.rule import Severity
from condord.live import wire
from condord.live.urgency import orders_cutoff, severity_of
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import CondorJson
from condord.live.wire_risk import UnderlyingJson

_NAMES = "CONDOR|EXPIRES|KIND| IN"
_NUMBERS = " QTY|ENTRY| PRICE|DISTANCE| MARK| CLOSE| P/L| TODAY| %MAX| DELTA| THETA| MAX LOSS"
_NAMED_LEGS = (2, 1, 0)
"""How many lost legs of a broken condor are named: as many as fit."""


class _Spare(NamedTuple):
    """The columns to leave out on a narrow terminal, the first to go first. The profit or loss is always shown.

    `for_notes` are the first ones of `on_one_line`. The others are those of the lines below the names; if the names
    leave no room for the days, these have a column, which goes between both parts, and on a last trading day last.
    """

    for_notes: tuple[str, ...]
    on_one_line: tuple[str, ...]
    before_days: tuple[str, ...]
    after_days: tuple[str, ...]


_FOR_NOTES = ("KIND", "ENTRY", "CLOSE", "MAX LOSS", "EXPIRES", "MARK", "DELTA")
_BEFORE_DAYS = ("ENTRY", "CLOSE", "MAX LOSS", "QTY", "THETA", "DELTA", "PRICE", "MARK")
_SPARE = _Spare(
    _FOR_NOTES, (*_FOR_NOTES, "QTY", "PRICE", "THETA", "%MAX", "TODAY"), _BEFORE_DAYS, ("TODAY", "%MAX", "DISTANCE")
)
_FOR_NOTES_LAST_DAY = ("KIND", "ENTRY", "MAX LOSS", "EXPIRES", "MARK", "DELTA")
_SPARE_ON_LAST_DAY = _Spare(
    _FOR_NOTES_LAST_DAY,
    (*_FOR_NOTES_LAST_DAY, "QTY", "PRICE", "THETA", "%MAX", "TODAY", "CLOSE"),
    ("ENTRY", "MAX LOSS", "QTY", "THETA", "DELTA", "PRICE", "MARK"),
    ("TODAY", "%MAX", "CLOSE", "DISTANCE"),
)
"""On a last trading day of a condor it matters most what closing costs."""
_STYLES: Mapping[Severity | None, str] = {"critical": "alarm", "warning": "warn", "info": "strong", None: "strong"}


def condor_rows(document: wire.Document, shown: Sequence[AnyCondor], screen: Screen, *, old: bool) -> Grid:
    """Return the rows of the condors `shown`, of which there is at least one, in that order.

    A mark before the name has the shape and the colour of the most severe alert that fires for the condor. While
    nothing fires, no room is kept for marks. `old`: the numbers are no longer kept up to date.
    """
    quotes = {quote.symbol: quote for quote in document.quotes}
    prices = {entry.symbol: entry for entry in document.underlyings}
    severities = [severity_of(condor, document.alerts) for condor in shown]
    has_marks = any(severities)
    names = [
        [
            Cell((f"{_mark(severity)} " if has_marks else "") + plain(condor.id), _STYLES[severity]),
            *_terms(condor, document.as_of),
        ]
        for condor, severity in zip(shown, severities, strict=True)
    ]
    notes = [
        condor_notes(condor, quotes, prices.get(condor.underlying), old=old)
        + _max_loss_note(condor, document)
        + _settlement_note(condor, document.as_of)
        + _closing_note(condor)
        for condor in shown
    ]
    titles = f"{_NAMES}|{_NUMBERS}"
    choices = [
        [
            [*_numbers(condor, prices.get(condor.underlying), named, document.as_of), Cell(full_text(note), "warn")]
            for condor, note in zip(shown, notes, strict=True)
        ]
        for named in _NAMED_LEGS
    ]
    room, vital = screen.width, max(map(vital_width, notes))
    ending = [condor for condor in shown if _is_last_day(condor, document.as_of)]
    has_trading = any(not has_expired(condor, document.as_of) for condor in ending)
    spare = _SPARE_ON_LAST_DAY if has_trading else _SPARE
    for notes_width in (len(GAP) + vital, 0):
        for noted in choices:
            rows: list[Row] = [[*name, *number] for name, number in zip(names, noted, strict=True)]
            if room is None or grid_width(titles, rows, without=spare.on_one_line) + notes_width <= room:
                return lay_out(
                    titles, rows, screen, spare=spare.on_one_line, for_notes=spare.for_notes, on_one_line=notes
                )
    above, missing, has_days = _name_lines(shown, names, document.as_of, screen)
    titles = _NUMBERS
    spare_numbers = (*spare.before_days, *spare.after_days)
    if not has_days:
        titles = f" IN|{_NUMBERS}"
        spare_numbers = (*spare_numbers, "IN") if ending else (*spare.before_days, "IN", *spare.after_days)
        choices = [[[name[-1], *row] for name, row in zip(names, noted, strict=True)] for noted in choices]
    widths = [len(GAP) + grid_width(titles, noted, without=spare_numbers[:-1]) for noted in choices]
    fitting = (noted for noted, width in zip(choices, widths, strict=True) if room is None or width <= room)
    return lay_out(titles, next(fitting, choices[-1]), screen, above, spare_numbers, missing=missing)


def _is_last_day(condor: AnyCondor, as_of: dt.datetime) -> bool:
    """Whether the time left for orders is that of today."""
    cutoff_at = orders_cutoff(condor)
    return cutoff_at is not None and exchange_day(cutoff_at) == exchange_day(as_of)


def _mark(severity: Severity | None) -> str:
    return " " if severity is None else MARKS[severity]


def _terms(condor: AnyCondor, as_of: dt.datetime) -> list[Cell]:
    return [
        Cell(formatting.date(condor.expiration, exchange_day(as_of))),
        Cell(formatting.kind(condor)),
        Cell(time_left(condor, as_of, unit="d")),
    ]


def _numbers(condor: AnyCondor, underlying: UnderlyingJson | None, named: int, as_of: dt.datetime) -> list[Cell]:
    unknown = Cell(formatting.UNKNOWN)
    price = underlying.price if underlying else None
    if isinstance(condor, BrokenJson):
        return [
            Cell(str(condor.quantity)),
            unknown,
            Cell(formatting.money(price)),
            Cell(why_broken(condor, named) if named else "broken", "alarm"),  # under DISTANCE, which is always shown
            *[unknown] * 2,
            _gain(condor.unrealized_pl),
            *[unknown] * 5,
        ]
    value, risk = condor.valuation, condor.risk
    return [
        Cell(str(condor.quantity)),
        Cell(formatting.entry(condor.credit)),
        # Nothing is computed from a price that is not confirmed, but it is shown: a note marks it.
        Cell(formatting.money(price if risk.price is None else risk.price)),
        Cell(formatting.distance(risk), formatting.distance_style(risk)),
        Cell(formatting.closing_price(value.mark, condor.direction)),
        unknown if has_expired(condor, as_of) else Cell(formatting.closing_price(value.natural, condor.direction)),
        _gain(value.unrealized_pl),
        _gain(value.day_pl),
        Cell(formatting.percent(value.percent_of_max_profit).removesuffix(" %")),
        Cell(formatting.greek(risk.delta)),
        Cell(formatting.greek(risk.theta)),
        Cell(formatting.money(condor.max_loss)),
    ]


def _gain(value: float | None) -> Cell:
    return Cell(formatting.gain(value), formatting.gain_style(value))


def _max_loss_note(condor: AnyCondor, document: wire.Document) -> list[RowNote]:
    may_exceed = isinstance(condor, CondorJson) and whys_above_max_loss(condor, document)
    forms = ("loss may exceed the maximum", "loss may exceed max", "may exceed max")
    return [RowNote(forms, vital="loss may exceed max")] if may_exceed else []


def _settlement_note(condor: AnyCondor, as_of: dt.datetime) -> list[RowNote]:
    """Return the note on a condor that has expired, as the column IN states, but is still held."""
    if awaits_settlement(condor, as_of):
        return [RowNote(("awaits settlement",), vital="awaits settlement", is_in_columns=True)]
    return [RowNote(("settles at the open",), vital="settles at the open")] if has_expired(condor, as_of) else []


def _closing_note(condor: AnyCondor) -> list[RowNote]:
    is_closing = isinstance(condor, CondorJson) and condor.closing
    return [RowNote(("closing order", "closing"), vital="closing")] if is_closing else []


def _name_lines(
    shown: Sequence[AnyCondor], names: Sequence[Sequence[Cell]], as_of: dt.datetime, screen: Screen
) -> tuple[list[str], Sequence[str], bool]:
    """Return the line above the numbers of each condor, with as many details as all of them have room for.

    The second part names the columns whose details have none, except for the days; the third is whether these have
    room.
    """
    dates = [formatting.date(condor.expiration, exchange_day(as_of)) for condor in shown]
    days = [time_left(condor, as_of) for condor in shown]
    kinds = [formatting.kind(condor) for condor in shown]
    details = [
        ([f"{GAP}{', '.join(parts)}" for parts in zip(*columns, strict=True)], missing)
        for columns, missing in (
            ((kinds, dates, days), ()),
            ((dates, days), ("KIND",)),
            ((days,), ("EXPIRES", "KIND")),
        )
    ]
    ids, room = [name[0] for name in names], screen.width or 0
    fitting = (
        (texts, missing)
        for texts, missing in details
        if all(len(name.text) + len(text) <= room for name, text in zip(ids, texts, strict=True))
    )
    found = next(fitting, None)
    chosen, missing = found or ([""] * len(ids), ("EXPIRES", "KIND"))
    lines = [screen.paint(name.text, name.style) + text for name, text in zip(ids, chosen, strict=True)]
    return lines, missing, found is not None
