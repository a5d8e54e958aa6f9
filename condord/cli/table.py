"""Decides how the document reads for people: the condors, what is in none, the account, and what to trust.

Rules: one row a condor; where it does not fit, its name stands above its numbers. What is not known is a dash.
`now` is an argument, so the same document gives the same lines.
"""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Mapping

from condord.cli import words
from condord.cli.grid import Cell, Row, grid, grid_width
from condord.cli.screen import Screen, folded, plain
from condord.client import decoded
from condord.live import wire

_NAMES = "CONDOR|EXPIRES| IN|KIND"
_NUMBERS = " QTY| CREDIT| MARK| CLOSE| P/L| %MAX| MAX LOSS"
_UNMATCHED = "IN NO CONDOR|SIDE| QTY| ENTRY| MARK| P/L"
_LEG = "LEG|SIDE"
_CONTRACT = " STRIKE|RIGHT"  # the symbol says it too
_LEG_NUMBERS = " QTY| ENTRY| BID| ASK| MARK| P/L"

# What a narrow terminal does without, the first to go first; the profit or loss and its side always stay.
_SPARE_NUMBERS = ("CREDIT", "CLOSE", "MAX LOSS", "QTY", "%MAX", "MARK")
_SPARE_UNMATCHED = ("ENTRY", "MARK", "QTY", "SIDE")
_SPARE_LEG_NUMBERS = ("ENTRY", "ASK", "BID", "MARK", "QTY", "SIDE")


def text(body: bytes, condor_id: str | None, screen: Screen, old: str = "") -> str:
    """The body of `GET /api/positions`, or with an id of `/api/positions/{id}`, for people, now.

    `old` says why the body is no longer kept up to date, if it is not.

    Raises:
        Unavailable: it is neither.
    """
    now = dt.datetime.now(dt.UTC)
    if condor_id is None:
        lines = document_lines(decoded(body, wire.Document), now, screen, old)
    else:
        lines = condor_lines(decoded(body, wire.OneCondor), now, screen, old)
    return "".join(f"{line}\n" for line in folded(lines, screen.width))


def document_lines(document: wire.Document, now: dt.datetime, screen: Screen, old: str = "") -> list[str]:
    """The whole account."""
    # A snapshot can bring the first condors before its status tells of the reading, so what is held is shown first.
    if document.status.positions.read_at is None and not (document.condors or document.unmatched):
        return [*_unread(document.status.positions, screen), "", *_trust(document, now, screen, old)]
    quotes = _by_symbol(document.quotes)
    lines = _condors(document.condors, quotes, screen, old=bool(old)) if document.condors else ["No condors."]
    if document.unmatched:
        rows = [_unmatched_row(entry, quotes.get(entry.symbol)) for entry in document.unmatched]
        lines += ["", *grid(_UNMATCHED, rows, screen, spare=_SPARE_UNMATCHED)]
    lines += ["", *_wrapped(_total_parts(document), screen)]
    if len(document.totals.by_underlying) > 1:
        held = {condor.underlying for condor in document.condors}
        parts = document.totals.by_underlying
        lines += _wrapped([_underlying(part, with_gain=part.underlying in held) for part in parts], screen)
    return lines + _trust(document, now, screen, old)


def _unread(positions: wire.Positions, screen: Screen) -> list[str]:
    why = f": {plain(positions.error.text)}" if positions.error else "."
    return _painted(f"Positions have not been read yet{why}", "warn", screen)


def _condors(condors: list[wire.Condor], quotes: Mapping[str, wire.Quote], screen: Screen, *, old: bool) -> list[str]:
    names = [_name_cells(condor) for condor in condors]
    numbers = [_number_cells(condor) for condor in condors]
    notes = [Cell(words.flags(condor, quotes, old=old), "warn") for condor in condors]
    titles = f"{_NAMES}|{_NUMBERS}"
    rows: list[Row] = [[*name, *number, note] for name, number, note in zip(names, numbers, notes, strict=True)]
    if screen.width is None or grid_width(titles, rows) <= screen.width:
        return grid(titles, rows, screen)
    above = _name_lines(names, screen)
    rows = [[*number, note] for number, note in zip(numbers, notes, strict=True)]
    return grid(_NUMBERS, rows, screen, above, _SPARE_NUMBERS)


def _name_lines(names: list[list[Cell]], screen: Screen) -> list[str]:
    """What stands above the numbers of each condor, as much as one line takes of it."""
    fuller = [
        [f"  {kind.text}, {date.text}, {days.text}" for _, date, days, kind in names],
        [f"  {date.text}, {days.text}" for _, date, days, _ in names],
        [f"  {days.text}" for _, _, days, _ in names],
    ]
    ids, room = [name[0] for name in names], screen.width or 0
    fitting = (
        rest for rest in fuller if all(len(one.text) + len(more) <= room for one, more in zip(ids, rest, strict=True))
    )
    rest = next(fitting, [""] * len(ids))
    return [screen.paint(one.text, one.style) + more for one, more in zip(ids, rest, strict=True)]


def _by_symbol(quotes: list[wire.Quote]) -> dict[str, wire.Quote]:
    return {quote.symbol: quote for quote in quotes}


def _name_cells(condor: wire.Condor) -> list[Cell]:
    return [
        Cell(plain(condor.id), "strong"),
        Cell(condor.expiration.isoformat()),
        Cell(words.days(condor.days_to_expiration)),
        Cell(words.kind(condor)),
    ]


def _number_cells(condor: wire.Condor) -> list[Cell]:
    value = condor.valuation
    return [
        Cell(str(condor.quantity)),
        Cell(words.price(condor.credit)),
        Cell(words.price(value.mark)),
        Cell(words.price(value.natural)),
        Cell(words.gain(value.unrealized_pl), words.gain_style(value.unrealized_pl)),
        Cell(words.percent(value.percent_of_max_profit)),
        Cell(words.money(condor.max_loss)),
    ]


def _unmatched_row(entry: wire.Unmatched, quote: wire.Quote | None) -> Row:
    notes = ["unconfirmed"] if quote and quote.unconfirmed else []
    notes += ["uncovered short"] if entry.uncovered_short else []
    notes += [plain(entry.problem)] if entry.problem else []
    return [
        Cell(plain(entry.symbol)),
        Cell(entry.side or words.UNKNOWN),
        Cell(words.number(entry.quantity)),
        Cell(words.price(entry.average_entry_price)),
        Cell(words.price(entry.mark)),
        Cell(words.gain(entry.unrealized_pl), words.gain_style(entry.unrealized_pl)),
        Cell(", ".join(notes), "warn"),
    ]


def _total_parts(document: wire.Document) -> list[str]:
    totals = document.totals
    count = words.condors(totals.condors)
    parts = [f"{count} ({totals.incomplete} incomplete)" if totals.incomplete else count]
    parts += [f"P/L {words.gain(totals.unrealized_pl)}", f"closing now {words.gain(totals.natural_pl)}"]
    if document.unmatched:
        parts.append(f"in no condor {words.gain(totals.unmatched_pl)}")
    boundless = totals.max_loss is None and any(entry.uncovered_short for entry in document.unmatched)
    parts.append("max loss without bound" if boundless else f"max loss {words.money(totals.max_loss)}")
    return [*parts, "unconfirmed"] if any(quote.unconfirmed for quote in document.quotes) else parts


def _underlying(part: wire.UnderlyingTotals, *, with_gain: bool) -> str:
    """Its worst case, and the gain of its condors if it has any."""
    gained = f" {words.gain(part.unrealized_pl)}," if with_gain else ""
    return f"{plain(part.underlying)}{gained} max loss {words.money(part.max_loss)}"


def _trust(document: wire.Document, now: dt.datetime, screen: Screen, old: str) -> list[str]:
    """What the numbers rest on: one line, and one more for each thing that is wrong and each notice.

    With `old` the state is not known any more, and `old` stands in its place.
    """
    status = document.status
    # Deltas carry quotes but not `lastMessageAt`, so in a watched document the quotes know better.
    times = [status.stream.last_message_at, *(quote.time for quote in document.quotes)]
    newest = max((time for time in times if time is not None), default=None)
    parts = [
        f"{status.source} {status.feed}",
        f"newest message {words.age(newest, now)}",
        words.market(status.market, now),
    ]
    if old:
        return [*_painted(old, "bad", screen), *_wrapped(parts, screen)]
    head = screen.paint(status.state, words.state_style(status.state))
    first, *more = _wrapped([status.state, *parts], screen)
    lines = [head + first.removeprefix(status.state), *more]
    for sentence in words.trouble(status, now):
        lines += _painted(sentence, "warn", screen)
    return lines + [screen.paint(_notice_line(notice, screen), "warn") for notice in status.notices]


def _notice_line(notice: wire.Notice, screen: Screen) -> str:
    """A notice on one line, cut where it is too long: `condord status` has the whole."""
    sentence = plain(f"{notice.code}: {notice.text}")
    return textwrap.shorten(sentence, screen.width or len(sentence), placeholder=" …")


def _painted(sentence: str, style: str, screen: Screen) -> list[str]:
    return [screen.paint(part, style) for part in textwrap.wrap(sentence, screen.width or len(sentence))]


def condor_lines(one: wire.OneCondor, now: dt.datetime, screen: Screen, old: str = "") -> list[str]:
    """One condor with its legs."""
    condor, value = one.condor, one.condor.valuation
    quotes = _by_symbol(one.quotes)
    gains = {leg.symbol: leg.unrealized_pl for leg in value.legs}
    profit = screen.paint(words.gain(value.unrealized_pl), words.gain_style(value.unrealized_pl))
    sides = condor.breakevens
    lines = [
        f"{screen.paint(plain(condor.id), 'strong')}  {words.kind(condor)}",
        f"expires     {condor.expiration.isoformat()}, {words.days(condor.days_to_expiration)}",
        f"quantity    {condor.quantity} x {condor.multiplier}",
        f"{'debit ' if (condor.credit or 0) < 0 else 'credit'}      {words.price(condor.credit).removeprefix('-')}",
        f"mark        {words.price(value.mark)}, close now {words.price(value.natural)}",
        f"P/L         {profit}, closing now {words.gain(value.natural_pl)}",
        f"            {words.percent(value.percent_of_max_profit)} of max profit",
        f"            {words.percent(value.percent_of_risk)} of risk",
        f"max profit  {words.money(condor.max_profit)}, max loss {words.money(condor.max_loss)}",
        f"breakevens  {words.price(sides.lower)} and {words.price(sides.upper)}",
        f"quoted      {words.age(value.as_of, now)}",
    ]
    if notes := words.flags(condor, quotes, old=bool(old)):
        lines += _painted(notes, "warn", screen)
    titles = f"{_LEG}|{_CONTRACT}|{_LEG_NUMBERS}"
    rows = [_leg_row(leg, quotes.get(leg.symbol), gains) for leg in condor.legs]
    if screen.width is not None and grid_width(titles, rows) > screen.width:
        titles, rows = f"{_LEG}|{_LEG_NUMBERS}", [[*row[:2], *row[4:]] for row in rows]
    shown = [*lines, "", *grid(titles, rows, screen, spare=_SPARE_LEG_NUMBERS)]
    return [*shown, "", *_painted(old, "bad", screen)] if old else shown


def _leg_row(leg: wire.Leg, quote: wire.Quote | None, gains: Mapping[str, wire.Dollars | None]) -> Row:
    bid, mark = (quote.bid, quote.mark) if quote else (None, None)
    gained = gains.get(leg.symbol)
    state = [words.QUOTE_STATES.get(quote.state, quote.state)] if quote else ["no quote"]
    notes = [*state, "unconfirmed"] if quote and quote.unconfirmed else state
    return [
        Cell(plain(leg.symbol)),
        Cell(leg.side),
        Cell(words.number(leg.strike)),
        Cell(leg.right),
        Cell(str(leg.quantity)),
        Cell(words.price(leg.average_entry_price)),
        Cell(words.price(bid)),
        Cell(words.price(words.ask(quote))),
        Cell(words.price(mark)),
        Cell(words.gain(gained), words.gain_style(gained)),
        Cell(", ".join(filter(None, notes)), "warn"),
    ]


def _wrapped(parts: list[str], screen: Screen) -> list[str]:
    """The parts on as few lines as the width allows, none broken."""
    lines = [parts[0]]
    for part in parts[1:]:
        longer = f"{lines[-1]} · {part}"
        if screen.width is None or len(longer) <= screen.width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines
