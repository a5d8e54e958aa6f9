"""What the daemon says of itself in OpenAPI, held against what it does, and against a program that tries to refute it."""

import http.client
import importlib.util
import subprocess
import sys
from contextlib import closing

import pytest

from tests.e2e.conftest import QUICK
from tests.e2e.running import Condord, Follower, closing_program, fetch, until
from tests.http.described import Described

pytestmark = pytest.mark.slow

READS = ("/api/positions", "/api/status", "/livez", "/healthz", "/readyz", "/metrics", "/openapi.json")
SCHEMATHESIS = [sys.executable, "-m", "schemathesis.cli", "run", "--no-color", "--generation-deterministic"]


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text("a-token-of-some-length\n")
    path.chmod(0o600)
    return path


class Asking:
    """Asks a daemon, and holds every answer against its own document."""

    def __init__(self, condord: Condord, **headers: str) -> None:
        self._place = condord.url.removeprefix("http://")
        self._headers = headers
        self._described = Described(fetch(condord.url + "/openapi.json", headers=headers)[2])

    def __call__(self, path: str, *, method: str = "GET", **headers: str) -> int:
        """The status of an answer that is as described."""
        link = http.client.HTTPConnection(self._place, timeout=10)
        with closing(link):
            link.request(method, path, headers={**self._headers, **headers})
            answer = link.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            self._described.check(method, path, answer.status, told, answer.read())
        return answer.status

    def follow(self, url: str, *names: str) -> None:
        """Hold a stream until events of these names have come, each of them as described."""
        with closing(Follower(url)) as follower:
            until(lambda: set(names) <= set(follower.names), f"events {names}")
            frames = [
                f"event: {event.name}\n" + (f"id: {event.id}\n" if event.id else "") + f"data: {event.data}\n\n"
                for event in follower.events
            ]
        headers = {"content-type": "text/event-stream"}
        self._described.check("GET", "/api/stream", 200, headers, "".join(frames).encode())


def ids(condord: Condord) -> list[str]:
    """The condors of the daemon."""
    return [condor["id"] for condor in condord.document()["condors"]]


def test_a_daemon_that_has_read_nothing_answers_as_it_says(simulated):
    simulated.fault("rest-500")
    with closing_program(Condord(simulated, **QUICK)) as condord:
        until(lambda: condord.status()["positions"]["error"], "REST fails")
        asking = Asking(condord)
        assert {path: asking(path) for path in READS} == {path: 503 if path == "/readyz" else 200 for path in READS}
        assert ids(condord) == []


def test_a_daemon_with_every_kind_of_position_answers_as_it_says(simulated):
    environ = {**QUICK, "CONDORD_SERVER_HEARTBEAT_SECONDS": "0.5", "CONDORD_STREAM_MIN_CHANGE": "0"}
    with closing_program(Condord(simulated, **environ)) as condord:
        condord.await_told()
        asking = Asking(condord)
        for method in ("GET", "HEAD"):
            assert {path: asking(path, method=method) for path in READS} == dict.fromkeys(READS, 200)
            assert {asking(f"/api/positions/{each}", method=method) for each in ids(condord)} == {200}
        assert asking("/api/refresh", method="POST") == 202
        asking.follow(condord.url, "snapshot", "delta")
        simulated.post("market", frozen=True)
        asking.follow(condord.url, "snapshot", "heartbeat")


def test_every_error_is_as_the_daemon_says(simulated, token_file):
    environ = {**QUICK, "CONDORD_SERVER_TOKEN_FILE": str(token_file), "CONDORD_SERVER_MAX_SUBSCRIBERS": "1"}
    with closing_program(Condord(simulated, **environ)) as condord:
        token = {"Authorization": "Bearer a-token-of-some-length"}
        asking = Asking(condord, **token)
        assert asking("/api/positions", Authorization="Bearer wrong") == 401
        assert asking("/api/refresh", method="POST", Origin="https://evil.example") == 403
        assert asking("/api/positions/none") == 404
        assert asking("/nowhere") == 404
        assert asking("/api/positions", method="TRACE") == 405
        assert asking("/livez", Host="evil.example") == 421
        assert asking("/api/stream?interval=soon") == 400
        with closing(Follower(condord.url, **token)):
            assert asking("/api/stream") == 503
        assert asking("/api/positions", **{"If-None-Match": "*"}) == 304


@pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="schemathesis is not installed")
class TestSchemathesis:
    """.ci/run installs it. The stream has no end, so that it is asked only where it refuses."""

    def test_it_refutes_nothing(self, condord):
        # Nor can it guess the name of an asset: all that it would see is 404, and it complains of that.
        left_out = ("/api/stream", "/assets/{name}")
        self.run(condord, "--checks", "all", *(word for path in left_out for word in ("--exclude-path", path)))

    def test_it_refutes_nothing_of_a_stream_that_is_full(self, simulated):
        with (
            closing_program(Condord(simulated, **QUICK, CONDORD_SERVER_MAX_SUBSCRIBERS="1")) as condord,
            closing(Follower(condord.url)),
        ):
            self.run(
                condord, "--checks", "all", "--exclude-checks", "not_a_server_error", "--include-path", "/api/stream"
            )

    def run(self, condord, *arguments):
        told = subprocess.run(
            [*SCHEMATHESIS, "--max-examples", "50", *arguments, f"{condord.url}/openapi.json"],
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert told.returncode == 0, told.stdout + told.stderr
        assert "No issues found" in told.stdout
