"""Run every fault between a relay and a bus: when it was reported, and when all was correct again.

Each row has a simulator, a daemon whose frames a publisher puts on a nats-server, a relay of that bus, and a link
between the two that fails on command (`relay_harness.py`).

Run it: python benchmarks/bus_faults.py [--fault NAME]
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from relay_harness import FAULTS_OF_LINK, STOPPED_SECONDS, Fault, Harness, main

from tests.cluster.nats_server import NatsServer
from tests.cluster.processes.publishing import Publishing
from tests.cluster.processes.test_bus_relay import BusRelay


class BusHarness(Harness):
    """A relay of a bus, and what publishes there."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__(stack)
        self.nats = NatsServer(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.callback(self.nats.close)
        self.publishing = Publishing(self.source.url, self.nats)
        stack.callback(self.close)
        self.put_link(self.nats.url, lambda url: BusRelay(url.replace("http:", "nats:")))

    def close(self) -> None:
        """End the publisher, which may be another one by now."""
        self.publishing.close()

    def take_over(self) -> None:
        """Let another publisher lead."""
        self.publishing = Publishing(self.source.url, self.nats, name="other:1")


FAULTS = (
    Fault("NATS killed and started again", lambda harness: harness.nats.kill(), lambda harness: harness.nats.start()),
    Fault(
        f"NATS stopped for {STOPPED_SECONDS:g} s",
        lambda harness: harness.nats.pause(),
        lambda harness: harness.nats.resume(),
        STOPPED_SECONDS,
    ),
    Fault("leader gone, then another one", lambda harness: harness.publishing.close(), BusHarness.take_over),
    *FAULTS_OF_LINK,
)


if __name__ == "__main__":
    main(__doc__.splitlines()[0], BusHarness, FAULTS)
