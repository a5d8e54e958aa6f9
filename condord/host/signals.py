"""Handle SIGINT, SIGTERM and SIGHUP in an event loop.

Signals that were ignored when the process started stay ignored: nohup and the background jobs of sh ignore them so that
a program outlives the terminal. `condord.__main__` ignores none itself, so SIG_IGN here means that they were inherited.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_ENDING = (signal.SIGINT, signal.SIGTERM)

_log = logging.getLogger(__name__)


@contextmanager
def answered(
    loop: asyncio.AbstractEventLoop,
    *,
    end: Callable[[], None],
    hang_up: Callable[[], None],
    is_child: bool = False,
) -> Iterator[None]:
    """Call `end` on SIGINT and SIGTERM and `hang_up` on SIGHUP, in the loop.

    Signals that stay ignored are logged, except by a child of a condord, which logs them itself.

    Afterwards the signals are ignored. Restoring the default would leave a moment at the end in which a second signal
    kills the process, with another exit code.
    """
    wanted: tuple[signal.Signals, ...] = (*_ENDING, signal.SIGHUP)
    handled = [number for number in wanted if signal.getsignal(number) is not signal.SIG_IGN]
    ignored = [number.name for number in wanted if number not in handled]
    if ignored and not is_child:
        fields = {"fields": {"signals": ignored}}
        _log.info("Signals stay ignored, as they were at the start", extra=fields)
    ending = [number for number in handled if number in _ENDING]
    for number in ending:
        loop.add_signal_handler(number, end)
    if signal.SIGHUP in handled:
        signal.signal(signal.SIGHUP, lambda *_: loop.call_soon_threadsafe(hang_up))
    try:
        yield
    finally:
        for number in ending:
            loop.remove_signal_handler(number)
        for number in handled:
            signal.signal(number, signal.SIG_IGN)
