"""Carry a session over a socket: an asyncio protocol around the sans-I/O core of websockets.

uvicorn creates the protocol on an upgrade and hands it the transport and the request.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections.abc import Sequence
from typing import Any, Protocol

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from condord.simulator.faults import Faults
from condord.simulator.origin_check import KnowsHost, origin_refusal
from condord.simulator.session import Close, Output, Session
from condord.simulator.wire import EncodedMessage

PING_SECONDS = 54.0  # between the server's pings
PONG_SECONDS = 6.0  # a connection whose pong is later is aborted
CLOSE_SECONDS = 3.0  # a closing handshake that takes longer is aborted
_BUFFER_BYTES = 4 << 20
_NO_LINGER = struct.pack("ii", 1, 0)
_DATA_OPCODES = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
_SWITCHING, _FOUND = 101, 302
_PINGS = (bytes([0x89, 125]) + bytes(125)) * 4096
_FLOOD_BYTES = 1 << 20


class StreamRegistry(Protocol):
    """The interface of the streams that a connection uses; implemented by `Streams`."""

    faults: Faults

    def refusal(self, target: str, now: float) -> tuple[int, str, str] | None:
        """The status, text and Location that refuse an upgrade to `target`; None if it is accepted."""

    def join(self, connection: Connection, target: str, now: float, *, is_msgpack: bool) -> Session:
        """Count `connection` as open and start its session."""

    def leave(self, connection: Connection) -> None:
        """Count `connection` as closed."""


class _Protocol(ServerProtocol):
    """The websockets core, except that pongs can be turned off."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(extensions=[ServerPerMessageDeflateFactory()])
        self._connection = connection

    def send_frame(self, frame: Frame) -> None:
        """Send `frame`, unless it is a pong and pongs are off."""
        if frame.opcode is not Opcode.PONG or self._connection.answers_pings():
            super().send_frame(frame)


class Connection(asyncio.Protocol):
    """One upgraded connection; `knows_host` is as for `OriginCheck`."""

    transport: asyncio.Transport

    def __init__(self, streams: StreamRegistry, knows_host: KnowsHost) -> None:
        self.stream = ""
        self.session: Session | None = None
        self.id = 0
        self._streams = streams
        self._knows_host = knows_host
        self._clock = asyncio.get_running_loop().time
        self._protocol = _Protocol(self)
        self._parts: list[bytes] = []
        self._is_text = False
        self._drops_output = False
        self._is_slow = False
        self._is_flooding = False
        self._mute_until = -math.inf
        self._ping_at = math.inf
        self._abort_at = math.inf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport; a client with more than 4 MiB unread is slow."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self.transport = transport
        transport.set_write_buffer_limits(high=_BUFFER_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Leave the streams and release the session's slot."""
        if self.session is not None:
            self._streams.leave(self)
            self.session.closed()

    def pause_writing(self) -> None:
        """Mark the client as slow; the next tick closes the connection."""
        self._is_slow = True

    def data_received(self, data: bytes) -> None:
        """Process received bytes."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._upgrade(event)
            elif isinstance(event, Frame):
                self._receive(event)
        self._flush()

    def answers_pings(self) -> bool:
        """Whether the next ping is answered."""
        return self._streams.faults.trigger("no-pong", self._clock(), stream=self.stream) is None

    def tick(self, now: float) -> None:
        """Send pings, abort on timeouts, and do what is due in the session."""
        if self._is_slow:
            self._is_slow = False
            self.close_with_error(407, now)
        if self._is_flooding:
            if self.transport.get_write_buffer_size() < _FLOOD_BYTES:
                self.transport.write(_PINGS)
        elif now >= self._abort_at:
            self.transport.abort()
        elif self._protocol.state is State.OPEN and self.session is not None:
            if now >= self._ping_at:
                self._protocol.send_ping(b"")
                self._ping_at, self._abort_at = math.inf, now + PONG_SECONDS
            self.apply(self.session.tick(now), now)

    def offer(self, batch: Sequence[EncodedMessage], now: float) -> None:
        """Send the subscribed messages of `batch`."""
        if self.session is not None and now >= self._mute_until:
            self.apply(self.session.offer(batch, now), now)

    def apply(self, outputs: Sequence[Output], now: float) -> None:
        """Perform the outputs of the session."""
        for output in outputs:
            if self._protocol.state is not State.OPEN or now < self._mute_until:
                continue
            if self._is_flooding:
                return
            if isinstance(output, Close):
                self._protocol.send_close(output.code, output.reason)
                self._abort_at = now + CLOSE_SECONDS
            elif output.is_text:
                self._protocol.send_text(output.body)
            else:
                self._protocol.send_binary(output.body)
        self._flush()

    def close_with_error(self, code: int, now: float) -> None:
        """Send the error `code` and close."""
        error = getattr(self.session, "error", None)
        self.apply([*(error(code) if error else ()), Close(1008)], now)

    def mute(self, until: float) -> None:
        """Send no data before `until`."""
        self._mute_until = until

    def flood(self) -> None:
        """Send only pings from now on, as fast as the client reads them, and read nothing."""
        self.transport.pause_reading()
        self._is_flooding = True

    def close(self, now: float, code: int) -> None:
        """Start the closing handshake."""
        self.apply([Close(code)], now)

    def reset(self) -> None:
        """Reset the connection (RST) instead of closing it."""
        sock: Any = self.transport.get_extra_info("socket")
        if sock is not None and not self.transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def reset_mid_frame(self) -> None:
        """Announce a frame of 1000 bytes, send ten of them, and reset the connection."""
        self.transport.write(bytes([0x82, 126]) + struct.pack(">H", 1000) + bytes(10))
        # What is sent until the reset would become part of this frame.
        self._drops_output = True
        # An immediate reset could discard the bytes before the client reads them.
        asyncio.get_running_loop().call_later(0.05, self.reset)

    def _upgrade(self, request: Request) -> None:
        now = self._clock()
        foreign = origin_refusal(request.headers.raw_items(), self._knows_host)
        refusal = foreign or self._streams.refusal(request.path, now)
        if refusal is not None:
            status, text, *location = refusal
            response = self._protocol.reject(status, text)
            if status == _FOUND:
                response.headers["Location"] = location[0]
            self._protocol.send_response(response)
            return
        response = self._protocol.accept(request)
        self._protocol.send_response(response)
        if response.status_code == _SWITCHING:
            is_msgpack = "msgpack" in request.headers.get("Content-Type", "")
            self.session = self._streams.join(self, request.path, now, is_msgpack=is_msgpack)
            self._ping_at = now + PING_SECONDS
            self.apply(self.session.opened(now), now)

    def _receive(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            if self._ping_at == math.inf:
                self._ping_at, self._abort_at = self._clock() + PING_SECONDS, math.inf
        elif frame.opcode is Opcode.CLOSE:
            # The core has already queued its answer: with this fault it is dropped.
            faults = self._streams.faults
            self._drops_output = faults.trigger("close-without-echo", self._clock(), stream=self.stream) is not None
        elif frame.opcode in _DATA_OPCODES:
            self._add_fragment(frame)

    def _add_fragment(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        if not frame.fin or self.session is None:
            return
        body = b"".join(self._parts)
        self._parts.clear()
        now = self._clock()
        message = body.decode(errors="replace") if self._is_text else body
        self.apply(self.session.received(message, now), now)

    def _flush(self) -> None:
        for chunk in self._protocol.data_to_send():
            if self._drops_output or self.transport.is_closing():
                continue
            if chunk:
                self.transport.write(chunk)
            else:
                self.transport.close()
