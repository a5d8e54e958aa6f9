"""Decide when what is known is published: quotes in, frames out.

`offer` only keeps a quote. It is judged and published in `tick`, at once after a quiet window and otherwise at
`deadline`; positions, status and alerts do not wait for the window. Every method takes `now` (loop seconds), and those
that publish take `now_at` (the exchange's clock, UTC) and return the subscribers to wake.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from condord.core.account_summary import AccountSummary
from condord.core.condor import Condor
from condord.core.cutoffs import CutoffSettings
from condord.core.day_pl import ClosingPrices, DayFill
from condord.core.dividend import Dividend
from condord.core.filled_orders import Order
from condord.core.lots import LedgerSummary, Lot
from condord.core.market_hours import exchange_day
from condord.core.model.figures import OptionSnapshot
from condord.core.position import Position
from condord.core.quote import Tick
from condord.core.underlying import IndexValue, StockSnapshot
from condord.core.working_order import WorkingOrder
from condord.live import wire
from condord.live.account import AccountState
from condord.live.alert_events import AlertEvents, AlertSource
from condord.live.alerts import AlertChanges
from condord.live.book import Book
from condord.live.coalescer import Coalescer
from condord.live.fanout import Fanout
from condord.live.lifecycle import AccountReading
from condord.live.minutes import MinuteRow
from condord.live.risks import RiskSettings
from condord.live.subscriber import Subscriber
from condord.live.wire_condor import ExitsJson


class Publisher:
    """The only writer of the published document.

    `recorder` gets the rows of each minute, once it has ended. `alerts` evaluates rules on the published values, and
    `on_alerts` gets the changes. Neither of the two may wait.
    """

    def __init__(
        self,
        *,
        account: AccountState,
        book: Book,
        coalescer: Coalescer,
        fanout: Fanout,
        recorder: Callable[[Sequence[MinuteRow]], None] = lambda _rows: None,
        alerts: AlertSource | None = None,
        on_alerts: Callable[[AlertChanges], None] = lambda _changes: None,
    ) -> None:
        self.account = account
        self.book = book
        self.prices = book.prices
        self.coalescer = coalescer
        self.fanout = fanout
        self.recorder = recorder
        self.alerts = AlertEvents(
            alerts, edition=book.edition, coalescer=coalescer, begin=book.begin, on_changes=on_alerts
        )
        self._received: float | None = None
        self._published: float | None = None
        self._has_new_settings = False

    def offer(self, ticks: Collection[Tick], now: float) -> float | None:
        """Take quotes from the stream. Returns when `tick` is due because of them, None if it was due before."""
        self.prices.offer(ticks)
        if self._received is not None:  # the coalescer has been offered something since `tick` took it last
            return None
        self._received = now
        return self.coalescer.deadline if self.coalescer.offer(now) else None

    def confirm(self, ticks: Iterable[Tick], now: float, generation: int) -> float | None:
        """Take the latest quotes from REST, requested in that `generation`. Returns when `tick` is due."""
        self.prices.confirm(ticks, now, generation)
        return self._due_after_change(now)

    def gap(self, now: float) -> float | None:
        """Mark every quote unconfirmed: the stream was cut. The next status publishes that, or `tick` when it is due.

        Returns when `tick` is due.
        """
        self.book.changes.gap()
        return self._due_after_change(now)

    def lapse(self, symbols: Iterable[str], now: float) -> float | None:
        """Mark `symbols` unconfirmed: neither the stream nor REST has confirmed them recently.

        Returns when `tick` is due.
        """
        self.prices.lapse(symbols)
        return self._due_after_change(now)

    def set_positions(
        self,
        positions: Iterable[Position],
        now: float,
        now_at: dt.datetime,
        *,
        lots: Iterable[Lot] = (),
        stocks: Mapping[str, int] | None = None,
        orders: Iterable[Order] = (),
        traded: LedgerSummary = LedgerSummary(),  # noqa: B008 - it is frozen
    ) -> list[Subscriber]:
        """Take the account's options, the lots of its orders, and its shares by symbol; a change makes a snapshot.

        `orders` are all that filled options, oldest first, and `traded` is their ledger. A half-changed account is
        held back for a moment, until `deadline`.
        """
        woken = self._show(self.account.offer(positions, lots, stocks or {}, now, orders, traded), now, now_at)
        self.book.expect(self.account.symbols)
        return woken

    def _show(self, reading: AccountReading | None, now: float, now_at: dt.datetime) -> list[Subscriber]:
        if reading is None:
            return []
        day = exchange_day(now_at)
        followed = self.account.follow(reading, day, now_at)
        before = self.book.edition.number
        self.book.set_account(followed, now, now_at, self.account.lifecycle)
        return self._send(before, now, now_at, urgent=True)

    def set_status(self, status: wire.Status, now: float, now_at: dt.datetime) -> list[Subscriber]:
        """Take the status and publish a change at once.

        The status is also set in quiet times, so this also publishes what only time has changed: a new day, contracts
        that have settled, and, at `deadline`, confirmations that have expired.
        """
        is_set, self._has_new_settings = self._has_new_settings, False
        woken = self._show(self.account.shown if is_set else self.account.outdated(now_at), now, now_at)
        self.coalescer.offer(now)
        before = self.book.edition.number
        self.book.set_status(status, now, now_at)
        return woken + self._send(before, now, now_at, urgent=True)

    def set_stream(self, *, window_seconds: float, min_change_e4: int) -> None:
        """Publish at most one event per window and only moves of `min_change_e4` (1e-4 dollars) from now on."""
        self.coalescer.set_window(window_seconds)
        self.book.set_min_change(min_change_e4)

    def set_model(self, settings: RiskSettings, dividends: Sequence[Dividend], cutoffs: CutoffSettings) -> None:
        """Compute with these settings from now on. `dividends` replace those of the same day that Alpaca has announced.

        The next `set_status` publishes the new figures; if cut-offs have changed, as a snapshot.
        """
        self.book.risks.set_model(settings, dividends)
        self.book.set_cutoffs(cutoffs)
        self.account.lifecycle.set_cutoffs(cutoffs)
        self._has_new_settings = True

    def set_exits(self, exits: Callable[[Condor], ExitsJson]) -> None:
        """Take the function that returns at which prices the rules in force would take profit or stop a loss.

        The next `set_status` publishes the differences.
        """
        self.book.set_exits(exits)
        self._has_new_settings = True

    def show_alerts(self, changes: AlertChanges, now: float, now_at: dt.datetime) -> list[Subscriber]:
        """Publish changes of alerts from elsewhere: from changed rules, a restart, or an acknowledgement."""
        self.alerts.take(changes)
        return self._send(self.book.edition.number, now, now_at)

    # The methods below return when `tick` is due.

    def offer_stocks(self, ticks: Sequence[Tick], now: float) -> float | None:
        """Take quotes from the stock stream."""
        self.book.underlying_prices.offer(ticks, now)
        return self._due_after_price()

    def confirm_stocks(self, snapshots: Sequence[StockSnapshot], now: float) -> float | None:
        """Take an answer of REST about stocks."""
        self.book.underlying_prices.confirm(snapshots, now)
        return self._due_after_price()

    def confirm_indexes(self, values: Sequence[IndexValue], now: float, *, is_entitled: bool) -> float | None:
        """Take an answer of REST about indexes."""
        self.book.underlying_prices.confirm_indexes(values, now, is_entitled=is_entitled)
        return self._due_after_price()

    def lapse_prices(self, now_at: dt.datetime) -> float | None:
        """Mark every price of an underlying unconfirmed while the market is open, until a newer quote or REST."""
        self.book.underlying_prices.lapse(now_at)
        return self._due_after_price()

    def set_snapshots(self, snapshots: Sequence[OptionSnapshot]) -> float | None:
        """Take a whole read of Alpaca's figures."""
        self.book.risks.take_snapshots(snapshots)
        return self._due_after_price()

    def set_opposite_quotes(self, ticks: Sequence[Tick], now_at: dt.datetime) -> float | None:
        """Take the latest quotes of contracts that are not held."""
        self.book.risks.take_opposite_quotes(ticks, now_at)
        return self._due_after_price()

    def set_dividends(self, dividends: Sequence[Dividend]) -> float | None:
        """Take all known dividends."""
        self.book.risks.set_dividends(dividends)
        return self._due_after_price()

    def set_account_summary(self, summary: AccountSummary | None, now: float) -> float | None:
        """Take the account's balances, None if the account has changed."""
        self.book.set_account_summary(summary)
        return self._due_after_change(now)

    def set_working_orders(self, orders: Sequence[WorkingOrder], now: float) -> float | None:
        """Take all working orders."""
        self.book.set_working_orders(orders)
        return self._due_after_change(now)

    def set_day_fills(self, day: dt.date, fills: Sequence[DayFill], now: float) -> float | None:
        """Take all fills of `day`, the date at the exchange."""
        self.book.day.set_fills(day, fills)
        return self._due_after_change(now)

    def set_closes(self, closes: ClosingPrices, now: float) -> float | None:
        """Take the closes of the session before."""
        self.book.day.set_closes(closes)
        return self._due_after_change(now)

    def _due_after_price(self) -> float | None:
        self.book.risks.note_change()
        return self.deadline

    @property
    def deadline(self) -> float | None:
        """When `tick` is due, in loop seconds; None if nothing waits."""
        deadlines = (
            self.coalescer.deadline,
            self.fanout.deadline,
            self.account.deadline,
            self.alerts.deadline,
            self.book.minutes.deadline,
            self.book.risks.deadline,
        )
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def tick(self, now: float, now_at: dt.datetime) -> list[Subscriber]:
        """Publish what is due."""
        woken = self._show(self.account.expire(now), now, now_at)
        before = self.book.edition.number
        if self.book.risks.step(now, now_at):
            self.coalescer.offer(now)
        if self.coalescer.take(now):
            received, self._received = self._received, None
            if self.book.publish(now, now_at):
                self.coalescer.sent(now)
                self._published = received
        if self.book.minutes.is_due(now, now_at) and (rows := self.book.record(now, now_at)):
            self.recorder(rows)
        if self.book.edition.number != before or self.alerts.is_due(now):
            woken += self._send(before, now, now_at)
        return woken + self.fanout.tick(now, now_at)

    def _send(self, before: int, now: float, now_at: dt.datetime, *, urgent: bool = False) -> list[Subscriber]:
        """Give subscribers the changes since event `before`, and the alerts caused by them."""
        edition = self.book.edition
        self.alerts.evaluate(now, now_at)
        alerts = self.alerts.publish(now, now_at, has_event=edition.number != before)
        if edition.number == before and not alerts:
            return []
        return self.fanout.publish(now, now_at, urgent=urgent, alerts=alerts)

    def take_received(self) -> float | None:
        """When the oldest quote behind what `tick` published was received, in loop seconds; None at a second call."""
        received, self._published = self._published, None
        return received

    def _due_after_change(self, now: float) -> float | None:
        self.coalescer.offer(now)
        return self.coalescer.deadline
