"""Two ingesters: what the one that stands by has recorded is in the history that it serves when it leads."""

import sqlite3
from contextlib import closing

import pytest

from tests.cluster.processes.ingesters import QUIET, cluster
from tests.e2e.running import until

pytestmark = pytest.mark.slow

MINUTE_TIMEOUT_SECONDS = 130.0


@pytest.fixture
def ingesters(tmp_path):
    with cluster(tmp_path, **QUIET) as running_cluster:
        running_cluster.simulated.post("market", frozen=True)  # a minute has the same values wherever it is recorded
        yield running_cluster


def recorded(program, condor) -> dict[int, int | None]:
    """The profit or loss in cents of each recorded minute, by its end."""
    status, body = program.get(f"/api/history?condor={condor}")
    return dict(zip(body["seconds"], body["cents"], strict=True)) if status == 200 else {}


def line_of(program, condor) -> dict[int, int]:
    """The line of a condor in the document."""
    (found,) = [each for each in program.document()["condors"] if each["id"] == condor]
    return dict(zip(found["history"]["seconds"], found["history"]["cents"], strict=True))


def stored_minutes(program, condor: str) -> set[int]:
    """The ends of the minutes with a value of this condor in the database of an ingester, which may not have begun it yet."""
    path = program.directory / "state" / "history.sqlite3"
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path)) as connection:
        if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'recent'").fetchone()[0]:
            return set()
        found = connection.execute(
            "SELECT minute * 60 FROM recent JOIN runs USING (run) JOIN series USING (series)"
            " WHERE condor = ? AND cents_off IS NOT NULL",
            (condor,),
        )
        return {second for (second,) in found}


def test_a_takeover_makes_no_hole_in_the_line_of_a_condor(ingesters):
    leader, standby = ingesters.pair()
    condor = standby.document()["condors"][0]["id"]
    before = recorded(leader, condor).keys()

    def check():
        both = stored_minutes(standby, condor) - before
        return {
            second: cents for second, cents in recorded(leader, condor).items() if second in both and cents is not None
        }

    expected = until(check, lambda: f"a minute that both have recorded: {standby.stderr}", MINUTE_TIMEOUT_SECONDS)
    leader.process.kill()
    standby.await_role("leader")
    standby.await_live()
    found = until(lambda: recorded(standby, condor), "its history is read")
    assert {second: found.get(second) for second in expected} == expected
    line = line_of(standby, condor)
    assert {second: line.get(second) for second in expected} == expected
    ingesters.check_slot()


def test_an_ingester_that_stops_has_recorded_its_running_minute(ingesters):
    _leader, standby = ingesters.pair()
    condor = standby.document()["condors"][0]["id"]
    until(lambda: standby.document()["condors"][0]["valuation"]["unrealizedPl"] is not None, "a value")
    assert standby.stop() == 0
    assert stored_minutes(standby, condor)
