"""What the idle demo daemon holds in memory, and how much of that is the import of alpaca-py.

Both are fresh processes measured in one run: the daemon of `condord start --demo` some seconds after its condors are
priced, and an interpreter that has imported what the daemon uses of alpaca-py and nothing else.

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
IMPORTS = "import alpaca.trading.client, alpaca.data.historical.option"


def resident_mib(pid: int) -> float:
    """Resident memory of a process in MiB (VmRSS of proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def importing(statement: str) -> float:
    """Resident memory of an interpreter that has done `statement`."""
    program = f"{statement or 'pass'}\nprint(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        held = resident_mib(process.pid)
        process.communicate("\n")
    return held


def demo() -> float:
    """Resident memory of the idle demo daemon, without the simulator beside it."""
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
    print(f"interpreter alone           {bare:6.1f} MiB")
    print(f"import of alpaca-py         {alpaca - bare:6.1f} MiB")
    print(f"demo daemon, idle           {whole:6.1f} MiB")
    print(f"alpaca-py of the daemon     {100 * (alpaca - bare) / whole:6.1f} %")


if __name__ == "__main__":
    main()
