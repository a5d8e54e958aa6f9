import asyncio
import contextlib
import os
import socket
import time

from condord.host import suspensions
from condord.host.suspensions import MIN_SECONDS, CheckingSelector, Suspensions
from condord.host.thread_pool import ResolvingLoop


class Clocks:
    """The loop's clock and the machine's."""

    def __init__(self):
        self.now, self.machine = 1000.0, 1.8e9
        self.noted = []
        self.monitor = Suspensions(now=lambda: self.now, machine=lambda: self.machine)
        self.monitor.watch(self.noted.append)

    def check_after(self, seconds, machine_seconds=None):
        """Check after these seconds have passed; returns what was noted."""
        self.now += seconds
        self.machine += seconds if machine_seconds is None else machine_seconds
        self.monitor.check()
        noted, self.noted[:] = [*self.noted], []
        return noted


def test_a_loop_that_runs_was_not_suspended():
    clocks = Clocks()
    assert [clocks.check_after(MIN_SECONDS - 0.01) for _ in range(100)] == [[]] * 100


def test_a_stopped_process_is_noted_once_with_its_seconds(caplog):
    caplog.set_level("INFO")
    clocks = Clocks()
    assert clocks.check_after(10.0) == [10.0]
    assert clocks.check_after(0.0) == []
    [record] = caplog.records
    assert (record.message, record.fields) == ("The process was suspended or blocked", {"seconds": 10.0})


def test_a_machine_that_slept_is_noted_though_the_clock_of_the_loop_stood_still():
    clocks = Clocks()
    assert clocks.check_after(0.2, 3600.0) == [3600.0]


def test_a_machine_clock_that_is_set_back_is_no_suspension():
    clocks = Clocks()
    assert clocks.check_after(0.2, -3600.0) == []
    assert clocks.check_after(0.2) == []


def test_time_before_anybody_watches_is_not_a_suspension():
    clocks = Clocks()
    clocks.now += 60.0
    clocks.monitor.watch(clocks.noted.append)
    assert clocks.check_after(0.1) == []


def test_without_a_watcher_nothing_is_logged(caplog):
    caplog.set_level("INFO")
    now = [0.0]
    monitor = Suspensions(now=lambda: now[0], machine=lambda: 0.0)
    now[0] = 60.0
    monitor.check()
    assert caplog.records == []


def test_a_suspension_is_noted_before_anything_is_read_and_before_any_timer(monkeypatch):
    monkeypatch.setattr(suspensions, "MIN_SECONDS", 0.2)
    order = []
    monitor = Suspensions()
    ours, theirs = socket.socketpair()

    async def main():
        loop = asyncio.get_running_loop()
        loop.add_reader(ours, lambda: order.append("read"))
        loop.call_later(0.1, order.append, "timer")
        monitor.watch(lambda _seconds: order.append("noted"))
        theirs.send(b"a request")
        time.sleep(0.3)  # noqa: ASYNC251 - as if the process were stopped
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        loop.remove_reader(ours)

    with ours, theirs, asyncio.Runner(loop_factory=lambda: ResolvingLoop(monitor.selector())) as runner:
        runner.run(main())
    assert order[:3] == ["noted", "read", "timer"]


def test_the_checks_of_a_selector_are_called_in_their_order_before_it_looks():
    order = []
    with contextlib.closing(CheckingSelector(lambda: order.append(1), lambda: order.append(2))) as selector:
        assert selector.select(0) == []
    assert order == [1, 2]
    monitor = Suspensions(now=lambda: order.append("look") or 0.0, machine=lambda: 0.0)
    order.clear()
    with contextlib.closing(monitor.selector(lambda: order.append("check"))) as selector:
        selector.select(0)
    assert order == ["check", "look"]


def test_a_selector_returns_the_ready_files():
    reader, writer = os.pipe()
    with contextlib.closing(CheckingSelector()) as selector:
        selector.register(reader, 1)
        os.write(writer, b"x")
        assert [key.fd for key, _ in selector.select(1)] == [reader]
    os.close(reader)
    os.close(writer)
