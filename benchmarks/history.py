"""Write a year of 20 condors to `history.sqlite3`, minute by minute, and query it.

Each day has 390 minutes. The condors are replaced after 45 sessions, except one that is held all year. Profit and loss,
spreads and prices are random walks of a usual size, on five underlyings. Printed are the size of the file, how long a
write of a minute takes, with everything between the caller and the return from the thread, and how long each query
takes: the least of nine, and the CPU of it. Exit code 1: the year takes more than 50 MB, or a query over 100 ms.

With `--kills N` a child process that writes is killed N times with SIGKILL, at random instants. Afterwards everything
that it reported as written must be there. Exit code 1: something is missing, or the file is damaged.

Run it: python benchmarks/history.py [--days 252] [--kills 100] [--directory DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import math
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from condord.history.store import HistoryStore
from condord.live.minutes import HoldingPeriod, MinuteRow
from condord.live.wire_history import HistoryQuery

CONDORS = 20
MINUTES = 390
HELD_SESSIONS = 45
PRICES_E4 = {"SPY": 5_821_000, "SPX": 58_210_000, "IWM": 2_100_000, "QQQ": 5_000_000, "AAPL": 2_400_000}
OPEN_AT = dt.datetime(2026, 1, 5, 14, 30, tzinfo=dt.UTC)
MAX_BYTES = 50_000_000
MAX_MS = 100.0
KILL_WITHIN_SECONDS = 0.3
SLOW_ORDER = 0.99


class Market:
    """Random walks of `CONDORS` condors; the first is held all the time."""

    def __init__(self) -> None:
        self.random = random.Random(1)
        self.prices_e4 = dict(PRICES_E4)
        self.quantities = [self.random.choice((1, 1, 2, 3)) for _ in range(CONDORS)]
        self.cents = [0] * CONDORS
        self.holdings: list[HoldingPeriod] = []

    def renew(self, day: int, open_at: dt.datetime) -> None:
        """Replace all condors but the first."""
        new = [
            HoldingPeriod(condor_id=f"{symbol}-{day:06d}-{number}", opened_at=open_at)
            for number, symbol in zip(range(CONDORS), list(PRICES_E4) * CONDORS, strict=False)
        ]
        self.holdings = (self.holdings[:1] or new[:1]) + new[1:]
        self.cents[1:] = [0] * (CONDORS - 1)

    def minute(self, second: int) -> list[MinuteRow]:
        """The rows of the next minute."""
        gauss = self.random.gauss
        for symbol, price in self.prices_e4.items():
            self.prices_e4[symbol] = price + round(gauss(0, price * 0.0004) / 50) * 50
        rows = []
        for number, holding in enumerate(self.holdings):
            unit = 50 * self.quantities[number]
            back = self.cents[number] / unit / 2000 + self.random.random()
            cents = self.cents[number] = self.cents[number] + (round(gauss(0, 4)) - math.floor(back)) * unit
            rows.append(
                MinuteRow(
                    holding=holding,
                    second=second,
                    cents=cents,
                    natural_cents=cents - self.random.randrange(8, 30) * unit,
                    price_e4=self.prices_e4[holding.condor_id.partition("-")[0]],
                    low=cents - abs(round(gauss(0, 2))) * unit,
                    high=cents + abs(round(gauss(0, 2))) * unit,
                    quantity=self.quantities[number],
                    credit_e4=21_500,
                )
            )
        cents = sum(self.cents)
        account = MinuteRow(
            holding=None,
            second=second,
            cents=cents,
            natural_cents=sum(row.natural_cents or 0 for row in rows),
            price_e4=None,
            low=cents - 50 * self.random.randrange(80),
            high=cents + 50 * self.random.randrange(80),
            quantity=None,
        )
        return [*rows, account]


def sessions(days: int) -> Iterator[tuple[int, dt.datetime]]:
    """The openings of weekdays, with their numbers."""
    weekdays = (OPEN_AT + dt.timedelta(days=day) for day in range(days * 2))
    yield from zip(range(days), (at for at in weekdays if at.weekday() < 5), strict=False)


def open_store(path: Path) -> HistoryStore:
    return HistoryStore(path, machine_at=lambda: dt.datetime.now(dt.UTC), keep_days=lambda: 400)


async def write_year(store: HistoryStore, days: int) -> tuple[list[float], Market, dt.datetime]:
    """Write `days` sessions; returns the time of each write in ms, the market and the last instant."""
    market, took, at = Market(), [], OPEN_AT
    await store.switch_to("benchmark", "simulator", OPEN_AT.date())
    for day, open_at in sessions(days):
        if day % HELD_SESSIONS == 0:
            market.renew(day, open_at)
        for minute in range(1, MINUTES + 1):
            at = open_at + dt.timedelta(minutes=minute)
            rows = market.minute(int(at.timestamp()))
            begin = time.perf_counter()
            await store.record(rows)
            took.append(1e3 * (time.perf_counter() - begin))
            assert store.fault is None
    return took, market, at


def queries(market: Market, now_at: dt.datetime) -> dict[str, HistoryQuery]:
    """The queries by what they ask for."""
    held_all_year, held_now = market.holdings[0].condor_id, market.holdings[1].condor_id
    a_month_ago, today = now_at - dt.timedelta(days=30), now_at - dt.timedelta(hours=8)
    return {
        "account, a year": HistoryQuery(condor_id=None),
        "account, a year, 5000 points": HistoryQuery(condor_id=None, points=5000),
        "account, a month": HistoryQuery(condor_id=None, from_at=a_month_ago),
        "account, today": HistoryQuery(condor_id=None, from_at=today),
        "condor, a year": HistoryQuery(condor_id=held_all_year),
        "condor, a year, 5000 points": HistoryQuery(condor_id=held_all_year, points=5000),
        "condor, its holding": HistoryQuery(condor_id=held_now),
        "condor, a month": HistoryQuery(condor_id=held_all_year, from_at=a_month_ago),
        "condor, today": HistoryQuery(condor_id=held_all_year, from_at=today),
    }


async def measure(path: Path, days: int) -> bool:
    """Print the figures of a year; True if they are within the bounds."""
    store = open_store(path)
    took, market, now_at = await write_year(store, days)
    size = sum(each.stat().st_size for each in path.parent.iterdir() if each.name == path.name)
    took.sort()
    cpu_ms = 1e3 * time.process_time() / len(took)
    middle, slow = took[len(took) // 2], took[int(len(took) * SLOW_ORDER)]
    with_log = sum(each.stat().st_size for each in path.parent.iterdir())
    print(
        f"{days} sessions, {days * MINUTES * (CONDORS + 1):,} rows: {size / 1e6:.1f} MB, {with_log / 1e6:.1f} with log"
    )
    print(
        f"a write: p50 {middle:.2f} ms, p99 {slow:.2f} ms, longest {took[-1]:.0f} ms, CPU {cpu_ms:.2f} ms with its rows"
    )
    is_within = size <= MAX_BYTES
    for name, query in queries(market, now_at).items():
        times, processor = [], []
        for _ in range(9):
            begin, cpu = time.perf_counter(), time.process_time()
            answer = await store.query(query, now_at)
            times.append(1e3 * (time.perf_counter() - begin))
            processor.append(1e3 * (time.process_time() - cpu))
        assert answer is not None
        points = len(answer.seconds)
        print(f"{name:<30}{points:>6} points {min(times):>7.1f} ms, CPU {min(processor):.1f} ms", flush=True)
        is_within = is_within and min(times) <= MAX_MS
    store.close()
    return is_within


async def write_until_killed(path: Path, first: int) -> None:
    """Write minute after minute, and print each that is written."""
    store, market = open_store(path), Market()
    market.renew(0, OPEN_AT)
    await store.switch_to("benchmark", "simulator", OPEN_AT.date())
    for minute in range(first, first + 1_000_000):
        await store.record(market.minute(60 * minute))
        if store.fault is None:
            print(minute, flush=True)


def kill(path: Path, kills: int) -> bool:
    """Kill a child that writes, this many times; True if everything it has reported is there."""
    choose, minute, lost = random.Random(2), int(OPEN_AT.timestamp()) // 60, 0
    written: set[int] = set()
    for number in range(kills):
        command = [sys.executable, __file__, "--child", str(minute + 1), "--directory", str(path.parent)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ)
        assert child.stdout is not None
        child.stdout.readline()
        written.add(minute + 1)
        time.sleep(choose.uniform(0, KILL_WITHIN_SECONDS))
        child.kill()
        written.update(int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith(b"\n"))
        child.wait()
        child.stdout.close()
        minute = max(written)
        lost += missing(path, written)
        print(f"\r{number + 1} kills, {len(written):,} minutes written, {lost} lost", end="", flush=True)
    with sqlite3.connect(path) as connection:
        (state,) = connection.execute("PRAGMA integrity_check").fetchone()
    aside = [each.name for each in path.parent.iterdir() if "broken" in each.name]
    print(f"\nintegrity_check: {state}; set aside: {len(aside)}")
    return not lost and state == "ok" and not aside


def missing(path: Path, written: set[int]) -> int:
    """How many of the reported minutes do not have all of their rows."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT strftime('%s', time) / 60, count(*) FROM minutes GROUP BY time").fetchall()
    connection.close()
    return len(written - {minute for minute, count in rows if count == CONDORS + 1})


def main() -> int:
    """Print the figures; return 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=252)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--directory", type=Path, help="where to write; a temporary directory by default")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child is not None:
        asyncio.run(write_until_killed(chosen.directory / "killed.sqlite3", chosen.child))
        return 0
    with tempfile.TemporaryDirectory(dir=chosen.directory) as name:
        is_good = asyncio.run(measure(Path(name) / "history.sqlite3", chosen.days))
        if chosen.kills:
            is_good = kill(Path(name) / "killed.sqlite3", chosen.kills) and is_good
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
