"""Keep a spare maker that has imported everything and waits, as starting one takes seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from condord.daemon.maker_process import MakerProcess
from condord.host.child_process import RestartDelays

CHECK_SECONDS = 0.5

_log = logging.getLogger(__name__)


class ReadyMaker:
    """Keeps one waiting maker with this environment; after `take`, the next one is started once `want` is called."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._maker: MakerProcess | None = None
        self._is_needed = True
        self._began = 0.0
        self._delays = RestartDelays()
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Start a maker whenever one is wanted and missing, until cancelled, which ends the waiting one."""
        try:
            while True:
                pause_seconds = await self._check()
                await asyncio.sleep(pause_seconds)
        finally:
            if self._maker is not None:
                await self._maker.kill()

    async def take(self) -> MakerProcess:
        """Return a waiting maker, or start one.

        Raises:
            OSError: it cannot be started.
        """
        async with self._lock:
            self._is_needed = False
            self._drop_ended()
            maker, self._maker = self._maker, None
            return maker or await MakerProcess.start(self._environ)

    def want(self) -> None:
        """Keep one waiting again."""
        self._is_needed = True

    async def _check(self) -> float:
        """Start a maker if one is missing, and return in how many seconds to check again."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._maker is None and self._is_needed:
                self._began = now
                await self._start()
            if self._is_needed and (self._maker is None or self._maker.has_ended):
                self._drop_ended()
                return self._delays.after(now - self._began)
            return CHECK_SECONDS

    def _drop_ended(self) -> None:
        if self._maker is not None and self._maker.has_ended:
            self._maker.close()
            self._maker = None

    async def _start(self) -> None:
        try:
            self._maker = await MakerProcess.start(self._environ)
        except OSError as error:
            fields = {"reason": error.strerror or str(error)}
            _log.warning("A maker cannot be started", extra={"fields": fields})
