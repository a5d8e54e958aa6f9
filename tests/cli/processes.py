"""The command line as a process of its own."""

import json
import os
import subprocess
import sys
from typing import NamedTuple

HEAVY = ("alpaca", "pandas", "numpy", "starlette", "sse_starlette", "uvicorn", "websockets", "asyncio")
"""Packages that only the daemon and the simulator need; each takes a noticeable part of the 0.25 s of a command."""


def shell(command, **environ):
    """Run `condord ...` in bash, where `command` may redirect; its output is text."""
    return subprocess.run(
        ["bash", "-c", f"{sys.executable} -m condord {command}; exit $?"],
        capture_output=True, text=True, timeout=120, env={**os.environ, **environ},
    )  # fmt: skip


def imports_of(*arguments, modules=HEAVY):
    """Run the command; return its exit code, and which of `modules` it has imported."""
    (outcome,) = imports_of_each([arguments], modules)
    return outcome


def imports_of_each(commands, modules=HEAVY):
    """Run each command in a fork of one process that has imported only the command line; return what `imports_of` does."""
    code = f"""
import os, sys
from condord.cli.main import run
for arguments in {[tuple(each) for each in commands]!r}:
    if not os.fork():
        code = run(arguments)
        sys.stdout.flush()
        imported = (name for name in {modules!r} if name in sys.modules)
        print("ran", code, *imported, file=sys.stderr, flush=True)
        os._exit(0)
    os.wait()
"""
    environ = {**os.environ, "COLUMNS": "80"}  # lines are only measured for a width
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environ)
    reports = [line.split()[1:] for line in done.stderr.splitlines() if line.startswith("ran ")]
    assert len(reports) == len(commands), done.stderr
    return [(int(exit_code), imported) for exit_code, *imported in reports]


class Done(NamedTuple):
    """How a command ended: its exit code, what `head -1` read of its stdout, and its stderr."""

    code: int
    out: str
    err: str


FORKING = """
import importlib, json, os, subprocess, sys, tempfile
from condord.__main__ import main
from condord.cli.main import COMMANDS

for name in COMMANDS:
    importlib.import_module(f"condord.cli.{name}")
commands, is_piped = json.loads(sys.argv[1])
for arguments in commands:
    errors, output = tempfile.TemporaryFile(), b""
    if is_piped:
        reader, writer = os.pipe()
        head = subprocess.Popen(["head", "-1"], stdin=reader, stdout=subprocess.PIPE)
        os.close(reader)
    pid = os.fork()
    if not pid:
        os.dup2(errors.fileno(), 2)
        errors.close()
        if is_piped:
            os.dup2(writer, 1)
            os.close(writer)
        sys.argv = ["condord", *arguments]
        main()
    if is_piped:
        os.close(writer)
        output = head.communicate()[0]
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    errors.seek(0)
    os.write(9, json.dumps([code, output.decode(), errors.read().decode()]).encode() + b"\\n")
"""


def redirected(commands, where):
    """Run each `condord ...`, given as a list, in a fork of one process whose files bash redirects; return each `Done`.

    Each ends as an interpreter does. The commands are imported before the forks.
    """
    return _forked(commands, where, is_piped=False)


def into_head(commands):
    """The same, with each command's stdout piped into a `head -1` of its own."""
    return _forked(commands, "", is_piped=True)


def _forked(commands, where, *, is_piped):
    script = f'exec "$@" 9>&1 {where}'
    given = json.dumps([commands, is_piped])
    done = subprocess.run(
        ["bash", "-c", script, "bash", sys.executable, "-c", FORKING, given], stdout=subprocess.PIPE, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0
    ended = [Done(*json.loads(line)) for line in done.stdout.splitlines()]
    assert len(ended) == len(commands)
    return ended
