"""A TCP proxy that fails on command, as the network between the daemon and Alpaca may."""

import asyncio
import socket
import struct


class FaultyLink:
    """Use `async with FaultyLink(port) as link`, and connect the client to `link.port`, with TLS if it has a `context`.

    `refuses`: new connections are reset. `bytes_down` counts the bytes from the server; after `cut_after` of them half
    a chunk is lost and both sides are reset.
    """

    def __init__(self, target_port, context=None):
        self._target_port = target_port
        self._context = context
        self._pairs = set()
        self._pumps = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.refuses = False
        self.cut_after = None
        self.bytes_down = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info):
        self._server.close()
        self.reset()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def connections(self):
        """How many connections are open."""
        return len(self._pairs)

    def stall(self):
        """Hold back all data; the connections stay open."""
        self._flows.clear()

    def resume(self):
        """Pass on what was held back."""
        self._flows.set()

    def reset(self):
        """Reset all connections (RST)."""
        for pair in list(self._pairs):
            for writer in pair:
                _reset(writer)

    async def _accept(self, reader, writer):
        self._pumps.add(asyncio.current_task())
        try:
            if self.refuses:
                _reset(writer)
                return
            try:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            except OSError:  # nobody listens there
                _reset(writer)
                return
            pair = writer, far_writer
            self._pairs.add(pair)
            try:
                await asyncio.gather(
                    self._pump(reader, far_writer, is_down=False), self._pump(far_reader, writer, is_down=True)
                )
            except OSError:
                _reset(writer)
            finally:
                self._pairs.discard(pair)
                far_writer.close()
        finally:
            writer.close()
            self._pumps.discard(asyncio.current_task())

    async def _pump(self, reader, writer, *, is_down):
        while chunk := await reader.read(65536):
            await self._flows.wait()
            if is_down:
                self.bytes_down += len(chunk)
                if self.cut_after is not None and self.bytes_down >= self.cut_after:
                    writer.write(chunk[: len(chunk) // 2])
                    await asyncio.sleep(0)
                    self.reset()
                    return
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():  # not with TLS
            writer.write_eof()


def _reset(writer):
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
