"""An event loop with a virtual clock, which jumps to the next timer when the loop is idle.

A test that waits an hour ends at once, and reads the same times on every run. Sockets on loopback and worker threads run
in real time: the clock waits for threads, and while a socket is open, each jump first gives the kernel `GRACE_SECONDS`
to deliver data. A loop on which nothing can happen any longer raises `Deadlock`.
"""

import asyncio
import selectors

GRACE_SECONDS = 0.002
DEADLOCK_SECONDS = 5.0


class Deadlock(AssertionError):
    """The loop has no timer, no ready callback and no thread, and no socket becomes ready."""


class _JumpingSelector:
    """The loop's selector, which moves the clock to the next timer instead of sleeping."""

    def __init__(self, loop, real):
        self._loop = loop
        self._real = real

    def __getattr__(self, name):
        return getattr(self._real, name)

    def select(self, timeout=None):
        if self._loop.resolve_awaited() or timeout == 0:
            return self._real.select(0)
        if self._loop.threads:
            return self._wait_for_event()
        has_sockets = len(self._real.get_map()) > 1  # one is the loop's own wake-up pipe
        if timeout is None:
            return self._wait_for_event()
        ready = self._real.select(GRACE_SECONDS if has_sockets else 0)
        if not ready:
            self._loop.jump()
        return ready

    def _wait_for_event(self):
        ready = self._real.select(DEADLOCK_SECONDS)
        if not ready:
            raise Deadlock(f"nothing can happen any more at {self._loop.time():g} s")
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 1000 s, so that a zero used as a time is noticed."""

    def __init__(self):
        super().__init__(selectors.DefaultSelector())
        self._now = 1000.0
        self.threads = 0
        self._awaited = {}
        self._selector = _JumpingSelector(self, self._selector)

    def time(self):
        """The virtual clock in seconds."""
        return self._now

    def jump(self):
        """Move to exactly the next timer; adding the timeout to the clock could miss it by a rounding error."""
        self._now = max(self._now, self._scheduled[0].when())

    def stall(self, seconds):
        """Let time pass in which nothing runs, as if the process were stopped."""
        self._now += seconds

    def when(self, condition):
        """A future that is done in the first iteration of the loop in which `condition()` holds."""
        future = self.create_future()
        self._awaited[future] = condition
        return future

    def resolve_awaited(self):
        """Finish the futures of `when` whose condition holds; returns whether there were any."""
        ready = [future for future, condition in self._awaited.items() if future.done() or condition()]
        for future in ready:
            del self._awaited[future]
            if not future.done():
                future.set_result(None)
        return bool(ready)

    def run_in_executor(self, executor, func, *args):
        """As in the base class, but the clock stands still until `func` is done."""
        future = super().run_in_executor(executor, func, *args)
        self.threads += 1
        future.add_done_callback(self._forget_thread)
        return future

    def _forget_thread(self, _):
        self.threads -= 1


def run(main):
    """Run a coroutine on a virtual clock, like `asyncio.run`."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


async def until(condition, *, within=600.0):
    """Wait until `condition()` holds; fails after `within` virtual seconds."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within):
            await loop.when(condition)
    except TimeoutError:
        raise AssertionError(f"did not come true within {within:g} s") from None


async def settle(seconds=0.02):
    """Let everything in transit arrive."""
    await asyncio.sleep(seconds)
