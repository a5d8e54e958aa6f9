import itertools
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import condord
from condord.cli import main, positions
from condord.cli.main import run
from condord.errors import ConfigError
from tests.cli.processes import HEAVY, imports_of_each, into_head, redirected, shell
from tests.e2e.running import until
from tests.fakes import documents, terminal
from tests.fakes.daemon import HOLD, serving


def test_the_version_is_one_line(condord):
    assert condord("--version") == (0, f"condord {sys.modules['condord'].__version__}\n", [])


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_without_a_command_help_is_shown(condord, arguments):
    outcome = condord(*arguments)
    assert outcome.code == 0
    assert {"start", "positions", "stream", "status", "simulate"} <= set(outcome.out.split())


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_has_help_with_an_example(condord, command):
    outcome = condord(command, "--help")
    assert outcome.code == 0
    assert "Options:" in outcome.out
    assert f"  Example:\n    condord {command}" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "text", "hint"),
    [
        (["nonsense"], "nonsense", "condord --help"),
        (["positions", "--nonsense"], "--nonsense", "condord positions --help"),
        (["positions", "A", "B"], "B", "condord positions --help"),
        (["start", "--port", "x"], "--port", "condord start --help"),
        (["status", "--url", "ftp://x"], "--url", "condord status --help"),
        (["history", "--points", "5001"], "--points", "condord history --help"),
    ],
)
def test_a_usage_error_is_two_lines_and_exits_with_2(condord, arguments, text, hint):
    code, out, err = condord(*arguments)
    assert (code, out, len(err)) == (2, "", 2)
    assert err[0].startswith("condord: ")
    assert text in err[0]
    assert hint in err[1]


def test_each_fault_of_the_configuration_is_a_line_before_the_hint(condord, monkeypatch):
    monkeypatch.setenv("CONDORD_SERVER_PORT", "many")
    monkeypatch.setenv("CONDORD_LOG_LEVEL", "loud")
    code, out, err = condord("positions")
    assert (code, out) == (78, "")
    assert [line.split(": ")[0] for line in err] == ["condord", "condord", "hint"]


def test_completion_without_a_home_directory_exits_with_1_and_two_lines(condord, monkeypatch):
    def homeless(_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(main, "application", homeless)
    code, out, err = condord("--install-completion")
    assert (code, out) == (1, "")
    assert err[0] == "condord: cannot write the completion: Could not determine home directory."
    assert condord("positions").code == 70, "elsewhere it is a bug"


def raise_in_positions(monkeypatch, error):
    def find_daemon(*_):
        raise error

    monkeypatch.setattr(positions, "find_daemon", find_daemon)


def test_a_bug_exits_with_70_and_its_location_but_not_its_message(condord, monkeypatch):
    raise_in_positions(monkeypatch, RuntimeError("a-secret"))
    code, out, err = condord("positions")
    assert (code, out, len(err)) == (70, "", 2)
    assert "RuntimeError" in err[0]
    # Not every command has the option --log-level.
    assert err[1] == "hint: Run it again with CONDORD_LOG_LEVEL=debug and report what it prints."
    assert "a-secret" not in "".join(err)


def test_a_bug_has_a_traceback_at_log_level_debug(condord, monkeypatch):
    raise_in_positions(monkeypatch, RuntimeError("why"))
    monkeypatch.setenv("CONDORD_LOG_LEVEL", "debug")
    code, _, err = condord("positions")
    assert code == 70
    assert "RuntimeError: why" in err


@pytest.mark.parametrize("arguments", [["--log-level", "debug"], ["--log-level=debug"]])
def test_the_flag_sets_log_level_debug_too(arguments):
    assert main._is_debugging(["start", *arguments])
    assert not main._is_debugging(["start", "--log-level", "info"])


def test_an_error_is_shown_on_one_line_without_control_characters(condord, monkeypatch):
    raise_in_positions(monkeypatch, ConfigError(["a\x1b[2Jb\nc"], "do\r\nthis"))
    assert condord("positions").err == ["condord: a [2Jb c", "hint: do  this"]


def test_ctrl_c_exits_with_130_quietly(condord, monkeypatch):
    raise_in_positions(monkeypatch, KeyboardInterrupt())
    assert condord("positions") == (130, "", [])


def test_main_exits_with_the_exit_code():
    with pytest.raises(SystemExit) as caught:
        main.main(["nonsense"])
    assert caught.value.code == 2


def test_the_command_is_imported_before_it_is_ready_for_ctrl_c(monkeypatch, capsys):
    happened, build = [], main.application
    monkeypatch.setattr(main, "application", lambda wanted: happened.append("imported") or build(wanted))
    assert main.run(["--version"], lambda: happened.append("ready")) == 0
    assert happened == ["imported", "ready"]
    assert capsys.readouterr().out.startswith("condord ")


INTERRUPTED = """
import builtins, sys
real = builtins.__import__
def stub(name, *arguments):
    if name == "condord.cli.main":
        raise KeyboardInterrupt
    return real(name, *arguments)
builtins.__import__ = stub
from condord.__main__ import main
main()
"""


@pytest.mark.slow
def test_ctrl_c_during_the_import_of_the_command_line_exits_with_130_quietly():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


SIGNALLED = """
import builtins, os, sys
from pathlib import Path
number, module, *sys.argv[1:] = sys.argv[1:]
real = builtins.__import__
def stub(name, globals=None, locals=None, fromlist=(), level=0):
    if module in (name, *(f"{name}.{part}" for part in fromlist or ())):
        builtins.__import__ = real
        print(Path(f"/proc/self/task/{os.getpid()}/children").read_text(), end="", flush=True)
        os.kill(os.getpid(), int(number))
    return real(name, globals, locals, fromlist, level)
builtins.__import__ = stub
from condord.__main__ import main
main()
"""
"""Runs the command line, and sends it a signal when it begins to import a module, after printing its children."""

SERVING = {"APCA_API_KEY_ID": "K", "APCA_API_SECRET_KEY": "S"}
WAYS_TO_END = [signal.SIGINT, signal.SIGTERM]


def signalled(number, module, *arguments, before=""):
    command = ["sh", "-c", f'{before} exec "$@"', "sh", sys.executable, "-c", SIGNALLED, str(int(number)), module]
    environ = {**os.environ, **SERVING}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, env=environ)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", WAYS_TO_END)
@pytest.mark.parametrize("module", ["condord.cli.main", "condord.config.startup", "condord.daemon.service"])
def test_a_signal_ends_start_quietly_with_0_however_early(number, module):
    assert signalled(number, module, "start", "--port", "0") == (0, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("number", WAYS_TO_END)
def test_a_signal_during_the_start_of_a_demo_ends_its_child_too(number):
    code, out, err = signalled(number, "condord.daemon.service", "start", "--demo", "--port", "0")
    assert (code, err) == (0, "")
    (child,) = out.split()

    def is_over():
        try:
            return Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z"  # a zombie has ended
        except (FileNotFoundError, ProcessLookupError):
            return True

    until(is_over, "the child has ended")


@pytest.mark.slow
@pytest.mark.parametrize("number", WAYS_TO_END)
def test_a_signal_during_the_start_of_simulate_ends_it_with_0(number):
    assert signalled(number, "condord.simulator", "simulate", "--port", "0") == (0, "", "")


@pytest.mark.slow
def test_a_hangup_during_start_is_ignored():
    code, _, err = signalled(signal.SIGHUP, "condord.cli.main", "start", "--port", "70000")
    assert code == 78
    assert "server.port" in err


@pytest.mark.slow
@pytest.mark.parametrize("module", ["condord.cli.main", "condord.client.http"])
def test_ctrl_c_ends_other_commands_quietly_with_130_however_early(module):
    assert signalled(signal.SIGINT, module, "positions", "--url", "http://127.0.0.1:9") == (130, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("module", ["condord.cli.main", "condord.client.http"])
def test_ctrl_c_stays_ignored_if_it_was_ignored_before(module):
    command = ["positions", "--url", "http://127.0.0.1:9"]
    assert signalled(signal.SIGINT, module, *command, before='trap "" INT;')[0] == 69


OPENS = """
import os, sys
from condord.__main__ import _open_missing_files
_open_missing_files()
print("lost", file=sys.stderr)
first = os.open("/dev/zero", os.O_RDONLY)
os.write(9, f"{first > 2} {sys.stdout is None}".encode())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "has_no_stdout"), [("2>&-", False), (">&- 2>&-", True), (">&-", True), ("<&- >&- 2>&-", True)]
)
def test_a_missing_standard_file_is_not_replaced_by_a_file_opened_later(where, has_no_stdout):
    command = ["bash", "-c", f'exec "$@" 9>&1 {where}', "bash", sys.executable, "-c", OPENS]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"True {has_no_stdout}")


@pytest.mark.slow
def test_a_signal_during_start_erases_the_progress_note():
    command = [sys.executable, "-c", SIGNALLED, str(int(signal.SIGINT)), "condord.daemon.service", "start"]
    with terminal.running(*command, **SERVING) as program:
        assert program.wait() == 0
    assert program.output == "\r\x1b[K"


def test_the_installed_program_starts_in_main():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"condord": "condord.__main__:main"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirection", "reason"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
def test_output_that_cannot_be_written_exits_with_1_and_two_lines(redirection, reason):
    with serving() as fake:
        url = f"--url {fake.url}"
        commands = [
            "--help", "--version", "status --help", f"positions {url}", f"status --json {url}", f"trades --csv {url}",
            "simulate --port 0",
        ]  # fmt: skip
        outcomes = redirected([command.split() for command in commands], redirection)
    for command, done in zip(commands, outcomes, strict=True):
        assert done.code == 1, command
        first, *rest = done.err.splitlines()
        assert first == f"condord: cannot write to standard output: {reason}", command
        assert [line[:6] for line in rest] == ["hint: "], command


@pytest.mark.slow
def test_output_of_a_stream_that_cannot_be_written_exits_with_1_and_two_lines():
    commands = ["stream", "positions --watch", "positions --watch --json"]
    with serving() as fake:
        fake.streams = [[documents.frame("snapshot", documents.document(), "k-1"), HOLD] for _ in commands]
        outcomes = redirected([[*command.split(), "--url", fake.url] for command in commands], ">/dev/full")
    expected = "condord: cannot write to standard output: No space left on device\nhint: "
    for command, done in zip(commands, outcomes, strict=True):
        assert done.code == 1, command
        assert done.err.startswith(expected), command


@pytest.mark.slow
@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-"])
def test_a_stderr_that_cannot_be_written_changes_no_exit_code(where):
    assert shell(f"nonsense {where}").returncode == 2
    assert shell(f"--version {where}").returncode == 0


@pytest.mark.slow
def test_commands_that_ask_a_daemon_import_neither_the_server_nor_alpaca():
    modules = (*HEAVY, "rich", "tenacity", "condord.cli.start", "condord.cli.simulate", "condord.cli.watch")
    expected = {
        "positions": (0, []),
        "positions --json": (0, []),
        "status": (0, []),
        "stream": (77, []),
        "history": (0, ["rich"]),  # how wide a sparkline is
        "history --csv": (0, []),
        "trades": (0, []),
        "trades --csv": (0, []),
        "alerts": (1, []),
        "alerts --all --json": (1, []),
        "alerts acknowledge x": (1, []),
    }
    with serving() as fake:
        found = imports_of_each([[*command.split(), "--url", fake.url] for command in expected], modules)
    assert dict(zip(expected, found, strict=True)) == expected
    # The program's own options need all commands.
    options = imports_of_each([["--help"], ["--version"]], (*HEAVY, "rich", "tenacity"))
    assert options == [(0, []), (0, [])]


@pytest.mark.slow
def test_python_m_condord_runs_the_command():
    done = subprocess.run([sys.executable, "-m", "condord", "--version"], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"condord {condord.__version__}\n", "")


@pytest.mark.slow
def test_piping_into_head_ends_quietly_with_0():
    streams = ["positions --watch", "positions --watch --json", "stream", "stream --json", "stream --changes 1000"]
    answers = ["positions", "positions --json", "status", "history", "trades", "trades --csv"]
    without_daemon = ["--help", "positions --help", "--version"]
    with serving() as fake:
        snapshot = documents.frame("snapshot", documents.document(), "k-1")
        delta = documents.frame("delta", documents.delta(), "k-2")
        fake.streams = [itertools.chain([snapshot], itertools.repeat(delta)) for _ in streams]
        commands = [f"{command} --url {fake.url}" for command in streams + answers] + without_daemon
        outcomes = into_head([command.split() for command in commands])
    for command, done in zip(commands, outcomes, strict=True):
        assert (done.code, done.err) == (0, ""), command
        assert done.out.count("\n") == 1, command
        assert "\x1b" not in done.out, command


@pytest.mark.slow
def test_a_reader_that_closes_the_pipe_early_ends_the_command_quietly():
    with serving() as fake:
        fake.answers["/api/positions"] = (
            200,
            {"Content-Type": "application/json"},
            b'{"a":"' + b"x" * 2_000_000 + b'"}',
        )
        done = shell(f"positions --json --url {fake.url} | head -c 5; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ('{"a":0\n', "")


def test_run_returns_the_code_and_does_not_exit():
    assert run(["--version"]) == 0


def test_commands_are_listed_in_the_order_of_their_use(condord):
    listed = condord("--help").out.partition("Commands:")[2].partition("Example")[0].split("\n")
    assert [line.split()[0] for line in listed if line.strip()] == [*main.COMMANDS]


def test_no_description_of_a_command_is_cut(condord):
    for group in ((), ("alerts",), ("config",)):
        assert "..." not in condord(*group, "--help").out.partition("Commands:")[2]


def test_an_option_without_its_value_names_the_help_of_its_command(condord):
    assert condord("positions", "--sort").err[1] == "hint: Try `condord positions --help`."


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("start", "--source", "http://a"), "`condord relay` has this option. Try `condord start --help`."),
        (("status", "--demo"), "`condord start` has this option. Try `condord status --help`."),
        (("status", "--port", "1"), "Try `condord status --help`."),  # several commands have it
        (("status", "--nobody-has-it"), "Try `condord status --help`."),
    ],
)
def test_an_option_of_one_other_command_is_answered_with_that_command(condord, words, hint):
    assert condord(*words).err[1] == f"hint: {hint}"
