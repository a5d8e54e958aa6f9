"""The term of a leading ingester: run a maker, serve its events, and keep its state on the bus."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from typing import Protocol

import msgspec

from condord.cluster.bus import BusError
from condord.cluster.fenced import StaleFence
from condord.cluster.lease import OLD_FENCE_REMEDY
from condord.cluster.maker_channel import Begin
from condord.cluster.state_copies import StateCopies
from condord.daemon.copied_state import KINDS
from condord.daemon.maker_process import MakerProcess
from condord.daemon.ready_maker import ReadyMaker
from condord.daemon.state_keeper import StateKeeper
from condord.errors import CondordError
from condord.host.child_process import RestartDelays, how_ended
from condord.host.deadline import EXIT_EXPIRED
from condord.host.hang_watchdog import StallCounter
from condord.tasks import stopped

START_SECONDS = 30.0
"""How long a maker may take until it serves. A waiting one needs a tenth of a second."""
READ_SECONDS = 3.0
"""How long subscribers keep the document of the last leader while the maker reads its first positions."""
CHECK_SECONDS = 0.25
MIN_SILENCE_SECONDS = 2.0
"""A maker hangs, and is killed, if its event loop has not run for one lease, and for at least this long.

A busy machine does not get a maker killed: while the front does not run either, it counts no silence. If that lasts
as long as the lease, the lease is lost anyway.
"""
UNSERVED_SECONDS = 10.0
"""A maker that runs is killed, too, if nothing has come from its socket for this long."""

_REASONS = {EXIT_EXPIRED: "its lease was not renewed in time"}

_log = logging.getLogger(__name__)


class SourceSwitch(Protocol):
    """Switches between the two sources that a front can serve: its maker and the bus."""

    @property
    def is_lost(self) -> bool:
        """Whether the maker that is followed is silent."""

    @property
    def forbidden(self) -> str | None:
        """The permission that a leader lacks on the bus; None if none is known to be missing."""

    def lead(self, fence: int) -> None:
        """Follow the maker from now on, and publish its events."""

    def stand_by(self) -> None:
        """Follow the bus from now on."""


class OwnHistory(Protocol):
    """The history database: written by the front while it stands by, and by its maker while that runs."""

    async def release(self) -> None:
        """Close the database for a maker."""

    def resume(self) -> None:
        """Record again; no maker runs any longer."""


class MakerTerm:
    """Implements `condord.daemon.leadership.Term`.

    `begin` returns the message that starts a maker, without the copies of state. `copies` returns access to these on
    the bus under a fence. `end` is called with an error that ends this process, if another attempt would not help.
    `lease_seconds` returns the length of a lease.
    """

    def __init__(
        self,
        begin: Callable[[], Begin],
        *,
        ready: ReadyMaker,
        copies: Callable[[int], StateCopies],
        switch: SourceSwitch,
        history: OwnHistory,
        end: Callable[[CondordError], None],
        lease_seconds: Callable[[], float],
    ) -> None:
        self._begin = begin
        self._ready = ready
        self._copies = copies
        self._switch = switch
        self._history = history
        self._end = end
        self._lease_seconds = lease_seconds
        self._delays = RestartDelays()
        self._maker: MakerProcess | None = None
        self._until = 0.0
        self._stopping: asyncio.Task[None] | None = None
        self._is_stopping = False
        self.obstacle: str | None = None  # why the last maker has ended, until one serves

    async def run(self, fence: int, until: float) -> float:
        """Run a maker until it ends, and return for how long others may take the lease before this process asks again.

        Cancelling this kills it.
        """
        self._until = max(self._until, until)
        began = asyncio.get_running_loop().time()
        try:
            self._maker = await self._ready.take()
            copies = self._copies(fence)
            found = await copies.take_over(KINDS)
            await self._history.release()
            if self._is_stopping:
                return 0.0
            self._maker.begin(msgspec.structs.replace(self._begin(), copies=tuple(found)), self._until)
            code = await self._serve_and_watch(fence, self._maker, copies)
            return self._pause_after(self._maker, code, asyncio.get_running_loop().time() - began)
        except BusError as error:
            _log.warning("The state of the earlier leader cannot be read", extra={"fields": {"reason": str(error)}})
            return 0.0
        except StaleFence as error:
            fences = {"own_fence": fence, "higher_fence": error.higher_fence}
            fields = {**fences, "reason": str(error), "remedy": OLD_FENCE_REMEDY}
            _log.error("The state of the earlier leader cannot be read", extra={"fields": fields})
            return self._delays.after(0.0)
        except OSError as error:
            _log.error("A maker cannot be started", extra={"fields": {"reason": str(error)}})
            return self._delays.after(0.0)
        finally:
            self._switch.stand_by()
            maker, self._maker = self._maker, None
            if maker is not None:
                await maker.kill()
            self._history.resume()
            self._ready.want()

    def extend(self, until: float) -> None:
        """Let the maker run until `until`."""
        self._until = max(self._until, until)
        if self._maker is not None:
            self._maker.extend(until)

    def stop(self) -> None:
        """End the maker gracefully; the process stops, so no other is started."""
        self._is_stopping = True
        if self._maker is not None:
            self._stopping = asyncio.get_running_loop().create_task(self._maker.stop())

    def reload(self) -> None:
        """Have a running maker read its configuration again."""
        if self._maker is not None:
            self._maker.reload()

    async def _serve_and_watch(self, fence: int, maker: MakerProcess, copies: StateCopies) -> int:
        """Serve the maker's events, and keep its state, until it has ended; return its exit code."""
        keeper = StateKeeper(copies, maker.confirm)
        maker.keep = keeper.keep
        async with asyncio.TaskGroup() as tasks:
            work = (keeper.run(), self._serve(fence, maker), self._watch(maker))
            background = [tasks.create_task(each) for each in work]
            code = await maker.wait()
            await stopped(background)
        return code

    async def _serve(self, fence: int, maker: MakerProcess) -> None:
        """Serve the maker's events, and kill it if its socket is silent or the bus forbids its events."""
        await maker.is_alive.wait()
        if await _within(START_SECONDS, maker.is_serving):
            await _within(READ_SECONDS, maker.has_read)
            self.obstacle = None
            self._switch.lead(fence)
            lost = 0
            while lost < UNSERVED_SECONDS / CHECK_SECONDS:
                await asyncio.sleep(CHECK_SECONDS)
                lost = lost + 1 if self._switch.is_lost else 0
                if (what := self._switch.forbidden) is not None:
                    await _kill(maker, f"the bus forbids this user to {what}")
                    return
        await _kill(maker, "nothing comes from its socket")

    async def _watch(self, maker: MakerProcess) -> None:
        """Kill the maker if it hangs."""
        silence_seconds = max(self._lease_seconds(), MIN_SILENCE_SECONDS)
        # A maker that has waited only has to take its start message.
        stages = ((maker.is_loaded, START_SECONDS), (maker.has_begun, silence_seconds), (maker.is_alive, START_SECONDS))
        for stage, seconds in stages:
            if not await _within(seconds, stage):
                await _kill(maker, f"it has not started within {seconds:g} s")
                return
        stalls = StallCounter(math.ceil(silence_seconds / CHECK_SECONDS))
        while not stalls.step(maker.beats):  # noqa: ASYNC110 - an event cannot report that beats stop
            await asyncio.sleep(CHECK_SECONDS)
        await _kill(maker, f"its event loop has not run for {silence_seconds:g} s")

    def _pause_after(self, maker: MakerProcess, code: int, ran_seconds: float) -> float:
        if self._is_stopping:
            return 0.0
        pause_seconds = self._delays.after(ran_seconds)
        why = {"reason": _REASONS[code]} if code in _REASONS else {}
        if (ending := maker.ending) is not None:
            why = {"reason": ending.text, "remedy": ending.hint} if ending.hint else {"reason": ending.text}
            self.obstacle = ending.text
        fields = {"pid": maker.pid, **how_ended(code), **why, "pause_seconds": round(pause_seconds, 1)}
        _log.error("The maker has ended", extra={"fields": fields})
        if (fatal := maker.fatal) is not None:
            self._end(fatal)
        return pause_seconds


async def _kill(maker: MakerProcess, reason: str) -> None:
    _log.error("The maker is killed", extra={"fields": {"pid": maker.pid, "reason": reason}})
    await maker.kill()


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Wait for an event; False if it does not come in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
