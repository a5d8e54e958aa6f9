"""The server's side of the trading stream: both forms of auth, listen, and trade updates.

Messages are JSON in text or binary frames; answers are sent in binary frames, as Alpaca does for paper accounts.
Updates are never replayed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from condord.simulator.entitlements import Entitlements
from condord.simulator.faults import Faults
from condord.simulator.session import Output, Send
from condord.simulator.wire import EncodedMessage

_STREAM = "trade_updates"


class TradingSession:
    """One session of the trading stream."""

    def __init__(self, *, entitlements: Entitlements, faults: Faults) -> None:
        self._entitlements = entitlements
        self._faults = faults
        self._is_authorized = False
        self._is_mute = False
        self._streams: list[str] = []

    @property
    def subscriptions(self) -> Sequence[str]:
        """The streams that the client listens to."""
        return tuple(self._streams)

    def opened(self, now: float) -> list[Output]:
        """Send nothing: Alpaca waits for the client."""
        self._mute_if("mute-after-upgrade", now)
        self._mute_if("mute-after-connected", now)
        return []

    def received(self, message: bytes | str, now: float) -> list[Output]:
        """Answer one message from the client."""
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

    def tick(self, now: float) -> list[Output]:  # noqa: ARG002 - the protocol's signature
        """Nothing is due on this stream."""
        return []

    def offer(self, batch: Sequence[EncodedMessage], now: float) -> list[Output]:  # noqa: ARG002 - the protocol's signature
        """Quotes are not sent on this stream."""
        return []

    def update(self, update: Mapping[str, Any]) -> list[Output]:
        """Send a trade update if the client listens to them."""
        return self._send(update) if _STREAM in self._streams else []

    def closed(self) -> None:
        """Nothing to release."""

    def _authenticate(self, message: Mapping[str, Any], now: float) -> list[Output]:
        data = message.get("data")  # the older form nests the credentials
        nested = data if isinstance(data, dict) else {}
        key = message.get("key", nested.get("key_id"))
        secret = message.get("secret", nested.get("secret_key"))
        is_refused = self._faults.trigger("auth-402", now, stream="trading") is not None
        self._is_authorized = not is_refused and self._entitlements.accepts(key, secret)
        reply = self._authorization("authenticate", is_authorized=self._is_authorized)
        self._mute_if("mute-after-authenticated", now)
        return reply

    def _listen(self, message: Mapping[str, Any], now: float) -> list[Output]:
        if not self._is_authorized:
            return self._authorization("listen", is_authorized=False)
        data = message.get("data")
        streams = data.get("streams") if isinstance(data, dict) else None
        if not isinstance(streams, list):
            return self._error("invalid syntax")
        self._streams = [_STREAM] if _STREAM in streams else []
        reply = self._send({"stream": "listening", "data": {"streams": self._streams}})
        self._mute_if("mute-after-subscribe", now)
        return reply

    def _authorization(self, action: str, *, is_authorized: bool) -> list[Output]:
        status = "authorized" if is_authorized else "unauthorized"
        return self._send({"stream": "authorization", "data": {"status": status, "action": action}})

    def _error(self, text: str) -> list[Output]:
        return self._send({"action": "error", "data": {"error_message": text}})

    def _send(self, message: Mapping[str, Any]) -> list[Output]:
        return [] if self._is_mute else [Send(msgspec.json.encode(message))]

    def _mute_if(self, name: str, now: float) -> None:
        is_triggered = self._faults.trigger(name, now, stream="trading") is not None
        self._is_mute = self._is_mute or is_triggered
