"""A leader whose maker hangs while its front runs: another leads about a lease later, and the logs have one line of it."""

import os
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.cluster.processes.ingesters import await_waiting_maker, cluster, makers_of, seconds_until
from tests.cluster.processes.test_bus_relay import BusRelay
from tests.e2e.running import Follower, closing_program, until

pytestmark = pytest.mark.slow

LEASE = 3.0
TAKEOVER_SECONDS = 8.0


@pytest.fixture
def ingesters(tmp_path):
    with cluster(tmp_path) as running_cluster:
        yield running_cluster


def counted(program, *events):
    """How often each event is in a log."""
    text = "".join(program.stderr)
    return [text.count(event) for event in events]


def test_a_hung_maker_is_killed_before_another_takes_over(ingesters):
    leader, standby = ingesters.pair(lease=LEASE)
    relay = ingesters.stack.enter_context(closing_program(BusRelay(ingesters.nats.url)))
    relay.await_read()
    until(lambda: len(makers_of(standby)) == 1, "a maker that waits")
    [maker] = makers_of(leader)
    before = [counted(each, "The leader is lost", "The leader is back") for each in (standby, relay)]
    with closing(Follower(relay.url)) as follower:
        until(lambda: len(follower.documents) > 2, "events")
        old = follower.last_id.partition("-")[0]
        os.kill(maker, signal.SIGSTOP)
        until(lambda: leader.status()["code"] == "leaderLost", "the leader notices")
        assert "has lost its own daemon of the account, the process that reads Alpaca" in leader.status()["reason"]
        took = seconds_until(lambda: follower.last_id.partition("-")[0] != old, "the epoch of another leader")
    assert took < TAKEOVER_SECONDS
    assert not Path(f"/proc/{maker}").exists()
    standby.await_live()
    until(lambda: "The maker has ended" in "".join(leader.stderr), "its end is logged")
    text = "".join(leader.stderr)
    assert "The maker is silent" in text
    assert "The source is lost" not in text
    assert "its event loop has not run for 3 s" in text
    assert "SIGKILL" in text
    assert "reason=''" not in text
    # The ingester whose maker has hung may be the first to ask for the lease again.
    until(
        lambda: sorted(each.cluster().get("role", "") for each in (leader, standby)) == ["leader", "standby"],
        "one leads",
    )
    until(lambda: counted(relay, "The leader is back")[0] == before[1][1] + 1, "the relay has the leader back")
    assert counted(relay, "The leader is lost")[0] == before[1][0] + 1
    assert counted(standby, "The leader is lost", "The leader is back")[0] == before[0][0] + 1
    ingesters.check_slot()


def test_a_maker_that_has_hung_while_it_waited_is_replaced(ingesters):
    only = ingesters.start("a", lease=LEASE)
    only.await_live()
    standby = ingesters.start("b", lease=LEASE)
    standby.await_live()
    await_waiting_maker(standby)
    [maker] = makers_of(standby)
    os.kill(maker, signal.SIGSTOP)
    only.process.kill()
    took = seconds_until(lambda: not Path(f"/proc/{maker}").exists(), "the waiting maker is killed")
    assert took < TAKEOVER_SECONDS
    standby.await_live()
    assert standby.await_role("leader")
    assert "it has not started within 3 s" in "".join(standby.stderr)
    ingesters.check_slot()


def test_a_maker_that_stalls_for_less_than_a_lease_goes_on(ingesters):
    leader, standby = ingesters.pair(lease=LEASE)
    fence = leader.cluster()["fence"]
    [maker] = makers_of(leader)
    for _ in range(2):
        os.kill(maker, signal.SIGSTOP)
        time.sleep(0.6 * LEASE)
        os.kill(maker, signal.SIGCONT)
        time.sleep(0.6)
    leader.await_live()
    assert leader.cluster()["fence"] == standby.cluster()["fence"] == fence
    assert makers_of(leader) == [maker]
