"""Which condors are shown, and in which order: `--sort` and `--show`.

Broken condors are sorted and shown like the others. A value that is not known is last in any order.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import typer

from condord.cli.screen import plain
from condord.client.http import require_read
from condord.errors import NotFound
from condord.live.never_read import why_positions_unread
from condord.live.urgency import EXPIRING_DAYS, by_urgency, held, symbols
from condord.live.wire import Document
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import CondorJson

AnyCondor = CondorJson | BrokenJson

SORTS: Mapping[str, str] = {
    "urgency": "what needs you first",
    "pl": "profit or loss, the largest loss first",
    "day": "profit or loss of today, the largest loss first",
    "percent": "percent of the maximum profit, the largest loss first",
    "distance": "distance to an inner strike, the nearest first",
    "expiration": "expiration, the nearest first",
    "symbol": "symbol",
}
SHOWS: Mapping[str, str] = {
    "losing": "with a loss",
    "winning": "with a profit",
    "tested": "with a tested or breached strike",
    "expiring": f"that expire within {EXPIRING_DAYS} days",
    "broken": "that lost a leg",
}
SORT_SECONDS = 5.0
_SYMBOL = re.compile(r"[A-Z0-9.]{1,6}", re.ASCII)


class TableView(msgspec.Struct, frozen=True, kw_only=True):
    """`sort` is one of `SORTS`, `show` one of `SHOWS` or a symbol, empty for all."""

    sort: str = "urgency"
    is_reversed: bool = False
    show: str = ""

    def shows(self, condor: AnyCondor) -> bool:
        """Whether the condor is shown."""
        if not self.show:
            return True
        matches = _MATCHES.get(self.show)
        return matches(condor) if matches else self.show in (condor.underlying, condor.root)

    @property
    def symbol(self) -> str:
        """The symbol whose condors are shown; empty if they are not chosen by symbol."""
        return "" if self.show in SHOWS else self.show

    def sorted(self, document: Document) -> list[AnyCondor]:
        """Return the condors and the broken condors that are shown, in their order."""
        rank = _RANKS.get(self.sort)
        # Equal ones, and those whose rank is not known, stay in the order of urgency.
        ordered: list[AnyCondor] = [condor for condor in held(document) if self.shows(condor)]
        ordered.sort(key=by_urgency(document.alerts, document.as_of), reverse=self.is_reversed and rank is None)
        if rank is None:
            return ordered
        ranks = {row_key(condor): rank(condor) for condor in ordered}
        ordered.sort(key=lambda condor: ranks[row_key(condor)] is None)
        known = sum(value is not None for value in ranks.values())
        ordered[:known] = sorted(ordered[:known], key=lambda condor: ranks[row_key(condor)], reverse=self.is_reversed)
        return ordered


DEFAULT = TableView()


def row_key(condor: AnyCondor) -> str:
    """Return a key that is unique in the document: of two units one can be broken, and both have the same id."""
    return broken_key(condor.id) if isinstance(condor, BrokenJson) else condor.id


def broken_key(condor_id: str) -> str:
    """Return the row key of the broken condor with this id."""
    return f"{condor_id} broken"


class Arrangement:
    """The condors of a view as the document changes.

    While `is_kept`, those that are listed stay listed and in their order, so that a person can read them: new ones are
    added at the end. By today's P/L, rows would change places several times in ten seconds.
    """

    def __init__(self, view: TableView) -> None:
        self.view = view
        self.is_kept = False
        self._sorts_at = -math.inf
        self._keys: list[str] = []

    def keep(self, now: float, *, is_reading: bool) -> None:
        """Keep the order while it `is_reading`, and for `SORT_SECONDS` after it was sorted; `now` is in seconds."""
        self.is_kept = is_reading or now < self._sorts_at
        if not self.is_kept:
            self._sorts_at = now + SORT_SECONDS

    def arranged(self, document: Document) -> list[AnyCondor]:
        """Return the condors to show, in their order."""
        shown = self.view.sorted(document)
        if self.is_kept:
            known = {row_key(condor): condor for condor in held(document)}
            listed = [known[key] for key in self._keys if key in known]
            shown = listed + [condor for condor in shown if row_key(condor) not in self._keys]
        self._keys = [row_key(condor) for condor in shown]
        return shown


def parse_sort(text: str) -> tuple[str, bool]:
    """Return the key that `--sort` names, and whether a minus before it reverses the order.

    Raises:
        typer.BadParameter: there is no such key.
    """
    name = text.removeprefix("-").lower()
    if name not in SORTS:
        raise typer.BadParameter(_unknown(text, SORTS), param_hint="'--sort'")
    return name, text.startswith("-")


def parse_show(text: str, document: Document) -> str:
    """Return the filter or the symbol that `--show` names.

    Raises:
        typer.BadParameter: it names neither a filter nor a symbol, and is spelled like one.
        NotFound: it is a symbol that no condor has.
        Unavailable: it is not known which symbols condors have.
    """
    if text.lower() in SHOWS:
        return text.lower()
    known = symbols(document)
    if text.upper() in known:
        return text.upper()
    if _SYMBOL.fullmatch(text.upper()):
        require_read(why_positions_unread(document))
    if _SYMBOL.fullmatch(text):
        hint = f"Held: {', '.join(map(plain, known))}." if known else "No condor is held."
        raise NotFound(f"no condor on {text} is held", hint)
    raise typer.BadParameter(_unknown(text, [*SHOWS, *known]), param_hint="'--show'")


def _unknown(text: str, known: Iterable[str]) -> str:
    from condord.core.rules.parsing import nearest  # only after a typing error

    near = nearest(text.removeprefix("-"), known)
    other = f"the nearest is {near}" if near else f"use one of {', '.join(known)}"
    return f"{plain(text)!r} is unknown; {other}"


def profit(condor: AnyCondor) -> float | None:
    """Return the profit or loss since the condor was opened, or of the legs left; None if it is not known."""
    return condor.unrealized_pl if isinstance(condor, BrokenJson) else condor.valuation.unrealized_pl


def _is_tested(condor: AnyCondor) -> bool:
    return isinstance(condor, CondorJson) and (condor.risk.tested in ("put", "call") or condor.risk.breached is True)


_MATCHES: Mapping[str, Callable[[AnyCondor], bool]] = {
    "losing": lambda condor: (profit(condor) or 0) < 0,
    "winning": lambda condor: (profit(condor) or 0) > 0,
    "tested": _is_tested,
    "expiring": lambda condor: condor.days_to_expiration <= EXPIRING_DAYS,
    "broken": lambda condor: isinstance(condor, BrokenJson),
}


def _of_condor(figure: Callable[[CondorJson], float | None]) -> Callable[[AnyCondor], float | None]:
    """Return a rank that broken condors do not have."""
    return lambda condor: None if isinstance(condor, BrokenJson) else figure(condor)


def _distance(condor: CondorJson) -> float | None:
    sides = (condor.risk.distance.put.percent, condor.risk.distance.call.percent)
    return min((side for side in sides if side is not None), default=None)


_RANKS: Mapping[str, Callable[[AnyCondor], Any]] = {
    "pl": profit,
    "day": _of_condor(lambda condor: condor.valuation.day_pl),
    "percent": _of_condor(lambda condor: condor.valuation.percent_of_max_profit),
    "distance": _of_condor(_distance),
    "expiration": lambda condor: condor.expiration,
    "symbol": lambda condor: (condor.root, condor.expiration, condor.id),
}
"""The value that each sort but `urgency` compares; None if it is not known."""
