import io
import re
import socket
import threading
from types import SimpleNamespace

import pytest

from condord.cli import progress as module
from condord.cli.progress import begun, progress
from tests.fakes.terminal import condord


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def stderr(monkeypatch):
    """A terminal as stderr, and no patience."""
    terminal = Terminal()
    monkeypatch.setattr(module, "sys", SimpleNamespace(stderr=terminal))
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    return terminal


def waited(terminal, seconds=10.0):
    """Wait in a context, as if for somebody, until its note is there."""
    told = threading.Event()
    write = terminal.write
    terminal.write = lambda text: (write(text), told.set())
    with progress("waiting\x1b for you"):
        assert told.wait(seconds)


def test_a_note_says_for_what_and_is_wiped(stderr):
    waited(stderr)
    assert re.fullmatch(r"\r\x1b\[Kwaiting  for you \(0 s\)\r\x1b\[K", stderr.getvalue())


def test_what_does_not_take_long_is_not_noted(stderr, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 60.0)
    with progress("waiting"):
        pass
    assert stderr.getvalue() == ""


@pytest.mark.parametrize("why", ["pipe", "dumb", "none"])
def test_only_a_terminal_is_noted_upon(monkeypatch, stderr, why):
    where = {"pipe": io.StringIO(), "dumb": stderr, "none": None}[why]
    monkeypatch.setattr(module, "sys", SimpleNamespace(stderr=where))
    monkeypatch.setenv("TERM", "dumb" if why == "dumb" else "xterm")
    with progress("waiting"):
        pass
    assert where is None or where.getvalue() == ""


def test_a_failure_passes_through_and_the_note_is_wiped(stderr):
    with pytest.raises(KeyError), progress("waiting"):
        raise KeyError
    assert stderr.getvalue() == "" or stderr.getvalue().endswith("\r\x1b[K")


def test_events_come_as_they_are():
    events = begun(iter([1, 2, 3]), "waiting")
    assert list(events) == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["status", "positions", "positions --watch", "stream"])
def test_a_daemon_that_does_not_answer_is_noted_after_a_second_and_ctrl_c_wipes_the_note(command):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with condord(*command.split(), "--url", url) as program:
            program.until_shown(f"waiting for {url} (1 s)")
            program.type("\x03")
            assert program.ended() == 130
            assert not any("waiting" in row for row in program.picture.rows)
            assert program.picture.is_sane
