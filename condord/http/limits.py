"""Says how much, how long and how many the server takes, so that a client that is broken or hostile costs little.

Rules: whoever is too large or too slow is told so (408, 413, 414, 431) and parted with. No time is refilled by single
bytes: each is for the whole of what it is about, but for an answer, whose reader only has to get on.
"""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one server; the defaults are the daemon's."""

    head_bytes: int = 16_384
    """Of the request line and the headers together."""
    target_bytes: int = 8_192
    """Of the address in the request line: a stream may name a few hundred contracts."""
    body_bytes: int = 65_536
    """Of a request's body. No route takes one, so it is counted and thrown away."""
    read_bytes: int = 16_384
    """At once; behind a request that is being answered no more is held of others, and the rest waits in the kernel."""
    head_seconds: float = 10.0
    """From the connection, or a request's first byte, to the end of its head."""
    body_seconds: float = 10.0
    """From the end of the head to that of the body."""
    idle_seconds: float = 5.0
    """Between two requests."""
    unsent_seconds: float = 30.0
    """In which a client has to take something of an answer. Streams have their own such time."""
    leave_seconds: float = 1.0
    """In which a client may read why it was refused; an end at once would cost it what it has not read."""
    last_seconds: float = 0.25
    """In which a request that is on its way may come whole while the server stops."""
    others: int = 64
    """Connections beside those that the subscribers need."""
    leaving: int = 16
    """Connections that are refused already, and beside all others."""
