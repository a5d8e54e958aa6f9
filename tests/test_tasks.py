import asyncio
import contextlib

import pytest

from condord.errors import AccessDenied, ConfigError, InternalError
from condord.tasks import STOP_AGAIN_SECONDS, Lifetime, check_cancelled, stopped
from tests import virtualtime


def run_task(work, *, then=None):
    """Run `work` in a task of a lifetime and call `then` meanwhile; returns the lifetime and the task."""

    async def scenario():
        lifetime = Lifetime()
        task = asyncio.create_task(lifetime.keep("the supervisor", work))
        await asyncio.sleep(1)
        if then is not None:
            then(lifetime, task)
        await asyncio.gather(task, return_exceptions=True)
        return lifetime, task

    return virtualtime.run(scenario())


async def waits():
    await asyncio.Event().wait()


async def returns():
    await asyncio.sleep(0)


async def raises():
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(waits())
        raise KeyError("a bug")


async def awaits_something_cancelled():
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@pytest.mark.parametrize("work", [returns, raises, awaits_something_cancelled])
def test_a_task_that_ends_unexpectedly_stops_the_daemon_as_a_bug(work, caplog):
    lifetime, task = run_task(work)
    assert lifetime.stopping.is_set()
    assert task.exception() is None
    assert str(lifetime.failure) == "the supervisor ended by itself"
    assert lifetime.failure.exit_code == 70
    assert caplog.messages == ["The daemon ends itself"]


def test_the_log_has_the_first_error_within_exception_groups(caplog):
    run_task(raises)
    assert isinstance(caplog.records[0].exc_info[1], KeyError)
    assert caplog.records[0].fields == {"reason": "the supervisor ended by itself"}


def test_a_task_that_is_cancelled_is_not_a_failure(caplog):
    lifetime, task = run_task(waits, then=lambda lifetime, task: task.cancel())
    assert task.cancelled()
    assert (lifetime.failure, lifetime.stopping.is_set(), caplog.messages) == (None, False, [])


def test_a_task_that_returns_while_the_daemon_stops_is_not_a_failure(caplog):
    async def returns_late():
        await asyncio.sleep(2)

    lifetime, _ = run_task(returns_late, then=lambda lifetime, task: lifetime.stopping.set())
    assert (lifetime.failure, caplog.messages) == (None, [])


def test_an_error_while_the_daemon_stops_is_raised():
    async def raises_late():
        await asyncio.sleep(2)
        raise KeyError("a bug")

    _, task = run_task(raises_late, then=lambda lifetime, task: lifetime.stopping.set())
    assert isinstance(task.exception(), KeyError)


def test_the_first_of_several_failures_is_reported(caplog):
    lifetime = Lifetime()
    lifetime.fail("one")
    lifetime.fail("two")
    assert isinstance(lifetime.failure, InternalError)
    assert (str(lifetime.failure), len(caplog.messages)) == ("one", 1)


def test_an_error_that_is_not_a_bug_stops_the_daemon_and_the_first_one_is_kept():
    lifetime = Lifetime()
    first = AccessDenied("no", "")
    lifetime.stop(first)
    lifetime.stop(AccessDenied("again", ""))
    assert lifetime.stopping.is_set()
    assert lifetime.failure is first


def test_a_configuration_that_turns_out_to_be_wrong_is_the_reason_for_the_stop(caplog):
    wrong = ConfigError(["another account"])

    async def raises_it():
        raise ExceptionGroup("tasks", [wrong])

    lifetime, _ = run_task(raises_it)
    assert lifetime.stopping.is_set()
    assert lifetime.failure is wrong
    assert not caplog.records


def test_a_task_that_swallows_a_cancellation_is_cancelled_again():
    async def ignores_cancellation(times):
        for _ in range(times):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    async def scenario():
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(work) for work in (waits(), returns(), ignores_cancellation(3))]
        await asyncio.sleep(1)
        began = loop.time()
        await stopped(tasks)
        assert all(task.done() for task in tasks)
        assert loop.time() - began == pytest.approx(2 * STOP_AGAIN_SECONDS)

    virtualtime.run(scenario())


def test_a_cancellation_that_a_library_has_kept_to_itself_is_raised():
    async def asks():
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            check_cancelled()

    async def scenario():
        check_cancelled()
        task = asyncio.create_task(asks())
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    virtualtime.run(scenario())
