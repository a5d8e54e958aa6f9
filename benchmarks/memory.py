"""Measure the memory of the idle demo daemon, and the part of it that importing alpaca-py takes.

Both are fresh processes of one run: the daemon of `condord start --demo`, some seconds after its condors have prices,
and an interpreter that imports only the modules of alpaca-py that the daemon uses.

Run it: python benchmarks/memory.py
"""

import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

SETTLE_SECONDS = 10.0
IMPORTS = "import condord.upstream.without_pandas"


def resident_mib(pid: int) -> float:
    """The resident memory of a process in MiB (VmRSS of proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def importing(statement: str) -> float:
    """The resident memory in MiB of an interpreter that has run `statement`."""
    program = f"{statement or 'pass'}\nprint(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        held = resident_mib(process.pid)
        process.communicate("\n")
    return held


def demo() -> float:
    """The resident memory in MiB of the idle demo daemon, without its simulator."""
    with subprocess.Popen(
        [sys.executable, "-m", "condord", "start", "--demo", "--port", "0"], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            url = next(found[1] for line in process.stderr if (found := re.search(r"serves at (\S+)", line)))
            deadline = time.monotonic() + 60
            while json.load(urllib.request.urlopen(f"{url}/api/positions"))["totals"]["unrealizedPl"] is None:  # noqa: S310
                if time.monotonic() > deadline:
                    raise TimeoutError("the demo has no prices")
                time.sleep(0.2)
            time.sleep(SETTLE_SECONDS)
            return resident_mib(process.pid)
        finally:
            process.terminate()
            process.communicate()


def main() -> None:
    """Print the table."""
    bare, alpaca, whole = importing(""), importing(IMPORTS), demo()
    print(f"bare interpreter            {bare:6.1f} MiB")
    print(f"import of alpaca-py         {alpaca - bare:6.1f} MiB")
    print(f"demo daemon, idle           {whole:6.1f} MiB")
    print(f"share of alpaca-py          {100 * (alpaca - bare) / whole:6.1f} %")


if __name__ == "__main__":
    main()
