"""The child process of the demo: real processes, which end because a pipe does."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import msgspec
import pytest

from condord.cli import demo
from condord.cli.demo import Ready, simulator
from condord.client import Daemon
from condord.errors import Unavailable
from tests.e2e.running import until


def child(code):
    return (sys.executable, "-c", code)


def failure(code):
    with pytest.raises(Unavailable) as caught, simulator(child(code)):
        pass
    assert caught.value.hint
    return str(caught.value)


def test_a_child_that_dies_at_start_is_told_in_one_line():
    said = failure("import sys; sys.exit('condord: cannot listen\\nhint: choose another port')")
    assert said == "the simulator ended at start with 1: cannot listen"
    assert failure("raise ValueError('x\\x1b')") == "the simulator ended at start with 1: ValueError: x "
    assert failure("") == "the simulator ended at start with 0: no word"


def test_a_child_that_says_something_else_is_refused():
    assert "something else" in failure("print('hello', flush=True)")


def test_a_child_that_says_nothing_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(demo, "READY_SECONDS", 0.05)
    assert "was not ready" in failure("import sys; sys.stdin.read()")


READY = f"import os, sys; print({msgspec.json.encode(Ready.at('http://127.0.0.1:1')).decode()!r}, flush=True)\n"


def test_a_child_that_does_not_listen_to_the_pipe_is_killed(monkeypatch):
    monkeypatch.setattr(demo, "STOP_SECONDS", 0.05)
    with simulator(child(READY + "import signal; signal.pause()")) as ready:
        assert ready == Ready.at("http://127.0.0.1:1")


def test_the_child_has_no_key_and_a_session_of_its_own(monkeypatch, capfd):
    monkeypatch.setenv("APCA_API_SECRET_KEY", "mine")
    code = READY + "print(os.getsid(0) == os.getpid(), [n for n in os.environ if 'APCA' in n], file=sys.stderr)\n"
    with simulator(child(code + "sys.stdin.read()")):
        pass
    assert capfd.readouterr().err == "simulator: True []\n"


@pytest.mark.parametrize(
    ("way", "how"), [("os.kill(os.getpid(), 9)", "signal 9"), ("sys.exit(3)", "exit code 3")], ids=["killed", "ended"]
)
def test_a_child_that_ends_by_itself_is_said_once_and_leaves_no_zombie(monkeypatch, way, how):
    told, said = [], threading.Event()

    def tell(text):
        told.append(text)
        said.set()

    monkeypatch.setattr(demo, "tell", tell)
    with simulator(child(READY + way)):
        assert said.wait(10)
        with pytest.raises(ChildProcessError):  # nobody is left to be waited for
            os.waitpid(-1, os.WNOHANG)
    assert told == [f"condord: the local Alpaca has ended ({how}); stop condord and start the demo again"]


@contextlib.contextmanager
def connected(ready):
    """A socket to the simulator; it ends when the simulator does."""
    at = urlsplit(ready.trading_url)
    with socket.create_connection((at.hostname, at.port), timeout=10) as link:
        yield link


@pytest.mark.slow
def test_the_simulator_ends_with_the_context():
    with contextlib.ExitStack() as links:
        with simulator() as ready:
            link = links.enter_context(connected(ready))
        assert link.recv(1) == b""


PARENT = """
import signal
from condord.cli.demo import simulator
with simulator() as ready:
    print(ready.trading_url, flush=True)
    signal.pause()
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGTERM])
def test_the_simulator_ends_with_a_parent_that_cannot_say_so(way):
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    with parent, connected(Ready.at(parent.stdout.readline().strip())) as link:
        os.kill(parent.pid, way)
        assert link.recv(1) == b""


@pytest.mark.slow
@pytest.mark.parametrize("where", [">/dev/null 2>/dev/full", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_the_demo_serves_where_nothing_can_be_written(tmp_path, where):
    at = tmp_path / "socket"
    command = [sys.executable, "-m", "condord", "start", "--demo", "--uds", str(at)]
    parent = subprocess.Popen(["sh", "-c", f'exec "$@" {where}', "sh", *command])
    try:
        until(lambda: at.exists() or parent.poll() is not None, "the demo serves")
        assert msgspec.json.decode(Daemon(f"unix://{at}").status())["source"] == "simulator"
    finally:
        parent.send_signal(signal.SIGINT)
        assert parent.wait(20) == 0


@pytest.mark.slow
def test_ctrl_c_in_the_terminal_leaves_no_traceback_behind():
    parent = subprocess.Popen(
        [sys.executable, "-m", "condord", "start", "--demo", "--port", "0", "--log-level", "warning"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with parent:
        first = parent.stderr.readline()
        os.killpg(parent.pid, signal.SIGINT)
        rest, out = parent.stderr.read(), parent.stdout.read()
    assert "http://127.0.0.1:" in first
    assert (out, rest, parent.returncode) == ("", "", 0)
