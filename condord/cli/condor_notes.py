"""Notes that a condor needs attention, or that its numbers may be wrong, for the end of its row and its details.

Whether it is broken or takes no orders is in columns of the table that are always shown.
"""

from __future__ import annotations

from collections.abc import Mapping

from condord.cli import formatting
from condord.cli.row_notes import RowNote
from condord.cli.screen import plain
from condord.live import wire
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import CondorJson
from condord.live.wire_risk import UnderlyingJson

_UNUSABLE_STATES: Mapping[str, str] = {"crossed": "crossed quote", "stub": "stub quote"}


def condor_notes(
    condor: CondorJson | BrokenJson,
    quotes: Mapping[str, wire.QuoteJson],
    underlying: UnderlyingJson | None = None,
    *,
    old: bool = False,
) -> list[RowNote]:
    """Return the notes on a condor, the most important first.

    `quotes` is by symbol, `underlying` is the condor's, None if it is not known. `old`: nothing is kept up to date any
    longer.
    """
    notes = _doubt(underlying, has_old_quotes=has_old_quotes(condor, quotes), old=old)
    if isinstance(condor, BrokenJson):
        return notes
    risk, missing, held = condor.risk, condor.valuation.missing, _held_marks(condor, quotes)
    if risk.tested in ("put", "call"):
        state = "breached" if risk.breached else "tested"
        notes.append(RowNote((f"{risk.tested} {state}", state), vital=state, is_in_columns=True))
    if missing:
        notes.append(RowNote((plain(f"incomplete: no usable quote of {', '.join(missing)}"), "incomplete")))
    if held:
        why = " and ".join(dict.fromkeys(state for state, _ in held))
        legs = " and ".join(f"{state} of {leg}" for state, leg in held)
        notes.append(RowNote((plain(f"mark held: {legs}"), f"mark held: {why}", "mark held"), vital="mark held"))
    if underlying is not None and underlying.price is None:
        notes.append(RowNote(("no price",)))
    others = ((condor.broken_wing, "broken wing"), (condor.ambiguous, "ambiguous"))
    return notes + [RowNote((text,)) for holds, text in others if holds]


def why_broken(condor: BrokenJson, most: int | None = None) -> str:
    """Name what is missing, at most `most` legs: `no call 770`, `no call 770 …`.

    The page has the same words in `web/src/page/missing.ts`, and `web/tests/missing.cases.json` holds both to it.
    """
    lost = sorted((leg for leg in condor.legs if leg.held < leg.quantity), key=lambda leg: leg.held > 0)
    parts = [
        f"{f'{leg.held} of {leg.quantity}' if leg.held else 'no'} {leg.right} {formatting.number(leg.strike)}"
        for leg in lost
    ]
    more = " …" if most is not None and most < len(parts) else ""
    return ", ".join(parts[:most]) + more or "short uncovered"


def has_old_quotes(condor: CondorJson | BrokenJson, quotes: Mapping[str, wire.QuoteJson]) -> bool:
    """Return whether a quote of a leg that is held is unconfirmed, so that the profit or loss may be old."""
    if not isinstance(condor, BrokenJson):
        return condor.valuation.unconfirmed
    held = (quotes.get(leg.symbol) for leg in condor.legs if leg.held)
    return any(quote is not None and quote.unconfirmed for quote in held)


def _doubt(underlying: UnderlyingJson | None, *, has_old_quotes: bool, old: bool) -> list[RowNote]:
    """Return the note that numbers may be out of date; the table of the underlyings has the reason."""
    unconfirmed = ["price"] if formatting.is_price_doubtful(underlying) else []
    unconfirmed += ["quotes"] if has_old_quotes else []
    text = f"{' and '.join(unconfirmed)} unconfirmed" if unconfirmed else ""
    if old and text:
        return [RowNote((f"old, {text}", "old, unconfirmed", "old"), vital="old, unconfirmed")]
    if old:
        return [RowNote(("old",), vital="old")]
    return [RowNote((text, "unconfirmed", "old"), vital="unconfirmed")] if text else []


def _held_marks(condor: CondorJson, quotes: Mapping[str, wire.QuoteJson]) -> list[tuple[str, str]]:
    """List why the newest quote of a leg is not usable, and the leg, which keeps the mark of an earlier one."""
    found = []
    for leg in condor.legs:
        quote = quotes.get(leg.symbol)
        if quote is not None and quote.mark is not None and (state := _UNUSABLE_STATES.get(quote.state)):
            found.append((state, f"{condor.root}…{leg.right[0].upper()}{formatting.number(leg.strike)}"))
    return found
