import os
import pty
import subprocess
import sys

import pytest

from condord.host import terminal

WATCH = """
import os, signal, sys
from condord.host import terminal
os.close(os.open(sys.argv[2], os.O_RDWR))  # the first terminal that a session leader opens becomes its controlling terminal
signal.signal(signal.SIGHUP, lambda *_: (print("gone" if not terminal.is_attached() else "there", file=output), output.flush(), sys.exit()))
output = open(sys.argv[1], "w")
print("there" if terminal.is_attached() else "gone", flush=True)
signal.pause()
"""


def test_a_process_without_a_terminal_is_not_attached():
    assert not terminal.is_attached("/nonexistent")


@pytest.mark.slow
def test_a_process_is_attached_until_its_terminal_hangs_up(tmp_path):
    output = tmp_path / "output"
    master, slave = pty.openpty()
    command = [sys.executable, "-c", WATCH, str(output), os.ttyname(slave)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
        assert child.stdout.readline() == "there\n"
        os.close(slave)
        os.close(master)
        assert child.wait(60) == 0
    assert output.read_text() == "gone\n"
