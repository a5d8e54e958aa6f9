import asyncio
import contextlib
import gc
import socket
import struct
import weakref

import pytest

from condord.host.loopback import is_loopback
from condord.http.app import build
from condord.http.connection import EXTENSION, HttpConnection
from condord.http.guard import Guard
from condord.http.headers import PROTECTION
from condord.http.interfaces import GuardSettings
from condord.http.limits import Limits
from condord.http.problem import problem
from condord.http.server import HttpServer, ListenAddress, listen
from tests import virtualtime
from tests.http.fake_daemon import Answer, Client, FakeDaemon, serving


class RecordingOutlet:
    """An outlet that records its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def blocked(self) -> None:
        self.calls.append("blocked")

    def drained(self) -> None:
        self.calls.append("drained")

    def lost(self) -> None:
        self.calls.append("lost")


class PausedApp:
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
async def open_request():
    """A client in the middle of a request, and the application that answers it."""
    app = PausedApp()
    async with serving(app) as (_, port):
        with contextlib.closing(await Client.connect(port, receive_bytes=4096)) as client:
            await client.ask("/")
            await virtualtime.until(lambda: app.connection)
            yield client, app
            app.finish.set()


def run_scenario(scenario):
    async def main():
        async with open_request() as (client, app):
            await scenario(client, app, app.connection)

    virtualtime.run(main())


def fill(connection):
    """Write until the socket takes no more; returns how many bytes that was."""
    written = 0
    while not connection.is_blocked:
        connection.transport.write(bytes(1024))
        written += 1024
    return written


async def drain(client, size):
    answer = await client.exactly(size)
    await virtualtime.settle()
    return answer


def test_an_outlet_is_called_as_soon_as_bytes_wait_and_when_none_do():
    async def scenario(client, app, connection):
        outlet = RecordingOutlet()
        connection.take_over(outlet)
        written = fill(connection)
        assert outlet.calls == ["blocked"]
        assert connection.transport.get_write_buffer_size() <= 1024
        await drain(client, written)
        assert outlet.calls == ["blocked", "drained"]
        assert not connection.is_blocked

    run_scenario(scenario)


def test_an_outlet_is_called_if_bytes_wait_already():
    async def scenario(client, app, connection):
        while not connection.transport.get_write_buffer_size():
            connection.transport.write(bytes(1024))
        assert not connection.is_blocked
        outlet = RecordingOutlet()
        connection.take_over(outlet)
        assert outlet.calls == ["blocked"]

    run_scenario(scenario)


def test_an_outlet_is_called_if_the_connection_is_blocked_already():
    async def scenario(client, app, connection):
        fill(connection)
        outlet = RecordingOutlet()
        connection.take_over(outlet)
        assert outlet.calls == ["blocked"]

    run_scenario(scenario)


def test_an_outlet_is_called_when_the_connection_is_lost():
    async def scenario(client, app, connection):
        outlet = RecordingOutlet()
        connection.take_over(outlet)
        client.close()
        await virtualtime.until(lambda: outlet.calls)
        assert outlet.calls == ["lost"]

    run_scenario(scenario)


def test_an_outlet_is_called_if_the_connection_was_lost_before():
    async def scenario(client, app, connection):
        client.close()
        await virtualtime.until(connection.transport.is_closing)
        await virtualtime.settle()
        outlet = RecordingOutlet()
        connection.take_over(outlet)
        assert outlet.calls == ["lost"]

    run_scenario(scenario)


def test_an_outlet_that_gave_the_connection_back_is_not_called():
    async def scenario(client, app, connection):
        outlet = RecordingOutlet()
        connection.take_over(outlet)
        connection.hand_back()
        written = fill(connection)
        assert written > 64 * 1024
        await drain(client, written)
        client.close()
        await virtualtime.until(connection.transport.is_closing)
        assert outlet.calls == []

    run_scenario(scenario)


def test_an_evicted_client_gets_a_reset_even_with_unread_bytes():
    async def scenario(client, app, connection):
        fill(connection)
        connection.evict()
        with pytest.raises(ConnectionResetError):
            await client.to_the_end()

    run_scenario(scenario)


def test_a_connection_of_a_unix_socket_can_be_evicted(tmp_path):
    async def main():
        path = str(tmp_path / "condord.sock")
        app = PausedApp()
        server = HttpServer(app)
        running = asyncio.create_task(server.run_on([listen(ListenAddress(host="", port=0, uds=path))]))
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
        app = PausedApp()
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


# Bounds. They are shorter than the daemon's, since uvicorn wakes up ten times a second, on a virtual clock, too.

LIMITS = Limits(
    head_bytes=500,
    target_bytes=200,
    body_bytes=1000,
    read_bytes=1500,
    head_seconds=0.4,
    body_seconds=0.6,
    idle_seconds=0.8,
    unsent_seconds=1.0,
    leave_seconds=0.3,
    last_seconds=0.25,
    other_connections=3,
    leaving_connections=2,
)
HALF = b"GET /livez HTTP/1.1\r\nHost: loc"
GOOD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"POST /api/refresh HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class BoundedServer:
    """A server with a limit of connections, and its clients; its time starts at zero."""

    def __init__(self, server, port, daemon, stack) -> None:
        self.server, self.daemon = server, daemon
        self._port, self._stack = port, stack
        self._started = asyncio.get_running_loop().time()

    @property
    def now(self):
        return round(asyncio.get_running_loop().time() - self._started, 6)

    @property
    def connections(self):
        return [*self.server.server_state.connections]

    async def send(self, raw=b"", **options):
        """A client that has sent `raw`."""
        client = self._stack.enter_context(contextlib.closing(await Client.connect(self._port, **options)))
        if raw:
            await client.send(raw)
        return client

    async def follow(self):
        """A client of the stream."""
        before = len(self.daemon.opened)
        client = await self.send(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await virtualtime.until(lambda: len(self.daemon.opened) > before)
        return client

    async def answers(self, raw):
        """The status of the answer to `raw`."""
        return (await (await self.send(raw)).read(Answer())).status


def bounded(scenario, app=None, *, room=1, **changed):
    """Run `scenario` with a server of few connections and short limits; afterwards no connection and no timer is left."""
    limits = Limits(**{name: getattr(LIMITS, name) for name in LIMITS.__struct_fields__} | changed)

    async def main():
        daemon = FakeDaemon(room=100)
        async with serving(app or build(daemon), limits=limits, subscribers=lambda: room) as (server, port):
            with contextlib.ExitStack() as stack:
                await scenario(BoundedServer(server, port, daemon, stack))
            await virtualtime.until(lambda: not server.server_state.connections, within=3.0)
        assert not timers()

    virtualtime.run(main())


def timers():
    scheduled = [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]
    return [timer for timer in scheduled if isinstance(getattr(timer._callback, "__self__", None), HttpConnection)]


async def refused(client, status):
    """The answer that a refused client reads, and then the end."""
    answer = await client.read(Answer())
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert answer.headers.keys() >= {name.decode() for name, _ in PROTECTION}
    assert answer.json()["status"] == status
    with pytest.raises(EOFError):
        await client.some()
    return answer


@pytest.mark.parametrize("begun", [b"", b"G", HALF, GOOD[:-2]])
def test_a_head_that_does_not_end_in_time_gets_408(begun):
    async def scenario(served):
        await refused(await served.send(begun), 408)
        assert 0.4 <= served.now < 0.6

    bounded(scenario)


def test_single_bytes_do_not_put_off_the_end_of_a_head():
    async def scenario(served):
        client = await served.send()
        with contextlib.suppress(ConnectionError):
            for byte in GOOD * 3:
                await client.send(bytes([byte]))
                await asyncio.sleep(0.05)
        assert served.connections == []
        await refused(client, 408)

    bounded(scenario)


def test_a_stream_has_no_timer():
    async def scenario(served):
        await served.send(HALF)
        await virtualtime.until(timers)
        client = await served.follow()
        assert len(timers()) == 1
        await asyncio.sleep(5.0)
        assert len(served.connections) == 1
        client.close()

    bounded(scenario)


def test_a_head_that_arrives_in_pieces_but_in_time_is_answered():
    async def scenario(served):
        client = await served.send()
        for start in range(0, len(GOOD), 8):
            await client.send(GOOD[start : start + 8])
            await asyncio.sleep(0.04)
        assert (await client.read(Answer())).status == 200

    bounded(scenario)


@pytest.mark.parametrize("begun", [b"Content-Length: 9\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"])
def test_a_body_that_trickles_is_cut_off_after_its_answer(begun):
    async def scenario(served):
        client = await served.send(b"POST /api/refresh HTTP/1.1\r\nHost: localhost\r\n" + begun)
        assert (await client.read(Answer())).status == 202
        await asyncio.sleep(0.4)
        await client.send(b"1\r\n")
        with pytest.raises(EOFError):
            await client.some()
        assert 0.6 <= served.now < 0.8

    bounded(scenario)


def test_a_body_that_does_not_end_ends_a_stream():
    async def scenario(served):
        await served.send(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        await virtualtime.until(lambda: served.daemon.opened)
        await virtualtime.until(lambda: not served.daemon.fanout.subscribers, within=0.8)

    bounded(scenario)


def test_a_body_that_does_not_end_before_the_answer_begins_gets_408():
    async def reading(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass

    async def scenario(served):
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
        client = await served.send(head)
        assert await client.exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"[:25]
        await refused(client, 408)

    bounded(scenario, reading)


def test_an_idle_connection_closes_without_an_answer():
    async def scenario(served):
        client = await served.send(GOOD)
        assert (await client.read(Answer())).status == 200
        with pytest.raises(EOFError):
            await client.some()
        assert 0.8 <= served.now < 1.0

    bounded(scenario)


def test_the_time_for_a_second_head_begins_with_its_first_byte():
    async def scenario(served):
        client = await served.send(GOOD)
        await client.read(Answer())
        await asyncio.sleep(0.6)
        await client.send(HALF)
        await refused(client, 408)
        assert 1.0 <= served.now < 1.2

    bounded(scenario)


def test_a_connection_whose_body_ends_after_the_answer_is_idle_and_closed_in_the_end():
    async def scenario(served):
        client = await served.send(CHUNKED)
        assert (await client.read(Answer())).status == 202
        await client.send(b"0\r\n\r\n" + GOOD)
        assert (await client.read(Answer())).status == 200
        with pytest.raises(EOFError):
            await client.some()

    bounded(scenario)


def test_half_a_pipelined_request_times_out_like_any_other():
    async def scenario(served):
        client = await served.send(GOOD * 2 + HALF)
        assert [(await client.read(Answer())).status for _ in range(2)] == [200, 200]
        await refused(client, 408)

    bounded(scenario)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x16\x03\x01 no HTTP at all", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX" + b"x" * 600, 431),
        (b"GET /" + b"x" * 600, 414),
        (b"GET /" + b"x" * 300 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\n\r\n", 413),
        (CHUNKED + b"3e9\r\n" + b"x" * 1001, 413),
        (CHUNKED.replace(b"chunked", b"gzip"), 501),
    ],
)
def test_a_request_that_cannot_be_served_gets_a_problem(raw, status):
    async def scenario(served):
        await refused(await served.send(raw), status)

    bounded(scenario)


def test_pipelined_requests_have_the_same_limits():
    async def scenario(served):
        client = await served.send(GOOD + GOOD.replace(b"/livez", b"/" + b"x" * 300))
        assert (await client.read(Answer())).status == 200
        await refused(client, 414)

    bounded(scenario)


def test_a_refused_head_request_is_answered_without_a_body():
    async def scenario(served):
        client = await served.send(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n")
        answer = await client.read(Answer(), is_head=True)
        assert (answer.status, int(answer.headers["content-length"]) > 50) == (413, True)
        with pytest.raises(EOFError):
            await client.some()

    bounded(scenario)


def test_an_unreadable_request_after_a_head_request_gets_a_problem():
    async def scenario(served):
        client = await served.send(GOOD.replace(b"GET", b"HEAD") + b"no request\r\n\r\n")
        assert (await client.read(Answer(), is_head=True)).status == 200
        await refused(client, 400)

    bounded(scenario)


def test_an_invalid_body_after_its_answer_closes_the_connection():
    async def scenario(served):
        client = await served.send(CHUNKED)
        assert (await client.read(Answer())).status == 202
        await client.send(b"no chunk\r\n")
        with pytest.raises(EOFError):
            await client.some()
        assert served.now < 0.4

    bounded(scenario)


def test_an_invalid_body_ends_a_stream():
    async def scenario(served):
        client = await served.send(CHUNKED.replace(b"POST /api/refresh", b"GET /api/stream"))
        await virtualtime.until(lambda: served.daemon.fanout.subscribers)
        await client.send(b"no chunk\r\n")
        await virtualtime.until(lambda: not served.daemon.fanout.subscribers, within=0.3)

    bounded(scenario)


def test_a_stream_request_with_an_invalid_body_never_begins():
    async def scenario(served):
        raw = CHUNKED.replace(b"POST /api/refresh", b"GET /api/stream") + b"no chunk\r\n"
        await refused(await served.send(raw), 400)
        assert served.daemon.fanout.subscribers == 0

    bounded(scenario)


def test_a_refused_client_can_read_why_while_it_keeps_sending():
    async def scenario(served):
        client = await served.send(CHUNKED.replace(b"chunked", b"gzip"))
        for _ in range(10):
            await client.send(b"x" * 10_000)
            await virtualtime.settle()
        assert (await client.read(Answer())).status == 501

    bounded(scenario)


def test_a_client_that_never_leaves_is_dropped():
    async def scenario(served):
        await served.send(b"no HTTP\r\n\r\n")
        await virtualtime.until(lambda: served.connections)
        await virtualtime.until(lambda: not served.connections, within=0.5)

    bounded(scenario)


def test_pipelined_requests_are_buffered_up_to_one_read_and_all_answered():
    async def scenario(served):
        client = await served.follow()
        await client.send(GOOD * 500)
        await virtualtime.settle(1.0)
        (connection,) = served.connections
        assert 0 < connection._reader.waiting_bytes <= LIMITS.read_bytes
        served.daemon.stop()
        assert (await client.read(Answer())).body.endswith(b"}\n\n")
        assert {(await client.read(Answer())).status for _ in range(500)} == {200}

    bounded(scenario)


async def long_answer(scope, receive, send):
    """An application with a long answer."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4000000")]})
    await send({"type": "http.response.body", "body": bytes(4_000_000)})


@pytest.mark.parametrize("asked", [GOOD, GOOD * 5])
def test_a_client_that_reads_nothing_of_its_answer_is_reset(asked):
    async def scenario(served):
        client = await served.send(asked, receive_bytes=4096)
        await virtualtime.until(lambda: served.connections)
        await virtualtime.until(lambda: not served.connections, within=2.5)
        with pytest.raises(ConnectionResetError):
            await client.to_the_end()

    bounded(scenario, long_answer)


def test_a_client_that_reads_its_answer_slowly_gets_all_of_it():
    async def scenario(served):
        client = await served.send(GOOD)
        await client.exactly(500_000)
        for _ in range(7):
            await client.exactly(500_000)
            await asyncio.sleep(0.5)
        with pytest.raises(EOFError):
            await client.to_the_end()
        assert served.now > 3.0

    bounded(scenario, long_answer)


# More connections than there is room for.


def test_the_client_that_has_stalled_longest_makes_room():
    async def scenario(served):
        stalled = [await served.send(HALF) for _ in range(4)]
        await virtualtime.until(lambda: len(served.connections) == 4)
        assert await served.answers(GOOD) == 200
        answer = await refused(stalled[0], 503)
        assert answer.headers["retry-after"] == "10"

    bounded(scenario)


def test_an_idle_client_makes_room_without_an_answer():
    async def scenario(served):
        idle = [await served.send(GOOD) for _ in range(4)]
        for client in idle:
            await client.read(Answer())
        assert await served.answers(GOOD) == 200
        with pytest.raises(EOFError):
            await idle[0].some()

    bounded(scenario)


def test_each_stream_whose_body_has_not_ended_makes_room_at_once():
    async def scenario(served):
        for _ in range(4):
            await served.send(CHUNKED.replace(b"POST /api/refresh", b"GET /api/stream"))
        await virtualtime.until(lambda: served.daemon.fanout.subscribers == 4)
        for _ in range(3):
            await served.send()
        await virtualtime.until(lambda: served.daemon.fanout.subscribers == 1, within=0.2)
        assert len(served.connections) == 4

    bounded(scenario)


# Requests that the application has not admitted.

TOKEN = "a-token-of-some-length"
ASKED = b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
OWNER = f"GET /api/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()


def guarded(app=None):
    """An application behind a guard that wants the token."""
    settings = GuardSettings(knows_host=is_loopback, origins=frozenset(), token=lambda: TOKEN)
    return Guard(app or build(FakeDaemon()), settings)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (ASKED, 401),
        (ASKED.replace(b"localhost", b"evil.example"), 421),
        (ASKED.replace(b"localhost", b"a b"), 400),
        (ASKED.replace(b"\r\n\r\n", b"\r\nSec-Fetch-Site: cross-site\r\n\r\n"), 403),
        (ASKED.replace(b"GET", b"POST"), 401),
        (CHUNKED + b"0\r\n\r\n", 401),
        (b"GET /no/such/thing HTTP/1.1\r\nHost: localhost\r\n\r\n", 401),
    ],
)
@pytest.mark.parametrize("more", [b"", ASKED, OWNER, b"no request\r\n\r\n", b"GET"])
def test_a_refused_request_closes_its_connection_even_with_more_after_it(raw, status, more):
    async def scenario(served):
        await refused(await served.send(raw + more), status)

    bounded(scenario, guarded())


def test_an_error_that_answers_a_request_with_the_token_leaves_the_connection_open():
    async def scenario(served):
        client = await served.send(OWNER.replace(b"/api/status", b"/no/such/thing") + OWNER)
        assert [(await client.read(Answer())).status for _ in range(2)] == [404, 200]

    bounded(scenario, guarded())


def test_an_error_that_needed_no_token_closes_the_connection():
    async def elsewhere(scope, receive, send):
        await problem(404, "there is no such thing")(scope, receive, send)

    async def scenario(served):
        client = await served.send(ASKED)
        answer = await client.read(Answer())
        assert (answer.status, answer.headers["connection"]) == (404, "close")
        with pytest.raises(EOFError):
            await client.some()

    bounded(scenario, elsewhere)


def test_a_token_that_was_shown_once_does_not_admit_a_later_request():
    async def scenario(served):
        client = await served.send(OWNER + ASKED)
        assert (await client.read(Answer())).status == 200
        await refused(client, 401)

    bounded(scenario, guarded())


def test_a_refusal_can_be_read_while_the_client_keeps_sending():
    async def scenario(served):
        client = await served.send(ASKED)
        for _ in range(10):
            await client.send(b"x" * 10_000)
            await virtualtime.settle()
        assert (await client.read(Answer())).status == 401

    bounded(scenario, guarded())


@pytest.mark.parametrize("raw", [GOOD, GOOD * 50, ASKED * 50, HALF, b""])
def test_clients_without_the_token_that_read_nothing_never_keep_out_one_with_the_token(raw):
    async def long(scope, receive, send):
        await (long_answer if scope["path"] == "/livez" else build(FakeDaemon()))(scope, receive, send)

    async def scenario(served):
        for _ in range(12):
            await served.send(raw, receive_bytes=4096)
            await virtualtime.settle(0.01)
            assert await served.answers(OWNER) == 200
            assert len(served.connections) <= 4 + LIMITS.leaving_connections + 1

    bounded(scenario, guarded(long), head_seconds=50.0, unsent_seconds=50.0, idle_seconds=50.0)


def test_a_client_with_the_token_that_does_not_read_makes_room_only_after_all_clients_without():
    async def scenario(served):
        not_reading = await served.send(OWNER, receive_bytes=4096)
        await virtualtime.until(lambda: any(each.transport.get_write_buffer_size() for each in served.connections))
        for _ in range(6):
            await served.send(HALF)
            await virtualtime.settle(0.01)
        assert len((await not_reading.read(Answer())).body) == 4_000_000
        for _ in range(3):
            await served.send(OWNER, receive_bytes=4096)
            await virtualtime.settle(0.01)
        first = await served.send(OWNER, receive_bytes=4096)
        await virtualtime.settle(0.01)
        assert await served.answers(OWNER) == 200
        await first.exactly(100_000)

    bounded(scenario, guarded(long_answer), head_seconds=50.0, unsent_seconds=50.0, idle_seconds=50.0)


def test_a_client_that_closes_its_side_and_does_not_read_makes_room():
    async def scenario(served):
        for _ in range(8):
            client = await served.send(GOOD, receive_bytes=4096)
            await virtualtime.settle(0.01)
            client.socket.shutdown(socket.SHUT_WR)
        await virtualtime.settle(0.01)
        assert await served.answers(OWNER) == 200

    bounded(scenario, guarded(long_answer), unsent_seconds=50.0)


def test_while_streams_with_the_token_take_all_connections_a_new_one_is_refused():
    async def scenario(served):
        follow = OWNER.replace(b"/api/status", b"/api/stream")
        streams = [await served.send(follow) for _ in range(4)]
        await virtualtime.until(lambda: daemon.fanout.subscribers == 4)
        await refused(await served.send(OWNER), 503)
        assert daemon.fanout.subscribers == 4
        streams[0].close()

    daemon = FakeDaemon(room=100)
    bounded(scenario, guarded(build(daemon)))


def test_a_client_that_resets_its_connection_at_any_moment_is_not_a_fault(caplog):
    async def scenario(served):
        streams = [await served.follow() for _ in range(4)]
        for raw in (b"", GOOD, b"no HTTP\r\n\r\n", CHUNKED, HALF) * 4:
            client = await served.send(raw)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            client.close()
        await virtualtime.settle(2.0)
        assert len(served.connections) == len(streams)
        streams.pop().close()
        await virtualtime.settle(0.1)
        for raw in (b"", GOOD, b"no HTTP\r\n\r\n", CHUNKED, HALF) * 4:
            client = await served.send(raw)
            await virtualtime.settle(0.001)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            client.close()
        await virtualtime.settle(2.0)

    bounded(scenario)
    assert caplog.records == []


@pytest.mark.parametrize("leave", ["close_after_refusal", "give_way", "drop", "evict", "shutdown"])
def test_leaving_a_connection_that_its_client_has_just_reset_is_not_a_fault(leave, caplog):
    async def scenario(served):
        client = await served.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        await client.read(Answer())
        (connection,) = served.connections
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        client.close()
        getattr(connection, leave)()
        await virtualtime.until(lambda: not served.connections)

    async def short(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    bounded(scenario, short)
    assert caplog.records == []


def test_ending_a_connection_that_was_reset_while_its_refusal_waits_in_the_transport_is_not_a_fault(caplog):
    async def large_answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"4000000")]})
        await send({"type": "http.response.body", "body": bytes(4_000_000)})

    async def scenario(served):
        client = await served.send(GOOD, receive_bytes=4096)
        await virtualtime.until(lambda: served.connections and served.connections[0].transport.get_write_buffer_size())
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        client.close()
        await virtualtime.until(lambda: not served.connections)
        reader = await served.send(GOOD)
        assert len((await reader.read(Answer())).body) == 4_000_000
        with pytest.raises(EOFError):
            await reader.some()

    bounded(scenario, large_answer, leave_seconds=5.0)
    assert caplog.records == []


def test_when_all_connections_are_busy_a_new_one_gets_503_with_retry_after():
    async def scenario(served):
        streams = [await served.follow() for _ in range(4)]
        newcomer = await served.send(GOOD)
        answer = await refused(newcomer, 503)
        assert answer.headers["retry-after"] == "10"
        assert served.daemon.fanout.subscribers == 4
        streams[0].close()
        await virtualtime.until(lambda: served.daemon.fanout.subscribers == 3)
        assert await served.answers(GOOD) == 200

    bounded(scenario)


@pytest.mark.slow
def test_two_hundred_stalled_clients_do_not_keep_others_out():
    async def scenario(served):
        stream = await served.follow()
        for number in range(200):
            client = await served.send(HALF)
            await virtualtime.settle(0.001)
            assert len(served.connections) <= 4 + LIMITS.leaving_connections + 1
            if number % 20 == 0:
                assert await served.answers(GOOD) == 200
            del client
        assert served.daemon.fanout.subscribers == 1
        stream.close()

    bounded(scenario, head_seconds=5.0)


def test_a_server_that_stops_does_not_wait_for_stalled_clients():
    async def scenario(served):
        for raw in (b"", HALF, CHUNKED, GOOD, b"no HTTP\r\n\r\n"):
            await served.send(raw)
        await virtualtime.settle(0.1)
        served.server.stop()
        await virtualtime.until(lambda: not served.connections, within=0.5)

    bounded(scenario, room=10, head_seconds=50.0, idle_seconds=50.0, body_seconds=50.0, leave_seconds=50.0)


@pytest.mark.parametrize("begun", [b"", b"G", GOOD[:-2]])
def test_a_request_that_is_on_its_way_when_the_server_stops_is_answered_and_then_the_connection_ends(begun):
    async def scenario(served):
        client = await served.send(begun)
        await virtualtime.until(lambda: served.connections)
        served.server.stop()
        await virtualtime.settle(0.2)
        await client.send(GOOD.removeprefix(begun) + GOOD)
        assert (await client.read(Answer())).status == 200
        with pytest.raises(EOFError):
            await client.some()

    bounded(scenario)


def test_a_client_that_asks_again_while_the_server_stops_is_answered_once_more():
    async def scenario(served):
        client = await served.send(GOOD)
        assert "connection" not in (await client.read(Answer())).headers
        served.server.stop()
        await virtualtime.settle(0.2)
        await client.send(GOOD)
        answer = await client.read(Answer())
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        with pytest.raises(EOFError):
            await client.some()

    bounded(scenario)


def test_an_answer_that_has_not_begun_when_the_server_stops_closes_the_connection():
    begin = asyncio.Event()

    async def app(_scope, _receive, send):
        await begin.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def scenario(served):
        client = await served.send(GOOD)
        await virtualtime.until(lambda: served.connections and served.connections[0].cycle)
        served.server.stop()
        await virtualtime.settle(0.2)
        begin.set()
        assert (await client.read(Answer())).headers["connection"] == "close"

    bounded(scenario, app)


def test_a_server_that_stops_gives_a_client_a_moment_to_read_its_answer():
    async def scenario(served):
        client = await served.send(GOOD, receive_bytes=4096)
        await virtualtime.until(lambda: served.connections and served.connections[0].transport.get_write_buffer_size())
        served.server.stop()
        await virtualtime.until(lambda: not served.connections, within=0.8)
        with pytest.raises(ConnectionResetError):
            await client.to_the_end()

    bounded(scenario, long_answer)


def test_the_bounds_of_a_stop_are_well_within_the_five_seconds_that_it_may_take():
    assert Limits().last_seconds <= 0.5
    assert Limits().leave_seconds <= 1.0


@pytest.mark.parametrize("begun", [b"G", HALF, GOOD[:-2]])
def test_an_incomplete_request_while_the_server_stops_gets_503(begun):
    async def scenario(served):
        client = await served.send(begun)
        await virtualtime.until(lambda: served.connections and served.connections[0]._reader.waiting_bytes)
        served.server.stop()
        answer = await refused(client, 503)
        assert answer.headers["retry-after"] == "10"

    bounded(scenario)


def test_a_connection_without_a_request_closes_without_an_answer_when_the_server_stops():
    async def scenario(served):
        client = await served.send()
        await virtualtime.until(lambda: served.connections)
        served.server.stop()
        with pytest.raises(EOFError):
            await client.some()

    bounded(scenario)


def test_a_client_that_resets_leaves_nothing_behind():
    async def scenario(served):
        for raw in (b"", HALF, CHUNKED, GOOD, b"no HTTP\r\n\r\n"):
            client = await served.send(raw)
            await virtualtime.settle()
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            client.close()
        await virtualtime.until(lambda: not served.connections, within=0.2)
        assert not timers()

    bounded(scenario, room=10)
