"""The next leader knows the history of each alert."""

from contextlib import ExitStack

import pytest

from tests.cluster.processes.ingesters import Cluster
from tests.e2e.alerting import BEYOND, CALM, await_alert, channel, settle
from tests.e2e.conftest import files, lasting_market, market, receiver
from tests.e2e.running import fetch, until

__all__ = ["files", "lasting_market", "market", "receiver"]

pytestmark = pytest.mark.slow


@pytest.fixture
def pair(tmp_path, market, files):
    """A leader whose rule is evaluated, and a standby."""
    with ExitStack() as stack:
        leader, standby = Cluster(stack, tmp_path, market.simulated).pair("--config", str(files.path))
        leader.await_evaluated()
        yield leader, standby


def test_an_alert_is_not_delivered_again_and_stays_acknowledged(pair, market, receiver):
    leader, standby = pair
    market.move(BEYOND)
    fired = await_alert(standby, "firing")
    until(lambda: receiver.posts, "the delivery")
    assert fetch(f"{standby.url}/api/alerts/{fired['id']}/acknowledge", method="POST")[0] == 204
    until(lambda: channel(leader)["waiting"] == 0, lambda: channel(leader))
    seen = await_alert(leader, "firing")
    assert seen["acknowledgedAt"]
    leader.process.kill()
    standby.await_role("leader")
    standby.await_evaluated()
    assert await_alert(standby, "firing") == seen
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
