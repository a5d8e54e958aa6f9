"""A source, a relay of it, and a relay of that, as programs: what subscribers of each get is the same."""

import functools
import http.client
import json
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from condord.cli.mirror import Mirror
from condord.client.sse import EventParser
from tests.cluster.processes.running import Raw, Relay, compare_servers, same_documents
from tests.e2e.environs import QUICK, UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import (
    TIMEOUT_SECONDS,
    Condord,
    Follower,
    Program,
    Simulated,
    closing_program,
    compare_samples,
    fetch,
    settled,
    until,
)

pytestmark = pytest.mark.slow

HOPS = 500
RULE = """
[[alert]]
name = "risky"
when = "accountMaxLoss > 0"
severity = "info"
"""
"""Holds as soon as the positions are known."""


class Chain:
    """A simulator, a source of it, and two relays in a row."""

    def __init__(self, stack, place):
        self.simulated = stack.enter_context(closing_program(Simulated(**replaced(**UNPACED))))
        rules = place / "condord.toml"
        rules.write_text(RULE)
        rules.chmod(0o600)
        environ = {**QUICK, "CONDORD_MODEL_INTERVAL_SECONDS": "0.5", "CONDORD_CONFIG": str(rules)}
        self.source = stack.enter_context(closing_program(Condord(self.simulated, **environ)))
        self.source.await_state("live")
        self.source.await_priced()
        self.source.await_account_read()
        self.near = stack.enter_context(closing_program(Relay(self.source.url)))
        self.near.await_read()
        self.far = stack.enter_context(closing_program(Relay(self.near.url, CONDORD_SERVER_RING_SIZE="4")))
        self.far.await_read()
        self.simulated.post("market", rate=10)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    with ExitStack() as stack:
        yield Chain(stack, tmp_path_factory.mktemp("chain"))


def test_frames_pass_two_relays_byte_for_byte(chain):
    with ExitStack() as stack:
        raws = [stack.enter_context(closing(Raw(server.url))) for server in (chain.source, chain.near, chain.far)]
        until(lambda: all(len(raw.events) > 25 for raw in raws), "25 events of each")
    first, *others = [raw.by_id() for raw in raws]
    for other in others:
        common = first.keys() & other.keys()
        assert len(common) >= 15
        assert [first[version] for version in common] == [other[version] for version in common]
    names = {event.name for raw in raws[1:] for event in raw.events}
    assert {"snapshot", "delta"} <= names


def test_the_document_equals_the_sources_at_the_same_version(chain):
    compare_servers(chain.source, chain.near, 5)
    compare_servers(chain.source, chain.far, 5)


def test_a_subscriber_of_the_far_relay_has_the_document_of_get_positions_at_every_version(chain):
    with closing(Follower(chain.far.url)) as follower:
        assert compare_samples(chain.far, follower, 10) >= 10
        assert follower.names[0] == "snapshot"


@pytest.mark.parametrize("query", ["condor", "symbol", "interval=400", "condor+interval"])
def test_filters_and_intervals_show_the_same_at_each_server(chain, query):
    condor = chain.source.document()["condors"][0]
    query = {
        "condor": f"condor={condor['id']}",
        "symbol": f"symbol={condor['legs'][0]['symbol']}",
        "condor+interval": f"condor={condor['id']}&interval=300",
    }.get(query, query)
    with ExitStack() as stack:
        # Without an interval at the source: a view with one is at other versions.
        plain = query.partition("&")[0] if "=" in query and not query.startswith("interval") else ""
        at_source = stack.enter_context(closing(Follower(chain.source.url, f"/api/stream?{plain}")))
        at_far = stack.enter_context(closing(Follower(chain.far.url, f"/api/stream?{query}")))
        same_documents(at_source, at_far, 4)


def test_a_slow_subscriber_gets_a_snapshot_instead_of_the_events_it_missed(chain):
    with closing(Raw(chain.far.url, receive_bytes=2048)) as raw:
        until(lambda: raw.events, "a first event")
        raw.pause()
        until(lambda: chain.far.status()["dropped"] > 0, "frames are dropped", timeout=120)
        raw.resume()
        until(lambda: any(event.resync == "ringOverflow" for event in raw.events), "a resync")
        assert [event.name for event in raw.events if event.resync] == ["snapshot"]
    assert chain.far.status()["resyncs"]["ringOverflow"] >= 1


def test_changed_positions_bring_a_snapshot_at_the_far_relay(chain):
    with closing(Follower(chain.far.url)) as follower:
        until(lambda: follower.documents, "first document")
        leg = chain.source.document()["unmatched"][0]["symbol"]
        chain.simulated.post("positions", positions=[{"symbol": leg, "qty": 0}], fill=True)
        until(lambda: follower.names.count("snapshot") >= 2, "a second snapshot")
        until(lambda: all(q["symbol"] != leg for q in follower.document["quotes"]), "the contract is gone")
        compare_samples(chain.far, follower, 3)


def test_a_client_that_changes_servers_five_hundred_times_misses_nothing_and_gets_deltas(chain):
    """The client goes to the next server with the last id of the one before, whether that is there already or not."""
    servers = (chain.source, chain.far, chain.near)
    mirror, version = Mirror(), None
    snapshots = compared = 0
    with closing(Follower(chain.source.url)) as at_source:
        until(lambda: at_source.documents, "a document")
        for hop in range(HOPS):
            first = first_event(servers[hop % 3].url, version)
            assert version is None or number(first.id) >= number(version)
            snapshots += first.name == "snapshot"
            mirror.apply(first)
            version = first.id
            until(functools.partial(has_reached, at_source, version), "the source's subscriber has got there")
            if version in at_source.documents:  # else it is of before that subscriber came
                compared += 1
                assert settled(mirror.document) == settled(at_source.documents[version])
    assert snapshots == 1
    assert compared > HOPS * 0.9


def has_reached(follower: Follower, version: str) -> bool:
    return number(follower.last_id) >= number(version)


def number(version: str) -> int:
    return int(version.rpartition("-")[2])


def first_event(url: str, version: str | None):
    """The first event with an id of a stream that resumes after `version`."""
    headers = {} if version is None else {"Last-Event-ID": version}
    with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=TIMEOUT_SECONDS)) as link:
        link.request("GET", "/api/stream", headers=headers)
        answer, parser = link.getresponse(), EventParser()
        while True:
            for event in parser.feed(answer.read1(65_536)):
                if event.id:
                    return event


def test_history_trades_and_alerts_equal_the_sources(chain):
    for path in (
        "/api/trades",
        "/api/trades.csv",
        "/api/history",
        "/api/history.csv?points=5",
        "/api/history?points=x",
    ):
        near, source = fetch(chain.near.url + path), fetch(chain.source.url + path)
        assert near[0] == source[0]
        assert near[2] == source[2] or "asOf" in near[2]
        for name in ("Content-Type", "Content-Disposition"):
            assert near[1].get(name) == source[1].get(name)
    alerts = fetch(chain.far.url + "/api/alerts")[2]
    assert {rule["name"] for rule in alerts["rules"]} == {
        rule["name"] for rule in fetch(chain.source.url + "/api/alerts")[2]["rules"]
    }
    assert fetch(chain.near.url + "/api/positions.csv")[2].startswith("id,kind,")


def test_requests_that_change_something_are_carried_out_by_the_source(chain):
    assert fetch(chain.far.url + "/api/refresh", method="POST")[0] == 202
    status, _, problem = fetch(chain.far.url + "/api/alerts/none:here/acknowledge", method="POST")
    assert (status, problem["detail"]) == (404, "there is no alert with this id; GET /api/alerts lists the ids")
    status, _, problem = fetch(chain.far.url + "/api/channels/phone/test", method="POST")
    assert (status, problem["detail"]) == (404, "there is no channel with this name; GET /api/alerts lists the names")


def test_an_alert_is_acknowledged_at_the_source_and_seen_everywhere(chain):
    with closing(Follower(chain.far.url)) as follower:
        until(lambda: follower.document and find_alert(follower.document), "the alert fires")
        path = "/api/alerts/risky:account/acknowledge"
        assert fetch(chain.far.url + path, method="POST")[0] == 204
        until(lambda: find_alert(follower.document)["acknowledgedAt"], "the acknowledgement arrives")
        alerts = fetch(chain.near.url + "/api/alerts")[2]["alerts"]
        assert [alert["acknowledgedAt"] is not None for alert in alerts if alert["id"] == "risky:account"] == [True]
        compare_samples(chain.far, follower, 2)


def find_alert(document: dict) -> dict | None:
    return next((alert for alert in document["alerts"] if alert["id"] == "risky:account"), None)


def test_the_status_names_role_and_source(chain):
    assert chain.source.status()["cluster"] == {
        "role": "all", "leader": None, "fence": None, "source": None, "lagMs": None, "gaps": 0, "dropped": 0,
    }  # fmt: skip
    status = chain.far.status()
    assert (status["cluster"]["role"], status["cluster"]["source"]) == ("relay", chain.near.url)
    assert 0 <= status["cluster"]["lagMs"] < 60_000
    assert (status["stocks"], status["state"]) == (None, "live")
    assert chain.far.get("/readyz")[0] == chain.far.get("/livez")[0] == 200


def test_the_metrics_of_a_relay_are_its_own(chain):
    text = chain.near.get("/metrics")[1]
    assert 'condord_cluster_role{state="relay"} 1.0' in text
    assert "condord_cluster_gaps_total 0.0" in text
    assert "condord_cluster_lag_seconds " in text
    assert not [line for line in text.splitlines() if line.startswith(("condord_rest", "condord_upstream"))]
    assert 'condord_cluster_role{state="all"} 1.0' in chain.source.get("/metrics")[1]


def test_the_commands_work_with_a_relay_as_with_a_daemon(chain):
    with closing_program(Program("status", "--url", chain.near.url)) as asking:
        assert asking.wait() == 0
        assert f"relay of     {chain.source.url}" in asking.process.stdout.read()
    with closing_program(Program("positions", "--json", "--url", chain.far.url)) as asking:
        assert asking.wait() == 0
        assert json.loads(asking.process.stdout.read())["condors"]


PROBE = """
import sys
from condord.daemon import relay_service
from condord.cli import relay
print([name for name in sys.modules if name.partition(".")[0] in ("alpaca", "pandas", "numpy", "websockets", "requests")])
"""


def test_a_relay_imports_nothing_that_reads_an_account():
    ran = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_a_relay_is_small(chain):
    """45 MB resident are promised; a new interpreter, as a preloaded one has what the others have imported."""

    class Fresh(Relay):
        MAY_BE_PRELOADED = False

    with closing_program(Fresh(chain.source.url)) as relay:
        relay.await_read()
        with closing(Follower(relay.url)) as follower:
            until(lambda: len(follower.events) > 20, "some events")
            fetch(f"{relay.url}/api/trades")
            status = Path(f"/proc/{relay.process.pid}/status").read_text()
    resident_kb = int(status.partition("VmRSS:")[2].split()[0])
    assert resident_kb < 45_000
