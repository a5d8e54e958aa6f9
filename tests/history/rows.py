"""Rows of minutes for tests, and an open store."""

import contextlib
import datetime as dt

from condord.history.store import HistoryStore
from condord.live.minutes import HoldingPeriod, MinuteRow

CONDOR = "SPY-261218-560-570-630-640"
OPENED_AT = dt.datetime(2026, 11, 16, 15, 30, 5, 250_000, tzinfo=dt.UTC)
OPEN_AT = dt.datetime(2026, 11, 20, 14, 30, tzinfo=dt.UTC)
"""The opening of a session."""
SECOND = int(OPEN_AT.timestamp())
NOW_AT = OPEN_AT + dt.timedelta(days=3000)


def row(minute, cents, *, condor=CONDOR, opened_at=OPENED_AT, **changes):
    """The row of the minute that ends `minute` minutes after `OPEN_AT`; `condor` None is the account."""
    defaults = {
        "holding": None if condor is None else HoldingPeriod(condor_id=condor, opened_at=opened_at),
        "second": SECOND + 60 * minute,
        "cents": cents,
        "natural_cents": None if cents is None else cents - 300,
        "price_e4": None if condor is None else 5_821_050,
        "low": None if cents is None else cents - 50,
        "high": None if cents is None else cents + 50,
        "quantity": None if condor is None else 1,
        "credit_e4": None if condor is None else 21_500,
    }
    return MinuteRow(**defaults | changes)


@contextlib.contextmanager
def opened(path, keep_days=400):
    """A store at `path`; its machine's clock stands still."""
    store = HistoryStore(path, machine_at=lambda: OPEN_AT, keep_days=lambda: keep_days)
    try:
        yield store
    finally:
        store.close()


async def begin(store, account="account"):
    """Switch to an account, and return its past."""
    return await store.switch_to(account, "simulator", OPEN_AT.date())
