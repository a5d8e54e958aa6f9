"""Ingesters whose user of the NATS server may not do what a leader has to."""

import pytest

from tests.cluster.processes.ingesters import cluster
from tests.cluster.processes.running import QUICK_RELAY
from tests.e2e.running import Program, closing_program, fetch, until

pytestmark = pytest.mark.slow

FRAMES = '{ deny: "condord.*.frames" }'
REMEDY = "permit it to this user of the NATS server"


def users(**publish):
    """The line of a server with these users, who may publish to the subjects in their value."""
    entries = [f"{{ user: {name}, password: p, permissions: {{ publish: {may} }} }}" for name, may in publish.items()]
    return f"authorization {{ users: [{', '.join(entries)}] }}"


@pytest.fixture
def start(tmp_path):
    """Starts an ingester with the credentials of a user; `start.cluster` is the cluster."""
    with cluster(tmp_path, users(one=FRAMES, two='">"')) as running_cluster:

        def start(user):
            file = tmp_path / f"{user}.credentials"
            file.write_text(f"{user}:p")
            file.chmod(0o600)
            return running_cluster.start(user, CONDORD_CLUSTER_CREDENTIALS_FILE=str(file))

        start.cluster = running_cluster
        yield start


def test_an_ingester_without_permission_to_publish_reports_it_and_leads_once_it_is_permitted(start):
    one = start("one")

    def detail():
        return one.get("/api/positions")[1].get("detail", "")

    until(lambda: "the bus forbids this user to publish to condord." in detail(), lambda: f"the reason: {detail()}")
    assert REMEDY in detail()
    assert one.get("/readyz")[0] == 503
    until(lambda: any("The request for the lease failed" in line for line in one.stderr), "the log")
    assert not any("This process leads" in line for line in one.stderr)
    start.cluster.nats.reload(users(one='">"', two='">"'))
    one.await_live()
    assert one.cluster()["role"] == "leader"
    start.cluster.check_slot()


def test_a_leader_that_loses_the_permission_to_publish_gives_way_to_another_ingester(start, tmp_path):
    running_cluster = start.cluster
    running_cluster.nats.reload(users(one='">"', two='">"'))
    one = start("one")
    one.await_role("leader")
    two = start("two")
    two.await_live()
    until(lambda: two.cluster().get("leader") == one.name, lambda: f"it follows the new leader: {two.stderr}")
    environ = {
        **QUICK_RELAY,
        "CONDORD_CLUSTER_ROLE": "relay",
        "CONDORD_CLUSTER_BUS": running_cluster.nats.url,
        "CONDORD_CLUSTER_CREDENTIALS_FILE": str(tmp_path / "two.credentials"),
    }
    with closing_program(Program("start", "--port", "0", environ=environ)) as relay:
        url = relay.await_line(r"serves at (\S+)")[1]
        running_cluster.nats.reload(users(one=FRAMES, two='">"'))
        two.await_role("leader")
        until(lambda: one.cluster().get("leader") == two.name, lambda: f"a standby: {one.stderr}")
        one.await_live()
        assert any("the bus forbids this user to publish to condord." in line for line in one.stderr)

        def followed():
            status = fetch(f"{url}/api/status")[2]
            return status.get("state") == "live" and status["cluster"]["leader"] == two.name

        until(followed, "a relay of the other leader")
    running_cluster.check_slot()
