"""Relays, standbys and leaders that were suspended show nothing old as live when they continue."""

import os
import signal
import time
from contextlib import closing

import pytest

from condord.cluster.follower import LOST_SECONDS
from tests.cluster.processes.ingesters import cluster, makers_of
from tests.cluster.processes.running import Relay
from tests.cluster.processes.test_bus_relay import BusRelay
from tests.e2e.environs import QUICK, UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import Condord, Follower, Simulated, closing_program, until
from tests.e2e.suspending import Waiting, stopped

pytestmark = pytest.mark.slow

LOST = ("sourceLost", "leaderLost", "busLost")
SUSPENDED_SECONDS = LOST_SECONDS + 3


@pytest.fixture
def ingesters(tmp_path):
    with cluster(tmp_path) as running_cluster:
        yield running_cluster


def number(document):
    return int(document["version"].rpartition("-")[2])


def epoch(document):
    return document["version"].partition("-")[0]


def suspended(program, source, *, pids=()):
    """The answers to requests that have waited while a program was stopped, and the document of its source then."""
    with stopped([program.process.pid, *pids]):
        time.sleep(SUSPENDED_SECONDS)
        waiting, newest = Waiting(program.url), source.document()
    waiting.read()
    return waiting, newest


def check_follower(program, source):
    """Suspend what follows `source`: it shows what that has now, or that it has lost it."""
    with closing(Follower(program.url)) as follower:
        until(lambda: len(follower.documents) > 2, "events")
        before = follower.document
        waiting, newest = suspended(program, source)
        assert number(newest) > number(before)
        for document in waiting.documents:
            assert document["status"]["code"] in LOST or number(document) >= number(newest)
        # The first change that a subscriber gets is that nothing is known.
        until(lambda: any(event.name == "delta" and not event.id for event in follower.events), "a loss")
        until(lambda: program.status()["code"] is None, "it follows again")
        until(lambda: follower.document["status"]["state"] == "live", "subscribers see that, too")
        assert follower.names.count("snapshot") == 1
    assert not waiting.is_ready or number(waiting.documents[0]) >= number(newest)
    assert not any("is lost" in line for line in program.stderr)  # it was there all the time


def test_a_relay_of_a_daemon():
    with closing_program(Simulated(**replaced(**UNPACED))) as simulated:
        simulated.post("market", rate=5)
        with closing_program(Condord(simulated, **QUICK)) as source:
            source.await_state("live")
            source.await_account_read()
            with closing_program(Relay(source.url)) as relay:
                relay.await_read()
                check_follower(relay, source)


def test_a_relay_of_a_bus_and_a_standby(ingesters):
    leader, standby = ingesters.pair()
    with closing_program(BusRelay(ingesters.nats.url)) as relay:
        relay.await_read()
        check_follower(relay, leader)
    check_follower(standby, leader)
    leader.await_role("leader")


@pytest.mark.parametrize("with_its_maker", [False, True])
def test_a_leader_shows_neither_old_numbers_nor_that_it_leads(ingesters, with_its_maker):
    leader, standby = ingesters.pair()
    before = leader.document()
    pids = makers_of(leader) if with_its_maker else []
    with stopped([leader.process.pid, *pids]):
        standby.await_role("leader")
        until(lambda: epoch(standby.document()) != epoch(before), "the document of the next leader")
        waiting = Waiting(leader.url)
    waiting.read()
    for document in waiting.documents:
        assert document["status"]["code"] in LOST or epoch(document) != epoch(before)
    assert waiting.status["cluster"]["role"] == "standby"
    until(lambda: epoch(leader.document()) != epoch(before), "it follows the next leader")
    leader.await_live()
    if not with_its_maker:  # else the simulator counts the connection of the stopped maker, and refuses the next one's
        ingesters.check_slot()
    assert leader.stop(signal.SIGTERM) == 0


def test_on_one_machine_the_next_leader_ends_the_suspended_maker_before_it_connects(ingesters, tmp_path):
    leader, standby = ingesters.pair(RUNTIME_DIRECTORY=str(tmp_path))
    [maker] = makers_of(leader)
    with stopped([leader.process.pid]):
        os.kill(maker, signal.SIGSTOP)
        until(lambda: standby.cluster().get("role") == "leader" and standby.status()["state"] == "live", standby.stderr)
        standby.await_line("A daemon of the account was killed because it had outlived its lease")
    leader.await_live()
    leader.await_role("standby")
    ingesters.check_slot()


def test_a_suspended_daemon_of_another_kind_is_named_and_not_ended(ingesters, tmp_path):
    with closing_program(Condord(ingesters.simulated, **QUICK, RUNTIME_DIRECTORY=str(tmp_path))) as condord:
        condord.await_state("live")
        with stopped([condord.process.pid]):
            ingester = ingesters.start("a", RUNTIME_DIRECTORY=str(tmp_path))
            pid = condord.process.pid
            ingester.await_line(
                rf"another condord \(process {pid}\) uses this key on this option stream, and is suspended"
            )
            ingester.await_line(rf"kill -CONT {pid}")
            text = f"this ingester could not lead: another condord (process {pid})"
            until(
                lambda: text in ingester.get("/api/status")[1].get("detail", ""),
                "the status has the reason why there is no leader",
            )
        condord.await_state("live")
    ingester.await_live()
