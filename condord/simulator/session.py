"""The interface of a stream session to its connection: messages in, outputs out, time as an argument.

A session does no I/O. It returns the messages to send and when to close.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from condord.simulator.wire import EncodedMessage


class Send(msgspec.Struct, frozen=True):
    """Send one message, in a binary frame unless `is_text`."""

    body: bytes
    is_text: bool = False


class Close(msgspec.Struct, frozen=True):
    """Start the closing handshake."""

    code: int
    reason: str = ""


Output = Send | Close


class Session(Protocol):
    """One session; `now` is seconds of the loop clock."""

    @property
    def subscriptions(self) -> Sequence[str]:
        """The subscriptions of the client: symbols, or streams."""

    def opened(self, now: float) -> list[Output]:
        """Called after the upgrade."""

    def received(self, message: bytes | str, now: float) -> list[Output]:
        """Called with a complete message, binary or text."""

    def tick(self, now: float) -> list[Output]:
        """Called at every tick, for what is due."""

    def offer(self, batch: Sequence[EncodedMessage], now: float) -> list[Output]:
        """Called with quotes and trades; the subscribed ones are sent."""

    def closed(self) -> None:
        """Called when the connection is lost."""
