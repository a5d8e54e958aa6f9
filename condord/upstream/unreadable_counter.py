"""Count the parts of Alpaca's answers that cannot be read."""

from __future__ import annotations

import logging
import threading

from condord.live import wire

_log = logging.getLogger(__name__)


class UnreadableCounter:
    """Counts by kind, callable from any thread. Only the first of each kind is logged."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def __call__(self, kind: wire.Refusal) -> None:
        """Count one of `kind`."""
        with self._lock:
            before = self._counts.get(kind, 0)
            self._counts[kind] = before + 1
        if not before:
            text = "Part of an answer from Alpaca cannot be read; from now on these are only counted"
            _log.warning(text, extra={"fields": {"kind": kind}})

    @property
    def counts(self) -> dict[str, int]:
        """How many there were of each kind."""
        with self._lock:
            return dict(self._counts)
