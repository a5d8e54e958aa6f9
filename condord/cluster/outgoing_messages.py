"""Queue what is published until the connection to the bus has taken it. The queue is bounded."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Mapping
from typing import NamedTuple

from nats import errors

from condord.cluster.nats_client import NatsClient

MAX_QUEUED_BYTES = 32 * 1024 * 1024
MAX_QUEUED = 4096


class _Outgoing(NamedTuple):
    subject: str
    payload: bytes
    headers: Mapping[str, str] | None


class OutgoingMessages:
    """The messages that wait, in the order of `put`."""

    def __init__(self) -> None:
        self._waiting: collections.deque[_Outgoing] = collections.deque()
        self._bytes = 0
        self._wake = asyncio.Event()

    def has_room(self, size: int) -> bool:
        """Whether a message of `size` bytes fits."""
        return len(self._waiting) < MAX_QUEUED and self._bytes + size <= MAX_QUEUED_BYTES

    def put(self, subject: str, payload: bytes, headers: Mapping[str, str] | None) -> None:
        """Queue a message; the caller has checked `has_room`."""
        self._waiting.append(_Outgoing(subject, payload, headers))
        self._bytes += len(payload)
        self._wake.set()

    def clear(self) -> None:
        """Forget all messages."""
        self._waiting.clear()
        self._bytes = 0

    async def send(self, client: NatsClient) -> None:
        """Send the messages to `client` until it does not take one, which is lost."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                subject, payload, headers = self._waiting.popleft()
                self._bytes -= len(payload)
                try:
                    await client.publish(subject, payload, headers=None if headers is None else dict(headers))
                except (errors.Error, OSError):
                    return
