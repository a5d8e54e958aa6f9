"""Keep and count the connections of all streams, and apply faults to live connections.

A connection counts from its upgrade until its socket is closed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from condord.simulator import wire
from condord.simulator.connection import Connection
from condord.simulator.data_session import DataSession
from condord.simulator.entitlements import Entitlements, FeedSlots
from condord.simulator.faults import Faults
from condord.simulator.option_session import OptionSession
from condord.simulator.session import Send, Session
from condord.simulator.stock_session import FEEDS, StockSession
from condord.simulator.trading_session import TradingSession
from condord.simulator.wire import EncodedMessage

StreamName = Literal["option", "stock", "trading"]

PATHS: Mapping[str, StreamName] = {
    "/v1beta1/indicative": "option",
    "/v1beta1/opra": "option",
    **dict.fromkeys((f"/v2/{feed}" for feed in FEEDS), "stock"),
    "/stream": "trading",
}
_SESSIONS: Mapping[str, type[DataSession]] = {"option": OptionSession, "stock": StockSession}
_REFUSALS: Mapping[str, tuple[int, str]] = {
    "upgrade-429": (429, "too many requests\n"),
    "upgrade-403": (403, "forbidden\n"),
    "upgrade-302": (302, "found\n"),
    "upgrade-502": (502, "<html><body><h1>502 Bad Gateway</h1></body></html>\n"),
}
_OTHER_HOST = "wss://elsewhere.invalid/stream"
_OVERSIZE_BYTES = (1 << 20) + 4096
_GARBAGE = bytes([0xC1, 0xFF, 0x00, 0xC1]) * 16
_GOING_AWAY = 1001


class Streams:
    """The streams and their connections."""

    def __init__(self, *, entitlements: Entitlements, faults: Faults) -> None:
        self.entitlements = entitlements
        self.faults = faults
        self.quotes_sent = 0
        self.stock_messages_sent = 0
        self.updates_sent = 0
        self._slots = FeedSlots()
        self._open: dict[int, Connection] = {}
        self._accepted: Counter[str] = Counter()
        self._most: Counter[str] = Counter()
        self._connection_faults: Mapping[str, Callable[[Connection, float, Mapping[str, Any]], None]] = {
            "reset": lambda connection, _now, _args: connection.reset(),
            "reset-mid-frame": lambda connection, _now, _args: connection.reset_mid_frame(),
            "close-1001": lambda connection, now, _args: connection.close(now, _GOING_AWAY),
            "ping-flood": lambda connection, _now, _args: connection.flood(),
            "mute": lambda connection, now, args: connection.mute(now + (args["seconds"] or math.inf)),
        }
        self._frame_faults: Mapping[str, Callable[[Connection, float], None]] = {
            "slow-407": lambda connection, now: connection.close_with_error(407, now),
            "text-frame": lambda connection, now: connection.apply([_text_frame(connection)], now),
            "garbage": lambda connection, now: connection.apply([Send(_GARBAGE)], now),
            "oversize-frame": lambda connection, now: connection.apply([_oversize_frame(connection)], now),
        }

    def refusal(self, target: str, now: float) -> tuple[int, str, str] | None:
        """The status, text and Location that refuse an upgrade to `target`; None if it is accepted."""
        stream = PATHS.get(target.partition("?")[0])
        if stream is None:
            return 404, "not found\n", ""
        for name, refusal in _REFUSALS.items():
            args = self.faults.trigger(name, now, stream=stream)
            if args is not None:
                return *refusal, str(args.get("location", _OTHER_HOST))
        return None

    def join(self, connection: Connection, target: str, now: float, *, is_msgpack: bool) -> Session:
        """Count `connection` as open and start its session."""
        path = target.partition("?")[0]
        connection.stream = stream = PATHS[path]
        self._accepted[stream] += 1
        connection.id = sum(self._accepted.values())
        self._open[connection.id] = connection
        self._most[stream] = max(self._most[stream], len(self.connections(stream)))
        if stream == "trading":
            return TradingSession(entitlements=self.entitlements, faults=self.faults)
        return _SESSIONS[stream](
            feed=path.rpartition("/")[2],
            entitlements=self.entitlements,
            slots=self._slots,
            faults=self.faults,
            now=now,
            is_msgpack=is_msgpack,
        )

    def leave(self, connection: Connection) -> None:
        """Count `connection` as closed."""
        self._open.pop(connection.id, None)

    def connections(self, stream: str) -> list[Connection]:
        """The connections open on `stream` (`option`, `stock`, `trading`, or `all`), oldest first."""
        return [connection for connection in self._open.values() if stream in {connection.stream, "all"}]

    def subscribed(self, stream: Literal["option", "stock"] = "option") -> set[str]:
        """Every symbol whose quotes or trades a client of `stream` has subscribed to."""
        symbols: set[str] = set()
        for connection in self.connections(stream):
            session = connection.session
            if isinstance(session, DataSession):
                symbols.update(session.subscriptions, session.trade_subscriptions)
        return symbols

    def offer(self, batch: Sequence[EncodedMessage], now: float) -> None:
        """Send quotes and trades of options to the connections that subscribed to them."""
        self.quotes_sent += len(batch)
        for connection in self.connections("option"):
            connection.offer(batch, now)

    def offer_stocks(self, batch: Sequence[EncodedMessage], now: float) -> None:
        """Send messages about stocks to the connections that subscribed to them."""
        self.stock_messages_sent += len(batch)
        for connection in self.connections("stock"):
            connection.offer(batch, now)

    def send_update(self, update: Mapping[str, Any], now: float) -> None:
        """Send a trade update to every connection that listens."""
        self.updates_sent += 1
        for connection in self.connections("trading"):
            if isinstance(connection.session, TradingSession):
                connection.apply(connection.session.update(update), now)

    def tick(self, now: float) -> None:
        """Apply faults, then carry out due actions on every connection."""
        self.apply_faults(now)
        for connection in list(self._open.values()):
            connection.tick(now)

    def apply_faults(self, now: float) -> None:
        """Apply the faults that are meant for live connections."""
        targets = self.faults.active_targets(now)
        if "live" in targets:
            for name, act in self._connection_faults.items():
                args = self.faults.trigger(name, now)
                if args is not None:
                    for connection in self.connections(str(args.get("stream", "option"))):
                        act(connection, now, args)
        if "frame" in targets:
            for name, send in self._frame_faults.items():
                self._send_to_subscribers(name, send, now)

    def _send_to_subscribers(self, name: str, send: Callable[[Connection, float], None], now: float) -> None:
        """Send a bad frame to every connection with a subscription; until there is one the fault stays active."""
        args = self.faults.peek(name, now)
        if args is None:
            return
        subscribers = [
            connection
            for connection in self.connections(str(args.get("stream", "option")))
            if connection.session is not None and connection.session.subscriptions
        ]
        if subscribers:
            self.faults.trigger(name, now)
        for connection in subscribers:
            send(connection, now)

    def abort_all(self) -> None:
        """Abort every connection."""
        for connection in list(self._open.values()):
            connection.transport.abort()

    def state(self) -> dict[str, Any]:
        """The streams in the body of `GET /simulator/state`."""
        return {
            stream: {
                "open": [_connection_state(connection) for connection in self.connections(stream)],
                "accepted": self._accepted[stream],
                "maxOpen": self._most[stream],
            }
            for stream in ("option", "stock", "trading")
        }


def _connection_state(connection: Connection) -> dict[str, Any]:
    session = connection.session
    row: dict[str, Any] = {
        "id": connection.id,
        "subscriptions": list(session.subscriptions) if session is not None else [],
    }
    if isinstance(session, DataSession):
        row["feed"] = session.feed
        row["tradeSubscriptions"] = list(session.trade_subscriptions)
    return row


def _text_frame(connection: Connection) -> Send:
    symbol = connection.session.subscriptions[0] if connection.session else ""
    quote = {"T": "q", "S": symbol, "t": "2024-03-12T11:59:38.897261568Z", "bp": 1.0, "bs": 1, "ap": 1.1, "as": 1}
    return Send(msgspec.json.encode([quote]), is_text=True)


def _oversize_frame(connection: Connection) -> Send:
    symbol = connection.session.subscriptions[0] if connection.session else ""
    body = wire.encode({"T": "zz", "S": symbol, "v": "x" * 1000})
    return Send(wire.frame([body] * (_OVERSIZE_BYTES // len(body) + 1)))
