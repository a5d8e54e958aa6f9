"""Decides what one connection to Alpaca does next: a table of states and events, and a deadline for each state.

Rules: time is an argument. `handle` takes an event and returns the actions to carry out; `expire` is called when
`deadline` has passed. Data is the one event without a row of its own: `data` only notes the time, for it is the way
of every quote. The wait between attempts grows exponentially with full jitter between the configured bounds, and
starts again from the least only after data, so that a server that accepts and then drops is not hammered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from condord.live.wire import Code, State

LinkState = Literal[
    "starting",
    "connecting",
    "authenticating",
    "subscribing",
    "live",
    "stale",
    "closing",
    "backingOff",
    "halted",
]
Event = Literal[
    "start",
    "welcomed",
    "authenticated",
    "acknowledged",
    "silent",
    "data",
    "fault",
    "closed",
    "closedForGood",
    "due",
    "retry",
]
Action = Literal["connect", "authenticate", "subscribe", "gap", "snapshot", "probe", "close"]
Again = Literal["backoff", "longest", "halt"]
"""When to try again: after a growing wait, after the longest, or after `HALT_SECONDS` and when somebody asks."""

TABLE: dict[tuple[LinkState, Event], tuple[LinkState, tuple[Action, ...]]] = {
    ("starting", "start"): ("connecting", ("connect",)),
    ("connecting", "welcomed"): ("authenticating", ("authenticate",)),
    ("connecting", "fault"): ("closing", ("close",)),
    ("authenticating", "authenticated"): ("subscribing", ("subscribe",)),
    ("authenticating", "fault"): ("closing", ("close",)),
    ("subscribing", "acknowledged"): ("live", ("snapshot",)),
    ("subscribing", "fault"): ("closing", ("close",)),
    ("live", "silent"): ("stale", ("probe",)),
    ("live", "fault"): ("closing", ("gap", "close")),
    ("stale", "data"): ("live", ()),
    ("stale", "silent"): ("stale", ("probe",)),
    ("stale", "fault"): ("closing", ("gap", "close")),
    ("closing", "closed"): ("backingOff", ()),
    ("closing", "closedForGood"): ("halted", ()),
    ("backingOff", "due"): ("connecting", ("connect",)),
    ("backingOff", "retry"): ("connecting", ("connect",)),
    ("halted", "due"): ("connecting", ("connect",)),
    ("halted", "retry"): ("connecting", ("connect",)),
}

CONNECTED: frozenset[LinkState] = frozenset({"connecting", "authenticating", "subscribing", "live", "stale"})

STEP_SECONDS = 10.0
"""How long the server may take for each step of the handshake."""
CLOSE_SECONDS = 3.0
"""How long a close may take before the transport is aborted."""
HALT_SECONDS = 300.0
"""How long a halted link waits before it tries again by itself."""
QUIET_FACTOR = 10
"""After so many times `silence_seconds` without data even a quiet market is not believed."""

_STEPS = {
    "connecting": "did not accept the connection",
    "authenticating": "did not answer the authentication",
    "subscribing": "did not acknowledge the subscription",
}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a connection ended or cannot be had: a public code, what happened, what a person can do, when to try again."""

    code: Code
    text: str
    remedy: str = ""
    again: Again = "backoff"

    @property
    def reason(self) -> str:
        """The sentence for people."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds in seconds; `name` stands in sentences."""

    name: str
    silence_seconds: float
    backoff_min_seconds: float
    backoff_max_seconds: float


class Link:
    """One connection. `chance` gives a number from 0 to 1 for the jitter."""

    def __init__(self, settings: LinkSettings, *, chance: Callable[[], float]) -> None:
        self.settings = settings
        self.state: LinkState = "starting"
        self.fault: Fault | None = None
        self.reconnects = 0
        self._chance = chance
        self._attempts = 0
        self._entered = 0.0
        self._wait_seconds = 0.0
        self._has_been_live = False
        self._last_data = 0.0
        self._next_look = 0.0
        self._watched_since: float | None = None

    def handle(self, event: Event, now: float, fault: Fault | None = None) -> tuple[Action, ...]:
        """What to do about `event`; an event that means nothing in this state does nothing."""
        row = TABLE.get((self.state, event))
        if row is None:
            return ()
        self._enter(row[0], now)
        if fault is not None:
            self.fault = fault
        if event == "acknowledged":
            self._note_live(now)
        elif event == "silent":
            self._next_look = now + self.settings.silence_seconds
        elif event == "closed":
            self._wait_seconds = self._backoff()
        return row[1]

    def data(self, now: float) -> None:
        """A data message came: the silence is over, and the connection has proved itself."""
        self._last_data = now
        self._attempts = 0
        if self.state == "stale":
            self._believe(now)

    def watch(self, *, is_expecting: bool, now: float) -> None:
        """Whether silence is suspicious from `now` on: the market is open and something is subscribed."""
        if not is_expecting:
            self._watched_since = None
            if self.state == "stale":
                self._believe(now)
        elif self._watched_since is None:
            self._watched_since = now

    @property
    def deadline(self) -> float | None:
        """When `expire` is due; None while nothing can be late."""
        if self.state in _STEPS:
            return self._entered + STEP_SECONDS
        if self.state == "closing":
            return self._entered + CLOSE_SECONDS
        if self.state == "backingOff":
            return self._entered + self._wait_seconds
        if self.state == "halted":
            return self._entered + HALT_SECONDS
        if self._watched_since is None or self.state == "starting":
            return None
        if self.state == "stale":
            return self._next_look
        return max(self._last_data, self._watched_since) + self.settings.silence_seconds

    def expire(self, now: float) -> tuple[Action, ...]:
        """What to do as the deadline has passed; nothing if it has moved since."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return ()
        if self.state in _STEPS:
            text = f"{self.settings.name} {_STEPS[self.state]} within {STEP_SECONDS:g} s"
            return self.handle("fault", now, Fault(code="unreachable", text=text))
        if self.state in ("backingOff", "halted"):
            return self.handle("due", now)
        if self.state == "closing":
            return self.closed(now)
        return self._look(now)

    def closed(self, now: float) -> tuple[Action, ...]:
        """The transport is gone, and with it Alpaca's slot."""
        halts = self.fault is not None and self.fault.again == "halt"
        return self.handle("closedForGood" if halts else "closed", now)

    @property
    def public_state(self) -> State:
        """The word for people, but for the session: `live` may mean `closed`."""
        if self.state in ("live", "stale"):
            return self.state
        if self.fault is None and not self._has_been_live:
            return "starting"
        return "halted" if self.fault is not None and self.fault.again == "halt" else "reconnecting"

    def _believe(self, now: float) -> None:
        """The silence is over, or no matter any more."""
        self.fault = None
        self.handle("data", now)

    def _look(self, now: float) -> tuple[Action, ...]:
        """Nothing came for too long: find out why, and at last do not believe in a quiet market."""
        silent_since = max(self._last_data, self._watched_since or 0.0)
        limit = QUIET_FACTOR * self.settings.silence_seconds
        if now - silent_since >= limit:
            return self.handle(
                "fault", now, Fault(code="silent", text=f"{self.settings.name}: no data for {limit:g} s")
            )
        text = f"{self.settings.name}: no data for {now - silent_since:.0f} s while the market is open"
        return self.handle("silent", now, Fault(code="silent", text=text))

    def _enter(self, state: LinkState, now: float) -> None:
        self.state = state
        self._entered = now

    def _note_live(self, now: float) -> None:
        self.reconnects += self._has_been_live
        self._has_been_live = True
        self.fault = None
        self._last_data = now

    def _backoff(self) -> float:
        """Seconds to wait: full jitter between the least and 2^n times it, at most the greatest."""
        least, most = self.settings.backoff_min_seconds, self.settings.backoff_max_seconds
        if self.fault is not None and self.fault.again == "longest":
            return most
        ceiling = min(most, least * 2.0 ** min(self._attempts, 60))
        self._attempts += 1
        return least + self._chance() * (ceiling - least)
