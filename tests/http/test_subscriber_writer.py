"""The path of a frame from its ring to the socket, for clients that read and clients that do not."""

import array
import asyncio
import contextlib
import json
import socket
import struct

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from condord.cli.mirror import Mirror
from condord.client.sse import EventParser
from condord.http import subscriber_writer
from condord.http.app import build
from condord.http.subscriber_writer import BYE_SECONDS, SubscriberWriter
from condord.live import wire
from condord.live.compression import Frame
from condord.live.published import Selection
from tests import virtualtime
from tests.examples import examples
from tests.http.fake_daemon import LEGS, NOW_AT, Answer, Client, FakeDaemon, serving, tick

LEG = next(iter(LEGS))
RING = 8
STALL_SECONDS = 2.0
"""Shorter than the daemon's: uvicorn wakes up ten times a second, which takes time even on a virtual clock."""
SO_MEMINFO = 55
"""The option that reads a socket's kernel memory (linux/sock_diag.h); Python has no name for it."""
KERNEL_BYTES = 512 * 1024
PATIENCE_SECONDS = subscriber_writer.STALL_SECONDS
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ServedDaemon:
    """A daemon on our own server, and clients of it."""

    def __init__(self, server, port: int, daemon: FakeDaemon, stack: contextlib.ExitStack) -> None:
        self.server = server
        self.daemon = daemon
        self._port = port
        self._stack = stack
        self._quotes = 0

    async def connect(self, **options) -> Client:
        """A client that has asked for nothing."""
        return self._stack.enter_context(contextlib.closing(await Client.connect(self._port, **options)))

    async def follow(self, *, version="1.1", headers=None, **options) -> Client:
        """A client that has asked for the stream, and is a subscriber."""
        client, before = await self.connect(**options), len(self.daemon.opened)
        await client.ask("/api/stream", version=version, headers=headers)
        await virtualtime.until(lambda: len(self.daemon.opened) > before)
        await virtualtime.settle()
        return client

    async def stall(self, **options) -> Client:
        """A subscriber that reads nothing, and whose socket takes no more."""
        client = await self.follow(**options)
        subscriber = self.daemon.opened[-1]
        while not subscriber.ring:
            self.quote()
        return client

    def quote(self, count: int = 1) -> None:
        """Publish `count` versions."""
        for _ in range(count):
            self._quotes += 1
            price = 1 + self._quotes % 40
            self.daemon.quote(tick(LEG, price, price + 0.1, self._quotes / 1000))

    @property
    def connections(self):
        return [*self.server.server_state.connections]

    @property
    def document(self):
        return json.loads(wire.encode(self.daemon.document()))


def run_scenario(scenario, **options):
    """Run `scenario(served)` and check that no subscriber, task or timer is left."""

    async def main():
        daemon = FakeDaemon(ring_size=RING, room=100, **options)
        async with serving(build(daemon)) as (server, port):
            with contextlib.ExitStack() as stack:
                await scenario(ServedDaemon(server, port, daemon, stack))
            await virtualtime.until(lambda: not daemon.fanout.subscribers)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not watches()

    virtualtime.run(main())


def watches():
    """The timers of stalled clients."""
    timers = [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]
    return [timer for timer in timers if isinstance(getattr(timer._callback, "__self__", None), SubscriberWriter)]


@pytest.fixture(autouse=True)
def quiet(request, monkeypatch, caplog):
    """Check that the server logs nothing during a test."""
    if request.cls is None:
        monkeypatch.setattr(subscriber_writer, "STALL_SECONDS", STALL_SECONDS)
    yield
    assert [record.getMessage() for record in caplog.get_records("call")] == []


async def rest_of(client, answer=None):
    """The rest of a stream as an answer, and its events."""
    answer = await client.read(answer or Answer())
    return answer, EventParser().feed(answer.plain)


async def read_to(client, version):
    """The document of a client that reads until it has a version, and what led to it."""
    answer, mirror, names = Answer(), Mirror(), []
    reading = asyncio.create_task(client.read(answer))
    await answer.has(b"id: %s\n" % version.encode())
    reading.cancel()
    for event in EventParser().feed(answer.plain):
        mirror.apply(event)
        names.append(event.name)
    return mirror.document, names


def versions(events):
    return [int(event.id.rpartition("-")[2]) for event in events if event.id]


# The form of the answer.


def test_a_client_without_chunks_gets_the_bytes_of_the_stream_and_the_end_of_the_connection():
    async def scenario(served):
        client = await served.follow(version="1.0")
        served.quote()
        served.daemon.stop()
        answer, events = await rest_of(client)
        assert "transfer-encoding" not in answer.headers
        assert answer.headers["connection"] == "close"
        assert answer.body.startswith(b"retry: 2000\nevent: snapshot\n")
        assert [event.name for event in events] == ["snapshot", "delta", "bye"]
        with pytest.raises(EOFError):
            await client.some()

    run_scenario(scenario)


def test_a_client_with_gzip_and_without_chunks_gets_a_whole_gzip_stream():
    async def scenario(served):
        client = await served.follow(version="1.0", headers={"Accept-Encoding": "gzip"})
        served.quote()
        served.daemon.stop()
        answer, events = await rest_of(client)
        assert answer.headers["content-encoding"] == "gzip"
        assert [event.name for event in events] == ["snapshot", "delta", "bye"]

    run_scenario(scenario)


def test_the_connection_can_be_used_again_after_the_end():
    async def scenario(served):
        client = await served.follow()
        served.daemon.stop()
        answer, _ = await rest_of(client)
        assert answer.is_complete
        (connection,) = served.connections
        assert connection.outlet is None
        assert connection.transport.get_write_buffer_limits()[1] > 0
        for _ in range(2):
            await client.ask("/api/positions")
            assert (await client.read(Answer())).json() == served.document
        assert len(served.connections) == 1

    run_scenario(scenario)


def test_a_request_pipelined_after_a_stream_is_answered_after_its_end():
    async def scenario(served):
        client = await served.follow()
        await client.ask("/livez")
        await client.ask("/api/stream")
        served.quote()
        await virtualtime.settle()
        assert len(served.daemon.opened) == 1
        served.daemon.stop()
        _, events = await rest_of(client)
        assert [event.name for event in events] == ["snapshot", "delta", "bye"]
        assert (await client.read(Answer())).body == b"ok\n"
        _, events = await rest_of(client)
        assert [event.name for event in events] == ["snapshot", "bye"]

    run_scenario(scenario)


def test_each_frame_is_one_chunk_and_leaves_in_the_turn_that_made_it():
    async def scenario(served):
        client = await served.follow()
        served.quote(2)
        assert client.socket.recv(65_536, socket.MSG_PEEK).count(b"event: delta") == 2
        served.daemon.stop()
        answer, _ = await rest_of(client)
        assert [len(EventParser().feed(chunk)) for chunk in answer.chunks] == [1, 1, 1, 1]

    run_scenario(scenario)


# Clients that leave.


def test_a_client_that_closes_its_sending_side_counts_as_gone():
    async def scenario(served):
        client = await served.follow()
        client.socket.shutdown(socket.SHUT_WR)
        await virtualtime.until(lambda: not served.daemon.fanout.subscribers)
        served.quote()
        answer, events = await rest_of(client)
        assert not answer.is_complete
        assert [event.name for event in events] == ["snapshot"]

    run_scenario(scenario)


def test_a_client_that_closes_its_sending_side_with_the_request_gets_the_beginning_at_most():
    async def scenario(served):
        client = await served.connect()
        await client.ask("/api/stream")
        client.socket.shutdown(socket.SHUT_WR)
        answer, events = await rest_of(client)
        assert not answer.is_complete
        assert [event.name for event in events] in ([], ["snapshot"])
        await virtualtime.until(lambda: not served.connections)

    run_scenario(scenario)


def test_a_stalled_client_that_closes_its_sending_side_gives_its_place_back():
    async def scenario(served):
        client = await served.stall(receive_bytes=4096)
        client.socket.shutdown(socket.SHUT_WR)
        await virtualtime.until(lambda: not served.daemon.fanout.subscribers, within=STALL_SECONDS + 1)

    run_scenario(scenario)


def test_a_client_that_is_gone_before_the_first_byte_leaves_nothing_behind():
    async def scenario(served):
        for _ in range(20):
            client = await served.connect()
            await client.ask("/api/stream")
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            client.close()
        await virtualtime.until(lambda: not served.connections)

    run_scenario(scenario)


def test_a_client_that_resets_in_the_middle_of_a_frame_leaves_nothing_behind():
    async def scenario(served):
        client = await served.stall(receive_bytes=4096)
        await client.exactly(300)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        client.close()
        await virtualtime.until(lambda: not served.daemon.fanout.subscribers, within=0.5)
        assert served.daemon.evicted == 0

    run_scenario(scenario)


def test_a_client_that_pipelined_a_request_and_left_is_noticed_by_the_next_frames():
    async def scenario(served):
        client = await served.follow()
        for _ in range(3):
            await client.ask("/livez")
        await virtualtime.settle()
        client.close()
        for _ in range(3):
            served.quote()
            await virtualtime.settle()
        assert served.daemon.fanout.subscribers == 0

    run_scenario(scenario)


def test_frames_for_a_client_that_has_just_gone_are_not_written():
    async def scenario(served):
        client = await served.follow()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        client.close()
        served.quote(20)  # more than asyncio lets pass without a warning
        await virtualtime.until(lambda: not served.connections)

    run_scenario(scenario)


def test_a_stream_that_is_cancelled_leaves_nothing_behind(caplog):
    async def scenario(served):
        client = await served.stall(receive_bytes=4096)
        assert watches()
        (task,) = served.server.server_state.tasks
        task.cancel()
        await virtualtime.until(lambda: not served.daemon.fanout.subscribers)
        assert not watches()
        client.close()
        await virtualtime.until(lambda: not served.connections)
        assert caplog.messages == ["Exception in ASGI application\n"]
        caplog.clear()

    run_scenario(scenario)


def test_a_lost_client_is_no_longer_watched():
    async def scenario(served):
        client = await served.stall(receive_bytes=4096)
        (connection,) = served.connections
        assert watches()
        connection.transport.abort()
        await asyncio.sleep(0)
        assert served.daemon.fanout.subscribers == 1
        assert not watches()
        client.close()

    run_scenario(scenario)


# Clients that do not read.


def test_frames_for_a_stalled_client_wait_and_leave_in_one_write():
    async def scenario(served):
        client = await served.stall(receive_bytes=4096)
        served.quote(RING - 1)
        last = served.daemon.edition.version
        assert len(served.daemon.opened[0].ring) == RING
        document, names = await read_to(client, last)
        assert set(names[1:]) == {"delta"}
        assert document == served.document
        assert served.daemon.fanout.resyncs == {}

    run_scenario(scenario)


def test_a_client_that_reads_again_in_time_gets_a_snapshot_in_place_of_lost_frames():
    async def scenario(served):
        client = await served.stall(receive_bytes=4096)
        served.quote(5 * RING)
        await asyncio.sleep(0.9 * STALL_SECONDS)
        document, names = await read_to(client, served.daemon.edition.version)
        assert document == served.document
        assert names.count("snapshot") == 2
        assert served.daemon.fanout.resyncs == {"ringOverflow": 1}
        served.quote()
        document, names = await read_to_next(client, document, served.daemon.edition.version)
        assert (names, document) == (["delta"], served.document)
        await asyncio.sleep(2 * STALL_SECONDS)
        assert (served.daemon.evicted, served.daemon.fanout.subscribers) == (0, 1)

    async def read_to_next(client, document, version):
        text = b""
        while version.encode() not in text:
            text += await client.some()
        (event,) = EventParser().feed(text.partition(b"\r\n")[2])
        mirror = Mirror()
        mirror.document = document
        mirror.apply(event)
        return mirror.document, [event.name]

    run_scenario(scenario)


def test_a_client_that_reads_nothing_for_too_long_is_reset_and_counted():
    async def scenario(served):
        client = await served.stall(receive_bytes=4096)
        await asyncio.sleep(STALL_SECONDS - 0.1)
        assert served.daemon.fanout.subscribers == 1
        await asyncio.sleep(0.2)
        assert (served.daemon.fanout.subscribers, served.daemon.evicted, served.connections) == (0, 1, [])
        with pytest.raises(ConnectionResetError):
            await client.to_the_end()

    run_scenario(scenario)


def test_a_client_that_reads_byte_by_byte_counts_as_stalled():
    async def scenario(served):
        client = await served.stall(receive_bytes=4096)
        for _ in range(31):
            await client.exactly(1)
            served.quote()
            await asyncio.sleep(STALL_SECONDS / 30)
        assert (served.daemon.fanout.subscribers, served.daemon.evicted) == (0, 1)

    run_scenario(scenario)


def test_a_client_that_reads_its_backlog_now_and_then_stays():
    async def scenario(served):
        client = await served.stall(receive_bytes=4096)
        subscriber = served.daemon.opened[0]
        for _ in range(4):
            served.quote(RING)
            assert subscriber.is_lost
            await asyncio.sleep(0.8 * STALL_SECONDS)
            while subscriber.is_lost:
                await client.some()
                await virtualtime.settle()
            while not subscriber.ring:
                served.quote()
        assert (served.daemon.fanout.subscribers, served.daemon.evicted) == (1, 0)

    run_scenario(scenario)


def test_a_backlog_that_shrinks_is_progress_even_if_it_never_empties():
    async def scenario(served):
        await served.stall(receive_bytes=4096)
        (connection,) = served.connections
        waiting = connection.transport._buffer
        for _ in range(3):
            await asyncio.sleep(0.9 * STALL_SECONDS)
            assert len(waiting) > 1
            del waiting[:1]  # as if the socket had taken it: no test decides where the kernel splits a frame
        assert served.daemon.evicted == 0
        await asyncio.sleep(2 * STALL_SECONDS)
        assert served.daemon.evicted == 1

    run_scenario(scenario)


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_stalled_client_costs_a_bounded_amount_of_memory(coding):
    async def scenario(served):
        client = await served.stall(headers={"Accept-Encoding": coding})
        served.quote(20 * RING)
        (connection,) = served.connections
        longest = len(wire.encode(served.daemon.document())) + 1024
        assert connection.transport.get_write_buffer_size() <= longest
        assert len(served.daemon.opened[0].ring) <= RING
        assert held_by(connection.transport.get_extra_info("socket")) + held_by(client.socket) <= KERNEL_BYTES

    def held_by(opened):
        raw = opened.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36)
        received, _, _, _, reserved, queued, *_ = array.array("I", raw)
        return received + reserved + queued

    run_scenario(scenario)


def test_stalled_clients_hold_back_no_frame_of_the_others():
    async def scenario(served):
        for _ in range(10):
            await served.stall(receive_bytes=4096)
        reader = await served.follow()
        begin = served.daemon.edition.number
        answer = Answer()
        reading = asyncio.create_task(reader.read(answer))
        while served.daemon.evicted < 10:
            served.quote()
            await answer.has(b"id: %s\n" % served.daemon.edition.version.encode())
            await asyncio.sleep(1)
        served.daemon.stop()
        await reading
        events = EventParser().feed(answer.plain)
        assert versions(events) == [*range(begin, served.daemon.edition.number + 1)]
        assert [event.name for event in events].count("snapshot") == 1

    run_scenario(scenario)


@pytest.mark.parametrize("waiting", [1, 100_000])
def test_a_stream_pipelined_after_an_unread_answer_is_watched_too(waiting):
    async def scenario(served):
        await behind_an_answer(served, waiting)
        await virtualtime.until(lambda: not served.daemon.fanout.subscribers, within=STALL_SECONDS + 1)
        assert served.daemon.evicted == 1

    run_scenario(scenario)


@pytest.mark.parametrize("waiting", [1, 100_000])
def test_a_stream_pipelined_after_an_unread_answer_begins_with_its_head_once_that_answer_is_read(waiting):
    async def scenario(served):
        client, size = await behind_an_answer(served, waiting)
        served.quote()
        assert await client.exactly(size) == b"x" * size
        served.daemon.stop()
        answer, events = await rest_of(client)
        assert answer.status == 200
        assert [event.name for event in events] == ["snapshot", "delta", "bye"]

    run_scenario(scenario)


async def behind_an_answer(served, waiting):
    """A client of the stream whose socket is full, with `waiting` bytes queued; and the bytes that were written."""
    client = await served.connect(receive_bytes=4096)
    await virtualtime.until(lambda: served.connections)
    (connection,) = served.connections
    written = 0
    while connection.transport.get_write_buffer_size() < waiting:
        connection.transport.write(b"x" * 1000)
        written += 1000
    await client.ask("/api/stream")
    await virtualtime.until(lambda: served.daemon.fanout.subscribers)
    return client, written


# The end of the daemon.


def test_a_stalled_client_that_reads_again_gets_bye_and_the_end():
    async def scenario(served):
        client = await served.stall(receive_bytes=4096)
        served.daemon.stop()
        await asyncio.sleep(BYE_SECONDS / 2)
        answer, events = await rest_of(client)
        assert answer.is_complete
        assert events[-1].name == "bye"
        assert versions(events) == [*range(1, served.daemon.edition.number + 1)]

    run_scenario(scenario)


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_stalled_client_that_lost_frames_gets_a_snapshot_and_bye(coding):
    async def scenario(served):
        client = await served.stall(receive_bytes=4096, headers={"Accept-Encoding": coding})
        served.quote(3 * RING)
        served.daemon.stop()
        answer, events = await rest_of(client)
        assert answer.is_complete
        assert [event.name for event in events[-2:]] == ["snapshot", "bye"]

    run_scenario(scenario)


def test_a_client_that_does_not_read_bye_does_not_delay_the_stop():
    async def scenario(served):
        for _ in range(5):
            await served.stall(receive_bytes=4096)
        served.daemon.stop()
        await virtualtime.until(lambda: not served.connections, within=BYE_SECONDS + 0.1)

    run_scenario(scenario)


def test_a_half_written_bye_does_not_delay_the_stop_further():
    async def scenario(served):
        client = await served.follow(receive_bytes=4096)
        (connection,) = served.connections
        served.daemon.opened[0].ring.append(Frame(b"x" * 1_000_000))
        served.daemon.stop()
        assert connection.is_blocked
        await virtualtime.until(lambda: not served.connections, within=BYE_SECONDS + 0.1)
        with pytest.raises(ConnectionResetError):
            await client.to_the_end()

    run_scenario(scenario)


def test_a_client_that_reads_bye_too_slowly_does_not_delay_the_stop():
    async def scenario(served):
        await served.stall(receive_bytes=4096)
        (connection,) = served.connections
        served.daemon.stop()
        await asyncio.sleep(0.9 * BYE_SECONDS)
        del connection.transport._buffer[:1]  # as if the socket had taken it
        await virtualtime.until(lambda: not served.connections, within=0.2 * BYE_SECONDS)

    run_scenario(scenario)


def test_nothing_comes_after_bye():
    async def scenario(served):
        client = await served.follow()
        served.daemon.stop()
        served.quote(3)
        _, events = await rest_of(client)
        assert [event.name for event in events] == ["snapshot", "bye"]

    run_scenario(scenario)


def test_later_frames_do_not_delay_the_eviction_of_a_client_that_does_not_read_bye():
    async def scenario(served):
        await served.stall(receive_bytes=4096)
        served.daemon.stop()
        for _ in range(12):
            served.quote()
            await asyncio.sleep(BYE_SECONDS / 10)
        assert served.daemon.fanout.subscribers == 0

    run_scenario(scenario)


# Any order of all of these.


class Clock:
    """The part of an event loop that a writer uses; time moves only with `wait`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[Timer] = []

    def time(self):
        return self.now

    def call_later(self, seconds, callback):
        self.timers.append(Timer(self, self.now + seconds, callback))
        return self.timers[-1]

    def create_future(self):
        return asyncio.Future(loop=self)

    def get_debug(self):
        return False

    def wait(self, seconds):
        until = self.now + seconds
        while due := [timer for timer in self.timers if timer.when() <= until]:
            timer = min(due, key=Timer.when)
            self.now = timer.when()
            timer.cancel()
            timer.callback()
        self.now = until


class Timer:
    def __init__(self, clock, when, callback) -> None:
        self.callback = callback
        self._clock = clock
        self._when = when

    def when(self):
        return self._when

    def cancel(self):
        self._clock.timers.remove(self)


class Pipe:
    """A connection and its transport: the socket takes `room` bytes, the rest waits here, and `taken` was sent."""

    def __init__(self, clock) -> None:
        self.loop = clock
        self.transport = self
        self.outlet = None
        self.room = 0
        self.taken = self.waiting = b""
        self.progress_at = clock.now
        self.evicted_at = None
        self.is_gone = False

    @property
    def is_blocked(self):
        return bool(self.waiting)

    def is_closing(self):
        return self.is_gone

    def get_write_buffer_size(self):
        return len(self.waiting)

    def take_over(self, outlet):
        self.outlet = outlet

    def hand_back(self):
        self.outlet = None

    def put(self, data):
        assert not self.waiting, "a write while data waits"
        assert not self.is_gone
        if not self.room:
            raise BlockingIOError
        taken = data[: self.room]
        self.taken += taken
        self.room -= len(taken)
        return len(taken)

    def write(self, data):
        assert not self.waiting, "a write while data waits"
        assert not self.is_gone
        self.waiting = data
        self.progress_at = self.loop.now
        self.flow()
        if self.waiting:
            self.outlet.blocked()

    def flow(self):
        """Let the socket take what it has room for."""
        if taken := self.waiting[: self.room]:
            self.progress_at = self.loop.now
            self.taken += taken
            self.waiting = self.waiting[len(taken) :]
            self.room -= len(taken)

    def make_room(self, size):
        self.room += size
        if self.waiting:
            self.flow()
            if not self.waiting:
                self.outlet.drained()

    def evict(self):
        self.evicted_at = self.loop.now
        self.hang_up()

    def hang_up(self):
        self.is_gone, self.waiting = True, b""
        self.outlet.lost()


SELDOM = st.sampled_from([False] * 5 + [True])


class Stream(RuleBasedStateMachine):
    """Any order of frames, reads, waits, a stop and a hang-up, compared with what was published."""

    @initialize(ring_size=st.sampled_from([1, 2, 8]))
    def start(self, ring_size):
        self.clock = Clock()
        self.daemon = FakeDaemon(ring_size=ring_size)
        self.pipe = Pipe(self.clock)
        self.at = {}
        self.quotes = 0
        self.stopped_at = self.stopped_number = None
        writer = self.writer = SubscriberWriter(self.pipe, self.daemon)
        self.subscriber = self.daemon.subscribe(Selection(), 0.0, None, "identity", writer.wake)
        writer.open(self.subscriber)
        self.note()
        writer.begin()

    @rule(count=st.integers(1, 4))
    def quote(self, count):
        for _ in range(count):
            self.quotes += 1
            self.daemon.quote(tick(LEG, 1 + self.quotes % 40, 1.1 + self.quotes % 40, self.quotes / 1000))
            self.note()

    @rule()
    def heartbeat(self):
        for subscriber in self.daemon.fanout.heartbeat(NOW_AT):
            subscriber.wake()

    @rule(size=st.sampled_from([1, 100, 1000, 5000, 50_000]))
    def read(self, size):
        self.pipe.make_room(size)

    @rule(reads=st.lists(st.sampled_from([0, 1]), min_size=1, max_size=5), seconds=st.sampled_from([0.3, 1.5, 12.0]))
    def read_hardly_anything(self, reads, seconds):
        for size in reads:
            self.pipe.make_room(size)
            self.wait(seconds)
            self.heartbeat()

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 10.0, 20.0]))
    def wait(self, seconds):
        self.clock.wait(seconds)
        if self.pipe.evicted_at is not None and self.stopped_at is None:
            assert self.pipe.evicted_at - self.pipe.progress_at >= PATIENCE_SECONDS - 1e-6
        if self.pipe.is_blocked:
            assert self.clock.now - self.pipe.progress_at < 2 * PATIENCE_SECONDS
            assert self.stopped_at is None or self.clock.now - self.stopped_at < BYE_SECONDS

    @precondition(lambda self: self.stopped_at is None)
    @rule(is_meant=SELDOM)
    def stop(self, is_meant):
        if is_meant:
            self.stopped_at, self.stopped_number = self.clock.now, self.daemon.edition.number
            self.daemon.stop()

    @precondition(lambda self: not self.pipe.is_gone)
    @rule(is_meant=SELDOM)
    def hang_up(self, is_meant):
        if is_meant:
            self.pipe.hang_up()

    def note(self):
        self.at[self.daemon.edition.version] = json.loads(wire.encode(self.daemon.document()))

    def teardown(self):
        if not hasattr(self, "writer"):
            return
        self.read(10_000_000)
        if self.stopped_at is None:
            self.stop(is_meant=True)
        if not self.pipe.is_gone:
            assert self.writer.end.result()
            assert self.pipe.taken.endswith(b"}\n\n")
        assert self.writer.end.done()
        self.check(self.pipe.taken)
        assert self.daemon.evicted == (self.pipe.evicted_at is not None)
        assert self.clock.timers == []
        self.writer.close()
        assert self.pipe.outlet is None

    def check(self, taken):
        """The client held the published document at each event, and the newest if it saw the end."""
        mirror = Mirror()
        events = EventParser().feed(taken)
        for event in events:
            mirror.apply(event)
            if event.id:
                assert mirror.document == self.at[event.id]
        if not self.pipe.is_gone:
            assert [event.name for event in events].index("bye") == len(events) - 1
            assert versions(events)[-1] >= self.stopped_number


TestAnyOrder = pytest.mark.slow(Stream.TestCase)
TestAnyOrder.settings = settings(derandomize=True, database=None, max_examples=examples(150), stateful_step_count=40)
