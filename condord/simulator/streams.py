"""Decides who is connected to which stream, and counts it: sockets open now, ever accepted, most at once.

Rules: the option stream lives at one path a feed, the trading stream at `/stream`; a connection counts from its
upgrade until its socket is gone, whatever was said on it. Faults that strike live connections strike here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from condord.simulator import wire
from condord.simulator.connection import Connection
from condord.simulator.faults import Faults
from condord.simulator.option_session import OptionSession
from condord.simulator.session import Send, Session, Slots, Terms
from condord.simulator.trading_session import TradingSession
from condord.simulator.wire import Encoded

StreamName = Literal["option", "trading"]

PATHS: Mapping[str, StreamName] = {
    "/v1beta1/indicative": "option",
    "/v1beta1/opra": "option",
    "/stream": "trading",
}
_REFUSALS: Mapping[str, tuple[int, str]] = {
    "upgrade-429": (429, "too many requests\n"),
    "upgrade-403": (403, "forbidden\n"),
    "upgrade-502": (502, "<html><body><h1>502 Bad Gateway</h1></body></html>\n"),
}
_OVERSIZE_BYTES = (1 << 20) + 4096
_GARBAGE = bytes([0xC1, 0xFF, 0x00, 0xC1]) * 16
_GOING_AWAY = 1001


class Streams:
    """Both streams and everyone connected to them."""

    def __init__(self, *, terms: Terms, faults: Faults) -> None:
        self.terms = terms
        self.faults = faults
        self.quotes_sent = 0
        self.updates_sent = 0
        self._slots = Slots()
        self._open: dict[int, Connection] = {}
        self._accepted: Counter[str] = Counter()
        self._most: Counter[str] = Counter()
        self._live: Mapping[str, Callable[[Connection, float, Mapping[str, Any]], None]] = {
            "reset": lambda connection, _now, _args: connection.reset(),
            "reset-mid-frame": lambda connection, _now, _args: connection.reset_mid_frame(),
            "close-1001": lambda connection, now, _args: connection.close(now, _GOING_AWAY),
            "mute": lambda connection, now, args: connection.mute(now + (args["seconds"] or math.inf)),
        }
        self._frames: Mapping[str, Callable[[Connection, float], None]] = {
            "slow-407": lambda connection, now: connection.fail(407, now),
            "text-frame": lambda connection, now: connection.apply([_text_frame(connection)], now),
            "garbage": lambda connection, now: connection.apply([Send(_GARBAGE)], now),
            "oversize-frame": lambda connection, now: connection.apply([_oversize_frame(connection)], now),
        }

    def refusal(self, target: str, now: float) -> tuple[int, str] | None:
        """The status and text that refuse an upgrade to `target`; None where it is welcome."""
        stream = PATHS.get(target.partition("?")[0])
        if stream is None:
            return 404, "not found\n"
        for name, refusal in _REFUSALS.items():
            if self.faults.strike(name, now, stream=stream) is not None:
                return refusal
        return None

    def joined(self, connection: Connection, target: str, now: float, *, is_msgpack: bool) -> Session:
        """Count a new connection and begin its session."""
        path = target.partition("?")[0]
        connection.stream = stream = PATHS[path]
        self._accepted[stream] += 1
        connection.id = sum(self._accepted.values())
        self._open[connection.id] = connection
        self._most[stream] = max(self._most[stream], len(self.connections(stream)))
        if stream == "trading":
            return TradingSession(terms=self.terms, faults=self.faults)
        return OptionSession(
            feed=path.rpartition("/")[2],
            terms=self.terms,
            slots=self._slots,
            faults=self.faults,
            now=now,
            is_msgpack=is_msgpack,
        )

    def left(self, connection: Connection) -> None:
        """Count a connection out."""
        self._open.pop(connection.id, None)

    def connections(self, stream: str) -> list[Connection]:
        """The connections open on `stream` (`option`, `trading`, or `all`), oldest first."""
        return [each for each in self._open.values() if stream in {each.stream, "all"}]

    def subscribed(self) -> set[str]:
        """Every option symbol that somebody subscribed to."""
        symbols: set[str] = set()
        for each in self.connections("option"):
            if isinstance(each.session, OptionSession):
                symbols.update(each.session.subscriptions, each.session.trade_subscriptions)
        return symbols

    def offer(self, batch: Sequence[Encoded], now: float) -> None:
        """Offer quotes and trades to everyone."""
        self.quotes_sent += len(batch)
        for each in self.connections("option"):
            each.offer(batch, now)

    def update(self, update: Mapping[str, Any], now: float) -> None:
        """Send a trade update to everyone who listens."""
        self.updates_sent += 1
        for each in self.connections("trading"):
            if isinstance(each.session, TradingSession):
                each.apply(each.session.update(update), now)

    def tick(self, now: float) -> None:
        """Let time pass on every connection, and faults strike."""
        self.strike(now)
        for each in list(self._open.values()):
            each.tick(now)

    def strike(self, now: float) -> None:
        """Let the faults that are meant for live connections strike them."""
        places = self.faults.places(now)
        if "live" in places:
            for name, act in self._live.items():
                args = self.faults.strike(name, now)
                for each in self.connections(str(args.get("stream", "option"))) if args is not None else ():
                    act(each, now, args or {})
        if "frame" in places:
            for name, send in self._frames.items():
                self._strike_subscribers(name, send, now)

    def _strike_subscribers(self, name: str, send: Callable[[Connection, float], None], now: float) -> None:
        """Send a bad frame to who subscribed to something; while nobody has, the fault waits."""
        args = self.faults.look(name, now)
        if args is None:
            return
        connected = self.connections(str(args.get("stream", "option")))
        subscribers = [each for each in connected if each.session is not None and each.session.subscriptions]
        if subscribers:
            self.faults.strike(name, now)
        for each in subscribers:
            send(each, now)

    def abort_all(self) -> None:
        """Drop every connection at once: the simulator ends."""
        for each in list(self._open.values()):
            each.transport.abort()

    def state(self) -> dict[str, Any]:
        """What `GET /simulator/state` says of the streams."""
        return {
            stream: {
                "open": [_connection_state(each) for each in self.connections(stream)],
                "accepted": self._accepted[stream],
                "maxOpen": self._most[stream],
            }
            for stream in ("option", "trading")
        }


def _connection_state(connection: Connection) -> dict[str, Any]:
    session = connection.session
    row: dict[str, Any] = {
        "id": connection.id,
        "subscriptions": list(session.subscriptions) if session is not None else [],
    }
    if isinstance(session, OptionSession):
        row["feed"] = session.feed
    return row


def _text_frame(connection: Connection) -> Send:
    symbol = connection.session.subscriptions[0] if connection.session else ""
    quote = {"T": "q", "S": symbol, "t": "2024-03-12T11:59:38.897261568Z", "bp": 1.0, "bs": 1, "ap": 1.1, "as": 1}
    return Send(msgspec.json.encode([quote]), is_text=True)


def _oversize_frame(connection: Connection) -> Send:
    symbol = connection.session.subscriptions[0] if connection.session else ""
    body = wire.encode({"T": "zz", "S": symbol, "v": "x" * 1000})
    return Send(wire.frame([body] * (_OVERSIZE_BYTES // len(body) + 1)))
