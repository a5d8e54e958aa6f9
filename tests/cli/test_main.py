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
from tests.e2e.running import until
from tests.fakes import documents, terminal
from tests.fakes.daemon import HOLD, serving

OTHERS = ["condord.cli.start", "condord.cli.simulate", "condord.cli.watch"]
HEAVY = [
    "alpaca",
    "pandas",
    "numpy",
    "starlette",
    "sse_starlette",
    "uvicorn",
    "websockets",
    "asyncio",
    "rich",
    "tenacity",
    *OTHERS,
]


def test_the_version_is_one_line(condord):
    assert condord("--version") == (0, f"condord {sys.modules['condord'].__version__}\n", [])


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_without_a_command_there_is_help(condord, arguments):
    outcome = condord(*arguments)
    assert outcome.code == 0
    assert {"start", "positions", "stream", "status", "simulate"} <= set(outcome.out.split())


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_explains_itself_and_has_an_example(condord, command):
    outcome = condord(command, "--help")
    assert outcome.code == 0
    assert "Options:" in outcome.out
    assert f"  Example:\n    condord {command}" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["nonsense"], "nonsense", "condord --help"),
        (["positions", "--nonsense"], "--nonsense", "condord positions --help"),
        (["positions", "A", "B"], "B", "condord positions --help"),
        (["start", "--port", "x"], "--port", "condord start --help"),
        (["status", "--url", "ftp://x"], "--url", "condord status --help"),
    ],
)
def test_misuse_is_two_lines_and_2(condord, arguments, said, hint):
    code, out, err = condord(*arguments)
    assert (code, out, len(err)) == (2, "", 2)
    assert err[0].startswith("condord: ")
    assert said in err[0]
    assert hint in err[1]


def test_each_fault_of_the_configuration_has_its_line_and_then_comes_the_hint(condord, monkeypatch):
    monkeypatch.setenv("CONDORD_SERVER_PORT", "many")
    monkeypatch.setenv("CONDORD_SERVER_HOOST", "x")
    code, out, err = condord("positions")
    assert (code, out) == (78, "")
    assert [line.split(": ")[0] for line in err] == ["condord", "condord", "hint"]


def failing(monkeypatch, error):
    def find(*_):
        raise error

    monkeypatch.setattr(positions, "find", find)


def test_a_bug_is_70_and_tells_where_but_nothing_of_what_it_held(condord, monkeypatch):
    failing(monkeypatch, RuntimeError("a-secret"))
    code, out, err = condord("positions")
    assert (code, out, len(err)) == (70, "", 2)
    assert "RuntimeError" in err[0]
    assert "--log-level debug" in err[1]
    assert "a-secret" not in "".join(err)


def test_a_bug_has_a_traceback_when_it_is_asked_for(condord, monkeypatch):
    failing(monkeypatch, RuntimeError("why"))
    monkeypatch.setenv("CONDORD_LOG_LEVEL", "debug")
    code, _, err = condord("positions")
    assert code == 70
    assert "RuntimeError: why" in err


@pytest.mark.parametrize("given", [["--log-level", "debug"], ["--log-level=debug"]])
def test_the_flag_asks_for_it_too(given):
    assert main._debugging(["start", *given])
    assert not main._debugging(["start", "--log-level", "info"])


def test_an_error_of_ours_is_shown_on_one_line_without_control_characters(condord, monkeypatch):
    failing(monkeypatch, ConfigError(["a\x1b[2Jb\nc"], "do\r\nthis"))
    assert condord("positions").err == ["condord: a [2Jb c", "hint: do  this"]


def test_ctrl_c_is_130_and_quiet(condord, monkeypatch):
    failing(monkeypatch, KeyboardInterrupt())
    assert condord("positions") == (130, "", [])


def test_main_leaves_the_process_with_the_code():
    with pytest.raises(SystemExit) as caught:
        main.main(["nonsense"])
    assert caught.value.code == 2


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
def test_ctrl_c_while_the_command_line_is_imported_is_130_and_quiet():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


STRUCK = """
import builtins, os, sys
from pathlib import Path
number, place, *sys.argv[1:] = sys.argv[1:]
real = builtins.__import__
def stub(name, globals=None, locals=None, fromlist=(), level=0):
    if place in (name, *(f"{name}.{each}" for each in fromlist or ())):
        builtins.__import__ = real
        print(Path(f"/proc/self/task/{os.getpid()}/children").read_text(), end="", flush=True)
        os.kill(os.getpid(), int(number))
    return real(name, globals, locals, fromlist, level)
builtins.__import__ = stub
from condord.__main__ import main
main()
"""
"""The command line, which gets a signal when it begins to import `place`; before it says which children it has."""

SERVING = {"APCA_API_KEY_ID": "K", "APCA_API_SECRET_KEY": "S"}
WAYS_TO_END = [signal.SIGINT, signal.SIGTERM]


def struck(number, place, *arguments, before=""):
    command = ["sh", "-c", f'{before} exec "$@"', "sh", sys.executable, "-c", STRUCK, str(int(number)), place]
    environ = {**os.environ, **SERVING}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=30, env=environ)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", WAYS_TO_END)
@pytest.mark.parametrize("place", ["condord.cli.main", "condord.loading", "condord.service"])
def test_a_signal_ends_a_start_with_0_and_quiet_however_early_it_comes(number, place):
    assert struck(number, place, "start", "--port", "0") == (0, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("number", WAYS_TO_END)
def test_a_signal_ends_a_demo_that_is_starting_with_its_child(number):
    code, out, err = struck(number, "condord.service", "start", "--demo", "--port", "0")
    assert (code, err) == (0, "")
    (child,) = out.split()

    def is_over():
        try:
            return Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z"  # nobody waits for it
        except (FileNotFoundError, ProcessLookupError):
            return True

    until(is_over, "the child has ended")


@pytest.mark.slow
@pytest.mark.parametrize("number", WAYS_TO_END)
def test_a_signal_ends_a_simulate_that_is_starting_with_0(number):
    assert struck(number, "condord.simulator", "simulate", "--port", "0") == (0, "", "")


@pytest.mark.slow
def test_a_hang_up_while_a_start_is_being_loaded_does_nothing():
    code, _, err = struck(signal.SIGHUP, "condord.cli.main", "start", "--port", "70000")
    assert code == 78
    assert "server.port" in err


@pytest.mark.slow
@pytest.mark.parametrize("place", ["condord.cli.main", "condord.client"])
def test_ctrl_c_ends_a_command_that_asks_with_130_and_quiet_however_early_it_comes(place):
    assert struck(signal.SIGINT, place, "positions", "--url", "http://127.0.0.1:9") == (130, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("place", ["condord.cli.main", "condord.client"])
def test_ctrl_c_that_is_ignored_for_us_stays_so(place):
    command = ["positions", "--url", "http://127.0.0.1:9"]
    assert struck(signal.SIGINT, place, *command, before='trap "" INT;')[0] == 69


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
def test_what_is_opened_later_does_not_get_the_number_of_a_missing_standard_file(where, has_no_stdout):
    command = ["bash", "-c", f'exec "$@" 9>&1 {where}', "bash", sys.executable, "-c", OPENS]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, f"True {has_no_stdout}")


@pytest.mark.slow
def test_a_start_that_is_ended_wipes_what_it_has_noted_on_the_terminal():
    command = [sys.executable, "-c", STRUCK, str(int(signal.SIGINT)), "condord.service", "start"]
    with terminal.running(*command, **SERVING) as program:
        assert program.ended() == 0
    assert program.said == "\r\x1b[K"


def test_the_program_enters_where_that_is_caught():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"condord": "condord.__main__:main"}


def shell(command):
    return subprocess.run(
        ["bash", "-c", f"{sys.executable} -m condord {command}"], capture_output=True, text=True, timeout=30
    )


@pytest.mark.slow
@pytest.mark.parametrize(("where", "why"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")])
@pytest.mark.parametrize("command", ["--help", "--version", "status --help", "positions", "status --json", "simulate"])
def test_output_that_cannot_be_written_is_1_and_two_lines(command, where, why):
    options = {"positions": "--url", "status --json": "--url", "simulate": "--port 0"}
    with serving() as fake:
        given = options.get(command, "").replace("--url", f"--url {fake.url}")
        done = shell(f"{command} {given} {where}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == f"condord: cannot write to standard output: {why}"
    assert [line[:6] for line in done.stderr.splitlines()[1:]] == ["hint: "]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["stream", "positions --watch", "positions --watch --json"])
def test_what_is_followed_ends_so_too(command):
    with serving() as fake:
        fake.streams = [[documents.frame("snapshot", documents.document(), "k-1"), HOLD]]
        done = shell(f"{command} --url {fake.url} >/dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("condord: cannot write to standard output: No space left on device\nhint: ")


@pytest.mark.slow
@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-"])
def test_a_stderr_that_cannot_be_written_changes_no_exit_code(where):
    assert shell(f"nonsense {where}").returncode == 2
    assert shell(f"--version {where}").returncode == 0


def imported_by(*arguments):
    code = f"""
import sys
from condord.cli.main import run
code = run({arguments!r})
sys.stdout.flush()
print(code, *(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    return done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_commands_that_ask_import_neither_the_server_nor_alpaca():
    with serving() as fake:
        assert imported_by("positions", "--url", fake.url) == "0 rich"
        assert imported_by("positions", "--json", "--url", fake.url) == "0"
        assert imported_by("status", "--url", fake.url) == "0"
        assert imported_by("stream", "--url", fake.url) == "77"
    # Those that are no command know all of them.
    assert imported_by("--help").split()[:1] == imported_by("--version").split()[:1] == ["0"]
    assert not set(imported_by("--help").split()) & (set(HEAVY) - set(OTHERS))


@pytest.mark.slow
def test_the_package_is_the_command():
    done = subprocess.run([sys.executable, "-m", "condord", "--version"], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"condord {condord.__version__}\n", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", ["positions", "positions --json", "positions --watch", "positions --watch --json", "stream", "stream --json",
                "status", "--help", "positions --help", "--version"],
)  # fmt: skip
def test_the_first_line_is_enough_for_head(command):
    with serving() as fake:
        snapshot = documents.frame("snapshot", documents.document(), "k-1")
        fake.streams = [
            itertools.chain([snapshot], itertools.repeat(documents.frame("delta", documents.delta(), "k-2")))
        ]
        url = "" if "--help" in command or "--version" in command else f"--url {fake.url}"
        done = shell(f"{command} {url} | head -1; echo ${{PIPESTATUS[0]}}")
    lines = done.stdout.splitlines()
    assert (len(lines), lines[-1], done.stderr) == (2, "0", "")
    assert "\x1b" not in done.stdout


@pytest.mark.slow
def test_a_reader_that_has_enough_ends_the_command_quietly():
    with serving() as fake:
        fake.answers["/api/positions"] = (
            200,
            {"Content-Type": "application/json"},
            b'{"a":"' + b"x" * 2_000_000 + b'"}',
        )
        command = f"{sys.executable} -m condord positions --json --url {fake.url} | head -c 5; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ('{"a":0\n', "")


def test_run_gives_the_code_and_leaves_nobody():
    assert run(["--version"]) == 0
