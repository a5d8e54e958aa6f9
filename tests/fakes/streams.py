"""Fakes of Alpaca's two WebSocket servers on the test's event loop, which behave well unless a test changes that.

`StreamServer` knows only WebSockets; `OptionServer` and `TradingServer` add Alpaca's messages. Everything runs in
protocol callbacks, so a server has no tasks, and its counts are correct as soon as the kernel has reported an event.
"""

import asyncio
import json
import socket
import struct

import msgspec
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol


class Peer(asyncio.Protocol):
    """The server's side of one connection."""

    def __init__(self, server):
        self._server = server
        self._protocol = ServerProtocol(max_size=None)
        self.request = None
        self.received = []
        self.subscribed = set()
        self.close_code = None

    def connection_made(self, transport):
        self.transport = transport
        self._server.joined(self)

    def connection_lost(self, exc):
        self._server.left(self)

    def data_received(self, data):
        self._protocol.receive_data(data)
        events = self._protocol.events_received()
        replies = self._protocol.data_to_send()
        frames = [event for event in events if not isinstance(event, Request)]
        is_dropped = (not self._server.pongs and any(frame.opcode is Opcode.PING for frame in frames)) or (
            not self._server.echoes and any(frame.opcode is Opcode.CLOSE for frame in frames)
        )
        if not is_dropped:
            self._write(replies)
        for event in events:
            if isinstance(event, Request):
                self._upgrade(event)
            elif event.opcode in (Opcode.TEXT, Opcode.BINARY):
                self.received.append(bytes(event.data))
                self._server.received(self, bytes(event.data))
            elif event.opcode is Opcode.CLOSE:
                self.close_code = self._protocol.close_rcvd.code

    def _upgrade(self, request):
        self.request = request
        answer = self._server.upgrade
        if answer is None:
            return
        response = self._protocol.accept(request) if answer == 101 else self._protocol.reject(answer, "no")
        response.headers.update(self._server.headers)
        self._protocol.send_response(response)
        self._write(self._protocol.data_to_send())
        if answer == 101:
            self._server.opened(self)

    def _write(self, chunks):
        for chunk in chunks:
            if chunk:
                self.transport.write(chunk)
            elif self._server.hangs_up:
                self.transport.close()

    def send(self, data):
        """Send bytes as a binary frame, or a string as a text frame; do nothing if the connection is closing."""
        if self._protocol.state is not State.OPEN:
            return
        if isinstance(data, str):
            self._protocol.send_text(data.encode())
        else:
            self._protocol.send_binary(data)
        self._write(self._protocol.data_to_send())

    def close(self, code=1001):
        """Begin the closing handshake, unless it has begun."""
        if self._protocol.state is not State.OPEN:
            return
        self._protocol.send_close(code)
        self._write(self._protocol.data_to_send())

    def cut(self):
        """End the connection without a close frame."""
        self.transport.abort()

    def reset(self):
        """Reset the connection (RST)."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def flood(self):
        """Send pings as fast as possible, and read none of the pongs."""
        self.stop_reading()
        self._pings = asyncio.ensure_future(self._send_pings())

    async def _send_pings(self):
        while not self.transport.is_closing():
            self.transport.write(b"\x89\x7d".ljust(127, b"p") * 1000)
            await asyncio.sleep(0)

    def stop_reading(self):
        """Leave in the kernel's buffer what the other side sends."""
        self.transport.pause_reading()


class StreamServer:
    """`upgrade` is 101, another status that refuses, or None for silence; `headers` are added to that answer.

    `pongs` and `echoes`: whether pings and close frames are answered. `hangs_up`: whether TCP is closed after a close.
    `peers` are the open connections, `all_peers` all there were, `joined_at` their loop times, and `max_open` is the
    largest number open at once.
    """

    def __init__(self):
        self.upgrade = 101
        self.headers = []
        self.pongs = True
        self.echoes = True
        self.hangs_up = True
        self.peers = []
        self.all_peers = []
        self.joined_at = []
        self.max_open = 0

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Peer(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info):
        self._server.close()
        for peer in list(self.peers):
            peer.cut()
        await self._server.wait_closed()
        await asyncio.sleep(0.01)

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}/stream"

    @property
    def peer(self):
        """The newest connection."""
        return self.all_peers[-1]

    def joined(self, peer):
        self.peers.append(peer)
        self.all_peers.append(peer)
        self.joined_at.append(asyncio.get_running_loop().time())
        self.max_open = max(self.max_open, len(self.peers))

    def left(self, peer):
        self.peers.remove(peer)

    def opened(self, peer):
        """React to the end of the upgrade."""

    def received(self, peer, data):
        """React to a message."""


def frame(*elements):
    """Encode a frame of the option stream."""
    return msgspec.msgpack.encode(list(elements))


CONNECTED = frame({"T": "success", "msg": "connected"})
AUTHENTICATED = frame({"T": "success", "msg": "authenticated"})


def error(code, text="no"):
    return frame({"T": "error", "code": code, "msg": text})


class OptionServer(StreamServer):
    """The option stream. `welcome` and `login` are the frames sent at these steps, None for silence.

    `acknowledges`: whether subscriptions are answered. `ignored`: symbols that no acknowledgement contains. `limit`:
    more symbols are answered with 405. `logins` and `requests` are those of all connections, in order.
    """

    def __init__(self):
        super().__init__()
        self.welcome = CONNECTED
        self.login = AUTHENTICATED
        self.acknowledges = True
        self.ignored = set()
        self.limit = None
        self.logins = []
        self.requests = []

    def opened(self, peer):
        if self.welcome is not None:
            peer.send(self.welcome)

    def received(self, peer, data):
        message = msgspec.msgpack.decode(data)
        if message["action"] == "auth":
            self.logins.append((message["key"], message["secret"]))
            if self.login is not None:
                peer.send(self.login)
            return
        self.requests.append((message["action"], message["quotes"]))
        if not self.acknowledges:
            return
        asked = set(message["quotes"])
        if message["action"] == "subscribe":
            subscribed = peer.subscribed | (asked - self.ignored)
            if self.limit is not None and len(subscribed) > self.limit:
                peer.send(error(405, "symbol limit exceeded"))
                return
            peer.subscribed = subscribed
        else:
            peer.subscribed -= asked
        peer.send(frame({"T": "subscription", "trades": [], "quotes": sorted(peer.subscribed)}))


class StockServer(OptionServer):
    """The stock stream, which has the same protocol."""


class TradingServer(StreamServer):
    """The trading stream. `status` answers a login, None for silence. `is_text`: text frames, as for live accounts."""

    def __init__(self):
        super().__init__()
        self.status = "authorized"
        self.listens = True
        self.is_text = False
        self.logins = []

    def send_message(self, peer, message):
        text = json.dumps(message)
        peer.send(text if self.is_text else text.encode())

    def received(self, peer, data):
        message = json.loads(data)
        if message["action"] == "auth":
            self.logins.append((message["key"], message["secret"]))
            if self.status is not None:
                self.send_message(
                    peer, {"stream": "authorization", "data": {"status": self.status, "action": "authenticate"}}
                )
        elif self.listens:
            self.send_message(peer, {"stream": "listening", "data": {"streams": message["data"]["streams"]}})
