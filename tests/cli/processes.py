"""The command line as a process of its own."""

import os
import subprocess
import sys

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
