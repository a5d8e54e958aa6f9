"""Run every fault between a relay and its source: when it was reported, and when all was correct again.

Each row has a simulator, a source and a relay as programs, and a link between the two that fails on command
(`relay_harness.py`). A subscriber of each follows along. A fault after which the source is started again ends when that
serves.

Run it: python benchmarks/relay_faults.py [--fault NAME]
"""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from relay_harness import FAULTS_OF_LINK, STOPPED_SECONDS, Fault, Harness, main

from tests.cluster.processes.running import Relay


class SourceHarness(Harness):
    """A relay and its source; `start_again` replaces `source`."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__(stack)
        self.put_link(self.source.url, Relay)

    def start_again(self) -> None:
        """Start the source at its port; returns when it serves."""
        self.source = self.started("--port", self.source.url.rpartition(":")[2])


FAULTS = (
    Fault("source ended and started again", lambda harness: harness.source.stop(), SourceHarness.start_again),
    Fault("source killed and started again", lambda harness: harness.source.process.kill(), SourceHarness.start_again),
    Fault(
        f"source stopped for {STOPPED_SECONDS:g} s",
        lambda harness: harness.source.process.send_signal(signal.SIGSTOP),
        lambda harness: harness.source.process.send_signal(signal.SIGCONT),
        STOPPED_SECONDS,
    ),
    *FAULTS_OF_LINK,
)


if __name__ == "__main__":
    main(__doc__.splitlines()[0], SourceHarness, FAULTS)
