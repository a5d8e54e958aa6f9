"""Clients without the token, however many, do not lock out a client with the token."""

import contextlib
import socket
import struct
import threading
from pathlib import Path
from typing import Self

import pytest

from tests.e2e.running import Condord, Follower, closing_program, token_environ, until

pytestmark = pytest.mark.slow

TOKEN = "a-token-of-some-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PROBES = 67
AT_ONCE = 150
"""Connections of the attack: more than the daemon allows."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def request(path: str, host: str = "localhost") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


ATTACKS = {
    "pipelines without a token": request("/api/positions") * 100,
    "pipelines what needs no token": request("/livez") * 200,
    "asks for the stream": request("/api/stream"),
    "asks under a foreign name": request("/api/positions", "evil.example") * 20,
    "is no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "never ends its head": b"GET /api/positions HTTP/1.1\r\nHost: localhost\r\nX: ",
    "sends nothing": b"",
}


class Attack:
    """One thread that keeps this many connections open without reading, and replaces those it loses."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.opened = 0
        self._where = host, int(port)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        held: list[socket.socket] = []
        kinds = list(ATTACKS.values())
        while not self._is_over.is_set():
            if len(held) >= AT_ONCE:
                self._drop(held.pop(0), self.opened)
            with contextlib.suppress(OSError):
                client = socket.socket()
                held.append(client)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.settimeout(2.0)
                client.connect(self._where)
                client.sendall(kinds[self.opened % len(kinds)])
            self.opened += 1
            self._is_over.wait(0.003)
        for client in held:
            client.close()

    def _drop(self, client: socket.socket, number: int) -> None:
        """Close a connection: every other one in two steps, every third by a reset."""
        with contextlib.suppress(OSError):
            if number % 2:
                client.shutdown(socket.SHUT_WR)
            if number % 3 == 0:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        client.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()


def guarded(simulated, tmp_path: Path, **environ: str) -> Condord:
    return Condord(simulated, **token_environ(tmp_path, TOKEN), **environ)


def test_a_client_with_the_token_gets_every_answer_under_attack_and_the_log_stays_short(simulated, tmp_path):
    with closing_program(guarded(simulated, tmp_path, CONDORD_SERVER_MAX_SUBSCRIBERS="2")) as program:
        follower = Follower(program.url, **BEARER)
        lines = len(program.stderr)
        with Attack(program.url) as attack:
            until(lambda: attack.opened > AT_ONCE, "the attack has reached the limit")
            answers = [program.get("/api/status", **BEARER)[0] for _ in range(PROBES)]
        assert answers == [200] * PROBES
        assert not follower.ended.is_set()
        follower.close()
        assert len(program.stderr) - lines < 20, program.stderr[lines:]
        assert not [line for line in program.stderr if "Traceback" in line or "xception" in line]
