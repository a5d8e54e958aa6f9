"""Coverage-guided fuzzing of everything that reads Alpaca's or a client's bytes: `python -m tests.fuzz --seconds 20`.

It needs atheris, which is not a development requirement, as it has wheels only for Linux. Every target runs in a child
process, as libFuzzer never returns. Exits with 1 if any input caused an unexpected error or took more than
five seconds.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SECONDS_AN_INPUT = 5
MEGABYTES = 2048
INPUT_BYTES = 8192
GRACE_SECONDS = 60.0
_EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s+([0-9]+)")


def main():
    arguments = _arguments()
    if arguments.child:
        _fuzz(arguments.child, arguments.seconds, arguments.seed, arguments.folder)
    from tests.fuzz.targets import TARGETS, prove

    prove()
    names = arguments.target or list(TARGETS)
    workers = min(os.cpu_count() or 1, len(names))
    seconds = max(1, round(arguments.seconds * workers / len(names)))
    folder = Path(tempfile.mkdtemp(prefix="condord-fuzz-"))
    with ThreadPoolExecutor(workers) as pool:
        passed = list(pool.map(lambda name: _run(name, seconds, arguments.seed, folder / name), names))
    if not all(passed):
        sys.exit(1)
    shutil.rmtree(folder)


def _arguments():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="for all targets together")
    parser.add_argument("--seed", type=int, default=0, help="0, the default: another one each time")
    parser.add_argument("--target", action="append", help="only this target; may be repeated")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(name, seconds, seed, folder):
    """Fuzz one target in a child and print the result; returns False if a failing input was found."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.fuzz", "--child", name, "--folder", str(folder)]
    command += ["--seconds", str(seconds), "--seed", str(seed)]
    try:
        ran = subprocess.run(command, capture_output=True, timeout=seconds + GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _print(f"{name}: did not end within {seconds + GRACE_SECONDS:g} s")
        return False
    lines = (ran.stdout + ran.stderr).decode(errors="replace").splitlines()
    output = "\n".join(line for line in lines if not line.startswith(("INFO:", "WARNING:", "#")))
    counted = _EXECUTIONS.search(output)
    if ran.returncode == 0 and counted:
        _print(f"{name}: {int(counted[1]):,} executions in {seconds} s, nothing found")
        return True
    _print(f"{name}: exit {ran.returncode}\n{output[-6000:]}")
    for found in sorted(folder.glob("*-*")):
        _print(f"{name}: {found}\n{found.read_bytes()!r}")
    return False


def _fuzz(name, seconds, seed, folder):
    """Fuzz one target. Never returns: libFuzzer exits with 0 at the end, or with another status after a failure."""
    import atheris

    with atheris.instrument_imports(include=["condord.core", "condord.http", "condord.live", "condord.upstream"]):
        from tests.fuzz.targets import TARGETS, seeds

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, first in enumerate(seeds(name)):
        (corpus / f"{number:03}").write_bytes(first)
    options = {
        "max_total_time": seconds,
        "seed": seed,
        "timeout": SECONDS_AN_INPUT,
        "rss_limit_mb": MEGABYTES,
        "max_len": INPUT_BYTES,
        "artifact_prefix": f"{folder}/",
        "print_final_stats": 1,
    }
    flags = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([name, *flags, str(corpus)], TARGETS[name])
    atheris.Fuzz()


def _print(text):
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
