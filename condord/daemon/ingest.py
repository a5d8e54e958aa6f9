"""The job of the daemon of an account: read it at Alpaca, publish it, record it and deliver alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from condord.daemon.build import Parts


class Ingest:
    """Implements `condord.daemon.serving.Job`. `extra_work` are further coroutines that run until the stop, by name."""

    def __init__(self, parts: Parts, extra_work: Mapping[str, Callable[[Parts], Awaitable[None]]]) -> None:
        self._extra_work = {name: partial(work, parts) for name, work in extra_work.items()}
        self._supervisor = parts.upstream.supervisor
        self._past = parts.upstream.past
        self._alerts = parts.upstream.alerts
        self._minutes = parts.publisher.book.minutes
        self.reload: Callable[[], None] = parts.reload.run
        self.stuck: Callable[[float], str | None] = self._supervisor.stuck
        self.close: Callable[[], None] = parts.upstream.close

    @property
    def tasks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The tasks that run until the stop."""
        return {
            "the supervisor": self._supervisor.run,
            "the trade book": self._past.trade_book.run,
            "the delivery": self._alerts.delivery.run,
            **self._extra_work,
        }

    @property
    def writers(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The tasks that store data; they run until `finish` has returned."""
        return {"the alerts": self._alerts.run, "the recorder": self._past.recorder.run}

    @property
    def log_fields(self) -> Mapping[str, object]:
        """The account and the feed."""
        status = self._supervisor.status()
        return {"source": status.source, "feed": status.feed}

    def note_suspension(self, _seconds: float) -> None:
        """Carry out due actions now, instead of after the waiting requests."""
        self._supervisor.tick()

    def status_text(self) -> str:
        """The state of the option stream."""
        status = self._supervisor.status()
        return f"{status.state}: {status.reason}" if status.reason else status.state

    async def finish(self) -> None:
        """Record the running minute and store the alerts."""
        running_minute = self._minutes.running()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._past.recorder.finish(running_minute))
            tasks.create_task(self._alerts.finish())
