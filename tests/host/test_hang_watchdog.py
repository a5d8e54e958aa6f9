import logging
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.errors import EXIT_BUG
from condord.host import hang_watchdog
from condord.host.hang_watchdog import StallCounter


def test_a_counter_that_moves_between_looks_never_stalls():
    stalls = StallCounter(2)
    assert not any(stalls.step(counter) for counter in range(100))


def test_a_counter_stalls_after_exactly_the_required_looks_without_a_move():
    stalls = StallCounter(3)
    assert [stalls.step(7) for _ in range(5)] == [False, False, False, True, True]


def test_a_move_restarts_the_count():
    stalls = StallCounter(3)
    assert [stalls.step(counter) for counter in (1, 1, 1, 2, 2, 2, 2)] == [False] * 6 + [True]


@given(st.integers(1, 5), st.lists(st.integers(0, 2)))
def test_a_counter_has_stalled_if_it_kept_its_value_over_the_required_looks(steps, counters):
    stalls = StallCounter(steps)
    for number, counter in enumerate(counters, 1):
        last = counters[max(0, number - steps - 1) : number]
        assert stalls.step(counter) is (len(last) == steps + 1 and len(set(last)) == 1)


def test_a_stack_has_lines_of_code_and_no_values():
    ready, over = threading.Event(), threading.Event()

    def wait_with(secret):
        ready.set()
        over.wait()

    thread = threading.Thread(target=wait_with, args=("hunter2",))
    thread.start()
    ready.wait()
    lines = hang_watchdog.stack(thread.ident)
    over.set()
    thread.join()
    assert any(line.startswith("test_hang_watchdog.py:") and line.endswith(" wait_with") for line in lines)
    assert "hunter2" not in "".join(lines)


def test_a_deep_stack_is_cut_to_its_innermost_lines():
    def deep(levels):
        return deep(levels - 1) if levels else hang_watchdog.stack(threading.get_ident())

    lines = deep(100)
    assert len(lines) == hang_watchdog.FRAMES
    assert lines[0].endswith(" stack")


def test_a_thread_that_has_ended_has_no_stack():
    assert hang_watchdog.stack(-1) == []


def test_the_watching_thread_ends_with_the_context():
    before = set(threading.enumerate())
    with hang_watchdog.HangWatchdog() as watch:
        watch.advance()
        (thread,) = [each for each in threading.enumerate() if each.name == "hang-watchdog" and each not in before]
        assert thread.daemon
    thread.join(60)
    assert not thread.is_alive()


class Exits:
    """The exit codes with which the process would have ended; the thread that would end it waits instead."""

    def __init__(self):
        self.codes = []
        self.arrived = threading.Event()
        self.released = threading.Event()

    def __call__(self, code):
        self.codes.append(code)
        self.arrived.set()
        self.released.wait(60)


@pytest.fixture
def exits(monkeypatch):
    """A watchdog that checks as often as it can, and ends the process after three checks."""
    exits = Exits()
    monkeypatch.setattr(os, "_exit", exits)
    monkeypatch.setattr(hang_watchdog, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(hang_watchdog, "STEPS", 3)
    yield exits
    exits.released.set()


def test_a_counter_that_stalls_ends_the_process_after_a_report_with_the_stack(exits, caplog):
    with hang_watchdog.HangWatchdog():
        assert exits.arrived.wait(60)
    assert exits.codes == [EXIT_BUG]
    (record,) = caplog.records
    assert (record.levelno, record.fields["code"], record.fields["checks"]) == (logging.ERROR, "hung", 3)
    assert any(line.startswith("test_hang_watchdog.py:") for line in record.fields["stack"])


def test_a_report_that_cannot_be_written_does_not_keep_the_process_alive(exits, monkeypatch):
    class Blocked(logging.Handler):
        def emit(self, record):
            is_over.wait(60)

    is_over, handler = threading.Event(), Blocked()
    monkeypatch.setattr(hang_watchdog, "REPORT_SECONDS", 0.01)
    logging.getLogger().addHandler(handler)
    try:
        with hang_watchdog.HangWatchdog():
            assert exits.arrived.wait(30)
    finally:
        is_over.set()
        logging.getLogger().removeHandler(handler)
    assert exits.codes == [EXIT_BUG]
