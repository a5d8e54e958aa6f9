"""Record the minutes of a document that another process publishes, by the same rules as that process does."""

from __future__ import annotations

import datetime as dt

from condord.core.calendar import Calendar
from condord.core.condor import Condor
from condord.core.underlying import UnderlyingPrice
from condord.live import read_back
from condord.live.minutes import MinuteRow
from condord.live.published import Edition
from condord.live.recording import Minutes


class FollowedMinutes:
    """Follows `edition`, the document of a replica, from its next event on.

    The document does not have the exchange's calendar, so every weekday counts as a session that opens at 9:30.
    """

    def __init__(self, edition: Edition) -> None:
        self._edition = edition
        self._minutes = Minutes()
        self._condors: dict[str, Condor] = {}
        self._number: int | None = None  # the last event that was taken

    @property
    def deadline(self) -> float | None:
        """When the running minute ends, in loop seconds; None outside the session."""
        return self._minutes.deadline

    def take(self, now: float, now_at: dt.datetime, *, is_whole: bool) -> None:
        """Take the changes by the last event in the document; everything, if it brought a whole one.

        Raises:
            ValueError: a condor does not have four legs.
        """
        edition, minutes, number = self._edition, self._minutes, self._number
        minutes.note_time(now_at)
        if is_whole or number is None:
            self._hold(now_at)
            changed = list(self._condors)
        else:
            changed = edition.valuations.since(number)
        self._number = edition.number
        minutes.drop(changed)
        minutes.follow(edition.status, now, now_at)
        for identity in changed:
            self._value(identity)
        minutes.note_prices(self._prices())
        minutes.total(read_back.totals(edition.totals))

    def end(self, now: float, now_at: dt.datetime) -> tuple[MinuteRow, ...]:
        """Return the rows of the running minute if it has ended, and begin the next one."""
        if not self._minutes.is_due(now, now_at):
            return ()
        return self._minutes.end(now, now_at, self._prices())

    def running(self) -> tuple[MinuteRow, ...]:
        """Return the rows of the running minute so far."""
        return self._minutes.running()

    def _hold(self, now_at: dt.datetime) -> None:
        document = self._edition.document(now_at)
        condors = [read_back.condor(condor) for condor in document.condors]
        self._condors = {condor.id: condor for condor in condors}
        self._minutes.hold(condors, {condor.id for condor in document.broken}, Calendar())

    def _value(self, identity: str) -> None:
        edition, condor = self._edition, self._condors.get(identity)
        if condor is None:
            return
        quotes = {leg.symbol: read_back.quote(edition.quotes.json[leg.symbol]) for leg in condor.legs}
        self._minutes.value(condor, read_back.valuation(edition.valuations.json[identity]), quotes)

    def _prices(self) -> dict[str, UnderlyingPrice]:
        return {symbol: read_back.underlying(each) for symbol, each in self._edition.underlyings.json.items()}
