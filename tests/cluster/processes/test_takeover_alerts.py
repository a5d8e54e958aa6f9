"""The next leader knows the history of each alert."""

from contextlib import ExitStack

import pytest

from tests.cluster.processes.ingesters import QUIET, Cluster
from tests.e2e.alerting import BEYOND, CALM, await_alert, channel, settle
from tests.e2e.conftest import files, lasting_market, market, receiver
from tests.e2e.running import fetch, until

__all__ = ["files", "lasting_market", "market", "receiver"]

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(tmp_path, market):
    with ExitStack() as stack:
        yield Cluster(stack, tmp_path, market.simulated, **QUIET)


@pytest.fixture
def config(files):
    """Arguments of ingesters with the rule."""
    return "--config", str(files.path)


@pytest.fixture
def pair(cluster, config):
    """A leader whose rule is evaluated, and a standby."""
    leader, standby = cluster.pair(*config)
    leader.await_evaluated()
    return leader, standby


def acknowledge(server, alert):
    """Acknowledge an alert at a server, and return the status and the body of the answer."""
    status, _, body = fetch(f"{server.url}/api/alerts/{alert['id']}/acknowledge", method="POST")
    return status, body


def test_an_alert_is_not_delivered_again_and_stays_acknowledged(pair, market, receiver):
    leader, standby = pair
    market.move(BEYOND)
    fired = await_alert(standby, "firing")
    until(lambda: receiver.posts, "the delivery")
    until(lambda: channel(leader)["waiting"] == 0, lambda: channel(leader))
    assert acknowledge(standby, fired)[0] == 204
    leader.process.kill()  # the next leader knows by then that it is acknowledged, and what was delivered before
    standby.await_role("leader")
    standby.await_evaluated()
    seen = await_alert(standby, "firing")
    assert seen["acknowledgedAt"]
    assert {**seen, "acknowledgedAt": None} == fired
    settle()
    assert receiver.kinds == ["firing"]
    market.move(CALM)
    until(lambda: len(receiver.posts) > 1, "the end")
    settle()
    assert receiver.kinds == ["firing", "resolved"]


def test_a_message_that_was_not_delivered_is_delivered_by_the_next_leader_under_its_id(pair, market, receiver):
    leader, standby = pair
    receiver.status = 503
    market.move(BEYOND)
    until(lambda: receiver.posts, "the first attempt")
    fired = await_alert(leader, "firing")
    leader.process.kill()
    receiver.status = 204
    failed = len(receiver.posts)
    until(lambda: len(receiver.posts) > failed, lambda: f"the delivery: {standby.stderr}")
    assert len(receiver.ids) == 1
    assert await_alert(standby, "firing")["since"] == fired["since"]
    until(lambda: channel(standby)["waiting"] == 0, lambda: channel(standby))


def test_a_leader_that_cannot_store_anything_knows_the_alerts_and_hands_them_over(cluster, config, market):
    """Its state directory is on a full disk: here it cannot be created, as a file is in the way."""
    (cluster.directory / "full").touch()
    leader = cluster.start("a", *config)
    leader.await_role("leader")
    leader.await_evaluated()
    market.move(BEYOND)
    fired = await_alert(leader, "firing")
    assert acknowledge(leader, fired)[0] == 204
    full = cluster.start("b", *config, STATE_DIRECTORY=str(cluster.directory / "full" / "state"))
    full.await_live()
    acknowledged = await_alert(leader, "firing")
    leader.process.kill()
    full.await_role("leader")
    full.await_evaluated()
    assert await_alert(full, "firing") == acknowledged
    log = "".join(full.stderr)
    assert "alertsNotStored" in log
    assert "handed over cannot be used" not in log
    again = cluster.start("a", *config)
    again.await_live()
    full.stop()
    again.await_role("leader")
    again.await_evaluated()
    assert await_alert(again, "firing") == acknowledged


def test_an_acknowledgement_that_the_bus_does_not_confirm_is_answered_with_503(cluster, config, market):
    leader = cluster.start("a", *config, lease=10.0)  # which outlasts the pause
    leader.await_role("leader")
    leader.await_evaluated()
    market.move(BEYOND)
    fired = await_alert(leader, "firing")
    until(lambda: channel(leader)["waiting"] == 0, lambda: channel(leader))
    cluster.nats.pause()
    status, body = acknowledge(leader, fired)
    cluster.nats.resume()
    assert status == 503
    assert "the next leader may not know of it" in body["detail"]
    until(lambda: acknowledge(leader, fired)[0] == 204, "it is on the bus")
