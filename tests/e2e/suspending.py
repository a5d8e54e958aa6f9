"""Processes that are stopped (SIGSTOP) and continue, and requests that wait in their sockets meanwhile."""

import json
import os
import signal
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from condord.client.sse import EventParser
from tests.e2e.running import TIMEOUT_SECONDS


class WaitingRequest:
    """A request that is sent at once, and whose answer is read later."""

    def __init__(self, url: str, path: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS)
        self._socket.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())

    def answer(self) -> tuple[int, str]:
        """The status and the body."""
        with self._socket:
            raw = b"".join(iter(lambda: self._socket.recv(65_536), b""))
        head, _, body = raw.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def json(self) -> dict:
        """The body as JSON."""
        return json.loads(self.answer()[1])

    def snapshot(self) -> dict:
        """The document in the first event of a stream, which is then left."""
        parser, found = EventParser(), []
        with self._socket:
            head = b""
            while b"\r\n\r\n" not in head:
                head += self._socket.recv(1)
            while not any(event.name == "snapshot" for event in found):
                found += parser.feed(self._socket.recv(65_536))
        return json.loads(next(event.data for event in found if event.name == "snapshot"))


class Waiting:
    """One request of each kind that shows how current the numbers are, and a stream."""

    def __init__(self, url: str) -> None:
        self._document, self._status = WaitingRequest(url, "/api/positions"), WaitingRequest(url, "/api/status")
        self._readiness, self._metrics = WaitingRequest(url, "/readyz"), WaitingRequest(url, "/metrics")
        self._stream = WaitingRequest(url, "/api/stream")

    def read(self) -> None:
        """Read all answers: the two documents, the status, whether it is ready, and the metrics."""
        self.documents = [self._document.json(), self._stream.snapshot()]
        self.status = self._status.json()
        self.is_ready = self._readiness.answer()[0] == 200
        self.metrics = self._metrics.answer()[1]


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def stopped(pids: Iterable[int]) -> Iterator[None]:
    """Stop processes while the context is open."""
    pids = [*pids]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
