"""Coverage-guided fuzzing of all that reads Alpaca's bytes or a client's: `python -m tests.fuzz --seconds 20`.

Needs atheris, which is not among the development requirements: its wheels are for Linux alone. Every target runs in a
child process, as libFuzzer never returns. Exits with 1 if any input raised what it must not, or took over a second.
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

SECONDS_AN_INPUT = 1
MEGABYTES = 2048
INPUT_BYTES = 8192
GRACE_SECONDS = 60.0
_EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s+([0-9]+)")


def main():
    asked = _arguments()
    if asked.child:
        _fuzz(asked.child, asked.seconds, asked.place)
    from tests.fuzz.targets import TARGETS, prove

    prove()
    names = asked.target or list(TARGETS)
    workers = min(os.cpu_count() or 1, len(names))
    seconds = max(1, round(asked.seconds * workers / len(names)))
    place = Path(tempfile.mkdtemp(prefix="condord-fuzz-"))
    with ThreadPoolExecutor(workers) as pool:
        fine = list(pool.map(lambda name: _run(name, seconds, place / name), names))
    if not all(fine):
        sys.exit(1)
    shutil.rmtree(place)


def _arguments():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="for all targets together")
    parser.add_argument("--target", action="append", help="one of them alone; may be repeated")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(name, seconds, place):
    """Fuzz one target in a child, and tell what came of it; False if an input was found."""
    place.mkdir()
    command = [sys.executable, "-m", "tests.fuzz", "--child", name, "--seconds", str(seconds), "--place", str(place)]
    try:
        ran = subprocess.run(command, capture_output=True, timeout=seconds + GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _say(f"{name}: did not end within {seconds + GRACE_SECONDS:g} s")
        return False
    lines = (ran.stdout + ran.stderr).decode(errors="replace").splitlines()
    said = "\n".join(line for line in lines if not line.startswith(("INFO:", "WARNING:", "#")))
    counted = _EXECUTIONS.search(said)
    if ran.returncode == 0 and counted:
        _say(f"{name}: {int(counted[1]):,} executions in {seconds} s, nothing found")
        return True
    _say(f"{name}: exit {ran.returncode}\n{said[-6000:]}")
    for found in sorted(place.glob("*-*")):
        _say(f"{name}: {found}\n{found.read_bytes()!r}")
    return False


def _fuzz(name, seconds, place):
    """Never returns: libFuzzer exits with 0 at the end, and with another status when it has found something."""
    import atheris

    with atheris.instrument_imports(include=["condord.core", "condord.http", "condord.live", "condord.upstream"]):
        from tests.fuzz.targets import TARGETS, seeds

    corpus = place / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds(name)):
        (corpus / f"{number:03}").write_bytes(seed)
    options = {
        "max_total_time": seconds,
        "timeout": SECONDS_AN_INPUT,
        "rss_limit_mb": MEGABYTES,
        "max_len": INPUT_BYTES,
        "artifact_prefix": f"{place}/",
        "print_final_stats": 1,
    }
    flags = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([name, *flags, str(corpus)], TARGETS[name])
    atheris.Fuzz()


def _say(text):
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
