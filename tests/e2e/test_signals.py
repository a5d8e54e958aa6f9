"""Signals that were ignored when the daemon was started stay ignored, as with nohup."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from condord.client.http import Daemon
from tests.e2e import preludes
from tests.e2e.preloaded import Preloaded
from tests.e2e.running import KEYS, answers, closing_program, until
from tests.e2e.running import Program as Running
from tests.fakes import terminal

pytestmark = pytest.mark.slow


def ignored(pid: int) -> set[int]:
    """The signals that a process ignores (proc(5): SigIgn)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn:"))
    return {number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM) if mask >> (number - 1) & 1}


@contextlib.contextmanager
def started(ignoring: str, *command: str):
    """A process started by a shell that ignores these signals, named as for `trap`."""
    shell = ["sh", "-c", f"trap '' {ignoring}; exec \"$@\"", "sh", sys.executable, "-m", "condord", *command]
    with subprocess.Popen(
        shell, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **KEYS},
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def forked(folder: Path, ignoring: str, *command: str):
    """The same as a fork of a process that has imported everything."""
    numbers = [signal.Signals[f"SIG{name}"] for name in ignoring.split()]
    process = Preloaded([*command], {**os.environ, **KEYS, **preludes.given(folder, ignored=numbers)})
    with process.stdout, process.stderr:
        try:
            yield process
        finally:
            process.kill()
            process.wait(60)


START = ("start", "--port", "0")
UNREACHABLE = {
    **{f"CONDORD_ALPACA_{name}_URL": "http://127.0.0.1:9" for name in ("TRADING", "DATA")},
    # A unique stream URL: another test on this machine may hold the lock for this key and stream.
    **{f"CONDORD_ALPACA_{name}_STREAM_URL": f"ws://127.0.0.1:9/{os.getpid()}" for name in ("OPTION", "TRADING")},
}


@pytest.mark.parametrize("ignoring", ["HUP", "INT", "HUP INT TERM"])
def test_the_daemon_keeps_ignoring_signals_that_were_ignored_at_its_start(monkeypatch, tmp_path, ignoring):
    for name, value in UNREACHABLE.items():
        monkeypatch.setenv(name, value)
    numbers = {signal.Signals[f"SIG{name}"] for name in ignoring.split()}
    of_a_shell = ignoring == "HUP INT TERM"
    with started(ignoring, *START) if of_a_shell else forked(tmp_path, ignoring, *START) as process:
        lines = iter(process.stderr.readline, "")
        assert any("Serving" in line for line in lines)
        assert ignored(process.pid) == numbers
        for number in numbers:
            process.send_signal(number)
        assert all(number in numbers or process.poll() is None for number in numbers)
        if signal.SIGTERM not in numbers:
            process.send_signal(signal.SIGTERM)
            log = process.stderr.read()
            assert process.wait(60) == 0
            assert "Stopped" in log
            assert "Configuration reloaded" not in log


def test_only_the_started_process_logs_ignored_signals_and_not_its_workers(monkeypatch, tmp_path):
    for name, value in {**UNREACHABLE, "CONDORD_SERVER_WORKERS": "2"}.items():
        monkeypatch.setenv(name, value)
    with forked(tmp_path, "HUP", *START) as process:
        lines = []
        for line in iter(process.stderr.readline, ""):
            lines.append(line)
            if sum("Serving" in each for each in lines) == 3:
                break
        process.send_signal(signal.SIGTERM)
        lines += process.stderr.read().splitlines()
        assert process.wait(60) == 0
    (said,) = [line for line in lines if "Signals stay ignored" in line]
    assert "worker" not in said


class Forked(Running):
    MAY_BE_PRELOADED = True


def test_the_daemon_handles_all_signals_if_none_was_ignored():
    with closing_program(Forked("start", "--port", "0", environ={**KEYS, **UNREACHABLE})) as program:
        program.await_line("Serving")
        assert ignored(program.process.pid) == set()
        assert not any("stay ignored" in line for line in program.stderr)
        assert program.stop(signal.SIGINT) == 0


def test_the_simulator_ignores_sigint_as_a_background_job_of_sh():
    with started("INT", "simulate", "--port", "0", "--json") as process:
        assert process.stdout.readline()
        assert ignored(process.pid) == {signal.SIGINT}
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_demo_under_nohup_survives_its_terminal(tmp_path):
    at = tmp_path / "socket"
    command = ["nohup", sys.executable, "-m", "condord", "start", "--demo", "--uds", str(at)]
    with terminal.running("sh", "-c", f'cd {tmp_path} && exec "$@"', "sh", *command) as program:
        until(lambda: answers(at), "it serves")
        program.hang_up()
        until(lambda: b'"state":"live"' in Daemon(f"unix://{at}").status(), "it is live without its terminal")
        assert program.process.poll() is None
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(60) == 0
    assert "serves at" in (tmp_path / "nohup.out").read_text()
