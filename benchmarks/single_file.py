"""Compare pex, shiv and PyInstaller, which build condord as a single file, with a virtual environment.

Each builds condord from this tree, with its dependencies from the package index. The result is run without environment
variables, in another directory and with an empty home. Measured are `--version`, `start --demo` until it serves, and
`positions` against that daemon: the first run, in which the file unpacks itself, and the median of three more. The
tools are installed beforehand.

PyInstaller's program contains no interpreter for the demo's child process, so its entry point drops the code that is
passed to the child.

If condord's page has not been built, node builds it once, while the tools are installed.

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
if sys.argv[1:3] == ["-P", "-c"]:
    del sys.argv[1:4]
from condord.__main__ import main
main()
"""
COLLECTED = ("--collect-submodules", "condord", "--collect-data", "condord", "--collect-data", "tzdata")


def recipes(tools: Path, folder: Path, source: Path) -> Iterator[tuple[str, Path, list[Sequence[str | Path]]]]:
    """The name of each tool, the program that it builds, and the commands for that."""
    venv = folder / "venv"
    yield (
        "venv",
        venv / "bin/condord",
        [
            [sys.executable, "-m", "venv", venv],
            [venv / "bin/pip", "install", "--quiet", source],
        ],
    )
    made = folder / "condord.pex"
    yield "pex", made, [[tools / "pex", source, "-c", "condord", "--venv", "-o", made]]
    made = folder / "condord.shiv"
    interpreter = "/usr/bin/env python3.11"
    shiv = [tools / "shiv", "-q", "-c", "condord", "--compressed", "-p", interpreter, "-o", made, source]
    yield "shiv", made, [shiv]
    entry = folder / "entry.py"
    entry.write_text(ENTRY)
    work = folder / "work"
    paths = ("--distpath", folder / "dist", "--workpath", work, "--specpath", work)
    pyinstaller = [
        tools / "pyinstaller",
        "--log-level",
        "ERROR",
        "--onefile",
        "-n",
        "condord",
        *COLLECTED,
        *paths,
        entry,
    ]
    yield "PyInstaller", folder / "dist/condord", [pyinstaller]


def seconds(command: Sequence[str | Path], environ: Mapping[str, str] | None = None) -> float:
    """The wall seconds of a command, which must succeed."""
    begin = time.monotonic()
    done = subprocess.run(command, env=environ, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode:
        raise ChildProcessError(f"{command}: {done.stdout}{done.stderr}")
    return time.monotonic() - begin


@contextlib.contextmanager
def home(folder: Path) -> Iterator[dict[str, str]]:
    """An environment with nothing but an empty home and temporary directory."""
    with tempfile.TemporaryDirectory(dir=folder) as directory:
        temporary = Path(directory, "tmp")
        temporary.mkdir()
        path = f"{Path(sys.base_prefix, 'bin')}:/usr/bin:/bin"
        yield {"PATH": path, "HOME": directory, "TMPDIR": str(temporary)}


@contextlib.contextmanager
def demo(program: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    """A demo daemon: its URL, and the seconds until it served."""
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
    """The median seconds of `AGAIN` runs."""
    return statistics.median(seconds(command, environ) for _ in range(AGAIN))


def measured(program: Path, folder: Path) -> list[float]:
    """The columns of the table after the size, in seconds."""
    version = [program, "--version"]
    with home(folder) as environ:
        versions = [seconds(version, environ), again(version, environ)]
    with home(folder) as environ:
        with demo(program, environ) as (_, first):
            pass
        starts = []
        for _ in range(AGAIN):
            with demo(program, environ) as (url, second):
                starts.append(second)
                positions = again([program, "positions", "--url", url], environ)
    return [*versions, positions, first, statistics.median(starts)]


def size(program: Path) -> int:
    """The size in bytes of a file, or of the environment that contains a script."""
    if program.parent.name != "bin":
        return program.stat().st_size
    return sum(path.stat().st_size for path in program.parents[1].rglob("*") if path.is_file())


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        source = folder / "source"
        source.mkdir()
        for name in ("pyproject.toml", "hatch_readme.py", "README.md", "LICENSE", "condord.toml.example"):
            shutil.copy(ROOT / name, source)
        for name in ("condord", "systemd", "web"):  # the tree may contain gigabytes beside the package
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
        tools = folder / "tools"
        seconds([sys.executable, "-m", "venv", tools])
        seconds([tools / "bin/pip", "install", "--quiet", source, "pex", "shiv", "pyinstaller"])
        print("| | build | size | `--version`, first | again | `positions` | `start --demo`, first | again |")
        print("|---|---|---|---|---|---|---|---|")
        for name, program, commands in recipes(tools / "bin", folder, source):
            build = sum(seconds(command) for command in commands)
            cells = [f"{build:.0f} s", f"{size(program) / 1e6:.0f} MB"]
            cells += [f"{value:.2f} s" for value in measured(program, folder)]
            print("|", " | ".join([name, *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
