"""Show the document, or one condor, as a table for people.

A condor is one row. If that is too wide, its name stands above its numbers. A value that is not known is a dash.
"""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Mapping

from condord.cli import alert_lines, formatting
from condord.cli.detail import condor_lines
from condord.cli.grid import Cell, Row, grid, grid_width
from condord.cli.screen import Screen, folded, joined, painted, plain
from condord.client.http import decoded
from condord.live import wire
from condord.live.wire_condor import CondorJson, Unmatched
from condord.live.wire_risk import AccountJson, UnderlyingJson

_NAMES = "CONDOR|EXPIRES|KIND| IN"
_NUMBERS = " QTY| CREDIT| PRICE|DISTANCE| MARK| CLOSE| P/L| TODAY| %MAX| DELTA| THETA| MAX LOSS"
_UNMATCHED = "IN NO CONDOR|SIDE| QTY| ENTRY| MARK| P/L| TODAY"
_UNDERLYING = "UNDERLYING| PRICE| CHANGE| SHARES| P/L| TODAY| DELTA| THETA| MAX LOSS"

# Columns to leave out on a narrow terminal, the first to go first. The profit or loss is always shown.
_SPARE_FOR_NOTES = ("EXPIRES", "KIND", "CREDIT", "CLOSE", "MAX LOSS")
_SPARE_ON_ONE_LINE = (*_SPARE_FOR_NOTES, "MARK", "QTY")
_SPARE_NUMBERS = (
    "CREDIT", "CLOSE", "MAX LOSS", "QTY", "THETA", "DELTA", "PRICE", "MARK", "TODAY", "%MAX", "DISTANCE",
)  # fmt: skip
_SPARE_UNMATCHED = ("ENTRY", "MARK", "TODAY", "QTY", "SIDE")
_SPARE_UNDERLYING = ("SHARES", "THETA", "DELTA", "TODAY", "CHANGE", "PRICE", "MAX LOSS")


def render(body: bytes, condor_id: str | None, screen: Screen, outage: str = "") -> str:
    """Return the table for a body of `GET /api/positions`, or with an id of `/api/positions/{id}`.

    `outage` is a sentence, empty while the body is kept up to date. It replaces the state, and rows are marked `old`.

    Raises:
        Unavailable: the body cannot be decoded.
    """
    now = dt.datetime.now(dt.UTC)
    if condor_id is None:
        lines = document_lines(decoded(body, wire.Document), now, screen, outage)
    else:
        lines = condor_lines(decoded(body, wire.OneCondor), now, screen, outage)
    return "".join(f"{line}\n" for line in folded(lines, screen.width))


def document_lines(document: wire.Document, now: dt.datetime, screen: Screen, outage: str = "") -> list[str]:
    """Return the lines for the whole account; they depend only on the arguments."""
    # A snapshot can contain the first condors before its status has `readAt`: those are shown anyway.
    if document.status.positions.read_at is None and not (document.condors or document.unmatched):
        return [*_unread(document.status.positions, screen), "", *_status_lines(document, now, screen, outage)]
    quotes = _by_symbol(document.quotes)
    lines = _condors(document, quotes, screen, old=bool(outage)) if document.condors else ["No condors."]
    if document.unmatched:
        rows = [_unmatched_row(entry, quotes.get(entry.symbol)) for entry in document.unmatched]
        lines += ["", *grid(_UNMATCHED, rows, screen, spare=_SPARE_UNMATCHED)]
    lines += ["", *joined(_total_parts(document), screen)]
    if document.account is not None:
        lines += joined(_account_parts(document.account), screen)
    if document.totals.by_underlying:
        lines += ["", *grid(_UNDERLYING, _underlying_rows(document), screen, spare=_SPARE_UNDERLYING), ""]
    return lines + _status_lines(document, now, screen, outage)


def _unread(positions: wire.Positions, screen: Screen) -> list[str]:
    why = f": {plain(positions.error.text)}" if positions.error else "."
    return painted(f"Positions have not been read yet{why}", "warn", screen)


def _condors(document: wire.Document, quotes: Mapping[str, wire.QuoteJson], screen: Screen, *, old: bool) -> list[str]:
    condors = document.condors
    prices = {entry.symbol: entry for entry in document.underlyings}
    names = [_name_cells(condor) for condor in condors]
    numbers = [_number_cells(condor) for condor in condors]
    notes = [_note(condor, quotes, prices.get(condor.underlying), old=old) for condor in condors]
    days = [Cell(formatting.days(condor.days_to_expiration, unit="d")) for condor in condors]
    rows: list[Row] = [
        [*name[:-1], day, *number, note] for name, day, number, note in zip(names, days, numbers, notes, strict=True)
    ]
    titles = f"{_NAMES}|{_NUMBERS}"
    if screen.width is None or grid_width(titles, rows, without=_SPARE_ON_ONE_LINE) <= screen.width:
        return grid(titles, rows, screen, spare=_SPARE_ON_ONE_LINE, for_notes=_SPARE_FOR_NOTES)
    above = _name_lines(names, screen)
    rows = [[*number, note] for number, note in zip(numbers, notes, strict=True)]
    return grid(_NUMBERS, rows, screen, above, _SPARE_NUMBERS)


def _note(
    condor: CondorJson, quotes: Mapping[str, wire.QuoteJson], underlying: UnderlyingJson | None, *, old: bool
) -> Cell:
    notes = [formatting.flags(condor, quotes, underlying, old=old), "closing order" if condor.closing else ""]
    return Cell(", ".join(filter(None, notes)), "warn")


def _name_lines(names: list[list[Cell]], screen: Screen) -> list[str]:
    """Return the line above the numbers of each condor, with as many details as all of them have room for."""
    details = [
        [f"  {kind.text}, {date.text}, {days.text}" for _, date, kind, days in names],
        [f"  {date.text}, {days.text}" for _, date, _, days in names],
        [f"  {days.text}" for _, _, _, days in names],
    ]
    ids, room = [name[0] for name in names], screen.width or 0
    fitting = (
        texts
        for texts in details
        if all(len(name.text) + len(text) <= room for name, text in zip(ids, texts, strict=True))
    )
    shown = next(fitting, [""] * len(ids))
    return [screen.paint(name.text, name.style) + text for name, text in zip(ids, shown, strict=True)]


def _by_symbol(quotes: list[wire.QuoteJson]) -> dict[str, wire.QuoteJson]:
    return {quote.symbol: quote for quote in quotes}


def _name_cells(condor: CondorJson) -> list[Cell]:
    return [
        Cell(plain(condor.id), "strong"),
        Cell(condor.expiration.isoformat()),
        Cell(formatting.kind(condor)),
        Cell(formatting.days(condor.days_to_expiration)),
    ]


def _number_cells(condor: CondorJson) -> list[Cell]:
    value, risk = condor.valuation, condor.risk
    return [
        Cell(str(condor.quantity)),
        Cell(formatting.price(condor.credit)),
        Cell(formatting.price(risk.price)),
        Cell(formatting.distance(risk), formatting.distance_style(risk)),
        Cell(formatting.price(value.mark)),
        Cell(formatting.price(value.natural)),
        Cell(formatting.gain(value.unrealized_pl), formatting.gain_style(value.unrealized_pl)),
        Cell(formatting.gain(value.day_pl), formatting.gain_style(value.day_pl)),
        Cell(formatting.percent(value.percent_of_max_profit).removesuffix(" %")),
        Cell(formatting.greek(risk.delta)),
        Cell(formatting.greek(risk.theta)),
        Cell(formatting.money(condor.max_loss)),
    ]


def _unmatched_row(entry: Unmatched, quote: wire.QuoteJson | None) -> Row:
    notes = ["unconfirmed"] if quote and quote.unconfirmed else []
    notes += ["uncovered short"] if entry.uncovered_short else []
    notes += [formatting.COVERS[entry.cover]] if entry.cover else []
    notes += [plain(entry.problem)] if entry.problem else []
    return [
        Cell(plain(entry.symbol)),
        Cell(entry.side or formatting.UNKNOWN),
        Cell(formatting.number(entry.quantity)),
        Cell(formatting.price(entry.average_entry_price)),
        Cell(formatting.price(entry.mark)),
        Cell(formatting.gain(entry.unrealized_pl), formatting.gain_style(entry.unrealized_pl)),
        Cell(formatting.gain(entry.day_pl), formatting.gain_style(entry.day_pl)),
        Cell(", ".join(notes), "warn"),
    ]


def _total_parts(document: wire.Document) -> list[str]:
    totals = document.totals
    count = formatting.condors(totals.condors)
    parts = [f"{count} ({totals.incomplete} incomplete)" if totals.incomplete else count]
    parts += [
        f"P/L {formatting.gain(totals.unrealized_pl)}",
        f"today {formatting.gain(totals.day_pl)}",
        f"closing now {formatting.gain(totals.natural_pl)}",
    ]
    if document.unmatched:
        parts.append(f"in no condor {formatting.gain(totals.unmatched_pl)}")
    if totals.theta is not None:
        unknown = f" ({totals.risk_incomplete} unknown)" if totals.risk_incomplete else ""
        parts.append(f"theta {formatting.greek(totals.theta)} a day{unknown}")
    is_unlimited = totals.max_loss is None and any(entry.uncovered_short for entry in document.unmatched)
    parts.append("max loss unlimited" if is_unlimited else f"max loss {formatting.money(totals.max_loss)}")
    return [*parts, "unconfirmed"] if any(quote.unconfirmed for quote in document.quotes) else parts


def _account_parts(account: AccountJson) -> list[str]:
    return [
        f"account {formatting.money(account.equity)}",
        f"today {formatting.gain(account.day_pl)}",
        f"options buying power {formatting.money(account.options_buying_power)}",
    ]


def _underlying_rows(document: wire.Document) -> list[Row]:
    """Return a row for each underlying: its price and risk, the gain of its condors, the worst case of all of it."""
    prices = {entry.symbol: entry for entry in document.underlyings}
    held = {condor.underlying for condor in document.condors}
    return [
        _underlying_row(part, prices.get(part.underlying), with_gain=part.underlying in held)
        for part in document.totals.by_underlying
    ]


def _underlying_row(part: wire.UnderlyingTotalsJson, entry: UnderlyingJson | None, *, with_gain: bool) -> Row:
    gains = [part.unrealized_pl, part.day_pl]
    return [
        Cell(plain(part.underlying)),
        Cell(formatting.price(entry.price if entry else None)),
        Cell(formatting.change(entry.percent_change if entry else None)),
        Cell(str(entry.shares) if entry and entry.shares else ""),
        *(Cell(formatting.gain(gain) if with_gain else "", formatting.gain_style(gain)) for gain in gains),
        Cell(formatting.greek(entry.delta if entry else None)),
        Cell(formatting.greek(entry.theta if entry else None)),
        Cell(formatting.money(part.max_loss)),
        Cell(", ".join(filter(None, [formatting.price_trouble(entry), formatting.ex_dividend(entry)])), "warn"),
    ]


def _status_lines(document: wire.Document, now: dt.datetime, screen: Screen, outage: str) -> list[str]:
    """Return the lines with the source and the age of the numbers, the alerts, each fault and each notice."""
    status = document.status
    # Deltas carry quotes but not `lastMessageAt`, so in a watched document the quotes can be newer.
    times = [status.stream.last_message_at, *(quote.time for quote in document.quotes)]
    newest = max((time for time in times if time is not None), default=None)
    parts = [
        f"{status.source} {status.feed}",
        f"newest message {formatting.age(newest, now)}",
        formatting.market(status.market, now),
    ]
    alerts = alert_lines.summary(document.alerts, document.totals.alerts, screen)
    firing = [alerts] if alerts else []
    if outage:  # then the state is not known
        return [*painted(outage, "bad", screen), *joined(parts, screen), *firing]
    head = screen.paint(status.state, formatting.state_style(status.state))
    first, *more = joined([status.state, *parts], screen)
    lines = [head + first.removeprefix(status.state), *more, *firing]
    for sentence in formatting.trouble(status, now):
        lines += painted(sentence, "warn", screen)
    return lines + [screen.paint(_notice_line(notice, screen), "warn") for notice in status.notices]


def _notice_line(notice: wire.NoticeJson, screen: Screen) -> str:
    """Return a notice on one line, shortened to fit; `condord status` shows it in full."""
    sentence = plain(f"{notice.code}: {notice.text}")
    return textwrap.shorten(sentence, screen.width or len(sentence), placeholder=" …")
