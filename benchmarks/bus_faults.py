"""Run every fault between a relay and a bus: when it was reported, and when all was correct again.

Each row has a simulator, a daemon whose frames a publisher puts on a nats-server, a relay of that bus, and a link
between the two that fails on command. `reported` is from the start of the fault to the first status without an id,
which has the code beside it. `back` is from the end of the fault until the relay's document is that of the daemon
again, its status included. Then both subscribers held the same document at every version that both had. `snapshots`
counts those that the subscriber of the relay got after its first event.

Run it: python benchmarks/bus_faults.py [--fault NAME]
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from condord.live import wire
from tests.cluster.nats_server import NatsServer
from tests.cluster.processes.publishing import Publishing
from tests.cluster.processes.running import Link, closing_link, same_documents
from tests.cluster.processes.test_bus_relay import BusRelay
from tests.e2e.conftest import QUICK, UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import Condord, Follower, Simulated, closing_program, settled, until

STOPPED_SECONDS, CUT_SECONDS = 10.0, 5.0


class Scene:
    """What a fault is done to."""

    def __init__(self, stack: ExitStack) -> None:
        simulated = stack.enter_context(closing_program(Simulated(**replaced(**UNPACED))))
        simulated.post("market", rate=10)
        self.source = stack.enter_context(closing_program(Condord(simulated, **QUICK)))
        self.source.await_state("live")
        self.source.await_priced()
        self.source.await_account_read()
        self.nats = NatsServer(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.callback(self.nats.close)
        self.publishing = Publishing(self.source.url, self.nats)
        stack.callback(self.close)
        self.link: Link = stack.enter_context(closing_link(self.nats.url))
        self.relay = stack.enter_context(closing_program(BusRelay(self.link.url.replace("http:", "nats:"))))
        self.relay.await_read()
        self.at_relay = stack.enter_context(closing(Follower(self.relay.url)))
        until(lambda: self.at_relay.document, "a document")

    def close(self) -> None:
        """End the publisher, which may be another one by now."""
        self.publishing.close()

    def take_over(self) -> None:
        """Let another publisher lead."""
        self.publishing = Publishing(self.source.url, self.nats, name="other:1")

    def reported_after(self, begun: float) -> tuple[float, str] | None:
        """Wait for the status without an id, and return its code too; None if it does not come within 6 s."""
        with contextlib.suppress(AssertionError):
            until(lambda: any(e.name == "delta" and e.id is None for e in self.at_relay.events.copy()), "", 6.0, 0.01)
            return time.monotonic() - begun, self.at_relay.document["status"]["code"]
        return None


class Fault(NamedTuple):
    """A fault begins with `begin`, and is over `seconds` later, or once it was reported, after `end`."""

    name: str
    begin: Callable[[Scene], object]
    end: Callable[[Scene], object]
    seconds: float = 0.0
    is_reported: bool = True


def refuse(scene: Scene) -> None:
    """Reset the connection, and every new one."""
    scene.link.set(refuses=True)
    scene.link.do("reset")


def stall(scene: Scene) -> None:
    """Let nothing pass."""
    scene.link.do("stall")


def resume(scene: Scene) -> None:
    """Let everything pass."""
    scene.link.do("resume")


def start_again(scene: Scene) -> None:
    """Start the bus again."""
    scene.nats.start()


FAULTS = (
    Fault("NATS killed and started again", lambda scene: scene.nats.kill(), start_again),
    Fault(
        f"NATS stopped for {STOPPED_SECONDS:g} s",
        lambda scene: scene.nats.pause(),
        lambda scene: scene.nats.resume(),
        STOPPED_SECONDS,
    ),
    Fault("leader gone, then another one", lambda scene: scene.publishing.close(), Scene.take_over),
    Fault("connection reset", lambda scene: scene.link.do("reset"), lambda _scene: None, is_reported=False),
    Fault(
        f"connections refused for {CUT_SECONDS:g} s", refuse, lambda scene: scene.link.set(refuses=False), CUT_SECONDS
    ),
    Fault(f"nothing passes for {CUT_SECONDS:g} s", stall, resume, CUT_SECONDS),
    Fault("frames 1 s late", stall, resume, 1.0, is_reported=False),
)


def run(fault: Fault) -> str:
    """Run one fault; returns its row."""
    with ExitStack() as stack:
        scene = Scene(stack)
        beside = stack.enter_context(closing(Follower(scene.source.url)))
        begun = time.monotonic()
        fault.begin(scene)
        reported = scene.reported_after(begun) if fault.is_reported else None
        time.sleep(max(0.0, begun + fault.seconds - time.monotonic()))
        ended = time.monotonic()
        fault.end(scene)
        until(lambda: is_same(scene), "the relay is back", pause=0.01)
        back = time.monotonic() - ended
        compared = same_documents(beside, scene.at_relay, 5)
        snapshots = scene.at_relay.names.count("snapshot") - 1
        cluster = scene.relay.status()["cluster"]
    said = "—" if reported is None else f"{reported[0]:.1f} s, `{reported[1]}`"
    return f"| {fault.name} | {said} | {back:.1f} s | {snapshots} | {cluster['gaps']} | {compared} |"


def is_same(scene: Scene) -> bool:
    """Whether both servers have one version with the same document, and the status is no longer that of a loss."""
    source, relay = scene.source.document(), scene.relay.document()
    is_lost = relay["status"]["code"] in wire.LOST_CODES
    return not is_lost and source["version"] == relay["version"] and settled(source) == settled(relay)


def rows(name: str | None) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| fault | reported | back | snapshots | gaps | versions compared |"
    yield "|---|---|---|---|---|---|"
    yield from (run(fault) for fault in FAULTS if name in (None, fault.name))


def main() -> None:
    """Print the table."""
    logging.getLogger().setLevel("CRITICAL")  # of the publisher in this process
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fault", choices=[fault.name for fault in FAULTS], help="only this one")
    for row in rows(parser.parse_args().fault):
        print(row, flush=True)


if __name__ == "__main__":
    main()
