"""A daemon whose standard error is blocked keeps serving and stops in time."""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from condord.client.http import Daemon
from tests.e2e import preludes
from tests.e2e.environs import QUICK
from tests.e2e.preloaded import Preloaded
from tests.e2e.running import KEYS, STOP_SECONDS, Condord, answers, closing_program, fetch, until
from tests.fakes import terminal
from tests.http.scrape import samples

pytestmark = pytest.mark.slow


def ends_in_time(process, number=signal.SIGTERM) -> int:
    begin = time.monotonic()
    process.send_signal(number)
    code = process.wait(60)
    assert time.monotonic() - begin < STOP_SECONDS
    return code


def dropped(url: str) -> float:
    return samples(fetch(url + "/metrics")[2])["condord_log_dropped_total"]


def test_an_unread_pipe_delays_neither_the_stream_nor_the_shutdown(simulated):
    with closing_program(Condord(simulated, "--log-level", "debug", **QUICK)) as condord:
        condord.await_state("live")
        with condord.blocked_stderr():
            for _ in range(3):
                before = condord.document()["version"]
                simulated.fault("reset")
                until(lambda: condord.status()["reconnects"], "it has reconnected")
                until(lambda before=before: condord.document()["version"] != before, "prices arrive")
            assert fetch(condord.url + "/livez")[0] == 200
            assert ends_in_time(condord.process) == 0


def test_queued_lines_arrive_in_order_once_the_pipe_is_read_again(simulated):
    with closing_program(Condord(simulated, **QUICK)) as condord:
        condord.await_state("live")
        with condord.blocked_stderr():
            simulated.fault("connection-406")
            simulated.fault("close-1001")
            until(lambda: condord.status()["code"] == "connectionLimit", "the outage is reported")
            simulated.clear()
            condord.await_state("live")
            assert "connectionLimit" not in "".join(condord.stderr)
        condord.await_line("state=reconnecting code=connectionLimit")
        recovery = condord.await_line("state=live .*was=reconnecting")[0]
        text = "".join(condord.stderr)
        assert text.index("connectionLimit") < text.index(recovery)
        assert dropped(condord.url) == 0
        assert condord.stop() == 0
        assert any("Stopped" in line for line in condord.stderr), "the last line is written"


@contextlib.contextmanager
def started(simulated, folder: Path, at: Path):
    """A daemon whose stderr is a full disk."""
    urls = {f"CONDORD_ALPACA_{name}_URL": simulated.url for name in ("TRADING", "DATA")}
    streams = {
        "CONDORD_ALPACA_OPTION_STREAM_URL": simulated.urls["optionStreamUrl"],
        "CONDORD_ALPACA_TRADING_STREAM_URL": simulated.urls["tradingStreamUrl"],
    }
    full = preludes.given(folder, files={2: "/dev/full"})
    process = Preloaded(["start", "--uds", str(at)], {**os.environ, **KEYS, **urls, **streams, **full})
    with process.stdout, process.stderr:
        try:
            until(lambda: answers(at) or process.poll() is not None, "it serves")
            yield process
        finally:
            process.kill()
            process.wait(60)


def test_lines_that_do_not_fit_on_a_full_disk_are_counted(simulated, tmp_path):
    at = tmp_path / "socket"
    with started(simulated, tmp_path, at) as process:
        daemon = Daemon(f"unix://{at}")
        until(lambda: b'"state":"live"' in daemon.status(), "it is live")
        with daemon.get("/metrics", {}, "text/plain") as (answer, _):
            lost = samples(answer.read().decode())["condord_log_dropped_total"]
        assert lost >= 2, "the address and the start"
        assert ends_in_time(process) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_on_a_terminal_held_by_ctrl_s_serves_and_stops(tmp_path, number):
    at = tmp_path / "socket"
    with terminal.forked_condord(tmp_path, "start", "--demo", "--uds", str(at), "--log-level", "debug") as program:
        program.until_shown("serves at")
        until(lambda: answers(at), "it serves")
        program.hold()
        daemon = Daemon(f"unix://{at}")
        before = daemon.status()
        until(lambda: daemon.positions() and daemon.status() != before, "it keeps serving")
        assert ends_in_time(program.process, number) == 0


def test_a_demo_that_can_write_nothing_from_the_start_serves_and_stops(tmp_path):
    at = tmp_path / "socket"
    with terminal.forked_condord(tmp_path, "start", "--demo", "--uds", str(at), held=True) as program:
        until(lambda: answers(at), "it serves")
        assert ends_in_time(program.process) == 0


def test_a_refused_start_exits_with_its_code_on_a_terminal_held_by_ctrl_s():
    with terminal.condord("start", "--config", "/nonexistent/condord.toml", held=True) as program:
        assert program.process.wait(60) == 78


def test_the_simulator_stops_on_a_terminal_held_by_ctrl_s_from_the_start(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with terminal.condord("simulate", "--port", str(port), held=True) as program:

        def answers():
            with contextlib.suppress(OSError):
                return fetch(f"http://127.0.0.1:{port}/simulator/state")[0] == 200

        until(answers, "it answers")
        assert ends_in_time(program.process) == 0
