import os
import socket

import pytest

from condord.host import process_state
from tests.fakes.listener import listening


def connected(listener):
    if not listener.url.startswith("unix://"):
        host, _, port = listener.url.removeprefix("http://").rpartition(":")
        return socket.create_connection((host, int(port)))
    opened = socket.socket(socket.AF_UNIX)
    opened.connect(listener.url.removeprefix("unix://"))
    return opened


@pytest.mark.parametrize("is_unix", [False, True], ids=["tcp", "unix"])
def test_the_process_at_the_other_end_is_found_once_it_is_stopped(tmp_path, is_unix):
    with listening(tmp_path / "socket" if is_unix else None) as listener, connected(listener) as opened:
        assert process_state.stopped_peer(opened) is None
        listener.stop()
        assert process_state.stopped_peer(opened) == listener.pid


def test_of_another_machine_no_process_is_known():
    class Remote:
        family = socket.AF_INET

        def getpeername(self):
            return "192.0.2.1", 8420

    assert process_state.stopped_peer(Remote()) is None


def test_this_process_runs_and_one_that_has_ended_has_no_state():
    assert not process_state.is_stopped(os.getpid())
    assert not process_state.is_stopped(None)
    assert process_state.stat_of(2**22 + 1) == []
