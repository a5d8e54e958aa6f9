"""Time limits on what is known about Alpaca: when it is no longer confirmed, and when to ask again.

Time is an argument: `now` is in seconds of the loop's clock, `machine_at` the machine's clock (UTC). The methods return
the actions to carry out, in their order.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from condord.live.link import Link

Action = Literal["gap", "retry", "readClock", "lapse", "resubscribe"]

TICK_SECONDS = 1.0
"""How often `tick` is called."""
SUSPEND_SECONDS = 5.0
"""A tick that is late by more than this means that the process or the machine was suspended."""
RETRY_SECONDS = 2.0
"""The minimum time between two retries: a refused key must not be tried as fast as signals arrive."""
CLOCK_SECONDS = 10.0
"""The minimum time between two readings of the clock that are due to quotes that disagree with it."""
LAPSE_SECONDS = 15.0
"""How long REST may fail to deliver quotes that the stream lacks before they are unconfirmed."""
LAPSE_POLLS = 3
"""At least this many polls must have failed by then, because a poll of thousands of contracts takes longer."""
RESUBSCRIBE_SECONDS = 60.0
"""How often symbols that Alpaca does not stream are subscribed again."""
STUCK_SECONDS = 30.0
"""Only a bug can delay a tick, or the deadline of a link, by more than this."""


class TickInputs(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of a tick besides time.

    `is_open`: a held contract trades now. `is_missing`: the stream lacks a wanted symbol. `is_clock_doubted`: since the
    last tick a quote disagreed with the exchange's clock. `poll_seconds`: the time between two polls over REST.
    """

    is_open: bool
    is_missing: bool
    is_clock_doubted: bool
    poll_seconds: float


class Freshness:
    """When each of the time limits was last met."""

    def __init__(self, now: float, machine_at: dt.datetime) -> None:
        self.ticked = now
        self._started = now
        self._ticked_at = machine_at
        self._polled = now
        self._complete = now
        self._retried = -math.inf
        self._clock_read = -math.inf
        self._is_retry_wanted = False
        self._is_clock_doubted = False

    def tick(self, now: float, machine_at: dt.datetime, observed: TickInputs) -> tuple[Action, ...]:
        """Return the actions that are due."""
        self._is_clock_doubted |= observed.is_clock_doubted
        due: tuple[tuple[Action, bool], ...] = (
            ("gap", self._was_suspended(now, machine_at)),
            ("retry", self._is_retry_due(now)),
            ("readClock", self._is_clock_due(now)),
            ("lapse", self._has_lapsed(now, observed)),
            ("resubscribe", self._is_resubscription_due(now, is_missing=observed.is_missing)),
        )
        return tuple(action for action, is_due in due if is_due)

    def request_retry(self, now: float) -> tuple[Action, ...]:
        """Retry now, or in the first tick that is at least `RETRY_SECONDS` after the last retry."""
        self._is_retry_wanted = True
        return ("retry",) if self._is_retry_due(now) else ()

    def polled(self, now: float) -> None:
        """Note that REST delivered the quotes that the stream lacks."""
        self._polled = now

    def stuck(self, now: float, links: Iterable[Link]) -> str | None:
        """The part that has made no progress for so long that it must be a bug, or None."""
        if now > self.ticked + STUCK_SECONDS:
            return f"the supervisor has not run for {now - self.ticked:.0f} s"
        for link in links:
            late_seconds = now - max(link.deadline, self._started)
            if late_seconds > STUCK_SECONDS:
                return f"{link.settings.name} is {link.state} {late_seconds:.0f} s after its deadline"
        return None

    def _was_suspended(self, now: float, machine_at: dt.datetime) -> bool:
        # Linux stops the loop's clock during a suspension, and only the machine's clock shows it.
        passed_seconds = max(now - self.ticked, (machine_at - self._ticked_at).total_seconds())
        self.ticked, self._ticked_at = now, machine_at
        return passed_seconds > TICK_SECONDS + SUSPEND_SECONDS

    def _is_retry_due(self, now: float) -> bool:
        if not self._is_retry_wanted or now < self._retried + RETRY_SECONDS:
            return False
        self._is_retry_wanted, self._retried = False, now
        return True

    def _is_clock_due(self, now: float) -> bool:
        if not self._is_clock_doubted or now < self._clock_read + CLOCK_SECONDS:
            return False
        self._is_clock_doubted, self._clock_read = False, now
        return True

    def _has_lapsed(self, now: float, observed: TickInputs) -> bool:
        limit_seconds = max(LAPSE_SECONDS, LAPSE_POLLS * observed.poll_seconds)
        return observed.is_open and now > self._polled + limit_seconds

    def _is_resubscription_due(self, now: float, *, is_missing: bool) -> bool:
        is_due = is_missing and now >= self._complete + RESUBSCRIBE_SECONDS
        if is_due or not is_missing:
            self._complete = now
        return is_due
