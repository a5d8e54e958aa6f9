"""Turn positions and quotes into the published document.

Every valuation is made from the quotes published with it. `quote_changes` decides which quotes count. Risk figures have
rules of their own, in `risks`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from condord.core import valuation as values
from condord.core.account_summary import AccountSummary
from condord.core.calendar import Calendar
from condord.core.condor import Condor
from condord.core.cutoffs import CutoffSettings
from condord.core.market_hours import exchange_day
from condord.core.working_order import WorkingOrder, closing_orders
from condord.live import render, render_risk, wire, wire_condor, wire_risk
from condord.live.broken import BrokenCondor
from condord.live.day import Day
from condord.live.held_contracts import HeldContracts
from condord.live.lifecycle import AccountReading, Lifecycle
from condord.live.minutes import MinuteRow, RecordedPast
from condord.live.pl_history import PlHistory
from condord.live.prices import Prices
from condord.live.published import Edition
from condord.live.quote_changes import QuoteChanges, unique
from condord.live.recording import Minutes
from condord.live.risks import Risks, RiskSettings
from condord.live.shown_account import CondorExits, ShownAccount, shown_account
from condord.live.underlying_prices import UnderlyingPrices
from condord.live.versioned import Versioned

Core = TypeVar("Core")
Json = TypeVar("Json")
_Rendered = tuple[Condor, values.Valuation, wire_condor.CondorJson]


class Book:
    """The only writer of `edition`. `min_change_e4` is in 1e-4 dollars.

    `symbols` are the contracts that should be streamed, the most important first. `broken` has the broken condors, by
    id.
    """

    def __init__(self, *, edition: Edition, prices: Prices, min_change_e4: int) -> None:
        self.edition = edition
        self.prices = prices
        self.minutes = Minutes()
        self.pl_history = PlHistory()
        self.underlying_prices = UnderlyingPrices()
        self.risks = Risks(edition, RiskSettings(), self.underlying_prices)
        self.day = Day()
        self.cutoffs = CutoffSettings()
        self._exits = CondorExits()
        self.symbols: tuple[str, ...] = ()
        self.broken: dict[str, BrokenCondor] = {}
        self._shown = ShownAccount()
        self._held = HeldContracts()
        self._upstream_status = edition.status
        self._quotes = edition.quotes
        self.changes = QuoteChanges(prices=prices, edition=edition, held=self._held, min_change_e4=min_change_e4)
        self._is_begun = False
        self._orders: Sequence[WorkingOrder] = ()
        self._has_other_orders = False
        self._summary: wire_risk.AccountJson | None = None

    def set_account(self, reading: AccountReading, now: float, now_at: dt.datetime, lifecycle: Lifecycle) -> bool:
        """Publish `reading` and what `lifecycle` found at `now_at`, the exchange's time; True if it made an event."""
        before = self._shown
        self.risks.set_shares(reading.stocks)
        self.day.follow(reading, reading.traded, now_at)
        self._shown = shown_account(reading, lifecycle, exchange_day(now_at), self.cutoffs, self._exits)
        if before == self._shown:
            return False
        self.broken = {each.condor.id: each for each in lifecycle.memory.broken}
        self.minutes.note_time(now_at)
        self.minutes.hold(reading.grouping.condors, self.broken.keys(), reading.calendar)
        self.pl_history.hold(reading.grouping.condors, self.broken.keys())
        if before.held != self._shown.held:
            self._regroup(reading)
        self._publish_all(reading, now, now_at)
        return True

    def expect(self, symbols: frozenset[str]) -> None:
        """Keep quotes of `symbols` too, as they may be published next."""
        self.prices.hold(symbols | self._quotes.core.keys())
        self.symbols = tuple(sorted(symbols | self._quotes.core.keys(), key=self._held.rank))

    def set_status(self, status: wire.Status, now: float, now_at: dt.datetime) -> bool:
        """Take the status; True if it made an event. If only `lastMessageAt` and `readAt` differ, there is none."""
        status = self._with_notices(status)
        is_same = render.same_status(status, self.edition.status)
        due = self.changes.take(now) if self.changes.is_cut and not is_same else None
        if due is not None:
            self.minutes.drop(condor.id for symbol in due for condor in self._held.condors_of.get(symbol, ()))
        self.minutes.follow(status, now, now_at)
        if status.market.is_open is False:
            self._record_marks(now_at)
        if is_same:
            self.edition.touch(status)
            return False
        self.edition.begin()
        self._is_begun = True
        if due is not None:
            self._amend(due, now)
        if status.market != self.edition.status.market:
            self.risks.note_change()
        self._amend_recorded()
        self.edition.set_status(status)
        return True

    def publish(self, now: float, now_at: dt.datetime) -> bool:
        """Publish every waiting quote that counts, what is computed from it, and all else that waits.

        True if it made an event.
        """
        self._is_begun = False
        self.minutes.note_time(now_at)
        self._amend(self.changes.take(now), now)
        return self._is_begun

    def set_min_change(self, min_change_e4: int) -> None:
        """Publish smaller or only larger moves from now on; in 1e-4 dollars."""
        self.changes.min_change_e4 = min_change_e4

    def set_cutoffs(self, cutoffs: CutoffSettings) -> None:
        """Take Alpaca's cut-offs on expiration day, for the next `set_account`."""
        self.cutoffs = cutoffs

    def set_exits(self, exits: Callable[[Condor], wire_condor.ExitsJson]) -> None:
        """Take the function that returns where the rules in force would take profit and stop, for `set_account`."""
        self._exits.set_rules(exits)

    def begin(self) -> None:
        """Begin an event that no quote, position or status brings."""
        self._is_begun = False
        self._event()
        self._amend_recorded()

    def recall_past(self, past: RecordedPast | None) -> None:
        """Continue lines and extremes that were recorded, also if positions are shown already; the next event has them.

        None forgets those of this run, because the account has changed. Nothing is recorded until its positions are
        read.
        """
        self.minutes.recall(past)
        self.pl_history.recall(past)
        if past is None:  # the next account is another one, even if it holds the same
            self._shown = msgspec.structs.replace(self._shown, day=None)

    def set_working_orders(self, orders: Sequence[WorkingOrder]) -> None:
        """Take all working orders; `publish` publishes those that close condors."""
        self._orders, self._has_other_orders = orders, True

    def set_account_summary(self, summary: AccountSummary | None) -> None:
        """Take the account's balances; `publish` publishes them if they differ in more than the time of the reading."""
        self._summary = None if summary is None else render_risk.account(summary)

    def record(self, now: float, now_at: dt.datetime) -> tuple[MinuteRow, ...]:
        """End the running minute and publish its points. Returns its rows."""
        self._is_begun = False
        rows = self.minutes.end(now, now_at, self.edition.underlyings.core)
        growth = self.pl_history.add(rows)
        if growth.histories and not self.pl_history.is_restarted:
            self._event()
            self.edition.extend(growth.histories)
        self._amend_recorded()
        return rows

    def _record_marks(self, now_at: dt.datetime) -> None:
        """Keep the last marks of the session that has ended: tomorrow's profit or loss is counted from them."""
        sessions = self.day.memory.sessions
        recorded = sessions[-1].contracts if sessions and sessions[-1].day == exchange_day(now_at) else {}
        marks = {
            symbol: quote
            for symbol, quote in self._quotes.core.items()
            if quote.mark_e4 is not None and not self._quotes.json[symbol].unconfirmed
        }
        if any(symbol not in recorded or recorded[symbol].mark_e4 is None for symbol in marks):
            self.day.record_marks(marks, now_at)

    def _with_notices(self, status: wire.Status) -> wire.Status:
        """Return the status of the upstream with the account's notices before its own."""
        self._upstream_status = status
        own = [*self._shown.notices, *(render.notice(notice) for notice in (self.risks.notice,) if notice is not None)]
        return msgspec.structs.replace(status, notices=[*own, *status.notices])

    def _regroup(self, reading: AccountReading) -> None:
        self._held.hold(reading)
        self.symbols = tuple(sorted(self._held.listed, key=self._held.rank))
        self.prices.hold(self.symbols)

    def _publish_all(self, reading: AccountReading, now: float, now_at: dt.datetime) -> None:
        self.changes.forget(now)
        edition = self.edition
        self._quotes.fill((symbol, *self.changes.rendered(symbol)) for symbol in self._held.listed)
        self.risks.figures.hold(reading)
        self.underlying_prices.hold(self.risks.figures.stocks, self.risks.figures.indexes)
        self.risks.fill(now, now_at)
        edition.closing.fill((identity, None, orders) for identity, orders in self._closing().items())
        condors = self._rendered_condors(reading.calendar, exchange_day(now_at))
        edition.valuations.fill((json.id, (condor, value), json.valuation) for condor, value, json in condors)
        edition.unmatched.fill((symbol, *self._rendered_leftover(symbol)) for symbol in self._held.leftover_of)
        edition.recast(
            condors=[json for _, _, json in condors],
            broken=render.with_expiry(self._shown.broken, self.risks.figures.chains, reading.calendar, self.cutoffs),
            totals=self._totals(),
            status=self._with_notices(self._upstream_status),
        )
        self.day.take_change()
        self.pl_history.take_restart()

    def _rendered_condors(self, calendar: Calendar, day: dt.date) -> list[_Rendered]:
        rendered = []
        chains = {condor.id: chain for chain in self.risks.figures.chains for condor in chain.condors}
        for condor in self._held.grouping.condors:
            value, chain = self._value(condor), chains[condor.id]
            ends = chain.cutoffs(calendar, self.cutoffs)
            terms = render.ContractTerms(
                style=chain.style, ending=chain.ending, cutoffs=ends, exits=self._shown.exits[condor.id]
            )
            history = self.pl_history.of(condor.id)
            rendered.append((condor, value, render.condor(condor, value, terms, day, history)))
        return rendered

    def _closing(self) -> dict[str, list[wire_risk.ClosingJson]]:
        """Return the working orders that close each condor, by its id."""
        condors = self._held.grouping.condors
        found = closing_orders(condors, self._orders)
        return {condor.id: render_risk.closing(found.get(condor.id, ())) for condor in condors}

    def _amend(self, due: set[str], now: float) -> None:
        """Put the newest quotes of the symbols `due`, what is computed from them, and all else that waits.

        The event begins with the first change.
        """
        for symbol in sorted(due):
            self._put(self._quotes, symbol, *self.changes.rendered(symbol))
        self._amend_values(due)
        self._amend_closing()
        self._amend_account()
        if self.risks.is_due:
            self.risks.amend(self._event(), now)
            self.minutes.note_prices(self.edition.underlyings.core)
        self._amend_recorded()
        totals = self._totals()
        if totals != self.edition.totals:
            self._event()
            self.edition.set_totals(totals)
        if due:
            self.risks.note_change()

    def _amend_values(self, due: set[str]) -> None:
        """Put the values of condors and unmatched contracts with symbols in `due`.

        If the inputs of today's profit or loss have changed, put those of all condors and unmatched contracts.
        """
        edition, grouping, is_whole = self.edition, self._held.grouping, self.day.take_change()
        legs = unique(self._held.condors_of.get(symbol, ()) for symbol in sorted(due))
        for condor in grouping.condors if is_whole else legs:
            value = self._value(condor)
            if value != edition.valuations.core[condor.id][1]:
                self._put(edition.valuations, condor.id, (condor, value), render.valuation(condor, value))
        left = self._held.leftover_of.keys()
        for symbol in sorted(left if is_whole else due & left):
            pl, entry = self._rendered_leftover(symbol)
            if entry != edition.unmatched.json[symbol]:
                self._put(edition.unmatched, symbol, pl, entry)

    def _amend_recorded(self) -> None:
        """Put extremes that no new value has changed, and lines that have restarted."""
        edition = self.edition
        if self.minutes.take_change():
            for identity, (condor, value) in edition.valuations.core.items():
                newest = self.minutes.with_extremes(value)
                if newest is not value:
                    self._put(edition.valuations, identity, (condor, newest), render.valuation(condor, newest))
        if self.pl_history.take_restart():
            self._event()
            edition.restart(self.pl_history.histories)

    def _amend_closing(self) -> None:
        """Put the working orders of the condors whose orders have changed."""
        if not self._has_other_orders:
            return
        self._has_other_orders = False
        closing = self.edition.closing
        for identity, orders in self._closing().items():
            if orders != closing.json[identity]:
                self._put(closing, identity, None, orders)

    def _amend_account(self) -> None:
        """Put the account's balances, if they have changed."""
        edition, summary = self.edition, self._summary
        if render_risk.same_account(summary, edition.account):
            edition.touch_account(summary)
        else:
            self._event()
            edition.set_account(summary)

    def _event(self) -> int:
        """Begin this event, if it has not begun, and return its number."""
        if not self._is_begun:
            self._is_begun = True
            self.edition.begin()
        return self.edition.number

    def _put(self, part: Versioned[Core, Json], key: str, core: Core, json: Json) -> None:
        part.put(key, core, json, self._event())

    def _value(self, condor: Condor) -> values.Valuation:
        """Return the valuation of `condor` at the quotes that are published."""
        quotes = self._quotes.core
        unconfirmed = [leg.symbol for leg in condor.legs if self._quotes.json[leg.symbol].unconfirmed]
        value = values.value(condor, quotes, unconfirmed)
        worst_e4, best_e4 = self.minutes.value(condor, value, quotes)
        day_e4 = self.day.condor_e4(condor.id, quotes)
        return msgspec.structs.replace(value, day_pl_e4=day_e4, worst_e4=worst_e4, best_e4=best_e4)

    def _totals(self) -> wire.TotalsJson:
        if self._shown.held is None:
            return self.edition.totals  # positions were not read, so nothing is known
        edition, closed = self.edition, values.ClosedToday(self.day.closed_condors_e4, self.day.closed_contracts_e4)
        total = values.total(edition.valuations.core, edition.unmatched.core.values(), self._held.max_losses_e4, closed)
        self.minutes.total(total)
        return render.totals(total, self.risks.theta, self.risks.incomplete, edition.totals.alerts)

    def _rendered_leftover(self, symbol: str) -> tuple[values.LeftoverPl, wire_condor.Unmatched]:
        """Return the profit or loss of unmatched contracts, and their JSON."""
        quotes, left = self._quotes.core, self._held.leftover_of[symbol]
        mark_e4 = quotes[symbol].mark_e4 if symbol in quotes else None
        pl = values.LeftoverPl(values.leftover_unrealized_e4(left, quotes), self.day.unmatched_e4(symbol, quotes))
        problem = "; ".join(text for text in (left.position.problem, self._shown.problems.get(symbol)) if text)
        return pl, render.unmatched(left, mark_e4, pl, problem or None)
