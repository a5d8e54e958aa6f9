import contextlib
import os
import socket
import subprocess

import pytest

from condord.config.schema import Cluster
from condord.daemon import wiring
from condord.errors import CredentialsMissing
from condord.host import instance_lock
from tests.check.machine import failed, locked, not_tried, results
from tests.fakes import documents
from tests.fakes.daemon import json, problem, unread

pytestmark = pytest.mark.slow


def test_a_daemon_of_another_source_uses_the_port_and_the_stream_is_still_tried(machine):
    with machine.running_daemon(source="alpaca-live"):
        checks = machine.check()
    assert failed(checks) == ["port-free"]
    assert checks["port-free"].exit_code == 1
    assert "held by a condord of another account" in checks["port-free"].text
    assert results(checks, "option-stream", "slot-free") == ["ok", "ok"]


def test_a_relay_uses_the_port_but_not_the_stream(machine):
    with machine.running_daemon(cluster={"role": "relay", "source": "http://127.0.0.1:1"}, stocks=None):
        checks = machine.check()
    assert failed(checks) == ["port-free"]
    assert "held by a relay" in checks["port-free"].text
    assert results(checks, "option-stream", "slot-free") == ["ok", "ok"]


@pytest.mark.parametrize(
    ("role", "leader", "words"),
    [
        ("leader", "host:1", "has it, and streams"),
        ("standby", "host:1", "stands by: host:1 leads and has it"),
        ("standby", None, "stands by: there is no leader"),
    ],
)
def test_an_ingester_on_a_bus_may_have_its_lock_in_another_process(machine, role, leader, words):
    machine.alpaca["option_stream_url"] = "ws://127.0.0.1:9/x"
    cluster = {"role": role, "leader": leader}
    with locked(machine), machine.running_daemon(pid=os.getpid() + 1, source="simulator", cluster=cluster, stocks=None):
        checks = machine.check()
    assert results(checks, "port-free", "daemon-answers", "slot-free", "stock-stream") == ["ok"] * 4
    assert failed(checks) == []
    assert words in checks["slot-free"].text
    assert "ingester on a bus" in checks["stock-stream"].text


def test_a_daemon_with_a_lock_on_another_key_uses_the_port_and_the_stream_is_still_tried(machine):
    machine.alpaca["option_stream_url"] = ""
    with locked(machine, "OTHERKEY"), machine.running_daemon(pid=os.getpid(), source="simulator"):
        machine.alpaca.clear()
        checks = machine.check()
    assert failed(checks) == ["port-free"]
    assert results(checks, "option-stream", "slot-free") == ["ok", "ok"]


def test_a_daemon_with_our_key_on_another_feed_uses_the_stream_and_gives_a_warning(machine, monkeypatch):
    monkeypatch.setattr(wiring.addresses, "option_stream", lambda feed: f"ws://127.0.0.1:9/{feed}")
    machine.alpaca |= {"option_stream_url": "", "stock_stream_url": "ws://127.0.0.1:9/x", "feed": "opra"}
    with locked(machine):
        machine.alpaca["feed"] = "indicative"
        with machine.running_daemon(pid=os.getpid(), source="simulator", feed="opra"):
            checks = machine.check()
    assert failed(checks) == []
    assert checks["slot-free"].result == "ok"
    assert "follows the feed opra" in checks["daemon-answers"].text
    assert "SIGHUP" in checks["daemon-answers"].hint


def test_without_a_key_a_condord_of_the_same_source_may_use_the_port(machine):
    machine.found = {"key": None, "key_error": CredentialsMissing()}
    with machine.running_daemon(source="simulator"):
        checks = machine.check()
    assert failed(checks) == ["credentials-found"]
    assert results(checks, "port-free", "daemon-answers") == ["ok", "ok"]


def test_a_port_used_by_another_program_fails(machine):
    with socket.create_server(("127.0.0.1", machine.server["port"])):
        checks = machine.check()
    assert failed(checks) == ["port-free"]
    assert "in use" in checks["port-free"].text
    assert f"; http://127.0.0.1:{machine.server['port']} did not answer" in checks["port-free"].text
    assert checks["port-free"].hint.startswith(
        "It hangs, or it was stopped and continues with SIGCONT. Stop the program that listens"
    )
    assert not_tried(checks, "port-free failed") == ["daemon-answers"]


def test_a_daemon_that_refuses_our_token_counts_as_not_answering(machine):
    with machine.running_daemon() as daemon:
        daemon.answers["/api/status"] = problem(401, "no")
        checks = machine.check()
    assert results(checks, "port-free", "daemon-answers") == ["warn", "fail"]
    assert "token" in checks["daemon-answers"].hint


@pytest.mark.parametrize(
    ("code", "hint"), [("busLost", "If it lasts, check that the NATS servers run and can be reached."), (None, "")]
)
def test_an_ingester_that_has_read_nothing_yet_is_not_to_be_stopped_and_no_second_stream_is_tried(machine, code, hint):
    with machine.running_daemon() as daemon:
        daemon.answers["/api/status"] = unread("this ingester stands by", code=code, role="standby", source=None)
        checks = machine.check()
    assert failed(checks) == []
    assert results(checks, "port-free", "daemon-answers", "slot-free") == ["ok", "warn", "warn"]
    assert checks["daemon-answers"].text == "condord 0.2.0, process 4711: this ingester stands by"
    assert checks["daemon-answers"].hint == hint
    assert checks["option-stream"].text.startswith("not tried: condord, process 4711, has read nothing yet")
    assert checks["stock-stream"].text.startswith("not tried: condord, process 4711, has read nothing yet")


def test_a_relay_that_has_read_nothing_yet_holds_the_port_of_a_daemon(machine):
    with machine.running_daemon() as daemon:
        daemon.answers["/api/status"] = unread()
        checks = machine.check()
    assert failed(checks) == ["port-free"]
    assert checks["port-free"].text == "it is held by a relay: process 4711"


@pytest.mark.parametrize("answer", [json(documents.alerts()), problem(503, "lost"), problem(404, "no")])
def test_a_daemon_whose_alerts_cannot_be_read_or_whose_channels_are_enabled_is_ok(machine, answer):
    with machine.running_daemon() as daemon:
        daemon.answers["/api/alerts"] = answer
        assert machine.check()["daemon-answers"].result == "ok"


def test_a_channel_that_the_daemon_has_disabled_is_a_warning(machine):
    channels = [documents.channel(), documents.channel(name="hook", disabled=True)]
    with machine.running_daemon() as daemon:
        daemon.answers["/api/alerts"] = json(documents.alerts(channels=channels))
        check = machine.check()["daemon-answers"]
    assert check.result == "warn"
    assert "it sends nothing to hook" in check.text
    assert "Restart condord" in check.hint


def test_a_unix_socket_is_tried_and_leaves_no_file(machine, tmp_path):
    machine.server["uds"] = str(tmp_path / "socket")
    assert str(tmp_path / "socket") in machine.check()["port-free"].text
    assert not (tmp_path / "socket").exists()


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        (
            {"state": "standby", "code": "leaderLost", "cluster": {"role": "standby"}},
            "If it lasts, see the logs of the ingesters: one of them has to reach the bus and to lead.",
        ),
        ({"state": "halted", "code": "authFailed"}, ""),
        ({"state": "reconnecting", "code": "silent"}, ""),
    ],
)
def test_a_daemon_that_answers_without_a_stream_is_a_warning(machine, changes, hint):
    with machine.running_daemon(reason="it is so", **changes):
        found = machine.check()["daemon-answers"]
    assert (found.result, found.hint) == ("warn", hint)
    assert found.text.endswith(f", {changes['state']}: it is so")


@pytest.mark.parametrize(("pid", "result"), [(os.getpid(), "ok"), (1, "fail")], ids=["of this address", "of another"])
def test_a_state_directory_that_another_ingester_has_fails(machine, tmp_path, pid, result):
    machine.cluster = Cluster(role="ingest", bus="nats://127.0.0.1:1", account="desk")
    machine.environ["STATE_DIRECTORY"] = str(tmp_path / "state")
    assert machine.check()["state-free"].result == "ok"
    assert not (tmp_path / "state").exists()
    role = {"role": "standby", "leader": None}
    with instance_lock.only_ingester("desk", tmp_path / "state"), machine.running_daemon(pid=pid, cluster=role):
        found = machine.check()["state-free"]
    assert (found.result, str(tmp_path / "state") in found.text) == (result, True)
    if result == "fail":
        assert "so `condord start` would exit with 69" in found.text
        assert found.hint == "Give each ingester a state directory of its own: set STATE_DIRECTORY."


def test_without_a_state_directory_no_other_ingester_can_have_it(machine):
    machine.cluster = Cluster(role="ingest", bus="nats://127.0.0.1:1", account="desk")
    found = machine.check()["state-free"]
    assert (found.result, found.text) == ("ok", "without a state directory, no other ingester can have it")


@contextlib.contextmanager
def process_of(name, **environ):
    """A process with this name among its arguments."""
    arguments = ["/bin/sh", "-c", "echo; read line", name]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as process:
        process.stdout.readline()
        yield process.pid
        process.communicate(b"\n")


@pytest.mark.parametrize("is_elected", [True, False])
@pytest.mark.parametrize("has_read", [True, False])
def test_a_condord_at_our_address_with_another_state_directory_fails_as_a_start_would(
    machine, tmp_path, is_elected, has_read
):
    if is_elected:
        machine.cluster = Cluster(role="ingest", bus="nats://127.0.0.1:1", account="desk")
    machine.environ["STATE_DIRECTORY"] = str(tmp_path / "own")
    with process_of("condord", STATE_DIRECTORY=str(tmp_path / "other")) as pid, machine.running_daemon(pid=pid) as fake:
        if not has_read:
            status, headers, body = unread("this ingester stands by", role="standby", source=None)
            fake.answers["/api/status"] = status, headers, body.replace(b"4711", str(pid).encode())
        checks = machine.check()
    found = checks["port-free"]
    assert found.result == "fail"
    assert (
        f"has its state in {tmp_path / 'other'}, so `condord start` with the state in {tmp_path / 'own'}" in found.text
    )
    assert "would exit with 69" in found.text
    assert "--port" in found.hint
    assert checks["option-stream"].text.startswith("not tried: ")


@pytest.mark.parametrize(
    ("name", "own", "other"),
    [("condord", "a", "a"), ("condord", "a", "b/../a"), ("condord", "", "b"), ("another program", "a", "b")],
    ids=["the same", "the same by another path", "the check has none", "not a condord"],
)
def test_a_condord_at_our_address_whose_state_may_be_the_same_is_ours(machine, tmp_path, name, own, other):
    if own:
        machine.environ["STATE_DIRECTORY"] = str(tmp_path / own)
    with process_of(name, STATE_DIRECTORY=str(tmp_path / other)) as pid, machine.running_daemon(pid=pid):
        assert machine.check()["port-free"].result == "ok"


def test_a_demo_without_a_state_directory_is_not_the_condord_of_a_configuration_with_one(machine, tmp_path):
    machine.environ["STATE_DIRECTORY"] = str(tmp_path)
    with process_of("condord") as pid, machine.running_daemon(pid=pid, source="simulator"):
        found = machine.check()["port-free"]
    assert (found.result, "it has no state directory, so" in found.text) == ("fail", True)
