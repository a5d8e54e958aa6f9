import asyncio
import contextlib
import datetime as dt
import sqlite3
import threading
from pathlib import Path

import pytest

from condord.errors import Unavailable
from condord.host import database_thread
from condord.host.database_thread import DatabaseThread

PATH = Path("/nowhere/notes.sqlite3")
EARLY_AT = dt.datetime(2026, 6, 22, 13, 30, tzinfo=dt.UTC)
LATE_AT = dt.datetime(2026, 6, 22, 13, 31, tzinfo=dt.UTC)


class NotesFile:
    """A file that does what a test sets."""

    def __init__(self):
        self.path = PATH
        self.aside = None
        self.was_closed = False

    def close(self):
        self.was_closed = True


@contextlib.contextmanager
def started(machine_at=lambda: EARLY_AT):
    thread = DatabaseThread(NotesFile(), name="notes", effect="No notes are kept", machine_at=machine_at)
    try:
        yield thread
    finally:
        thread.close(NotesFile.close)


def failing(error):
    def work(_file):
        raise error

    return work


def test_work_runs_on_one_other_thread_with_the_file():
    async def use():
        with started() as thread:
            found = [await thread.run(lambda file: (file, threading.get_ident()), None) for _ in range(3)]
            assert {(id(file), ident) for file, ident in found} == {(id(thread.file), found[0][1])}
            assert found[0][1] != threading.get_ident()

    asyncio.run(use())


def test_one_call_runs_at_a_time_and_only_its_own_time_counts(monkeypatch):
    monkeypatch.setattr(database_thread, "DISK_TIMEOUT_SECONDS", 2.0)

    async def use():
        with started() as thread:
            slowly = [thread.run(lambda _: threading.Event().wait(0.5), default=True) for _ in range(6)]
            assert await asyncio.gather(*slowly) == [False] * 6
            assert thread.fault is None

    asyncio.run(use())


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "attempt to write a readonly database"),
        (ValueError("a row that cannot be read"), "a row that cannot be read"),
        (Unavailable("it belongs to another program", "Remove it."), "it belongs to another program. Remove it."),
    ],
)
def test_a_failure_is_a_fault_until_the_next_success_is_noted(error, text):
    async def use():
        with started() as thread:
            assert await thread.run(failing(error), "nothing") == "nothing"
            assert thread.fault.text.startswith(f"No notes are kept in {PATH}: {text}")
            assert (thread.error, thread.is_usable) == (error, False)
            assert thread.failed <= asyncio.get_running_loop().time()
            assert await thread.run(lambda _: 1, 0) == 1
            assert not thread.is_usable, "a success of reading says nothing of writing"
            thread.succeeded()
            assert (thread.fault, thread.error, thread.failed, thread.is_usable) == (None, None, None, True)

    asyncio.run(use())


def test_a_fault_keeps_its_beginning_when_its_reason_changes():
    times = iter([EARLY_AT, LATE_AT])

    async def use():
        with started(lambda: next(times)) as thread:
            await thread.run(failing(OSError(28, "No space left on device")), None)
            await thread.run(failing(OSError(5, "Input/output error")), None)
            assert "Input/output error" in thread.fault.text
            assert thread.fault.since == EARLY_AT

    asyncio.run(use())


def test_a_bug_is_raised():
    async def use():
        with started() as thread, pytest.raises(KeyError):
            await thread.run(failing(KeyError("missing")), None)

    asyncio.run(use())


def test_a_disk_that_hangs_is_asked_nothing_more_until_it_responds(monkeypatch):
    monkeypatch.setattr(database_thread, "DISK_TIMEOUT_SECONDS", 0.05)
    release = threading.Event()
    asked = []

    async def use():
        with started() as thread:
            assert await thread.run(lambda _: release.wait(60), "nothing") == "nothing"
            assert (thread.error, "the disk does not respond" in thread.fault.text) == (None, True)
            assert await thread.run(asked.append, "nothing") == "nothing"
            release.set()
            while await thread.run(lambda _: "again", "nothing") != "again":  # noqa: ASYNC110 - a thread ends it
                await asyncio.sleep(0.01)
            assert asked == []

    asyncio.run(use())


def test_a_failure_after_the_time_limit_is_not_reported_by_the_loop(monkeypatch):
    monkeypatch.setattr(database_thread, "DISK_TIMEOUT_SECONDS", 0.05)
    release = threading.Event()
    reported = []

    def fail_late(_file):
        release.wait(60)
        raise OSError(5, "Input/output error")

    async def use():
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
        with started() as thread:
            await thread.run(fail_late, None)
            release.set()
            while not await thread.run(lambda _: True, default=False):  # noqa: ASYNC110 - a thread ends it
                await asyncio.sleep(0.01)

    asyncio.run(use())
    assert reported == []


def test_a_file_that_was_set_aside_is_a_fault_until_the_next_start():
    async def use():
        with started() as thread:
            thread.file.aside = PATH.with_name("notes.sqlite3.broken-20260622T133000Z")
            await thread.run(lambda _: None, None)
            thread.succeeded()
            fault = thread.fault
            assert "was renamed to notes.sqlite3.broken-20260622T133000Z" in fault.text
            assert (fault.is_set_aside, thread.is_usable) == (True, True)
            await thread.run(failing(OSError(28, "No space left on device")), None)
            assert not thread.fault.is_set_aside
            thread.succeeded()
            assert thread.fault is fault

    asyncio.run(use())


def test_after_its_end_the_thread_does_nothing_and_the_file_is_closed():
    async def use():
        with started() as thread:
            pass
        assert thread.file.was_closed
        assert await thread.run(lambda _: "done", "nothing") == "nothing"
        thread.close(NotesFile.close)

    asyncio.run(use())


def test_the_end_does_not_wait_for_a_disk_that_hangs(monkeypatch):
    monkeypatch.setattr(database_thread, "DISK_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(database_thread, "CLOSE_SECONDS", 3600.0)
    release = threading.Event()

    async def use():
        with started() as thread:
            await thread.run(lambda _: release.wait(60), None)

    asyncio.run(use())
    release.set()
