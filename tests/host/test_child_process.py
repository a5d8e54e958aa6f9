import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.host import child_process
from condord.host.child_process import ChildProcess, RestartDelays, RestartedChild

ROOT = Path(__file__).parents[2]
PROGRAM = "tests.host.child_program"
BOUND_SECONDS = 120

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


class Pipe:
    """What children write. `reader` is at its end when no process holds the write end any longer."""

    def __init__(self):
        read, self.write = os.pipe()
        self.reader = os.fdopen(read, "rb", buffering=0)
        self._is_open = True

    def close_write(self):
        if self._is_open:
            self._is_open = False
            os.close(self.write)


@pytest.fixture
def pipe():
    pipe = Pipe()
    with pipe.reader:
        yield pipe
    pipe.close_write()


def open_descriptors():
    return {each.name for each in Path("/proc/self/fd").iterdir()}


async def first_line(reader):
    return json.loads(await asyncio.to_thread(reader.readline))


async def started(pipe, *arguments, environ=os.environ):
    """A child that runs, and the first line that it wrote. Only the child holds the write end afterwards."""
    child = await ChildProcess.start(
        PROGRAM, ["--out", str(pipe.write), *arguments], environ=environ, pass_fds=[pipe.write]
    )
    pipe.close_write()
    return child, await first_line(pipe.reader)


async def bounded(work):
    async with asyncio.timeout(BOUND_SECONDS):
        return await work


def run(work):
    return asyncio.run(bounded(work))


def test_a_child_has_the_descriptors_and_exactly_the_environment_that_it_is_given(pipe):
    async def main():
        child, reported = await started(pipe, environ={"ONE": "1"})
        assert reported["pid"] == child.pid
        assert reported["environ"].pop("ONE") == "1"
        assert set(reported["environ"]) <= {"LC_CTYPE"}  # Python sets it for itself in the C locale
        assert child.returncode is None
        await child.stop()

    run(main())


def test_a_child_is_asked_to_stop_and_its_exit_code_is_kept(pipe):
    async def main():
        child, _ = await started(pipe)
        assert await child.stop() == 7
        assert (child.returncode, await child.wait(), await child.stop()) == (7, 7, 7)

    run(main())


def test_a_child_that_does_not_stop_is_killed(pipe, caplog):
    async def main():
        child, _ = await started(pipe, "--ignore-sigterm")
        assert await child.stop(within_seconds=0.05) == -signal.SIGKILL
        (record,) = caplog.records
        assert record.fields == {"pid": child.pid, "seconds": 0.05}

    run(main())


def test_a_stop_that_is_cancelled_kills_the_child_and_waits_for_its_end(pipe):
    async def main():
        child, _ = await started(pipe, "--ignore-sigterm")
        stop = asyncio.create_task(child.stop(within_seconds=BOUND_SECONDS))
        await asyncio.sleep(0.01)
        stop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stop
        assert child.returncode == -signal.SIGKILL

    run(main())


def test_a_child_of_a_parent_that_ignores_sigterm_can_be_stopped(pipe):
    async def main():
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            child = await ChildProcess.start(
                PROGRAM, ["--out", str(pipe.write), "--own-sigterm"], environ=os.environ, pass_fds=[pipe.write]
            )
        finally:
            signal.signal(signal.SIGTERM, before)
        pipe.close_write()
        await first_line(pipe.reader)
        assert await child.stop(within_seconds=BOUND_SECONDS) == -signal.SIGTERM

    run(main())


def test_ctrl_c_at_a_terminal_does_not_reach_a_child(pipe):
    async def main():
        child, _ = await started(pipe)
        assert os.getpgid(child.pid) == os.getsid(child.pid) == child.pid != os.getpgid(0)
        await child.stop()

    run(main())


def test_no_descriptor_is_left_open_after_the_end(pipe):
    async def main():
        before = open_descriptors()
        child, _ = await started(pipe)
        await child.stop()
        assert open_descriptors() <= before

    run(main())


def test_a_program_that_cannot_be_started_is_an_error_and_leaves_no_descriptor_open(monkeypatch):
    async def main():
        monkeypatch.setattr(sys, "executable", "/nonexistent/python")
        before = open_descriptors()
        with pytest.raises(FileNotFoundError):
            await ChildProcess.start(PROGRAM, environ={})
        assert open_descriptors() == before

    run(main())


@pytest.mark.parametrize("arguments", [(), ("--without-death-signal",), ("--ignore-sigterm",)])
def test_a_child_ends_when_its_parent_is_killed(pipe, arguments):
    command = [sys.executable, "-m", "tests.host.parent_program", "--out", str(pipe.write), *arguments]
    with subprocess.Popen(command, pass_fds=[pipe.write], stdin=subprocess.DEVNULL) as parent:
        pipe.close_write()
        json.loads(pipe.reader.readline())
        parent.kill()
        assert pipe.reader.read() == b""  # the child held the last write end


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
def test_a_child_that_is_suspended_ends_when_its_parent_is_killed(pipe):
    command = [sys.executable, "-m", "tests.host.parent_program", "--out", str(pipe.write)]
    with subprocess.Popen(command, pass_fds=[pipe.write], stdin=subprocess.DEVNULL) as parent:
        pipe.close_write()
        child = json.loads(pipe.reader.readline())["pid"]
        os.kill(child, signal.SIGSTOP)
        parent.kill()
        assert pipe.reader.read() == b""


def test_a_kept_child_is_started_again_when_it_ends_and_stopped_with_its_keeper(pipe, caplog, monkeypatch):
    monkeypatch.setattr(child_process, "FIRST_DELAY_SECONDS", 0.01)
    codes = iter(["3", "4"])

    async def start():
        code = next(codes, None)
        return await ChildProcess.start(
            PROGRAM,
            ["--out", str(pipe.write), *(["--exit", code] if code else [])],
            environ=os.environ,
            pass_fds=[pipe.write],
        )

    async def main():
        kept = RestartedChild("program", start)
        task = asyncio.create_task(kept.run())
        pids = [(await first_line(pipe.reader))["pid"] for _ in range(3)]
        assert len(set(pids)) == 3
        child = kept.child
        assert child.pid == pids[-1]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (child.returncode, kept.child) == (7, None)

    run(main())
    fields = [record.fields for record in caplog.records]
    assert [(each["child"], each["exit_code"]) for each in fields] == [("program", 3), ("program", 4)]


def test_a_kept_child_that_cannot_be_started_is_tried_again(caplog, monkeypatch):
    monkeypatch.setattr(child_process, "FIRST_DELAY_SECONDS", 0.01)

    async def main():
        tries, is_third = [], asyncio.Event()

        async def start():
            tries.append(1)
            if len(tries) == 3:
                is_third.set()
            raise BlockingIOError(11, "Resource temporarily unavailable")

        kept = RestartedChild("program", start)
        task = asyncio.create_task(kept.run())
        await is_third.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert caplog.records[0].fields["error"] == "Resource temporarily unavailable"


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        (0, {"exit_code": 0}),
        (70, {"exit_code": 70}),
        (-9, {"signal": "SIGKILL"}),
        (-11, {"signal": "SIGSEGV"}),
        (-40, {"signal": "signal 40"}),
    ],
)
def test_the_end_of_a_process_is_logged_as_an_exit_code_or_the_name_of_a_signal(code, fields):
    assert child_process.how_ended(code) == fields


def test_delays_double_up_to_half_a_minute():
    delays = RestartDelays(chance=lambda: 0.0)
    assert [delays.after(1.0) for _ in range(8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_child_that_ran_for_a_minute_starts_the_delays_again():
    delays = RestartDelays(chance=lambda: 0.0)
    assert [delays.after(ran) for ran in (1.0, 1.0, 59.9, 60.0, 1.0)] == [0.5, 1.0, 2.0, 0.5, 1.0]


@given(st.lists(st.floats(0, 1000)), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_never_under_a_quarter_of_a_second_and_never_over_half_a_minute(runs, chance):
    delays = RestartDelays(chance=lambda: chance)
    assert all(0.25 <= delays.after(ran) <= 30.0 for ran in runs)
