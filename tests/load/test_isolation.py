"""Subscribers that do not read, or disconnect in mid-frame, cost little and delay no other."""

import contextlib
import itertools
import json
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
from condord.client.sse import EventParser
from tests.e2e.environs import QUICK, UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import (
    STOP_SECONDS,
    TIMEOUT_SECONDS,
    Condord,
    Follower,
    Simulated,
    closing_program,
    settled,
    until,
)

pytestmark = pytest.mark.slow

STALLED = 50
STALL_SECONDS = 4.0
SHORT_STALL = replaced(
    **UNPACED, http__subscriber_writer__STALL_SECONDS=STALL_SECONDS, http__stream_route__STALL_SECONDS=STALL_SECONDS
)
"""Instead of half a minute, which tests/http/test_subscriber_writer.py and tests/http/test_stream_route.py have."""
KERNEL_BYTES = 512 * 1024
USER_BYTES = STALLED * 512 * 1024
"""A generous bound: a stalled subscriber holds one write and its position in rings that share their frames."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@pytest.fixture
def condord(request):
    """A daemon with small rings in a busy market; a test may add to its environment."""
    environ = {
        **QUICK,
        "CONDORD_STREAM_WINDOW_MS": "50",
        "CONDORD_STREAM_MIN_CHANGE": "0",
        "CONDORD_SERVER_RING_SIZE": "16",
    }
    environ |= getattr(request, "param", {})
    with (
        closing_program(Simulated("--scenario", "busy")) as simulated,
        closing_program(Condord(simulated, **environ)) as program,
    ):
        program.await_state("live")
        program.await_priced()
        simulated.post("market", rate=50)
        yield program


class Silent:
    """A client of the stream that reads only on request, with the default buffers."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS)
        self.socket.sendall(b"GET /api/stream HTTP/1.0\r\nHost: localhost\r\n\r\n")
        self.received = b""

    def read_available(self) -> int:
        """Read everything that the kernel holds now; returns the number of bytes."""
        before = len(self.received)
        while select.select([self.socket], [], [], 0.05)[0] and (data := self.socket.recv(1 << 20)):
            self.received += data
        return len(self.received) - before

    def read_until(self, version: str) -> None:
        """Read until this version or a later one has arrived."""
        until(lambda: self.read_available() and self.number >= number_of(version), f"version {version}")

    def read_to_the_end(self) -> None:
        """Read until the connection ends."""
        while data := self.socket.recv(1 << 20):
            self.received += data

    @property
    def events(self):
        """The complete events so far."""
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
        """Disconnect."""
        if with_reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.socket.close()


def number_of(version: str) -> int:
    return int(version.rpartition("-")[2])


def resident(program: Condord) -> int:
    """The resident memory of a program in bytes."""
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    return 1024 * int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)[1])


@contextlib.contextmanager
def frozen(program: Condord):
    """Stop the program, so that only bytes held by the kernel still arrive."""
    program.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        program.process.send_signal(signal.SIGCONT)


def stall(stack: ExitStack, condord: Condord) -> list[Silent]:
    """Clients that read nothing, once each of them has lost frames."""
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

    until(do_all_lose_frames, "all lose frames", timeout=240.0)
    return silent


def check_complete(condord: Condord, followers: list[Follower]) -> None:
    """Check that every follower has received every version up to the newest.

    A version that is missing was published together with the next, which then has the points of a minute.
    """
    last = condord.document()["version"]
    for follower in followers:
        until(lambda follower=follower: number_of(follower.last_id) >= number_of(last), f"{last} has come")
        events = [event for event in follower.events.copy() if event.id]
        for event, following in itertools.pairwise(events):
            has_points = "history" in json.loads(following.data)
            assert 1 <= number_of(following.id) - number_of(event.id) <= 1 + has_points
        assert not follower.ended.is_set()


@pytest.fixture
def followers(condord):
    """Subscribers that read."""
    with ExitStack() as stack:
        opened = [stack.enter_context(closing(Follower(condord.url))) for _ in range(3)]
        until(lambda: all(follower.documents for follower in opened), "all have begun")
        yield opened


def test_fifty_stalled_subscribers_cost_little_and_delay_no_version_for_the_others(condord, followers):
    before = resident(condord)
    with ExitStack() as stack:
        silent = stall(stack, condord)
        check_complete(condord, followers)
        assert resident(condord) - before < USER_BYTES
        with frozen(condord):
            held = [client.read_available() for client in silent[:10]]
        assert max(held) < KERNEL_BYTES
    check_complete(condord, followers)


def test_a_subscriber_that_reads_again_gets_queued_frames_or_a_snapshot_and_then_every_version(condord, followers):
    with ExitStack() as stack:
        silent = stall(stack, condord)
        last = condord.document()["version"]
        for client in silent[:5]:
            client.read_until(last)
            documents = client.documents()
            assert "snapshot" in [event.name for event in client.events[1:]]
            until(
                lambda client=client: number_of(followers[0].last_id) >= client.number,
                "the other subscriber has the same version",
            )
            known = followers[0].documents.copy()
            common = [version for version in documents if version in known]
            assert len(common) > 5
            for version in common:
                assert settled(documents[version]) == settled(known[version])
        assert condord.status()["resyncs"]["ringOverflow"] >= 5
        assert condord.status()["evicted"] == 0
    check_complete(condord, followers)


@pytest.mark.parametrize("condord", [{"CONDORD_SERVER_RING_SIZE": "64"}], indirect=True, ids=["larger rings"])
@pytest.mark.parametrize("with_reset", [True, False])
def test_fifty_subscribers_that_disconnect_in_mid_frame_leak_nothing(condord, followers, with_reset):
    with ExitStack() as stack:
        for client in stall(stack, condord):
            client.socket.recv(300)
            client.close(with_reset=with_reset)
        until(lambda: condord.status()["subscribers"] == len(followers), "they are removed")
    check_complete(condord, followers)
    assert condord.status()["evicted"] == 0
    assert "Traceback" not in "".join(condord.stderr)


@pytest.mark.parametrize("condord", [SHORT_STALL], indirect=True, ids=["4 s"])
def test_subscribers_that_read_nothing_or_a_byte_a_second_are_reset_after_a_while(condord, followers):
    before = resident(condord)
    with ExitStack() as stack:
        silent = stall(stack, condord)

        def are_gone():
            for client in silent[:10]:
                with contextlib.suppress(ConnectionResetError):  # seen below
                    client.socket.recv(1)
            return condord.status()["subscribers"] == len(followers)

        until(are_gone, "they are reset", timeout=STALL_SECONDS + TIMEOUT_SECONDS, pause=1.0)
        assert condord.status()["evicted"] == STALLED
        assert resident(condord) - before < USER_BYTES
        for client in silent[10:]:
            with pytest.raises(ConnectionResetError):
                client.read_to_the_end()
    check_complete(condord, followers)


def test_fifty_stalled_subscribers_do_not_delay_the_shutdown(condord):
    with ExitStack() as stack:
        silent = stall(stack, condord)
        begin = time.monotonic()
        condord.process.send_signal(signal.SIGTERM)
        silent[0].read_to_the_end()
        assert silent[0].events[-1].name == "bye"
        assert condord.wait() == 0
        assert time.monotonic() - begin < STOP_SECONDS
    assert "Traceback" not in "".join(condord.stderr)
    assert "Exception in ASGI application" not in "".join(condord.stderr)
