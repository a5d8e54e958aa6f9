"""Read the account's activities, and the splits announced for the stocks it holds options on.

No stream reports assignments, exercises, expirations and splits; activities list them the day after. They also list the
fills of stocks, which the order history leaves out, and fees. Rows of other kinds are skipped. Rows, prices and amounts
that cannot be read are counted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from condord.core import occ
from condord.core.activity import Activity, ActivityKind, Split
from condord.core.market_hours import exchange_day
from condord.errors import SymbolError
from condord.upstream import rest_parsing
from condord.upstream.interfaces import ActivityPage, Brokerage
from condord.upstream.state_files import Store

ACTIVITIES_PER_PAGE = 100
PAGES_PER_READING = 20
KEPT_FOR = dt.timedelta(days=10)
"""How long activities are kept: as long as the changes that they may explain (`live/account_changes`)."""
FILLS: tuple[ActivityKind, ...] = ("FILL",)
BOOKINGS: tuple[ActivityKind, ...] = ("OPASN", "OPEXC", "OPEXP", "OPCSH", "OPTRD", "SPLIT")
PAST: tuple[ActivityKind, ...] = (*FILLS, *BOOKINGS, "FEE")
"""The kinds of activities from which closed trades are found."""

_OVERLAP = dt.timedelta(hours=1)
_DAY = dt.timedelta(days=1)
_KIND = "activities"
_CANCELED = "canceled"
"""The status of a booking that did not take place."""
_PRICED = ("FILL", "OPTRD")
_SIGNS = {"buy": 1, "sell": -1, "sell_short": -1}
_SPLITS = ("forward_splits", "reverse_splits")


def query(kinds: Iterable[ActivityKind], after: dt.datetime, token: str | None) -> dict[str, str]:
    """The query of `GET /v2/account/activities` for a page of `kinds` after an instant and the activity id `token`."""
    return _query(kinds, token) | {"after": _written(after), "direction": "asc"}


def past_query(until_at: dt.datetime, token: str | None) -> dict[str, str]:
    """The query for a page of `PAST` before an instant, newest first; it begins after the activity id `token`."""
    return _query(PAST, token) | {"until": _written(until_at), "direction": "desc"}


def _query(kinds: Iterable[ActivityKind], token: str | None) -> dict[str, str]:
    return {
        "activity_types": ",".join(kinds),
        "page_size": str(ACTIVITIES_PER_PAGE),
        **({"page_token": token} if token else {}),
    }


def _written(at: dt.datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def splits_query(symbols: Iterable[str], start: dt.date, end: dt.date) -> dict[str, str]:
    """The query of `GET /v1/corporate-actions` for all splits of `symbols` from `start` to `end`, both included."""
    return {
        "symbols": ",".join(symbols),
        "types": "forward_split,reverse_split",
        "start": start.isoformat(),
        "end": end.isoformat(),
        "limit": "1000",
    }


def page(answer: object, refuse: rest_parsing.Refuse, kinds: Collection[ActivityKind]) -> ActivityPage:
    """Parse the answer of `GET /v2/account/activities`, which may have rows of other kinds than `kinds`.

    `refuse` is called for each row that cannot be read. A row without a readable price or amount is kept, and counted.

    Raises:
        TypeError: the answer is not a list.
    """
    if not isinstance(answer, list):
        raise TypeError(f"activities came as {type(answer).__name__}, not as a list")
    listed = [row for row in answer if isinstance(row, Mapping)]
    for _ in range(len(answer) - len(listed)):
        refuse("activityRow")
    symbols_ = [
        row
        for row in listed
        if rest_parsing.text(row.get("activity_type")) in kinds and rest_parsing.text(row.get("status")) != _CANCELED
    ]
    read = [_activity(row, refuse) for row in symbols_]
    for _ in range(read.count(None)):
        refuse("activityRow")
    return ActivityPage(
        activities=tuple(activity for activity in read if activity is not None),
        last_id=next((id_ for row in reversed(listed) if (id_ := rest_parsing.text(row.get("id"))) is not None), None),
        is_full=len(answer) >= ACTIVITIES_PER_PAGE,
    )


def _activity(row: Mapping[str, object], refuse: rest_parsing.Refuse) -> Activity | None:
    kind = msgspec.convert(row.get("activity_type"), ActivityKind)
    id_, symbol = rest_parsing.text(row.get("id")), "" if kind == "FEE" else rest_parsing.text(row.get("symbol"))
    at, day = _instant(row), rest_parsing.date_of(row.get("date"))
    quantity = rest_parsing.number(row.get("qty") or "0")
    sign = _SIGNS.get(rest_parsing.text(row.get("side")) or "") if kind == "FILL" else 1
    if id_ is None or symbol is None or at is None or quantity is None or sign is None:
        return None
    return Activity(
        id=id_,
        kind=kind,
        symbol=_compact(symbol),
        quantity=sign * abs(int(quantity)),
        at=at,
        day=day or exchange_day(at),
        price_e6=rest_parsing.e6(_money(row.get("price"), refuse)) if kind in _PRICED else None,
        amount_e4=None if kind == "FILL" else rest_parsing.e4(_money(row.get("net_amount"), refuse)),
        order_id=rest_parsing.text(row.get("order_id")) if kind == "FILL" else None,
        execution_id=_execution_id(kind, id_, row),
    )


def _execution_id(kind: ActivityKind, id_: str, row: Mapping[str, object]) -> str | None:
    """The id of an execution: the end of a fill's id, or what a fee refers to."""
    if kind == "FILL":
        return id_.partition("::")[2] or None
    return rest_parsing.text(row.get("execution_id")) if kind == "FEE" else None


def _money(value: object, refuse: rest_parsing.Refuse) -> Decimal | None:
    read = rest_parsing.number(value)
    if read is None and value not in (None, ""):
        refuse("activityRow")
    return read


def _instant(row: Mapping[str, object]) -> dt.datetime | None:
    for name in ("transaction_time", "created_at"):
        if (at := rest_parsing.instant(row.get(name))) is not None:
            return at
    day = rest_parsing.date_of(row.get("date"))  # bookings appear the day after their date
    return None if day is None else dt.datetime.combine(day + _DAY, dt.time(), dt.UTC)


def _compact(symbol: str) -> str:
    try:
        return occ.parse(symbol).compact
    except SymbolError:
        return symbol


def splits(answer: object, refuse: rest_parsing.Refuse) -> list[Split]:
    """Parse the answer of `GET /v1/corporate-actions`; return the splits, oldest first.

    Raises:
        TypeError: the answer contains no object of corporate actions.
    """
    actions = answer.get("corporate_actions") if isinstance(answer, Mapping) else None
    if not isinstance(actions, Mapping):
        raise TypeError(f"corporate actions came in {type(answer).__name__}, not in a map")
    listed = [row for kind in _SPLITS for row in (actions.get(kind) or ())]
    read = [_split(row) for row in listed]
    for _ in range(read.count(None)):
        refuse("corporateActionRow")
    return sorted((split for split in read if split is not None), key=lambda split: (split.day, split.symbol))


def _split(row: object) -> Split | None:
    if not isinstance(row, Mapping):
        return None
    symbol, day = rest_parsing.text(row.get("symbol")), rest_parsing.date_of(row.get("ex_date"))
    new, old = (rest_parsing.number(row.get(name)) for name in ("new_rate", "old_rate"))
    if symbol is None or day is None or new is None or old is None or new <= 0 or old <= 0:
        return None
    return Split(symbol=symbol, new_shares=str(new), old_shares=str(old), day=day)


class SavedActivities(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the saved file."""

    activities: tuple[Activity, ...]


class Activities:
    """The activities of the last `KEPT_FOR`; `known` has them oldest first."""

    def __init__(self) -> None:
        self.known: tuple[Activity, ...] = ()

    def take(self, read: Iterable[Activity], now_at: dt.datetime) -> bool:
        """Add the activities that were read, and drop old ones; True if some are new."""
        before, oldest_at = self.known, now_at - KEPT_FOR
        # Rows of one event may share an id: an assignment (OPASN) and the trade of its shares (OPTRD).
        known = {(row.id, row.kind, row.symbol): row for row in (*before, *read) if row.at > oldest_at}
        self.known = tuple(sorted(known.values(), key=lambda row: (row.at, row.id, row.symbol)))
        return bool(set(self.known) - set(before))

    def begin(self, kinds: Collection[ActivityKind], now_at: dt.datetime) -> dt.datetime:
        """The instant after which activities of `kinds` are to be read."""
        oldest_at = now_at - KEPT_FOR
        if "FILL" not in kinds:
            return oldest_at  # all of them each time: bookings appear late, under the date of the day before
        newest_at = max((row.at for row in self.known if row.kind == "FILL"), default=oldest_at)
        return max(oldest_at, min(newest_at, now_at) - _OVERLAP)


class ActivityReader:
    """Reads new activities and splits, and calls `learned` after each reading that found some."""

    def __init__(self, *, brokerage: Brokerage, now_at: Callable[[], dt.datetime], learned: Callable[[], None]) -> None:
        self.splits: tuple[Split, ...] = ()
        self._activities = Activities()
        self._brokerage = brokerage
        self._store: Store | None = None
        self._now_at = now_at
        self._learned = learned
        self._underlyings: frozenset[str] = frozenset()
        self._splits_read_for: tuple[dt.date, frozenset[str]] | None = None

    @property
    def activities(self) -> tuple[Activity, ...]:
        """The activities of the last `KEPT_FOR`, oldest first."""
        return self._activities.known

    async def recall(self, store: Store) -> None:
        """Load the state saved in `store`, and save new readings there from now on."""
        self._store = store
        saved = await store.read(_KIND, SavedActivities)
        if saved is not None and self._activities.take(saved.activities, self._now_at()):
            self._learned()

    def watch_splits(self, underlyings: Iterable[str]) -> bool:
        """Read the splits of `underlyings` from now on; True if one of them is new."""
        before, self._underlyings = self._underlyings, frozenset(underlyings)
        return not self._underlyings <= before

    async def read(self) -> None:
        """Read all new activities, and once a day the splits.

        After `PAGES_PER_READING` pages of a kind the rest is left to the next reading.

        Raises:
            RestFault: a request failed; the pages read before are kept.
        """
        for kinds in (FILLS, BOOKINGS):
            await self._read(kinds, self._activities.begin(kinds, self._now_at()))
        await self._read_splits()

    async def _read_splits(self) -> None:
        today, symbols_ = exchange_day(self._now_at()), self._underlyings
        day, underlyings = self._splits_read_for or (None, frozenset())
        if not symbols_ or (day == today and symbols_ <= underlyings):
            return
        read = tuple(await self._brokerage.splits(sorted(symbols_), today - KEPT_FOR, today + _DAY))
        self._splits_read_for = today, symbols_
        if read != self.splits:
            self.splits = read
            self._learned()

    async def _read(self, kinds: Sequence[ActivityKind], after: dt.datetime) -> None:
        token: str | None = None
        for _ in range(PAGES_PER_READING):
            read = await self._brokerage.activities(kinds, after, token)
            if self._activities.take(read.activities, self._now_at()):
                self._learned()
                if self._store is not None:
                    await self._store.write(_KIND, SavedActivities(activities=self.activities))
            if not read.is_full or read.last_id in (None, token):  # the same id again would never end
                return
            token = read.last_id
