"""Read what was recorded: the answer of the history route, the past at a start, and extremes."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Collection
from typing import NamedTuple

from condord.history import buckets
from condord.history.buckets import Bucket, Run
from condord.history.instants import instant_or_none, microseconds, microseconds_or_none
from condord.history.schema import QUARTER_MINUTES, RUN_MINUTES, RUN_QUARTERS
from condord.history.writing import DAY_MINUTES, RUN_COLUMNS, day_of, is_gone, last_minute
from condord.live.minutes import Extremes, HoldingPeriod, RecordedPast
from condord.live.pl_history import MAX_POINTS
from condord.live.wire_condor import HistoryJson
from condord.live.wire_history import HistoryQuery, RecordedJson
from condord.live.wire_values import dollars_or_none

STEPS = (1, 2, 3, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1440)
"""Lengths of buckets in minutes; beyond these, the last one doubled as often as needed."""
_MINUTE_US = 60_000_000

_SERIES = """
SELECT series, opened_us FROM series JOIN accounts USING (account)
WHERE hash = ? AND condor IS ? ORDER BY series DESC LIMIT 1
"""
_RUNS = f"""
SELECT {RUN_COLUMNS} FROM runs
WHERE series = ? AND start_minute BETWEEN ? AND ? ORDER BY start_minute, run
"""  # noqa: S608 - a constant
_COUNT = f"""
SELECT
    (SELECT count(*) FROM points WHERE point BETWEEN :run * {RUN_MINUTES} AND :run * {RUN_MINUTES} + {RUN_MINUTES - 1})
    + CASE :state WHEN 'recent' THEN (
        SELECT count(*) FROM recent WHERE run = :run AND minute BETWEEN :start AND :start + {RUN_MINUTES - 1}
    ) ELSE 0 END
    + CASE :state WHEN 'reduced' THEN {QUARTER_MINUTES} * (
        SELECT count(*) FROM quarters
        WHERE quarter BETWEEN :run * {RUN_QUARTERS} AND :run * {RUN_QUARTERS} + {RUN_QUARTERS - 1}
    ) ELSE 0 END
"""  # noqa: S608 - a constant
_HAS_MINUTES = f"""
SELECT EXISTS (
    SELECT * FROM points
    WHERE point BETWEEN :run * {RUN_MINUTES} AND :run * {RUN_MINUTES} + {RUN_MINUTES - 1}
    AND (:start + point - :run * {RUN_MINUTES}) % {QUARTER_MINUTES} != 0
) OR EXISTS (
    SELECT * FROM recent
    WHERE :state = 'recent' AND run = :run AND minute BETWEEN :start AND :start + {RUN_MINUTES - 1}
    AND minute % {QUARTER_MINUTES} != 0
)
"""  # noqa: S608 - a constant
_FEW_MINUTES = 3  # this few may all end a quarter of an hour by chance
_LATEST = """
SELECT series, condor, opened_us, worst_cents, best_cents FROM series
WHERE series IN (SELECT max(series) FROM series JOIN accounts USING (account) WHERE hash = ? GROUP BY condor)
AND condor IS NOT NULL
"""
_LAST_RUNS = f"""
SELECT {RUN_COLUMNS} FROM runs
WHERE series = ?1 AND start_minute > (SELECT max(start_minute) FROM runs WHERE series = ?1) - {DAY_MINUTES}
ORDER BY run
"""  # noqa: S608 - constants
_HOLDINGS = """
SELECT opened_us, worst_cents, best_cents, series FROM series JOIN accounts USING (account)
WHERE hash = ? AND condor = ? ORDER BY series
"""


class _Row(NamedTuple):
    """What `_HOLDINGS` has of one holding."""

    opened_us: int | None
    worst: int | None
    best: int | None
    series: int


def recorded(
    connection: sqlite3.Connection, account: str, query: HistoryQuery, now_at: dt.datetime
) -> RecordedJson | None:
    """Answer `query`; None for a condor without rows. The answer for an account without rows is empty."""
    found = connection.execute(_SERIES, (account, query.condor_id)).fetchone()
    if found is None:
        return None if query.condor_id is not None else _answer(query, None, 1, [], 0)
    series, opened_us = found
    first = 0 if query.from_at is None else -(-microseconds(query.from_at) // _MINUTE_US)
    ended = microseconds(now_at) // _MINUTE_US
    last = ended if query.until_at is None else min(ended, -(-microseconds(query.until_at) // _MINUTE_US) - 1)
    step, read = _read(connection, series, first, last, query.points)
    return _answer(query, instant_or_none(opened_us), step, read, ended)


def past(connection: sqlite3.Connection, account: str, today: dt.date) -> RecordedPast:
    """Return the newest holding of each condor; lines are from the latest day that has any, `today` at most."""
    quantities: dict[str, int] = {}
    credits_e4: dict[str, int | None] = {}
    extremes: dict[HoldingPeriod, Extremes] = {}
    runs: dict[str, list[Run]] = {}
    for series, condor, opened_us, worst, best in connection.execute(_LATEST, (account,)).fetchall():
        # The opening of a later holding of the same strikes may be unknown, too.
        is_past = opened_us is None and is_gone(connection, series)
        if worst is not None and best is not None and not is_past:
            holding = HoldingPeriod(condor_id=condor, opened_at=instant_or_none(opened_us))
            extremes[holding] = Extremes(worst=worst, best=best)
        found = [Run(*row) for row in connection.execute(_LAST_RUNS, (series,))]
        if found and (quantity := found[-1].quantity) is not None:
            quantities[condor], credits_e4[condor] = quantity, found[-1].credit_e4
            runs[condor] = _of_same_terms(found)
    days = {condor: day_of(some[-1].start) for condor, some in runs.items()}
    latest = max((day for day in days.values() if day <= today), default=None)
    lines = {condor: _line(connection, some) for condor, some in runs.items() if days[condor] == latest}
    lines = {condor: line for condor, line in lines.items() if line.seconds}
    return RecordedPast(lines=lines, quantities=quantities, credits_e4=credits_e4, extremes=extremes)


def _of_same_terms(runs: list[Run]) -> list[Run]:
    """Return the last runs of one day, quantity and credit."""
    terms = [(day_of(run.start), run.quantity, run.credit_e4) for run in runs]
    first = next((place for place in reversed(range(len(runs))) if terms[place] != terms[-1]), -1)
    return runs[first + 1 :]


def extremes(
    connection: sqlite3.Connection, account: str, holdings: Collection[HoldingPeriod]
) -> dict[HoldingPeriod, Extremes]:
    """Return the extremes of those `holdings` that were recorded.

    A holding with an unknown opening is found if its condor has had no other one.
    """
    found = {}
    for holding in holdings:
        rows = [_Row(*row) for row in connection.execute(_HOLDINGS, (account, holding.condor_id))]
        row = _row_of(connection, rows, microseconds_or_none(holding.opened_at))
        if row is not None and row.worst is not None and row.best is not None:
            found[holding] = Extremes(worst=row.worst, best=row.best)
    return found


def _row_of(connection: sqlite3.Connection, rows: list[_Row], opened_us: int | None) -> _Row | None:
    if opened_us is None:
        return rows[0] if len(rows) == 1 else None
    for row in rows:
        if row.opened_us == opened_us:
            return row
    # It was recorded while its opening was not known.
    last = rows[-1] if rows else None
    if last is None or last.opened_us is not None or _is_before(connection, last.series, opened_us):
        return None
    return last


def _is_before(connection: sqlite3.Connection, series: int, opened_us: int) -> bool:
    """Whether all minutes of a holding are older than an opening."""
    last = last_minute(connection, series)
    return last is not None and last * _MINUTE_US < opened_us


def _line(connection: sqlite3.Connection, runs: list[Run]) -> HistoryJson:
    read = [bucket for run in runs for bucket in buckets.of_run(connection, run, 1, run.start, run.start + RUN_MINUTES)]
    known = [(each.number * 60, each.cents) for each in buckets.joined(read, 1) if each.cents is not None]
    points = known[-MAX_POINTS:]
    return HistoryJson(seconds=[second for second, _ in points], cents=[cents for _, cents in points])


def _read(connection: sqlite3.Connection, series: int, first: int, last: int, points: int) -> tuple[int, list[Bucket]]:
    """Return the step in minutes, and at most `points` buckets."""
    runs = [Run(*row) for row in connection.execute(_RUNS, (series, first - DAY_MINUTES, last))]
    minutes, finest = 0, 1
    for run in runs:
        count, is_coarse = _count(connection, run)
        minutes, finest = minutes + count, QUARTER_MINUTES if is_coarse else finest
    # A bucket has at most `step` minutes, so a shorter step cannot be enough.
    least = max(minutes / points, finest)
    step = next((step for step in STEPS if step >= least), STEPS[-1])
    read = [bucket for run in runs for bucket in buckets.of_run(connection, run, step, first, last)]
    # Runs overlap in a bucket where the quantity changed, and in many after the clock was set back.
    base, found = step, buckets.joined(read, 1)
    # The minutes may be spread over more buckets than their number suggests, as nights and weekends have none.
    longer = iter([each for each in STEPS if each > base and each % base == 0])
    while len(found) > points:
        step = next(longer, 2 * step)
        found = buckets.joined(read, step // base)
    return step, found


def _count(connection: sqlite3.Connection, run: Run) -> tuple[int, bool]:
    """Return how many minutes a run has at most, and whether it has only quarters of an hour.

    The past of the demo has a minute for each quarter of an hour. Shorter buckets would show gaps between these.
    """
    given = {"run": run.run, "start": run.start, "state": run.state}
    (count,) = connection.execute(_COUNT, given).fetchone()
    if run.state == "reduced":
        return count, True
    if not _FEW_MINUTES < count <= RUN_QUARTERS:
        return count, False
    return count, not connection.execute(_HAS_MINUTES, given).fetchone()[0]


def _answer(
    query: HistoryQuery, opened_at: dt.datetime | None, step: int, read: list[Bucket], ended: int
) -> RecordedJson:
    """The answer with the buckets `read`; the current one goes to `ended`, the last minute that has ended."""
    return RecordedJson(
        id=query.condor_id,
        opened_at=opened_at,
        resolution_seconds=step * 60,
        seconds=[min(bucket.number * step, ended) * 60 for bucket in read],
        cents=[bucket.cents for bucket in read],
        natural_cents=[bucket.natural for bucket in read],
        price=[dollars_or_none(bucket.price_e4) for bucket in read],
        low=[bucket.low for bucket in read],
        high=[bucket.high for bucket in read],
        quantity=[bucket.quantity for bucket in read],
    )
