"""Why REST calls that are still under way take so long: a failed attempt, or a wait for the budget."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from condord.upstream.rest_fault import RestFault

SHOWN_WAIT_SECONDS = 2.0
"""Shorter waits are normal in a busy minute, and are not shown."""

_ORDER = ("positions", "quotes", "clock")


class PendingFaults:
    """The newest fault and the newest wait of each endpoint. The success of one endpoint clears only its own."""

    def __init__(self) -> None:
        self._faults: dict[str, RestFault] = {}
        self._waits: dict[str, RestFault] = {}

    @property
    def worst(self) -> RestFault | None:
        """A failure before a wait, and positions before quotes before the clock; None if there is neither."""
        for known in (self._faults, self._waits):
            for endpoint in _ORDER:
                if endpoint in known:
                    return known[endpoint]
        return None

    def note(self, endpoint: str, fault: RestFault) -> None:
        """Note that an attempt has failed; another may follow."""
        self._faults[endpoint] = fault

    def forget(self, endpoint: str) -> None:
        """Forget the fault of a call that has ended. Its caller reports the outcome."""
        self._faults.pop(endpoint, None)

    @contextlib.contextmanager
    def waiting(self, endpoint: str, fault: RestFault, seconds: float) -> Iterator[None]:
        """Show `fault` while a request to `endpoint` waits for `seconds`. If several wait, the newest is shown."""
        if seconds < SHOWN_WAIT_SECONDS:
            yield
            return
        self._waits[endpoint] = fault
        try:
            yield
        finally:
            if self._waits.get(endpoint) is fault:
                del self._waits[endpoint]
