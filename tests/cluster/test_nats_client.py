import asyncio
import json
import ssl
import subprocess

import pytest
from nats import errors

from condord.cluster.connection import ConnectionLost
from condord.cluster.nats_client import BusLogin, fault, open_client
from condord.errors import AccessDenied
from condord.host.secret import Secret
from tests.needs import lacking

SEED = "SUAAVWRZG6M5FA5VRRGWSCIHKTOJC7EWNIT4JV3FTOIPO4OBFR5WA7X5TE"


class Certificates:
    """An authority, and certificates of it for a server and for a client."""

    def __init__(self, directory):
        self.directory = directory
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                      "30", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
        for name in ("server", "client"):
            (directory / f"{name}.ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
            self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                          f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
            self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                          "-days", "30", "-extfile", f"{name}.ext", "-out", f"{name}.pem")  # fmt: skip

    def _openssl(self, *arguments):
        try:
            subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)
        except FileNotFoundError:
            lacking("openssl")

    def tls(self, *, verify=False):
        """The lines of the server's configuration."""
        file = {name: json.dumps(str(self.directory / name)) for name in ("server.pem", "server.key", "ca.pem")}
        client = f"ca_file: {file['ca.pem']}, verify: true" if verify else ""
        return f"tls {{ cert_file: {file['server.pem']}, key_file: {file['server.key']}, {client} }}"

    def context(self, *, client=False):
        context = ssl.create_default_context(cafile=self.directory / "ca.pem")
        if client:
            context.load_cert_chain(self.directory / "client.pem", self.directory / "client.key")
        return lambda: context


@pytest.fixture
def certificates(tmp_path):
    directory = tmp_path / "certificates"
    directory.mkdir()
    return Certificates(directory)


async def ignored(_error):
    pass


def connect(url, login=None, context=ssl.create_default_context):
    """Connect, and disconnect."""

    async def scenario():
        client = await open_client(url, login, context, name="test", failed=ignored)
        assert client.is_connected
        await client.end()
        assert not client.is_connected

    asyncio.run(scenario())


def login(kind, text):
    return BusLogin(kind=kind, secret=Secret(text))


@pytest.mark.slow
def test_over_tls_the_server_and_if_required_the_client_show_certificates(nats_server, certificates):
    server = nats_server(certificates.tls(verify=True))
    url = server.url.replace("nats:", "tls:")
    connect(url, context=certificates.context(client=True))
    with pytest.raises(ConnectionLost):
        connect(url, context=certificates.context())
    with pytest.raises(ConnectionLost, match="its certificate is not trusted"):
        connect(url)


@pytest.mark.slow
def test_the_end_of_a_tls_connection_causes_no_asyncio_warning(nats_server, certificates, caplog):
    server = nats_server(certificates.tls())

    async def scenario():
        url = server.url.replace("nats:", "tls:")
        client = await open_client(url, None, certificates.context(), name="test", failed=ignored)
        server.kill()
        while client.is_connected:  # noqa: ASYNC110 - nats-py has no event for it
            await asyncio.sleep(0.01)
        await client.end()

    asyncio.run(scenario())
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_nothing_is_sent_to_a_server_without_tls_if_the_url_requires_it(certificates):
    """The server's first line lacks `tls_required`, as an attacker in between would have it."""
    sent = []

    async def scenario():
        async def serve(reader, writer):
            writer.write(b'INFO {"server_id":"x","max_payload":1048576,"auth_required":true,"headers":true}\r\n')
            sent.append(await reader.read())
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        url = f"tls://127.0.0.1:{port}"
        with pytest.raises(ConnectionLost, match="it offers no TLS"):
            await open_client(url, login("token", "hushhush-token"), certificates.context(), name="t", failed=ignored)
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())
    assert sent == [b""]


def test_each_kind_of_credentials_is_accepted(nats_server):
    nkeys = pytest.importorskip("nkeys")
    user = nkeys.from_seed(SEED.encode()).public_key.decode()
    connect(nats_server('authorization { token: "a-token" }').url, login("token", "a-token"))
    connect(nats_server('authorization { user: u, password: "p:q" }').url, login("password", "u:p:q"))
    connect(nats_server(f"authorization {{ users: [{{ nkey: {user} }}] }}").url, login("seed", SEED))


def test_a_creds_file_is_signed_with_its_seed():
    """No server here knows the operator of a JWT; what is sent proves that both parts are read."""
    text = (
        "-----BEGIN NATS USER JWT-----\neyJ0eXAi.a.b\n------END NATS USER JWT------\n"
        f"-----BEGIN USER NKEY SEED-----\n{SEED}\n------END USER NKEY SEED------\n"
    )
    sent = []

    async def scenario():
        async def serve(reader, writer):
            writer.write(b'INFO {"server_id":"x","max_payload":1,"auth_required":true,"nonce":"abc"}\r\n')
            sent.append(await reader.readline())
            writer.write(b"-ERR 'Authorization Violation'\r\n")
            await reader.read()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(AccessDenied, match="Authorization Violation"):
            await open_client(url, login("creds", text), ssl.create_default_context, name="t", failed=ignored)
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())
    options = json.loads(sent[0].removeprefix(b"CONNECT "))
    assert options["jwt"] == "eyJ0eXAi.a.b"
    assert options["sig"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["token", "password", "seed"])
def test_wrong_credentials_are_refused_and_not_tried_again(nats_server, kind):
    server = nats_server('authorization { token: "right-token" }')
    wrong = {"token": "hushhush", "password": "u:hushhush", "seed": SEED}[kind]
    with pytest.raises(AccessDenied) as caught:
        connect(server.url, login(kind, wrong))
    assert "does not accept the credentials" in str(caught.value)
    assert wrong not in str(caught.value) + caught.value.hint
    with pytest.raises(AccessDenied):
        connect(server.url)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"HTTP/1.1 200 OK\r\n", "expecting INFO"),
        (b"INFO {]\r\n", "json parse"),
        (b'INFO {"max_payload":1}\r\nINFO {}\r\n', "does not answer as a NATS server"),
    ],
)
def test_a_server_that_does_not_speak_nats_counts_as_lost(line, why):
    async def scenario():
        async def serve(reader, writer):
            writer.write(line)
            await reader.read()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionLost, match=why):
            await open_client(f"nats://127.0.0.1:{port}", None, ssl.create_default_context, name="t", failed=ignored)
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())


def test_if_nothing_listens_the_reason_is_the_system_error(nats_server):
    server = nats_server()
    server.kill()
    with pytest.raises(ConnectionLost, match="cannot be reached: Connection refused"):
        connect(server.url)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "it does not answer"),
        (errors.StaleConnectionError(), "it does not answer"),
        (errors.UnexpectedEOF(), "the connection was lost"),
        (errors.TimeoutError(), "no answer in time"),
    ],
)
def test_the_reason_for_a_silent_or_ended_connection_is_in_plain_words_without_a_duration(error, text):
    assert str(fault(error)) == text


def test_a_connection_that_ends_without_an_error_gets_a_reason():
    assert str(fault(None)) == "the connection was lost"
