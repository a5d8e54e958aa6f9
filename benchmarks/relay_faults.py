"""Run every fault between a relay and its source: when it was reported, and when all was correct again.

Each row has a simulator, a source and a relay as programs, and a link between the two that fails on command. A
subscriber of each follows along. `reported` is from the start of the fault to the status without an id that has the
code `sourceLost`. `back` is from the end of the fault until the relay's document is that of the source again, its
status included. Then both subscribers held the same document at every version that both had. `snapshots` counts those
that the subscriber of the relay got after its first event.

Run it: python benchmarks/relay_faults.py [--fault NAME]
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.cluster.processes.running import Link, Relay, closing_link, same_documents
from tests.e2e.conftest import QUICK, UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import Condord, Follower, Simulated, closing_program, settled, until

STOPPED_SECONDS, CUT_SECONDS = 10.0, 5.0


class Scene:
    """What a fault is done to; `source` is replaced where it is started again."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._simulated = stack.enter_context(closing_program(Simulated(**replaced(**UNPACED))))
        self._simulated.post("market", rate=10)
        self.source = self._started("--port", "0")
        self.link: Link = stack.enter_context(closing_link(self.source.url))
        self.relay = stack.enter_context(closing_program(Relay(self.link.url)))
        self.relay.await_read()
        self.at_relay = stack.enter_context(closing(Follower(self.relay.url)))
        until(lambda: self.at_relay.document, "a document")

    def _started(self, *flags: str) -> Condord:
        source = self._stack.enter_context(closing_program(Condord(self._simulated, *flags, **QUICK)))
        source.await_state("live")
        source.await_priced()
        source.await_account_read()
        return source

    def start_again(self) -> None:
        """Start the source at its port; returns when it serves."""
        port = self.source.url.rpartition(":")[2]
        self.source = self._started("--port", port)

    def reported_after(self, begun: float) -> float | None:
        """Wait for the status without an id; None if it does not come within 4 s."""
        with contextlib.suppress(AssertionError):
            until(lambda: any(e.name == "delta" and e.id is None for e in self.at_relay.events.copy()), "", 4.0, 0.01)
            return time.monotonic() - begun
        return None


class Fault(NamedTuple):
    """A fault begins with `begin`, and is over after `end`; `seconds` lie between, or it ends once it was reported."""

    name: str
    begin: Callable[[Scene], object]
    end: Callable[[Scene], object]
    seconds: float = 0.0


def refuse(scene: Scene) -> None:
    """Reset the connection, and every new one."""
    scene.link.set(refuses=True)
    scene.link.do("reset")


FAULTS = (
    Fault("source ended and started again", lambda scene: scene.source.stop(), Scene.start_again),
    Fault("source killed and started again", lambda scene: scene.source.process.kill(), Scene.start_again),
    Fault(
        f"source stopped for {STOPPED_SECONDS:g} s",
        lambda scene: scene.source.process.send_signal(signal.SIGSTOP),
        lambda scene: scene.source.process.send_signal(signal.SIGCONT),
        STOPPED_SECONDS,
    ),
    Fault("connection reset", lambda scene: scene.link.do("reset"), lambda _scene: None),
    Fault(
        f"connections refused for {CUT_SECONDS:g} s", refuse, lambda scene: scene.link.set(refuses=False), CUT_SECONDS
    ),
    Fault(
        f"nothing passes for {CUT_SECONDS:g} s",
        lambda scene: scene.link.do("stall"),
        lambda scene: scene.link.do("resume"),
        CUT_SECONDS,
    ),
    Fault("frames 1 s late", lambda scene: scene.link.do("stall"), lambda scene: scene.link.do("resume"), 1.0),
)


def run(fault: Fault) -> str:
    """Run one fault; returns its row."""
    with ExitStack() as stack:
        scene = Scene(stack)
        beside = stack.enter_context(closing(Follower(scene.source.url)))
        begun = time.monotonic()
        fault.begin(scene)
        reported = None if fault.seconds == 1.0 or fault.name == "connection reset" else scene.reported_after(begun)
        time.sleep(max(0.0, begun + fault.seconds - time.monotonic()))
        fault.end(scene)
        ended = time.monotonic()
        if beside.ended.is_set() or fault.end is Scene.start_again:
            beside = stack.enter_context(closing(Follower(scene.source.url)))
        until(lambda: is_same(scene), "the relay is back", pause=0.01)
        back = time.monotonic() - ended
        compared = same_documents(beside, scene.at_relay, 5)
        snapshots = scene.at_relay.names.count("snapshot") - 1
        cluster = scene.relay.status()["cluster"]
    said = "—" if reported is None else f"{reported:.1f} s"
    return f"| {fault.name} | {said} | {back:.1f} s | {snapshots} | {cluster['gaps']} | {compared} |"


def is_same(scene: Scene) -> bool:
    """Whether both servers have one version with the same document, and the status is no longer that of a loss."""
    source, relay = scene.source.document(), scene.relay.document()
    is_lost = relay["status"]["code"] == "sourceLost"
    return not is_lost and source["version"] == relay["version"] and settled(source) == settled(relay)


def rows(name: str | None) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| fault | reported | back | snapshots | gaps | versions compared |"
    yield "|---|---|---|---|---|---|"
    yield from (run(fault) for fault in FAULTS if name in (None, fault.name))


def main() -> None:
    """Print the table."""
    logging.getLogger("asyncio").setLevel("CRITICAL")  # Python 3.11 logs a task of a server that is cancelled
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fault", choices=[fault.name for fault in FAULTS], help="only this one")
    for row in rows(parser.parse_args().fault):
        print(row, flush=True)


if __name__ == "__main__":
    main()
