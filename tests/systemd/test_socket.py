"""condord.socket: systemd listens, so no client is refused during a restart."""

import contextlib
import http.client
import threading
import time

import pytest

from tests.e2e.running import TIMEOUT_SECONDS, Follower, fetch, until
from tests.systemd.machine import URL, configuration, live, status

pytestmark = pytest.mark.slow
TOKEN = "a-token-for-the-booted-machine"


class Requester(threading.Thread):
    """Sends requests in a loop, each over a new connection; keeps the status or the error of each."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.answers = []
        self._is_enough = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._is_enough.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", 8420, timeout=TIMEOUT_SECONDS)
            with contextlib.closing(connection):
                try:
                    connection.request("GET", "/api/positions")
                    self.answers.append(connection.getresponse().status)
                except (OSError, http.client.HTTPException) as error:
                    self.answers.append(repr(error))
            time.sleep(0.01)

    def stop(self) -> list:
        """Stop; returns all statuses and errors."""
        self._is_enough.set()
        self.join(TIMEOUT_SECONDS)
        return self.answers


def test_the_first_request_starts_the_daemon(machine):
    machine.run("systemctl start condord.socket")
    assert machine.shown("ActiveState") == "inactive"
    assert fetch(f"{URL}/livez")[0] == 200
    assert status()["address"] == URL
    live()


def test_no_request_is_refused_while_the_daemon_restarts(machine):
    machine.run("systemctl start condord.socket condord")
    before = live()["pid"]
    requesters = [Requester() for _ in range(4)]
    for _ in range(2):
        time.sleep(0.2)
        machine.run("systemctl restart condord")
    assert status()["pid"] != before
    answers = [answer for requester in requesters for answer in requester.stop()]
    assert len(answers) > 20
    assert set(answers) == {200}


def test_a_stream_reconnects_at_once(machine):
    machine.run("systemctl start condord.socket condord")
    live()
    follower = Follower(URL)
    until(lambda: "delta" in follower.names, "prices arrive")
    restart = threading.Thread(target=machine.run, args=("systemctl restart condord",))
    restart.start()
    assert follower.ended.wait(TIMEOUT_SECONDS)
    assert follower.names[-1] == "bye"
    follower.close()
    resumed = Follower(URL, **{"Last-Event-ID": follower.last_id})
    restart.join()
    until(lambda: "delta" in resumed.names, "prices arrive again")
    assert resumed.names[0] == "snapshot"
    resumed.close()


def test_waiting_connections_are_closed_if_the_daemon_cannot_start(machine):
    machine.write("/etc/condord/condord.toml", "[server]\nprot = 1\n")
    machine.run("systemctl start condord.socket")
    with pytest.raises(OSError):
        fetch(f"{URL}/livez")
    until(lambda: machine.shown("ActiveState", "condord.socket") == "failed", "systemd gives up")
    assert machine.shown("Result", "condord.socket") == "trigger-limit-hit"
    assert machine.shown("ExecMainStatus") == "78"


def test_an_address_reachable_from_other_hosts_requires_a_token(machine):
    machine.drop_in("[Socket]\nListenStream=\nListenStream=0.0.0.0:8420\n", "condord.socket")
    machine.run("systemctl start condord.socket; systemctl start condord", code=1)
    assert machine.shown("ExecMainStatus") == "78"
    assert "other machines could read the account without a token" in machine.journal()
    machine.write("/etc/condord/token", TOKEN, 0o600)
    machine.drop_in("[Service]\nLoadCredential=token:/etc/condord/token\n")
    path = "/run/credentials/condord.service/token"
    machine.write("/etc/condord/condord.toml", configuration(server=f'token_file = "{path}"'))
    machine.run("systemctl start condord")
    assert fetch(f"{URL}/api/status")[0] == 401
    assert fetch(f"{URL}/api/status", headers={"Authorization": f"Bearer {TOKEN}"})[0] == 200


def test_the_port_still_checks_the_host_beside_a_unix_socket(machine):
    listens = ["", "/run/condord.sock", "127.0.0.1:8420"]
    machine.drop_in("[Socket]\n" + "".join(f"ListenStream={address}\n" for address in listens), "condord.socket")
    machine.run("systemctl start condord.socket condord")
    machine.run("/opt/condord/bin/condord status --url unix:///run/condord.sock")
    machine.run("/opt/condord/bin/condord status")
    assert fetch(f"{URL}/api/status", headers={"Host": "evil.example"})[0] == 421
    machine.run("systemctl restart condord")
    machine.run("/opt/condord/bin/condord status --url unix:///run/condord.sock")
