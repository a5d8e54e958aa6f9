import asyncio
import os

import msgspec
import pytest

from condord.check import bus
from condord.check.slot import OnBus, of_daemon, of_leader
from condord.cluster.bus_frames import SNAPSHOTS
from condord.cluster.fenced import FencedKey
from condord.cluster.kv import KvBucket
from condord.config.schema import Cluster
from condord.live import wire
from tests.check.machine import failed, free_port, locked
from tests.cluster.leases import ReadyLease
from tests.cluster.nats_server import nats_server, running
from tests.fakes import documents

__all__ = ["nats_server"]

AT = "2026-03-02T15:00:05.250000Z"
REFUSED = "another connection holds the account's one option stream (406)"


def status(code=None, reason=None, *, connected=True, at=None):
    base = documents.report()
    return {
        "state": "live" if connected else "reconnecting",
        "code": code,
        "reason": reason,
        "stream": base["stream"] | {"connected": connected, "nextAttemptAt": at},
    }


def counted(at=None):
    return status("connectionLimit", REFUSED, connected=False, at=at)


def report(role="standby", leader="a:1", **changes):
    return msgspec.convert(documents.report(cluster={"role": role, "leader": leader}, **changes), wire.StatusReport)


def stored(**changes):
    return msgspec.convert(documents.report(**changes), wire.StatusReport)


@pytest.mark.parametrize("role", ["leader", "standby"])
@pytest.mark.parametrize("changes", [{}, status("busLost", "the bus is lost", connected=None)])
def test_an_ingesters_report_on_the_stream_is_ignored_while_the_bus_does_not_answer(role, changes):
    found = of_daemon(report(role, **changes), OnBus(leader=None))
    assert (found.result, found.text) == (
        "warn",
        "the bus does not answer, so it is not known whether another ingester has it",
    )


@pytest.mark.parametrize("role", ["leader", "standby"])
def test_an_ingester_that_has_lost_the_bus_does_not_know_who_has_the_stream(role):
    lost = report(role, None, **status("busLost", "the bus is lost", connected=None))
    found = of_daemon(lost, OnBus())
    assert found.result == "warn"
    assert "has lost the bus, so it is not known whether another ingester has it" in found.text


def test_the_bus_knows_the_leader_better_than_an_ingester_that_has_lost_it():
    lost = report(leader="a:1", **status("busLost", "the bus is lost", connected=None))
    assert of_daemon(lost, OnBus(leader="b:2", status=stored())).text.endswith("stands by: b:2 leads and has it")
    assert of_daemon(lost, OnBus(leader="b:2")).text.endswith("stands by: b:2 leads")
    assert of_daemon(lost, OnBus(leader="b:2", status=stored(**counted()))).result == "fail"


def test_a_lost_leader_is_not_reported_to_have_the_stream():
    lost = report(leader="a:1", **status("leaderLost", "the leader is lost", connected=None))
    assert of_daemon(lost, OnBus()).text.endswith("stands by: there is no leader")


@pytest.mark.parametrize(("at", "when"), [(None, ""), (AT, " at 15:00:05 UTC")])
def test_a_leader_whose_connection_alpaca_refuses_fails_with_the_remedy(at, when):
    text = f"leads, but Alpaca counts another connection (406); it is tried again{when}"
    results = [
        (of_daemon(report("leader", **counted(at)), OnBus("a:1")), f"condord, process 4711, {text}"),
        (of_daemon(report("standby", **counted(at)), OnBus("a:1")), f"condord, process 4711, stands by: a:1 {text}"),
        (of_leader(OnBus("a:1", status=stored(**counted(at)))), f"a:1 {text.replace('leads', 'leads on the bus')}"),
    ]
    for found, expected in results:
        assert (found.result, found.text) == ("fail", expected)
        assert found.hint.startswith("Wait: after a takeover, Alpaca may still count the connection of the former")
        assert found.hint.endswith("stop the other program that uses this key.")


def test_a_leader_that_is_not_connected_for_another_reason_is_a_warning_with_it():
    broken = status("unreachable", "it is closed", connected=False)
    for found in (
        of_leader(OnBus("a:1", status=stored(**broken))),
        of_daemon(report("standby", **broken), OnBus("a:1")),
    ):
        assert (found.result, found.text.endswith("but is not connected: it is closed")) == ("warn", True)


def test_the_status_of_a_leader_decides_whether_it_has_the_stream():
    assert of_leader(OnBus("a:1", status=stored())).text == (
        "a:1 leads on the bus and has it, and `condord start` would stand by"
    )
    assert of_leader(OnBus("a:1")).text == "a:1 leads on the bus, and `condord start` would stand by"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("block", "of_this_leader", "code"),
    [
        (documents.document(status=documents.status(**counted())), True, "connectionLimit"),
        (documents.document(status=documents.status(**counted())), False, None),
        (b'id: e-1\nevent: snapshot\ndata: {"of": "another version"}\n\n', True, None),
        (b"", True, None),
        (None, True, None),
    ],
    ids=["of the leader", "of the one before", "of another version", "no event", "nothing"],
)
def test_the_bus_has_the_status_that_the_leader_has_stored(nats_server, block, of_this_leader, code):
    server = nats_server()
    if isinstance(block, dict):
        block = b"id: e-1\nevent: snapshot\ndata: " + msgspec.json.encode(block) + b"\n\n"

    async def scenario():
        own = server.bus()
        async with running(own):
            fence = await ReadyLease(own, "desk").acquire("a:1")
            if block is not None:
                await FencedKey(KvBucket(own, SNAPSHOTS), "desk").write(fence - (not of_this_leader), block)
            return await bus.known(Cluster(role="ingest", bus=server.url, account="desk"), None, {}, "desk")

    found = asyncio.run(scenario())
    assert found.leader == "a:1"
    assert (found.status and found.status.code) == code


@pytest.mark.slow
@pytest.mark.parametrize("is_locked", [True, False])
def test_a_standby_without_a_bus_is_not_reported_as_having_no_leader(machine, is_locked):
    machine.alpaca["option_stream_url"] = "ws://127.0.0.1:9/x"
    machine.cluster = Cluster(role="ingest", bus=f"nats://127.0.0.1:{free_port()}", account="desk")
    lost = status("busLost", "the bus is lost", connected=None) | {"state": "standby"}
    standby = {"role": "standby", "leader": None}
    lock = locked(machine) if is_locked else None
    with machine.running_daemon(pid=os.getpid(), source="simulator", cluster=standby, stocks=None, **lost):
        checks = machine.check()
    if lock is not None:
        lock.__exit__()
    assert failed(checks) == ["bus"]
    assert (checks["slot-free"].result, checks["slot-free"].text) == (
        "warn",
        "the bus does not answer, so it is not known whether another ingester has it",
    )
