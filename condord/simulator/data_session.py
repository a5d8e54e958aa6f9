"""The server's side of a market data stream: greeting, auth, subscriptions, messages and error frames.

The option stream and the stock stream speak the same protocol, and differ in their channels, limits and formats. Any
bytes are answered by an error frame or by nothing, never by an exception.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from condord.simulator import wire
from condord.simulator.entitlements import Entitlements, FeedSlots
from condord.simulator.faults import Faults
from condord.simulator.session import Close, Output, Send
from condord.simulator.wire import EncodedMessage

AUTH_SECONDS = 10.0
REFUSED_SECONDS = 10.0
_POLICY_VIOLATION = 1008

Subscriptions = Mapping[str, Mapping[str, None]]
"""The subscribed symbols by channel, in order of subscription."""


class DataSession(ABC):
    """One session of a market data stream on `feed`, in MessagePack or else in JSON.

    A stream is a subclass: its name in faults, its channels, the channels that it refuses, and the plan and limits that
    its methods check.
    """

    stream: ClassVar[str]
    channels: ClassVar[tuple[str, ...]]
    refused_channels: ClassVar[frozenset[str]]

    def __init__(
        self,
        *,
        feed: str,
        entitlements: Entitlements,
        slots: FeedSlots,
        faults: Faults,
        now: float,
        is_msgpack: bool = True,
    ) -> None:
        self.feed = feed
        self.entitlements = entitlements
        self.is_msgpack = is_msgpack
        self._slots = slots
        self._faults = faults
        self._is_authenticated = False
        self._is_mute = False
        self._auth_due_at: float | None = now + AUTH_SECONDS
        self._close_at: float | None = None
        self._subscribed: dict[str, dict[str, None]] = {channel: {} for channel in self.channels}
        self._withheld: set[str] = set()
        self._actions: Mapping[str, Callable[[Mapping[str, Any], float], list[Output]]] = {
            "auth": self._authenticate,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
        }

    @property
    def subscriptions(self) -> Sequence[str]:
        """The symbols whose quotes are subscribed, in order of subscription."""
        return tuple(self._subscribed["quotes"])

    @property
    def trade_subscriptions(self) -> Sequence[str]:
        """The symbols whose trades are subscribed."""
        return tuple(self._subscribed["trades"])

    def opened(self, now: float) -> list[Output]:
        """Greet the client."""
        self._mute_if("mute-after-upgrade", now)
        greeting = self._send({"T": "success", "msg": "connected"})
        self._mute_if("mute-after-connected", now)
        return greeting

    def received(self, message: bytes | str, now: float) -> list[Output]:
        """Answer one message from the client."""
        if isinstance(message, str) and self.is_msgpack:
            return self.error(self.text_error())
        try:
            decoded: object = (msgspec.msgpack if self.is_msgpack else msgspec.json).decode(message)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return self.error(400)
        if not isinstance(decoded, dict):
            return self.error(400)
        name = decoded.get("action")
        action = self._actions.get(name) if isinstance(name, str) else None
        return self.error(400) if action is None else action(decoded, now)

    def tick(self, now: float) -> list[Output]:
        """Close the session if its auth is overdue, or 10 seconds after it was refused."""
        if self._auth_due_at is not None and now >= self._auth_due_at:
            self._auth_due_at = None
            return [*self.error(404), Close(_POLICY_VIOLATION, "auth timeout")]
        if self._close_at is not None and now >= self._close_at:
            self._close_at = None
            return [Close(_POLICY_VIOLATION)]
        return []

    def offer(self, batch: Sequence[EncodedMessage], now: float) -> list[Output]:  # noqa: ARG002 - the protocol's signature
        """Send the subscribed messages of `batch` in one frame."""
        if self._is_mute or not any(self._subscribed.values()):
            return []
        messages = [message for message in batch if message.symbol is None or self._wants(message)]
        if not messages:
            return []
        if self.is_msgpack:
            return [Send(wire.frame([message.body for message in messages]))]
        return [Send(b"[%b]" % b",".join([message.text for message in messages]), is_text=True)]

    def error(self, code: int) -> list[Output]:
        """An error frame."""
        return self._send(wire.error_message(code))

    def closed(self) -> None:
        """Release the slot of the feed."""
        self._slots.release(self)

    def text_error(self) -> int:
        """The error that answers a text frame in a session of MessagePack."""
        return 400

    @abstractmethod
    def has_plan(self) -> bool:
        """Whether the plan includes the feed."""

    def format_error(self) -> int | None:
        """The error that answers any subscription in the format of this session; None if there is none."""
        return None

    @abstractmethod
    def limit_error(self, subscribed: Subscriptions) -> int | None:
        """The error if all of `subscribed` together are refused; None if they are accepted."""

    @abstractmethod
    def count(self, subscribed: Subscriptions) -> int:
        """How many subscriptions count towards the limit."""

    def acknowledged(self, subscribed: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
        """The content of the acknowledgement if `subscribed` are the symbols by channel."""
        return subscribed

    def _wants(self, message: EncodedMessage) -> bool:
        symbols = self._subscribed[message.channel]
        return (message.symbol in symbols or "*" in symbols) and message.symbol not in self._withheld

    def _authenticate(self, message: Mapping[str, Any], now: float) -> list[Output]:
        if self._is_authenticated:
            return self.error(403)
        self._auth_due_at = None
        key, secret = message.get("key"), message.get("secret")
        # A wrong secret leaves the session open, as at Alpaca.
        if self._is_triggered("auth-402", now) or not self.entitlements.accepts(key, secret):
            return self.error(402)
        if self._is_triggered("insufficient-409", now) or not self.has_plan():
            return self._refuse(409, now)
        # The session that holds the slot stays.
        if self._is_triggered("connection-406", now) or not self._slots.claim(self.feed, str(key), self):
            return self._refuse(406, now)
        self._is_authenticated = True
        reply = self._send({"T": "success", "msg": "authenticated"})
        self._mute_if("mute-after-authenticated", now)
        return reply

    def _refuse(self, code: int, now: float) -> list[Output]:
        self._close_at = now + REFUSED_SECONDS
        return self.error(code)

    def _subscribe(self, message: Mapping[str, Any], now: float) -> list[Output]:
        refusal = self._refusal(message)
        if refusal is not None:
            return self.error(refusal)
        # Subscriptions add up; a refused subscribe leaves them as they are.
        subscribed = {
            channel: self._subscribed[channel] | dict.fromkeys(message.get(channel) or ()) for channel in self.channels
        }
        refusal = self.limit_error(subscribed)
        if refusal is not None or self._exceeds_faulty_limit(self.count(subscribed), now):
            return self.error(refusal or 405)
        self._subscribed = subscribed
        self._withheld.difference_update(message.get("quotes") or ())
        omission = self._faults.trigger("ack-lacks-symbol", now, stream=self.stream) if subscribed["quotes"] else None
        if omission is not None:
            self._withheld.add(str(omission.get("symbol") or next(reversed(subscribed["quotes"]))))
        reply = self._acknowledge()
        self._mute_if("mute-after-subscribe", now)
        return reply

    def _exceeds_faulty_limit(self, count: int, now: float) -> bool:
        limit = (self._faults.peek("limit-405", now, stream=self.stream) or {}).get("limit")
        return (limit is None or count > limit) and self._is_triggered("limit-405", now)

    def _unsubscribe(self, message: Mapping[str, Any], now: float) -> list[Output]:  # noqa: ARG002 - the signature of an action
        refusal = self._refusal(message)
        if refusal is not None:
            return self.error(refusal)
        for channel in self.channels:
            for symbol in message.get(channel) or ():
                self._subscribed[channel].pop(symbol, None)
        return self._acknowledge()

    def _refusal(self, message: Mapping[str, Any]) -> int | None:
        if not self._is_authenticated:
            return 401
        refusal = self.format_error()
        if refusal is not None:
            return refusal
        if any(message.get(channel) for channel in self.refused_channels):
            return 410
        lists = [message.get(channel) or [] for channel in self.channels]
        if not all(isinstance(symbols, list) and all(isinstance(item, str) for item in symbols) for symbols in lists):
            return 400
        return None

    def _acknowledge(self) -> list[Output]:
        listed = {channel: list(symbols) for channel, symbols in self._subscribed.items()}
        listed["quotes"] = [symbol for symbol in listed["quotes"] if symbol not in self._withheld]
        return self._send({"T": "subscription", **self.acknowledged(listed)})

    def _send(self, message: Mapping[str, Any]) -> list[Output]:
        if self._is_mute:
            return []
        if self.is_msgpack:
            return [Send(wire.frame([wire.encode(message)]))]
        return [Send(msgspec.json.encode([message]), is_text=True)]

    def _is_triggered(self, name: str, now: float) -> bool:
        return self._faults.trigger(name, now, stream=self.stream) is not None

    def _mute_if(self, name: str, now: float) -> None:
        self._is_mute = self._is_mute or self._is_triggered(name, now)
