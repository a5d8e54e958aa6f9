import asyncio
import socket
import subprocess
import sys
import threading
from concurrent.futures import CancelledError

import pytest

from condord.host.thread_pool import MAX_SUBSTITUTES, DaemonPool, ResolvingLoop

PATIENCE_SECONDS = 60.0


@pytest.fixture
def pool():
    pool = DaemonPool(1, name="calls")
    yield pool
    pool.shutdown()


class Latch:
    """Work that blocks until it is released."""

    def __init__(self, pool):
        self._started = threading.Event()
        self._released = threading.Event()
        self.future = pool.submit(self._work)
        assert self._started.wait(PATIENCE_SECONDS)

    def _work(self):
        self._started.set()
        assert self._released.wait(PATIENCE_SECONDS)

    def release(self):
        self._released.set()
        self.future.result(PATIENCE_SECONDS)


def test_a_result_is_returned(pool):
    assert pool.submit(divmod, 7, 2).result(5) == (3, 1)


def test_named_arguments_are_passed_on(pool):
    assert pool.submit(int, "11", base=2).result(PATIENCE_SECONDS) == 3


def test_an_exception_is_raised(pool):
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result(PATIENCE_SECONDS)


def test_even_an_exit_is_raised_and_the_thread_continues(pool):
    with pytest.raises(SystemExit):
        pool.submit(sys.exit, 3).result(PATIENCE_SECONDS)
    assert pool.submit(abs, -1).result(PATIENCE_SECONDS) == 1


def test_cancelled_work_is_not_run(pool):
    latch = Latch(pool)
    ran = []
    waiting = pool.submit(ran.append, 1)
    assert waiting.cancel()
    latch.release()
    pool.submit(abs, 1).result(PATIENCE_SECONDS)
    assert ran == []
    with pytest.raises(CancelledError):
        waiting.result(PATIENCE_SECONDS)


def test_work_waits_for_a_thread(pool):
    latch = Latch(pool)
    waiting = pool.submit(abs, -1)
    assert not waiting.running()
    latch.release()
    assert waiting.result(PATIENCE_SECONDS) == 1


def test_threads_work_at_the_same_time():
    pool = DaemonPool(2, name="calls")
    latches = [Latch(pool), Latch(pool)]
    for latch in latches:
        latch.release()
    pool.shutdown()


def test_an_abandoned_call_is_replaced_by_a_new_thread(pool):
    hung = Latch(pool)
    assert not hung.future.cancel()
    assert pool.submit(abs, -1).result(PATIENCE_SECONDS) == 1
    hung.release()


def test_a_call_abandoned_twice_is_replaced_once(pool):
    hung = Latch(pool)
    hung.future.cancel()
    hung.future.cancel()
    busy = Latch(pool)
    waiting = pool.submit(abs, -1)
    assert not waiting.running()
    busy.release()
    hung.release()


def test_a_replaced_thread_ends_after_its_call(pool):
    hung = Latch(pool)
    hung.future.cancel()
    hung.release()
    busy = Latch(pool)
    waiting = pool.submit(abs, -1)
    assert not waiting.running()
    busy.release()
    assert waiting.result(PATIENCE_SECONDS) == 1


def test_cancelling_a_finished_call_changes_nothing(pool):
    done = pool.submit(abs, -1)
    assert done.result(PATIENCE_SECONDS) == 1
    assert not done.cancel()
    busy = Latch(pool)
    waiting = pool.submit(abs, -1)
    assert not waiting.running()
    busy.release()


def test_an_abandoned_call_may_fail(pool):
    started, released = threading.Event(), threading.Event()

    def fail():
        started.set()
        assert released.wait(PATIENCE_SECONDS)
        raise ZeroDivisionError

    hung = pool.submit(fail)
    assert started.wait(PATIENCE_SECONDS)
    hung.cancel()
    released.set()
    assert isinstance(hung.exception(5), ZeroDivisionError)
    assert pool.submit(abs, -1).result(PATIENCE_SECONDS) == 1


def test_hanging_calls_get_substitutes_up_to_a_limit_and_work_resumes_when_one_ends(pool):
    hung = []
    for _ in range(MAX_SUBSTITUTES + 1):
        hung.append(Latch(pool))
        hung[-1].future.cancel()
    waiting = pool.submit(abs, -1)
    assert not waiting.running()
    hung[5].release()
    assert waiting.result(PATIENCE_SECONDS) == 1
    for latch in hung:
        latch.release()


def test_a_timeout_of_the_loop_abandons_a_call(pool):
    released = threading.Event()

    async def scenario():
        loop = asyncio.get_running_loop()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await loop.run_in_executor(pool, released.wait, 5)
        return await loop.run_in_executor(pool, abs, -1)

    assert asyncio.run(scenario()) == 1
    released.set()


def test_a_substitute_ends_with_the_pool():
    pool = DaemonPool(1, name="calls")
    hung = Latch(pool)
    hung.future.cancel()
    substitute = pool.submit(threading.current_thread).result(PATIENCE_SECONDS)
    pool.shutdown()
    substitute.join(PATIENCE_SECONDS)
    assert not substitute.is_alive()
    hung.release()


def test_threads_have_names_and_never_delay_the_end():
    pool = DaemonPool(1, name="calls")
    thread = pool.submit(threading.current_thread).result(PATIENCE_SECONDS)
    assert (thread.name, thread.daemon) == ("calls-0", True)
    pool.shutdown()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_work_given_before_the_shutdown_is_done(pool):
    latch = Latch(pool)
    waiting = pool.submit(abs, -1)
    pool.shutdown()
    latch.release()
    assert waiting.result(PATIENCE_SECONDS) == 1


@pytest.mark.slow
def test_a_stalled_call_does_not_delay_the_end_of_the_process():
    program = (
        "import threading; from condord.host.thread_pool import DaemonPool; started = threading.Event();"
        "DaemonPool(1, name='stalled').submit(lambda: (started.set(), threading.Event().wait()));"
        "started.wait(); print('done')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


def test_a_loop_resolves_names_without_threads_that_asyncio_waits_for():
    async def scenario():
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
        return found[0][4], {thread.name.rpartition("-")[0] for thread in threading.enumerate() if thread not in before}

    before = set(threading.enumerate())
    with asyncio.Runner(loop_factory=ResolvingLoop) as runner:
        address, threads = runner.run(scenario())
    assert address == ("127.0.0.1", 80)
    assert "resolver" in threads
    assert not any(name.startswith("asyncio") for name in threads)
