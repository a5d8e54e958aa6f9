"""Decides what a stream's session is to the connection that carries it: messages in, outputs out, time an argument.

Rules: a session never does I/O; it returns what to send and when to close. Who may hold a feed is kept in `Slots`:
one session a feed and key; the holder keeps it until it is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from condord.simulator.wire import Encoded


class Send(msgspec.Struct, frozen=True):
    """Send one message, in a binary frame unless `is_text`."""

    body: bytes
    is_text: bool = False


class Close(msgspec.Struct, frozen=True):
    """Close the connection with a close frame."""

    code: int
    reason: str = ""


Output = Send | Close


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What an account is entitled to; without `credentials` any key and secret that are not empty will do."""

    credentials: tuple[str, str] | None = None
    has_opra: bool = False
    symbol_limit: int = 200

    def accepts(self, key: object, secret: object) -> bool:
        """Whether `key` and `secret` are good."""
        if self.credentials is not None:
            return (key, secret) == self.credentials
        return isinstance(key, str) and isinstance(secret, str) and bool(key) and bool(secret)


class Slots:
    """Which session holds each feed of each key."""

    def __init__(self) -> None:
        self._holders: dict[tuple[str, str], object] = {}

    def claim(self, feed: str, key: str, holder: object) -> bool:
        """Take the slot for `holder`; False where another session holds it."""
        return self._holders.setdefault((feed, key), holder) is holder

    def release(self, holder: object) -> None:
        """Give up whatever `holder` holds."""
        for slot in [slot for slot, held in self._holders.items() if held is holder]:
            del self._holders[slot]


class Session(Protocol):
    """One session; `now` is seconds of the loop clock."""

    @property
    def subscriptions(self) -> Sequence[str]:
        """What this session asked for: symbols, or streams."""

    def opened(self, now: float) -> list[Output]:
        """The upgrade is done."""

    def received(self, message: bytes | str, now: float) -> list[Output]:
        """A whole message came, binary or text."""

    def tick(self, now: float) -> list[Output]:
        """Time passed."""

    def offer(self, batch: Sequence[Encoded], now: float) -> list[Output]:
        """Quotes and trades came; only what is subscribed is sent."""

    def closed(self) -> None:
        """The connection is gone."""
