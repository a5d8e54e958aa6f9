import asyncio
import os
import signal

import pytest

from condord.host import signals

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _handlers():
    """Restores the handlers, which belong to the whole process."""
    before = {number: signal.getsignal(number) for number in HANDLED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def called_on(number):
    """The name of the callback that signal `number` calls within the context."""

    async def main():
        loop, called = asyncio.get_running_loop(), asyncio.Queue()
        with signals.answered(loop, end=lambda: called.put_nowait("end"), hang_up=lambda: called.put_nowait("hang up")):
            os.kill(os.getpid(), number)
            return await called.get()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("number", "answer"), [(signal.SIGINT, "end"), (signal.SIGTERM, "end"), (signal.SIGHUP, "hang up")]
)
def test_each_signal_has_its_callback_and_is_ignored_afterwards(number, answer):
    assert called_on(number) == answer
    assert {signal.getsignal(handled) for handled in HANDLED} == {signal.SIG_IGN}


@pytest.mark.parametrize("ignored", HANDLED)
def test_a_signal_that_was_ignored_before_stays_ignored_with_a_log_event(ignored, caplog):
    caplog.set_level("INFO", "condord.host.signals")
    signal.signal(ignored, signal.SIG_IGN)

    async def main():
        with signals.answered(asyncio.get_running_loop(), end=pytest.fail, hang_up=pytest.fail):
            return signal.getsignal(ignored)

    assert asyncio.run(main()) is signal.SIG_IGN
    (record,) = caplog.records
    assert record.fields == {"signals": [ignored.name]}


def test_a_child_leaves_the_log_event_to_its_parent(caplog):
    caplog.set_level("INFO", "condord.host.signals")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def main():
        with signals.answered(asyncio.get_running_loop(), end=pytest.fail, hang_up=pytest.fail, is_child=True):
            return signal.getsignal(signal.SIGHUP)

    assert asyncio.run(main()) is signal.SIG_IGN
    assert caplog.records == []


def test_if_no_signal_was_ignored_nothing_is_logged(caplog):
    caplog.set_level("INFO", "condord.host.signals")
    called_on(signal.SIGHUP)
    assert caplog.records == []
