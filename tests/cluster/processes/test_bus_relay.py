"""A daemon whose frames are on a real bus, and relays of that bus, as programs."""

import re
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.cluster.nats_server import NatsServer
from tests.cluster.processes.publishing import Publishing
from tests.cluster.processes.running import QUICK_RELAY, Raw, Relay, compare_servers, same_documents
from tests.e2e.environs import QUICK, UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import Condord, Follower, Program, Simulated, closing_program, compare_samples, fetch, until

pytestmark = pytest.mark.slow


class BusRelay(Relay):
    """`condord start` as a relay of a bus."""

    def __init__(self, bus: str, **environ: str) -> None:
        own = {"CONDORD_CLUSTER_ROLE": "relay", "CONDORD_CLUSTER_BUS": bus}
        Program.__init__(self, "start", "--port", "0", environ={**QUICK_RELAY, **own, **environ})
        self.url = self.await_line(r"serves at (\S+)")[1]


class OnBus:
    """A simulator, a daemon of it that is published on a bus, and a relay of the bus."""

    def __init__(self, stack, place):
        self.simulated = stack.enter_context(closing_program(Simulated(**replaced(**UNPACED))))
        self.source = stack.enter_context(closing_program(Condord(self.simulated, **QUICK)))
        self.source.await_state("live")
        self.source.await_priced()
        self.source.await_account_read()
        self.nats = NatsServer(place)
        stack.callback(self.nats.close)
        self.publishing = Publishing(self.source.url, self.nats)
        stack.callback(self.close)
        self.relay = stack.enter_context(closing_program(BusRelay(self.nats.url)))
        self.relay.await_read()
        self.simulated.post("market", rate=10)

    def close(self):
        self.publishing.close()  # another one may have taken its place


@pytest.fixture(scope="module")
def on_bus(tmp_path_factory):
    with ExitStack() as stack:
        yield OnBus(stack, tmp_path_factory.mktemp("bus"))


def test_frames_pass_the_bus_byte_for_byte_with_their_ids(on_bus):
    with closing(Raw(on_bus.source.url)) as at_source, closing(Raw(on_bus.relay.url)) as at_relay:
        until(lambda: len(at_source.events) > 25 and len(at_relay.events) > 25, "25 events of each")
    first, second = at_source.by_id(), at_relay.by_id()
    common = first.keys() & second.keys()
    assert len(common) >= 15
    assert [first[version] for version in common] == [second[version] for version in common]


def test_the_document_equals_the_daemons_at_the_same_version(on_bus):
    compare_servers(on_bus.source, on_bus.relay, 5)
    with closing(Follower(on_bus.relay.url)) as follower, closing(Follower(on_bus.source.url)) as at_source:
        assert compare_samples(on_bus.relay, follower, 5) >= 5
        same_documents(at_source, follower, 5)


def test_a_relay_of_a_bus_may_have_workers(on_bus):
    environ = {"CONDORD_SERVER_WORKERS": "2"}
    with (
        closing_program(BusRelay(on_bus.nats.url, **environ)) as relay,
        closing(Follower(on_bus.source.url)) as at_source,
    ):
        relay.await_read()
        with closing(Follower(relay.url)) as follower:
            same_documents(at_source, follower, 3)
        cluster = relay.status()["cluster"]
        assert (cluster["role"], cluster["fence"]) == ("relay", on_bus.relay.status()["cluster"]["fence"])
        until(lambda: relay.get("/api/trades")[0] == 200, "the leader is asked")
        assert relay.stop() == 0


def test_changed_positions_bring_a_snapshot(on_bus):
    with closing(Follower(on_bus.relay.url)) as follower:
        until(lambda: follower.documents, "a first document")
        leg = on_bus.source.document()["unmatched"][0]["symbol"]
        on_bus.simulated.post("positions", positions=[{"symbol": leg, "qty": 0}], fill=True)
        until(lambda: all(quote["symbol"] != leg for quote in follower.document["quotes"]), "the contract is gone")
        assert follower.names.count("snapshot") >= 2


def test_history_trades_and_changes_are_asked_of_the_leader(on_bus):
    for path in ("/api/history?points=7", "/api/trades", "/api/trades.csv", "/api/alerts"):
        at_source, at_relay = (fetch(f"{server.url}{path}") for server in (on_bus.source, on_bus.relay))
        assert at_relay[0] == at_source[0] == 200
        assert at_relay[1]["Content-Type"] == at_source[1]["Content-Type"]
    assert fetch(f"{on_bus.relay.url}/api/refresh", method="POST")[0] == 202


def test_the_status_names_the_leader_and_its_fence(on_bus):
    cluster = until(lambda: _led(on_bus.relay), "the leader")
    assert (cluster["role"], cluster["leader"], cluster["source"]) == ("relay", "host:1", None)
    assert cluster["fence"] == on_bus.publishing.fence
    assert cluster["lagMs"] >= 0
    _, _, metrics = fetch(f"{on_bus.relay.url}/metrics")
    text = metrics if isinstance(metrics, str) else metrics.decode()
    assert 'condord_cluster_role{state="relay"} 1.0' in text
    assert re.search(r"^condord_cluster_gaps_total \d", text, re.MULTILINE)


def _led(relay):
    cluster = relay.status()["cluster"]
    return cluster if cluster["leader"] else None


def test_a_relay_of_a_bus_is_as_small_as_any_relay(on_bus):
    class Fresh(BusRelay):
        MAY_BE_PRELOADED = False

    with closing_program(Fresh(on_bus.nats.url)) as relay:
        relay.await_read()
        with closing(Follower(relay.url)) as follower:
            until(lambda: len(follower.events) > 20, "some events")
            fetch(f"{relay.url}/api/trades")
            status = Path(f"/proc/{relay.process.pid}/status").read_text()
    assert int(status.partition("VmRSS:")[2].split()[0]) < 45_000


PROBE = """
import sys
from condord.daemon import relay_service
from condord.cli import relay
print([name for name in sys.modules if name.partition(".")[0] in ("nats", "nkeys", "nacl")])
"""


def test_a_relay_of_a_source_does_not_import_the_client_of_a_bus():
    ran = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_a_killed_bus_and_a_replaced_leader_are_reported_and_recovered_from(on_bus):
    with closing(Follower(on_bus.relay.url)) as follower:
        until(lambda: follower.documents, "a first document")
        on_bus.nats.kill()
        on_bus.relay.await_code("busLost")
        assert on_bus.relay.get("/readyz")[0] == 503
        assert follower.document["status"]["code"] == "busLost"
        code, _, problem = fetch(f"{on_bus.relay.url}/api/refresh", method="POST")
        assert (code, problem["detail"]) == (503, f"the bus {on_bus.nats.url} is lost; it was not carried out")
        on_bus.nats.start()
        on_bus.relay.await_code(None)
        compare_servers(on_bus.source, on_bus.relay, 3)
        before = on_bus.publishing.fence
        on_bus.publishing.close()
        on_bus.relay.await_code("leaderLost")
        code, _, problem = fetch(f"{on_bus.relay.url}/api/refresh", method="POST")
        assert (code, problem["detail"]) == (
            503,
            f"the leader on the bus {on_bus.nats.url} is lost; it was not carried out",
        )
        on_bus.publishing = Publishing(on_bus.source.url, on_bus.nats, name="host:2")
        on_bus.relay.await_code(None)
        compare_servers(on_bus.source, on_bus.relay, 3)
        until(lambda: on_bus.relay.status()["cluster"]["leader"] == "host:2", "the name of the other leader")
        assert on_bus.relay.status()["cluster"]["fence"] >= before
        until(lambda: follower.document["status"]["code"] is None, "the status of the source")


def test_a_bus_that_hangs_is_reported_and_no_earlier_frame_comes_late(on_bus):
    with closing(Follower(on_bus.relay.url)) as follower:
        until(lambda: len(follower.documents) > 3, "some events")
        on_bus.nats.pause()
        until(lambda: on_bus.relay.status()["code"] in ("leaderLost", "busLost"), "the loss is reported")
        on_bus.relay.await_code("busLost")
        on_bus.nats.resume()
        on_bus.relay.await_code(None)
        compare_servers(on_bus.source, on_bus.relay, 3)
        until(lambda: follower.document["status"]["code"] is None, "the status of the source")
        numbers = [int(event.id.rpartition("-")[2]) for event in follower.events if event.id]
        assert numbers == sorted(numbers)
