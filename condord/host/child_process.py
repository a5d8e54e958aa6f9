"""Run a program of condord in a child process that never outlives its parent.

The parent starts the child from the thread of its event loop, and holds the write end of a pipe that is the child's
standard input. The child calls `end_with_parent` first thing. It then ends at the end of file of that pipe, on a thread
of its own, so even if its event loop hangs. On Linux the kernel kills it, too (PR_SET_PDEATHSIG), as a child that is
stopped would not see the end of file.

The child is in a session of its own. So Ctrl-C at a terminal reaches only the parent, which stops its children itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import random
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Self

from condord.errors import EXIT_UNAVAILABLE

STOP_SECONDS = 5.0
"""How long a child may take to stop after SIGTERM."""
FIRST_DELAY_SECONDS = 0.5
MAX_DELAY_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""After a child that ran this long, the delays start again with the first."""

_STDIN = 0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_log = logging.getLogger(__name__)


class ChildProcess:
    """A started child. Its owner awaits `wait`, `stop` or `kill` in the end, each of which also reaps it."""

    def __init__(self, process: asyncio.subprocess.Process, lifeline: int) -> None:
        self._process = process
        self._lifeline = lifeline
        self._is_open = True

    @classmethod
    async def start(
        cls, module: str, arguments: Iterable[str] = (), *, environ: Mapping[str, str], pass_fds: Iterable[int] = ()
    ) -> Self:
        """Start `python -m module arguments` with exactly this environment.

        The child inherits standard output and error, and the descriptors `pass_fds` under their numbers. The caller
        may close its own copies of them afterwards. This must run on the thread that lives longest, the main thread:
        for the kernel a parent is the thread that forked.

        Raises:
            OSError: the process cannot be started.
        """
        theirs, lifeline = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # without it, Python would import from the working directory first
                "-m",
                module,
                *arguments,
                stdin=theirs,
                env=dict(environ),
                pass_fds=tuple(pass_fds),
                start_new_session=True,
            )
        except BaseException:
            os.close(lifeline)
            raise
        finally:
            os.close(theirs)
        return cls(process, lifeline)

    @property
    def pid(self) -> int:
        """The process id, which is valid until the child has been reaped."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or -N after signal N; None while the child runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for the child to end, and return its exit code, or -N after signal N. May be awaited more than once."""
        code = await self._process.wait()
        self._close()
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal. Does nothing if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def stop(self, within_seconds: float = STOP_SECONDS) -> int:
        """Send SIGTERM, and SIGKILL after `within_seconds`; return the exit code as `wait` does.

        If this is cancelled, the child is killed at once, and is reaped before the cancellation goes on.
        """
        try:
            self.send_signal(signal.SIGTERM)
            async with asyncio.timeout(within_seconds):
                return await self.wait()
        except TimeoutError:
            _log.warning(
                "A child process does not stop and is killed",
                extra={"fields": {"pid": self.pid, "seconds": within_seconds}},
            )
            return await self.kill()
        except asyncio.CancelledError:
            await self.kill()
            raise

    async def kill(self) -> int:
        """Send SIGKILL, and return the exit code as `wait` does."""
        self.send_signal(signal.SIGKILL)
        return await self.wait()

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self._lifeline)


def how_ended(code: int) -> dict[str, object]:
    """Return the field of a log line for the end of a process with this exit code, or -N after signal N."""
    if code >= 0:
        return {"exit_code": code}
    names = {int(number): number.name for number in signal.Signals}
    return {"signal": names.get(-code, f"signal {-code}")}  # real-time signals have no names


class RestartDelays:
    """The seconds before each start of a child that has ended: doubling from 0.5 to 30, less up to half by chance."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._next = FIRST_DELAY_SECONDS

    def after(self, ran_seconds: float) -> float:
        """The delay after a child that ran for `ran_seconds`."""
        if ran_seconds >= STEADY_SECONDS:
            self._next = FIRST_DELAY_SECONDS
        delay, self._next = self._next, min(self._next * 2, MAX_DELAY_SECONDS)
        return delay * (1 - self._chance() / 2)


class RestartedChild:
    """Keeps a child running: `run` starts another one when it ends, with backoff.

    `start` starts a child; `name` is its name in the log. `child` is the one that runs, None between two.
    """

    def __init__(
        self, name: str, start: Callable[[], Awaitable[ChildProcess]], *, delays: RestartDelays | None = None
    ) -> None:
        self.name = name
        self.child: ChildProcess | None = None
        self._start = start
        self._delays = delays or RestartDelays()

    async def run(self) -> None:
        """Keep it running until this is cancelled, which stops the child and waits until it has ended."""
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            ended = await self._run_once()
            delay = self._delays.after(loop.time() - started)
            fields = {"child": self.name, **ended, "restart_in_seconds": round(delay, 1)}
            _log.warning("A child process has ended and will be started again", extra={"fields": fields})
            await asyncio.sleep(delay)

    async def _run_once(self) -> dict[str, object]:
        """Start a child, wait for its end, and return the log fields about its end."""
        try:
            self.child = child = await self._start()
        except OSError as error:
            return {"error": error.strerror or str(error)}
        try:
            return {"pid": child.pid, **how_ended(await child.wait())}
        finally:
            try:
                await child.stop()
            finally:
                self.child = None


def end_with_parent() -> None:
    """End this process when its parent has ended. To be called first thing by a program that `ChildProcess` starts.

    SIGTERM ends it too, even if the parent ignores it, as under nohup.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        # Refused only in a sandbox without prctl(2). The end of file below holds there, too.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    threading.Thread(target=_exit_at_end_of_input, name="parent-watch", daemon=True).start()


def _exit_at_end_of_input() -> None:
    while os.read(_STDIN, 4096):
        pass
    os._exit(EXIT_UNAVAILABLE)
