"""Record the published profit or loss of each condor, minute by minute, and its extremes.

A minute is recorded if the session of the options held is open when it begins, so the last minute of a session is
recorded too. A profit or loss counts while the stream is live, from the event that publishes it to the next one that
changes it. So a minute in which nothing changes has the values of the minute before, and one in which nothing was known
has none.

The extremes of a holding are those of its minutes. A minute in which a value was not reliable (`core/reliability`) does
not count. The running minute counts until such a value is published: then what the extremes gained in this minute is
taken back. That is the only case in which they shrink.

A holding ends when its condor is missing from a reading that is shown, unless the condor is broken, and when a reading
has a later opening. A condor that is broken and becomes whole again is the same holding.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from condord.core.calendar import Calendar
from condord.core.condor import Condor
from condord.core.quote import Quote
from condord.core.reliability import is_opening, unreliable_reason
from condord.core.underlying import UnderlyingPrice
from condord.core.valuation import Totals, Valuation
from condord.live import wire
from condord.live.minutes import Extremes, HoldingPeriod, MinuteRow, RecordedPast

STEP_SECONDS = 60
MARGIN_SECONDS = 0.05
"""How long after the end of a minute its rows are taken: a timer that fires early would still be within it."""
_NEVER_AT = dt.datetime.max.replace(tzinfo=dt.UTC)
_E4_PER_CENT = 100


class _PublishedPl(NamedTuple):
    """The values published now, in cents, None if not known, and whether the quotes make them unreliable."""

    cents: int | None = None
    natural_cents: int | None = None
    is_held_back: bool = False


class _ExtremesE4(NamedTuple):
    """The extremes of a holding as they are published, in 1e-4 dollars."""

    worst_e4: int | None = None
    best_e4: int | None = None


_NOTHING = _PublishedPl()
_UNKNOWN = _ExtremesE4()


class _Minute:
    """The last values known in the running minute, and the extremes, in cents."""

    __slots__ = ("cents", "high", "is_held_back", "low", "natural_cents")

    def __init__(self) -> None:
        self.cents: int | None = None
        self.natural_cents: int | None = None
        self.low: int | None = None
        self.high: int | None = None
        self.is_held_back = False

    def note(self, shown: _PublishedPl, *, is_opening: bool) -> None:
        cents = shown.cents
        if cents is None:
            return
        self.cents = cents
        if shown.natural_cents is not None:
            self.natural_cents = shown.natural_cents
        if self.low is None or cents < self.low:
            self.low = cents
        if self.high is None or cents > self.high:
            self.high = cents
        if shown.is_held_back or is_opening:
            self.is_held_back = True

    @property
    def extremes(self) -> Extremes | None:
        """The extremes of the minute, None if it does not count."""
        if self.is_held_back or self.low is None or self.high is None:
            return None
        return Extremes(worst=self.low, best=self.high)


class _Holding:
    """A holding: its condor, what is published of it, and the extremes of its ended minutes (`past`)."""

    def __init__(self, condor: Condor) -> None:
        self.condor = condor
        self.opened_at = condor.opened_at
        self.shown = _NOTHING
        self.minute = _Minute()
        self.past: Extremes | None = None

    def is_of(self, condor: Condor) -> bool:
        """Whether `condor`, which has the same id, is this holding: it was not opened later."""
        return self.opened_at is None or condor.opened_at is None or condor.opened_at <= self.opened_at

    def take(self, condor: Condor) -> None:
        """Continue with the condor as it is now. With a different quantity or credit it has different values."""
        if (condor.quantity, condor.credit_e4) != (self.condor.quantity, self.condor.credit_e4):
            self.shown = _NOTHING
            self.minute.cents = self.minute.natural_cents = None
        self.condor = condor
        self.opened_at = condor.opened_at or self.opened_at

    def adopt(self, recorded: Mapping[dt.datetime | None, Extremes]) -> None:
        """Take those of the `recorded` extremes of this id, by `opened_at`, that belong to this holding."""
        if self.opened_at is None:
            self.opened_at = max((at for at in recorded if at is not None), default=None)
        for at, extremes in recorded.items():
            if at is None or (self.opened_at is not None and at >= self.opened_at):
                self.past = _joined(self.past, extremes)

    @property
    def extremes(self) -> Extremes | None:
        """The extremes, including the running minute's."""
        return _joined(self.past, self.minute.extremes)

    @property
    def extremes_e4(self) -> _ExtremesE4:
        found = self.extremes
        return _UNKNOWN if found is None else _ExtremesE4(found.worst * _E4_PER_CENT, found.best * _E4_PER_CENT)

    def end_minute(self) -> None:
        self.past, self.minute = self.extremes, _Minute()

    def row(self, second: int, prices_e4: Mapping[str, int]) -> MinuteRow:
        condor, minute = self.condor, self.minute
        return MinuteRow(
            holding=HoldingPeriod(condor_id=condor.id, opened_at=self.opened_at),
            second=second,
            cents=minute.cents,
            natural_cents=minute.natural_cents,
            price_e4=prices_e4.get(condor.underlying),
            low=minute.low,
            high=minute.high,
            quantity=condor.quantity,
            credit_e4=condor.credit_e4,
            is_held_back=minute.is_held_back,
        )


class Minutes:
    """The running minute of each condor and of the account. `deadline` is when it ends, in loop seconds."""

    def __init__(self) -> None:
        self.deadline: float | None = None
        self._is_changed = False
        self._calendar = Calendar()
        self._is_live = self._is_open = False
        self._close_at = _NEVER_AT
        self._ends_at = 0  # seconds since 1970
        self._is_counting = self._is_opening = False
        self._prices_e4: dict[str, int] = {}
        self._forget()

    def take_change(self) -> bool:
        """Whether extremes may have changed without a new value since the last call; `with_extremes` has them."""
        is_changed, self._is_changed = self._is_changed, False
        return is_changed

    def _forget(self) -> None:
        self._is_read = False
        self._followed: dict[str, _Holding] = {}
        self._broken: dict[str, _Holding] = {}
        self._ended: list[_Holding] = []
        self._recalled: dict[str, dict[dt.datetime | None, Extremes]] = {}
        self._account_shown, self._account = _NOTHING, _Minute()

    def recall(self, past: RecordedPast | None) -> None:
        """Continue with recorded extremes; None forgets every holding, because the account has changed.

        They are used for the condors held now, or else for those that the first reading shows.
        """
        self._is_changed = True
        if past is None:
            self._forget()
            return
        self._recalled = {}
        for holding, extremes in past.extremes.items():
            self._recalled.setdefault(holding.condor_id, {})[holding.opened_at] = extremes
        if self._is_read:
            self._adopt()

    def hold(self, condors: Iterable[Condor], broken: Collection[str], calendar: Calendar) -> None:
        """Take the condors of a reading, and the ids of broken ones. Their values must be followed next."""
        before = self._broken | self._followed
        self._calendar = calendar
        self._followed = {condor.id: self._continued(before.get(condor.id), condor) for condor in condors}
        self._broken = {each: before[each] for each in broken if each in before and each not in self._followed}
        kept = self._followed | self._broken
        self._ended += [each for identity, each in before.items() if kept.get(identity) is not each]
        self._is_read = True
        self._adopt()

    def follow(self, status: wire.Status, now: float, now_at: dt.datetime) -> None:
        """Take the status: whether the session is open, until when, and whether the stream is live."""
        self._is_live, self._is_open = status.state == "live", status.market.is_open is True
        if self._is_open:
            self._close_at = status.market.next_close or _NEVER_AT
        self.note_time(now_at)
        if self.deadline is None:
            if self._is_in_session(now_at):
                self._begin(now, now_at)
        elif now_at.timestamp() >= self._ends_at:
            self.deadline = min(self.deadline, now)  # the clock was set forward

    def note_time(self, now_at: dt.datetime) -> None:
        """Note the exchange's time, before values are published at that time."""
        was_counting, self._is_counting = self._is_counting, self._is_live and self._is_in_session(now_at)
        self._is_opening = is_opening(self._calendar, now_at)
        if self._is_counting and not was_counting:
            self._note_all()

    def value(self, condor: Condor, value: Valuation, quotes: Mapping[str, Quote]) -> _ExtremesE4:
        """Follow a value that is about to be published, made from `quotes`; returns the extremes to publish with it."""
        followed = self._followed.get(condor.id)
        if followed is None:  # a condor of an account that was forgotten
            return _UNKNOWN
        followed.shown = _NOTHING
        if value.unrealized_e4 is not None and not value.unconfirmed:
            reason = unreliable_reason(condor, value, quotes, is_opening=False)
            followed.shown = _PublishedPl(_cents(value.unrealized_e4), _cents(value.natural_pl_e4), reason is not None)
        if self._is_counting:
            followed.minute.note(followed.shown, is_opening=self._is_opening)
        return followed.extremes_e4

    def drop(self, condor_ids: Iterable[str]) -> None:
        """Forget the published values of these condors, which no longer count, as the next event replaces them."""
        for identity in condor_ids:
            if identity in self._followed:
                self._followed[identity].shown = self._account_shown = _NOTHING

    def total(self, totals: Totals) -> None:
        """Follow totals that are about to be published."""
        if not self._is_read:  # these are totals of an account that was forgotten
            return
        self._account_shown = _NOTHING
        if all(followed.shown.cents is not None for followed in self._followed.values()):
            self._account_shown = _PublishedPl(_cents(totals.unrealized_e4), _cents(totals.natural_pl_e4))
        if self._is_counting:
            self._account.note(self._account_shown, is_opening=False)

    def note_prices(self, prices: Mapping[str, UnderlyingPrice]) -> None:
        """Take the published prices of the underlyings."""
        self._prices_e4 |= {
            symbol: price.price_e4
            for symbol, price in prices.items()
            if price.price_e4 is not None and not price.unconfirmed
        }

    def with_extremes(self, value: Valuation) -> Valuation:
        """Return `value` with the extremes of its holding; the same object if it has them."""
        followed = self._followed.get(value.id)
        newest = _UNKNOWN if followed is None else followed.extremes_e4
        if (value.worst_e4, value.best_e4) == newest:
            return value
        return msgspec.structs.replace(value, worst_e4=newest.worst_e4, best_e4=newest.best_e4)

    def is_due(self, now: float, now_at: dt.datetime) -> bool:
        """Whether the running minute has ended. If the clock was set back by less than a minute, it goes on."""
        if self.deadline is None or now < self.deadline:
            return False
        left = self._ends_at - now_at.timestamp()
        if 0 < left <= STEP_SECONDS:
            self.deadline = now + left + MARGIN_SECONDS
            return False
        return True

    def end(self, now: float, now_at: dt.datetime, prices: Mapping[str, UnderlyingPrice]) -> tuple[MinuteRow, ...]:
        """End the running minute and begin the next one, if the session is open; `prices` are the published ones.

        Returns a row for each condor and one for the account, none before the first reading. A holding that ended in
        this minute has a row if it had a value in it. The rows are of the minute in which the values were published, or
        of the one that has ended last if the clock was set back.
        """
        self.note_prices(prices)
        second = min(self._ends_at, int(now_at.timestamp()) // STEP_SECONDS * STEP_SECONDS)
        rows = self._rows(second)
        for followed in (*self._followed.values(), *self._broken.values()):
            followed.end_minute()
        self._ended, self._account, self._prices_e4 = [], _Minute(), {}
        self.note_prices(prices)
        self._is_changed, self.deadline = True, None
        self.note_time(now_at)
        if self._is_in_session(now_at):
            self._begin(now, now_at)
        return rows

    def running(self) -> tuple[MinuteRow, ...]:
        """The rows of the running minute so far, by the end of it; none outside the session."""
        return self._rows(self._ends_at) if self.deadline is not None else ()

    def _begin(self, now: float, now_at: dt.datetime) -> None:
        second = now_at.timestamp()
        self._ends_at = (int(second) // STEP_SECONDS + 1) * STEP_SECONDS
        # Computed exactly as in `Risks`, so that the results of both leave in one event.
        self.deadline = now + STEP_SECONDS - (second - MARGIN_SECONDS) % STEP_SECONDS
        if self._is_counting:
            self._note_all()

    def _is_in_session(self, now_at: dt.datetime) -> bool:
        return self._is_open and now_at < self._close_at

    def _note_all(self) -> None:
        """Note the values that were published earlier and still apply."""
        for followed in self._followed.values():
            followed.minute.note(followed.shown, is_opening=self._is_opening)
        self._account.note(self._account_shown, is_opening=False)
        self._is_changed = True

    def _rows(self, second: int) -> tuple[MinuteRow, ...]:
        if not self._is_read:
            return ()
        gone = [each for each in (*self._ended, *self._broken.values()) if each.minute.low is not None]
        rows = [each.row(second, self._prices_e4) for each in (*gone, *self._followed.values())]
        account = self._account
        account_row = MinuteRow(
            holding=None,
            second=second,
            cents=account.cents,
            natural_cents=account.natural_cents,
            price_e4=None,
            low=account.low,
            high=account.high,
            quantity=None,
            is_held_back=any(row.is_held_back for row in rows),
        )
        return (*rows, account_row)

    def _continued(self, known: _Holding | None, condor: Condor) -> _Holding:
        if known is None or not known.is_of(condor):
            return _Holding(condor)
        known.take(condor)
        return known

    def _adopt(self) -> None:
        """Continue the current holdings with their recorded extremes. The others ended while condord did not run."""
        for identity, followed in (self._followed | self._broken).items():
            followed.adopt(self._recalled.get(identity, {}))
        self._recalled = {}


def _cents(amount_e4: int | None) -> int | None:
    return None if amount_e4 is None else round(amount_e4 / _E4_PER_CENT)


def _joined(extremes: Extremes | None, others: Extremes | None) -> Extremes | None:
    if extremes is None or others is None:
        return extremes or others
    if extremes.worst <= others.worst and extremes.best >= others.best:
        return extremes
    return Extremes(worst=min(extremes.worst, others.worst), best=max(extremes.best, others.best))
