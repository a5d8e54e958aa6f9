"""The child process of the demo, with real processes."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from condord.cli import demo
from condord.cli.demo import Ready, simulator
from condord.client.http import Daemon
from condord.errors import Unavailable
from tests.e2e import preludes
from tests.e2e.preloaded import Preloaded
from tests.e2e.running import answers, until


def child(code):
    return (sys.executable, "-c", code)


def failure(code):
    with pytest.raises(Unavailable) as caught, simulator(child(code)):
        pass
    assert caught.value.hint
    return str(caught.value)


def test_the_error_of_a_child_that_dies_at_its_start_is_reported_in_one_line():
    error = failure("import sys; sys.exit('condord: cannot listen\\nhint: choose another port')")
    assert error == "the simulator exited with 1 at its start: cannot listen"
    assert failure("raise ValueError('x\\x1b')") == "the simulator exited with 1 at its start: ValueError: x "
    assert failure("") == "the simulator exited with 0 at its start: no message"


def test_a_child_that_prints_something_else_is_an_error():
    assert "did not print its addresses" in failure("print('hello', flush=True)")


def test_a_child_that_prints_nothing_times_out(monkeypatch):
    monkeypatch.setattr(demo, "READY_SECONDS", 0.05)
    assert "was not ready" in failure("import sys; sys.stdin.read()")


READY = f"import os, sys; print({msgspec.json.encode(Ready.at('http://127.0.0.1:1')).decode()!r}, flush=True)\n"


def test_a_child_that_ignores_the_closed_pipe_is_killed(monkeypatch):
    monkeypatch.setattr(demo, "STOP_SECONDS", 0.05)
    with simulator(child(READY + "import signal; signal.pause()")) as ready:
        assert ready == Ready.at("http://127.0.0.1:1")


def test_the_child_has_a_session_of_its_own(capfd):
    code = READY + "print(os.getsid(0) == os.getpid(), file=sys.stderr)\n"
    with simulator(child(code + "sys.stdin.read()")):
        pass
    assert capfd.readouterr().err == "simulator: True\n"


FOR_THE_DAEMON = (
    "APCA_API_SECRET_KEY", "CONDORD_TOKEN", "CONDORD_URL", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC",
    "LISTEN_FDS", "LISTEN_PID", "JOURNAL_STREAM", "HTTPS_PROXY", "PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD",
    "ANY_OTHER_SECRET",
)  # fmt: skip


def test_the_child_gets_only_the_environment_that_it_needs(monkeypatch, capfd):
    for name in FOR_THE_DAEMON:
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("CONDORD_LOG_LEVEL", "debug")
    with simulator(child(READY + "print(*sorted(os.environ), file=sys.stderr)\nsys.stdin.read()")):
        pass
    names = set(capfd.readouterr().err.split())
    assert names >= {"PATH", "LC_ALL", "CONDORD_LOG_LEVEL"}
    assert names.isdisjoint(FOR_THE_DAEMON)


@pytest.mark.slow
def test_no_code_in_the_working_directory_is_run(monkeypatch, tmp_path):
    for name in ("condord", "msgspec", "sitecustomize"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"open('ran-{name}', 'w')")
        (tmp_path / name / "__main__.py").touch()
    monkeypatch.chdir(tmp_path)
    with simulator():
        pass
    assert [path.name for path in tmp_path.glob("ran-*")] == []


def test_the_child_has_the_import_path_of_the_daemon(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(sys, "path", ["", "relative", str(tmp_path), *sys.path])
    *start, code, _, _, _, _, _ = demo.command()
    program = code.replace("from condord.__main__ import main; main()", READY.replace("\n", ";"))
    report = "print(sys.path[0], '' in sys.path, 'relative' in sys.path, file=sys.stderr); sys.stdin.read()"
    with simulator((*start, program + report)):
        pass
    assert capfd.readouterr().err == f"simulator: {tmp_path} False False\n"


def children():
    """The child processes of this one, including those that have ended and were not waited for."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            parent = path.read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                found.add(path.parent.name)
    return found


@pytest.mark.parametrize(
    ("code", "how"), [("os.kill(os.getpid(), 9)", "signal 9"), ("sys.exit(3)", "exit code 3")], ids=["killed", "ended"]
)
def test_a_child_that_ends_by_itself_is_reported_once_and_leaves_no_zombie(monkeypatch, code, how):
    lines, reported = [], threading.Event()

    def write_stderr(text):
        lines.append(text)
        reported.set()

    monkeypatch.setattr(demo, "write_stderr", write_stderr)
    before = children()  # a worker of pytest may have others
    with simulator(child(READY + code)):
        assert reported.wait(60)
        assert children() <= before  # a zombie would be among them
    assert lines == [f"condord: the simulator has ended ({how}); stop condord and start the demo again"]


@contextlib.contextmanager
def connected(ready):
    """A connection to the simulator, which ends when the simulator does."""
    url = urlsplit(ready.trading_url)
    with socket.create_connection((url.hostname, url.port), timeout=60) as connection:
        yield connection


@pytest.mark.slow
def test_the_simulator_ends_with_the_context():
    with contextlib.ExitStack() as connections:
        with simulator() as ready:
            connection = connections.enter_context(connected(ready))
        assert connection.recv(1) == b""


@pytest.mark.slow
def test_the_state_directory_ends_with_the_context():
    with simulator() as ready:
        directory = Path(ready.state_directory)
        assert directory.stat().st_mode & 0o777 == 0o700
        (directory / "history.sqlite3").touch()
    assert not directory.exists()


def test_the_state_directory_of_a_child_that_was_killed_is_removed(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    (state / "history.sqlite3").touch()
    ready = msgspec.json.encode(Ready.at("http://127.0.0.1:1", str(state))).decode()
    with simulator(child(f"import os; print({ready!r}, flush=True); os.kill(os.getpid(), 9)")):
        pass
    assert not state.exists()


def test_the_daemon_gets_the_key_and_the_state_directory_unless_another_is_set():
    ready = Ready.at("http://127.0.0.1:1", "/made")
    assert ready.environ({"HOME": "/root"}) == {"HOME": "/root", "STATE_DIRECTORY": "/made", **demo.CREDENTIALS}
    assert ready.environ({"STATE_DIRECTORY": "/var/lib/condord"})["STATE_DIRECTORY"] == "/var/lib/condord"
    assert "STATE_DIRECTORY" not in Ready.at("http://127.0.0.1:1").environ({})
    assert not any("state" in key for key in ready.flags())


def test_without_a_writable_directory_there_is_no_state_directory(monkeypatch):
    def fail(**_):
        raise FileNotFoundError

    monkeypatch.setattr(demo.tempfile, "mkdtemp", fail)
    assert demo.make_state_directory() == ""
    demo.remove("")


PARENT = """
import signal
from condord.cli.demo import simulator
with simulator() as ready:
    print(ready.trading_url, ready.state_directory, flush=True)
    signal.pause()
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGTERM])
def test_the_simulator_ends_with_its_state_directory_when_its_parent_is_killed(way):
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    with parent:
        url, directory = parent.stdout.readline().split()
        assert Path(directory).is_dir()
        with connected(Ready.at(url)) as connection:
            os.kill(parent.pid, way)
            assert connection.recv(1) == b""
    until(lambda: not Path(directory).exists(), "the state directory is removed")


def serves_and_stops(parent, at):
    try:
        until(lambda: answers(at) or parent.poll() is not None, "the demo serves")
        assert msgspec.json.decode(Daemon(f"unix://{at}").status())["source"] == "simulator"
    finally:
        parent.send_signal(signal.SIGINT)
        assert parent.wait(60) == 0


@pytest.mark.slow
def test_the_demo_serves_without_any_standard_file(tmp_path):
    at = tmp_path / "socket"
    (tmp_path / "history.sqlite3").touch()  # then no past is written
    command = [sys.executable, "-m", "condord", "start", "--demo", "--uds", str(at)]
    environ = {**os.environ, "STATE_DIRECTORY": str(tmp_path)}
    parent = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], env=environ)
    serves_and_stops(parent, at)


@pytest.mark.slow
@pytest.mark.parametrize("standard", [{"files": {1: "/dev/null", 2: "/dev/full"}}, {"closed": [2]}, {"closed": [1, 2]}])
def test_the_demo_serves_without_writable_standard_files(tmp_path, standard):
    at = tmp_path / "socket"
    (tmp_path / "history.sqlite3").touch()  # then no past is written
    environ = {**os.environ, "STATE_DIRECTORY": str(tmp_path), **preludes.given(tmp_path, **standard)}
    parent = Preloaded(["start", "--demo", "--uds", str(at)], environ)
    with parent.stdout, parent.stderr:
        serves_and_stops(parent, at)


@pytest.mark.slow
def test_ctrl_c_in_the_terminal_prints_no_traceback(tmp_path):
    command = ["start", "--demo", "--port", "0", "--log-level", "warning"]
    parent = Preloaded(command, {**os.environ, **preludes.given(tmp_path, session=True)})
    with parent.stdout, parent.stderr:
        first = parent.stderr.readline()
        os.killpg(parent.pid, signal.SIGINT)
        rest, out = parent.stderr.read(), parent.stdout.read()
        assert parent.wait(60) == 0
    assert "http://127.0.0.1:" in first
    assert (out, rest) == ("", "")


def test_the_end_of_stdin_ends_the_process_by_sigterm_and_after_the_grace_by_force(monkeypatch, tmp_path):
    def read(descriptor, _most):
        assert descriptor == 0
        return parts.pop(0)

    def end(code):
        steps.append(("exit", code))
        is_over.set()

    parts, steps, is_over = [b"something", b""], [], threading.Event()
    monkeypatch.setattr(demo.os, "read", read)
    monkeypatch.setattr(demo.os, "kill", lambda *arguments: steps.append(arguments))
    monkeypatch.setattr(demo.os, "_exit", end)
    (tmp_path / "history.sqlite3").touch()
    demo.end_at_eof(str(tmp_path), grace_seconds=0.0)
    assert is_over.wait(60)
    assert not tmp_path.exists()
    assert steps == [(os.getpid(), signal.SIGTERM), ("exit", 0)]
    assert parts == []
