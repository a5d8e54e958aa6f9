import asyncio

import pytest

from condord.errors import Failed
from condord.parts import Parts
from tests import virtualtime


def lasting(work, *, then=None):
    """What became of the parts after one of them did `work`; `then` is done meanwhile."""

    async def scene():
        parts = Parts()
        task = asyncio.create_task(parts.last("the supervisor", work))
        await asyncio.sleep(1)
        if then is not None:
            then(parts, task)
        await asyncio.gather(task, return_exceptions=True)
        return parts, task

    return virtualtime.run(scene())


async def forever():
    await asyncio.Event().wait()


async def returns():
    await asyncio.sleep(0)


async def raises():
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(forever())
        raise KeyError("a bug")


async def is_cancelled_by_nobody():
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@pytest.mark.parametrize("work", [returns, raises, is_cancelled_by_nobody])
def test_a_part_that_ends_by_itself_stops_the_daemon_with_a_bug(work, caplog):
    parts, task = lasting(work)
    assert parts.stopping.is_set()
    assert task.exception() is None
    assert str(parts.failure) == "the supervisor has ended by itself"
    assert parts.failure.exit_code == 70
    assert caplog.messages == ["The daemon ends itself"]


def test_the_log_names_what_happened_inside_of_groups_of_tasks(caplog):
    lasting(raises)
    assert isinstance(caplog.records[0].exc_info[1], KeyError)
    assert caplog.records[0].fields == {"reason": "the supervisor has ended by itself"}


def test_a_part_that_is_cancelled_fails_nothing(caplog):
    parts, task = lasting(forever, then=lambda parts, task: task.cancel())
    assert task.cancelled()
    assert (parts.failure, parts.stopping.is_set(), caplog.messages) == (None, False, [])


def test_a_part_that_returns_while_the_daemon_stops_fails_nothing(caplog):
    async def until_then():
        await asyncio.sleep(2)

    parts, _ = lasting(until_then, then=lambda parts, task: parts.stopping.set())
    assert (parts.failure, caplog.messages) == (None, [])


def test_an_error_while_the_daemon_stops_is_passed_on():
    async def until_then():
        await asyncio.sleep(2)
        raise KeyError("a bug")

    _, task = lasting(until_then, then=lambda parts, task: parts.stopping.set())
    assert isinstance(task.exception(), KeyError)


def test_of_several_failures_the_first_is_told(caplog):
    parts = Parts()
    parts.fail("one")
    parts.fail("two")
    assert isinstance(parts.failure, Failed)
    assert (str(parts.failure), len(caplog.messages)) == ("one", 1)
