"""Show one condor with its legs: its value, the price of its underlying, and its risk."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from condord.cli import formatting
from condord.cli.condor_notes import condor_notes
from condord.cli.grid import Cell, Row, grid, grid_width
from condord.cli.last_day import expiry_lines, has_expired
from condord.cli.max_loss import whys_above_max_loss
from condord.cli.row_notes import full_text
from condord.cli.screen import Screen, painted, plain
from condord.core.position import Direction
from condord.live import wire
from condord.live.wire_condor import CondorJson, ExitsJson, LegJson
from condord.live.wire_risk import ClosingJson, DistanceJson, LegRiskJson, RiskJson
from condord.live.wire_values import Dollars

_LEG = "LEG|SIDE"
_CONTRACT = " STRIKE|RIGHT"  # the symbol contains them too
_LEG_NUMBERS = " QTY| ENTRY| BID| ASK| MARK| P/L| IV| DELTA"
_SPARE_LEG_NUMBERS = ("ENTRY", "IV", "DELTA", "ASK", "BID", "MARK", "QTY", "SIDE")
"""Columns to leave out on a narrow terminal, the first to go first. The profit or loss is always shown."""


def condor_lines(
    document: wire.Document, condor: CondorJson, now: dt.datetime, screen: Screen, outage: str = ""
) -> list[str]:
    """Return the lines for one of the condors of `document` with its legs; they depend only on the arguments.

    The document comes from `unconfirmed_if_lost`. `outage` is why it may be old, empty while it is kept up to date.
    """
    quotes = {quote.symbol: quote for quote in document.quotes}
    lines = [f"{screen.paint(plain(condor.id), 'strong')}  {formatting.kind(condor)}"]
    for name, texts in _facts(condor, document, now, screen):
        lines += [f"{name if at == 0 else '':<12}{text}" for at, text in enumerate(texts)]
    if notes := full_text(condor_notes(condor, quotes, old=bool(outage))):
        lines += painted(notes, "warn", screen)
    gains = {leg.symbol: leg.unrealized_pl for leg in condor.valuation.legs}
    figures = {leg.symbol: leg for leg in condor.risk.legs}
    titles = f"{_LEG}|{_CONTRACT}|{_LEG_NUMBERS}"
    rows = [_leg_row(leg, quotes.get(leg.symbol), gains, figures.get(leg.symbol)) for leg in condor.legs]
    if screen.width is not None and grid_width(titles, rows) > screen.width:
        titles, rows = f"{_LEG}|{_LEG_NUMBERS}", [[*row[:2], *row[4:]] for row in rows]
    shown = [*lines, "", *grid(titles, rows, screen, spare=_SPARE_LEG_NUMBERS)]
    return [*shown, "", *painted(outage, "bad", screen)] if outage else shown


def _facts(
    condor: CondorJson, document: wire.Document, now: dt.datetime, screen: Screen
) -> list[tuple[str, list[str]]]:
    """Return the names of the facts, each with its lines.

    `now` is the time from which the age of the quotes counts.
    """
    value, risk, has_ended = condor.valuation, condor.risk, has_expired(condor, document.as_of)
    profit = screen.paint(formatting.gain(value.unrealized_pl), formatting.gain_style(value.unrealized_pl))
    paid = "debit" if (condor.credit or 0) < 0 else "credit"
    mark, natural = (formatting.closing_price(each, condor.direction) for each in (value.mark, value.natural))
    return [
        ("expires", expiry_lines(condor, document.as_of)),
        ("quantity", [f"{condor.quantity} x {condor.multiplier}"]),
        (paid, [formatting.price(condor.credit).removeprefix("-")]),
        ("mark", [mark if has_ended else f"{mark}, close now {natural}"]),
        (
            "P/L",
            [
                profit if has_ended else f"{profit}, closing now {formatting.gain(value.natural_pl)}",
                f"{formatting.percent(value.percent_of_max_profit)} of max profit",
                f"{formatting.percent(value.percent_of_risk)} of risk",
            ],
        ),
        ("today", [formatting.gain(value.day_pl)]),
        (
            "max profit",
            [
                f"{formatting.money(condor.max_profit)}, max loss {formatting.money(condor.max_loss)}",
                *(screen.paint(why, "warn") for why in whys_above_max_loss(condor, document)),
            ],
        ),
        *([("exits", [exits])] if (exits := _exits(condor.exits)) else []),
        (
            "breakevens",
            [f"{formatting.price(condor.breakevens.lower)} and {formatting.price(condor.breakevens.upper)}"],
        ),
        ("underlying", _underlying(condor)),
        ("greeks", _greeks(risk)),
        ("probability", _probabilities(risk)),
        *([("closing", [_closing(order, condor.direction) for order in condor.closing])] if condor.closing else []),
        ("quoted", [formatting.age(value.as_of, now)]),
    ]


def _exits(exits: ExitsJson) -> str:
    """Return the P/L at which the rules in force take profit and stop; empty without such rules."""
    known = {name: value for name, value in (("target", exits.target), ("stop", exits.stop)) if value is not None}
    return ", ".join(f"{name} {formatting.gain(value)}" for name, value in known.items())


def _underlying(condor: CondorJson) -> list[str]:
    risk, name = condor.risk, plain(condor.underlying)
    if risk.price is None:
        return [f"{name} {formatting.UNKNOWN}"]
    put, call = risk.distance.put, risk.distance.call
    return [
        f"{name} {formatting.money(risk.price)}, expected move {formatting.money(risk.expected_move)}",
        f"{_away(put)} the put side",
        f"{_away(call)} the call side",
    ]


def _away(distance: DistanceJson) -> str:
    """Return how far the price is from an inner strike: `12.10 (2.08 %, 0.42 sigma) from`."""
    if distance.dollars is None:
        return f"{formatting.UNKNOWN} from"
    details = [formatting.nearness(distance.percent and abs(distance.percent))]
    if distance.sigmas is not None:
        details.append(f"{abs(distance.sigmas):.2f} sigma")
    word = "beyond" if distance.dollars < 0 else "from"
    return f"{formatting.money(abs(distance.dollars))} ({', '.join(details)}) {word}"


def _greeks(risk: RiskJson) -> list[str]:
    slopes = f"delta {formatting.greek(risk.delta)}, gamma {formatting.greek(risk.gamma)}"
    return [f"{slopes}, theta {formatting.greek(risk.theta)} a day, vega {formatting.greek(risk.vega)}"]


def _probabilities(risk: RiskJson) -> list[str]:
    chances = risk.probabilities
    profit, most, least = map(formatting.chance, (chances.profit, chances.max_profit, chances.max_loss))
    put, call = formatting.chance(chances.touch_put), formatting.chance(chances.touch_call)
    ends = f"{profit} profit, {most} max profit, {least} max loss"
    return [ends, f"{put} touches the put side, {call} the call side"]


def _closing(order: ClosingJson, direction: Direction) -> str:
    price = formatting.closing_price(order.limit_price, direction)
    limit = "at the market" if order.limit_price is None else f"at {price}"
    profit_percent = order.percent_of_max_profit
    return f"order for {order.quantity} {limit}" + (
        "" if profit_percent is None else f", {formatting.percent(profit_percent)} of max profit"
    )


def _leg_row(
    leg: LegJson, quote: wire.QuoteJson | None, gains: Mapping[str, Dollars | None], figures: LegRiskJson | None
) -> Row:
    bid, mark = (quote.bid, quote.mark) if quote else (None, None)
    iv, delta = (figures.iv, figures.delta) if figures else (None, None)
    gained = gains.get(leg.symbol)
    state = [formatting.QUOTE_STATES.get(quote.state, quote.state)] if quote else ["no quote"]
    notes = [*state, "unconfirmed"] if quote and quote.unconfirmed else state
    return [
        Cell(plain(leg.symbol)),
        Cell(leg.side),
        Cell(formatting.number(leg.strike)),
        Cell(leg.right),
        Cell(str(leg.quantity)),
        Cell(formatting.price(leg.average_entry_price)),
        Cell(formatting.price(bid)),
        Cell(formatting.price(formatting.ask(quote))),
        Cell(formatting.price(mark)),
        Cell(formatting.gain(gained), formatting.gain_style(gained)),
        Cell(formatting.UNKNOWN if iv is None else f"{100 * iv:.1f} %"),
        Cell(formatting.UNKNOWN if delta is None else f"{round(delta, 2) + 0:.2f}"),
        Cell(", ".join(filter(None, notes)), "warn"),
    ]
