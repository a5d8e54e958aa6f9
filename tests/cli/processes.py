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
    code = f"""
import sys
from condord.cli.main import run
code = run({arguments!r})
sys.stdout.flush()
print(code, *(name for name in {modules!r} if name in sys.modules), file=sys.stderr)
"""
    environ = {**os.environ, "COLUMNS": "80"}  # lines are only measured for a width
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environ)
    exit_code, *imported = done.stderr.splitlines()[-1].split()
    return int(exit_code), imported
