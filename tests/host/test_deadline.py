import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from condord.host.deadline import EXIT_EXPIRED, DeadlinePipe, DeadlineWatch, boot_seconds

ROOT = Path(__file__).parents[2]
BOUND_SECONDS = 60


class Ended(BaseException):
    pass


def end(code):
    raise Ended(code)


@pytest.fixture
def pipe():
    pipe = DeadlinePipe(100.0)
    yield pipe
    pipe.close()


@pytest.fixture
def clock():
    return [90.0]


@pytest.fixture
def watch(pipe, clock):
    return DeadlineWatch(pipe.reader, now=lambda: clock[0], end=end)


def test_a_check_passes_until_the_newest_deadline(pipe, watch, clock):
    watch.check()
    clock[0] = 99.9
    watch.check()
    for until in (101.0, 102.0, 103.0):
        pipe.extend(until)
    clock[0] = 102.9
    watch.check()
    clock[0] = 103.0
    with pytest.raises(Ended, match=f"{EXIT_EXPIRED}"):
        watch.check()


def test_a_deadline_that_has_passed_before_the_start_ends_the_process(watch, clock):
    clock[0] = 100.0
    with pytest.raises(Ended):
        watch.start()


def test_a_parent_that_is_gone_ends_the_process(watch, pipe, clock):
    watch.check()
    os.close(pipe._writer)
    pipe._open.remove(pipe._writer)
    pipe.extend(200.0)
    clock[0] = 100.0
    with pytest.raises(Ended):
        watch.check()


def test_a_child_that_reads_nothing_does_not_block_its_parent(pipe):
    for _ in range(20_000):
        pipe.extend(1.0)


class Child:
    """The program with a deadline in `seconds`."""

    def __init__(self, seconds, *arguments):
        self.pipe = DeadlinePipe(boot_seconds() + seconds)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.host.deadline_child", str(self.pipe.reader), "1", *arguments],
            pass_fds=[self.pipe.reader],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        self.pipe.close_reader()

    def await_start(self):
        assert self.process.stdout.readline() == b"started\n"

    def wait(self):
        return self.process.wait(BOUND_SECONDS)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def started():
    children = []

    def start(*arguments):
        children.append(Child(*arguments))
        return children[-1]

    yield start
    for child in children:
        child.close()


@pytest.mark.slow
def test_a_child_ends_when_its_deadline_is_not_extended_even_if_its_loop_hangs(started):
    child = started(30, "hang")
    child.await_start()
    child.pipe.extend(boot_seconds() + 0.3)
    begun = time.monotonic()
    assert child.wait() == EXIT_EXPIRED
    assert 0.25 < time.monotonic() - begun < 30
    child.pipe.close()


@pytest.mark.slow
def test_a_child_runs_as_long_as_its_deadline_is_extended_and_ends_with_the_pipe(started):
    child = started(30)
    child.await_start()
    for _ in range(5):
        child.pipe.extend(boot_seconds() + 5)
        time.sleep(0.05)
    assert child.process.poll() is None
    child.pipe.close()
    assert child.wait() == EXIT_EXPIRED


@pytest.mark.slow
def test_a_child_that_was_suspended_past_its_deadline_does_nothing_further(started):
    child = started(30)
    child.await_start()
    child.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.process.pid, os.WSTOPPED)
    os.set_blocking(child.process.stdout.fileno(), False)
    while child.process.stdout.read():
        pass
    child.pipe.extend(boot_seconds() + 0.1)
    time.sleep(0.3)
    child.process.send_signal(signal.SIGCONT)
    assert child.wait() == EXIT_EXPIRED
    assert len(child.process.stdout.read() or b"") <= 1  # what it was doing when it was stopped
    child.pipe.close()
