import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from condord.cli import completion
from condord.cli.view import SHOWS, SORTS
from condord.config.schema import Log
from condord.simulator import SCENARIOS
from tests.cli.processes import shell
from tests.e2e.preloaded import Preloaded
from tests.fakes import documents
from tests.fakes.daemon import json, problem

ID = documents.CONDOR_ID


def offered(url, incomplete=""):
    return completion.condor_ids(SimpleNamespace(params={"url": url}, parent=None), incomplete)


def test_held_condors_are_offered_with_their_kind(fake):
    assert offered(fake.url) == offered(fake.url, "SPY-26") == [(ID, "short condor")]
    assert offered(fake.url, "QQQ") == []


def test_broken_condors_are_offered_after_the_others(fake):
    both = [documents.broken(ID, A=1), documents.broken("A-1", A=1)]
    fake.answers["/api/positions"] = json(documents.document(broken=both))
    assert offered(fake.url) == [(ID, "short condor"), ("A-1", "broken short condor")]


def test_the_orders_of_the_table_are_offered_with_their_meaning():
    assert completion.sorts("p") == [("pl", SORTS["pl"]), ("percent", SORTS["percent"])]
    assert [word for word, _ in completion.sorts("")] == [*SORTS]


def test_filters_and_the_symbols_that_are_held_are_offered(fake):
    assert [word for word, _ in completion.shows(context(fake.url), "")] == [*SHOWS, "SPY"]
    assert completion.shows(context(fake.url), "S") == [("SPY", "condors on it")]
    assert [word for word, _ in completion.shows(context("unix:///none"), "")] == [*SHOWS]


def recorded(url, incomplete=""):
    return completion.recorded_ids(SimpleNamespace(params={"url": url}, parent=None), incomplete)


def test_held_condors_are_offered_before_closed_ones_for_history(fake):
    older = documents.trade(closedAt="2026-11-19T01:00:00Z")
    fake.answers["/api/trades"] = json(
        documents.trades(documents.trade(id="B"), documents.trade(), older, documents.trade(id=ID))
    )
    assert recorded(fake.url) == [
        (ID, "short condor"),
        ("B", "closed 2026-11-20"),
        ("SPY-261120-560-570-630-640", "closed 2026-11-20"),
    ]
    assert recorded(fake.url, "B") == [("B", "closed 2026-11-20")]


def test_without_trades_the_held_condors_are_offered(fake):
    fake.answers["/api/trades"] = problem(500, "a bug")
    assert recorded(fake.url) == [(ID, "short condor")]
    assert recorded("unix:///none") == []


def context(url, parent=None):
    return SimpleNamespace(params={"url": url}, parent=parent)


def test_alerts_that_fire_and_are_not_acknowledged_are_offered_the_most_severe_first(fake):
    info = documents.alert(id="half:SPY", severity="info", text="Half.")
    done = documents.alert(id="done", acknowledgedAt=documents.AS_OF)
    over = documents.alert(id="over", state="resolved", until=documents.AS_OF)
    fake.answers["/api/alerts"] = json(documents.alerts(info, done, over, documents.alert()))
    words = completion.alert_ids(context(fake.url), "")
    assert [word for word, _ in words] == [f"breached:{ID}", "half:SPY"]
    assert words[1][1] == "info: Half."
    assert completion.alert_ids(context(None, context(fake.url)), "half:") == [("half:SPY", "info: Half.")]


def test_channels_are_offered_with_their_type(fake):
    assert completion.channels(context(fake.url), "p") == [("phone", "apprise")]
    assert completion.channels(context(fake.url), "x") == []


@pytest.mark.parametrize("url", ["unix:///none", "ftp://x"])
def test_without_a_daemon_no_alerts_and_channels_are_offered(url):
    assert completion.alert_ids(context(url), "") == completion.channels(context(url), "") == []


def test_completion_finds_the_daemon_as_any_command_does(fake, monkeypatch):
    monkeypatch.setenv("CONDORD_URL", fake.url)
    assert offered(None) == [(ID, "short condor")]


@pytest.mark.parametrize("url", ["unix:///none", "ftp://x"])
def test_without_a_daemon_nothing_is_offered_or_printed(url, capsys):
    assert offered(url) == []
    assert capsys.readouterr() == ("", "")


def test_a_refused_token_offers_nothing(fake):
    fake.answers["/api/positions"] = problem(401, "no token")
    assert offered(fake.url) == []


def test_an_invalid_configuration_offers_nothing(monkeypatch):
    monkeypatch.setenv("CONDORD_SERVER_PORT", "many")
    assert offered(None) == []


@pytest.mark.slow
def test_a_daemon_that_hangs_is_given_up_after_the_timeout():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert offered(f"http://127.0.0.1:{silent.getsockname()[1]}") == []
        assert completion.TIMEOUT_SECONDS <= time.monotonic() - began < 9


def test_offered_log_levels_and_formats_match_the_configuration():
    levels = [word for word, _ in completion.log_levels("")]
    assert Log().level in levels
    assert {"debug", "error"} < set(levels)
    assert completion.log_formats("j") == [("json", "")]


def test_every_scenario_is_offered_with_its_description():
    assert completion.scenarios("") == [(scenario.name, scenario.description) for scenario in SCENARIOS]
    assert [word for word, _ in completion.scenarios("b")] == ["busy"]


def tab(*words, **environ):
    """Return what bash is offered after these words."""
    program = Preloaded(
        [],
        {**os.environ, "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1),
         "_CONDORD_COMPLETE": "complete_bash", **environ},
    )  # fmt: skip
    with program.stdout, program.stderr:
        offers, errors = program.stdout.read(), program.stderr.read()
    assert (program.wait(120), errors) == (0, "")
    return offers.split()


@pytest.mark.slow
def test_bash_is_offered_commands_options_and_ids(fake):
    assert {"start", "positions", "stream", "status", "simulate"} <= set(tab("condord", ""))
    assert "--watch" in tab("condord", "positions", "--w")
    assert tab("condord", "positions", "", CONDORD_URL=fake.url) == [ID]
    assert tab("condord", "stream", "--url", fake.url, "--condor", "S") == [ID]
    assert tab("condord", "start", "--log-level", "d") == ["debug"]
    assert {"history", "trades"} <= set(tab("condord", ""))
    assert tab("condord", "alerts", "acknowledge", "br", CONDORD_URL=fake.url) == [f"breached:{ID}"]
    assert tab("condord", "alerts", "acknowledge", "breached", ":", CONDORD_URL=fake.url) == [ID]
    assert tab("condord", "alerts", "acknowledge", "breached", ":", "SPY", CONDORD_URL=fake.url) == [ID]
    scheme, _, rest = fake.url.partition(":")
    pieces = (scheme, ":", *rest.replace(":", " : ").split())
    assert tab("condord", "alerts", "--url", *pieces, "test", "") == ["phone"]
    assert tab("condord", "history", "SPY-2611", CONDORD_URL=fake.url) == ["SPY-261120-560-570-630-640"]


@pytest.mark.slow
def test_the_printed_script_completes_a_line_in_bash(fake, tmp_path):
    (tmp_path / "condord").write_text(f'#!/bin/sh\nexec {sys.executable} -m condord "$@"\n')
    (tmp_path / "condord").chmod(0o755)
    script = """
    eval "$(condord --show-completion)"
    COMP_WORDS=(condord positions SP) COMP_CWORD=2
    _condord_completion condord
    echo "${COMPREPLY[@]}"
    """
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "CONDORD_URL": fake.url}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, env=environ)
    assert (done.stdout, done.stderr) == (f"{ID}\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["--install-completion", "--show-completion >/dev/full"])
def test_completion_that_cannot_be_written_exits_with_1_and_two_lines(command):
    done = shell(command, HOME="/dev/null")
    assert done.returncode == 1
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == ["condord", "hint"]


@pytest.mark.slow
def test_installing_completion_writes_the_file_of_the_shell(tmp_path):
    assert shell("--install-completion", HOME=str(tmp_path)).returncode == 0
    assert "_CONDORD_COMPLETE" in (tmp_path / ".bash_completions" / "condord.sh").read_text()
