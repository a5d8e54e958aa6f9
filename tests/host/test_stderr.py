import contextlib
import errno
import io
import logging
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord.host import logs, stderr
from condord.host.stderr import QueuedStream
from tests.e2e.running import until
from tests.examples import examples

TIMEOUT_SECONDS = 60.0
NO_DESCRIPTOR = -1


class Device:
    """The file behind a descriptor: accepts `max_bytes` at once, can be stopped, and can fail several times in a row."""

    def __init__(self, max_bytes=1_000_000):
        self.taken = b""
        self.errors = []
        self.reached = threading.Event()
        self._max_bytes = max_bytes
        self._open = threading.Event()
        self._open.set()

    def write(self, _descriptor, data):
        self.reached.set()
        assert self._open.wait(TIMEOUT_SECONDS)
        if self.errors and (error := self.errors.pop(0)):
            raise OSError(error, os.strerror(error))
        part = bytes(data[: self._max_bytes])
        self.taken += part
        return len(part)

    def stop(self):
        """Block from the next write on."""
        self._open.clear()
        self.reached.clear()

    def go_on(self):
        self._open.set()

    def written(self, data):
        """Wait until `data` was written last."""
        until(lambda: self.taken.endswith(data), "it is written")


@contextlib.contextmanager
def queued(device, **options):
    with contextlib.closing(QueuedStream(NO_DESCRIPTOR, system_write=device.write, **options)) as stream:
        yield stream
        device.go_on()
        until(stream.drain, "all is written")


def test_lines_are_written_in_order():
    device = Device()
    with queued(device) as stream:
        for number in range(500):
            stream.write(b"%d\n" % number)
    assert device.taken.split() == [b"%d" % number for number in range(500)]
    assert stream.dropped == 0


def test_a_partial_write_is_continued():
    device = Device(max_bytes=3)
    with queued(device) as stream:
        stream.write(b"0123456789\n")
    assert device.taken == b"0123456789\n"


def test_while_writing_blocks_lines_are_queued_up_to_the_bound_and_others_are_dropped_and_counted():
    device = Device()
    with queued(device, max_bytes=20) as stream:
        device.stop()
        for number in range(9):
            assert stream.write(b"line%d\n" % number) == 6  # room for three lines of six bytes
        assert stream.dropped == 6
        device.go_on()
        assert stream.drain(TIMEOUT_SECONDS)
        stream.write(b"after\n")
    assert device.taken == b"line0\nline1\nline2\nafter\n"
    assert stream.dropped == 6


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EPIPE, errno.EBADF])
def test_a_line_that_the_system_refuses_is_counted_and_the_next_one_is_tried(error):
    device = Device()
    device.errors = [error]
    with queued(device) as stream:
        stream.write(b"lost\n")
        stream.write(b"written\n")
    assert (device.taken, stream.dropped) == (b"written\n", 1)


def test_the_line_after_one_that_was_cut_short_begins_with_a_newline():
    device = Device(max_bytes=3)
    device.errors = [0, errno.ENOSPC, errno.ENOSPC]
    with queued(device) as stream:
        stream.write(b"0123456789\n")
        stream.write(b"lost\n")
        stream.write(b"written\n")
    assert (device.taken, stream.dropped) == (b"012\nwritten\n", 2)


def test_a_line_larger_than_the_bound_is_dropped():
    device = Device()
    with queued(device, max_bytes=10) as stream:
        stream.write(b"x" * 11)
    assert (device.taken, stream.dropped) == (b"", 1)


def test_drain_gives_up_while_writing_blocks():
    device = Device()
    with queued(device) as stream:
        device.stop()
        stream.write(b"x\n")
        assert not stream.drain(0.0)


def test_drain_does_not_wait_twice_for_the_same_line():
    device = Device()
    with queued(device) as stream:
        device.stop()
        stream.write(b"x\n")
        assert not stream.drain(0.0)
        assert not stream.drain(10 * TIMEOUT_SECONDS)
        device.go_on()
        device.written(b"x\n")
        stream.write(b"y\n")
        assert stream.drain(TIMEOUT_SECONDS)


def test_closing_a_stream_ends_its_thread():
    before = set(threading.enumerate())
    stream = QueuedStream(NO_DESCRIPTOR, system_write=Device().write)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "stderr" and thread not in before]
    assert thread.daemon
    stream.close()
    thread.join(TIMEOUT_SECONDS)
    assert not thread.is_alive()


@settings(deadline=None, max_examples=examples(50))  # the machine may be busy
@given(
    lines=st.lists(st.integers(1, 8).map(lambda length: b"x" * length), max_size=30),
    errors=st.lists(st.sampled_from([0, 0, errno.ENOSPC]), max_size=30),
    stops=st.sets(st.integers(0, 29)),
)
def test_each_line_is_written_whole_and_in_order_or_counted_whatever_happens(lines, errors, stops):
    device = Device()
    device.errors = list(errors)
    numbered = [b"%02d%s\n" % pair for pair in enumerate(lines)]
    with queued(device, max_bytes=40) as stream:
        for number, line in enumerate(numbered):
            device.stop() if number in stops else device.go_on()
            stream.write(line)
    written = [line + b"\n" for line in device.taken.split(b"\n")[:-1]]
    assert written == sorted(set(written) & set(numbered))
    assert len(written) + stream.dropped == len(numbered)


def test_no_line_is_lost_if_another_program_makes_the_shared_file_non_blocking():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"\n" * 4096)
    with contextlib.closing(QueuedStream(writing)) as stream:
        stream.write(b"line\n")
        assert not stream.drain(0.0)
        found = b""
        while b"line" not in found:
            found += os.read(reading, 65536)
        until(lambda: stream.drain(0.0), "the thread knows that the line is written")
        assert stream.dropped == 0
    os.close(reading)
    os.close(writing)


@contextlib.contextmanager
def unblocked(monkeypatch):
    """sys.stderr after `unblock`, on a pipe whose reading end is yielded.

    Not a fixture, as pytest replaces sys.stderr between fixture and test.
    """
    reading, writing = os.pipe()
    with monkeypatch.context() as patched, os.fdopen(writing, "w", errors="backslashreplace") as first:
        patched.setattr(sys, "stderr", first)
        stderr.unblock()
        with contextlib.closing(sys.stderr):
            yield reading
    os.close(reading)


def test_everything_that_python_writes_to_stderr_is_queued(monkeypatch):
    with unblocked(monkeypatch) as reading:
        sys.stderr.write("half of ")
        sys.stderr.write("a line\n")
        sys.excepthook(ValueError, ValueError("é\udc80"), None)
        stderr.drain(sys.stderr)
        assert os.read(reading, 65536).decode() == "half of a line\nValueError: é\\udc80\n"
        assert stderr.dropped() == 0


def test_the_log_waits_for_its_last_lines_when_the_interpreter_ends(monkeypatch):
    root = logging.getLogger()
    with unblocked(monkeypatch) as reading:
        logs.configure("info", "json", secrets=[], environ={})
        (ours,) = [each for each in root.handlers if isinstance(each, logs._LogOutput)]
        logging.getLogger("condord.test").warning("Last words")
        ours.flush()
        assert b"Last words" in os.read(reading, 65536)
        root.removeHandler(ours)
        ours.close()


def test_a_stderr_of_another_kind_is_neither_counted_nor_waited_for(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    stderr.drain(sys.stderr)
    stderr.drain(None)
    assert stderr.dropped() == 0
    monkeypatch.setattr(sys, "stderr", None)
    stderr.unblock()
    assert sys.stderr is None


BLOCKED = """
import sys
from condord.host import stderr
stderr.unblock()
for number in range(100000):
    print("x" * 50, file=sys.stderr)
stderr.drain(sys.stderr)
print(stderr.dropped() > 0, flush=True)
"""


@pytest.mark.slow
def test_a_process_ends_while_its_last_write_is_blocked():
    with subprocess.Popen(
        [sys.executable, "-c", BLOCKED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.read() == "True\n"
        assert process.wait(TIMEOUT_SECONDS) == 0
