"""How the daemon starts, what it refuses, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from condord.client import Daemon
from tests.e2e.conftest import QUICK
from tests.e2e.running import KEYS, Condord, Follower, Program, closing_program, fetch, until

pytestmark = pytest.mark.slow


def ended(*arguments: str, **environ: str) -> tuple[int, list[str]]:
    """Exit code and stderr of a `condord start` that ends by itself."""
    with closing_program(Program("start", *arguments, environ=environ)) as program:
        return program.wait(), program.stderr


def test_the_demo_shows_every_kind_of_position_with_prices_and_ends_on_sigint():
    with closing_program(Program("start", "--demo", "--port", "0")) as program:
        url = program.said(r"^condord \S+ serves at (http://127\.0\.0\.1:\d+)$")[1]

        def priced():
            document = fetch(url + "/api/positions")[2]
            return document if document["totals"]["unrealizedPl"] is not None else None

        document = until(priced, "every condor is priced")
        assert document["status"]["source"] == "simulator"
        assert document["status"]["state"] == "live"
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


def test_without_credentials_it_ends_with_77_and_the_remedy():
    code, told = ended()
    assert code == 77
    assert len(told) == 2
    assert "APCA_API_KEY_ID" in told[1]


def test_a_taken_port_ends_it_with_69(simulated):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        code, told = ended("--port", str(taken.getsockname()[1]), **KEYS)
    assert code == 69
    assert "in use" in told[0]


def test_a_second_daemon_on_the_same_stream_ends_with_69_and_names_the_first(simulated, condord):
    urls = {"CONDORD_ALPACA_OPTION_STREAM_URL": simulated.urls["optionStreamUrl"]}
    code, told = ended("--port", "0", **KEYS, **urls)
    assert code == 69
    assert str(condord.process.pid) in told[0]


def test_after_a_kill_the_next_daemon_starts(simulated, condord):
    condord.process.kill()
    condord.wait()
    with closing_program(Condord(simulated, **QUICK)) as following:
        following.await_state("live")


def test_daemons_of_two_keys_run_side_by_side(simulated, condord):
    with closing_program(Condord(simulated, **QUICK, APCA_API_KEY_ID="ANOTHERKEY")) as other:
        other.await_state("live")
        assert condord.status()["state"] == "live"
        assert other.status()["pid"] != condord.status()["pid"]


def test_a_missing_configuration_ends_it_with_78(tmp_path):
    code, told = ended("--config", str(tmp_path / "none.toml"))
    assert code == 78
    assert "none.toml" in told[0]


def test_an_alpaca_that_is_away_is_a_status_and_not_an_end():
    nowhere = {f"CONDORD_ALPACA_{name}_URL": "http://127.0.0.1:9" for name in ("TRADING", "DATA")}
    sockets = {f"CONDORD_ALPACA_{name}_STREAM_URL": "ws://127.0.0.1:9/x" for name in ("OPTION", "TRADING")}
    environ = {**KEYS, **nowhere, **sockets, **QUICK, "CONDORD_REST_RETRIES": "0"}
    with closing_program(Program("start", "--port", "0", environ=environ)) as program:
        url = program.said(r"serves at (\S+)")[1]

        def failing():
            status = fetch(url + "/api/status")[2]
            return status if status["positions"]["error"] and status["code"] else None

        status = until(failing, "the outage is told")
        assert (status["state"], status["code"]) == ("reconnecting", "unreachable")
        assert status["positions"]["readAt"] is None
        assert fetch(url + "/livez")[0] == 200
        assert fetch(url + "/readyz")[0] == 503
        code, _, document = fetch(url + "/api/positions")
        assert code == 200
        assert document["totals"]["unrealizedPl"] is None
        assert program.stop() == 0


def test_without_a_stderr_it_serves_all_the_same(simulated, tmp_path):
    at = tmp_path / "socket"
    urls = {f"CONDORD_ALPACA_{name}_URL": simulated.url for name in ("TRADING", "DATA")}
    command = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", sys.executable, "-m", "condord", "start", "--uds", str(at)]
    streams = {"CONDORD_ALPACA_OPTION_STREAM_URL": simulated.urls["optionStreamUrl"]}
    streams["CONDORD_ALPACA_TRADING_STREAM_URL"] = simulated.urls["tradingStreamUrl"]
    with subprocess.Popen(command, env={**os.environ, **KEYS, **urls, **streams}) as process:
        try:
            until(lambda: at.exists() or process.poll() is not None, "it serves")
            until(lambda: json.loads(Daemon(f"unix://{at}").status())["state"] == "live", "it is live")
        finally:
            process.terminate()
        assert process.wait(20) == 0


def test_a_token_is_asked_for_by_every_way_in(simulated, tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef-token\n")
    token.chmod(0o600)
    with closing_program(Condord(simulated, CONDORD_SERVER_TOKEN_FILE=str(token))) as condord:
        for path in ("/api/positions", "/api/stream", "/api/status", "/livez"):
            assert condord.get(path)[0] == 401
        assert condord.get("/api/status", Authorization="Bearer 0123456789abcdef-token")[0] == 200
        assert condord.get("/api/status?access_token=0123456789abcdef-token")[0] == 200
        assert condord.get("/api/status", Host="evil.example")[0] == 421
        assert "0123456789abcdef" not in "".join(condord.stderr)


def test_a_unix_socket_serves_and_is_gone_at_the_end(simulated, tmp_path):
    path = tmp_path / "condord.sock"
    with closing_program(Condord(simulated, "--uds", str(path))) as condord:
        assert condord.url == f"unix://{path}"
        assert json.loads(Daemon(condord.url).status())["address"] == condord.url
        assert condord.stop() == 0
    assert not path.exists()


def test_a_full_house_is_told_and_a_place_is_free_again(simulated):
    with closing_program(Condord(simulated, CONDORD_SERVER_MAX_SUBSCRIBERS="1")) as condord:
        with closing(Follower(condord.url)) as follower:
            until(lambda: follower.events, "the first stream")
            status, headers, _ = fetch(condord.url + "/api/stream")
            assert status == 503
            assert int(headers["Retry-After"]) > 0
        until(lambda: condord.status()["subscribers"] == 0, "the place is free")


def test_sighup_applies_what_it_can_and_refuses_what_is_wrong(simulated, tmp_path):
    file = tmp_path / "condord.toml"
    file.write_text("[stream]\nwindow_ms = 250\n")
    with (
        closing_program(Condord(simulated, "--port", "0", "--config", str(file))) as condord,
        closing(Follower(condord.url)) as follower,
    ):
        until(lambda: follower.events, "a stream")
        file.write_text("[stream]\nwindow_ms = 500\n[server]\nring_size = 8\n")
        condord.process.send_signal(1)
        assert "server.ring_size" in condord.said("Configuration reloaded.*")[0]
        file.write_text("[stream]\nwindow = 1\n")
        condord.process.send_signal(1)
        assert "stream.window" in condord.said("Configuration refused.*")[0]
        assert not follower.ended.is_set()


SABOTAGE = """
import asyncio
from pathlib import Path
from condord import service, vigil
from condord.upstream.supervisor import Supervisor
NOW = Path(__file__).with_name("now")
vigil.STEP_SECONDS, vigil.STEPS, service.STUCK_LOOKS = 0.3, 10, 2
"""
"""Python runs it before the daemon, in whose code nothing knows of it; the fault comes with the file `now`."""

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
Supervisor.stuck = lambda self, now: "the readings have not turned for 99 s" if NOW.exists() else None
"""
BLOCKS = """
tell = Supervisor.tell
def dig_in(self):
    while NOW.exists():
        pass
    tell(self)
Supervisor.tell = dig_in
"""


class Sabotaged(Condord):
    """A daemon in which something breaks when the test says so."""

    def __init__(self, simulated, place, sabotage, **environ):
        (place / "sitecustomize.py").write_text(SABOTAGE + sabotage)
        self._now = place / "now"
        super().__init__(simulated, PYTHONPATH=os.pathsep.join((str(place), str(Path.cwd()))), **QUICK, **environ)
        self.await_state("live")

    def strike(self) -> None:
        self._now.touch()

    def relent(self) -> None:
        self._now.unlink()


def error_lines(program) -> list[str]:
    return [line for line in program.stderr if " error " in line]


@pytest.mark.parametrize("how", ["return", "raise RuntimeError('oh')", "raise asyncio.CancelledError"])
def test_a_supervisor_that_ends_in_whatever_way_ends_the_daemon_with_70(simulated, tmp_path, how):
    with (
        closing_program(Sabotaged(simulated, tmp_path, ENDS.format(how=how))) as condord,
        closing(Follower(condord.url)) as follower,
    ):
        until(lambda: follower.events, "a stream")
        condord.strike()
        assert condord.wait() == 70
        (line,) = error_lines(condord)
        assert "the supervisor has ended by itself" in line
        assert ("RuntimeError" in line) is ("RuntimeError" in how)
        assert condord.stderr[-2] == "condord: the supervisor has ended by itself\n"
        assert condord.stderr[-1].startswith("hint: ")
        assert follower.ended.wait(5)
        assert follower.names[-1] == "bye"


def test_a_supervisor_without_progress_is_no_longer_alive_and_ends_the_daemon_with_70(simulated, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(30)
        environ = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}
        with closing_program(Sabotaged(simulated, tmp_path, STUCK, **environ)) as condord:
            assert condord.get("/livez")[0] == 200
            condord.strike()
            assert condord.get("/livez")[0] == 503
            notify.setblocking(False)
            while pending(notify):
                pass
            assert condord.wait() == 70
            (line,) = error_lines(condord)
            assert "the readings have not turned for 99 s" in line
            assert "WATCHDOG=1" not in iter(lambda: pending(notify), "")


def pending(notify) -> str:
    """What has been said to systemd, one message; empty when nothing waits."""
    try:
        return notify.recv(4096).decode()
    except BlockingIOError:
        return ""


def test_a_supervisor_that_is_slow_for_a_moment_ends_nothing(simulated, tmp_path):
    with closing_program(Sabotaged(simulated, tmp_path, "service.STUCK_LOOKS = 10\n" + STUCK)) as condord:
        condord.strike()
        until(lambda: condord.get("/livez")[0] == 503, "it is seen")
        condord.relent()
        until(lambda: condord.get("/livez")[0] == 200, "it is over")
        assert condord.stop() == 0
        assert error_lines(condord) == []


def test_a_blocked_event_loop_ends_the_process_with_70_and_the_lines_of_code_that_block_it(simulated, tmp_path):
    with closing_program(Sabotaged(simulated, tmp_path, BLOCKS)) as condord:
        condord.strike()
        assert condord.wait() == 70
        (line,) = error_lines(condord)
        assert "no sign of life" in line
        assert " dig_in" in line
        assert "secret-for-tests" not in line


def test_a_report_that_cannot_be_written_delays_the_end_and_does_not_prevent_it(simulated, tmp_path):
    holding = "import logging\n" + BLOCKS.replace("pass", "logging.getLogger().handlers[0].acquire()")
    with closing_program(Sabotaged(simulated, tmp_path, holding)) as condord:
        condord.strike()
        assert condord.wait() == 70
        assert error_lines(condord) == []


def test_a_stopped_process_goes_on_afterwards(simulated, tmp_path):
    with closing_program(Sabotaged(simulated, tmp_path, "")) as condord:
        condord.process.send_signal(signal.SIGSTOP)
        time.sleep(4)
        condord.process.send_signal(signal.SIGCONT)
        condord.await_state("live")
        assert condord.stop() == 0
        assert error_lines(condord) == []


def test_the_daemon_tells_systemd_that_it_is_ready_and_alive(simulated, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(30)
        environ = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"}
        with closing_program(Condord(simulated, **environ)) as condord:
            told = [notify.recv(4096).decode()]
            assert told[0].startswith("READY=1")
            while "WATCHDOG=1" not in told or not any(line == "STATUS=live" for line in told):
                told.append(notify.recv(4096).decode())
            assert condord.stop() == 0
            while told[-1] != "STOPPING=1":
                told.append(notify.recv(4096).decode())


def test_the_commands_that_ask_import_neither_alpaca_py_nor_the_server(condord):
    program = (
        "import sys; from condord.cli.main import run; run(sys.argv[1:]);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    for command in (["positions"], ["positions", "--json"], ["status"]):
        told = subprocess.run(
            [sys.executable, "-c", program, *command, "--url", condord.url], capture_output=True, text=True, check=True
        )
        assert told.stdout
        loaded = set(told.stderr.split())
        assert loaded.isdisjoint({"alpaca", "pandas", "starlette", "uvicorn", "websockets", "sse_starlette"})
