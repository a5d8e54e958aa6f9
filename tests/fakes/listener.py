"""A process that listens and never answers, and can be stopped, as a suspended daemon is."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import NamedTuple

_TCP = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); sys.stdin.read()"
_UNIX = (
    "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print(0, flush=True); "
    "sys.stdin.read()"
)


class Listener(NamedTuple):
    """A running listener and its URL for condord."""

    pid: int
    url: str

    def stop(self):
        """Stop the process until it is ended."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)


@contextmanager
def listening(uds=None):
    """Run a listener on a free port, or on the Unix socket `uds`."""
    arguments = [_UNIX, str(uds)] if uds else [_TCP]
    child = subprocess.Popen([sys.executable, "-c", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        port = int(child.stdout.readline())
        yield Listener(child.pid, f"unix://{uds}" if uds else f"http://127.0.0.1:{port}")
    finally:
        child.kill()
        child.communicate()
