import asyncio
import contextlib
import gc
import socket
import weakref

import pytest

from condord.http.connection import EXTENSION
from condord.http.server import Address, Server, listen
from tests import virtualtime
from tests.http.asking import Answer, Client, serving


class Told:
    """An outlet that notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def blocked(self) -> None:
        self.heard.append("blocked")

    def drained(self) -> None:
        self.heard.append("drained")

    def lost(self) -> None:
        self.heard.append("lost")


class Open:
    """An application that begins an answer, and leaves its connection to the test until `finish`."""

    def __init__(self) -> None:
        self.connection = None
        self.finish = asyncio.Event()
        self.is_done = False

    async def __call__(self, scope, receive, send):
        self.connection = scope["extensions"][EXTENSION]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await self.finish.wait()
        await send({"type": "http.response.body", "body": b""})
        self.connection, self.is_done = None, True


@contextlib.asynccontextmanager
async def asked():
    """A client in the middle of a request, and the application that answers it."""
    app = Open()
    async with serving(app) as (_, port):
        with contextlib.closing(await Client.connect(port, receive_bytes=4096)) as client:
            await client.ask("/")
            await virtualtime.until(lambda: app.connection)
            yield client, app
            app.finish.set()


def play(scene):
    async def main():
        async with asked() as (client, app):
            await scene(client, app, app.connection)

    virtualtime.run(main())


def fill(connection):
    """Write until the socket takes no more; how much that was."""
    written = 0
    while not connection.is_blocked:
        connection.transport.write(bytes(1024))
        written += 1024
    return written


async def drain(client, size):
    answer = await client.exactly(size)
    await virtualtime.settle()
    return answer


def test_an_outlet_is_told_as_soon_as_anything_waits_and_when_nothing_does():
    async def scene(client, app, connection):
        told = Told()
        connection.take_over(told)
        written = fill(connection)
        assert told.heard == ["blocked"]
        assert connection.transport.get_write_buffer_size() <= 1024
        await drain(client, written)
        assert told.heard == ["blocked", "drained"]
        assert not connection.is_blocked

    play(scene)


def test_an_outlet_is_told_that_something_waits_already():
    async def scene(client, app, connection):
        while not connection.transport.get_write_buffer_size():
            connection.transport.write(bytes(1024))
        assert not connection.is_blocked
        told = Told()
        connection.take_over(told)
        assert told.heard == ["blocked"]

    play(scene)


def test_an_outlet_is_told_that_the_connection_is_blocked_already():
    async def scene(client, app, connection):
        fill(connection)
        told = Told()
        connection.take_over(told)
        assert told.heard == ["blocked"]

    play(scene)


def test_an_outlet_is_told_that_the_connection_is_lost():
    async def scene(client, app, connection):
        told = Told()
        connection.take_over(told)
        client.close()
        await virtualtime.until(lambda: told.heard)
        assert told.heard == ["lost"]

    play(scene)


def test_an_outlet_is_told_that_the_connection_was_lost_before():
    async def scene(client, app, connection):
        client.close()
        await virtualtime.until(connection.transport.is_closing)
        await virtualtime.settle()
        told = Told()
        connection.take_over(told)
        assert told.heard == ["lost"]

    play(scene)


def test_an_outlet_that_gave_the_connection_back_is_told_nothing():
    async def scene(client, app, connection):
        told = Told()
        connection.take_over(told)
        connection.hand_back()
        written = fill(connection)
        assert written > 64 * 1024
        await drain(client, written)
        client.close()
        await virtualtime.until(connection.transport.is_closing)
        assert told.heard == []

    play(scene)


def test_an_evicted_client_is_told_so_by_a_reset_though_it_has_not_read_what_waits():
    async def scene(client, app, connection):
        fill(connection)
        connection.evict()
        with pytest.raises(ConnectionResetError):
            await client.to_the_end()

    play(scene)


def test_a_connection_of_a_unix_socket_can_be_evicted(tmp_path):
    async def main():
        path = str(tmp_path / "condord.sock")
        app = Open()
        server = Server(app)
        running = asyncio.create_task(server.run_on([listen(Address(host="", port=0, uds=path))]))
        await server.is_serving.wait()
        with socket.socket(socket.AF_UNIX) as opened:
            opened.setblocking(False)
            opened.connect(path)
            client = Client(opened)
            await client.ask("/")
            await virtualtime.until(lambda: app.connection)
            fill(app.connection)
            app.connection.evict()
            with pytest.raises(EOFError):
                await client.to_the_end()
        app.finish.set()
        server.stop()
        await running

    virtualtime.run(main())


def test_a_connection_that_has_ended_is_freed_without_the_garbage_collector():
    async def main():
        app = Open()
        async with serving(app) as (_, port):
            client = await Client.connect(port)
            await client.ask("/")
            await virtualtime.until(lambda: app.connection)
            kept = weakref.ref(app.connection)
            app.finish.set()
            await client.read(Answer())
            client.close()
            await virtualtime.settle(1.0)
            assert kept() is None

    gc.disable()
    try:
        virtualtime.run(main())
    finally:
        gc.enable()
