import os
import pty
import subprocess
import sys

import pytest

from condord import terminal

WATCH = """
import os, signal, sys
from condord import terminal
os.close(os.open(sys.argv[2], os.O_RDWR))  # the first terminal that the leader of a session opens controls it
signal.signal(signal.SIGHUP, lambda *_: (print("gone" if not terminal.is_there() else "there", file=told), told.flush(), sys.exit()))
told = open(sys.argv[1], "w")
print("there" if terminal.is_there() else "gone", flush=True)
signal.pause()
"""


def test_a_process_without_a_terminal_has_none():
    assert not terminal.is_there("/nonexistent")


@pytest.mark.slow
def test_a_terminal_is_there_until_it_hangs_up(tmp_path):
    told = tmp_path / "told"
    master, slave = pty.openpty()
    command = [sys.executable, "-c", WATCH, str(told), os.ttyname(slave)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
        assert child.stdout.readline() == "there\n"
        os.close(slave)
        os.close(master)
        assert child.wait(10) == 0
    assert told.read_text() == "gone\n"
