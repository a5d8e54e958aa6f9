"""Limits of sizes, times and connections, so that a broken or hostile client costs little.

A request that is too large or too slow is answered with 408, 413, 414 or 431, and its connection is closed. A single
byte does not restart a timer: each time covers its whole phase. The exception is an answer: its client only has to make
progress.
"""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one server; the defaults are the daemon's."""

    head_bytes: int = 16_384
    """Request line and headers together."""
    target_bytes: int = 8_192
    """The address in the request line. A stream's may list a few hundred contracts."""
    body_bytes: int = 65_536
    """A request's body. No route uses one, so it is counted and discarded."""
    read_bytes: int = 16_384
    """One read from the socket. While a request is answered, later ones stay in the kernel beyond this size."""
    head_seconds: float = 10.0
    """The time from the connection, or a request's first byte, to the end of its head."""
    body_seconds: float = 10.0
    """The time from the end of the head to the end of the body."""
    idle_seconds: float = 5.0
    """How long a connection may stay idle between two requests."""
    unsent_seconds: float = 30.0
    """How long a client may read nothing of an answer. Streams have a limit of their own."""
    leave_seconds: float = 1.0
    """How long a client has to read why it was refused. Closing at once would discard the data that it has not read."""
    last_seconds: float = 0.25
    """How long a stopping server waits for a request in transit."""
    other_connections: int = 64
    """Connections in addition to the subscribers'."""
    leaving_connections: int = 16
    """Refused connections that stay open so that their clients can read why, in addition to all others."""
