"""condord-relay.service beside condord.service under a real systemd, within its restrictions."""

import contextlib

import pytest

from tests.e2e.running import fetch, until
from tests.systemd.machine import configuration, live

pytestmark = pytest.mark.slow

URL = "http://127.0.0.1:8430"
TOKEN = "token-for-the-relay-1"
RELAY = '[server]\nport = 8430\n[cluster]\nrole = "relay"\nsource = "http://127.0.0.1:8420"\n'


@pytest.fixture
def relay(machine):
    """The machine with a running daemon, a configured relay that is stopped, and no `RestartSec` to wait for."""
    machine.write("/etc/condord/relay.toml", RELAY)
    machine.drop_in("[Service]\nRestartSec=200ms\n", "condord-relay.service")
    machine.run("systemctl start condord")
    live()
    yield machine
    machine.run("systemctl stop condord-relay; rm -rf /etc/condord/relay.* /etc/systemd/system/condord-relay.*.d")
    machine.run("systemctl daemon-reload; systemctl reset-failed")


def test_the_relay_unit_serves_its_source_reports_its_loss_reloads_and_stops(relay):
    relay.run("systemctl start condord-relay")
    until(lambda: fetch(f"{URL}/readyz")[0] == 200, "it is ready")
    assert fetch(f"{URL}/api/status")[2]["cluster"]["source"] == "http://127.0.0.1:8420"
    until(lambda: relay.shown("StatusText", "condord-relay") == "live", "systemd has the status")
    relay.write("/etc/condord/relay.toml", RELAY.replace("port = 8430", "port = 8430\nmax_subscribers = 7"))
    relay.run("systemctl reload condord-relay")
    until(lambda: fetch(f"{URL}/api/status")[2]["maxSubscribers"] == 7, "it has the new configuration")
    relay.run("systemctl stop condord")
    until(lambda: "lost its source" in relay.shown("StatusText", "condord-relay"), "systemd knows of the loss")
    assert relay.shown("ActiveState", "condord-relay") == "active"
    relay.run("systemctl stop condord-relay")
    assert relay.shown("ExecMainStatus", "condord-relay") == "0"
    assert relay.shown("Result", "condord-relay") == "success"


def test_the_token_of_the_source_is_in_a_file_that_only_systemd_reads(relay):
    relay.write("/etc/condord/condord-token", TOKEN, 0o600)
    relay.drop_in(
        "[Service]\nRestartSec=200ms\nLoadCredential=token:/etc/condord/condord-token\n"
        "Environment=CONDORD_SERVER_TOKEN_FILE=%d/token\n"
    )
    relay.write("/etc/condord/condord.toml", configuration())
    relay.run("systemctl restart condord")
    relay.write("/etc/condord/relay.env", f"CONDORD_TOKEN={TOKEN}\n", 0o600)
    relay.run("systemctl start condord-relay")
    until(lambda: fetch(f"{URL}/readyz")[0] == 200, "it is ready")
    relay.run("systemctl stop condord-relay")
    relay.write("/etc/condord/relay.env", "CONDORD_TOKEN=another-token-12345\n", 0o600)
    with contextlib.suppress(AssertionError):  # it may have ended before it was ready
        relay.run("systemctl start condord-relay")
    until(lambda: relay.shown("ActiveState", "condord-relay") == "failed", "it ends")
    assert relay.shown("ExecMainStatus", "condord-relay") == "77"
    assert relay.shown("NRestarts", "condord-relay") == "0"
