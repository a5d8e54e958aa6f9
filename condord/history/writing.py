"""Write minutes, and move and reduce old ones in small steps.

A holding is a row of `series`, and the account is one without a condor. An unknown `opened_at` and a later known one
are the same holding, unless the holding was opened after the last minute recorded of the unknown one: that one was
closed before. Of two unknown ones the second is a new holding if the account was recorded on a day between them. A
later `opened_at` is a new holding. An earlier one is not, as an order history may be read in parts.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Sequence

import msgspec

from condord.core.market_hours import exchange_day, start_of_day
from condord.history import buckets
from condord.history.instants import microseconds_or_none
from condord.history.schema import QUARTER_MINUTES, RUN_MINUTES, RUN_QUARTERS
from condord.live.minutes import MinuteRow

STEPS = 25
"""How many runs are moved or reduced after a write at most, each in a transaction of its own."""
DAY_MINUTES = 1440
_MINUTE_US = 60_000_000
_NEVER = 1 << 40
HALF_CENT = 50
"""Half a cent a share, in cents for a contract of 100 shares."""

_LAST_SERIES = """
SELECT series, opened_us, worst_cents, best_cents FROM series
WHERE account = ? AND condor IS ? ORDER BY series DESC LIMIT 1
"""
RUN_COLUMNS = "run, start_minute, quantity, credit_e4, cents, unit_cents, price_e4, state"
_LAST_STARTS = """
SELECT
    (SELECT max(start_minute) FROM runs WHERE series = ?1),
    (SELECT max(start_minute) FROM runs WHERE series = (
        SELECT series FROM series WHERE account = (SELECT account FROM series WHERE series = ?1) AND condor IS NULL
    ))
"""
_LAST_RUN = f"SELECT {RUN_COLUMNS} FROM runs WHERE series = ? ORDER BY run DESC LIMIT 1"  # noqa: S608 - a constant
_RUN = f"SELECT {RUN_COLUMNS} FROM runs WHERE run = ?"  # noqa: S608 - a constant
_MOVE = f"""
INSERT OR REPLACE INTO points
SELECT run * {RUN_MINUTES} + minute - start_minute, cents_off, natural_off, low_off, high_off, price_off
FROM recent JOIN runs USING (run) WHERE run = ? ORDER BY minute
"""  # noqa: S608 - a constant
_ADD_QUARTER = "INSERT OR REPLACE INTO quarters VALUES (?, ?, ?, ?, ?, ?)"


class _Line:
    """The newest holding of a condor, or the account, as the database has it."""

    def __init__(self, series: int, opened_us: int | None, worst: int | None, best: int | None) -> None:
        self.series = series
        self.opened_us = opened_us
        self.worst = worst
        self.best = best
        self.run: buckets.Run | None = None


def id_of_account(connection: sqlite3.Connection, account: str, source: str) -> int:
    """Return the number of the account whose hash is `account`; it is added if it is new."""
    sql = "SELECT account FROM accounts WHERE hash = ?"
    found = connection.execute(sql, (account,)).fetchone()
    if found is None:
        connection.execute(
            "INSERT INTO accounts SELECT coalesce(max(account), 0) + 1, ?, ?, NULL FROM accounts", (account, source)
        )
        found = connection.execute(sql, (account,)).fetchone()
    number: int = found[0]
    return number


class Writer:
    """Writes the minutes of one account within the caller's transactions.

    It remembers the newest holdings and runs, so it must be built again after a transaction that failed.
    """

    def __init__(self, connection: sqlite3.Connection, account_id: int) -> None:
        self._connection = connection
        self._account_id = account_id
        self._lines: dict[str | None, _Line] = {}

    def write(self, rows: Sequence[MinuteRow]) -> None:
        """Write rows; a row replaces an earlier one of the same line and minute.

        The first row of a line is joined with the row that an earlier process wrote for that minute.
        """
        for new_row in rows:
            minute = new_row.second // 60
            is_first = _condor(new_row) not in self._lines
            line = self._line(new_row)
            row = new_row
            if is_first and line.run is not None:
                row = _joined(new_row, buckets.of_run(self._connection, line.run, 1, minute, minute))
            run = self._run(line, row, minute)
            values = run.packed(row.cents, _others(row), row.price_e4)
            self._connection.execute(
                "INSERT OR REPLACE INTO recent VALUES (?, ?, ?, ?, ?, ?, ?)", (minute, run.run, *values)
            )
            if not row.is_held_back:
                self._widen(line, row)

    def _line(self, row: MinuteRow) -> _Line:
        condor = _condor(row)
        opened_us = None if row.holding is None else microseconds_or_none(row.holding.opened_at)
        line = self._lines.get(condor) or self._stored_line(condor)
        if line is None or self._is_new(line, opened_us):
            line = self._begin_line(condor, opened_us)
        elif line.opened_us is None and opened_us is not None:
            self._connection.execute("UPDATE series SET opened_us = ? WHERE series = ?", (opened_us, line.series))
            line.opened_us = opened_us
        self._lines[condor] = line
        return line

    def _is_new(self, line: _Line, opened_us: int | None) -> bool:
        if opened_us is None:
            return False
        if line.opened_us is None:
            last = last_minute(self._connection, line.series)
            return last is not None and last * _MINUTE_US < opened_us
        return opened_us > line.opened_us

    def _stored_line(self, condor: str | None) -> _Line | None:
        found = self._connection.execute(_LAST_SERIES, (self._account_id, condor)).fetchone()
        if found is None or (found[1] is None and is_gone(self._connection, found[0])):
            return None
        line = _Line(*found)
        last = self._connection.execute(_LAST_RUN, (line.series,)).fetchone()
        line.run = None if last is None else buckets.Run(*last)
        return line

    def _begin_line(self, condor: str | None, opened_us: int | None) -> _Line:
        series = _next(self._connection, "series", "series")
        self._connection.execute(
            "INSERT INTO series VALUES (?, ?, ?, ?, NULL, NULL)", (series, self._account_id, condor, opened_us)
        )
        return _Line(series, opened_us, None, None)

    def _run(self, line: _Line, row: MinuteRow, minute: int) -> buckets.Run:
        """The run of a row; another one begins with each exchange day, quantity and credit."""
        run = line.run
        goes_on = (
            run is not None
            and (run.quantity, run.credit_e4) == (row.quantity, row.credit_e4)
            and run.state != "reduced"
            and day_of(run.start) == day_of(minute)
            and run.start <= minute
        )
        if run is None or not goes_on or not _fits(run, row):
            is_known = goes_on and run is not None and run.cents is not None
            run = self._begin_run(line, row, minute, 1 if is_known else _unit(row))
        elif run.state == "moved":  # the clock was ahead for a while
            run = run._replace(state="recent")
            self._connection.execute("UPDATE runs SET state = 'recent' WHERE run = ?", (run.run,))
        line.run = run
        return run

    def _begin_run(self, line: _Line, row: MinuteRow, minute: int, unit: int) -> buckets.Run:
        run = buckets.Run(
            run=_next(self._connection, "run", "runs"),
            start=minute,
            quantity=row.quantity,
            credit_e4=row.credit_e4,
            cents=_first(row),
            unit=unit,
            price_e4=row.price_e4 or 0,
            state="recent",
        )
        self._connection.execute(
            f"INSERT INTO runs (series, {RUN_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
            (line.series, *run),
        )
        return run

    def _widen(self, line: _Line, row: MinuteRow) -> None:
        worst = row.low if line.worst is None or (row.low is not None and row.low < line.worst) else line.worst
        best = row.high if line.best is None or (row.high is not None and row.high > line.best) else line.best
        if (worst, best) != (line.worst, line.best):
            line.worst, line.best = worst, best
            self._connection.execute(
                "UPDATE series SET worst_cents = ?, best_cents = ? WHERE series = ?", (worst, best, line.series)
            )


def _condor(row: MinuteRow) -> str | None:
    return None if row.holding is None else row.holding.condor_id


def _joined(row: MinuteRow, before: Sequence[buckets.Bucket]) -> MinuteRow:
    """The row of a minute whose earlier part, with the same quantity, is in the database."""
    if not before or before[0].quantity != row.quantity:
        return row
    return msgspec.structs.replace(
        row,
        cents=before[0].cents if row.cents is None else row.cents,
        natural_cents=before[0].natural if row.natural_cents is None else row.natural_cents,
        low=min((low for low in (before[0].low, row.low) if low is not None), default=None),
        high=max((high for high in (before[0].high, row.high) if high is not None), default=None),
    )


def tidy(connection: sqlite3.Connection, second: int, keep_days: int) -> bool:
    """Move the minutes of earlier days to `points`, and reduce those older than `keep_days` (0: none).

    At most `STEPS` runs, of 1440 minutes each, are handled; the next call continues. Returns whether there were any.
    """
    for step in range(STEPS):
        if not _move_one(connection, second) and not _reduce_one(connection, second, keep_days):
            return step > 0
    return True


def last_minute(connection: sqlite3.Connection, series: int) -> int | None:
    """Return the last minute (since 1970) that is recorded of a holding, None if there is none."""
    found = connection.execute(_LAST_RUN, (series,)).fetchone()
    if found is None:
        return None
    run = buckets.Run(*found)
    read = buckets.of_run(connection, run, QUARTER_MINUTES if run.state == "reduced" else 1, 0, _NEVER)
    if not read:
        return run.start
    return read[-1].number * (QUARTER_MINUTES if run.state == "reduced" else 1)


def is_gone(connection: sqlite3.Connection, series: int) -> bool:
    """Whether the account of a holding was recorded on a later day than the holding."""
    held, recorded = connection.execute(_LAST_STARTS, (series,)).fetchone()
    return held is not None and recorded is not None and day_of(held) < day_of(recorded)


def _move_one(connection: sqlite3.Connection, second: int) -> bool:
    midnight = int(start_of_day(exchange_day(dt.datetime.fromtimestamp(second, dt.UTC))).timestamp()) // 60
    found = connection.execute("SELECT min(minute) FROM recent").fetchone()[0]
    if found is None or found > midnight:
        return False
    # In ascending order of runs, so that the tables grow at their ends.
    (number,) = connection.execute("SELECT min(run) FROM recent WHERE minute <= ?", (midnight,)).fetchone()
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_MOVE, (number,))
        connection.execute("DELETE FROM recent WHERE run = ?", (number,))
        connection.execute("UPDATE runs SET state = 'moved' WHERE run = ?", (number,))
        # As a run that has not moved, so that its minutes are read.
        found = connection.execute(_RUN, (number,)).fetchone()
        run = buckets.Run(*found)._replace(state="recent")
        for row in buckets.of_run(connection, run, QUARTER_MINUTES, run.start, _NEVER):
            values = run.packed(row.cents, (row.natural, row.low, row.high), row.price_e4)
            key = run.run * RUN_QUARTERS + row.number - run.first_quarter
            connection.execute(_ADD_QUARTER, (key, *values))
    return True


def _reduce_one(connection: sqlite3.Connection, second: int, keep_days: int) -> bool:
    if keep_days == 0:
        return False
    oldest = second // 60 - (keep_days + 1) * DAY_MINUTES  # of the first minute of a run, which lasts a day at most
    found = connection.execute(
        "SELECT run FROM runs WHERE state = 'moved' AND start_minute < ? LIMIT 1", (oldest,)
    ).fetchone()
    if found is None:
        return False
    first = found[0] * RUN_MINUTES
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM points WHERE point BETWEEN ? AND ?", (first, first + RUN_MINUTES - 1))
        connection.execute("UPDATE runs SET state = 'reduced' WHERE run = ?", found)
    return True


def _unit(row: MinuteRow) -> int:
    """The unit of a run that begins with `row`: half a cent a contract, if it is one."""
    unit = HALF_CENT * abs(row.quantity or 1)
    base = _first(row) or 0
    return unit if all(other is None or (other - base) % unit == 0 for other in _others(row)) else 1


def _first(row: MinuteRow) -> int | None:
    return next((value for value in (row.cents, *_others(row)) if value is not None), None)


def _fits(run: buckets.Run, row: MinuteRow) -> bool:
    """Whether the profits or losses of a row can be written in the unit of a run."""
    values = [value for value in (row.cents, *_others(row)) if value is not None]
    return not values or (run.cents is not None and all((value - run.cents) % run.unit == 0 for value in values))


def _others(row: MinuteRow) -> tuple[int | None, int | None, int | None]:
    return row.natural_cents, row.low, row.high


def _next(connection: sqlite3.Connection, column: str, table: str) -> int:
    number: int = connection.execute(f"SELECT coalesce(max({column}), 0) + 1 FROM {table}").fetchone()[0]  # noqa: S608
    return number


def day_of(minute: int) -> dt.date:
    """The exchange day of the minute that ends at `minute`."""
    return exchange_day(dt.datetime.fromtimestamp(minute * 60 - 1, dt.UTC))
