"""Decides whether Alpaca is asked at all, by how the last calls ended: closed, open, half-open.

Rules: so many outages in a row open it; while it is open nobody asks. After the reset time one call goes as a probe,
and all others are told that it is open: a good probe closes it, a bad one opens it again, and one that is given up
leaves it to the next. Only outages count: a refusal is an answer, and a call that was given up says nothing.

pybreaker 1.4 keeps state and count. It is told of an outcome once that is known, instead of wrapping the call: it would
take a cancelled call for a good one, and let any number of calls through half-open. It reads the wall clock for the
reset time; here `now` is in monotonic seconds.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

from pybreaker import STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker

from condord.live.wire import BreakerState
from condord.upstream.faults import RestFault, breaker_fault

_STATES: dict[str, BreakerState] = {STATE_OPEN: "open", STATE_HALF_OPEN: "halfOpen"}

_log = logging.getLogger(__name__)


class Breaker:
    """Opens after `failures` in a row, and lets a probe go `reset_seconds` later; `name` is for the log."""

    def __init__(self, failures: int, reset_seconds: float, name: str = "main") -> None:
        self._name = name
        self._reset_seconds = reset_seconds
        self._circuit = CircuitBreaker(fail_max=failures, throw_new_error_on_trip=False)
        self._opened = 0.0
        self._broke = 0.0
        self._is_probing = False
        self._cause: RestFault | None = None

    @property
    def state(self) -> BreakerState:
        """Its state, in the words of the document."""
        return _STATES.get(self._circuit.current_state, "closed")

    def set(self, failures: int, reset_seconds: float) -> None:
        """Take other bounds, without a change of state."""
        self._circuit.fail_max = failures
        self._reset_seconds = reset_seconds

    def check(self, now: float) -> None:
        """Whether a call may go now.

        Raises:
            RestFault: it may not; the newest outage says why.
        """
        is_resting = self.state == "open" and now < self._opened + self._reset_seconds
        if is_resting or self._is_probing:
            raise breaker_fault(self._cause)

    @contextlib.contextmanager
    def guarding(self, now: Callable[[], float]) -> Iterator[None]:
        """One call, whose outcome counts; `RestFault` as `check` raises it."""
        self.check(now())
        if self.state == "open":
            self._circuit.half_open()
        is_probe = self._is_probing = self.state == "halfOpen"
        try:
            yield
        except RestFault as fault:
            self._count(fault if fault.is_outage else None, now(), is_probe=is_probe)
            raise
        else:
            self._count(None, now(), is_probe=is_probe)
        finally:
            if is_probe:
                self._is_probing = False

    def _count(self, outage: RestFault | None, now: float, *, is_probe: bool) -> None:
        """Count an outcome; that of a call which began before the breaker opened says nothing that it does not know."""
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
        """Once for an outage, however many probes fail."""
        fields = {"breaker": self._name, "code": outage.code, "retry_seconds": self._reset_seconds}
        if is_probe:
            _log.debug("REST breaker stays open", extra={"fields": fields})
            return
        self._broke = now
        fields = {**fields, "reason": outage.reason}
        _log.warning("REST breaker opened, Alpaca is not asked for now", extra={"fields": fields})

    def _log_closed(self, now: float) -> None:
        fields = {"breaker": self._name, "lasted_seconds": round(now - self._broke, 1)}
        _log.info("REST breaker closed, Alpaca is asked again", extra={"fields": fields})


class _Outage(Exception):
    """What pybreaker counts."""


def _succeed() -> None:
    """A call that went well."""


def _fail() -> None:
    raise _Outage
