"""How the service starts, is told news, fails and ends, under a real systemd."""

import re
import signal
import time

import pytest

from tests.e2e.running import Follower, fetch, until
from tests.systemd.machine import KEYS, URL, configuration, live, status

pytestmark = pytest.mark.slow


def killed(machine, number: int) -> str:
    """The process that was the service's until it was sent a signal."""
    process = machine.shown("MainPID")
    machine.run(f"kill -{number} {process}")
    return process


def again(machine, process: str) -> None:
    """Wait until another process than this one serves."""
    until(lambda: machine.shown("MainPID") not in {process, "0"}, "another process is there")
    until(lambda: machine.shown("ActiveState") == "active", "it is ready")
    assert status()["pid"] == int(machine.shown("MainPID"))


def stays_down(machine, code: str) -> None:
    """It ended with `code`, and systemd lets it be for longer than it takes to start another."""
    time.sleep(0.6)
    shown = [machine.shown(what) for what in ("ActiveState", "ExecMainStatus", "NRestarts")]
    assert shown == ["failed", code, "0"]


def test_it_is_started_when_it_answers_and_says_to_systemd_what_it_says_to_others(machine):
    machine.run("systemctl start condord")
    assert fetch(f"{URL}/livez")[0] == 200
    live()
    until(lambda: machine.shown("StatusText") == "live", lambda: machine.shown("StatusText"))
    fetch("http://127.0.0.1:8421/simulator/faults", method="POST", body={"fault": "auth-402"})
    fetch("http://127.0.0.1:8421/simulator/faults", method="POST", body={"fault": "reset"})
    halted = until(lambda: (now := status())["state"] == "halted" and now, "the stream is halted")
    until(lambda: machine.shown("StatusText") == f"halted: {halted['reason']}", lambda: machine.shown("StatusText"))
    fetch("http://127.0.0.1:8421/simulator/faults", method="DELETE")


def test_a_reload_takes_a_good_configuration_and_drops_nobody(machine):
    machine.run("systemctl start condord")
    before = live()
    follower = Follower(URL)
    machine.write("/etc/condord/condord.toml", configuration(server="max_subscribers = 7"))
    until(lambda: machine.shown("StatusText") == "live", "systemd knows the state")
    machine.run("systemctl reload condord")
    after = until(lambda: (now := status())["maxSubscribers"] == 7 and now, "it has the new configuration")
    assert after["pid"] == before["pid"]
    until(lambda: machine.shown("ActiveState") == "active", "the reload is over")
    assert machine.shown("StatusText") == "live"
    assert not follower.ended.is_set()
    follower.close()


def test_a_reload_refuses_a_wrong_configuration_and_says_what_is_wrong(machine):
    machine.run("systemctl start condord")
    before = live()
    machine.write("/etc/condord/condord.toml", configuration(server='max_subscribers = "many"'))
    machine.run("systemctl reload condord")
    machine.told("Configuration refused")
    assert "server.max_subscribers" in machine.journal()
    after = live()
    assert (after["pid"], after["maxSubscribers"]) == (before["pid"], before["maxSubscribers"])
    until(lambda: machine.shown("ActiveState") == "active", "the reload is over")


def test_a_frozen_daemon_is_killed_by_the_watchdog_and_started_again(machine):
    machine.drop_in("[Service]\nRestartSec=200ms\nWatchdogSec=2\n")
    machine.run("systemctl start condord")
    live()
    time.sleep(3)
    assert machine.shown("NRestarts") == "0", "it is fed while all is well"
    process = killed(machine, signal.SIGSTOP)
    again(machine, process)
    assert "Watchdog timeout" in machine.journal()
    live()


def test_a_killed_daemon_is_started_again(machine):
    machine.run("systemctl start condord")
    again(machine, killed(machine, signal.SIGKILL))
    live()


def test_wrong_configuration_is_not_tried_again(machine):
    machine.write("/etc/condord/condord.toml", "[server]\nprot = 1\n")
    machine.run("systemctl start condord", code=1)
    stays_down(machine, "78")
    assert "server.prot" in machine.journal()


@pytest.mark.parametrize("arrange", [": >", "rm"])
def test_a_key_that_is_empty_or_missing_is_named_and_not_tried_again(machine, arrange):
    machine.run(f"{arrange} /etc/condord/apca-api-secret-key")
    machine.run("systemctl start condord", code=1)
    stays_down(machine, "77")
    assert "apca-api-secret-key is empty" in machine.journal()


def test_the_key_is_seen_by_the_daemon_alone(machine):
    machine.write("/etc/condord/condord.toml", configuration(log='level = "debug"'))
    machine.run("systemctl start condord")
    live()
    process = machine.shown("MainPID")
    shown = [
        machine.run("systemctl show condord; systemctl status condord"),
        machine.run(f"cat /proc/{process}/environ /proc/{process}/cmdline | tr '\\0' '\\n'"),
        machine.run("journalctl --output export"),
        machine.run("systemctl cat condord"),
    ]
    assert [key for key in KEYS.values() for text in shown if key in text] == []
    assert "CREDENTIALS_DIRECTORY" in shown[1], "this is its environment"
    user = machine.run(f"ps -o uid= -p {process}").strip()
    assert int(user) >= 61184, "a user of its own"  # DynamicUser= takes one of 61184 to 65519
    machine.run("setpriv --reuid 65534 --clear-groups cat /run/credentials/condord.service/apca-api-key-id", code=1)


def test_it_stops_in_good_order_within_five_seconds_and_says_bye(machine):
    machine.run("systemctl start condord")
    live()
    follower = Follower(URL)
    until(lambda: "snapshot" in follower.names, "the stream has begun")
    begin = time.monotonic()
    machine.run("systemctl stop condord")
    assert time.monotonic() - begin < 5
    assert follower.ended.wait(5)
    assert follower.names[-1] == "bye"
    follower.close()
    assert [machine.shown(what) for what in ("Result", "ExecMainStatus")] == ["success", "0"]
    assert not machine.path("/run/condord").exists()


def test_a_subscriber_that_resumes_after_a_restart_has_what_all_have(machine):
    machine.run("systemctl start condord")
    live()
    follower = Follower(URL)
    until(lambda: "delta" in follower.names, "prices come")
    machine.run("systemctl restart condord")
    assert follower.ended.wait(5)
    follower.close()
    resumed = Follower(URL, **{"Last-Event-ID": follower.last_id})
    until(lambda: "delta" in resumed.names, "prices come again")
    assert resumed.names[0] == "snapshot"
    document = fetch(f"{URL}/api/positions")[2]
    until(lambda: document["version"] in resumed.documents, "the stream has come as far")
    assert resumed.documents[document["version"]]["totals"] == document["totals"]
    resumed.close()


def test_the_journal_has_levels_and_no_times_of_its_own(machine):
    machine.run("systemctl start condord")
    live()
    machine.run("systemctl stop condord")
    machine.told("Stopped")
    lines = machine.run("journalctl --output json --output-fields PRIORITY,MESSAGE _SYSTEMD_UNIT=condord.service")
    assert '"PRIORITY":"6"' in lines
    assert not re.search(r'"MESSAGE":"(<\d>|\d{4}-)', lines)
