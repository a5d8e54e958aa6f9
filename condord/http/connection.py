"""One connection of our own server: uvicorn's, which a stream can take over to write to its socket itself.

Rules: the request is read and answered by uvicorn up to the head of the answer; from there on a stream writes chunks
to the transport, and lets uvicorn end the body. A route finds the connection in its scope, under `EXTENSION`; where
another server runs the application there is none, and a stream goes the standard way. A client that closes its sending
side is gone, as uvicorn has it: it looks the same as one that has left, and would keep a place that another needs.
"""

from __future__ import annotations

import functools
import os
import socket
import struct
from collections.abc import Callable
from typing import Any, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

EXTENSION = "condord.connection"

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Outlet(Protocol):
    """What has taken a connection over."""

    def blocked(self) -> None:
        """The socket takes no more for now."""

    def drained(self) -> None:
        """The socket has taken everything."""

    def lost(self) -> None:
        """The connection is gone."""


class Connection(H11Protocol):
    """`outlet` is told what becomes of the transport while it has it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own signature
        super().__init__(*args, **kwargs)
        self.outlet: Outlet | None = None
        self._is_lost = False
        self.app = functools.partial(_introduce, self.app, self)

    @property
    def is_blocked(self) -> bool:
        """Whether something written waits for the socket."""
        return self.flow.write_paused

    def take_over(self, outlet: Outlet) -> None:
        """Tell `outlet` what is so and what comes: it is blocked as soon as anything waits that was written."""
        was_blocked = self.is_blocked
        self.outlet = outlet
        self.transport.set_write_buffer_limits(high=0)
        if was_blocked:
            outlet.blocked()
        if self._is_lost:
            outlet.lost()

    @property
    def put(self) -> Callable[[bytes], int]:
        """Writes to the socket, past the transport while that has nothing to write, and returns how much was taken."""
        return functools.partial(os.write, self.transport.get_extra_info("socket").fileno())

    def hand_back(self) -> None:
        """Let uvicorn go on."""
        self.outlet = None
        self.transport.set_write_buffer_limits()

    def evict(self) -> None:
        """Reset the connection: the end of an orderly close would wait behind what the other side does not read."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def pause_writing(self) -> None:
        """The transport holds something back."""
        super().pause_writing()
        if self.outlet is not None:
            self.outlet.blocked()

    def resume_writing(self) -> None:
        """The transport holds nothing back."""
        super().resume_writing()
        if self.outlet is not None:
            self.outlet.drained()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        super().connection_lost(exc)
        self._is_lost = True
        self.app = self.config.loaded_app  # the one that introduces it is a cycle: memory would wait for the collector
        if self.outlet is not None:
            self.outlet.lost()


async def _introduce(app: ASGIApp, connection: Connection, scope: Scope, receive: Receive, send: Send) -> None:
    extensions = {**scope.get("extensions", {}), EXTENSION: connection}
    await app({**scope, "extensions": extensions}, receive, send)
