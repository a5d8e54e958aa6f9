"""condord.socket: systemd listens, and nobody is refused."""

import contextlib
import http.client
import threading
import time

import pytest

from tests.e2e.running import Follower, fetch, until
from tests.systemd.machine import URL, configuration, live, status

pytestmark = pytest.mark.slow
TOKEN = "a-token-for-the-booted-machine"


class Asker(threading.Thread):
    """Asks over a new connection again and again; keeps what it was answered, or why it was not."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.answers = []
        self._is_enough = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._is_enough.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", 8420, timeout=20)
            with contextlib.closing(connection):
                try:
                    connection.request("GET", "/api/positions")
                    self.answers.append(connection.getresponse().status)
                except (OSError, http.client.HTTPException) as error:
                    self.answers.append(repr(error))
            time.sleep(0.01)

    def stop(self) -> list:
        """All that it was answered."""
        self._is_enough.set()
        self.join(30)
        return self.answers


def test_who_asks_starts_the_daemon(machine):
    machine.run("systemctl start condord.socket")
    assert machine.shown("ActiveState") == "inactive"
    assert fetch(f"{URL}/livez")[0] == 200
    assert status()["address"] == URL
    live()


def test_nobody_is_refused_while_it_restarts(machine):
    machine.run("systemctl start condord.socket condord")
    before = live()["pid"]
    askers = [Asker() for _ in range(4)]
    for _ in range(2):
        time.sleep(0.2)
        machine.run("systemctl restart condord")
    assert status()["pid"] != before
    answers = [answer for asker in askers for answer in asker.stop()]
    assert len(answers) > 20
    assert set(answers) == {200}


def test_a_stream_comes_back_at_once(machine):
    machine.run("systemctl start condord.socket condord")
    live()
    follower = Follower(URL)
    until(lambda: "delta" in follower.names, "prices come")
    restart = threading.Thread(target=machine.run, args=("systemctl restart condord",))
    restart.start()
    assert follower.ended.wait(5)
    assert follower.names[-1] == "bye"
    follower.close()
    resumed = Follower(URL, **{"Last-Event-ID": follower.last_id})
    restart.join()
    until(lambda: "delta" in resumed.names, "prices come again")
    assert resumed.names[0] == "snapshot"
    resumed.close()


def test_a_daemon_that_cannot_start_is_given_up_for_those_who_wait(machine):
    machine.write("/etc/condord/condord.toml", "[server]\nprot = 1\n")
    machine.run("systemctl start condord.socket")
    with pytest.raises(OSError):
        fetch(f"{URL}/livez")
    until(lambda: machine.shown("ActiveState", "condord.socket") == "failed", "systemd gives up")
    assert machine.shown("Result", "condord.socket") == "trigger-limit-hit"
    assert machine.shown("ExecMainStatus") == "78"


def test_an_address_that_others_reach_needs_a_token(machine):
    machine.drop_in("[Socket]\nListenStream=\nListenStream=0.0.0.0:8420\n", "condord.socket")
    machine.run("systemctl start condord.socket; systemctl start condord", code=1)
    assert machine.shown("ExecMainStatus") == "78"
    assert "others could read there without a token" in machine.journal()
    machine.write("/etc/condord/token", TOKEN, 0o600)
    machine.drop_in("[Service]\nLoadCredential=token:/etc/condord/token\n")
    path = "/run/credentials/condord.service/token"
    machine.write("/etc/condord/condord.toml", configuration(server=f'token_file = "{path}"'))
    machine.run("systemctl start condord")
    assert fetch(f"{URL}/api/status")[0] == 401
    assert fetch(f"{URL}/api/status", headers={"Authorization": f"Bearer {TOKEN}"})[0] == 200


def test_beside_a_unix_socket_the_port_keeps_its_guard(machine):
    listens = ["", "/run/condord.sock", "127.0.0.1:8420"]
    machine.drop_in("[Socket]\n" + "".join(f"ListenStream={each}\n" for each in listens), "condord.socket")
    machine.run("systemctl start condord.socket condord")
    machine.run("/opt/condord/bin/condord status --url unix:///run/condord.sock")
    machine.run("/opt/condord/bin/condord status")
    assert fetch(f"{URL}/api/status", headers={"Host": "evil.example"})[0] == 421
    machine.run("systemctl restart condord")
    machine.run("/opt/condord/bin/condord status --url unix:///run/condord.sock")
