"""The program of a maker before it gets a task; test_maker_process and tests/cluster/processes run all of it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from condord.cluster.maker_channel import Begin, packed
from condord.host.deadline import EXIT_EXPIRED, NEVER, DeadlinePipe

ROOT = Path(__file__).parents[2]
BOUND_SECONDS = 120

pytestmark = pytest.mark.slow


@pytest.fixture
def started():
    """A maker, its deadline and the front's end of its channel."""
    deadline = DeadlinePipe(NEVER)
    ours, theirs = socket.socketpair()
    program = [sys.executable, "-m", "condord.daemon.maker", str(deadline.reader), str(theirs.fileno())]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("APCA_", "CONDORD_"))}
    with theirs:
        process = subprocess.Popen(
            program,
            pass_fds=(deadline.reader, theirs.fileno()),
            cwd=ROOT,
            env={**environ, "HOME": "/nonexistent"},
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    deadline.close_reader()
    with ours:
        yield process, deadline, ours
    process.kill()
    process.communicate()
    deadline.close()


@pytest.mark.parametrize("what", ["channel", "input", "deadline"])
def test_a_maker_ends_with_its_front(started, what):
    process, deadline, ours = started
    if what == "channel":
        ours.shutdown(socket.SHUT_RDWR)
    elif what == "input":
        process.stdin.close()
        process.stdin = None
    else:
        deadline.close()
    assert process.wait(BOUND_SECONDS) in (EXIT_EXPIRED, 69)


def test_an_error_is_reported_to_the_front(started):
    process, _, ours = started
    ours.settimeout(BOUND_SECONDS)
    ours.sendall(
        packed(Begin(config_file="/nonexistent/condord.toml", account_digest="a1b2", flags={}, state_directory=""))
    )
    assert process.wait(BOUND_SECONDS) == 78
    assert b"/nonexistent/condord.toml" in ours.recv(4096)
