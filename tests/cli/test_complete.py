import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from condord.cli import complete
from condord.config import Log
from condord.simulator import SCENARIOS
from tests.fakes.daemon import problem

ID = "SPY-261218-560-570-630-640"


def offered(url, incomplete=""):
    return complete.condor_ids(SimpleNamespace(params={"url": url}), incomplete)


def test_the_condors_that_are_held_are_offered_with_their_kind(fake):
    assert offered(fake.url) == offered(fake.url, "SPY-26") == [(ID, "short condor")]
    assert offered(fake.url, "QQQ") == []


def test_the_daemon_is_that_of_the_environment(fake, monkeypatch):
    monkeypatch.setenv("CONDORD_URL", fake.url)
    assert offered(None) == [(ID, "short condor")]


@pytest.mark.parametrize("url", ["unix:///none", "ftp://x"])
def test_without_a_daemon_nothing_is_offered_and_nothing_said(url, capsys):
    assert offered(url) == []
    assert capsys.readouterr() == ("", "")


def test_an_answer_that_is_none_offers_nothing(fake):
    fake.answers["/api/positions"] = problem(401, "no token")
    assert offered(fake.url) == []


def test_a_configuration_with_a_fault_offers_nothing(monkeypatch):
    monkeypatch.setenv("CONDORD_SERVER_PORT", "many")
    assert offered(None) == []


@pytest.mark.slow
def test_nobody_waits_long_for_a_daemon_that_hangs():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert offered(f"http://127.0.0.1:{silent.getsockname()[1]}") == []
        assert complete.PATIENCE_SECONDS <= time.monotonic() - began < 5


def test_the_words_of_the_configuration_are_offered():
    levels = [word for word, _ in complete.log_levels("")]
    assert Log().level in levels
    assert {"debug", "error"} < set(levels)
    assert complete.log_formats("j") == [("json", "")]


def test_every_scenario_is_offered_with_what_it_is():
    assert complete.scenarios("") == [(scenario.name, scenario.sentence) for scenario in SCENARIOS]
    assert [word for word, _ in complete.scenarios("b")] == ["busy"]


def tab(*words, **environ):
    """What bash gets for these words."""
    done = subprocess.run(
        [sys.executable, "-m", "condord"], capture_output=True, text=True, timeout=30,
        env={**os.environ, "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1),
             "_CONDORD_COMPLETE": "complete_bash", **environ},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.slow
def test_bash_is_offered_commands_options_and_ids(fake):
    assert {"start", "positions", "stream", "status", "simulate"} <= set(tab("condord", ""))
    assert "--watch" in tab("condord", "positions", "--w")
    assert tab("condord", "positions", "", CONDORD_URL=fake.url) == [ID]
    assert tab("condord", "stream", "--url", fake.url, "--condor", "S") == [ID]
    assert tab("condord", "start", "--log-level", "d") == ["debug"]


@pytest.mark.slow
def test_a_line_of_bash_is_completed_with_the_script_that_is_shown(fake, tmp_path):
    (tmp_path / "condord").write_text(f'#!/bin/sh\nexec {sys.executable} -m condord "$@"\n')
    (tmp_path / "condord").chmod(0o755)
    script = """
    eval "$(condord --show-completion)"
    COMP_WORDS=(condord positions SP) COMP_CWORD=2
    _condord_completion condord
    echo "${COMPREPLY[@]}"
    """
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "CONDORD_URL": fake.url}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, env=environ)
    assert (done.stdout, done.stderr) == (f"{ID}\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["--install-completion", "--show-completion >/dev/full"])
def test_completion_that_cannot_be_written_is_1_and_two_lines(command):
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m condord {command}; exit $?"],
        capture_output=True, text=True, timeout=30, env={**os.environ, "HOME": "/dev/null"},
    )  # fmt: skip
    assert done.returncode == 1
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == ["condord", "hint"]


@pytest.mark.slow
def test_installed_it_is_in_the_files_of_the_shell(tmp_path):
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m condord --install-completion; exit $?"],
        capture_output=True, text=True, timeout=30, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0
    assert "_CONDORD_COMPLETE" in (tmp_path / ".bash_completions" / "condord.sh").read_text()
