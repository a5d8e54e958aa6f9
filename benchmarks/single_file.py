"""Which tool makes the better single file: pex, shiv or PyInstaller, beside a plain virtual environment.

Each builds condord from this tree, with what it needs from the package index, and the outcome is run without an
environment, in another directory and with an empty home: how long `--version` takes, and how long `start --demo` until
it serves, the first time, when the file unpacks itself, and again; and `positions` against that daemon. What is done
again is done three times, of which the median counts. The tools themselves are installed beforehand.

PyInstaller's program has no interpreter for the demo's child, so its entry takes `-m condord` for what it means.

Where condord has not got its page, node makes it, once for all, while the tools are installed.

Run it: python benchmarks/single_file.py
"""

from __future__ import annotations

import contextlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
AGAIN = 3
ENTRY = """
import sys
if sys.argv[1:3] == ["-m", "condord"]:
    del sys.argv[1:3]
from condord.__main__ import main
main()
"""
COLLECTED = ("--collect-submodules", "condord", "--collect-data", "condord", "--collect-data", "tzdata")


def recipes(tools: Path, place: Path, source: Path) -> Iterator[tuple[str, Path, list[Sequence[str | Path]]]]:
    """The name of each kind, the program that it makes, and the commands that make it."""
    venv = place / "venv"
    yield (
        "venv",
        venv / "bin/condord",
        [
            [sys.executable, "-m", "venv", venv],
            [venv / "bin/pip", "install", "--quiet", source],
        ],
    )
    made = place / "condord.pex"
    yield "pex", made, [[tools / "pex", source, "-c", "condord", "--venv", "-o", made]]
    made = place / "condord.shiv"
    interpreter = "/usr/bin/env python3.11"
    shiv = [tools / "shiv", "-q", "-c", "condord", "-E", "--compressed", "-p", interpreter, "-o", made, source]
    yield "shiv", made, [shiv]
    entry = place / "entry.py"
    entry.write_text(ENTRY)
    work = place / "work"
    places = ("--distpath", place / "dist", "--workpath", work, "--specpath", work)
    pyinstaller = [
        tools / "pyinstaller",
        "--log-level",
        "ERROR",
        "--onefile",
        "-n",
        "condord",
        *COLLECTED,
        *places,
        entry,
    ]
    yield "PyInstaller", place / "dist/condord", [pyinstaller]


def seconds(command: Sequence[str | Path], environ: Mapping[str, str] | None = None) -> float:
    """How long a command takes, that succeeds."""
    begin = time.monotonic()
    done = subprocess.run(command, env=environ, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode:
        raise ChildProcessError(f"{command}: {done.stdout}{done.stderr}")
    return time.monotonic() - begin


@contextlib.contextmanager
def home(place: Path) -> Iterator[dict[str, str]]:
    """The environment of who has nothing but an empty home."""
    with tempfile.TemporaryDirectory(dir=place) as directory:
        temporary = Path(directory, "tmp")
        temporary.mkdir()
        path = f"{Path(sys.base_prefix, 'bin')}:/usr/bin:/bin"
        yield {"PATH": path, "HOME": directory, "TMPDIR": str(temporary)}


@contextlib.contextmanager
def demo(program: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    """A daemon: its URL, and after how many seconds it served."""
    begin = time.monotonic()
    command = [program, "start", "--demo", "--port", "0"]
    with subprocess.Popen(command, env=environ, cwd="/", stderr=subprocess.PIPE, text=True) as process:
        try:
            url = next(found[1] for line in process.stderr if (found := re.search(r"serves at (\S+)", line)))
            yield url, time.monotonic() - begin
        finally:
            process.terminate()
            process.communicate()


def again(command: Sequence[str | Path], environ: Mapping[str, str]) -> float:
    """The median of some runs."""
    return statistics.median(seconds(command, environ) for _ in range(AGAIN))


def measured(program: Path, place: Path) -> list[float]:
    """The columns of the table after the size."""
    version = [program, "--version"]
    with home(place) as environ:
        versions = [seconds(version, environ), again(version, environ)]
    with home(place) as environ:
        with demo(program, environ) as (_, first):
            pass
        starts = []
        for _ in range(AGAIN):
            with demo(program, environ) as (url, second):
                starts.append(second)
                positions = again([program, "positions", "--url", url], environ)
    return [*versions, positions, first, statistics.median(starts)]


def size(program: Path) -> int:
    """Bytes of a file, or of the environment that a script is in."""
    if program.parent.name != "bin":
        return program.stat().st_size
    return sum(path.stat().st_size for path in program.parents[1].rglob("*") if path.is_file())


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        source = place / "source"
        source.mkdir()
        for name in ("pyproject.toml", "README.md", "condord.toml.example"):
            shutil.copy(ROOT / name, source)
        for name in ("condord", "systemd", "web"):  # the tree has more in it than the package, gigabytes even
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
        tools = place / "tools"
        seconds([sys.executable, "-m", "venv", tools])
        seconds([tools / "bin/pip", "install", "--quiet", source, "pex", "shiv", "pyinstaller"])
        print("| | build | size | `--version`, first | again | `positions` | `start --demo`, first | again |")
        print("|---|---|---|---|---|---|---|---|")
        for name, program, commands in recipes(tools / "bin", place, source):
            build = sum(seconds(command) for command in commands)
            cells = [f"{build:.0f} s", f"{size(program) / 1e6:.0f} MB"]
            cells += [f"{value:.2f} s" for value in measured(program, place)]
            print("|", " | ".join([name, *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
