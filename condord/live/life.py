"""Decides what the changes of an account mean: a broken condor, an assignment, contracts at or past their end.

No stream tells of assignment, exercise or expiry; only two readings side by side do. So:

- A condor is broken when some of its legs went and others stayed without one: those left carry the problem until they
  are gone or in a condor again. All four legs fewer by the same number is a close, and no problem.
- Short contracts that went while the stock of their underlying moved by their deliverable shares, up for puts and down
  for calls, are taken to be assigned; the notice stands until the day is over.
- Contracts that expire today, and those still listed after their day, are named as long as they are held.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from condord.core.condor import Condor, Grouping, Leg, strike_text
from condord.core.position import Position

NoticeCode = Literal["brokenCondor", "assignment", "expiresToday", "expired"]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something a trader should know about `symbols`; `since` is when it was first seen (UTC)."""

    code: NoticeCode
    text: str
    symbols: tuple[str, ...]
    since: dt.datetime


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One account: its option positions, how they are grouped, and its stocks in shares by symbol."""

    positions: tuple[Position, ...]
    grouping: Grouping
    stocks: Mapping[str, int]


class Life:
    """Follows an account from reading to reading."""

    def __init__(self) -> None:
        self.notices: tuple[Notice, ...] = ()
        self.problems: dict[str, str] = {}
        self._before: Reading | None = None
        self._assigned: tuple[dt.date, tuple[Notice, ...]] = (dt.date.min, ())

    def follow(self, reading: Reading, day: dt.date, now_at: dt.datetime) -> None:
        """Take the next reading, of `day` at the exchange; `notices` and `problems` (by symbol) then tell of it."""
        before, self._before = self._before, reading
        left = {leftover.position.symbol for leftover in reading.grouping.unmatched}
        self.problems = {symbol: text for symbol, text in self.problems.items() if symbol in left}
        assigned = self._assigned[1] if self._assigned[0] == day else ()
        if before is not None:
            self.problems.update(_broken(before, reading, left))
            assigned += tuple(_assignments(before, reading, now_at))
        self._assigned = day, assigned
        since = {(notice.code, notice.symbols): notice.since for notice in self.notices}
        found = [*_breaks(self.problems, now_at), *_endings(reading.positions, day, now_at)]
        known = (
            msgspec.structs.replace(notice, since=since.get((notice.code, notice.symbols), notice.since))
            for notice in found
        )
        self.notices = (*assigned, *known)


def _broken(before: Reading, now: Reading, left: set[str]) -> dict[str, str]:
    """The problem of each contract that a broken condor left behind."""
    held_before, held_now = _held(before.positions), _held(now.positions)
    problems: dict[str, str] = {}
    for condor in before.grouping.condors:
        gone = [leg for leg in condor.legs if _lost(leg, held_before, held_now)]
        stayed = [leg for leg in condor.legs if leg not in gone and leg.symbol in left]
        if gone and stayed and _is_smaller(condor, now.grouping):
            text = "broken condor: " + ", ".join(_leg_text(leg) for leg in gone) + " missing"
            problems.update({leg.symbol: text for leg in stayed})
    return problems


def _is_smaller(condor: Condor, grouping: Grouping) -> bool:
    return sum(other.quantity for other in grouping.condors if other.id == condor.id) < condor.quantity


def _lost(leg: Leg, before: Mapping[str, int], now: Mapping[str, int]) -> int:
    """How many contracts of a leg's side have gone."""
    sign = 1 if leg.quantity > 0 else -1
    return max(0, sign * before.get(leg.symbol, 0)) - max(0, sign * now.get(leg.symbol, 0))


def _leg_text(leg: Leg) -> str:
    side = "long" if leg.quantity > 0 else "short"
    return f"{side} {leg.right} {strike_text(leg.strike_mills)}"


def _breaks(problems: Mapping[str, str], now_at: dt.datetime) -> list[Notice]:
    by_text: dict[str, list[str]] = {}
    for symbol, text in sorted(problems.items()):
        by_text.setdefault(text, []).append(symbol)
    return [
        Notice(code="brokenCondor", text=text, symbols=tuple(symbols), since=now_at)
        for text, symbols in by_text.items()
    ]


def _assignments(before: Reading, now: Reading, now_at: dt.datetime) -> list[Notice]:
    """Short contracts that went as the shares they deliver came or went."""
    held_now = _held(now.positions)
    notices = []
    for position in before.positions:
        if position.contract is None or (position.quantity or 0) >= 0:
            continue
        gone = min(0, held_now.get(position.symbol, 0)) - (position.quantity or 0)
        underlying = position.underlying or position.contract.root
        moved = now.stocks.get(underlying, 0) - before.stocks.get(underlying, 0)
        shares = gone * position.multiplier * (1 if position.contract.right == "put" else -1)
        if gone > 0 and shares and moved * shares > 0 and abs(moved) >= abs(shares):
            verb = "came" if shares > 0 else "went"
            text = f"{gone} short {position.symbol} went as {abs(shares)} shares of {underlying} {verb}: an assignment"
            notices.append(Notice(code="assignment", text=text, symbols=(position.symbol,), since=now_at))
    return notices


def _endings(positions: Iterable[Position], day: dt.date, now_at: dt.datetime) -> list[Notice]:
    dated = [(position.symbol, position.contract.expiration) for position in positions if position.contract]
    today = tuple(sorted(symbol for symbol, expiration in dated if expiration == day))
    past = tuple(sorted(symbol for symbol, expiration in dated if expiration < day))
    notices = []
    if today:
        text = f"{len(today)} contracts expire today" if len(today) > 1 else f"{today[0]} expires today"
        notices.append(Notice(code="expiresToday", text=text, symbols=today, since=now_at))
    if past:
        text = f"expired and still listed, as Alpaca has not settled it yet: {', '.join(past)}"
        notices.append(Notice(code="expired", text=text, symbols=past, since=now_at))
    return notices


def _held(positions: Iterable[Position]) -> dict[str, int]:
    return {position.symbol: position.quantity or 0 for position in positions}
