"""The snippets for nginx and Caddy in docs/relays.md, in front of two real relays.

Only the addresses are replaced, and TLS is left to the certificate of the test.
"""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cluster.processes.running import Relay, closing_link
from tests.e2e.environs import QUICK, UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import TIMEOUT_SECONDS, Condord, Simulated, closing_program, token_environ, until
from tests.e2e.test_proxy import COMMANDS, answers, free_port
from tests.fakes import tls
from tests.needs import lacking

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[3] / "docs" / "relays.md").read_text()
PROXIES = ("nginx", "caddy")
NAME = "condord.example"
TOKEN = "token-of-all-relays-1"
SOON_SECONDS = 30.0
"""Five times as long as a proxy waits for a relay that hangs, and half of what nginx waits by default."""
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Host": NAME}


def nginx(text: str, port: int, certificate: Path) -> str:
    server = f"listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}.cert; ssl_certificate_key {certificate};"
    assert "listen 443 ssl;" in text
    return f"""
daemon off; pid nginx.pid; error_log error.log;
events {{}}
http {{
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi; access_log access.log;
    {text.replace("listen 443 ssl;", server)}
}}
"""


def caddy(text: str, port: int, certificate: Path) -> str:
    assert text.startswith("condord.example {")
    site = text.replace(
        "condord.example {",
        f"https://condord.example:{port} {{\n tls {certificate}.cert {certificate}\n bind 127.0.0.1",
        1,
    )
    return f"{{\n admin off\n auto_https off\n skip_install_trust\n}}\n{site}"


WHOLE = {"nginx": nginx, "caddy": caddy}


class Balanced:
    """A proxy at `port`, over TLS."""

    def __init__(self, port):
        self.port = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE

    @contextlib.contextmanager
    def open(self, path, method="GET", **headers):
        """The answer to a request, not yet read. Any status is returned, none raised."""
        with closing(_Named("127.0.0.1", self.port, context=self._context, timeout=SOON_SECONDS)) as connection:
            connection.request(method, path, headers={**HEADERS, **headers})
            with closing(connection.getresponse()) as answer:
                yield answer

    def status(self, path="/api/positions", method="GET"):
        with self.open(path, method) as answer:
            answer.read()
            return answer.status


class _Named(http.client.HTTPSConnection):
    """A connection to an address that names `NAME` in TLS, by which Caddy chooses the site."""

    def connect(self):
        http.client.HTTPConnection.connect(self)
        self.sock = self._context.wrap_socket(self.sock, server_hostname=NAME)


@contextlib.contextmanager
def proxied(kind, folder, relays):
    """A proxy of this kind before `relays`, their URLs."""
    if shutil.which(kind) is None:
        lacking(kind)
    (text,) = re.findall(rf"```{kind}(?:file)?\n(.*?)```", PAGE, re.DOTALL)
    for number, url in enumerate(relays, 11):
        assert f"10.0.0.{number}:8420" in text
        text = text.replace(f"10.0.0.{number}:8420", url.removeprefix("http://"))
    port = free_port()
    (folder / f"{kind}.conf").write_text(WHOLE[kind](text, port, tls.certificate(folder)))
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(
            COMMANDS[kind], cwd=folder, stdout=output, stderr=output, env={**os.environ, "HOME": str(folder)}
        )
    try:
        until(lambda: process.poll() is not None or answers(port), f"{kind} listens")
        assert process.poll() is None, (folder / "output.txt").read_text()
        yield Balanced(port)
    finally:
        process.terminate()
        process.wait(TIMEOUT_SECONDS)


@pytest.fixture(params=PROXIES)
def scenario(request, tmp_path):
    """A source, two relays of it with one token, the second by a link that can fail, and a proxy before both."""
    with ExitStack() as stack:
        enter = stack.enter_context
        simulated = enter(closing_program(Simulated(**replaced(**UNPACED))))
        simulated.post("market", rate=5)
        source = enter(closing_program(Condord(simulated, **QUICK)))
        source.await_state("live")
        link = enter(closing_link(source.url))
        environ = {
            **token_environ(tmp_path, TOKEN),
            "CONDORD_SERVER_ALLOWED_HOSTS": NAME,
            "CONDORD_SERVER_HEARTBEAT_SECONDS": "2",
        }
        relays = [enter(closing_program(Relay(url, **environ))) for url in (source.url, link.url)]
        folder = tmp_path / "proxy"
        folder.mkdir()
        balanced = enter(proxied(request.param, folder, [relay.url for relay in relays]))
        until(lambda: all(relay.get("/readyz", **HEADERS)[0] == 200 for relay in relays), "both relays are ready")
        until(lambda: balanced.status("/readyz") == 200, "the proxy has noticed")
        yield SimpleNamespace(source=source, relays=relays, link=link, balanced=balanced)


def subscribers(scenario):
    return [relay.get("/api/status", **HEADERS)[1]["subscribers"] for relay in scenario.relays]


def answered_by(balanced):
    """The process of the relay that answers."""
    with balanced.open("/api/status") as answer:
        return json.loads(answer.read())["pid"]


def test_relays_share_subscribers_and_one_that_is_lost_loses_no_client(scenario):
    balanced = scenario.balanced
    with ExitStack() as stack:
        streams = [stack.enter_context(balanced.open("/api/stream")) for _ in range(6)]
        assert [stream.status for stream in streams] == [200] * 6
        until(lambda: subscribers(scenario) == [3, 3], lambda: f"both have three: {subscribers(scenario)}")
        # A ticket of either relay opens a stream at either.
        with balanced.open("/api/tickets", "POST") as answer:
            assert answer.status == 201
            ticket = re.search(rb'"ticket":"([^"]+)"', answer.read())[1].decode()
        with balanced.open(f"/api/stream?ticket={ticket}", Authorization="") as stream:
            assert stream.status == 200
        with balanced.open("/api/positions") as answer:
            version = re.search(rb'"version":"([^"]+)"', answer.read())[1].decode()

        # One that has lost its source answers 503 to those who ask whether it is ready, and still serves.
        scenario.link.do("stall")
        until(lambda: scenario.relays[1].get("/readyz", **HEADERS)[0] == 503, "the second relay has lost its source")
        until(lambda: [balanced.status("/readyz") for _ in range(6)] == [200] * 6, "the proxy asks the other")
        scenario.link.do("resume")
        until(lambda: scenario.relays[1].get("/readyz", **HEADERS)[0] == 200, "the source is back")

        until(lambda: answered_by(balanced) == scenario.relays[1].process.pid, "the proxy asks it again")

        scenario.relays[0].process.send_signal(signal.SIGKILL)
        assert [balanced.status() for _ in range(8)] == [200] * 8
        with balanced.open("/api/stream", **{"Last-Event-ID": version}) as resumed:
            assert resumed.status == 200
            head = b"".join(iter(lambda: resumed.readline().strip(), b""))
            assert b"delta" in head
            assert b"snapshot" not in head


@contextlib.contextmanager
def stopped(program):
    """The program hangs: the kernel still takes connections to it, and nobody answers."""
    program.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        program.process.send_signal(signal.SIGCONT)


def number_now(balanced):
    with balanced.open("/api/positions") as answer:
        return int(json.loads(answer.read())["version"].rpartition("-")[2])


def reaches(stream, number):
    """Whether a stream comes to the event of this number; otherwise it ends before."""
    with contextlib.suppress(http.client.IncompleteRead):
        while line := stream.readline():
            if line.startswith(b"id: ") and int(line.rpartition(b"-")[2]) >= number:
                return True
    return False


nginx_only = pytest.mark.parametrize("scenario", ["nginx"], indirect=True)


@nginx_only
def test_clients_of_a_relay_that_hangs_are_served_by_another(scenario):
    balanced = scenario.balanced
    with ExitStack() as stack:
        streams = [stack.enter_context(balanced.open("/api/stream")) for _ in range(4)]
        until(lambda: subscribers(scenario) == [2, 2], lambda: f"both have two: {subscribers(scenario)}")
        with stopped(scenario.relays[1]):
            for path, method, wanted in (
                ("/api/positions", "GET", 200),
                ("/api/tickets", "POST", 201),
                ("/api/history?points=7", "GET", 200),
                ("/api/channels/none/test", "POST", 404),
            ):
                assert [balanced.status(path, method) for _ in range(4)] == [wanted] * 4
            with balanced.open("/api/stream") as stream:
                assert stream.status == 200
                assert reaches(stream, number_now(balanced))
            number = number_now(balanced)
            assert sorted(reaches(stream, number) for stream in streams) == [False, False, True, True]
    until(lambda: answered_by(balanced) == scenario.relays[1].process.pid, "the proxy asks it again")


@nginx_only
def test_if_no_relay_can_answer_a_request_the_proxy_passes_on_their_refusal_and_other_requests_work(scenario):
    balanced = scenario.balanced
    with stopped(scenario.source):
        until(lambda: all(relay.get("/readyz", **HEADERS)[0] == 503 for relay in scenario.relays), "both have lost it")
        for _ in range(4):
            with balanced.open("/api/refresh", "POST") as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
                assert re.fullmatch(
                    r"the source http://\S+ is lost; it was not carried out", json.loads(answer.read())["detail"]
                )
            assert balanced.status() == 200
