"""An environment of its own for each test, a fake daemon, and a way to run commands in this process."""

import sys
import time
from typing import NamedTuple

import pytest

from condord.cli.main import run
from condord.client import resume
from tests.fakes.daemon import serving

LOCALE = ("LC_ALL", "LC_CTYPE", "LANG", "PYTHONIOENCODING", "PYTHONUTF8")


class Outcome(NamedTuple):
    """How a command ended, and what it wrote; stderr in lines."""

    code: int
    out: str
    err: list[str]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch, tmp_path):
    """Hide the configuration, tokens and terminal of the person who runs the tests; the time zone is UTC, the locale C.UTF-8."""
    import os

    for name in list(os.environ):
        if name.startswith(("CONDORD_", "APCA_")) or name in {"NO_COLOR", "COLUMNS", *LOCALE}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.fixture
def fake(monkeypatch):
    """A daemon, to which a client reconnects without a wait unless the daemon asks for one."""
    monkeypatch.setattr(resume, "MIN_WAIT_SECONDS", 0.0)
    with serving() as daemon:
        yield daemon


@pytest.fixture
def condord(capsys):
    """Run `condord ...` in this process."""

    def command(*arguments):
        code = run(arguments)
        out, err = capsys.readouterr()
        return Outcome(code, out, err.splitlines())

    return command


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Standard output is a terminal of 100 columns."""
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
