"""Publish the status: every second, and in between only what has changed."""

from __future__ import annotations

from collections.abc import Callable

from condord.live import wire
from condord.live.render import same_status


class StatusPublisher:
    """Passes the status that `current` returns on to `publish`; `note_stocks` logs a change of stocks."""

    def __init__(
        self,
        current: Callable[[], wire.Status],
        note_stocks: Callable[[], object],
        *,
        publish: Callable[[wire.Status], None],
    ) -> None:
        self._current = current
        self._note_stocks = note_stocks
        self._publish = publish
        self._published: wire.Status | None = None

    def publish(self) -> None:
        """Publish the status as of now, and with it what has become due by time."""
        self._publish_it(self._current())

    def publish_change(self) -> None:
        """Publish the status as of now unless it differs from the last one only by instants, which can wait."""
        status = self._current()
        if self._published is None or not same_status(status, self._published):
            self._publish_it(status)
        else:
            self._note_stocks()

    def _publish_it(self, status: wire.Status) -> None:
        self._published = status
        self._publish(status)
        self._note_stocks()
