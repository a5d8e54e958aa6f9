"""The directories of ingesters on one machine: what a killed one leaves, and one state directory for two."""

import pytest

from tests.cluster.processes.ingesters import cluster
from tests.e2e.running import Program, closing_program

pytestmark = pytest.mark.slow


@pytest.fixture
def ingesters(tmp_path):
    with cluster(tmp_path) as running_cluster:
        yield running_cluster


def test_the_directory_of_a_killed_front_is_gone_after_the_next_start(ingesters):
    first = ingesters.start("a", CONDORD_SERVER_WORKERS="2")
    first.await_live()
    left = {*first.directory.glob("condord-*")}
    assert len(left) == 2  # for the maker, and for the workers
    first.process.kill()
    first.wait()
    assert {*first.directory.glob("condord-*")} == left
    second = ingesters.start("a", CONDORD_SERVER_WORKERS="2")
    found = {*second.directory.glob("condord-*")}
    assert len(found) == 2
    assert not found & left
    second.await_live()
    assert second.stop() == 0
    assert not {*second.directory.glob("condord-*")}


def test_a_second_ingester_of_the_account_with_the_same_state_directory_is_refused(ingesters, tmp_path):
    first = ingesters.start("a")
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    environ = {**first.environ, "RUNTIME_DIRECTORY": str(runtime)}
    with closing_program(Program("start", "--port", "0", environ=environ)) as second:
        assert second.wait() == 69
        text = "".join(second.stderr)
    assert f"another ingester (process {first.process.pid}) of this account keeps its state in" in text
    assert "STATE_DIRECTORY" in text
    first.await_live()
    first.process.kill()
    first.wait()
    ingesters.start("a").await_live()
    ingesters.check_slot()
