"""Hold what a snapshot shows of the account besides values. Two that are equal need no new snapshot."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import msgspec

from condord.core.calendar import Calendar
from condord.core.condor import Condor
from condord.core.cutoffs import CutoffSettings
from condord.core.grouping.account import Grouping
from condord.core.position import Position
from condord.live import render
from condord.live.lifecycle import AccountReading, Lifecycle
from condord.live.wire import NoticeJson
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import ExitsJson


class ShownHoldings(msgspec.Struct, frozen=True, kw_only=True):
    """What the contracts of the document are made from."""

    positions: frozenset[Position]
    grouping: Grouping
    settled: frozenset[str]
    calendar: Calendar
    cutoffs: CutoffSettings


class ShownAccount(msgspec.Struct, frozen=True, kw_only=True):
    """The account in the document; `held` is None until positions were read.

    `day` is the date in New York, None if the account has changed since. `problems` are by contract, and `exits`
    by condor id.
    """

    held: ShownHoldings | None = None
    day: dt.date | None = None
    problems: dict[str, str] = {}
    notices: list[NoticeJson] = []
    broken: list[BrokenJson] = []
    exits: dict[str, ExitsJson] = {}


class CondorExits:
    """The prices at which the rules in force would end each condor."""

    def __init__(self) -> None:
        self._by_rules: Callable[[Condor], ExitsJson] = lambda _condor: ExitsJson()
        self._grouping: Grouping | None = None
        self._by_id: dict[str, ExitsJson] = {}

    def set_rules(self, by_rules: Callable[[Condor], ExitsJson]) -> None:
        """Take the function that returns the prices of a condor."""
        self._by_rules, self._grouping = by_rules, None

    def of(self, grouping: Grouping) -> dict[str, ExitsJson]:
        """Return the prices of each condor, by id. They are kept, as those of 500 condors take 40 ms."""
        if grouping != self._grouping:
            self._grouping = grouping
            self._by_id = {condor.id: self._by_rules(condor) for condor in grouping.condors}
        return self._by_id


def shown_account(
    reading: AccountReading, lifecycle: Lifecycle, day: dt.date, cutoffs: CutoffSettings, exits: CondorExits
) -> ShownAccount:
    """Return the account as `reading` has it, with what `lifecycle` has found."""
    return ShownAccount(
        held=ShownHoldings(
            positions=frozenset(reading.positions),
            grouping=reading.grouping,
            settled=reading.settled,
            calendar=reading.calendar,
            cutoffs=cutoffs,
        ),
        day=day,
        problems=dict(lifecycle.problems),
        notices=[render.notice(notice) for notice in lifecycle.notices],
        broken=[render.broken(condor, day) for condor in lifecycle.memory.broken],
        exits=exits.of(reading.grouping),
    )
