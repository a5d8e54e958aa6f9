"""docs/examples/nats-server.conf in a real nats-server, with what each role of condord may do there."""

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.e2e.running import TIMEOUT_SECONDS, until
from tests.e2e.test_proxy import answers, free_port
from tests.fakes import tls
from tests.needs import lacking

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "nats-server.conf"
PROGRAM = shutil.which("nats-server") or shutil.which("/usr/sbin/nats-server")
FRAMES, ASK = "condord.1a2b3c.frames", "condord.1a2b3c.ask"


class Client:
    """A client of one role, in the plain protocol of NATS."""

    def __init__(self, port, certificate, user, password):
        plain = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
        self.info = json.loads(self._line(plain).removeprefix("INFO "))
        context = ssl.create_default_context(cafile=f"{certificate}.cert")
        self._socket = context.wrap_socket(plain, server_hostname="127.0.0.1")
        self._messages = []
        self._login = {"user": user, "pass": password, "verbose": False, "headers": True, "no_responders": True}

    def log_in(self):
        """Show the password.

        Raises:
            ConnectionError: it is not accepted.
        """
        self.sent(f"CONNECT {json.dumps(self._login)}")

    @staticmethod
    def _line(connection):
        line = b""
        while not line.endswith(b"\r\n"):
            byte = connection.recv(1)
            if not byte:
                raise ConnectionError(line)
            line += byte
        return line.decode().strip()

    def sent(self, *commands):
        """Send commands; the error that the server answers before it answers a ping, or None."""
        self._socket.sendall("".join(f"{command}\r\n" for command in (*commands, "PING")).encode())
        error = None
        while (line := self._line(self._socket)) != "PONG":
            error = line if line.startswith("-ERR") else error
            if line.startswith("MSG "):
                self._messages.append((line.split()[1], self._line(self._socket)))
        return error

    def publish(self, subject, text="x", reply=""):
        """Publish; the error, or None."""
        return self.sent(f"PUB {subject} {reply} {len(text)}", text)

    def subscribe(self, subject):
        return self.sent(f"SUB {subject} 1")

    def next_message(self):
        """The subject and the text of the next message."""
        while not self._messages:
            self.sent()
        return self._messages.pop(0)

    def close(self):
        self._socket.close()


@pytest.fixture(scope="module")
def connect(tmp_path_factory):
    """Connects as a user."""
    if PROGRAM is None:
        lacking("nats-server")
    folder, port = tmp_path_factory.mktemp("nats"), free_port()
    certificate = tls.certificate(folder)
    text = EXAMPLE.read_text()
    for shown, own in (
        ("0.0.0.0:4222", f"127.0.0.1:{port}"),
        ("/var/lib/nats", f"{folder}/store"),
        ("/etc/nats/server.pem", f"{certificate}.cert"),
        ("/etc/nats/server.key", f"{certificate}"),
    ):
        assert f"{shown}" in text
        text = text.replace(shown, own)
    (folder / "nats-server.conf").write_text(text)
    command = [PROGRAM, "--config", folder / "nats-server.conf", "--log", folder / "log"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with contextlib.ExitStack() as stack:

        def opened(user, password):
            client = Client(port, certificate, user, password)
            stack.callback(client.close)
            client.log_in()
            return client

        try:
            until(lambda: process.poll() is not None or answers(port), "nats-server listens")
            assert process.poll() is None, (folder / "log").read_text()
            yield opened
        finally:
            process.kill()
            process.wait(TIMEOUT_SECONDS)


@pytest.fixture
def ingester(connect):
    return connect("ingester", "PASSWORD1")


@pytest.fixture
def relay(connect):
    return connect("relay", "PASSWORD2")


def test_tls_and_a_password_are_needed_and_large_documents_are_taken(connect, ingester):
    assert ingester.info["tls_required"]
    assert ingester.info["max_payload"] == 8 * 1024 * 1024
    with pytest.raises(ConnectionError):
        connect("relay", "PASSWORD1")


def test_a_relay_reads_frames_and_asks_the_leader(ingester, relay):
    assert relay.subscribe(FRAMES) is None
    assert ingester.subscribe(ASK) is None
    assert ingester.publish(FRAMES, "a frame") is None
    assert relay.next_message() == (FRAMES, "a frame")
    assert relay.publish(ASK, "a question", "_INBOX.relay.1") is None
    assert ingester.next_message() == (ASK, "a question")


@pytest.mark.parametrize(
    "subject",
    [
        FRAMES,
        "condord.1a2b3c.other",
        "$KV.condord.1a2b3c.state.alerts",
        "$KV.condord-snapshots.1a2b3c",
        "$KV.condord-leases.1a2b3c",
        "_INBOX.of.another",
        "$JS.API.STREAM.CREATE.KV_condord",
        "$JS.API.STREAM.DELETE.KV_condord-leases",
        "$JS.API.STREAM.PURGE.KV_condord",
        "$JS.API.CONSUMER.CREATE.KV_condord",
        "$JS.API.STREAM.MSG.GET.KV_condord",
        "$JS.API.DIRECT.GET.KV_condord",
    ],
)
def test_a_relay_publishes_nothing_in_the_name_of_an_ingester_and_asks_for_no_state(relay, ingester, subject):
    assert "Permissions Violation for Publish" in relay.publish(subject)
    assert ingester.publish(subject) is None


@pytest.mark.parametrize("subject", ["condord.>", ASK, "$KV.condord.>", "_INBOX.>", "_INBOX.ingester.>", ">"])
def test_a_relay_reads_no_questions_of_others_and_no_states(relay, subject):
    assert "Permissions Violation for Subscription" in relay.subscribe(subject)


def test_an_ingester_makes_the_buckets_and_a_relay_reads_them(ingester, relay):
    stream = {
        "name": "KV_condord-snapshots", "subjects": ["$KV.condord-snapshots.>"], "max_msgs_per_subject": 1, "storage": "file",
        "discard": "new", "allow_rollup_hdrs": True, "deny_delete": True,
    }  # fmt: skip
    assert ingester.subscribe("_INBOX.ingester.i") is None
    assert (
        ingester.publish("$JS.API.STREAM.CREATE.KV_condord-snapshots", json.dumps(stream), "_INBOX.ingester.i") is None
    )
    assert "error" not in json.loads(ingester.next_message()[1])
    assert ingester.publish("$KV.condord-snapshots.1a2b3c", "the document", "_INBOX.ingester.i") is None
    assert json.loads(ingester.next_message()[1])["seq"] == 1
    assert relay.subscribe("_INBOX.relay.r") is None
    asked = json.dumps({"last_by_subj": "$KV.condord-snapshots.1a2b3c"})
    assert relay.publish("$JS.API.STREAM.MSG.GET.KV_condord-snapshots", asked, "_INBOX.relay.r") is None
    assert json.loads(relay.next_message()[1])["message"]["seq"] == 1
