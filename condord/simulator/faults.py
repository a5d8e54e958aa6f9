"""Decides which faults exist, which of them are active, and when each strikes.

Rules: a fault strikes `count` times, or for `seconds`, or both, whichever ends first. With neither, an event
strikes once and a condition stays until it is cleared. A fault limited to a symbol, a path or a stream strikes only
there; stream faults without a stream strike the option stream.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal

import msgspec

from condord.errors import NotFound

Kind = Literal["event", "condition"]
Place = Literal["upgrade", "session", "live", "frame", "quote", "rest", "account"]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be made to go wrong: `place` says which part of the simulator asks for it."""

    name: str
    place: Place
    kind: Kind
    sentence: str


def _table(place: Place, kind: Kind, sentences: Mapping[str, str]) -> tuple[Fault, ...]:
    return tuple(Fault(name=name, place=place, kind=kind, sentence=text) for name, text in sentences.items())


FAULTS: tuple[Fault, ...] = (
    *_table(
        "upgrade",
        "condition",
        {
            "upgrade-429": "The websocket upgrade is answered 429.",
            "upgrade-403": "The websocket upgrade is answered 403.",
            "upgrade-502": "The websocket upgrade is answered 502 with HTML.",
        },
    ),
    *_table(
        "session",
        "condition",
        {
            "mute-after-upgrade": "After the upgrade the server says nothing, not even connected; it still pongs.",
            "mute-after-connected": "After connected the server says nothing: no answer to auth; it still pongs.",
            "mute-after-authenticated": "After authenticated the server says nothing: no ack; it still pongs.",
            "mute-after-subscribe": "After the subscription ack no data come; the server still pongs.",
            "no-pong": "Pings are not answered.",
            "close-without-echo": "A close frame is not answered and the connection stays open.",
            "auth-402": "Auth is answered 402 auth failed; the connection stays open.",
            "connection-406": "Auth is answered 406 connection limit exceeded; closed 10 seconds later.",
            "insufficient-409": "Auth is answered 409 insufficient subscription; closed 10 seconds later.",
        },
    ),
    *_table(
        "session",
        "event",
        {
            "limit-405": (
                "The next subscribe, or the next for more than `limit` symbols in all, is answered 405 symbol limit"
                " exceeded and changes nothing."
            ),
            "ack-lacks-symbol": (
                "The next ack lacks a symbol (the last one unless named), which stays silent until it is asked for"
                " again."
            ),
        },
    ),
    *_table(
        "live",
        "event",
        {
            "reset": "Live connections are reset (RST).",
            "reset-mid-frame": "Live connections are reset in the middle of a frame.",
            "close-1001": "Live connections get a close frame with code 1001.",
            "mute": "Live connections get no more data, or none for `seconds`; the server still pongs.",
        },
    ),
    *_table(
        "frame",
        "event",
        {
            "slow-407": "Subscribers get 407 slow client and are closed.",
            "text-frame": "Subscribers get one text frame of JSON.",
            "garbage": "Subscribers get one binary frame that is not MessagePack.",
            "oversize-frame": "Subscribers get one valid frame over 1 MiB.",
        },
    ),
    *_table(
        "quote",
        "event",
        {
            "unknown-type": "A message of an unknown type precedes a quote in its batch.",
            "timestamp-32": "A quote's time is a 32-bit timestamp.",
            "timestamp-96": "A quote's time is a 96-bit timestamp.",
            "integer-prices": "A quote's prices are integers.",
            "no-bid": "A quote has no bid.",
            "crossed": "A quote's bid is above its ask.",
            "locked": "A quote's bid equals its ask.",
            "stub": "A quote is a stub: bid 0.05, ask 19.95.",
            "nan": "A quote's bid is not a number.",
            "null-price": "A quote's bid is null.",
            "duplicate-time": "A quote has the time of its predecessor.",
            "out-of-order-time": "A quote is five seconds older than it should be.",
            "unsubscribed-symbol": "A quote comes for a symbol nobody subscribed to.",
        },
    ),
    *_table(
        "quote",
        "condition",
        {
            "silent-symbol": "One symbol (`symbol`) is silent on the stream while REST has its new quotes.",
            "burst": "10,000 quotes a second.",
            "clock-skew": "The clock and the quotes' times are off by `skew_seconds` (300 unless given).",
        },
    ),
    *_table(
        "rest",
        "condition",
        {
            "rest-500": "Requests are answered 500.",
            "rest-stall": "Requests are answered after `seconds_each`, or never.",
            "rest-drip": "Answers drip byte by byte, one every `seconds_each` (0.5 unless given).",
            "rest-html": "Requests are answered 200 with HTML.",
            "rest-429": "Requests are answered 429 with the time of the reset.",
            "rest-empty": "Requests are answered 200 with nothing.",
            "rest-truncated": "Answers break off in the middle of the JSON.",
            "rest-unknown-asset-class": "The positions hold a row of an unknown asset class.",
            "rest-null-market-value": "The first position has null for market value and current price.",
        },
    ),
    *_table(
        "account",
        "event",
        {
            "position-vanish": "A position (`symbol`, or the first option) is gone as by assignment; no update.",
            "position-halve": "A position (`symbol`, or the first of two or more contracts) halves; no update.",
            "position-flip": "A position (`symbol`, or the first option) changes its sign; no update.",
            "position-new-leg": "A new contract is held right after the next read of the positions.",
        },
    ),
)


class ActiveFault(msgspec.Struct, kw_only=True):
    """One fault at work: how often it may still strike (null: any number) and until when (null: for ever)."""

    fault: str
    count: int | None
    until: float | None
    args: dict[str, Any]


class Faults:
    """The faults at work; `now` is seconds of the loop clock."""

    def __init__(self) -> None:
        self._table = {fault.name: fault for fault in FAULTS}
        self._active: list[ActiveFault] = []

    def activate(
        self,
        name: str,
        now: float,
        *,
        count: int | None = None,
        seconds: float | None = None,
        **args: object,
    ) -> ActiveFault:
        """Let `name` strike from now on; `args` are its own, as `symbol`, `path`, `stream`, `seconds_each`.

        Raises:
            NotFound: there is no such fault; the text names the nearest, the hint all.
        """
        fault = self._table.get(name)
        if fault is None:
            nearest = get_close_matches(name, self._table, n=1, cutoff=0.4)
            meant = f"; the nearest is {nearest[0]}" if nearest else ""
            raise NotFound(f"there is no fault {name!r}{meant}", f"Known faults: {', '.join(self._table)}.")
        if fault.kind == "event" and count is None and (seconds is None or name == "mute"):
            count = 1
        until = None if seconds is None else now + seconds
        active = ActiveFault(fault=name, count=count, until=until, args={**args, "seconds": seconds})
        self._active.append(active)
        return active

    def clear(self) -> None:
        """End every fault."""
        self._active.clear()

    def active(self, now: float) -> list[ActiveFault]:
        """What is at work, oldest first; what has ended is forgotten."""
        self._active = [
            each for each in self._active if each.count != 0 and now < (math.inf if each.until is None else each.until)
        ]
        return self._active

    def places(self, now: float) -> set[Place]:
        """Where something may strike: the quick test before asking for faults one by one."""
        return {self._table[each.fault].place for each in self.active(now)} if self._active else set()

    def strike(
        self, name: str, now: float, *, symbol: str = "", path: str = "", stream: str = ""
    ) -> Mapping[str, Any] | None:
        """Whether `name` strikes here and now, and with which arguments; it counts as one strike if so."""
        found = self._find(name, now, symbol=symbol, path=path, stream=stream)
        if found is None:
            return None
        if found.count is not None:
            found.count -= 1
        return found.args

    def look(
        self, name: str, now: float, *, symbol: str = "", path: str = "", stream: str = ""
    ) -> Mapping[str, Any] | None:
        """The arguments with which `name` would strike; nothing is counted."""
        found = self._find(name, now, symbol=symbol, path=path, stream=stream)
        return None if found is None else found.args

    def _find(self, name: str, now: float, *, symbol: str, path: str, stream: str) -> ActiveFault | None:
        if not self._active:
            return None
        for each in self.active(now):
            if each.fault != name:
                continue
            args = each.args
            if symbol and args.get("symbol") not in {None, symbol}:
                continue
            if path and not path.startswith(str(args.get("path") or "/")):
                continue
            if stream and args.get("stream", "option") not in {stream, "all"}:
                continue
            return each
        return None
