"""The daemon's OpenAPI document, compared with its responses and checked by Schemathesis."""

import http.client
import importlib.util
import subprocess
import sys
from contextlib import closing

import pytest

from condord.client.sse import ServerSentEvent
from tests.e2e.environs import QUICK
from tests.e2e.running import Condord, Follower, closing_program, fetch, token_environ, until
from tests.http.openapi_checker import OpenApiChecker
from tests.needs import without

pytestmark = pytest.mark.slow

READS = (
    "/api/positions", "/api/positions.csv", "/api/trades", "/api/trades.csv", "/api/history", "/api/history.csv",
    "/api/status", "/livez", "/healthz", "/readyz", "/metrics", "/openapi.json",
)  # fmt: skip
RECORDED = ("/api/trades", "/api/trades.csv", "/api/history", "/api/history.csv")
SCHEMATHESIS = [sys.executable, "-m", "schemathesis.cli", "run", "--no-color", "--generation-deterministic"]


class CheckedClient:
    """Sends requests to a daemon and checks every response against its OpenAPI document."""

    def __init__(self, condord: Condord, **headers: str) -> None:
        self._host = condord.url.removeprefix("http://")
        self._headers = headers
        self._described = OpenApiChecker(fetch(condord.url + "/openapi.json", headers=headers)[2])

    def __call__(self, path: str, *, method: str = "GET", **headers: str) -> int:
        """The status of a response, which must be as documented."""
        link = http.client.HTTPConnection(self._host, timeout=60)
        with closing(link):
            link.request(method, path, headers={**self._headers, **headers})
            answer = link.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            self._described.check(method, path, answer.status, headers, answer.read())
        return answer.status

    def follow(self, url: str, *names: str) -> None:
        """Follow a stream until events of these names have arrived; each must be as documented."""
        with closing(Follower(url)) as follower:
            until(lambda: set(names) <= set(follower.names), f"events {names}")
            frames = "".join(map(encoded, follower.events.copy()))
        headers = {"content-type": "text/event-stream"}
        self._described.check("GET", "/api/stream", 200, headers, frames.encode())


def encoded(event: ServerSentEvent) -> str:
    """An event as text/event-stream, with one line for each line of its data."""
    fields = [("event", event.name), *([("id", event.id)] if event.id else [])]
    fields += [("data", line) for line in event.data.split("\n")]
    return "".join(f"{name}: {value}\n" for name, value in fields) + "\n"


def ids(condord: Condord) -> list[str]:
    """The ids of the daemon's condors."""
    return [condor["id"] for condor in condord.document()["condors"]]


def test_a_daemon_that_has_read_nothing_answers_as_documented(simulated):
    simulated.fault("rest-500")
    with closing_program(Condord(simulated, **QUICK)) as condord:
        until(lambda: condord.status()["positions"]["error"], "REST fails")
        client = CheckedClient(condord)
        unknown = ("/readyz", "/api/positions.csv", "/api/history", "/api/history.csv", "/api/trades.csv")
        assert {path: client(path) for path in READS} == {path: 503 if path in unknown else 200 for path in READS}
        assert ids(condord) == []


def test_a_daemon_with_every_kind_of_position_answers_as_documented(simulated):
    environ = {**QUICK, "CONDORD_SERVER_HEARTBEAT_SECONDS": "0.5", "CONDORD_STREAM_MIN_CHANGE": "0"}
    with closing_program(Condord(simulated, **environ)) as condord:
        condord.await_account_read()
        until(lambda: condord.get("/api/trades.csv")[0] == 200, "the account's past is read")
        client = CheckedClient(condord)
        for method in ("GET", "HEAD"):
            assert {path: client(path, method=method) for path in READS} == dict.fromkeys(READS, 200)
            assert {client(f"/api/positions/{identity}", method=method) for identity in ids(condord)} == {200}
        assert client("/api/refresh", method="POST") == 202
        assert client("/api/tickets", method="POST") == 201
        client.follow(condord.url, "snapshot", "delta")
        simulated.post("market", frozen=True)
        client.follow(condord.url, "snapshot", "heartbeat")


def test_every_error_is_as_documented(simulated, tmp_path):
    environ = {**QUICK, **token_environ(tmp_path, "a-token-of-some-length\n"), "CONDORD_SERVER_MAX_SUBSCRIBERS": "1"}
    with closing_program(Condord(simulated, **environ)) as condord:
        token = {"Authorization": "Bearer a-token-of-some-length"}
        client = CheckedClient(condord, **token)
        assert client("/api/positions", Authorization="Bearer wrong") == 401
        assert client("/api/refresh", method="POST", Origin="https://evil.example") == 403
        assert client("/?token=x") == 400
        assert client("/api/stream?ticket=none", Authorization="") == 401
        assert client("/api/positions/none") == 404
        assert client("/nowhere") == 404
        assert client("/api/positions", method="TRACE") == 405
        assert client("/livez", Host="evil.example") == 200
        assert client("/api/status", Host="evil.example") == 421
        assert client("/api/stream?interval=soon") == 400
        assert {client(f"{path}?from=soon") for path in RECORDED} == {400}
        until(lambda: client("/api/history?condor=none") != 503, "the account and its positions are known")
        assert {client(f"/api/history{suffix}?condor=none") for suffix in ("", ".csv")} == {404}
        with closing(Follower(condord.url, **token)):
            assert client("/api/stream") == 503
        assert client("/api/positions", **{"If-None-Match": "*"}) == 304


def each(option: str, *values: str) -> list[str]:
    """The option before each of its values."""
    return [argument for value in values for argument in (option, value)]


@without("schemathesis", importlib.util.find_spec("schemathesis") is None)
class TestSchemathesis:
    """.ci/run installs it. The stream has no end, so it is requested only where it is refused."""

    def test_schemathesis_finds_no_fault(self, condord):
        # It cannot guess these names: it would only get 404, which it reports as a fault.
        named = ("/assets/{name}", "/api/alerts/{id}/acknowledge", "/api/channels/{name}/test")
        self.run(condord, "--checks", "all", *each("--exclude-path", "/api/stream", *named, *RECORDED))

    def test_schemathesis_finds_no_fault_with_history_and_trades(self, condord):
        # The schema of `from` and `to` is a string, of which most are refused.
        excluded = ("--exclude-checks", "positive_data_acceptance")
        self.run(condord, "--checks", "all", *excluded, *each("--include-path", *RECORDED))

    def test_schemathesis_finds_no_fault_with_a_full_stream(self, simulated):
        with (
            closing_program(Condord(simulated, **QUICK, CONDORD_SERVER_MAX_SUBSCRIBERS="1")) as condord,
            closing(Follower(condord.url)),
        ):
            self.run(
                condord, "--checks", "all", "--exclude-checks", "not_a_server_error", "--include-path", "/api/stream"
            )

    def run(self, condord, *arguments):
        result = subprocess.run(
            [*SCHEMATHESIS, "--max-examples", "50", *arguments, f"{condord.url}/openapi.json"],
            capture_output=True,
            text=True,
            timeout=250,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert "No issues found" in result.stdout
