"""Write what the demo's condors were worth before the start into the history of its daemon.

The simulator computes that while the daemon is being imported. A database that exists is left as it is: it belongs to
an earlier demo, in a state directory that lasts.
"""

from __future__ import annotations

import datetime as dt
import http.client
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from condord.cli.output import write_stderr
from condord.config.schema import History
from condord.core.market_hours import exchange_day
from condord.live.minutes import HoldingPeriod, MinuteRow

WAIT_SECONDS = 5.0
"""How long the start of the daemon waits for the past."""
_SOURCE = "simulator"
_FILE = "history.sqlite3"
_CONTINUES_SECONDS = 900  # two points this far apart belong to one session
_CENTS_PER_DOLLAR, _E4_PER_DOLLAR = 100, 10_000


class CondorPoints(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The points of one condor, as `GET /simulator/past` answers."""

    id: str
    opened_at: dt.datetime
    quantity: int
    credit: float
    seconds: list[int]
    cents: list[int]
    natural_cents: list[int]
    prices: list[float]


class SimulatedPast(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer of `GET /simulator/past`."""

    account_id: str
    condors: list[CondorPoints]


@contextmanager
def write_past(trading_url: str, directory: str, history: History) -> Iterator[Callable[[], None]]:
    """Write the past of the simulator at `trading_url` into the database in `directory`, in a thread.

    Yields a function that waits for it, `WAIT_SECONDS` at most. Nothing is written without a directory, into a database
    that exists, or with `history.enabled` false. A failure is reported in one line.
    """
    directory = directory.partition(":")[0]  # systemd can name several; the daemon uses the first
    path = Path(directory, _FILE)
    if not directory or not history.enabled or path.exists():
        yield lambda: None
        return
    thread = threading.Thread(target=_write, args=(trading_url, path, history.keep_days), name="demo-past", daemon=True)
    thread.start()
    try:
        yield lambda: thread.join(WAIT_SECONDS)
    finally:
        thread.join(WAIT_SECONDS)


def _write(trading_url: str, path: Path, keep_days: int) -> None:
    try:
        import asyncio  # 20 ms, which `condord --help` would need, too

        asyncio.run(_store(read(trading_url), path, keep_days))
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        write_stderr(f"condord: the demo begins without a past: {error}")


def read(trading_url: str) -> SimulatedPast:
    """Ask the simulator for its past.

    Raises:
        OSError, http.client.HTTPException: it cannot be reached.
        msgspec.DecodeError: it answered with something else.
    """
    address = urlsplit(trading_url)
    with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=WAIT_SECONDS)) as connection:
        connection.request("GET", "/simulator/past")
        return msgspec.json.decode(connection.getresponse().read(), type=SimulatedPast)


def rows(past: SimulatedPast) -> list[MinuteRow]:
    """The rows of the condors and of the account, oldest first; the account has the sum of those that were open."""
    found = [row for condor in past.condors for row in _condor_rows(condor)]
    totals: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for condor in past.condors:
        for second, cents, natural in zip(condor.seconds, condor.cents, condor.natural_cents, strict=True):
            total, natural_total = totals[second]
            totals[second] = total + cents, natural_total + natural
    seconds = sorted(totals)
    ranges = _ranges(seconds, [totals[second][0] for second in seconds])
    for second, (low, high) in zip(seconds, ranges, strict=True):
        cents, natural = totals[second]
        found.append(
            MinuteRow(
                holding=None,
                second=second,
                cents=cents,
                natural_cents=natural,
                price_e4=None,
                low=low,
                high=high,
                quantity=None,
            )
        )
    return sorted(found, key=lambda row: row.second)


def _condor_rows(condor: CondorPoints) -> Iterator[MinuteRow]:
    holding = HoldingPeriod(condor_id=condor.id, opened_at=condor.opened_at)
    points = zip(
        condor.seconds,
        condor.cents,
        condor.natural_cents,
        condor.prices,
        _ranges(condor.seconds, condor.cents),
        strict=True,
    )
    for second, cents, natural, price, (low, high) in points:
        yield MinuteRow(
            holding=holding,
            second=second,
            cents=cents,
            natural_cents=natural,
            price_e4=round(price * _CENTS_PER_DOLLAR) * (_E4_PER_DOLLAR // _CENTS_PER_DOLLAR),
            low=low,
            high=high,
            quantity=condor.quantity,
            credit_e4=round(condor.credit * _E4_PER_DOLLAR),
        )


def _ranges(seconds: Sequence[int], cents: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The least and the greatest value up to each point, from the one before in the same session."""
    before: tuple[int, int] | None = None
    for second, value in zip(seconds, cents, strict=True):
        last = before[1] if before is not None and second - before[0] <= _CONTINUES_SECONDS else value
        yield min(last, value), max(last, value)
        before = second, value


async def _store(past: SimulatedPast, path: Path, keep_days: int) -> None:
    from condord.history.store import HistoryStore

    def now_at() -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    store = HistoryStore(path, machine_at=now_at, keep_days=lambda: keep_days)
    try:
        await store.switch_to(f"{past.account_id} {_SOURCE}", _SOURCE, exchange_day(now_at()))
        await store.record(rows(past))
    finally:
        store.close()
