import asyncio
import contextlib
import http.server
import json
import socket
import threading

import pytest

from condord.check import probes, report
from condord.config.bus_credentials import BusCredentials
from condord.config.schema import ChannelTable, Cluster
from condord.errors import ConfigError, CredentialsMissing
from condord.host.secret import Secret
from tests.check.machine import AFTER_LOGIN, failed, not_tried, results
from tests.cluster.nats_server import nats_server
from tests.fakes.startup import found, loaded

__all__ = ["nats_server"]

pytestmark = pytest.mark.slow


def test_with_a_working_alpaca_everything_is_ok_except_that_no_daemon_runs(machine):
    checks = machine.check()
    assert {name for name, check in checks.items() if check.result != "ok"} == {"daemon-answers"}
    assert checks["daemon-answers"].result == "warn"
    assert "simulator" in checks["rest-login"].text
    assert machine.notes == []


def test_with_faults_of_the_configuration_nothing_else_is_tried(machine):
    machine.found = {"key": None, "is_key_unknown": True, "config_error": ConfigError(["one"])}
    checks = asyncio.run(machine.run())
    assert failed(checks) == ["config-valid"]
    assert len(not_tried(checks, "config-valid failed")) == len(report.NAMES) - 2


def test_the_bus_of_an_ingester_is_checked_too(machine, nats_server, tmp_path):
    server = nats_server('authorization { token: "a-token-of-the-bus" }')
    token = BusCredentials(kind="token", secret=Secret("a-token-of-the-bus"), path=tmp_path / "not read again")
    machine.cluster, machine.found = Cluster(role="ingest", bus=server.url), {"bus_credentials": token}
    found = machine.check()["bus"]
    assert (found.result, found.text.startswith(f"{server.url} (nats-server ")) == ("ok", True)
    assert found.text.endswith(", accounts that are led: none")
    machine.found = {}
    assert machine.check()["bus"].exit_code == 77


def test_without_a_key_the_network_and_this_machine_are_still_checked(machine):
    machine.found = {"key": None, "key_error": CredentialsMissing()}
    checks = machine.check()
    assert failed(checks) == ["credentials-found"]
    assert not_tried(checks, "credentials-found failed") == sorted([*AFTER_LOGIN, "rest-login"], key=report.NAMES.index)
    assert results(checks, "dns", "tls", "port-free") == ["ok", "ok", "ok"]


def test_a_used_port_fails_if_the_address_of_the_daemon_is_unknown(machine):
    with socket.create_server(("127.0.0.1", machine.server["port"])):
        machine.alpaca["data_url"] = "https://[1]"
        without_key = found(
            loaded=loaded(machine.config()), key=None, token=Secret("token"), key_error=CredentialsMissing()
        )
        checks = probes.run(without_key, daemon=None, environ=machine.environ, note=machine.notes.append)
    assert [check.name for check in checks if check.result == "fail"] == ["credentials-found", "network", "port-free"]


class _Receiver(http.server.BaseHTTPRequestHandler):
    """Accepts what is posted to /ok and answers 404 to the rest."""

    received: list

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, self.headers["webhook-id"], json.loads(body)["type"]))
        self.send_response(204 if self.path == "/ok" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def receiver():
    """A receiver of webhooks on loopback: its URL, and what it gets."""
    handler = type("Receiver", (_Receiver,), {"received": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", handler.received
        finally:
            server.shutdown()
            thread.join()


def webhook(directory, name, url):
    """A [[notify]] whose URL is in a file."""
    file = directory / f"{name}-url"
    file.write_text(url)
    file.chmod(0o600)
    return ChannelTable(name=name, type="webhook", url_file=str(file))


def test_each_channel_gets_one_message_and_a_failure_has_a_remedy(machine, tmp_path):
    with receiver() as (url, received):
        machine.notify = (webhook(tmp_path, "phone", f"{url}/ok"), webhook(tmp_path, "hook", f"{url}/a-secret"))
        machine.found = {"key": None, "key_error": CredentialsMissing()}
        check = asyncio.run(machine.run())["channels"]
    assert (check.result, check.text) == ("fail", "hook: HTTP 404 Not Found")
    assert "correct it in the file" in check.hint
    assert sorted((path, kind) for path, _, kind in received) == [
        ("/a-secret", "condord.test"),
        ("/ok", "condord.test"),
    ]
    assert len({identity for _, identity, _ in received}) == 2


def test_without_channels_no_message_is_sent(machine):
    machine.found = {"key": None, "key_error": CredentialsMissing()}
    check = asyncio.run(machine.run())["channels"]
    assert (check.result, check.text) == ("ok", "no channel is configured, so alerts are not sent")
