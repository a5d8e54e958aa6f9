"""Decide which part of an account's past to read next; keep how far it is known.

Activities since the newest stored one are read oldest first, so that nothing is missing between what is stored and what
a restart finds. Everything before the oldest stored one is read newest first, as people look at recent trades first.

Alpaca dates a booking by the day that it is for, but books it up to days later. Its documentation leaves open by which
of the two days it sorts and selects. So a reading of the newest activities begins days before the newest stored one,
and a page of the past proves only that the days after its oldest row are known.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Literal

import msgspec

from condord.core.activity import Activity
from condord.core.market_hours import exchange_day, start_of_day
from condord.upstream.interfaces import ActivityPage

LATE_FOR = dt.timedelta(days=7)
"""How long after its date a booking may appear. Usually that is the next business day, after a long weekend at most."""
FILL_OVERLAP = dt.timedelta(hours=1)
_DAY = dt.timedelta(days=1)
_SECOND = dt.timedelta(seconds=1)


class PastRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A page to request: `later` than an instant, oldest first, or `earlier`, newest first; after the id `token`."""

    direction: Literal["later", "earlier"]
    at: dt.datetime
    token: str | None = None


class PastProgress:
    """How far one account's past is known: from `complete_from` on, all activities are.

    It starts with the stored activities and the `complete_from` that was stored with them, None if nothing was.
    """

    def __init__(self, stored: Sequence[Activity], complete_from: dt.datetime | None, now_at: dt.datetime) -> None:
        self.complete_from = now_at if complete_from is None else min(complete_from, now_at)
        self._later: PastRequest | None = None
        self._earlier: PastRequest | None = None
        self._asked: dt.datetime | None = None
        self._began_at = now_at
        self._is_stuck = False
        newest_at = max((activity.at for activity in stored), default=self.complete_from)
        self._known_until = min(newest_at, now_at)
        if complete_from is not None:
            self.ask(now_at, is_whole=True)

    def ask(self, now_at: dt.datetime, *, is_whole: bool) -> None:
        """Read the newest activities again.

        If `is_whole`, that includes late bookings of the last days, else it begins with the current day.
        """
        if is_whole:
            after_at = self._known_until - LATE_FOR
            self._is_stuck = False
        else:
            after_at = min(self._known_until - FILL_OVERLAP, start_of_day(exchange_day(now_at)) - _SECOND)
        self._asked = after_at if self._asked is None else min(self._asked, after_at)

    def request(self, now_at: dt.datetime, oldest_at: dt.datetime) -> PastRequest | None:
        """The page to read now; None if everything since `oldest_at` is known. Pass it and its page to `take`."""
        if self._later is None and self._asked is not None:
            self._later = PastRequest(direction="later", at=self._asked)
            self._asked, self._began_at = None, now_at
        if self._later is not None:
            return self._later
        if self.complete_from <= oldest_at or self._is_stuck:
            return None
        if self._earlier is None:
            self._earlier = PastRequest(direction="earlier", at=self.complete_from)
        return self._earlier

    def take(self, request: PastRequest, page: ActivityPage, oldest_at: dt.datetime) -> None:
        """Note the page that was read for `request`; an earlier one moves `complete_from` back."""
        is_stuck = page.is_full and page.last_id in (None, request.token)  # the same id again would never end
        following = msgspec.structs.replace(request, token=page.last_id) if page.is_full and not is_stuck else None
        if request.direction == "later":
            self._later = following
            if not page.is_full:
                self._known_until = self._began_at
        else:
            self._earlier, self._is_stuck = following, is_stuck
            self.complete_from = min(self.complete_from, self._reached(page, oldest_at))

    def restart(self) -> None:
        """Begin the current reading again with its first page: Alpaca has refused a request."""
        self._earlier = None
        if self._later is not None:
            self._later = msgspec.structs.replace(self._later, token=None)

    def _reached(self, page: ActivityPage, oldest_at: dt.datetime) -> dt.datetime:
        if not page.is_full:
            return oldest_at
        # Alpaca sorts by the date or by the booking, so rows that follow are not after the later of the two.
        days = [max(activity.day, exchange_day(activity.at)) for activity in page.activities]
        return start_of_day(min(days) + _DAY) if days else self.complete_from
