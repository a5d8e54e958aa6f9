"""The circuit breaker of one host of Alpaca: closed, open, half-open.

A number of outages in a row opens it, and an open breaker refuses every call. After the reset time one call is let
through as a probe, and the others are still refused. A successful probe closes the breaker, and a failed one opens it
again. After a cancelled one, the next call is the probe.

There is one for the trading API and one for the data API, so that neither hides the state of the other. Only vital
calls count: positions and the clock, or quotes. Orders, the calendar and contracts are refused with them, but they
neither open, close nor probe the breaker. Otherwise a failing endpoint of theirs would stop the reading of positions,
and a working one would hide that positions fail.

Only outages count. A refusal (4xx) is an answer, and resets the count. Neither a 429 nor a cancelled call changes
anything. After a 429 the budget pauses that host.

pybreaker 1.4 keeps state and count. It does not wrap the call but gets the outcome afterwards. Otherwise it would count
a cancelled call as a success, and let any number of calls through when half-open. Its reset time follows the wall
clock; here `now` is in monotonic seconds.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

from pybreaker import STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker

from condord.live.wire import BreakerState
from condord.upstream.classify_failure import breaker_fault
from condord.upstream.rest_fault import RestFault

_STATES: dict[str, BreakerState] = {STATE_OPEN: "open", STATE_HALF_OPEN: "halfOpen"}

_log = logging.getLogger(__name__)


class Breaker:
    """Opens after `failures` outages in a row, and allows a probe `reset_seconds` later; `name` is for the log."""

    def __init__(self, failures: int, reset_seconds: float, name: str = "trading") -> None:
        self._name = name
        self._reset_seconds = reset_seconds
        self._circuit = CircuitBreaker(fail_max=failures, throw_new_error_on_trip=False)
        self._opened = 0.0
        self._outage_began = 0.0
        self._is_probing = False
        self._cause: RestFault | None = None

    @property
    def state(self) -> BreakerState:
        """The state, as named in the public JSON."""
        return _STATES.get(self._circuit.current_state, "closed")

    def set(self, failures: int, reset_seconds: float) -> None:
        """Change the bounds, but not the state."""
        self._circuit.fail_max = failures
        self._reset_seconds = reset_seconds

    def check(self, now: float, *, may_probe: bool = True) -> None:
        """Return if a call may be made now. It is the probe if one is due and `may_probe` is true.

        Raises:
            RestFault: it may not be made; it has code, text and remedy of the newest outage.
        """
        is_resting = self.state == "open" and now < self._opened + self._reset_seconds
        if is_resting or self._is_probing or (self.state != "closed" and not may_probe):
            raise breaker_fault(self._cause)

    @contextlib.contextmanager
    def guarding(self, now: Callable[[], float]) -> Iterator[None]:
        """Guard one call, whose outcome counts; raises `RestFault` as `check` does."""
        self.check(now())
        if self.state == "open":
            self._circuit.half_open()
        is_probe = self._is_probing = self.state == "halfOpen"
        try:
            yield
        except RestFault as fault:
            if fault.code != "rateLimited":
                self._count(fault if fault.is_outage else None, now(), is_probe=is_probe)
            raise
        else:
            self._count(None, now(), is_probe=is_probe)
        finally:
            if is_probe:
                self._is_probing = False

    def _count(self, outage: RestFault | None, now: float, *, is_probe: bool) -> None:
        """Count an outcome, unless the call began before the breaker opened."""
        if not is_probe and self.state != "closed":
            return
        if outage is None:
            self._circuit.call(_succeed)
            if is_probe:
                self._log_closed(now)
            return
        self._cause = outage
        with contextlib.suppress(_Outage):
            self._circuit.call(_fail)
        if self.state == "open":
            self._opened = now
            self._log_open(outage, now, is_probe=is_probe)

    def _log_open(self, outage: RestFault, now: float, *, is_probe: bool) -> None:
        """Warn once for each outage, however many probes fail."""
        fields = {"breaker": self._name, "code": outage.code, "retry_seconds": self._reset_seconds}
        if is_probe:
            _log.debug("REST breaker stays open", extra={"fields": fields})
            return
        self._outage_began = now
        fields = {**fields, "reason": outage.reason}
        _log.warning("REST breaker opened, requests are suspended", extra={"fields": fields})

    def _log_closed(self, now: float) -> None:
        fields = {"breaker": self._name, "lasted_seconds": round(now - self._outage_began, 1)}
        _log.info("REST breaker closed, requests resume", extra={"fields": fields})


class _Outage(Exception):
    """An outage, for pybreaker to count."""


def _succeed() -> None:
    """A successful call, for pybreaker to count."""


def _fail() -> None:
    raise _Outage
