"""Decides the option stream's side of the talk: connected, auth, subscribe, quotes, and its error frames.

Rules: auth is due within 10 seconds; a wrong secret leaves the session open; a second session on a feed is refused
after its auth and closed 10 seconds later, the first one stays; subscriptions add up, and are unchanged by a refused
subscribe; text frames are refused, and so is every subscribe of a client that did not ask for MessagePack.
Whatever bytes come, the answer is an error frame or nothing, never an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from condord.simulator import wire
from condord.simulator.faults import Faults
from condord.simulator.session import Close, Output, Send, Slots, Terms
from condord.simulator.wire import Encoded

AUTH_SECONDS = 10.0
REFUSED_SECONDS = 10.0
_POLICY_VIOLATION = 1008
_CHANNELS = ("trades", "quotes")
_OTHER_CHANNELS = frozenset({"bars", "updatedBars", "dailyBars", "statuses", "lulds", "orderbooks", "news"})


class OptionSession:
    """One session of the option stream on `feed`."""

    def __init__(
        self, *, feed: str, terms: Terms, slots: Slots, faults: Faults, now: float, is_msgpack: bool = True
    ) -> None:
        self.feed = feed
        self._terms = terms
        self._slots = slots
        self._faults = faults
        self._is_msgpack = is_msgpack
        self._is_authenticated = False
        self._is_mute = False
        self._auth_due: float | None = now + AUTH_SECONDS
        self._close_at: float | None = None
        self._subscribed: dict[str, dict[str, None]] = {channel: {} for channel in _CHANNELS}
        self._withheld: set[str] = set()
        self._actions: Mapping[str, Callable[[Mapping[str, Any], float], list[Output]]] = {
            "auth": self._authenticate,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
        }

    @property
    def subscriptions(self) -> Sequence[str]:
        """The symbols whose quotes are subscribed, in the order they came."""
        return tuple(self._subscribed["quotes"])

    @property
    def trade_subscriptions(self) -> Sequence[str]:
        """The symbols whose trades are subscribed."""
        return tuple(self._subscribed["trades"])

    def opened(self, now: float) -> list[Output]:
        """Greet the client."""
        self._mute_if("mute-after-upgrade", now)
        greeting = self._say({"T": "success", "msg": "connected"})
        self._mute_if("mute-after-connected", now)
        return greeting

    def received(self, message: bytes | str, now: float) -> list[Output]:
        """Answer one message of the client."""
        if isinstance(message, str) and self._is_msgpack:
            return self.error(412)
        try:
            decoded: object = (
                msgspec.msgpack.decode(message) if isinstance(message, bytes) else msgspec.json.decode(message)
            )
        except (msgspec.DecodeError, ValueError, RecursionError):
            return self.error(400)
        if not isinstance(decoded, dict):
            return self.error(400)
        wanted = decoded.get("action")
        action = self._actions.get(wanted) if isinstance(wanted, str) else None
        return self.error(400) if action is None else action(decoded, now)

    def tick(self, now: float) -> list[Output]:
        """Close what waited too long."""
        if self._auth_due is not None and now >= self._auth_due:
            self._auth_due = None
            return [*self.error(404), Close(_POLICY_VIOLATION, "auth timeout")]
        if self._close_at is not None and now >= self._close_at:
            self._close_at = None
            return [Close(_POLICY_VIOLATION)]
        return []

    def offer(self, batch: Sequence[Encoded], now: float) -> list[Output]:  # noqa: ARG002 - a session's form
        """Send what of `batch` is subscribed, in one frame."""
        if self._is_mute or not self._subscribed["quotes"] | self._subscribed["trades"]:
            return []
        bodies = [
            each.body
            for each in batch
            if each.symbol is None
            or (each.symbol in self._subscribed[each.channel] and each.symbol not in self._withheld)
        ]
        return [Send(wire.frame(bodies))] if bodies else []

    def error(self, code: int) -> list[Output]:
        """An error frame."""
        return self._say(wire.error_message(code))

    def closed(self) -> None:
        """Give the feed's slot back."""
        self._slots.release(self)

    def _authenticate(self, message: Mapping[str, Any], now: float) -> list[Output]:
        if self._is_authenticated:
            return self.error(403)
        self._auth_due = None
        key, secret = message.get("key"), message.get("secret")
        if self._strikes("auth-402", now) or not self._terms.accepts(key, secret):
            return self.error(402)
        if self._strikes("insufficient-409", now) or (self.feed == "opra" and not self._terms.has_opra):
            return self._refuse(409, now)
        if self._strikes("connection-406", now) or not self._slots.claim(self.feed, str(key), self):
            return self._refuse(406, now)
        self._is_authenticated = True
        answer = self._say({"T": "success", "msg": "authenticated"})
        self._mute_if("mute-after-authenticated", now)
        return answer

    def _refuse(self, code: int, now: float) -> list[Output]:
        self._close_at = now + REFUSED_SECONDS
        return self.error(code)

    def _subscribe(self, message: Mapping[str, Any], now: float) -> list[Output]:
        refusal = self._refusal(message)
        if refusal is not None:
            return self.error(refusal)
        wanted = {
            channel: self._subscribed[channel] | dict.fromkeys(message.get(channel) or ()) for channel in _CHANNELS
        }
        if "*" in wanted["quotes"]:
            return self.error(413)
        if self._is_too_much(len(wanted["quotes"]), now):
            return self.error(405)
        self._subscribed = wanted
        self._withheld.difference_update(message.get("quotes") or ())
        lacking = self._faults.strike("ack-lacks-symbol", now) if wanted["quotes"] else None
        if lacking is not None:
            self._withheld.add(str(lacking.get("symbol") or next(reversed(wanted["quotes"]))))
        answer = self._acknowledge()
        self._mute_if("mute-after-subscribe", now)
        return answer

    def _is_too_much(self, count: int, now: float) -> bool:
        if count > self._terms.symbol_limit:
            return True
        limit = (self._faults.look("limit-405", now) or {}).get("limit")
        return (limit is None or count > limit) and self._strikes("limit-405", now)

    def _unsubscribe(self, message: Mapping[str, Any], now: float) -> list[Output]:  # noqa: ARG002 - as the others
        refusal = self._refusal(message)
        if refusal is not None:
            return self.error(refusal)
        for channel in _CHANNELS:
            for symbol in message.get(channel) or ():
                self._subscribed[channel].pop(symbol, None)
        return self._acknowledge()

    def _refusal(self, message: Mapping[str, Any]) -> int | None:
        if not self._is_authenticated:
            return 401
        if not self._is_msgpack:
            return 412
        if any(message.get(channel) for channel in _OTHER_CHANNELS):
            return 410
        lists = [message.get(channel) or [] for channel in _CHANNELS]
        if not all(isinstance(each, list) and all(isinstance(one, str) for one in each) for each in lists):
            return 400
        return None

    def _acknowledge(self) -> list[Output]:
        return self._say(
            {
                "T": "subscription",
                "trades": list(self._subscribed["trades"]),
                "quotes": [each for each in self._subscribed["quotes"] if each not in self._withheld],
            }
        )

    def _say(self, message: Mapping[str, Any]) -> list[Output]:
        if self._is_mute:
            return []
        if self._is_msgpack:
            return [Send(wire.frame([wire.encode(message)]))]
        return [Send(msgspec.json.encode([message]), is_text=True)]

    def _strikes(self, name: str, now: float) -> bool:
        return self._faults.strike(name, now, stream="option") is not None

    def _mute_if(self, name: str, now: float) -> None:
        self._is_mute = self._is_mute or self._strikes(name, now)
