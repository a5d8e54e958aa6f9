"""The child that tests of condord/host/child_process start. It reports on descriptor `--out N` that it runs, and waits."""

import argparse
import json
import os
import signal
import sys
import time

from condord.host import child_process


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=int, required=True)
    parser.add_argument("--without-death-signal", action="store_true")
    parser.add_argument("--ignore-sigterm", action="store_true")
    parser.add_argument("--own-sigterm", action="store_true")
    parser.add_argument("--exit", type=int)
    options = parser.parse_args()
    if options.without_death_signal:
        sys.platform = "another"
    child_process.end_with_parent()
    if options.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif not options.own_sigterm:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
    os.write(options.out, json.dumps({"pid": os.getpid(), "environ": dict(os.environ)}).encode() + b"\n")
    if options.exit is not None:
        os._exit(options.exit)
    time.sleep(1e6)


if __name__ == "__main__":
    main()
