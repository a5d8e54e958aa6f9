"""Decides the trading stream's side of the talk: auth in both forms, listen, trade updates.

Rules: JSON, read from text and binary frames alike, sent in binary frames as paper accounts get it; nothing is said
before the client speaks; a wrong secret leaves the session open; updates go only to who listens, and are never
replayed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from condord.simulator.faults import Faults
from condord.simulator.session import Output, Send, Terms
from condord.simulator.wire import Encoded

_STREAM = "trade_updates"


class TradingSession:
    """One session of the trading stream."""

    def __init__(self, *, terms: Terms, faults: Faults) -> None:
        self._terms = terms
        self._faults = faults
        self._is_authorized = False
        self._is_mute = False
        self._streams: list[str] = []

    @property
    def subscriptions(self) -> Sequence[str]:
        """The streams that are listened to."""
        return tuple(self._streams)

    def opened(self, now: float) -> list[Output]:
        """Say nothing, as Alpaca does."""
        self._mute_if("mute-after-upgrade", now)
        self._mute_if("mute-after-connected", now)
        return []

    def received(self, message: bytes | str, now: float) -> list[Output]:
        """Answer one message of the client."""
        try:
            decoded: object = msgspec.json.decode(message)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return self._error("invalid syntax")
        if not isinstance(decoded, dict):
            return self._error("invalid syntax")
        action = decoded.get("action")
        if action in ("auth", "authenticate"):
            return self._authenticate(decoded, now)
        if action == "listen":
            return self._listen(decoded, now)
        return self._error("unknown action")

    def tick(self, now: float) -> list[Output]:  # noqa: ARG002 - a session's form
        """Nothing is ever late here."""
        return []

    def offer(self, batch: Sequence[Encoded], now: float) -> list[Output]:  # noqa: ARG002 - a session's form
        """No quotes on this stream."""
        return []

    def update(self, update: Mapping[str, Any]) -> list[Output]:
        """Send a trade update, where it is listened to."""
        return self._say(update) if _STREAM in self._streams else []

    def closed(self) -> None:
        """Nothing is held."""

    def _authenticate(self, message: Mapping[str, Any], now: float) -> list[Output]:
        inner = message.get("data")
        older = inner if isinstance(inner, dict) else {}
        key = message.get("key", older.get("key_id"))
        secret = message.get("secret", older.get("secret_key"))
        refused = self._faults.strike("auth-402", now, stream="trading") is not None
        self._is_authorized = not refused and self._terms.accepts(key, secret)
        answer = self._authorization("authenticate", is_authorized=self._is_authorized)
        self._mute_if("mute-after-authenticated", now)
        return answer

    def _listen(self, message: Mapping[str, Any], now: float) -> list[Output]:
        if not self._is_authorized:
            return self._authorization("listen", is_authorized=False)
        inner = message.get("data")
        wanted = inner.get("streams") if isinstance(inner, dict) else None
        if not isinstance(wanted, list):
            return self._error("invalid syntax")
        self._streams = [_STREAM] if _STREAM in wanted else []
        answer = self._say({"stream": "listening", "data": {"streams": self._streams}})
        self._mute_if("mute-after-subscribe", now)
        return answer

    def _authorization(self, action: str, *, is_authorized: bool) -> list[Output]:
        status = "authorized" if is_authorized else "unauthorized"
        return self._say({"stream": "authorization", "data": {"status": status, "action": action}})

    def _error(self, text: str) -> list[Output]:
        return self._say({"action": "error", "data": {"error_message": text}})

    def _say(self, message: Mapping[str, Any]) -> list[Output]:
        return [] if self._is_mute else [Send(msgspec.json.encode(message))]

    def _mute_if(self, name: str, now: float) -> None:
        struck = self._faults.strike(name, now, stream="trading") is not None
        self._is_mute = self._is_mute or struck
