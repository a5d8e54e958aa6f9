"""Show a broken condor: the legs lost, the legs left and their value, and the order that closes them."""

from __future__ import annotations

from collections.abc import Mapping

from condord.cli import formatting
from condord.cli.condor_notes import condor_notes, why_broken
from condord.cli.grid import Cell, Row, grid
from condord.cli.last_day import expiry_lines, has_expired, no_orders_since
from condord.cli.left_order import left_order
from condord.cli.row_notes import full_text
from condord.cli.screen import Screen, painted, plain
from condord.live import wire
from condord.live.wire_broken import BrokenJson, BrokenLeg, left_pl
from condord.live.wire_condor import Unmatched

_LEG = "LEG|SIDE| QTY| HELD| ENTRY| BID| ASK| MARK| P/L"
_SPARE_LEG = ("ENTRY", "ASK", "BID", "MARK", "SIDE")
"""Columns to leave out on a narrow terminal, the first to go first. What is held and its P/L are always shown."""


def broken_lines(document: wire.Document, broken: BrokenJson, screen: Screen, outage: str = "") -> list[str]:
    """Return the lines for one of the broken condors of `document`; they depend only on the arguments.

    The document comes from `unconfirmed_if_lost`. `outage` is why it may be old, empty while it is kept up to date.
    """
    quotes = {quote.symbol: quote for quote in document.quotes}
    entries = {entry.symbol: entry for entry in document.unmatched}
    underlying = next((each for each in document.underlyings if each.symbol == broken.underlying), None)
    lines = [f"{screen.paint(plain(broken.id), 'strong')}  broken {formatting.kind(broken)}"]
    for name, texts in _facts(document, broken, quotes, screen):
        lines += [f"{name if at == 0 else '':<12}{text}" for at, text in enumerate(texts)]
    if notes := full_text(condor_notes(broken, quotes, underlying, old=bool(outage))):
        lines += painted(notes, "warn", screen)
    rows = [_leg_row(leg, quotes.get(leg.symbol), entries.get(leg.symbol)) for leg in broken.legs]
    shown = [*lines, "", *grid(_LEG, rows, screen, spare=_SPARE_LEG)]
    return [*shown, "", *painted(outage, "bad", screen)] if outage else shown


def _facts(
    document: wire.Document,
    broken: BrokenJson,
    quotes: Mapping[str, wire.QuoteJson],
    screen: Screen,
) -> list[tuple[str, list[str]]]:
    """Return the names of the facts, each with its lines. Nothing closes what has expired."""
    name, over = plain(broken.underlying), no_orders_since(broken, document.as_of)
    price = next((each.price for each in document.underlyings if each.symbol == broken.underlying), None)
    profit = screen.paint(formatting.gain(broken.unrealized_pl), formatting.gain_style(broken.unrealized_pl))
    order = left_order(broken, quotes)
    closing = [f"{order.mid} at mid", f"{order.natural} at bid and ask", *map(plain, order.legs)]
    facts = [
        (
            "broken",
            [f"{screen.paint(why_broken(broken), 'alarm')}, since {formatting.moment(broken.since, document.as_of)}"],
        ),
        ("expires", expiry_lines(broken, document.as_of)),
        ("quantity", [str(broken.quantity)]),
        ("P/L", [f"{profit} of what is left"]),
        ("max loss", [f"{_max_loss(document, broken)}, of all options on {name}"]),
        ("underlying", [f"{name} {formatting.money(price)}"]),
    ]
    to_close = ("to close", [*([screen.paint(over, "warn")] if over else []), *closing])
    return facts if has_expired(broken, document.as_of) else [*facts, to_close]


def _max_loss(document: wire.Document, broken: BrokenJson) -> str:
    parts = document.totals.by_underlying
    worst = next((part.max_loss for part in parts if part.underlying == broken.underlying), None)
    return formatting.loss(worst, is_unlimited=broken.underlying in formatting.unlimited(document))


def _leg_row(leg: BrokenLeg, quote: wire.QuoteJson | None, entry: Unmatched | None) -> Row:
    gained = left_pl([(leg.held, entry.quantity, entry.unrealized_pl)]) if entry is not None and leg.held else None
    return [
        Cell(plain(leg.symbol)),
        Cell(leg.side),
        Cell(str(leg.quantity)),
        Cell(str(leg.held), "" if leg.held == leg.quantity else "alarm"),
        Cell(formatting.price(entry.average_entry_price if entry is not None and leg.held else None)),
        Cell(formatting.price(quote.bid if quote is not None else None)),
        Cell(formatting.price(formatting.ask(quote))),
        Cell(formatting.price(quote.mark if quote is not None else None)),
        Cell(formatting.gain(gained), formatting.gain_style(gained)),
        Cell(", ".join(_leg_notes(leg, quote, entry)), "warn"),
    ]


def _leg_notes(leg: BrokenLeg, quote: wire.QuoteJson | None, entry: Unmatched | None) -> list[str]:
    if not leg.held:
        return []
    state = "no quote" if quote is None else formatting.QUOTE_STATES.get(quote.state, quote.state)
    doubt = "unconfirmed" if quote is not None and quote.unconfirmed else ""
    return [note for note in (state, doubt, "" if entry is None else formatting.cover(entry)) if note]
