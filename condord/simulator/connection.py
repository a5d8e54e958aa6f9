"""Decides how a session is carried by a socket: an asyncio protocol around the sans-I/O core of websockets.

Rules: input may be fragmented, deflate is optional, pings are answered; the server pings every 54 seconds and aborts
6 seconds after a pong that did not come; a client that does not read is told 407 and closed; a closing handshake
that takes over 3 seconds is aborted. It is made by uvicorn on an upgrade, which hands over transport and request.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from condord.simulator.session import Close, Output, Session
from condord.simulator.wire import Encoded

if TYPE_CHECKING:
    from condord.simulator.streams import Streams

PING_SECONDS = 54.0
PONG_SECONDS = 6.0
CLOSE_SECONDS = 3.0
_BUFFER_BYTES = 4 << 20
_LINGER_NONE = struct.pack("ii", 1, 0)
_DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
_SWITCHING = 101


class _Protocol(ServerProtocol):
    """The websockets core, which asks before it answers a ping."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(extensions=[ServerPerMessageDeflateFactory()])
        self._connection = connection

    def send_frame(self, frame: Frame) -> None:
        """Send `frame`, unless it is a pong and pongs are off."""
        if frame.opcode is not Opcode.PONG or self._connection.may_pong():
            super().send_frame(frame)


class Connection(asyncio.Protocol):
    """One upgraded connection; `streams` finds its session and keeps count of it."""

    transport: asyncio.Transport

    def __init__(self, streams: Streams) -> None:
        self.stream = ""
        self.session: Session | None = None
        self.id = 0
        self._streams = streams
        self._clock = asyncio.get_running_loop().time
        self._protocol = _Protocol(self)
        self._parts: list[bytes] = []
        self._is_text = False
        self._is_deaf = False
        self._is_slow = False
        self._mute_until = -math.inf
        self._ping_at = math.inf
        self._abort_at = math.inf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport over; more than 4 MiB unread is too much."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self.transport = transport
        transport.set_write_buffer_limits(high=_BUFFER_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's form
        """Leave the streams and give the session's slot back."""
        if self.session is not None:
            self._streams.left(self)
            self.session.closed()

    def pause_writing(self) -> None:
        """Remember that the client does not read; the next tick tells it."""
        self._is_slow = True

    def data_received(self, data: bytes) -> None:
        """Take bytes from the wire."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._upgrade(event)
            elif isinstance(event, Frame):
                self._take(event)
        self._flush()

    def may_pong(self) -> bool:
        """Whether a ping is to be answered."""
        return self._streams.faults.strike("no-pong", self._clock(), stream=self.stream) is None

    def tick(self, now: float) -> None:
        """Ping, time out, and let the session do the same."""
        if self._is_slow:
            self._is_slow = False
            self.fail(407, now)
        if now >= self._abort_at:
            self.transport.abort()
        elif self._protocol.state is State.OPEN and self.session is not None:
            if now >= self._ping_at:
                self._protocol.send_ping(b"")
                self._ping_at, self._abort_at = math.inf, now + PONG_SECONDS
            self.apply(self.session.tick(now), now)

    def offer(self, batch: Sequence[Encoded], now: float) -> None:
        """Send what of `batch` is subscribed."""
        if self.session is not None and now >= self._mute_until:
            self.apply(self.session.offer(batch, now), now)

    def apply(self, outputs: Sequence[Output], now: float) -> None:
        """Do what the session decided."""
        for output in outputs:
            if self._protocol.state is not State.OPEN or now < self._mute_until:
                continue
            if isinstance(output, Close):
                self._protocol.send_close(output.code, output.reason)
                self._abort_at = now + CLOSE_SECONDS
            elif output.is_text:
                self._protocol.send_text(output.body)
            else:
                self._protocol.send_binary(output.body)
        self._flush()

    def fail(self, code: int, now: float) -> None:
        """Send the error `code` and close."""
        error = getattr(self.session, "error", None)
        self.apply([*(error(code) if error else ()), Close(1008)], now)

    def mute(self, until: float) -> None:
        """Send no more data before `until`."""
        self._mute_until = until

    def close(self, now: float, code: int) -> None:
        """Begin the closing handshake."""
        self.apply([Close(code)], now)

    def reset(self) -> None:
        """Break the connection at once: the client sees a reset, not an end."""
        opened: Any = self.transport.get_extra_info("socket")
        if opened is not None and not self.transport.is_closing():
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self.transport.abort()

    def reset_mid_frame(self) -> None:
        """Announce a frame of 1000 bytes, send ten of them, and break the connection."""
        self.transport.write(bytes([0x82, 126]) + struct.pack(">H", 1000) + bytes(10))
        # A reset right behind the bytes could overtake them.
        asyncio.get_running_loop().call_later(0.05, self.reset)

    def _upgrade(self, request: Request) -> None:
        now = self._clock()
        refusal = self._streams.refusal(request.path, now)
        if refusal is not None:
            status, text = refusal
            self._protocol.send_response(self._protocol.reject(status, text))
            return
        response = self._protocol.accept(request)
        self._protocol.send_response(response)
        if response.status_code == _SWITCHING:
            is_msgpack = "msgpack" in request.headers.get("Content-Type", "")
            self.session = self._streams.joined(self, request.path, now, is_msgpack=is_msgpack)
            self._ping_at = now + PING_SECONDS
            self.apply(self.session.opened(now), now)

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            if self._ping_at == math.inf:
                self._ping_at, self._abort_at = self._clock() + PING_SECONDS, math.inf
        elif frame.opcode is Opcode.CLOSE:
            faults = self._streams.faults
            self._is_deaf = faults.strike("close-without-echo", self._clock(), stream=self.stream) is not None
        elif frame.opcode in _DATA:
            self._assemble(frame)

    def _assemble(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        if not frame.fin or self.session is None:
            return
        whole = b"".join(self._parts)
        self._parts.clear()
        now = self._clock()
        message = whole.decode(errors="replace") if self._is_text else whole
        self.apply(self.session.received(message, now), now)

    def _flush(self) -> None:
        for chunk in self._protocol.data_to_send():
            if self._is_deaf or self.transport.is_closing():
                continue
            if chunk:
                self.transport.write(chunk)
            else:
                self.transport.close()
