"""The system unit and its socket with server.workers, under a real systemd and within its restrictions."""

import time
from contextlib import ExitStack, closing

import pytest

from tests.e2e.running import TIMEOUT_SECONDS, Follower, fetch, until
from tests.systemd.machine import URL, configuration, live
from tests.systemd.test_socket import Requester

pytestmark = pytest.mark.slow

STOP_SECONDS = 5.0
WITH_WORKERS = configuration(server="workers = 3")
MAX_THREADS = 6


def test_workers_run_within_the_restrictions_of_the_unit_and_stop_with_it(machine):
    machine.write("/etc/condord/condord.toml", WITH_WORKERS)
    machine.run("systemctl start condord")
    live()
    assert machine.journal().count("Serving process=worker-") == 3
    pids = machine.run("pgrep -f condord.daemon.worker").split()
    threads = [int(machine.run(f"ps -o nlwp= -p {pid}")) for pid in pids]
    assert len(threads) == 3
    assert max(threads) <= MAX_THREADS  # docs/operations.md states how many workers TasksMax= allows
    with ExitStack() as stack:
        followers = [stack.enter_context(closing(Follower(URL))) for _ in range(6)]
        until(lambda: fetch(f"{URL}/api/status")[2]["subscribers"] == 6, "six subscribers")
        machine.write("/etc/condord/condord.toml", WITH_WORKERS.replace("= 3", "= 3\nmax_subscribers = 7"))
        machine.run("systemctl reload condord")
        until(lambda: fetch(f"{URL}/api/status")[2]["maxSubscribers"] == 7, "the new configuration")
        begin = time.monotonic()
        machine.run("systemctl stop condord")
        assert time.monotonic() - begin < STOP_SECONDS
        assert all(each.ended.wait(TIMEOUT_SECONDS) for each in followers)
        assert [each.names[-1] for each in followers] == ["bye"] * 6
    assert [machine.shown(name) for name in ("Result", "ExecMainStatus")] == ["success", "0"]
    assert "will be started again" not in machine.journal()
    assert not machine.path("/run/condord").exists()


def test_no_request_is_refused_while_a_daemon_with_workers_restarts_behind_its_socket(machine):
    machine.write("/etc/condord/condord.toml", WITH_WORKERS)
    machine.run("systemctl start condord.socket condord")
    before = live()["pid"]
    requesters = [Requester() for _ in range(4)]
    time.sleep(0.2)
    machine.run("systemctl restart condord")
    until(lambda: fetch(f"{URL}/api/status")[2]["pid"] != before, "another daemon")
    answers = [answer for requester in requesters for answer in requester.stop()]
    assert set(answers) == {200}
