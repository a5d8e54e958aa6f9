"""The sandbox and the limits of the service allow everything that it needs."""

import contextlib
import re
import resource
import socket
from pathlib import Path

import pytest

from condord.cli.demo import Ready
from tests.e2e.running import fetch, until
from tests.systemd.machine import URL, configuration, live, status

pytestmark = pytest.mark.slow


def test_the_sandboxed_unit_resolves_names_uses_tls_and_keeps_its_state(machine):
    machine.write("/opt/relay.py", (Path(__file__).parent / "relay.py").read_text())
    machine.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=alpaca.test"
        " -addext subjectAltName=DNS:alpaca.test -keyout /opt/relay.key -out /etc/condord/ca.pem 2>/dev/null"
    )
    machine.run("echo nameserver 127.0.0.1 >/etc/resolv.conf")
    machine.run("systemd-run --unit relay /opt/condord/bin/python /opt/relay.py /etc/condord/ca.pem /opt/relay.key")
    machine.write("/etc/condord/condord.toml", configuration(Ready.at("https://alpaca.test")))
    trust = "SSL_CERT_FILE=/etc/condord/ca.pem REQUESTS_CA_BUNDLE=/etc/condord/ca.pem"
    machine.drop_in(f"[Service]\nEnvironment={trust}\n")
    machine.run("systemctl start condord")
    assert live()["source"] == "alpaca-paper"
    until(lambda: list(machine.path("/var/lib/private/condord").glob("*.json")), "state is saved")
    machine.run("systemctl restart condord")
    live()
    machine.run("systemctl stop relay condord")
    assert "cannot be used" not in machine.journal(), "a state file"
    assert "No lock" not in machine.journal()


def test_the_runtime_directory_contains_the_lock_and_a_unix_socket(machine):
    machine.write("/etc/condord/condord.toml", configuration(server='uds = "/run/condord/api.sock"'))
    machine.run("systemctl start condord")
    output = machine.run("/opt/condord/bin/condord status --url unix:///run/condord/api.sock")
    assert re.search("live|starting|reconnecting", output)
    names = [path.suffix for path in machine.path("/run/condord").iterdir()]
    assert sorted(names) == [".lock", ".sock"]


def test_the_limits_of_the_unit_allow_the_maximum_number_of_subscribers(machine):
    machine.run("systemctl start condord")
    live()
    most = status()["maxSubscribers"]
    with contextlib.ExitStack() as connections, files(most + 200):
        for _ in range(most):
            connection = connections.enter_context(socket.create_connection(("127.0.0.1", 8420), timeout=60))
            connection.sendall(b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until(lambda: status()["subscribers"] == most, lambda: status()["subscribers"])
        assert fetch(f"{URL}/api/stream")[0] == 503
        process = machine.path(f"/proc/{machine.shown('MainPID')}")
        used = dict(re.findall(r"(\w+):\s+(\d+)", (process / "status").read_text()))
    assert int(used["VmHWM"]) * 1024 < int(machine.shown("MemoryMax")) / 2
    assert int(used["Threads"]) < int(machine.shown("TasksMax")) / 2
    assert "Too few" not in machine.journal()
    assert machine.shown("LimitCORE") == "0", "a core would hold the key"


@contextlib.contextmanager
def files(needed: int):
    """Allow this process to open `needed` files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(needed, hard)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
