"""A whole relay in this process, of a source that the test scripts; tests/cluster/processes has real ones."""

import asyncio
import contextlib
import logging
import threading

import pytest

from condord.config.bus_credentials import BusCredentials
from condord.config.relay_startup import RelayStartup
from condord.config.schema import Cluster, Config, Server
from condord.daemon import relay_service
from condord.errors import AccessDenied, ConfigError
from condord.host.secret import Secret
from condord.live.published import EVERYTHING
from tests.cluster.fakes import STREAM_HEAD, FakeSource, answer
from tests.cluster.nats_server import nats_server
from tests.e2e.running import fetch, until
from tests.fakes import startup
from tests.live.accounts import PublishingService, spy, status

from .service_runner import restored_process, run_service

__all__ = ["nats_server"]

TOKEN = "own-token-1234567"


@pytest.fixture(autouse=True)
def _process():
    with restored_process():
        yield


class ScriptedSource:
    """A `FakeSource` on a loop of its own thread."""

    def __init__(self, *scripts):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.source = FakeSource(*scripts)
        self._run(self.source.__aenter__())

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def close(self):
        self._run(self.source.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def snapshot():
    source = PublishingService(spy())
    source.set_status(status())
    return source.subscribe(EVERYTHING).take(lambda: source.now_at)


def serve(source, visit=lambda url: None, *, ends=True, token=None, source_token=None, warnings=(), **server):
    """Run a relay until `visit`, called in a thread once it serves, is over (or, unless `ends`, by itself)."""
    config = Config(server=Server(port=0, **server), cluster=Cluster(role="relay", source=source))
    found = RelayStartup(loaded=startup.loaded(config, warnings), source_token=source_token, token=token)
    run_service(
        lambda announce: relay_service.run(found, environ={}, announce=announce, log_dropped=lambda: 3),
        visit,
        ends=ends,
    )


def test_a_relay_serves_the_document_of_its_source(caplog):
    caplog.set_level(logging.INFO)
    seen = {}

    def visit(url):
        until(lambda: fetch(f"{url}/api/positions")[0] == 200, "a document")
        seen["document"] = fetch(f"{url}/api/positions")[2]
        seen["trades"] = fetch(f"{url}/api/trades?from=2026-11-20")[2]
        seen["metrics"] = fetch(f"{url}/metrics")[2]
        seen["ready"] = fetch(f"{url}/readyz")[0]

    with contextlib.closing(
        ScriptedSource(
            [STREAM_HEAD, snapshot(), FakeSource.HOLD], [answer(200, b'{"a": 1}', "Content-Type: application/json")]
        )
    ) as scripted:
        serve(scripted.source.url, visit, warnings=["something is odd"])
        heads = scripted.source.heads
    assert seen["document"]["condors"]
    assert seen["trades"] == {"a": 1}
    assert seen["ready"] == 200
    assert "condord_log_dropped_total 3.0" in seen["metrics"]
    assert heads[1].startswith("GET /api/trades?from=2026-11-20 HTTP/1.1")
    logged = [record.message for record in caplog.records]
    assert [each for each in logged if each in {"Configuration warning", "Serving", "Stopped"}] == [
        "Configuration warning", "Serving", "Stopped",
    ]  # fmt: skip


def test_a_bus_that_refuses_the_credentials_ends_the_relay(nats_server, tmp_path):
    server = nats_server('authorization { token: "right-token" }')
    config = Config(server=Server(port=0), cluster=Cluster(role="relay", bus=server.url))
    wrong = BusCredentials(kind="token", secret=Secret("wrong-token"), path=tmp_path / "x")
    found = RelayStartup(loaded=startup.loaded(config), source_token=None, bus_credentials=wrong, token=None)
    with pytest.raises(AccessDenied, match="does not accept the credentials") as caught:
        relay_service.run(found, environ={}, announce=lambda line: None)
    assert caught.value.exit_code == 77


def test_the_guard_of_a_relay_comes_first_and_without_a_document_it_answers_503():
    seen = []

    def visit(url):
        for headers in ({}, {"Authorization": f"Bearer {TOKEN}"}):
            for path in ("/api/trades", "/readyz", "/livez", "/"):
                seen.append(fetch(url + path, headers=headers)[0])  # noqa: PERF401 - two loops read better

    serve("http://127.0.0.1:9", visit, token=Secret(TOKEN))
    assert seen == [401, 503, 200, 200, 503, 503, 200, 200]


@pytest.mark.parametrize("token", [Secret("source-token-1234"), None])
def test_a_source_that_refuses_the_token_ends_the_relay(token):
    with contextlib.closing(ScriptedSource([answer(401)])) as scripted, pytest.raises(AccessDenied) as caught:
        serve(scripted.source.url, ends=False, source_token=token)
    assert caught.value.exit_code == 77


def test_without_a_token_a_relay_serves_only_this_machine():
    with pytest.raises(ConfigError, match="other machines could read"):
        serve("http://127.0.0.1:9", host="0.0.0.0")  # noqa: S104


def test_certificates_that_cannot_be_read_are_an_error_before_the_relay_serves(monkeypatch):
    config = Config(server=Server(port=0), cluster=Cluster(role="relay", source="https://127.0.0.1:9"))
    found = RelayStartup(loaded=startup.loaded(config), source_token=None, token=None)
    with pytest.raises(ConfigError, match="SSL_CERT_FILE"):
        relay_service.run(found, environ={"SSL_CERT_FILE": "/nonexistent"}, announce=lambda _line: None)
