"""Shared by `relay_faults.py` and `bus_faults.py`: a relay behind a link that fails on command, and their tables.

`reported` is from the start of the fault to the first status without an id, which has the code beside it. `back` is
from the end of the fault until the relay's document is that of the daemon again, its status included. Then both
subscribers held the same document at every version that both had. `snapshots` counts those that the subscriber of the
relay got after its first event.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any, NamedTuple

from condord.live import wire
from tests.cluster.processes.running import Link, closing_link, same_documents
from tests.e2e.environs import QUICK, UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import Condord, Follower, Simulated, closing_program, settled, until

STOPPED_SECONDS, CUT_SECONDS, REPORT_SECONDS = 10.0, 5.0, 6.0


class Harness:
    """The programs of a fault: a simulator, `source`, and later a relay, its link and a subscriber."""

    relay: Condord
    at_relay: Follower
    link: Link

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._simulated = stack.enter_context(closing_program(Simulated(**replaced(**UNPACED))))
        self._simulated.post("market", rate=10)
        self.source = self.started("--port", "0")

    def started(self, *flags: str) -> Condord:
        """Start a daemon; returns once it has read everything."""
        source = self._stack.enter_context(closing_program(Condord(self._simulated, *flags, **QUICK)))
        source.await_state("live")
        source.await_priced()
        source.await_account_read()
        return source

    def put_link(self, url: str, relay_of: Callable[[str], Condord]) -> None:
        """Put a link before `url`, and start the relay that follows it."""
        self.link = self._stack.enter_context(closing_link(url))
        self.relay = self._stack.enter_context(closing_program(relay_of(self.link.url)))
        self.relay.await_account_read()
        self.at_relay = self._stack.enter_context(closing(Follower(self.relay.url)))
        until(lambda: self.at_relay.document, "a document")

    def reported_after(self, begun: float) -> tuple[float, str] | None:
        """Wait for the status without an id, and return its code too; None if it does not come in time."""
        with contextlib.suppress(AssertionError):
            until(self._is_reported, "", REPORT_SECONDS, 0.01)
            return time.monotonic() - begun, self.at_relay.document["status"]["code"]
        return None

    def _is_reported(self) -> bool:
        return any(event.name == "delta" and event.id is None for event in self.at_relay.events.copy())

    @property
    def is_same(self) -> bool:
        """Whether both servers have one version with the same document, and the status is no longer that of a loss."""
        source, relay = self.source.document(), self.relay.document()
        is_lost = relay["status"]["code"] in wire.LOST_CODES
        return not is_lost and source["version"] == relay["version"] and settled(source) == settled(relay)


class Fault(NamedTuple):
    """A fault begins with `begin`, and is over `seconds` later, or once it was reported, after `end`."""

    name: str
    begin: Callable[[Any], object]
    end: Callable[[Any], object]
    seconds: float = 0.0
    is_reported: bool = True


def refuse(harness: Harness) -> None:
    """Reset the connection, and every new one."""
    harness.link.set(refuses=True)
    harness.link.do("reset")


def stall(harness: Harness) -> None:
    """Let nothing pass."""
    harness.link.do("stall")


def resume(harness: Harness) -> None:
    """Let everything pass."""
    harness.link.do("resume")


FAULTS_OF_LINK = (
    Fault("connection reset", lambda harness: harness.link.do("reset"), lambda _scene: None, is_reported=False),
    Fault(
        f"connections refused for {CUT_SECONDS:g} s",
        refuse,
        lambda harness: harness.link.set(refuses=False),
        CUT_SECONDS,
    ),
    Fault(f"nothing passes for {CUT_SECONDS:g} s", stall, resume, CUT_SECONDS),
    Fault("frames 1 s late", stall, resume, 1.0, is_reported=False),
)


def run(make: Callable[[ExitStack], Harness], fault: Fault) -> str:
    """Run one fault; returns its row."""
    with ExitStack() as stack:
        harness = make(stack)
        source, beside = harness.source, stack.enter_context(closing(Follower(harness.source.url)))
        begun = time.monotonic()
        fault.begin(harness)
        reported = harness.reported_after(begun) if fault.is_reported else None
        time.sleep(max(0.0, begun + fault.seconds - time.monotonic()))
        fault.end(harness)
        ended = time.monotonic()
        if beside.ended.is_set() or harness.source is not source:
            beside = stack.enter_context(closing(Follower(harness.source.url)))
        until(lambda: harness.is_same, "the relay is back", pause=0.01)
        back = time.monotonic() - ended
        compared = same_documents(beside, harness.at_relay, 5)
        snapshots = harness.at_relay.names.count("snapshot") - 1
        gaps = harness.relay.status()["cluster"]["gaps"]
    said = "—" if reported is None else f"{reported[0]:.1f} s, `{reported[1]}`"
    return f"| {fault.name} | {said} | {back:.1f} s | {snapshots} | {gaps} | {compared} |"


def rows(make: Callable[[ExitStack], Harness], faults: Sequence[Fault]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| fault | reported | back | snapshots | gaps | versions compared |"
    yield "|---|---|---|---|---|---|"
    yield from (run(make, fault) for fault in faults)


def main(description: str, make: Callable[[ExitStack], Harness], faults: Sequence[Fault]) -> None:
    """Print the table, each fault with a harness that `make` builds."""
    logging.getLogger().setLevel("CRITICAL")  # of what is played in this process
    logging.getLogger("asyncio").setLevel("CRITICAL")  # Python 3.11 logs a task of a server that is cancelled
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--fault", choices=[fault.name for fault in faults], help="only this one")
    name = parser.parse_args().fault
    for row in rows(make, [fault for fault in faults if name in (None, fault.name)]):
        print(row, flush=True)
