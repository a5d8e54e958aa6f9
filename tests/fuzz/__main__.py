"""Coverage-guided fuzzing of everything that reads Alpaca's or a client's bytes: `python -m tests.fuzz --seconds 20`.

It needs atheris, which is not a development requirement, as it has wheels only for Linux. Every target runs in a child
process, as libFuzzer never returns. Exits with 1 if any input caused an unexpected error or took more than
five seconds.
"""

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

SECONDS_AN_INPUT = 5
MEGABYTES = 2048
INPUT_BYTES = 8192
GRACE_SECONDS = 60.0
CHECK_SECONDS = 0.05
OUTPUT = "output.txt"
_EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s+([0-9]+)")


def main():
    arguments = _arguments()
    import atheris

    # Once for all targets: instrumenting takes several times as long as fuzzing one of them.
    with atheris.instrument_imports(include=["condord.core", "condord.http", "condord.live", "condord.upstream"]):
        from tests.fuzz.targets import TARGETS, prove

    prove()
    names = arguments.target or list(TARGETS)
    workers = min(os.cpu_count() or 1, len(names))
    seconds = max(1, round(arguments.seconds * workers / len(names)))
    folder = Path(tempfile.mkdtemp(prefix="condord-fuzz-"))
    waiting = [_Run(name, seconds, arguments.seed, folder / name) for name in names]
    running, failed = [], False
    while waiting or running:
        while waiting and len(running) < workers:
            running.append(waiting.pop(0))
            running[-1].start()
        time.sleep(CHECK_SECONDS)
        for run in [run for run in running if run.has_ended()]:
            running.remove(run)
            failed |= not run.report()
    if failed:
        sys.exit(1)
    shutil.rmtree(folder)


def _arguments():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="for all targets together")
    parser.add_argument("--seed", type=int, default=0, help="0, the default: another one each time")
    parser.add_argument("--target", action="append", help="only this target; may be repeated")
    return parser.parse_args()


class _Run:
    """One target, fuzzed in a child process; `folder` gets its output and any failing input."""

    def __init__(self, name, seconds, seed, folder):
        self._name = name
        self._seconds = seconds
        self._seed = seed
        self._folder = folder
        self._pid = 0
        self._deadline = 0.0
        self._code = None

    def start(self):
        self._folder.mkdir()
        sys.stderr.flush()
        self._deadline = time.monotonic() + self._seconds + GRACE_SECONDS
        self._pid = os.fork()
        if not self._pid:
            output = os.open(self._folder / OUTPUT, os.O_WRONLY | os.O_CREAT)
            os.dup2(output, 1)
            os.dup2(output, 2)
            _fuzz(self._name, self._seconds, self._seed, self._folder)

    def has_ended(self):
        """Whether the process has ended; it is killed if it takes too long."""
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            self._code = os.waitstatus_to_exitcode(status)
        elif time.monotonic() > self._deadline:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        return pid or time.monotonic() > self._deadline

    def report(self):
        """Print the result; returns False if a failing input was found."""
        if self._code is None:
            _print(f"{self._name}: did not end within {self._seconds + GRACE_SECONDS:g} s")
            return False
        lines = (self._folder / OUTPUT).read_text(errors="replace").splitlines()
        output = "\n".join(line for line in lines if not line.startswith(("INFO:", "WARNING:", "#")))
        counted = _EXECUTIONS.search(output)
        if self._code == 0 and counted:
            _print(f"{self._name}: {int(counted[1]):,} executions in {self._seconds} s, nothing found")
            return True
        _print(f"{self._name}: exit {self._code}\n{output[-6000:]}")
        for found in sorted(self._folder.glob("*-*")):
            _print(f"{self._name}: {found}\n{found.read_bytes()!r}")
        return False


def _fuzz(name, seconds, seed, folder):
    """Fuzz one target. Never returns: libFuzzer exits with 0 at the end, or with another status after a failure."""
    import atheris

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
