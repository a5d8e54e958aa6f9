"""Daemons that record history, in a market whose clock is set ahead so that minutes pass quickly."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.e2e.environs import FEW_TICKS, QUICK, UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import Condord, Simulated, closing_program, fetch, until
from tests.http.scrape import samples

BUSY_SECONDS = 0.2
"""How long the daemons here wait for the lock of another program."""
ENVIRON = {
    **QUICK,
    "CONDORD_STREAM_SILENCE_SECONDS": "30",
    **replaced(**UNPACED, host__database__BUSY_SECONDS=BUSY_SECONDS),
}
MINUTE = dt.timedelta(minutes=1)
SECOND = 2
"""The clock is set to this second of a minute, so that most of a minute is left before another one ends by itself."""
NEW_YORK = ZoneInfo("America/New_York")


@contextlib.contextmanager
def still_market(*arguments: str) -> Iterator[Simulated]:
    """A simulator whose quotes do not move, at an hour other than the opening, as no quote counts then."""
    with closing_program(Simulated(*arguments, **replaced(**FEW_TICKS))) as simulated:
        local_at = exchange_time(simulated).astimezone(NEW_YORK)
        is_near_the_opening = dt.time(9, 0) <= local_at.time() < dt.time(9, 35)
        at = next_minute(local_at) + dt.timedelta(hours=is_near_the_opening)
        simulated.post("market", at=at.isoformat(), frozen=True)
        yield simulated


@contextlib.contextmanager
def recording(simulated: Simulated, state: Path, **environ: str) -> Iterator[Condord]:
    """A daemon with this state directory that is live, priced, and knows its account and its past."""
    with closing_program(Condord(simulated, **{**ENVIRON, "STATE_DIRECTORY": str(state), **environ})) as condord:
        condord.await_state("live")
        condord.await_priced()
        condord.await_account_read()
        until(lambda: condord.get("/api/trades")[1]["totals"]["completeFrom"], "the account and its past are known")
        yield condord


def exchange_time(simulated: Simulated) -> dt.datetime:
    return dt.datetime.fromisoformat(simulated.ask("/v2/clock")["timestamp"])


def next_minute(at: dt.datetime) -> dt.datetime:
    return at.replace(second=SECOND, microsecond=0) + MINUTE


def refresh(condord: Condord) -> None:
    assert fetch(condord.url + "/api/refresh", method="POST")[0] == 202


def pass_minute(simulated: Simulated, condord: Condord, skew: dt.timedelta = dt.timedelta()) -> None:
    """Set the exchange's clock to the next minute, and wait until the daemon knows; `skew` is that of the clock as served."""
    at = next_minute(exchange_time(simulated))
    simulated.post("market", at=(at - skew).isoformat())
    refresh(condord)
    until(lambda: dt.datetime.fromisoformat(condord.document()["asOf"]) >= at, "the daemon knows the time")


def record_minute(simulated: Simulated, condord: Condord) -> None:
    """Pass a minute, and wait until it is recorded."""
    before = rows(condord)
    pass_minute(simulated, condord)
    until(lambda: rows(condord) > before, lambda: f"the minute is recorded: {fault(condord)}")


def rows(condord: Condord) -> float:
    return samples(condord.get("/metrics")[1])["condord_history_rows_total"]


def fault(condord: Condord) -> str | None:
    """The text of the notice `historyUnavailable`, if there is one."""
    found = [notice["text"] for notice in condord.status()["notices"] if notice["code"] == "historyUnavailable"]
    return found[0] if found else None


def await_fault(condord: Condord) -> str:
    """The text of `historyUnavailable`, once it is there."""
    return until(lambda: fault(condord), "the notice is there")


def await_no_fault(condord: Condord) -> None:
    """Wait until there is no notice `historyUnavailable`."""
    until(lambda: fault(condord) is None, lambda: f"the notice is over: {fault(condord)}")


def plain_condor(condord: Condord) -> dict:
    """A condor on SPY whose legs are in no other condor."""
    return next(condor for condor in condord.document()["condors"] if condor["id"].startswith("SPY-"))


def move_short_put(simulated: Simulated, condord: Condord, dollars: float) -> None:
    """Quote the short put of the plain condor at a price, and wait until its profit or loss follows."""
    condor = plain_condor(condord)
    before = condor["valuation"]["mark"]
    put = condor["legs"][1]["symbol"]
    simulated.post("quotes", quotes=[{"symbol": put, "bp": dollars, "ap": dollars + 0.02}], pin=True)
    until(lambda: plain_condor(condord)["valuation"]["mark"] != before, "the mark has moved")


def history(condord: Condord, condor_id: str | None = None, **query: object) -> dict:
    """`GET /api/history` of a condor or of the account."""
    query = {"condor": condor_id, **query} if condor_id else query
    path = "/api/history?" + "&".join(f"{name}={value}" for name, value in query.items())
    status, body = condord.get(path)
    assert status == 200, body
    return body
