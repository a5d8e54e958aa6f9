"""Issue and accept tickets: each opens one stream, so that the address of a browser's EventSource contains no token.

A ticket is an expiry and a random part, signed with a key derived from the token. Any server with the same token
accepts it without asking the one that issued it. A server accepts each ticket only once: it remembers the accepted ones
until long after they have expired. The processes that serve one port remember them together.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import heapq
import hmac
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from condord.live import wire

LIFETIME = dt.timedelta(seconds=30)
REMEMBERED_MS = 60_000
"""How long after its expiry a used ticket is remembered, so that setting the clock back cannot make it valid again."""
MAX_USED = 65_536
"""How many used tickets are remembered at once. At this limit no ticket is accepted until some are forgotten."""

_PURPOSE = b"condord ticket"
_EXPIRY_BYTES = 8
_RANDOM_BYTES = 16
_SIGNATURE_BYTES = 32
_BYTES = _EXPIRY_BYTES + _RANDOM_BYTES + _SIGNATURE_BYTES
_MILLISECOND = dt.timedelta(milliseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class UsedTickets(Protocol):
    """The used tickets of several processes."""

    def add(self, ticket: bytes) -> bool:
        """Remember a ticket; False if it is remembered already, or cannot be."""

    def forget(self, ticket: bytes) -> None:
        """Forget a ticket that this process has added."""


class TicketFiles:
    """The used tickets of all processes that have this private directory: an empty file for each."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def add(self, ticket: bytes) -> bool:
        """Create the file; False if another process was first, or no file can be created."""
        try:
            self._path(ticket).touch(0o600, exist_ok=False)
        except OSError:
            return False
        return True

    def forget(self, ticket: bytes) -> None:
        """Remove the file. What an ended process leaves is removed with the directory."""
        self._path(ticket).unlink(missing_ok=True)

    def _path(self, ticket: bytes) -> Path:
        return self._directory / ticket.hex()


class Tickets:
    """Issues tickets signed for `token`, and accepts each once. `now_at` returns the time in UTC.

    With `shared`, a ticket that another process has accepted is used, too.
    """

    def __init__(
        self,
        token: str,
        *,
        now_at: Callable[[], dt.datetime],
        max_used: int = MAX_USED,
        shared: UsedTickets | None = None,
    ) -> None:
        self._key = hmac.digest(token.encode(), _PURPOSE, "sha256")
        self._now_at = now_at
        self._max_used = max_used
        self._shared = shared
        self._used: set[bytes] = set()
        self._forgettable: list[tuple[int, bytes]] = []

    def issue(self) -> wire.Ticket:
        """A new ticket that is valid for `LIFETIME`."""
        expires_ms = (self._now_at() + LIFETIME - _EPOCH) // _MILLISECOND
        body = expires_ms.to_bytes(_EXPIRY_BYTES, "big") + secrets.token_bytes(_RANDOM_BYTES)
        ticket = base64.urlsafe_b64encode(body + self._signature(body)).decode().rstrip("=")
        return wire.Ticket(ticket=ticket, expires_at=_EPOCH + expires_ms * _MILLISECOND)

    def accept(self, ticket: str) -> bool:
        """Whether `ticket` is signed for the token, has not expired and was not accepted before; this uses it up."""
        raw = _decoded(ticket)
        body, signature = raw[:-_SIGNATURE_BYTES], raw[-_SIGNATURE_BYTES:]
        if len(raw) != _BYTES or not hmac.compare_digest(signature, self._signature(body)):
            return False
        expires_ms = int.from_bytes(body[:_EXPIRY_BYTES], "big")
        now_ms = (self._now_at() - _EPOCH) // _MILLISECOND
        self._forget(now_ms)
        if now_ms >= expires_ms or body in self._used or len(self._used) >= self._max_used:
            return False
        if self._shared is not None and not self._shared.add(body):
            return False
        self._used.add(body)
        heapq.heappush(self._forgettable, (expires_ms + REMEMBERED_MS, body))
        return True

    def _signature(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")

    def _forget(self, now_ms: int) -> None:
        while self._forgettable and self._forgettable[0][0] <= now_ms:
            _, body = heapq.heappop(self._forgettable)
            self._used.discard(body)
            if self._shared is not None:
                self._shared.forget(body)


def _decoded(ticket: str) -> bytes:
    """The bytes of a ticket; empty if it is malformed."""
    try:
        return base64.b64decode(ticket + "=" * (-len(ticket) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        return b""
