"""Choose which reading of the account is shown, and follow the account from reading to reading.

A reading is grouped once, held back while its legs may still be changing (`settling`), and compared with the reading
shown before it (`lifecycle`). All contracts of the newest reading are streamed at once, even while it is held back, so
that they have prices when it is shown. What a reading means also changes with time, as contracts stop trading and
settle.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping

import msgspec

from condord.core.calendar import DAY, Calendar
from condord.core.cover import cover
from condord.core.cutoffs import cutoffs
from condord.core.expiry import ending_of, expiry_of, style_of
from condord.core.filled_orders import Order
from condord.core.grouping.account import Grouping, group
from condord.core.grouping.budget import go_on
from condord.core.lots import LedgerSummary, Lot
from condord.core.market_hours import exchange_day, start_of_day
from condord.core.naming import Names
from condord.core.position import Position
from condord.live.lifecycle import AccountReading, Lifecycle, Memory
from condord.live.settle import SettleDelay


class Regrouping(msgspec.Struct, frozen=True, kw_only=True):
    """The input of a grouping. As that can take a second, `run` may be called in any thread."""

    held: frozenset[Position]
    lots: tuple[Lot, ...]
    names: Names = {}

    def run(self, pause: Callable[[], None] = go_on) -> Grouping:
        """Group the positions.

        `pause` is called every few milliseconds. An exception that it raises ends the search.
        """
        return group(self.held, self.lots, self.names, pause=pause)


class AccountState:
    """The state of the account from reading to reading; `settle_seconds` is as in `SettleDelay`.

    `names` are the names of the condors in the newest reading, shown or held back.
    """

    def __init__(self, settle_seconds: float) -> None:
        self.settling: SettleDelay[AccountReading] = SettleDelay(settle_seconds)
        self.lifecycle = Lifecycle()
        self._grouped = Regrouping(held=frozenset(), lots=())
        self._grouping = Grouping()
        self.calendar = Calendar()
        self._shown: AccountReading | None = None
        self._span: tuple[Calendar, dt.datetime, dt.datetime] | None = None
        self._is_grouped = True
        self.names: Names = {}

    def set_calendar(self, calendar: Calendar) -> None:
        """Take the sessions of the exchange. `outdated` returns the shown reading if they change its meaning."""
        self.calendar = calendar

    def recall(self, names: Names) -> None:
        """Use the names of an earlier run from the next reading on; they take precedence over those given since."""
        recalled = {name.id for name in names.values()}
        others = {key: name for key, name in self.names.items() if key not in names and name.id not in recalled}
        self.names = {**others, **names}
        self._is_grouped = False

    def forget_names(self) -> None:
        """Forget all names from the next reading on, because the account has changed."""
        self.names = {}
        self._is_grouped = False

    def recall_memory(self, memory: Memory | None) -> None:
        """Continue from the memory of an earlier run, or without any (None) because the account has changed."""
        self._shown = None
        self.lifecycle.recall(memory)

    @property
    def shown(self) -> AccountReading | None:
        """The reading shown last, None before the first."""
        return self._shown

    @property
    def symbols(self) -> frozenset[str]:
        """The symbols of the newest reading that can be streamed."""
        return frozenset(position.symbol for position in self._grouped.held if position.contract is not None)

    def regrouping(self, positions: Iterable[Position], lots: Iterable[Lot]) -> Regrouping | None:
        """The grouping to compute before `offer` can take these positions; None if that grouping is known."""
        wanted = Regrouping(held=frozenset(positions), lots=tuple(lots), names=self.names)
        is_known = (wanted.held, wanted.lots) == (self._grouped.held, self._grouped.lots)
        return None if is_known and self._is_grouped else wanted

    def learn(self, grouped: Regrouping, grouping: Grouping) -> None:
        """Take the result of a regrouping. If names were recalled meanwhile, it must be done again."""
        self._grouped, self._grouping = grouped, grouping
        if grouped.names is self.names:
            self._is_grouped, self.names = True, grouping.names

    def offer(
        self,
        positions: Iterable[Position],
        lots: Iterable[Lot],
        stocks: Mapping[str, int],
        now: float,
        orders: Iterable[Order] = (),
        traded: LedgerSummary = LedgerSummary(),  # noqa: B008 - it is frozen
    ) -> AccountReading | None:
        """Take a reading, and return the reading to show now, or None while it is held back.

        `stocks` are signed shares by symbol, `now` is in loop seconds, `traded` is the ledger of `orders`. The reading
        is grouped here unless `learn` has received its grouping.
        """
        if (wanted := self.regrouping(positions, lots)) is not None:
            self.learn(wanted, wanted.run())
        reading = AccountReading(
            positions=tuple(sorted(self._grouped.held, key=lambda position: position.symbol)),
            grouping=self._grouping,
            stocks=stocks,
            orders=tuple(orders),
            traded=traded,
        )
        left = ((leftover.position.symbol, leftover.position.quantity or 0) for leftover in self._grouping.unmatched)
        return self.settling.offer(reading, dict(left), now)

    @property
    def deadline(self) -> float | None:
        """When `expire` is due, in loop seconds; None if nothing is held back."""
        return self.settling.deadline

    def expire(self, now: float) -> AccountReading | None:
        """The reading that has been held back long enough, or None."""
        return self.settling.expire(now)

    def follow(self, reading: AccountReading, day: dt.date, now_at: dt.datetime) -> AccountReading:
        """Show `reading` on `day`, the date in New York; `lifecycle` then reflects it.

        Returns the reading as of `now_at`, by the exchange's clock: with the contracts that have settled, and what
        covers the others.
        """
        self._shown = reading
        current = self._as_of(reading, now_at)
        self.lifecycle.follow(current, day, now_at)
        return current

    def outdated(self, now_at: dt.datetime) -> AccountReading | None:
        """The shown reading if it must be passed to `follow` again: time or a new calendar has changed its meaning."""
        if self._shown is None or self._span is None:
            return None
        calendar, since_at, until_at = self._span
        return None if calendar is self.calendar and since_at <= now_at < until_at else self._shown

    def _as_of(self, reading: AccountReading, now_at: dt.datetime) -> AccountReading:
        contracts = [
            (held.symbol, expiry_of(held.contract, held.underlying)) for held in reading.positions if held.contract
        ]
        endings = {expiry: ending_of(expiry, self.calendar) for _, expiry in contracts}
        day = exchange_day(now_at)
        turns = [start_of_day(day), start_of_day(day + DAY)]
        turns += [at for ending in endings.values() for at in (ending.last_trading_at, ending.settles_at)]
        # From then on the notice of the last day has another text.
        settings = self.lifecycle.cutoffs
        turns += [
            cutoff.at
            for expiry, ending in endings.items()
            for cutoff in cutoffs(expiry, ending, style_of(expiry), self.calendar, settings)
        ]
        self._span = (
            self.calendar,
            max(at for at in turns if at <= now_at),
            min(at for at in turns if at > now_at),
        )
        settled = frozenset(symbol for symbol, expiry in contracts if endings[expiry].settles_at <= now_at)
        grouping = reading.grouping
        covered = cover([left.position for left in grouping.unmatched], stocks=reading.stocks, settled=settled)
        return msgspec.structs.replace(
            reading,
            grouping=msgspec.structs.replace(grouping, unmatched=covered.leftovers, pairs=covered.pairs),
            settled=settled,
            calendar=self.calendar,
        )
