"""Alpaca's two WebSocket servers in a test's hands, on the test's own loop: they behave until told otherwise.

`StreamServer` knows WebSockets alone; `OptionServer` and `TradingServer` add what Alpaca says. All of it runs in
protocol callbacks, so a server has no tasks of its own, and what it counts is what the kernel told it.
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
    """One connection, as the server sees it."""

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
                self._server.heard(self, bytes(event.data))
            elif event.opcode is Opcode.CLOSE:
                self.close_code = self._protocol.close_rcvd.code

    def _upgrade(self, request):
        self.request = request
        answer = self._server.upgrade
        if answer is None:
            return
        if answer == 101:
            self._protocol.send_response(self._protocol.accept(request))
        else:
            self._protocol.send_response(self._protocol.reject(answer, "no"))
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
        """One message: bytes as a binary frame, a string as a text frame; none on a connection that is closing."""
        if self._protocol.state is not State.OPEN:
            return
        if isinstance(data, str):
            self._protocol.send_text(data.encode())
        else:
            self._protocol.send_binary(data)
        self._write(self._protocol.data_to_send())

    def close(self, code=1001):
        """Begin the closing handshake, where none has begun."""
        if self._protocol.state is not State.OPEN:
            return
        self._protocol.send_close(code)
        self._write(self._protocol.data_to_send())

    def cut(self):
        """End the connection without a word."""
        self.transport.abort()

    def reset(self):
        """End the connection with RST."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def stop_reading(self):
        """Leave in the kernel what the other side sends."""
        self.transport.pause_reading()


class StreamServer:
    """`upgrade`: 101, another status that refuses, or None for silence.

    `pongs` and `echoes`: whether pings and closes are answered. `hangs_up`: whether TCP is closed after a close.
    `most`: how many connections there ever were at once. `joined_at`: the loop's time of each.
    """

    def __init__(self):
        self.upgrade = 101
        self.pongs = True
        self.echoes = True
        self.hangs_up = True
        self.peers = []
        self.all_peers = []
        self.joined_at = []
        self.most = 0

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
        self.most = max(self.most, len(self.peers))

    def left(self, peer):
        self.peers.remove(peer)

    def opened(self, peer):
        """The upgrade is done."""

    def heard(self, peer, data):
        """A message came."""


def frame(*elements):
    """A frame of the option stream."""
    return msgspec.msgpack.encode(list(elements))


CONNECTED = frame({"T": "success", "msg": "connected"})
AUTHENTICATED = frame({"T": "success", "msg": "authenticated"})


def error(code, text="no"):
    return frame({"T": "error", "code": code, "msg": text})


class OptionServer(StreamServer):
    """The option stream. `welcome`, `login`: the frames said there, None for silence.

    `acknowledges`: whether a subscription is answered. `ignored`: symbols that no acknowledgement names. `limit`: more
    symbols get a 405. `requests`: every subscribe and unsubscribe, of all connections.
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

    def heard(self, peer, data):
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
            wished = peer.subscribed | (asked - self.ignored)
            if self.limit is not None and len(wished) > self.limit:
                peer.send(error(405, "symbol limit exceeded"))
                return
            peer.subscribed = wished
        else:
            peer.subscribed -= asked
        peer.send(frame({"T": "subscription", "trades": [], "quotes": sorted(peer.subscribed)}))


class TradingServer(StreamServer):
    """The trading stream. `status`: the answer to a login, None for silence; `is_text`: the live account's frames."""

    def __init__(self):
        super().__init__()
        self.status = "authorized"
        self.listens = True
        self.is_text = False
        self.logins = []

    def say(self, peer, message):
        text = json.dumps(message)
        peer.send(text if self.is_text else text.encode())

    def heard(self, peer, data):
        message = json.loads(data)
        if message["action"] == "auth":
            self.logins.append((message["key"], message["secret"]))
            if self.status is not None:
                self.say(peer, {"stream": "authorization", "data": {"status": self.status, "action": "authenticate"}})
        elif self.listens:
            self.say(peer, {"stream": "listening", "data": {"streams": message["data"]["streams"]}})
