"""Join minutes into buckets that keep the least and the greatest value.

A bucket of `step` minutes ends at a multiple of `step` since 1970, in UTC, and contains the minutes after the previous
end until its own. It has the last known values of its minutes, and the extremes of all of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from condord.history.schema import QUARTER_MINUTES, RUN_MINUTES, RUN_QUARTERS

_SPAN = 1 << 44
_HALF = _SPAN // 2
_LONGEST_DAY = 25 * 60

# The value of the last minute that has one: SQLite finds it as the greatest of (minute, value) packed into one integer,
# in the same pass as the extremes. Sorting by minute for each column took four times as long.
_COLUMNS = f"""
    min(coalesce(cents_off, 0) + low_off), max(coalesce(cents_off, 0) + high_off),
    max(place * {_SPAN} + cents_off + {_HALF}), max(place * {_SPAN} + coalesce(cents_off, 0) + natural_off + {_HALF}),
    max(place * {_SPAN} + price_off + {_HALF})
"""
_POINTS = f"""
SELECT (:start + place + :step - 1) / :step AS bucket, {_COLUMNS}
FROM (SELECT *, point & {RUN_MINUTES - 1} AS place FROM points WHERE point BETWEEN :first AND :last)
GROUP BY bucket ORDER BY bucket
"""  # noqa: S608 - constants
_RECENT = f"""
SELECT (minute + :step - 1) / :step AS bucket, {_COLUMNS}
FROM (SELECT *, minute - :start AS place FROM recent WHERE run = :run AND minute BETWEEN :first AND :last)
GROUP BY bucket ORDER BY bucket
"""  # noqa: S608 - constants
_QUARTERS = f"""
SELECT ((:start + place) * {QUARTER_MINUTES} + :step - 1) / :step AS bucket, {_COLUMNS}
FROM (SELECT *, quarter & {RUN_QUARTERS - 1} AS place FROM quarters WHERE quarter BETWEEN :first AND :last)
GROUP BY bucket ORDER BY bucket
"""  # noqa: S608 - constants


_Packed = tuple[int, int | None, int | None, int | None, int | None, int | None]


class Bucket(NamedTuple):
    """One bucket; `number` is its end in units of the step. Money is in cents, the price in 1e-4 dollars."""

    number: int
    low: int | None
    high: int | None
    cents: int | None
    natural: int | None
    price_e4: int | None
    quantity: int | None


class Run(NamedTuple):
    """One row of `runs`. `cents` is None until a profit or loss was known in it."""

    run: int
    start: int
    quantity: int | None
    credit_e4: int | None
    cents: int | None
    unit: int
    price_e4: int
    state: str

    def packed(self, cents: int | None, others: Sequence[int | None], price_e4: int | None) -> tuple[int | None, ...]:
        """Return the columns of `recent`, `points` and `quarters` but the key; `others` are in cents, too."""
        base = self.cents or 0
        of_mark = base if cents is None else cents
        return (
            None if cents is None else (cents - base) // self.unit,
            *(None if other is None else (other - of_mark) // self.unit for other in others),
            None if price_e4 is None else price_e4 - self.price_e4,
        )

    @property
    def first_quarter(self) -> int:
        """The end of its first quarter, in units of 15 minutes."""
        return -(-self.start // QUARTER_MINUTES)


def of_run(connection: sqlite3.Connection, run: Run, step: int, first: int, last: int) -> list[Bucket]:
    """Return the buckets of the minutes from `first` to `last` of a run, ascending.

    Of a reduced run `step` must be a multiple of 15; quarters that end between `first` and `last` are included
    completely.
    """
    begin, end = max(first, run.start), min(last, run.start + RUN_MINUTES - 1)
    if end < begin:
        return []
    is_whole = begin == run.start and last >= run.start + _LONGEST_DAY
    if run.state == "reduced" or (run.state == "moved" and is_whole and step % QUARTER_MINUTES == 0):
        stored = _of_quarters(connection, run, step, first, last)
    else:
        offset = run.run * RUN_MINUTES - run.start
        given = {"start": run.start, "step": step, "first": offset + begin, "last": offset + end}
        stored = connection.execute(_POINTS, given).fetchall()
    if run.state != "recent":
        return [_unpacked(row, run) for row in stored]
    given = {"start": run.start, "step": step, "run": run.run, "first": begin, "last": end}
    recent = connection.execute(_RECENT, given).fetchall()
    read = [_unpacked(row, run) for row in stored + recent]
    return joined(read, 1) if stored and recent else read


def _of_quarters(connection: sqlite3.Connection, run: Run, step: int, first: int, last: int) -> list[_Packed]:
    begin = max(-(-first // QUARTER_MINUTES), run.first_quarter)
    end = min(last // QUARTER_MINUTES, run.first_quarter + RUN_QUARTERS - 1)
    offset = run.run * RUN_QUARTERS - run.first_quarter
    given = {"start": run.first_quarter, "step": step, "first": offset + begin, "last": offset + end}
    return connection.execute(_QUARTERS, given).fetchall()


def joined(buckets: Iterable[Bucket], factor: int) -> list[Bucket]:
    """Join buckets into ones of `factor` times the step. Those with the same new end must be in order of time."""
    found: dict[int, Bucket] = {}
    for bucket in buckets:
        number = -(-bucket.number // factor)
        if number in found:
            found[number] = _both(found[number], bucket)
        else:
            found[number] = bucket if bucket.number == number else bucket._replace(number=number)
    return [found[number] for number in sorted(found)]


def _both(before: Bucket, after: Bucket) -> Bucket:
    return Bucket(
        before.number,
        min((value for value in (before.low, after.low) if value is not None), default=None),
        max((value for value in (before.high, after.high) if value is not None), default=None),
        before.cents if after.cents is None else after.cents,
        before.natural if after.natural is None else after.natural,
        before.price_e4 if after.price_e4 is None else after.price_e4,
        after.quantity,
    )


def _unpacked(row: _Packed, run: Run) -> Bucket:
    number, low, high, cents, natural, price = row
    return Bucket(
        number,
        _cents(low, run),
        _cents(high, run),
        _cents(_value(cents), run),
        _cents(_value(natural), run),
        None if price is None else price % _SPAN - _HALF + run.price_e4,
        run.quantity,
    )


def _cents(units: int | None, run: Run) -> int | None:
    return None if units is None else (run.cents or 0) + units * run.unit


def _value(packed: int | None) -> int | None:
    return None if packed is None else packed % _SPAN - _HALF
