"""How the daemon starts, what it refuses, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing

import pytest

from condord.client.http import Daemon
from tests.e2e.environs import FEW_TICKS, QUICK
from tests.e2e.preloaded import PRELUDE, replaced
from tests.e2e.running import (
    KEYS,
    Condord,
    Follower,
    Simulated,
    Starting,
    answers,
    closing_program,
    fetch,
    token_environ,
    until,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def simulated():
    with closing_program(Simulated(**replaced(**FEW_TICKS))) as program:
        yield program


def ended(*arguments: str, **environ: str) -> tuple[int, list[str]]:
    """Exit code and stderr of a `condord start` that exits by itself."""
    with closing_program(Starting("start", *arguments, environ=environ)) as program:
        return program.wait(), program.stderr


def test_the_demo_shows_every_kind_of_position_with_prices_and_ends_on_sigint():
    with closing_program(Starting("start", "--demo", "--port", "0")) as program:
        url = program.await_line(r"^condord \S+ serves at (http://127\.0\.0\.1:\d+)$")[1]

        def priced():
            document = fetch(url + "/api/positions")[2]
            is_complete = document["totals"]["unrealizedPl"] is not None and document["status"]["state"] == "live"
            return document if is_complete else None

        document = until(priced, "the stream is live and every condor is priced")
        assert document["status"]["source"] == "simulator"
        condors = document["condors"]
        assert {"ironCondor", "ironButterfly"} == {condor["kind"] for condor in condors}
        assert {"short", "long"} == {condor["direction"] for condor in condors}
        assert {True, False} == {condor["brokenWing"] for condor in condors}
        assert any(condor["quantity"] == 2 for condor in condors)
        assert any(condor["root"] == "XYZ1" for condor in condors)
        assert any(leg["strike"] % 1 == 0.5 for condor in condors for leg in condor["legs"])
        symbols = [leg["symbol"] for condor in condors for leg in condor["legs"]]
        assert len(symbols) > len(set(symbols)), "two condors share a contract"
        assert [entry["uncoveredShort"] for entry in document["unmatched"]].count(True) == 1
        assert {len(quote["symbol"]) > 15 for quote in document["quotes"]} == {True}
        assert program.stop(2) == 0


def test_start_exits_with_77_and_a_hint_without_credentials():
    code, err = ended()
    assert code == 77
    assert len(err) == 2
    assert "APCA_API_KEY_ID" in err[1]


def test_start_exits_with_69_if_the_port_is_taken_and_names_the_process(simulated):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        code, err = ended("--port", str(taken.getsockname()[1]), **KEYS)
    assert code == 69
    assert err[0].rstrip().endswith(f"in use by process {os.getpid()}")
    assert len(err) == 2


def test_a_second_daemon_on_the_same_stream_exits_with_69_and_names_the_first(simulated, condord):
    urls = {"CONDORD_ALPACA_OPTION_STREAM_URL": simulated.urls["optionStreamUrl"]}
    code, err = ended("--port", "0", **KEYS, **urls)
    assert code == 69
    assert str(condord.process.pid) in err[0]
    assert f"`condord status --url {condord.url}`" in err[1]


def test_the_next_daemon_starts_after_a_kill(simulated, condord):
    condord.process.kill()
    condord.wait()
    with closing_program(Condord(simulated, **QUICK)) as following:
        following.await_state("live")


def test_daemons_with_different_keys_run_side_by_side(simulated, condord):
    with closing_program(Condord(simulated, **QUICK, APCA_API_KEY_ID="ANOTHERKEY")) as other:
        other.await_state("live")
        assert condord.status()["state"] == "live"
        assert other.status()["pid"] != condord.status()["pid"]


def test_start_exits_with_78_if_the_configuration_is_missing(tmp_path):
    code, err = ended("--config", str(tmp_path / "none.toml"))
    assert code == 78
    assert "none.toml" in err[0]


@pytest.mark.parametrize("name", ["WEB_CONCURRENCY", "PROMETHEUS_MULTIPROC_DIR"])
def test_the_libraries_ignore_variables_for_other_programs(simulated, tmp_path, name):
    with closing_program(Condord(simulated, **{name: str(tmp_path)})) as condord:
        assert fetch(condord.url + "/metrics")[0] == 200
        assert condord.stop() == 0
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_variable_causes_a_warning_with_the_nearest_name(simulated):
    with closing_program(Condord(simulated, CONDORD_LOGLEVEL="debug", CONDORD_URL="http://127.0.0.1:1")) as condord:
        assert "CONDORD_LOG_LEVEL" in condord.await_line(" warning .*CONDORD_LOGLEVEL is not used.*")[0]
        assert condord.stop() == 0
        assert sum(" warning Configuration" in line for line in condord.stderr) == 1


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"CONDORD_ALPACA_TRADING_URL": "http://api.example"}, "TLS proxy or a tunnel"),
        ({"CONDORD_ALPACA_OPTION_STREAM_URL": "ws://stream.example/x"}, "use wss://"),
        ({"SSL_CERT_FILE": "/nonexistent/store.pem"}, "environment SSL_CERT_FILE = '/nonexistent/store.pem'"),
        ({"HTTPS_PROXY": "ftp://us:hunter2@p:1", "https_proxy": "ftp://us:hunter2@p:1"}, "must be http://host:port"),
    ],
)
def test_start_exits_with_78_if_the_key_would_be_sent_unencrypted_or_cannot_be_sent(environ, words):
    code, err = ended(**{**KEYS, **environ})
    assert code == 78
    assert words in err[0]
    assert "hunter2" not in "".join(err)


def test_an_unreachable_alpaca_is_reported_in_the_status_and_does_not_stop_the_daemon():
    unreachable = {f"CONDORD_ALPACA_{name}_URL": "http://127.0.0.1:9" for name in ("TRADING", "DATA")}
    sockets = {f"CONDORD_ALPACA_{name}_STREAM_URL": "ws://127.0.0.1:9/x" for name in ("OPTION", "TRADING")}
    environ = {**KEYS, **unreachable, **sockets, **QUICK, "CONDORD_REST_RETRIES": "0"}
    with closing_program(Starting("start", "--port", "0", environ=environ)) as program:
        url = program.await_line(r"serves at (\S+)")[1]

        def failing():
            status = fetch(url + "/api/status")[2]
            return status if status["positions"]["error"] and status["code"] else None

        status = until(failing, "the outage is reported")
        assert (status["state"], status["code"]) == ("reconnecting", "unreachable")
        assert status["positions"]["readAt"] is None
        assert fetch(url + "/livez")[0] == 200
        assert fetch(url + "/readyz")[0] == 503
        code, _, document = fetch(url + "/api/positions")
        assert code == 200
        assert document["totals"]["unrealizedPl"] is None
        assert program.stop() == 0


def test_the_daemon_serves_without_a_stderr(simulated, tmp_path):
    at = tmp_path / "socket"
    urls = {f"CONDORD_ALPACA_{name}_URL": simulated.url for name in ("TRADING", "DATA")}
    command = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", sys.executable, "-m", "condord", "start", "--uds", str(at)]
    streams = {"CONDORD_ALPACA_OPTION_STREAM_URL": simulated.urls["optionStreamUrl"]}
    streams["CONDORD_ALPACA_TRADING_STREAM_URL"] = simulated.urls["tradingStreamUrl"]
    with subprocess.Popen(command, env={**os.environ, **KEYS, **urls, **streams}) as process:
        try:
            until(lambda: answers(at) or process.poll() is not None, "it serves")
            until(lambda: json.loads(Daemon(f"unix://{at}").status())["state"] == "live", "it is live")
        finally:
            process.terminate()
        assert process.wait(60) == 0


def test_every_protected_route_requires_the_token(simulated, tmp_path):
    with closing_program(Condord(simulated, **token_environ(tmp_path, "0123456789abcdef-token\n"))) as condord:
        for path in ("/api/positions", "/api/stream", "/api/status", "/metrics"):
            assert condord.get(path)[0] == 401
        assert condord.get("/api/status", Authorization="Bearer 0123456789abcdef-token")[0] == 200
        assert condord.get("/api/status?access_token=0123456789abcdef-token")[0] == 200
        assert condord.get("/api/status", Host="evil.example")[0] == 421
        assert [condord.get(path, Host="10.1.2.3:8420") for path in ("/livez", "/healthz")] == [(200, "ok\n")] * 2
        assert condord.get("/readyz", Host="10.1.2.3:8420")[1] == ""
        assert condord.get("/readyz")[1] == ""
        assert "state" in condord.get("/readyz", Authorization="Bearer 0123456789abcdef-token")[1]
        assert "0123456789abcdef" not in "".join(condord.stderr)


def test_a_unix_socket_is_served_and_removed_at_the_end(simulated, tmp_path):
    path = tmp_path / "condord.sock"
    with closing_program(Condord(simulated, "--uds", str(path))) as condord:
        assert condord.url == f"unix://{path}"
        assert json.loads(Daemon(condord.url).status())["address"] == condord.url
        assert condord.stop() == 0
    assert not path.exists()


def test_a_subscriber_beyond_the_limit_is_refused_until_another_leaves(simulated):
    with closing_program(Condord(simulated, CONDORD_SERVER_MAX_SUBSCRIBERS="1")) as condord:
        with closing(Follower(condord.url)) as follower:
            until(lambda: follower.events, "the first stream")
            status, headers, _ = fetch(condord.url + "/api/stream")
            assert status == 503
            assert int(headers["Retry-After"]) > 0
        until(lambda: condord.status()["subscribers"] == 0, "the stream is closed")


def test_sighup_applies_valid_changes_and_refuses_invalid_ones(simulated, tmp_path):
    file = tmp_path / "condord.toml"
    file.write_text("[stream]\nwindow_ms = 250\n")
    with (
        closing_program(Condord(simulated, "--port", "0", "--config", str(file))) as condord,
        closing(Follower(condord.url)) as follower,
    ):
        until(lambda: follower.events, "a stream")
        file.write_text("[stream]\nwindow_ms = 500\n[server]\nring_size = 8\n")
        condord.process.send_signal(1)
        assert "server.ring_size" in condord.await_line("Configuration reloaded.*")[0]
        file.write_text("[stream]\nwindow = 1\n")
        condord.process.send_signal(1)
        assert "stream.window" in condord.await_line("Configuration refused.*")[0]
        assert not follower.ended.is_set()


SABOTAGE = """
import asyncio
from pathlib import Path
from condord.daemon import serving
from condord.host import hang_watchdog
from condord.upstream.supervisor import Supervisor
NOW = Path(__file__).with_name("now")
hang_watchdog.STEP_SECONDS, hang_watchdog.STEPS, serving.STUCK_CHECKS = 0.3, 10, 2
"""
"""This is run before the daemon, whose code is unchanged; the file `now` triggers the fault."""

ENDS = """
run = Supervisor.run
async def end(self):
    work = asyncio.ensure_future(run(self))
    while not NOW.exists():
        await asyncio.sleep(0.05)
    work.cancel()
    {how}
Supervisor.run = end
"""
STUCK = """
Supervisor.stuck = lambda self, now: "the readings have made no progress for 99 s" if NOW.exists() else None
"""
BLOCKS = """
import time
publish_status = Supervisor.publish_status
def blocked_publish(self):
    while NOW.exists():
        time.sleep(0.01)
    publish_status(self)
Supervisor.publish_status = blocked_publish
"""


class Sabotaged(Condord):
    """A daemon in which `start_fault` triggers a fault."""

    def __init__(self, simulated, folder, sabotage, **environ):
        prelude = folder / "sabotage.py"
        prelude.write_text(SABOTAGE + sabotage)
        self._now = folder / "now"
        super().__init__(simulated, **{PRELUDE: str(prelude)}, **QUICK, **environ)
        self.await_state("live")

    def start_fault(self) -> None:
        self._now.touch()

    def end_fault(self) -> None:
        self._now.unlink()


def error_lines(program) -> list[str]:
    return [line for line in program.stderr if " error " in line]


@pytest.mark.parametrize("how", ["return", "raise RuntimeError('oh')", "raise asyncio.CancelledError"])
def test_the_daemon_exits_with_70_however_the_supervisor_ends(simulated, tmp_path, how):
    with (
        closing_program(Sabotaged(simulated, tmp_path, ENDS.format(how=how))) as condord,
        closing(Follower(condord.url)) as follower,
    ):
        until(lambda: follower.events, "a stream")
        condord.start_fault()
        assert condord.wait() == 70
        (line,) = error_lines(condord)
        assert "the supervisor ended by itself" in line
        assert ("RuntimeError" in line) is ("RuntimeError" in how)
        assert condord.stderr[-2] == "condord: the supervisor ended by itself\n"
        assert condord.stderr[-1].startswith("hint: ")
        assert follower.ended.wait(60)
        assert follower.names[-1] == "bye"


def test_a_supervisor_without_progress_fails_livez_and_the_daemon_exits_with_70(simulated, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(60)
        environ = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}
        with closing_program(Sabotaged(simulated, tmp_path, STUCK, **environ)) as condord:
            assert condord.get("/livez")[0] == 200
            condord.start_fault()
            assert condord.get("/livez")[0] == 503
            notify.setblocking(False)
            while pending(notify):
                pass
            assert condord.wait() == 70
            (line,) = error_lines(condord)
            assert "the readings have made no progress for 99 s" in line
            assert "WATCHDOG=1" not in iter(lambda: pending(notify), "")


def pending(notify) -> str:
    """The next message to systemd; empty if there is none."""
    try:
        return notify.recv(4096).decode()
    except BlockingIOError:
        return ""


def test_a_supervisor_that_is_slow_for_a_moment_does_not_stop_the_daemon(simulated, tmp_path):
    with closing_program(Sabotaged(simulated, tmp_path, "serving.STUCK_CHECKS = 10\n" + STUCK)) as condord:
        condord.start_fault()
        until(lambda: condord.get("/livez")[0] == 503, "/livez reports it")
        condord.end_fault()
        until(lambda: condord.get("/livez")[0] == 200, "/livez has recovered")
        assert condord.stop() == 0
        assert error_lines(condord) == []


def test_the_process_exits_with_70_and_the_blocking_lines_if_the_event_loop_is_blocked(simulated, tmp_path):
    with closing_program(Sabotaged(simulated, tmp_path, BLOCKS)) as condord:
        condord.start_fault()
        assert condord.wait() == 70
        (line,) = error_lines(condord)
        assert "The event loop hangs" in line
        assert " blocked_publish" in line
        assert "secret-for-tests" not in line


def test_a_report_that_cannot_be_written_delays_the_exit_but_does_not_prevent_it(simulated, tmp_path):
    blocks_with_lock = "import logging\nhang_watchdog.REPORT_SECONDS = 1.0\n" + BLOCKS.replace(
        "time.sleep(0.01)", "logging.getLogger().handlers[0].acquire(); time.sleep(0.01)"
    )
    with closing_program(Sabotaged(simulated, tmp_path, blocks_with_lock)) as condord:
        condord.start_fault()
        assert condord.wait() == 70
        assert error_lines(condord) == []


def test_a_stopped_process_continues_after_sigcont(simulated, tmp_path):
    with closing_program(Sabotaged(simulated, tmp_path, "")) as condord:
        condord.process.send_signal(signal.SIGSTOP)
        time.sleep(4)
        condord.process.send_signal(signal.SIGCONT)
        condord.await_state("live")
        assert condord.stop() == 0
        assert error_lines(condord) == []


def test_the_daemon_notifies_systemd_that_it_is_ready_and_alive(simulated, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(60)
        environ = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"}
        with closing_program(Condord(simulated, **environ)) as condord:
            messages = [notify.recv(4096).decode()]
            assert messages[0].startswith("READY=1")
            while "WATCHDOG=1" not in messages or not any(line == "STATUS=live" for line in messages):
                messages.append(notify.recv(4096).decode())
            assert condord.stop() == 0
            while messages[-1] != "STOPPING=1":
                messages.append(notify.recv(4096).decode())


def test_client_commands_import_neither_alpaca_py_nor_the_server(condord):
    program = """
import sys
from condord.cli.main import run
for command in (["positions"], ["positions", "--json"], ["status"]):
    run([*command, "--url", sys.argv[1]])
    print("end of the output", flush=True)
print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", program, condord.url], capture_output=True, text=True, check=True)
    assert all(result.stdout.split("end of the output\n")[:3])
    loaded = set(result.stderr.split())
    assert loaded.isdisjoint({"alpaca", "pandas", "starlette", "uvicorn", "websockets", "sse_starlette"})
