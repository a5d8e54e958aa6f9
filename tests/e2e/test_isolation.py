"""Subscribers that do not read, or go in the middle of a frame, cost little and hold up nobody."""

import contextlib
import re
import select
import signal
import socket
import struct
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from condord.cli.mirror import Mirror
from condord.client import EventParser
from tests.e2e.conftest import QUICK
from tests.e2e.running import PATIENCE_SECONDS, Condord, Follower, Simulated, closing_program, settled, until

pytestmark = pytest.mark.slow

STALLED = 50
STALL_SECONDS = 30.0
KERNEL_BYTES = 512 * 1024
USER_BYTES = STALLED * 512 * 1024
"""Generous: a stalled subscriber holds one write and its place in rings that share their frames."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@pytest.fixture
def condord():
    """A daemon with small rings in a market that does not rest."""
    environ = {**QUICK, "CONDORD_SERVER_RING_SIZE": "16", "CONDORD_STREAM_MIN_CHANGE": "0"}
    with (
        closing_program(Simulated("--scenario", "busy")) as simulated,
        closing_program(Condord(simulated, **environ)) as program,
    ):
        program.await_state("live")
        program.await_priced()
        simulated.post("market", rate=50)
        yield program


class Silent:
    """A client of the stream that reads only when told to, with the buffers that any program has."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS)
        self.socket.sendall(b"GET /api/stream HTTP/1.0\r\nHost: localhost\r\n\r\n")
        self.received = b""

    def read_what_waits(self) -> int:
        """Read all that the kernel holds now; how much that was."""
        before = len(self.received)
        while select.select([self.socket], [], [], 0.05)[0] and (data := self.socket.recv(1 << 20)):
            self.received += data
        return len(self.received) - before

    def read_until(self, version: str) -> None:
        """Read until that version, or one after it, has come."""
        until(lambda: self.read_what_waits() and self.number >= number_of(version), f"version {version}")

    def read_to_the_end(self) -> None:
        """Read until the connection ends."""
        while data := self.socket.recv(1 << 20):
            self.received += data

    @property
    def events(self):
        """The whole events so far."""
        body = self.received.partition(b"\r\n\r\n")[2]
        return EventParser().feed(body)

    @property
    def number(self) -> int:
        """The number of the newest version so far."""
        ids = re.findall(rb"\nid: \S+-(\d+)\n", self.received)
        return int(ids[-1]) if ids else 0

    def documents(self) -> dict[str, dict]:
        """The document after each event, by version."""
        mirror, found = Mirror(), {}
        for event in self.events:
            mirror.apply(event)
            if event.id:
                found[event.id] = mirror.document
        return found

    def close(self, *, with_reset: bool = False) -> None:
        """Hang up."""
        if with_reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.socket.close()


def number_of(version: str) -> int:
    return int(version.rpartition("-")[2])


def resident(program: Condord) -> int:
    """Bytes of memory that a program holds."""
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    return 1024 * int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)[1])


@contextlib.contextmanager
def frozen(program: Condord):
    """The program is stopped: what still comes from it is what the kernel held."""
    program.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        program.process.send_signal(signal.SIGCONT)


def stall(stack: ExitStack, condord: Condord) -> list[Silent]:
    """Clients that read nothing, once every one of them has lost frames for it."""
    others = condord.status()["subscribers"]
    silent = [stack.enter_context(closing(Silent(condord.url))) for _ in range(STALLED)]
    everybody = others + STALLED
    until(lambda: condord.status()["subscribers"] == everybody, "all are there")

    def do_all_lose_frames():
        before = condord.status()
        time.sleep(0.3)
        after = condord.status()
        frames, dropped = (after[name] - before[name] for name in ("frames", "dropped"))
        return frames and dropped * everybody == frames * STALLED

    until(do_all_lose_frames, "all lose frames")
    return silent


def check_complete(condord: Condord, followers: list[Follower]) -> None:
    """Every follower has had every version, up to the newest."""
    last = condord.document()["version"]
    for each in followers:
        until(lambda each=each: number_of(each.last_id) >= number_of(last), f"{last} has come")
        numbers = [number_of(version) for version in each.documents.copy()]
        assert numbers == [*range(numbers[0], numbers[0] + len(numbers))]
        assert not each.ended.is_set()


@pytest.fixture
def followers(condord):
    """Subscribers that read."""
    with ExitStack() as stack:
        opened = [stack.enter_context(closing(Follower(condord.url))) for _ in range(3)]
        until(lambda: all(each.documents for each in opened), "all have begun")
        yield opened


def test_fifty_that_read_nothing_keep_no_version_from_the_others_and_cost_little(condord, followers):
    before = resident(condord)
    with ExitStack() as stack:
        silent = stall(stack, condord)
        check_complete(condord, followers)
        assert resident(condord) - before < USER_BYTES
        with frozen(condord):
            held = [each.read_what_waits() for each in silent[:10]]
        assert max(held) < KERNEL_BYTES
    check_complete(condord, followers)


def test_one_that_reads_again_gets_what_waited_or_a_snapshot_and_then_holds_each_version(condord, followers):
    with ExitStack() as stack:
        silent = stall(stack, condord)
        last = condord.document()["version"]
        for each in silent[:5]:
            each.read_until(last)
            documents = each.documents()
            assert "snapshot" in [event.name for event in each.events[1:]]
            until(lambda each=each: number_of(followers[0].last_id) >= each.number, "the other has come so far")
            known = followers[0].documents.copy()
            common = [version for version in documents if version in known]
            assert len(common) > 5
            for version in common:
                assert settled(documents[version]) == settled(known[version])
        assert condord.status()["resyncs"]["ringOverflow"] >= 5
        assert condord.status()["evicted"] == 0
    check_complete(condord, followers)


@pytest.mark.parametrize("with_reset", [True, False])
def test_fifty_that_go_in_the_middle_of_a_frame_leave_nothing_behind(condord, followers, with_reset):
    with ExitStack() as stack:
        for each in stall(stack, condord):
            each.socket.recv(300)
            each.close(with_reset=with_reset)
        until(lambda: condord.status()["subscribers"] == len(followers), "they are gone")
    check_complete(condord, followers)
    assert condord.status()["evicted"] == 0
    assert "Traceback" not in "".join(condord.stderr)


def test_those_that_read_nothing_or_a_byte_a_second_are_reset_after_30_s(condord, followers):
    before = resident(condord)
    with ExitStack() as stack:
        silent = stall(stack, condord)

        def are_gone():
            for each in silent[:10]:
                with contextlib.suppress(ConnectionResetError):  # seen below
                    each.socket.recv(1)
            return condord.status()["subscribers"] == len(followers)

        until(are_gone, "they are reset", patience=STALL_SECONDS + PATIENCE_SECONDS, pause=1.0)
        assert condord.status()["evicted"] == STALLED
        assert resident(condord) - before < USER_BYTES
        for each in silent[10:]:
            with pytest.raises(ConnectionResetError):
                each.read_to_the_end()
    check_complete(condord, followers)


def test_fifty_that_read_nothing_do_not_hold_up_the_stop(condord):
    with ExitStack() as stack:
        silent = stall(stack, condord)
        begin = time.monotonic()
        condord.process.send_signal(signal.SIGTERM)
        silent[0].read_to_the_end()
        assert silent[0].events[-1].name == "bye"
        assert condord.wait() == 0
        assert time.monotonic() - begin < 5
    assert "Traceback" not in "".join(condord.stderr)
    assert "Exception in ASGI application" not in "".join(condord.stderr)
