"""Show the document, or one condor, as a table for people. A value that is not known is a dash."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from condord.cli import alert_lines, formatting
from condord.cli.broken_detail import broken_lines
from condord.cli.closing_times import market_hours
from condord.cli.condor_rows import condor_rows
from condord.cli.detail import condor_lines
from condord.cli.grid import Cell, Row, grid
from condord.cli.last_day import has_expired
from condord.cli.max_loss import may_exceed_max_loss
from condord.cli.screen import Screen, folded, joined, painted, plain, shortened
from condord.cli.view import DEFAULT, AnyCondor, TableView, row_key
from condord.client.http import decoded
from condord.core.market_hours import exchange_day
from condord.core.rules.rule import Severity
from condord.live import wire
from condord.live.lost_source import unconfirmed_if_lost
from condord.live.never_read import why_positions_unread
from condord.live.urgency import FARTHEST, Nearness, are_orders_over, held, nearness_of, severity_of
from condord.live.wire_condor import Unmatched
from condord.live.wire_risk import AccountJson, UnderlyingJson

_UNMATCHED = "IN NO CONDOR|SIDE| QTY| ENTRY| MARK| P/L| TODAY"
_UNDERLYING = "UNDERLYING| PRICE| CHANGE| SHARES| P/L| TODAY| DELTA| THETA| MAX LOSS"

# Columns to leave out on a narrow terminal, the first to go first. The profit or loss is always shown.
_SPARE_UNMATCHED = ("ENTRY", "MARK", "TODAY", "QTY", "SIDE")
_SPARE_UNDERLYING = ("SHARES", "THETA", "DELTA", "TODAY", "CHANGE", "PRICE", "MAX LOSS")
_MIN_NOTICE_WIDTH = 10


class Line(NamedTuple):
    """A line of the table.

    `key` is the same for all lines of one row, and `search` is what `/` finds it by. `condor` is the `row_key` of the
    condor that the line shows, or empty. The first line of a condor has that as `shown`, with the severity that it is
    marked with, and is found by it.
    """

    text: str
    key: str = ""
    search: str = ""
    condor: str = ""
    shown: AnyCondor | None = None
    severity: Severity | None = None


class Table(NamedTuple):
    """The headings of the condors, the lines that can be scrolled, and the account with its status."""

    head: list[str]
    body: list[Line]
    foot: list[str]

    @property
    def lines(self) -> list[str]:
        """All lines, with a blank one before the last part."""
        blank = [""] if self.body and self.foot else []
        return [*self.head, *(line.text for line in self.body), *blank, *self.foot]


def render(body: bytes, screen: Screen, outage: str = "", view: TableView = DEFAULT) -> str:
    """Return the table for a body of `GET /api/positions`.

    `outage` is a sentence, empty while the body is kept up to date. It replaces the state, and rows are marked `old`.

    Raises:
        Unavailable: the body cannot be decoded.
    """
    document = decoded(body, wire.Document)
    return _text(document_lines(document, _now(document, outage), screen, outage, view), screen)


def render_one(document: wire.Document, condor_id: str, screen: Screen, outage: str = "") -> str:
    """Return the details of one condor; the other arguments are as for `one_lines` and `render`."""
    return _text(one_lines(document, condor_id, _now(document, outage), screen, outage), screen)


def _now(document: wire.Document, outage: str) -> dt.datetime:
    """Return the time from which ages count: by the exchange's clock, as they do; in an outage it is not known."""
    return dt.datetime.now(dt.UTC) if outage else document.as_of


def _text(lines: list[str], screen: Screen) -> str:
    return "".join(f"{line}\n" for line in folded(lines, screen.width))


def one_lines(document: wire.Document, condor_id: str, now: dt.datetime, screen: Screen, outage: str) -> list[str]:
    """Return the lines for one condor of the document: for its complete part, its broken part, or both."""
    document = unconfirmed_if_lost(document)
    outage = outage or formatting.why_old(document.status, now)
    parts = [condor_lines(document, each, now, screen, outage) for each in document.condors if each.id == condor_id]
    parts += [broken_lines(document, each, screen, outage) for each in document.broken if each.id == condor_id]
    return [line for at, part in enumerate(parts) for line in ([""] if at else []) + part]


def document_lines(
    document: wire.Document, now: dt.datetime, screen: Screen, outage: str = "", view: TableView = DEFAULT
) -> list[str]:
    """Return the lines for the whole account; they depend only on the arguments."""
    document = unconfirmed_if_lost(document)
    return document_table(document, view.sorted(document), now, screen, outage, view).lines


def document_table(
    document: wire.Document, shown: Sequence[AnyCondor], now: dt.datetime, screen: Screen, outage: str, view: TableView
) -> Table:
    """Return the table with the condors `shown` in that order; it depends only on the arguments.

    The document comes from `unconfirmed_if_lost`, and `shown` are condors of it.
    """
    if unread := why_positions_unread(document):
        lines = painted(formatting.capitalized(plain(unread)), "warn", screen)
        return Table([], [Line(text) for text in lines], _status_lines(document, now, screen, outage))
    is_feed_old = bool(formatting.why_old(document.status, now))
    old = bool(outage) or is_feed_old
    head, body = _condors(document, shown, screen, view, old=old)
    today = exchange_day(document.as_of)
    # A choice by another property is about condors: other holdings would hide the chosen rows.
    symbols = {view.symbol} if view.show else {*()}
    unmatched = [entry for entry in document.unmatched if not view.show or symbols & {entry.underlying, entry.root}]
    if unmatched:
        quotes = {quote.symbol: quote for quote in document.quotes}
        rows = [_unmatched_row(entry, quotes.get(entry.symbol), old=old) for entry in unmatched]
        body += _section(grid(_UNMATCHED, rows, screen, spare=_SPARE_UNMATCHED), "unmatched")
    parts = [part for part in document.totals.by_underlying if not view.show or part.underlying in symbols]
    if parts:
        rows = _underlying_rows(document, parts, today, is_feed_old=is_feed_old)
        body += _section(grid(_UNDERLYING, rows, screen, spare=_SPARE_UNDERLYING), "underlying")
    age = formatting.age(_newest(document), now) if is_feed_old else ""
    foot = joined(_total_parts(document, len(shown), view, age), screen)
    if document.account is not None:
        foot += joined(_account_parts(document.account), screen)
    return Table(head, body, foot + _status_lines(document, now, screen, outage))


def _section(lines: list[str], name: str) -> list[Line]:
    return [Line("", name), *(Line(line, f"{name} {at}", line) for at, line in enumerate(lines))]


def _condors(
    document: wire.Document, shown: Sequence[AnyCondor], screen: Screen, view: TableView, *, old: bool
) -> tuple[list[str], list[Line]]:
    """Return the headings and the lines of the condors."""
    if not shown:
        what = f" on {view.symbol}" if view.symbol else f" is {view.show}" if view.show else "s"
        return [], [Line(f"No condor{plain(what)}.")]
    found = condor_rows(document, shown, screen, old=old)
    lines = []
    for condor, (first, *others) in zip(shown, found.rows, strict=True):
        severity, key = severity_of(condor, document.alerts), row_key(condor)
        lines.append(Line(first, f"{key} 0", first, key, condor, severity))
        lines += [Line(text, f"{key} {at}", "", key) for at, text in enumerate(others, 1)]
    return [found.title], [*lines, *(Line(text, f"left out {at}") for at, text in enumerate(found.left_out))]


def _unmatched_row(entry: Unmatched, quote: wire.QuoteJson | None, *, old: bool) -> Row:
    notes = ["old"] if old else []
    notes += ["unconfirmed"] if quote and quote.unconfirmed else []
    notes += [cover] if (cover := formatting.cover(entry)) else []
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


def _total_parts(document: wire.Document, shown: int, view: TableView, age: str) -> list[str]:
    """Return the parts of the line with the totals; `age` is that of the newest message if they are old, or empty."""
    totals = document.totals
    count = formatting.condors(totals.condors)
    count += f", {len(document.broken)} broken" if document.broken else ""
    count = f"{shown} shown of {count}" if view.show else count
    parts = [f"{count} ({totals.incomplete} incomplete)" if totals.incomplete else count]
    if age:
        parts.append(f"old, newest message {age}")
    if any(quote.unconfirmed for quote in document.quotes):
        parts.append("unconfirmed")
    parts += [
        f"P/L {formatting.gain(totals.unrealized_pl)}",
        f"today {formatting.gain(totals.day_pl)}{_day_gap(document)}",
        f"closing now {formatting.gain(totals.natural_pl)}{_too_late(document)}",
    ]
    if document.unmatched:
        parts.append(f"in no condor {formatting.gain(totals.unmatched_pl)}")
    worst = formatting.loss(totals.max_loss, is_unlimited=bool(formatting.unlimited(document)))
    more = " or more" if totals.max_loss is not None and may_exceed_max_loss(document) else ""
    all_options = [f"max loss {worst}{more}"]
    if totals.theta is not None:
        unknown = f" ({totals.risk_incomplete} unknown)" if totals.risk_incomplete else ""
        all_options.insert(0, f"theta {formatting.greek(totals.theta)} a day{unknown}")
    parts.append(f"all options: {', '.join(all_options)}")
    return parts


def _day_gap(document: wire.Document) -> str:
    """Return why the P/L of today is not known; empty if it is, or if that of the condors is not known either."""
    if document.totals.day_pl is not None or document.totals.incomplete:
        return ""
    unknown = sum(condor.valuation.day_pl is None for condor in document.condors)
    what = f"{unknown} of {formatting.condors(len(document.condors))}" if unknown else "what was closed today"
    return f" (unknown for {what})"


def _too_late(document: wire.Document) -> str:
    """Return how many condors of the total for closing now can no longer be closed; empty if all of them can."""
    late = [condor for condor in document.condors if are_orders_over(condor, document.as_of)]
    expired = sum(has_expired(condor, document.as_of) for condor in late)
    others = len(late) - expired
    counts = [f"{expired} expired"] if expired else []
    counts += [f"{others} {'takes' if others == 1 else 'take'} no orders"] if others else []
    return f" (of which {', '.join(counts)})" if counts else ""


def _account_parts(account: AccountJson) -> list[str]:
    return [
        f"account {formatting.money(account.equity)}",
        f"today {formatting.gain(account.day_pl)}",
        f"options buying power {formatting.money(account.options_buying_power)}",
    ]


def _underlying_rows(
    document: wire.Document, parts: Sequence[wire.UnderlyingTotalsJson], today: dt.date, *, is_feed_old: bool
) -> list[Row]:
    """Return a row for each underlying: its price and risk, the gain of its condors, the worst case of all of it."""
    prices = {entry.symbol: entry for entry in document.underlyings}
    held, unlimited = {condor.underlying for condor in document.condors}, formatting.unlimited(document)
    exceeding = may_exceed_max_loss(document)
    rows: list[Row] = []
    for part in parts:
        entry, name = prices.get(part.underlying), part.underlying
        doubt = "P/L old" if is_feed_old and name in held else ""  # the price has a stream of its own
        notes = [doubt, formatting.price_trouble(entry), formatting.ex_dividend(entry, today)]
        notes.append("loss may exceed the maximum" if part.max_loss is not None and name in exceeding else "")
        max_loss = formatting.loss(part.max_loss, is_unlimited=name in unlimited)
        cells = _underlying_cells(part, entry, with_gain=name in held)
        rows.append([*cells, Cell(max_loss), Cell(", ".join(filter(None, notes)), "warn")])
    return rows


def _underlying_cells(part: wire.UnderlyingTotalsJson, entry: UnderlyingJson | None, *, with_gain: bool) -> list[Cell]:
    gains = [part.unrealized_pl, part.day_pl]
    return [
        Cell(plain(part.underlying)),
        Cell(formatting.money(entry.price if entry else None)),
        Cell(formatting.change(entry.percent_change if entry else None)),
        Cell(str(entry.shares) if entry and entry.shares else ""),
        *(Cell(formatting.gain(gain) if with_gain else "", formatting.gain_style(gain)) for gain in gains),
        Cell(formatting.greek(entry.delta if entry else None)),
        Cell(formatting.greek(entry.theta if entry else None)),
    ]


def _status_lines(document: wire.Document, now: dt.datetime, screen: Screen, outage: str) -> list[str]:
    """Return the lines with the source and the age of the numbers, the alerts, each fault and each notice."""
    status = document.status
    parts = [
        f"{status.source} {status.feed}",
        f"newest message {formatting.age(_newest(document), now)}",
        market_hours(document),
    ]
    firing = alert_lines.summary(document, screen)
    if outage:  # then the state is not known
        return [*painted(outage, "bad", screen), *joined(parts, screen), *firing]
    head = screen.paint(status.state, formatting.state_style(status.state))
    first, *more = joined([status.state, *parts], screen)
    lines = [head + first.removeprefix(status.state), *more, *firing]
    for sentence in formatting.trouble(status, now):
        lines += painted(sentence, "warn", screen)
    return lines + _notice_lines(document, screen)


def _newest(document: wire.Document) -> dt.datetime | None:
    """Return when the newest message or quote came; None if there was none."""
    # Deltas carry quotes but not `lastMessageAt`, so in a watched document the quotes can be newer.
    times = [document.status.stream.last_message_at, *(quote.time for quote in document.quotes)]
    return max((time for time in times if time is not None), default=None)


def _notice_lines(document: wire.Document, screen: Screen) -> list[str]:
    """Return a line for each code, with one notice of that code shortened to fit; `condord status` has all.

    It belongs to the nearest condor.
    """
    nearness: Mapping[str | None, Nearness] = {each.id: nearness_of(each, document.as_of) for each in held(document)}
    notices: dict[str, list[wire.NoticeJson]] = {}
    for notice in document.status.notices:
        notices.setdefault(notice.code, []).append(notice)
    lines = []
    for code, each in notices.items():
        first, *more = sorted(each, key=lambda notice: nearness.get(notice.condor_id, FARTHEST))
        count = f", and {len(more)} more" if more else ""
        width = None if screen.width is None else max(_MIN_NOTICE_WIDTH, screen.width - len(count))
        lines.append(screen.paint(shortened(plain(f"{code}: {first.text}"), width) + count, "warn"))
    return lines
