import io
import re
import socket
import threading
from types import SimpleNamespace

import pytest

from condord.cli import progress as module
from condord.cli.progress import progress, with_progress
from tests.fakes.terminal import condord


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def stderr(monkeypatch):
    """A terminal as stderr, on which notes appear at once."""
    terminal = Terminal()
    monkeypatch.setattr(module, "sys", SimpleNamespace(stderr=terminal))
    monkeypatch.setattr(module, "DELAY_SECONDS", 0.0)
    return terminal


def test_the_note_has_its_sentence_and_is_erased(stderr):
    shown = threading.Event()
    write = stderr.write
    stderr.write = lambda text: (write(text), shown.set())
    with progress("waiting\x1b for you"):
        assert shown.wait(10.0)
    assert re.fullmatch(r"\r\x1b\[Kwaiting  for you \(0 s\)\r\x1b\[K", stderr.getvalue())


def test_a_short_wait_has_no_note(stderr, monkeypatch):
    monkeypatch.setattr(module, "DELAY_SECONDS", 60.0)
    with progress("waiting"):
        pass
    assert stderr.getvalue() == ""


@pytest.mark.parametrize("kind", ["pipe", "dumb", "none"])
def test_there_is_no_note_without_a_terminal(monkeypatch, stderr, kind):
    file = {"pipe": io.StringIO(), "dumb": stderr, "none": None}[kind]
    monkeypatch.setattr(module, "sys", SimpleNamespace(stderr=file))
    monkeypatch.setenv("TERM", "dumb" if kind == "dumb" else "xterm")
    with progress("waiting"):
        pass
    assert file is None or file.getvalue() == ""


def test_an_exception_passes_through_and_the_note_is_erased(stderr):
    with pytest.raises(KeyError), progress("waiting"):
        raise KeyError
    assert stderr.getvalue() == "" or stderr.getvalue().endswith("\r\x1b[K")


def test_events_pass_unchanged():
    events = with_progress(iter([1, 2, 3]), "waiting")
    assert list(events) == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["status", "positions", "positions --watch", "stream"])
def test_a_daemon_that_does_not_answer_is_noted_after_a_second_until_ctrl_c(command):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with condord(*command.split(), "--url", url) as program:
            program.until_shown(f"waiting for {url} (1 s)")
            program.type("\x03")
            assert program.wait() == 130
            assert not any("waiting" in row for row in program.picture.rows)
            assert program.picture.is_sane
