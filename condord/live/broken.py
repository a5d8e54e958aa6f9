"""Find broken condors, the legs they lost, and the legs left.

If a reading has a smaller quantity of a condor than the reading before, the condor lost legs or was closed. Legs that
disappeared without a filled order, split or booking are missing. The condor is then broken as long as some of its other
contracts are in no condor. Legs closed by a filled order leave a vertical and not a broken condor, unless a short that
is left is uncovered. Contracts that have settled do not break a condor.

If two condors share a contract, each missing contract counts for only one of them.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from condord.core.condor import Condor, condor_id, strike_text
from condord.core.grouping.account import Grouping
from condord.core.occ import Right
from condord.core.position import Direction, Kind
from condord.live.account_changes import KEPT_FOR, Instant, UnexplainedChange


class LegSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One leg of a condor; `sign` is 1 for long and -1 for short."""

    symbol: str
    right: Right
    strike_mills: int
    sign: int

    @property
    def name(self) -> str:
        """`short call 630`."""
        return f"{'long' if self.sign > 0 else 'short'} {self.right} {strike_text(self.strike_mills)}"


class CondorSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A condor without its prices and risk; `quantity` is how many are held."""

    id: str
    kind: Kind
    direction: Direction
    underlying: str
    root: str
    expiration: dt.date
    opened_at: Instant | None
    quantity: int
    legs: tuple[LegSummary, ...]


class BrokenCondor(msgspec.Struct, frozen=True, kw_only=True):
    """A broken condor. The quantity of `condor` is how many lost legs.

    `held`, `missing` and `closed` are unsigned contracts by symbol: those left in no condor, those that disappeared
    for no known reason, and those closed by fills or exercise. `uncovered` are the symbols of shorts left that nothing
    covers. `still_whole` is how many condors of this id are complete. `since` is when its first loss was seen.
    """

    condor: CondorSummary
    held: dict[str, int]
    missing: dict[str, int]
    closed: dict[str, int]
    uncovered: tuple[str, ...]
    still_whole: int
    since: Instant


def summary(condor: Condor) -> CondorSummary:
    """The summary of a condor."""
    return CondorSummary(
        id=condor.id,
        kind=condor.kind,
        direction=condor.direction,
        underlying=condor.underlying,
        root=condor.root,
        expiration=condor.expiration,
        opened_at=condor.opened_at,
        quantity=condor.quantity,
        legs=tuple(
            LegSummary(
                symbol=leg.symbol,
                right=leg.right,
                strike_mills=leg.strike_mills,
                sign=1 if leg.quantity > 0 else -1,
            )
            for leg in condor.legs
        ),
    )


def candidates(
    known: Iterable[BrokenCondor], before: Iterable[CondorSummary], grouping: Grouping, now_at: dt.datetime
) -> list[BrokenCondor]:
    """The condors that may be broken: those `known` to be, and those that have become fewer than `before`."""
    quantities = {condor.id: condor.quantity for condor in grouping.condors}
    found = {}
    for broken in known:
        whole_now = quantities.get(broken.condor.id, 0)
        back = max(0, whole_now - broken.still_whole)
        found[broken.condor.id] = _resized(broken, broken.condor.quantity - back, whole_now)
    for condor in before:
        whole_now = quantities.get(condor.id, 0)
        if whole_now < condor.quantity:
            known_broken = found.get(condor.id) or _new(condor, whole_now, now_at)
            lost = condor.quantity - whole_now
            found[condor.id] = _resized(known_broken, known_broken.condor.quantity + lost, whole_now)
    return [broken for broken in found.values() if broken.condor.quantity > 0]


def _new(condor: CondorSummary, still_whole: int, now_at: dt.datetime) -> BrokenCondor:
    none = msgspec.structs.replace(condor, quantity=0)
    return BrokenCondor(
        condor=none, held={}, missing={}, closed={}, uncovered=(), still_whole=still_whole, since=now_at
    )


def _resized(broken: BrokenCondor, quantity: int, still_whole: int) -> BrokenCondor:
    return msgspec.structs.replace(
        broken, condor=msgspec.structs.replace(broken.condor, quantity=quantity), still_whole=still_whole
    )


class _GoneContracts:
    """Contracts of one symbol that disappeared in one change; each counts for only one condor."""

    def __init__(self, entry: UnexplainedChange) -> None:
        self._change = entry.change
        self.at = entry.change.at
        self.lost = entry.lost
        self.closed = min(entry.change.gone, entry.change.filled) + entry.exercised

    def is_of(self, leg: LegSummary, since: dt.datetime) -> bool:
        change = self._change
        return change.at >= since and change.held * leg.sign > 0


def judged(
    broken: Iterable[BrokenCondor], grouping: Grouping, rest: Iterable[UnexplainedChange], now_at: dt.datetime
) -> tuple[BrokenCondor, ...]:
    """Those of the candidates `broken` that are broken, judged by contracts in no condor and unexplained changes."""
    left = Counter({leftover.position.symbol: leftover.position.quantity or 0 for leftover in grouping.unmatched})
    uncovered = {leftover.position.symbol for leftover in grouping.unmatched if leftover.uncovered_short}
    gone: dict[str, list[_GoneContracts]] = {}
    for entry in rest:
        if entry.change.gone:
            gone.setdefault(entry.change.symbol, []).append(_GoneContracts(entry))
    found = []
    for candidate in sorted(broken, key=lambda broken: (broken.since, broken.condor.id)):
        seen = _seen(candidate, left, uncovered, gone, now_at)
        if seen.held and (seen.missing or (seen.uncovered and seen.closed)):
            for leg in candidate.condor.legs:
                left[leg.symbol] -= leg.sign * seen.held.get(leg.symbol, 0)
                _use(
                    [lost for lost in gone.get(leg.symbol, ()) if lost.is_of(leg, candidate.since)],
                    seen.missing.get(leg.symbol, 0),
                )
            found.append(seen)
    return tuple(found)


def _seen(
    broken: BrokenCondor,
    left: Mapping[str, int],
    uncovered: Collection[str],
    gone: Mapping[str, Sequence[_GoneContracts]],
    now_at: dt.datetime,
) -> BrokenCondor:
    """`broken` with the legs left now, and the events of the others.

    The changes that caused older breaks are no longer kept, so only the changes of `now_at` are added.
    """
    is_recent = broken.since > now_at - KEPT_FOR
    held, missing, closed = {}, {}, {}
    for leg in broken.condor.legs:
        symbol, own = leg.symbol, [change for change in gone.get(leg.symbol, ()) if change.is_of(leg, broken.since)]
        held[symbol] = _within(broken.condor.quantity, leg.sign * left[symbol])
        absent = broken.condor.quantity - held[symbol]
        if not is_recent:
            own = [change for change in own if change.at == now_at]
        lost = sum(change.lost for change in own) + (0 if is_recent else broken.missing.get(symbol, 0))
        missing[symbol] = _within(absent, lost)
        known = sum(change.closed for change in own) + (0 if is_recent else broken.closed.get(symbol, 0))
        closed[symbol] = _within(absent - missing[symbol], known)
    return msgspec.structs.replace(
        broken,
        held=_nonzero(held),
        missing=_nonzero(missing),
        closed=_nonzero(closed),
        uncovered=tuple(
            leg.symbol for leg in broken.condor.legs if leg.sign < 0 and held[leg.symbol] and leg.symbol in uncovered
        ),
    )


def _use(gone: Iterable[_GoneContracts], count: int) -> None:
    for change in gone:
        used = min(change.lost, count)
        change.lost -= used
        count -= used


def _within(most: int, count: int) -> int:
    return max(0, min(most, count))


def _nonzero(counts: Mapping[str, int]) -> dict[str, int]:
    return {symbol: count for symbol, count in counts.items() if count}


def sentence(broken: BrokenCondor, year: int, alike: Collection[str] = ()) -> str:
    """A sentence about what happened to the condor; `year` and `alike` are as in `name`."""
    condor = broken.condor
    named = name(condor, year, alike)
    lost, closed = _named(broken.missing, condor), _named(broken.closed, condor)
    if lost:
        is_one = len(broken.closed) == 1 and sum(broken.closed.values()) == 1
        then = f", and {closed} {'was' if is_one else 'were'} closed" if closed else ""
        return f"{named} lost {lost}{then}"
    without = [leg.name for leg in condor.legs if leg.symbol in broken.closed]
    uncovered = [leg.name for leg in condor.legs if leg.symbol in broken.uncovered]
    return f"{named} is left uncovered: {' and '.join(uncovered)} without the {' and '.join(without)}"


def _named(counts: Mapping[str, int], condor: CondorSummary) -> str:
    """The legs with their `counts` in words, joined; empty if there is none."""
    found = [_contracts(counts[leg.symbol], condor.quantity, leg.name) for leg in condor.legs if leg.symbol in counts]
    return " and ".join(found)


def _contracts(count: int, quantity: int, leg: str) -> str:
    """`its long call 640`, `its 2 long calls 640`, or `1 of its 2 long calls 640`."""
    if quantity == 1:
        return f"its {leg}"
    part = "" if count == quantity else f"{count} of "
    side_and_right, _, strike = leg.rpartition(" ")
    return f"{part}its {quantity} {side_and_right}s {strike}"


def name(condor: CondorSummary, year: int, alike: Collection[str] = ()) -> str:
    """The name of a condor for people: `SPY 560/570/630/640 Dec 18`, with the year if it is not `year`.

    If its id is one of `alike`, the name has the number of the id: `SPY 560/570/630/640 Dec 18 (2)`.
    """
    strikes = "/".join(dict.fromkeys(strike_text(leg.strike_mills) for leg in condor.legs))
    day = f"{condor.expiration:%b} {condor.expiration.day}"
    of_year = "" if condor.expiration.year == year else f", {condor.expiration.year}"
    number = condor.id.removeprefix(_id_without_number(condor)).removeprefix("-")
    return f"{condor.root} {strikes} {day}{of_year}" + (f" ({number})" if number and condor.id in alike else "")


def same_named(condors: Iterable[CondorSummary]) -> frozenset[str]:
    """The ids of those `condors` that differ from another one only by the number of the id."""
    ids: dict[str, set[str]] = {}
    for condor in condors:
        ids.setdefault(_id_without_number(condor), set()).add(condor.id)
    return frozenset(each for same in ids.values() if len(same) > 1 for each in same)


def _id_without_number(condor: CondorSummary) -> str:
    return condor_id(condor.root, condor.expiration, (leg.strike_mills for leg in condor.legs))
