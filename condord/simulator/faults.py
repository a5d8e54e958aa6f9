"""The faults that the simulator can inject, and which of them are active.

A fault triggers `count` times or for `seconds`, whichever ends first. With neither, an event triggers once and a
condition stays until it is cleared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal

import msgspec

from condord.errors import NotFound

FaultKind = Literal["event", "condition"]
Target = Literal["upgrade", "session", "live", "frame", "quote", "rest", "account"]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that can be injected; `target` is the part of the simulator that looks for it."""

    name: str
    target: Target
    kind: FaultKind
    description: str


def _table(target: Target, kind: FaultKind, descriptions: Mapping[str, str]) -> tuple[Fault, ...]:
    return tuple(Fault(name=name, target=target, kind=kind, description=text) for name, text in descriptions.items())


FAULTS: tuple[Fault, ...] = (
    *_table(
        "upgrade",
        "condition",
        {
            "upgrade-429": "The websocket upgrade is answered 429.",
            "upgrade-403": "The websocket upgrade is answered 403.",
            "upgrade-302": "The websocket upgrade is answered 302 to `location` (by default another host).",
            "upgrade-502": "The websocket upgrade is answered 502 with HTML.",
        },
    ),
    *_table(
        "session",
        "condition",
        {
            "mute-after-upgrade": "After the upgrade the server does not send connected; pings are answered.",
            "mute-after-connected": "After connected the server does not answer auth; pings are answered.",
            "mute-after-authenticated": "After authenticated the server sends no ack; pings are answered.",
            "mute-after-subscribe": "After the subscription ack no data arrives; pings are answered.",
            "no-pong": "Pings are not answered.",
            "close-without-echo": "A close frame is not answered, and the connection stays open.",
            "auth-402": "Auth is answered 402 auth failed; the connection stays open.",
            "connection-406": "Auth is answered 406 connection limit exceeded and closed 10 seconds later.",
            "insufficient-409": "Auth is answered 409 insufficient subscription and closed 10 seconds later.",
        },
    ),
    *_table(
        "session",
        "event",
        {
            "limit-405": (
                "The next subscribe (with `limit`: the next for more than that many symbols in all) is answered"
                " 405 symbol limit exceeded and changes nothing."
            ),
            "ack-lacks-symbol": (
                "The next ack lacks `symbol` (by default the last one), which stays silent until it is subscribed"
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
            "close-1001": "Live connections receive a close frame with code 1001.",
            "ping-flood": "Live connections receive pings as fast as they read them; the answers are not read.",
            "mute": "Live connections receive no data, for `seconds` if given; pings are answered.",
        },
    ),
    *_table(
        "frame",
        "event",
        {
            "slow-407": "Subscribers receive 407 slow client and are closed.",
            "text-frame": "Subscribers receive one text frame of JSON.",
            "garbage": "Subscribers receive one binary frame that is not MessagePack.",
            "oversize-frame": "Subscribers receive one valid frame over 1 MiB.",
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
            "other-messages": "Bars, a correction, a cancellation, a price band and a status precede a quote.",
            "zero-prices": "A quote has neither bid nor ask.",
            "no-bid": "A quote has no bid.",
            "crossed": "A quote's bid is above its ask.",
            "locked": "A quote's bid equals its ask.",
            "stub": "A quote is a stub: bid 0.05, ask 19.95.",
            "nan": "A quote's bid is not a number.",
            "null-price": "A quote's bid is null.",
            "duplicate-time": "A quote has the same time as the one before it.",
            "out-of-order-time": "A quote is five seconds older than it should be.",
            "unsubscribed-symbol": "A quote arrives for a symbol that no client subscribed to.",
        },
    ),
    *_table(
        "quote",
        "condition",
        {
            "silent-symbol": "`symbol` is silent on the stream while REST has its new quotes.",
            "burst": "The stream carries 10,000 quotes a second.",
            "clock-skew": "The clock and the times of quotes are off by `skew_seconds` (by default 300).",
        },
    ),
    *_table(
        "rest",
        "condition",
        {
            "rest-500": "Requests are answered 500.",
            "rest-stall": "Requests are answered after `seconds_each`, by default never.",
            "rest-drip": "Responses are sent byte by byte, one every `seconds_each` (by default 0.5).",
            "rest-302": "Requests are answered 302 to `location` (by default another host), with an empty list.",
            "rest-203": "Requests are answered 203 with an empty list.",
            "rest-204": "Requests are answered 204.",
            "rest-206": "Requests are answered 206 with an empty list.",
            "rest-bomb": "Requests are answered 200 with 64 kB of gzip that expand to 64 MB.",
            "rest-cookies": "Every response sets 90 cookies of 500 bytes, under new names each time.",
            "rest-html": "Requests are answered 200 with HTML.",
            "rest-429": "Requests are answered 429 with the time of the reset.",
            "rest-empty": "Requests are answered 200 with an empty body.",
            "rest-truncated": "Responses end in the middle of the JSON.",
            "rest-unknown-asset-class": "The positions contain a row of an unknown asset class.",
            "rest-unknown-option-class": "The first position is an option of an unknown asset class.",
            "rest-null-market-value": "The market value and current price of the first position are null.",
            "rest-null-lastday-price": (
                "The position in `symbol` (by default each in a contract below 0.10) has no close of yesterday, when"
                " it did not trade."
            ),
        },
    ),
    *_table(
        "account",
        "event",
        {
            "position-vanish": "A position (`symbol`, by default the first option) vanishes as if assigned; no update.",
            "position-halve": "A position (`symbol`, by default the first of two or more contracts) halves; no update.",
            "position-flip": "A position (`symbol`, by default the first option) changes its sign; no update.",
            "update-burst": "A thousand trade updates arrive at once, and nothing changes.",
            "position-new-leg": "A new contract is held right after the next read of the positions.",
        },
    ),
)


class ActiveFault(msgspec.Struct, kw_only=True):
    """An injected fault.

    `count` is how often it may still trigger, None for any number; `until` is when it ends, in seconds of the loop
    clock, None if it does not end by itself.
    """

    fault: str
    count: int | None
    until: float | None
    args: dict[str, Any]


class Faults:
    """The active faults; `now` is seconds of the loop clock."""

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
        """Activate the fault `name` from `now` on; `args` are its own, such as `symbol`, `path` or `seconds_each`.

        Raises:
            NotFound: there is no such fault. The text names the nearest one, the hint lists all.
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
        """The active faults, oldest first; those that have ended are removed."""
        self._active = [
            fault
            for fault in self._active
            if fault.count != 0 and now < (math.inf if fault.until is None else fault.until)
        ]
        return self._active

    def active_targets(self, now: float) -> set[Target]:
        """The targets of the active faults; a quick test before asking for faults by name."""
        return {self._table[active.fault].target for active in self.active(now)} if self._active else set()

    def trigger(
        self, name: str, now: float, *, symbol: str = "", path: str = "", stream: str = ""
    ) -> Mapping[str, Any] | None:
        """The arguments of `name` if it triggers here and now, which uses it once; otherwise None.

        A fault that is limited to a symbol, a path or a stream triggers only there. A fault without a stream triggers
        only on the option stream.
        """
        found = self._find(name, now, symbol=symbol, path=path, stream=stream)
        if found is None:
            return None
        if found.count is not None:
            found.count -= 1
        return found.args

    def peek(
        self, name: str, now: float, *, symbol: str = "", path: str = "", stream: str = ""
    ) -> Mapping[str, Any] | None:
        """The arguments with which `name` would trigger, without using it."""
        found = self._find(name, now, symbol=symbol, path=path, stream=stream)
        return None if found is None else found.args

    def _find(self, name: str, now: float, *, symbol: str, path: str, stream: str) -> ActiveFault | None:
        if not self._active:
            return None
        for active in self.active(now):
            if active.fault != name:
                continue
            args = active.args
            if symbol and args.get("symbol") not in {None, symbol}:
                continue
            if path and not path.startswith(str(args.get("path") or "/")):
                continue
            if stream and args.get("stream", "option") not in {stream, "all"}:
                continue
            return active
        return None
