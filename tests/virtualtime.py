"""An event loop whose clock stands still while anything happens, and jumps to the next timer when nothing does.

A test that waits an hour ends at once, and reads the same instants on every run. Sockets on loopback and worker
threads go on in real time: while a thread works the clock waits for it, and while a socket is open each jump first
gives the kernel `GRACE_SECONDS` to deliver. A loop on which nothing can ever happen again raises `Deadlock`.
"""

import asyncio
import selectors

GRACE_SECONDS = 0.002
DEADLOCK_SECONDS = 5.0


class Deadlock(AssertionError):
    """No timer, no ready callback, no thread, and no socket that moves."""


class _JumpingSelector:
    """The loop's selector; instead of sleeping until the next timer it moves the clock there."""

    def __init__(self, loop, real):
        self._loop = loop
        self._real = real

    def __getattr__(self, name):
        return getattr(self._real, name)

    def select(self, timeout=None):
        if self._loop.look() or timeout == 0:
            return self._real.select(0)
        if self._loop.threads:
            return self._wait_for_news()
        has_sockets = len(self._real.get_map()) > 1  # the first is the loop's own wake-up pipe
        if timeout is None:
            return self._wait_for_news()
        ready = self._real.select(GRACE_SECONDS if has_sockets else 0)
        if not ready:
            self._loop.jump()
        return ready

    def _wait_for_news(self):
        ready = self._real.select(DEADLOCK_SECONDS)
        if not ready:
            raise Deadlock(f"nothing can happen any more at {self._loop.time():g} s")
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 1000 s, so that a zero taken for an instant is seen."""

    def __init__(self):
        super().__init__(selectors.DefaultSelector())
        self._now = 1000.0
        self.threads = 0
        self._awaited = {}
        self._selector = _JumpingSelector(self, self._selector)

    def time(self):
        """Virtual seconds."""
        return self._now

    def jump(self):
        """Move to the next timer exactly: adding the wait to the clock would miss it by a rounding."""
        self._now = max(self._now, self._scheduled[0].when())

    def await_truth(self, condition):
        """A future that is done in the first turn of the loop in which `condition()` holds."""
        future = self.create_future()
        self._awaited[future] = condition
        return future

    def look(self):
        """Whether something awaited has come true in this turn."""
        came_true = [future for future, condition in self._awaited.items() if future.done() or condition()]
        for future in came_true:
            del self._awaited[future]
            if not future.done():
                future.set_result(None)
        return bool(came_true)

    def run_in_executor(self, executor, func, *args):
        """As ever, but the clock stands still until `func` is done."""
        future = super().run_in_executor(executor, func, *args)
        self.threads += 1
        future.add_done_callback(self._forget_thread)
        return future

    def _forget_thread(self, _):
        self.threads -= 1


def run(main):
    """Run a coroutine to its end on a virtual clock, as `asyncio.run` would."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


async def until(condition, *, within=600.0):
    """Wait until `condition()` holds; fails after `within` virtual seconds."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within):
            await loop.await_truth(condition)
    except TimeoutError:
        raise AssertionError(f"did not come true within {within:g} s") from None


async def settle(seconds=0.02):
    """Let everything that is under way arrive."""
    await asyncio.sleep(seconds)
