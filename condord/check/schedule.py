"""Run the checks: each after those it depends on, and independent ones at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from condord.check.report import AFTER, NAMES, NEEDS, Check, Name, fail, not_tried

CHECK_SECONDS = 10.0
_LONGER: Mapping[Name, float] = {"channels": 25.0}
"""A phone service may take its time; the daemon waits as long."""
NOTE_SECONDS = 1.0

Probe = Callable[[], Awaitable[Check]]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Log nothing about the bus meanwhile: its check reports the same, and lines of the log would be in between."""
    log = logging.getLogger("condord.cluster")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


class Schedule:
    """The checks `names` of one run, in a running loop; `note` is called with the name of a check that takes long."""

    def __init__(self, note: Callable[[Name], None], names: Sequence[Name] = NAMES) -> None:
        self._note = note
        self._names = names
        self._loop = asyncio.get_running_loop()
        self._results: dict[Name, asyncio.Future[Check]] = {name: self._loop.create_future() for name in names}
        self._blocked: dict[Name, Name] = {}

    def settle(self, check: Check, *, blocked_by: Name | None = None) -> None:
        """Set a result without a probe. Checks that depend on it are not tried if the check `blocked_by` has failed."""
        self._results[check.name].set_result(check)
        if blocked_by is not None:
            self._blocked[check.name] = blocked_by

    async def run(self, probes: Mapping[Name, Probe]) -> tuple[Check, ...]:
        """Run the probes of all checks that are not settled; returns all results in the order of the names."""
        async with asyncio.TaskGroup() as tasks:
            for name, probe in probes.items():
                tasks.create_task(self._check(name, probe))
        return tuple(self._results[name].result() for name in self._names)

    async def _check(self, name: Name, probe: Probe) -> None:
        for need in NEEDS[name]:
            is_failed = (await self._results[need]).result == "fail"
            if root := need if is_failed else self._blocked.get(need):
                self._blocked[name] = root
                self._results[name].set_result(not_tried(name, f"{root} failed"))
                return
        if AFTER.get(name) in self._results:
            await self._results[AFTER[name]]
        timer = self._loop.call_later(NOTE_SECONDS, self._note, name)
        seconds = _LONGER.get(name, CHECK_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                result = await probe()
        except TimeoutError:
            result = fail(name, f"no answer within {seconds:g} s", "Try again; then check network and firewall.")
        finally:
            timer.cancel()
        self._results[name].set_result(result)
