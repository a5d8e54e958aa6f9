"""Relays of a source with a token, over TLS and over a unix socket, and what their own guard lets through."""

import http.client
import signal
from contextlib import ExitStack, closing

import pytest

from tests.cluster.processes.running import Relay, closing_link
from tests.e2e.environs import QUICK, UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import Condord, Program, Simulated, closing_program, fetch, token_environ, until
from tests.fakes import tls

pytestmark = pytest.mark.slow

SOURCE_TOKEN, RELAY_TOKEN = "token-of-the-source-1", "token-of-the-relay-12"


class Secured:
    """A source with a token at a port and behind TLS, and a relay of it over TLS with a token of its own."""

    def __init__(self, stack, place):
        self.place = place
        certificate = tls.certificate(place)
        self.trust = {"SSL_CERT_FILE": f"{certificate}.cert"}
        (place / "source").mkdir()
        simulated = stack.enter_context(closing_program(Simulated(**replaced(**UNPACED))))
        self.source = stack.enter_context(
            closing_program(Condord(simulated, **QUICK, **token_environ(place / "source", SOURCE_TOKEN)))
        )
        self.tls = stack.enter_context(closing_link(self.source.url, tls.served(certificate)))
        (place / "relay").mkdir()
        file = place / "source-token"
        file.write_text(SOURCE_TOKEN)
        file.chmod(0o600)
        self.relay = stack.enter_context(
            closing_program(
                Relay(
                    self.tls.url,
                    CONDORD_CLUSTER_SOURCE_TOKEN_FILE=str(file),
                    **self.trust,
                    **token_environ(place / "relay", RELAY_TOKEN),
                )
            )
        )
        until(lambda: self.get("/api/positions")[0] == 200, "a document over TLS")

    def get(self, path, token=RELAY_TOKEN, **options):
        return fetch(self.relay.url + path, headers={"Authorization": f"Bearer {token}"} if token else {}, **options)


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    with ExitStack() as stack:
        yield Secured(stack, tmp_path_factory.mktemp("secured"))


def test_the_relay_has_a_token_of_its_own_and_never_passes_one_on(secured):
    for path in ("/api/positions", "/api/stream", "/api/trades", "/metrics"):
        assert secured.get(path, None)[0] == 401, path
        assert secured.get(path, SOURCE_TOKEN)[0] == 401, path
    assert secured.get("/api/trades")[0] == 200
    assert (
        fetch(f"{secured.relay.url}/api/trades?access_token={RELAY_TOKEN}")[0] == 200
    )  # the source would refuse the parameter
    assert secured.get("/api/refresh", method="POST")[0] == 202
    assert secured.get("/readyz", None)[::2] in [(200, ""), (503, "")]
    log = "".join([*secured.relay.stderr, *secured.source.stderr])
    assert RELAY_TOKEN not in log
    assert SOURCE_TOKEN not in log


def test_a_page_of_another_origin_changes_nothing_at_the_source(secured):
    headers = {"Authorization": f"Bearer {RELAY_TOKEN}", "Origin": "https://evil.example"}
    assert fetch(f"{secured.relay.url}/api/refresh", method="POST", headers=headers)[0] == 403


def test_a_ticket_of_one_relay_opens_one_stream_at_another_with_the_same_token(secured):
    environ = {**secured.trust, **token_environ(secured.place / "relay", RELAY_TOKEN), "CONDORD_TOKEN": SOURCE_TOKEN}
    with closing_program(Relay(secured.tls.url, **environ)) as other:
        until(
            lambda: fetch(other.url + "/api/status", headers={"Authorization": f"Bearer {RELAY_TOKEN}"})[0] == 200,
            "it has a document",
        )
        ticket = secured.get("/api/tickets", method="POST")[2]["ticket"]
        with closing(http.client.HTTPConnection(other.url.removeprefix("http://"), timeout=60)) as link:
            link.request("GET", f"/api/stream?ticket={ticket}")
            answer = link.getresponse()
            assert answer.status == 200
            assert b"event: snapshot" in answer.read1(65_536)
        assert fetch(f"{other.url}/api/stream?ticket={ticket}")[0] == 401


def test_a_wrong_token_ends_the_relay_with_77(secured):
    with closing_program(Relay(secured.tls.url, CONDORD_TOKEN="another-token-1234", **secured.trust)) as relay:
        assert relay.wait() == 77
        text = "".join(relay.stderr)
        assert "does not accept the token" in text
        assert "cluster.source_token_file" in text
        assert "Traceback" not in text


def test_a_relay_without_a_token_reports_that_one_is_required(secured):
    with closing_program(Relay(secured.source.url)) as relay:
        assert relay.wait() == 77
        assert "requires a token" in "".join(relay.stderr)


def test_a_certificate_that_is_not_trusted_is_the_reason_why_nothing_is_read(secured):
    with closing_program(Relay(secured.tls.url, CONDORD_TOKEN=SOURCE_TOKEN)) as relay:
        until(lambda: "not trusted" in str(relay.get("/api/positions")[1]), "the reason")
        assert relay.get("/readyz")[0] == 503
        assert relay.stop() == 0


def test_a_token_in_clear_beyond_this_machine_is_a_fault(secured):
    command = ("relay", "--source", "http://192.0.2.1:8420", "--port", "0")
    with closing_program(Program(*command, environ={"CONDORD_TOKEN": SOURCE_TOKEN})) as relay:
        assert relay.wait() == 78
        assert "unencrypted" in relay.stderr[0]
        assert "TLS proxy" in "".join(relay.stderr)


def test_a_unix_socket_is_a_source_and_sighup_keeps_the_subscribers(secured, tmp_path):
    uds = tmp_path / "relay.sock"
    environ = {**secured.trust, "CONDORD_TOKEN": SOURCE_TOKEN}
    with ExitStack() as stack:
        first = stack.enter_context(closing_program(Relay(secured.tls.url, "--uds", str(uds), **environ)))
        second = stack.enter_context(closing_program(Relay(first.url)))
        second.await_read()
        link = stack.enter_context(closing(http.client.HTTPConnection(second.url.removeprefix("http://"), timeout=60)))
        link.request("GET", "/api/stream")
        answer = link.getresponse()
        answer.read1(65_536)
        second.process.send_signal(signal.SIGHUP)
        second.await_line("Configuration reloaded")
        assert answer.read1(65_536)
        assert second.status()["cluster"]["source"] == f"unix://{uds}"


def test_check_online_tries_the_source(secured, tmp_path):
    file = tmp_path / "relay.toml"
    file.write_text(f'[server]\nport = 0\n[cluster]\nrole = "relay"\nsource = "{secured.tls.url}"\n')
    file.chmod(0o600)
    command = ("check", "--online", "--config", str(file))
    with closing_program(Program(*command, environ={**secured.trust, "CONDORD_TOKEN": SOURCE_TOKEN})) as checking:
        assert checking.wait() == 0, checking.stderr
        assert "ok    source" in checking.process.stdout.read()
    with closing_program(Program(*command, environ=secured.trust)) as checking:
        assert checking.wait() == 77
        assert "requires a token" in checking.process.stdout.read()
