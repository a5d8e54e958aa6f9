"""Two ingesters on a real NATS server: one leads, and the other takes over when the first fails."""

import os
import re
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from condord.cluster.stall_detector import GRACE_SECONDS
from condord.upstream.account_identity import ACCOUNT_WAIT_SECONDS
from tests.cluster.processes.ingesters import await_waiting_maker, cluster, makers_of, seconds_until
from tests.cluster.processes.running import closing_link, compare_servers
from tests.cluster.processes.test_bus_relay import BusRelay
from tests.e2e.running import Follower, Simulated, closing_program, fetch, until

pytestmark = pytest.mark.slow

LEASE = 3.0
TAKEOVER_SECONDS = 8.0


@pytest.fixture
def ingesters(tmp_path):
    with cluster(tmp_path) as running_cluster:
        yield running_cluster


def epoch(follower) -> str:
    return (follower.last_id or "").partition("-")[0]


def test_two_ingesters_that_start_at_once_have_one_leader_whose_document_both_serve(ingesters):
    leader, standby = ingesters.pair()
    found = standby.await_role("standby")
    assert (found["leader"], found["source"]) == (leader.name, None)
    assert found["fence"] == leader.cluster()["fence"] > 0
    assert standby.status()["state"] == "standby"
    assert standby.document()["status"]["state"] == "live"
    assert leader.status()["state"] == "live"
    with closing(Follower(leader.url)) as one, closing(Follower(standby.url)) as other:
        until(lambda: len(one.documents.keys() & other.documents.keys()) > 5, "versions that both have")
        for version in one.documents.keys() & other.documents.keys():
            mine, theirs = one.documents[version], other.documents[version]
            assert mine["quotes"] == theirs["quotes"], version
    assert standby.get("/readyz")[0] == 200
    for each in (leader, standby):
        assert fetch(f"{each.url}/api/trades")[0] == 200
        assert fetch(f"{each.url}/api/refresh", method="POST")[0] in (202, 204, 429)
    found, of_standby = leader.metrics(), standby.metrics()
    assert found["condord_cluster_role{state=leader}"] == 1
    assert found["condord_upstream_connected{stream=option}"] == 1
    assert found["condord_rest_request_duration_seconds_count{code=200,endpoint=positions}"] >= 1
    assert found["condord_history_fault"] == 0
    assert not {"condord_rule_evaluations_total", "condord_upstream_connected{stream=option}"} & of_standby.keys()
    leader.process.send_signal(signal.SIGHUP)
    until(lambda: "".join(leader.stderr).count("Configuration reloaded") == 2, "front and maker have reloaded")
    labels = [re.search(r"^\d{4}-.* process=(\w+)", line) for line in leader.stderr if "serves at" not in line]
    assert {label[1] for label in labels} == {"front", "maker"}
    reloaded = [line for line in leader.stderr if "Configuration reloaded" in line]
    assert sorted(re.search("process=(\\w+)", line)[1] for line in reloaded) == ["front", "maker"]
    ingesters.check_slot()


def test_the_standby_takes_over_from_a_killed_leader_and_its_subscribers_stay(ingesters):
    leader, standby = ingesters.pair(lease=LEASE)
    await_waiting_maker(standby)
    fence = leader.cluster()["fence"]
    makers = makers_of(leader)
    with closing(Follower(standby.url)) as follower:
        until(lambda: len(follower.documents) > 2, "events")
        old = epoch(follower)
        leader.process.kill()
        took = seconds_until(lambda: epoch(follower) != old, "the epoch of another leader")
        assert took < TAKEOVER_SECONDS
        standby.await_live()
        count = len(follower.documents)
        until(lambda: len(follower.documents) > count + 3, "further events")
        assert not follower.ended.is_set()
    found = standby.await_role("leader")
    assert found["fence"] > fence
    assert found["leader"] == standby.name
    assert not [pid for pid in makers if Path(f"/proc/{pid}/stat").exists()]
    ingesters.check_slot()


def test_a_clean_stop_hands_over_at_once(ingesters):
    leader, standby = ingesters.pair(lease=12.0)
    await_waiting_maker(standby)
    with closing(Follower(standby.url)) as follower:
        until(lambda: len(follower.documents) > 2, "events")
        old = epoch(follower)
        assert leader.stop() == 0
        assert seconds_until(lambda: epoch(follower) != old, "the epoch of another leader") < TAKEOVER_SECONDS
        first = next(document for version, document in follower.documents.items() if not version.startswith(old))
    # Else another snapshot would follow at once.
    assert not [leg for condor in first["condors"] for leg in condor["legs"] if leg["multiplierAssumed"]]
    ingesters.check_slot()


def test_a_leader_that_was_suspended_is_a_standby_when_it_wakes(ingesters):
    leader, standby = ingesters.pair()
    leader.process.send_signal(signal.SIGSTOP)
    try:
        standby.await_role("leader")
        standby.await_live()
        time.sleep(3)
    finally:
        leader.process.send_signal(signal.SIGCONT)
    found = leader.await_role("standby")
    until(lambda: leader.cluster()["leader"] == standby.name, "it follows the new leader")
    assert leader.cluster()["fence"] >= found["fence"]
    leader.await_live()
    standby.await_role("leader")
    ingesters.check_slot()


def test_a_standby_that_was_stopped_does_not_take_the_leader_for_lost(ingesters):
    leader, standby = ingesters.pair()

    def losses():
        return "".join(standby.stderr).count("The leader is lost")

    before = losses()
    for _ in range(2):
        standby.process.send_signal(signal.SIGSTOP)
        time.sleep(3)
        standby.process.send_signal(signal.SIGCONT)
        until(lambda: standby.document()["status"]["code"] is None, "it has caught up")
        time.sleep(GRACE_SECONDS)
    assert losses() == before
    leader.await_role("leader")


def test_a_leader_without_the_bus_ends_its_connection_before_another_leads(ingesters):
    with closing_link(ingesters.nats.url) as link:
        leader = ingesters.start("a", bus=link.url.replace("http", "nats"))
        leader.await_live()
        standby = ingesters.start("b")
        standby.await_live()
        link.do("stall")
        status = leader.await_role("standby")
        # It is no longer live as soon as it does not lead, even before it notices that the bus does not answer.
        shown = leader.status()
        assert shown["state"] == "standby"
        assert shown["code"] in ("busLost", "leaderLost")
        assert status["leader"] is None
        standby.await_role("leader")
        standby.await_live()

        def lost():
            status = leader.get("/api/positions")[1]["status"]
            return (status["state"], status["code"]) == ("reconnecting", "busLost")

        until(lost, "busLost")
        assert leader.get("/readyz")[0] == 503
        link.do("resume")
        leader.await_live()
        assert leader.cluster()["role"] == "standby"
    ingesters.check_slot()


def test_a_bus_that_is_back_after_2_s_has_one_leader_again(ingesters):
    leader, standby = ingesters.pair()
    fence = leader.cluster()["fence"]
    ingesters.nats.kill()
    time.sleep(2)
    ingesters.nats.start()

    def check():
        found = [each.cluster() for each in (leader, standby)]
        roles = sorted(each.get("role", "") for each in found)
        has_one = roles == ["leader", "standby"] and all(each["leader"] and each["fence"] > fence for each in found)
        return found if has_one else None

    found = until(check, lambda: f"one leader: {leader.stderr} {standby.stderr}")
    assert found[0]["fence"] == found[1]["fence"]
    assert found[0]["leader"] == found[1]["leader"]
    for each in (leader, standby):
        each.await_live()
    ingesters.check_slot()


def test_a_bus_that_has_lost_its_store_has_one_leader_again_with_a_higher_fence(ingesters):
    leader, standby = ingesters.pair(lease=LEASE)
    await_waiting_maker(standby)
    relay = ingesters.stack.enter_context(closing_program(BusRelay(ingesters.nats.url)))
    for down_seconds in (0.5, LEASE + 3):  # the leader still has its lease, or not any longer
        fence = max(each.cluster()["fence"] for each in (leader, standby))
        ingesters.nats.kill()
        ingesters.nats.lose_store()
        time.sleep(down_seconds)
        ingesters.nats.start()

        def leading(before=fence):
            found = [each for each in (leader, standby) if each.cluster().get("role") == "leader"]
            return found if [each for each in found if each.cluster()["fence"] > before] else None

        assert seconds_until(leading, "one leads again") < TAKEOVER_SECONDS
        [leads] = leading()
        leads.await_live()
        until(
            lambda found=leads: relay.status()["cluster"]["fence"] == found.cluster()["fence"], "the relay follows it"
        )
        relay.await_read()
        compare_servers(leads, relay, 3)
    logged = "".join(leader.stderr) + "".join(standby.stderr)
    assert "cannot be read" not in logged
    assert logged.count("The bus has lost its state") == 4  # each ingester, twice
    ingesters.check_slot()


def test_a_dead_leaders_slot_shows_as_connection_limit_until_it_is_free(ingesters):
    leader, standby = ingesters.pair()
    ingesters.simulated.fault("connection-406", seconds=4)
    leader.process.kill()

    def limited():
        status, body = standby.get("/api/positions")
        return status == 200 and (body["status"]["state"], body["status"]["code"]) == (
            "reconnecting",
            "connectionLimit",
        )

    until(limited, "connectionLimit")
    standby.await_live()


def test_another_account_is_refused_until_a_restart(ingesters, tmp_path):
    key = tmp_path / "key"
    key.write_text("KEYFORTESTS")
    key.chmod(0o600)
    files = {"CONDORD_ALPACA_KEY_ID_FILE": str(key), "CONDORD_ALPACA_SECRET_KEY_FILE": str(key)}
    only = ingesters.start("a", APCA_API_KEY_ID="", APCA_API_SECRET_KEY="", **files)
    only.await_live()
    fence = only.cluster()["fence"]
    key.write_text("KEYOFANOTHER")
    only.process.send_signal(signal.SIGHUP)
    refused = "an ingester keeps the account of its start"
    until(lambda: "".join(only.stderr).count(refused) == 2, "front and maker have refused it")
    assert only.await_live()
    assert only.cluster()["fence"] == fence
    for pid in makers_of(only):
        os.kill(pid, signal.SIGKILL)
    assert only.wait() == 78
    assert "Configuration reloaded" not in "".join(only.stderr)


def test_nothing_of_another_account_is_shown_while_alpaca_does_not_say_which_it_is(ingesters):
    named = {"CONDORD_CLUSTER_ACCOUNT": "desk"}
    leader = ingesters.start("a", **named)
    own = {condor["id"] for condor in leader.await_live()["condors"]}
    with closing_program(Simulated("--seed", "9")) as other:
        other.fault("rest-stall", path="/v2/account")
        ingesters.simulated, simulated = other, ingesters.simulated
        foreign = ingesters.start("b", **named)
        ingesters.simulated = simulated
        foreign.await_role("standby")
        assert leader.stop() == 0
        foreign.await_role("leader")

        def waits():
            error = foreign.document()["status"]["positions"]["error"]
            return error and "Alpaca has not answered yet which account the key belongs to" in error["text"]

        until(waits, lambda: f"the reason: {foreign.stderr}")
        time.sleep(2 * ACCOUNT_WAIT_SECONDS)
        document = foreign.document()
        assert {condor["id"] for condor in document["condors"]} <= own
        assert (document["quotes"], document["account"], document["status"]["positions"]["readAt"]) == ([], None, None)
        other.clear()
        assert foreign.wait() == 78


def test_a_key_of_another_account_under_the_same_name_ends_an_ingester_before_it_publishes(ingesters):
    named = {"CONDORD_CLUSTER_ACCOUNT": "desk"}
    leader = ingesters.start("a", **named)
    leader.await_live()
    with closing_program(Simulated("--seed", "9")) as other:
        ingesters.simulated, own = other, ingesters.simulated
        foreign = ingesters.start("b", **named)
        ingesters.simulated = own
        foreign.await_role("standby")
        fence = leader.cluster()["fence"]
        assert leader.stop() == 0
        assert foreign.wait() == 78
    log = "".join(foreign.stderr)
    assert "the API key is for another account than the one that the bus has under this name" in log
    assert "cluster.account" in log
    again = ingesters.start("a", **named)
    assert again.await_live()["condors"]
    assert again.cluster()["fence"] > fence


def test_an_error_of_the_maker_that_cannot_be_retried_ends_the_front(ingesters, tmp_path):
    key = tmp_path / "key"
    key.write_text("KEYFORTESTS")
    key.chmod(0o600)
    files = {"CONDORD_ALPACA_KEY_ID_FILE": str(key), "CONDORD_ALPACA_SECRET_KEY_FILE": str(key)}
    only = ingesters.start("a", APCA_API_KEY_ID="", APCA_API_SECRET_KEY="", **files)
    only.await_live()
    key.unlink()
    for pid in makers_of(only):
        os.kill(pid, signal.SIGKILL)
    assert only.wait() == 77
    assert f"{key}" in "".join(only.stderr)
