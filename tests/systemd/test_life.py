"""How the service starts, reloads, fails and stops under a real systemd."""

import re
import signal
import time

import pytest

from tests.e2e.running import STOP_SECONDS, TIMEOUT_SECONDS, Follower, fetch, until
from tests.systemd.machine import KEYS, URL, configuration, live, status

pytestmark = pytest.mark.slow


def killed(machine, number: int) -> str:
    """Send a signal to the service's process; returns its id."""
    process = machine.shown("MainPID")
    machine.run(f"kill -{number} {process}")
    return process


def await_restart(machine, process: str) -> None:
    """Wait until a process other than `process` serves."""
    until(lambda: machine.shown("MainPID") not in {process, "0"}, "another process has started")
    until(lambda: machine.shown("ActiveState") == "active", "it is ready")
    assert status()["pid"] == int(machine.shown("MainPID"))


def stays_down(machine, code: str) -> None:
    """Check that the service exited with `code`, and that systemd does not restart it within three times RestartSec."""
    time.sleep(0.6)
    shown = [machine.shown(name) for name in ("ActiveState", "ExecMainStatus", "NRestarts")]
    assert shown == ["failed", code, "0"]


def test_the_unit_counts_as_started_once_the_daemon_answers_and_reports_the_same_status_to_systemd(machine):
    machine.run("systemctl start condord")
    assert fetch(f"{URL}/livez")[0] == 200
    live()
    until(lambda: machine.shown("StatusText") == "live", lambda: machine.shown("StatusText"))
    fetch("http://127.0.0.1:8421/simulator/faults", method="POST", body={"fault": "auth-402"})
    fetch("http://127.0.0.1:8421/simulator/faults", method="POST", body={"fault": "reset"})
    halted = until(lambda: (now := status())["state"] == "halted" and now, "the stream is halted")
    until(lambda: machine.shown("StatusText") == f"halted: {halted['reason']}", lambda: machine.shown("StatusText"))
    fetch("http://127.0.0.1:8421/simulator/faults", method="DELETE")


def test_a_reload_applies_a_valid_configuration_and_drops_no_subscriber(machine):
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


def test_a_reload_refuses_an_invalid_configuration_and_names_the_fault(machine):
    machine.run("systemctl start condord")
    before = live()
    machine.write("/etc/condord/condord.toml", configuration(server='max_subscribers = "many"'))
    machine.run("systemctl reload condord")
    machine.await_journal("Configuration refused")
    assert "server.max_subscribers" in machine.journal()
    after = live()
    assert (after["pid"], after["maxSubscribers"]) == (before["pid"], before["maxSubscribers"])
    until(lambda: machine.shown("ActiveState") == "active", "the reload is over")


def test_the_watchdog_kills_a_frozen_daemon_and_systemd_restarts_it(machine):
    machine.drop_in("[Service]\nRestartSec=200ms\nWatchdogSec=2\n")
    machine.run("systemctl start condord")
    live()
    time.sleep(3)
    assert machine.shown("NRestarts") == "0", "a healthy daemon feeds the watchdog"
    process = killed(machine, signal.SIGSTOP)
    await_restart(machine, process)
    assert "Watchdog timeout" in machine.journal()
    live()


def test_a_killed_daemon_is_restarted(machine):
    machine.run("systemctl start condord")
    await_restart(machine, killed(machine, signal.SIGKILL))
    live()


def test_the_service_is_not_restarted_with_an_invalid_configuration(machine):
    machine.write("/etc/condord/condord.toml", "[server]\nprot = 1\n")
    machine.run("systemctl start condord", code=1)
    stays_down(machine, "78")
    assert "server.prot" in machine.journal()


@pytest.mark.parametrize("arrange", [": >", "rm"])
def test_an_empty_or_missing_key_is_named_and_the_service_is_not_restarted(machine, arrange):
    machine.run(f"{arrange} /etc/condord/apca-api-secret-key")
    machine.run("systemctl start condord", code=1)
    stays_down(machine, "77")
    assert "apca-api-secret-key) is empty" in machine.journal()


def test_only_the_daemon_can_read_the_key(machine):
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
    assert "CREDENTIALS_DIRECTORY" in shown[1], "this is the daemon's environment"
    user = machine.run(f"ps -o uid= -p {process}").strip()
    assert int(user) >= 61184, "a dynamic user"  # DynamicUser= allocates 61184 to 65519
    machine.run("setpriv --reuid 65534 --clear-groups cat /run/credentials/condord.service/apca-api-key-id", code=1)


def test_the_unit_stops_cleanly_within_five_seconds_and_sends_bye(machine):
    machine.run("systemctl start condord")
    live()
    follower = Follower(URL)
    until(lambda: "snapshot" in follower.names, "the stream has begun")
    begin = time.monotonic()
    machine.run("systemctl stop condord")
    assert time.monotonic() - begin < STOP_SECONDS
    assert follower.ended.wait(TIMEOUT_SECONDS)
    assert follower.names[-1] == "bye"
    follower.close()
    assert [machine.shown(name) for name in ("Result", "ExecMainStatus")] == ["success", "0"]
    assert not machine.path("/run/condord").exists()


def test_a_subscriber_that_resumes_after_a_restart_has_the_current_document(machine):
    machine.run("systemctl start condord")
    live()
    follower = Follower(URL)
    until(lambda: "delta" in follower.names, "prices arrive")
    machine.run("systemctl restart condord")
    assert follower.ended.wait(TIMEOUT_SECONDS)
    follower.close()
    resumed = Follower(URL, **{"Last-Event-ID": follower.last_id})
    until(lambda: "delta" in resumed.names, "prices arrive again")
    assert resumed.names[0] == "snapshot"
    document = fetch(f"{URL}/api/positions")[2]
    until(lambda: document["version"] in resumed.documents, "the stream has the same version")
    assert resumed.documents[document["version"]]["totals"] == document["totals"]
    resumed.close()


def test_journal_entries_have_levels_and_no_timestamps_in_the_text(machine):
    machine.run("systemctl start condord")
    live()
    machine.run("systemctl stop condord")
    machine.await_journal("Stopped")
    lines = machine.run("journalctl --output json --output-fields PRIORITY,MESSAGE _SYSTEMD_UNIT=condord.service")
    assert '"PRIORITY":"6"' in lines
    assert not re.search(r'"MESSAGE":"(<\d>|\d{4}-)', lines)
