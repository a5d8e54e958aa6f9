"""Decides what the account looks like: positions and quotes to the document, and whether a change counts.

What is published is consistent in itself: every valuation is made from the quotes published beside it. A
quote counts when its bid, ask or mark moved by `min_change` against the value last sent, or its state or
confirmation changed. Smaller moves wait; when those of several legs add up to `min_change` in a condor's mark
or natural, they count together. Grouping is a function of positions and lots alone and runs only when they change.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import msgspec

from condord.core import valuation as values
from condord.core.condor import Condor, Grouping, Leftover
from condord.core.position import Position
from condord.core.quote import Quote
from condord.live import render, wire
from condord.live.edition import Amendment, Edition
from condord.live.life import Life, Reading
from condord.live.prices import Prices
from condord.live.trail import Trail

_ShownAccount = tuple[frozenset[Position], Grouping, dt.date, dict[str, str], list[wire.Notice]]


class Book:
    """The account behind `edition`, which it alone writes. `min_change_e4` in 1e-4 dollars."""

    def __init__(self, *, edition: Edition, prices: Prices, min_change_e4: int) -> None:
        self.edition = edition
        self.prices = prices
        self.trail = Trail()
        self.min_change_e4 = min_change_e4
        self.symbols: tuple[str, ...] = ()
        self._shown_account: _ShownAccount | None = None
        self._grouping = Grouping()
        self._listed: tuple[str, ...] = ()
        self._problems: dict[str, str] = {}
        self._notices: list[wire.Notice] = []
        self._upstream_status = edition.status
        self._max_losses_e4: dict[str, int | None] = {}
        self._condors_of: dict[str, list[Condor]] = {}
        self._leftover_of: dict[str, Leftover] = {}
        self._shown: dict[str, Quote] = {}
        self._shown_unconfirmed: set[str] = set()
        self._valuations: dict[str, tuple[Condor, values.Valuation]] = {}
        self._leftovers_e4: dict[str, int | None] = {}
        self._unmatched: dict[str, wire.Unmatched] = {}
        self._waiting: set[str] = set()
        self._is_cut = False

    def set_account(self, reading: Reading, day: dt.date, now: float, life: Life) -> bool:
        """Show `reading` on `day`, the date at the exchange, with what `life` says of it; True if it made an event."""
        before = self._shown_account
        problems, notices = dict(life.problems), [render.notice(notice) for notice in life.notices]
        self._shown_account = frozenset(reading.positions), reading.grouping, day, problems, notices
        if before == self._shown_account:
            return False
        if before is None or before[:2] != self._shown_account[:2]:
            self._regroup(reading)
        self._problems, self._notices = problems, notices
        self._publish_all(day, now)
        return True

    def expect(self, symbols: frozenset[str]) -> None:
        """Have prices of `symbols` ready, as they may be shown next."""
        self.prices.hold(symbols | self._shown.keys())
        self.symbols = tuple(sorted(symbols | self._shown.keys(), key=self._rank))

    def cut(self) -> None:
        """The stream was cut: every quote is unconfirmed, which the event of the next status tells with it."""
        self.prices.gap()
        self._is_cut = True

    def set_status(self, status: wire.Status, now: float) -> bool:
        """Take the status; True if that made an event. The two instants that always move make none."""
        self.trail.follow(now, is_live=status.state == "live")
        status = self._with_notices(status)
        if render.same_status(status, self.edition.status):
            self.edition.touch(status)
            return False
        amendment = (self._take_due(now) if self._is_cut else None) or Amendment()
        self.edition.amend(msgspec.structs.replace(amendment, status=status))
        return True

    def publish(self, now: float) -> bool:
        """Publish every waiting quote that counts, with what follows from it; True if that made an event."""
        amendment = self._take_due(now)
        if amendment is None:
            return False
        self.edition.amend(amendment)
        return True

    def record(self, now_at: dt.datetime) -> bool:
        """Publish a point more of each condor's line; True if that made an event."""
        grown = self.trail.add((value for _, value in self._valuations.values()), now_at)
        if grown:
            self.edition.extend(grown)
        return bool(grown)

    def _take_due(self, now: float) -> Amendment | None:
        self._is_cut = False
        self._waiting |= self.prices.settle(now)
        if not self._waiting:
            return None
        self._waiting &= self._shown.keys()
        due = {symbol for symbol in self._waiting if self._counts(symbol)}
        due |= self._adds_up(self._waiting - due)
        if not due:
            return None
        self._waiting -= due
        return self._amendment(due)

    def _with_notices(self, status: wire.Status) -> wire.Status:
        """The status of the upstream, with the account's notices before its own."""
        self._upstream_status = status
        return msgspec.structs.replace(status, notices=[*self._notices, *status.notices])

    def _regroup(self, reading: Reading) -> None:
        grouping = self._grouping = reading.grouping
        self._max_losses_e4 = values.max_losses_e4(values.as_grouped(reading.positions, grouping))
        self._leftover_of = {left.position.symbol: left for left in grouping.unmatched}
        self.trail.hold(grouping.condors)
        self._condors_of = {}
        for condor in grouping.condors:
            for leg in condor.legs:
                self._condors_of.setdefault(leg.symbol, []).append(condor)
        symbols = [position.symbol for position in reading.positions if position.contract is not None]
        self._listed = tuple(sorted(symbols))
        self.symbols = tuple(sorted(symbols, key=self._rank))
        self.prices.hold(symbols)

    def _rank(self, symbol: str) -> tuple[int, str]:
        """Short legs of condors first: they are kept when the stream takes no more symbols."""
        legs = [leg for condor in self._condors_of.get(symbol, ()) for leg in condor.legs]
        if any(leg.symbol == symbol and leg.quantity < 0 for leg in legs):
            return 0, symbol
        return (1 if legs else 2), symbol

    def _publish_all(self, day: dt.date, now: float) -> None:
        self.prices.settle(now)
        self._waiting.clear()
        self._shown = {symbol: self._newest(symbol) for symbol in self._listed}
        self._shown_unconfirmed = set(self.prices.unconfirmed)
        self._valuations = {condor.id: (condor, self._value(condor)) for condor in self._grouping.condors}
        self._leftovers_e4 = {
            symbol: values.leftover_unrealized_e4(left, self._shown) for symbol, left in self._leftover_of.items()
        }
        self._unmatched = {symbol: self._render_leftover(symbol) for symbol in self._leftover_of}
        self.edition.recast(
            condors=[
                render.condor(condor, value, day, self.trail.line(condor.id))
                for condor, value in self._valuations.values()
            ],
            unmatched=self._unmatched.values(),
            quotes=[self._render_quote(symbol) for symbol in self._shown],
            totals=render.totals(self._total()),
            status=self._with_notices(self._upstream_status),
        )

    def _newest(self, symbol: str) -> Quote:
        return self.prices.quotes.get(symbol) or Quote(symbol=symbol)

    def _counts(self, symbol: str) -> bool:
        newest, shown = self._newest(symbol), self._shown[symbol]
        return (
            newest.state != shown.state
            or self._is_unconfirmed(symbol) != (symbol in self._shown_unconfirmed)
            or self._moved(newest.bid_e4, shown.bid_e4)
            or self._moved(newest.ask_e4, shown.ask_e4)
            or self._moved(newest.mark_e4, shown.mark_e4)
        )

    def _is_unconfirmed(self, symbol: str) -> bool:
        return symbol in self.prices.quotes and not self.prices.is_confirmed(symbol)

    def _moved(self, newest_e4: int | None, shown_e4: int | None) -> bool:
        if newest_e4 is None or shown_e4 is None:
            return newest_e4 is not shown_e4
        return newest_e4 != shown_e4 and abs(newest_e4 - shown_e4) >= self.min_change_e4

    def _adds_up(self, small: set[str]) -> set[str]:
        """Those of the small moves that together move a condor by `min_change`."""
        moved = {symbol for symbol in small if not _same_prices(self._newest(symbol), self._shown[symbol])}
        self._waiting -= small - moved
        together: set[str] = set()
        for condor in _unique(self._condors_of.get(symbol, ()) for symbol in moved):
            shown = self._valuations[condor.id][1]
            newest = values.value(condor, self.prices.quotes, ())
            if self._moved(newest.mark_e4, shown.mark_e4) or self._moved(newest.natural_e4, shown.natural_e4):
                together.update(moved.intersection(leg.symbol for leg in condor.legs))
        return together

    def _amendment(self, due: set[str]) -> Amendment:
        for symbol in due:
            self._shown[symbol] = self._newest(symbol)
            if self._is_unconfirmed(symbol):
                self._shown_unconfirmed.add(symbol)
            else:
                self._shown_unconfirmed.discard(symbol)
        valuations = []
        for condor in _unique(self._condors_of.get(symbol, ()) for symbol in sorted(due)):
            value = self._value(condor)
            if value != self._valuations[condor.id][1]:
                self._valuations[condor.id] = condor, value
                valuations.append(render.valuation(condor, value))
        unmatched = []
        for symbol in sorted(due & self._leftover_of.keys()):
            self._leftovers_e4[symbol] = values.leftover_unrealized_e4(self._leftover_of[symbol], self._shown)
            entry = self._render_leftover(symbol)
            if entry != self._unmatched[symbol]:
                self._unmatched[symbol] = entry
                unmatched.append(entry)
        totals = render.totals(self._total())
        return Amendment(
            quotes=[self._render_quote(symbol) for symbol in sorted(due)],
            valuations=valuations,
            unmatched=unmatched,
            totals=None if totals == self.edition.totals else totals,
        )

    def _value(self, condor: Condor) -> values.Valuation:
        return values.value(condor, self._shown, self._shown_unconfirmed)

    def _total(self) -> values.Totals:
        return values.total(self._valuations, self._leftovers_e4.values(), self._max_losses_e4)

    def _render_quote(self, symbol: str) -> wire.Quote:
        return render.quote(self._shown[symbol], unconfirmed=symbol in self._shown_unconfirmed)

    def _render_leftover(self, symbol: str) -> wire.Unmatched:
        shown = self._shown.get(symbol)
        mark_e4 = None if shown is None else shown.mark_e4
        left = self._leftover_of[symbol]
        problem = "; ".join(text for text in (left.position.problem, self._problems.get(symbol)) if text)
        return render.unmatched(left, mark_e4, self._leftovers_e4[symbol], problem or None)


def _same_prices(one: Quote, other: Quote) -> bool:
    return (one.bid_e4, one.ask_e4, one.mark_e4) == (other.bid_e4, other.ask_e4, other.mark_e4)


def _unique(groups: Iterable[Iterable[Condor]]) -> list[Condor]:
    return list({condor.id: condor for group in groups for condor in group}.values())
