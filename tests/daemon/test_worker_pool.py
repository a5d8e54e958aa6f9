"""A pool whose workers are small programs of these tests; tests/cluster/processes has real workers."""

import asyncio
import contextlib
import os
import signal
import socket

import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from condord.config.schema import Config, Server
from condord.daemon import place as places
from condord.daemon import worker_pool
from condord.host import child_process
from tests.daemon.worker_program import BEAT_SECONDS
from tests.http.test_merged_metrics import scraped

BOUND_SECONDS = 120
CROWD = 800
"""More connections than the kernel holds for two workers."""

pytestmark = pytest.mark.slow


class Harness:
    """A running pool of `tests.daemon.worker_program`, and its clients."""

    def __init__(self, stack, place, workers):
        self.config = Config(server=Server(workers=workers, max_subscribers=10))
        self.registry = CollectorRegistry()
        Counter("condord_http_requests", "Requests.", registry=self.registry).inc(1000)
        Gauge("process_open_fds", "Files.", registry=self.registry).set(5)
        self.worker_resources = place.worker_resources
        self.pool = worker_pool.build(
            place,
            registry=self.registry,
            config=lambda: self.config,
            token=None,
            environ={**os.environ, "APCA_API_KEY_ID": "PK1", "LANG": "C"},
        )
        self.port = int(place.address.rpartition(":")[2])
        self._stack = stack

    async def connect(self):
        """A new client, and the number and the process of the worker that has it."""
        client = socket.socket()
        self._stack.enter_context(contextlib.closing(client))
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", self.port))
        number, pid = (await loop.sock_recv(client, 100)).split()
        return client, int(number), int(pid)

    async def until(self, condition):
        is_over = asyncio.Event()
        while not condition():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await is_over.wait()


def test_the_workers_of_these_tests_send_a_heartbeat_between_two_checks():
    assert BEAT_SECONDS < worker_pool.CHECK_SECONDS


def run_scenario(test, workers=2):
    async def serve():
        async with asyncio.timeout(BOUND_SECONDS):
            with contextlib.ExitStack() as stack:
                place = stack.enter_context(places.opened(Server(port=0, workers=workers), (), token=None, environ={}))
                harness = Harness(stack, place, workers)
                running = asyncio.create_task(harness.pool.run())
                await harness.pool.is_ready.wait()
                await test(harness)
                await harness.pool.stop()
                running.cancel()
                await asyncio.wait([running])

    asyncio.run(serve())


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(worker_pool, "MODULE", "tests.daemon.worker_program")
    monkeypatch.setattr(child_process, "FIRST_DELAY_SECONDS", 0.1)


def test_a_process_without_sockets_for_workers_has_none():
    with places.opened(Server(port=0), (), token=None, environ={}) as place:
        assert worker_pool.build(place, registry=None, config=Config, token=None, environ={}) is None


def test_each_connection_goes_to_the_worker_with_the_fewest_connections(monkeypatch):
    monkeypatch.setattr(worker_pool, "SILENT_CHECKS", 1_000_000)  # on a busy machine a worker may be late

    async def test(harness):
        numbers = [(await harness.connect())[1] for _ in range(12)]
        assert [numbers.count(number) for number in range(3)] == [4, 4, 4]
        harness.worker_resources.counts.set(1, "gone", 3)  # three of its connections were closed
        assert [(await harness.connect())[1] for _ in range(3)] == [1, 1, 1]

    run_scenario(test, workers=3)


def test_the_counts_are_the_sum_of_all_and_subscribers_are_known_at_once():
    async def test(harness):
        for _ in range(4):
            await harness.connect()
        assert harness.pool.counts.subscribers == 4
        await harness.until(lambda: harness.pool.counts.frames == 4)
        assert harness.pool.counts.tasks == 2
        found = scraped(harness.pool.registry)
        assert (found["condord_http_requests_total",], found["process_open_fds",]) == (4, 19)

    run_scenario(test)


def test_the_counts_of_an_ended_worker_remain_and_another_takes_its_place(caplog):
    async def test(harness):
        _, number, pid = await harness.connect()
        await harness.until(lambda: harness.pool.counts.frames == 1)
        os.kill(pid, signal.SIGKILL)
        await harness.until(lambda: harness.pool.counts.tasks == 1)
        assert (harness.pool.counts.frames, harness.pool.counts.subscribers) == (1, 0)
        found = scraped(harness.pool.registry)
        assert (found["condord_http_requests_total",], found["process_open_fds",]) == (1, 12)
        assert (await harness.connect())[1] == 1 - number
        await harness.until(lambda: harness.pool.counts.tasks == 2)
        places = {(await harness.connect())[1:] for _ in range(2)}
        assert number in {each for each, _ in places}
        assert pid not in {each for _, each in places}
        assert harness.pool.counts.subscribers == 3

    run_scenario(test)
    assert [record.fields["signal"] for record in caplog.records] == ["SIGKILL"]


def test_connections_wait_while_there_is_no_worker():
    async def test(harness):
        pids = [(await harness.connect())[2] for _ in range(2)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        await harness.until(lambda: harness.pool.counts.tasks == 0)
        assert (await harness.connect())[2] not in pids

    run_scenario(test)


@contextlib.contextmanager
def stopped(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_connections_that_a_stopped_worker_was_handed_go_to_another():
    async def test(harness):
        pids = {number: pid for _, number, pid in [await harness.connect() for _ in range(2)]}
        with stopped(pids[0]):
            # Not one after another: the next one would come when it is known that the worker has stopped.
            answers = await asyncio.gather(*(harness.connect() for _ in range(4)))
            assert {number for _, number, _ in answers} == {1}
            assert harness.pool._workers[0].load == 1
        while (await harness.connect())[1] != 0:
            pass

    run_scenario(test)


def test_connections_wait_for_the_first_of_several_stopped_workers_that_continues():
    async def test(harness):
        pids = {number: pid for _, number, pid in [await harness.connect() for _ in range(2)]}
        with stopped(pids[0]):
            with stopped(pids[1]):
                await harness.until(lambda: all(worker.is_silent for worker in harness.pool._workers))
                waiting = asyncio.gather(*(harness.connect() for _ in range(4)))
                await harness.until(lambda: sum(worker.load for worker in harness.pool._workers) == 6)
            assert {number for _, number, _ in await waiting} == {1}

    run_scenario(test)


def test_connections_that_a_killed_worker_was_handed_go_to_another(monkeypatch):
    monkeypatch.setattr(worker_pool, "SILENT_CHECKS", 1_000_000)

    async def test(harness):
        pids = {number: pid for _, number, pid in [await harness.connect() for _ in range(2)]}
        with stopped(pids[0]):
            waiting = asyncio.gather(*(harness.connect() for _ in range(4)))
            await harness.until(lambda: harness.pool._workers[0].load == 3)
            os.kill(pids[0], signal.SIGKILL)
            assert pids[0] not in {pid for _, _, pid in await waiting}

    run_scenario(test)


def test_a_reload_sends_the_settings_to_every_worker():
    async def test(harness):
        clients = [(await harness.connect())[0] for _ in range(2)]
        harness.config = msgspec.structs.replace(harness.config, server=Server(workers=2, max_subscribers=77))
        harness.pool.reload()
        for client in clients:
            assert await asyncio.get_running_loop().sock_recv(client, 100) == b"most 77\n"

    run_scenario(test)


def test_a_worker_that_sends_an_unreadable_message_is_replaced(caplog):
    async def test(harness):
        pids = {worker.kept.child.pid for worker in harness.pool._workers}
        harness.config = msgspec.structs.replace(harness.config, server=Server(workers=2, max_subscribers=13))
        harness.pool.reload()
        await harness.until(lambda: harness.pool.counts.tasks == 0)
        harness.config = msgspec.structs.replace(harness.config, server=Server(workers=2, max_subscribers=14))
        harness.pool.reload()
        await harness.until(lambda: harness.pool.counts.tasks == 2)
        assert not pids & {(await harness.connect())[2] for _ in range(2)}

    run_scenario(test)
    assert (
        caplog.records[0].fields["reason"] == "ValidationError" or "DecodeError" in caplog.records[0].fields["reason"]
    )


def test_a_connection_that_no_worker_takes_now_waits_until_one_does(monkeypatch):
    hand, refusals = worker_pool.Handover.hand, [None] * 5
    monkeypatch.setattr(
        worker_pool.Handover,
        "hand",
        lambda handover, each: not (refusals and refusals.pop() is None) and hand(handover, each),
    )

    async def test(harness):
        clients = [await harness.connect() for _ in range(4)]
        assert sorted(number for _, number, _ in clients) == [0, 0, 1, 1]
        assert not refusals

    run_scenario(test)


def test_a_connection_that_no_worker_takes_is_closed_at_the_stop(monkeypatch):
    monkeypatch.setattr(worker_pool.Handover, "hand", lambda _self, _connection: False)

    async def test(harness):
        with socket.create_connection(("127.0.0.1", harness.port)) as client:
            await asyncio.sleep(5 * worker_pool.HAND_AGAIN_SECONDS)
            await harness.pool.stop()
            client.settimeout(BOUND_SECONDS)
            assert client.recv(10) == b""

    run_scenario(test)


def test_no_client_of_a_sudden_crowd_is_refused():
    async def test(harness):
        pids = {(await harness.connect())[2] for _ in range(2)}
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        crowd = [asyncio.create_task(harness.connect()) for _ in range(CROWD)]
        await asyncio.sleep(1.0)  # more than the kernel holds have come
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        assert {pid for _, _, pid in await asyncio.gather(*crowd)} == pids

    run_scenario(test)


def test_connections_in_the_queue_are_handed_over_before_the_stop():
    async def test(harness):
        with socket.create_connection(("127.0.0.1", harness.port)) as client:
            await harness.pool.stop()
            assert client.recv(100)  # the loop has not run since it connected

    run_scenario(test)


def test_too_few_descriptors_pause_the_pool_and_do_not_end_it(monkeypatch, caplog):
    monkeypatch.setattr(worker_pool, "PAUSE_SECONDS", 0.05)

    class Full:
        failures = 2

        def __init__(self, listener):
            self.listener = listener

        def fileno(self):
            return self.listener.fileno()

        def setblocking(self, flag):
            self.listener.setblocking(flag)

        def accept(self):
            if Full.failures:
                Full.failures -= 1
                raise OSError(24, "Too many open files")
            return self.listener.accept()

    async def serve():
        async with asyncio.timeout(BOUND_SECONDS):
            with contextlib.ExitStack() as stack:
                place = stack.enter_context(places.opened(Server(port=0, workers=1), (), token=None, environ={}))
                resources = stack.enter_context(
                    places._worker_resources(1, [Full(socket.create_server(("127.0.0.1", 0)))], {})
                )
                listener = resources.listeners[0].listener
                stack.enter_context(listener)
                address = f"http://127.0.0.1:{listener.getsockname()[1]}"
                place = msgspec.structs.replace(place, worker_resources=resources, address=address)
                harness = Harness(stack, place, 1)
                running = asyncio.create_task(harness.pool.run())
                assert (await harness.connect())[1] == 0
                await harness.pool.stop()
                running.cancel()
                await asyncio.wait([running])

    monkeypatch.setattr(worker_pool.web, "is_unix_only", lambda _: False)
    asyncio.run(serve())
    assert [record.fields["reason"] for record in caplog.records] == ["Too many open files"] * 2


def test_workers_get_only_harmless_variables():
    with places.opened(Server(port=0, workers=2), (), token=None, environ={}) as place:

        async def main():
            environ = {"APCA_API_KEY_ID": "x", "CONDORD_TOKEN": "x", "PATH": "/bin", "PYTHONUNBUFFERED": "1"}
            return worker_pool.build(place, registry=CollectorRegistry(), config=Config, token=None, environ=environ)

        (worker,) = asyncio.run(main())._workers
        assert worker._environ == {"PATH": "/bin", "PYTHONUNBUFFERED": "1"}
