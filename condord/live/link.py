"""Decides what one connection to Alpaca does next: a table of states and events, and a deadline for each state.

Rules: time is an argument. `handle` takes an event and returns the actions to carry out; `expire` is called when
`deadline` has passed. What only moves a deadline has no row: data, which is the way of every quote, pongs, a request
that waits for its answer, and the opening of the market. The wait between attempts grows exponentially with full
jitter between the configured bounds, and starts again from the least only after data (where data is rare by nature,
after a pong), so that a server that accepts and then drops is not hammered. A fault is told until its cause is gone:
one that was silence is gone with data, and not with another connection that may be as silent.
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
    "due",
    "welcomed",
    "authenticated",
    "acknowledged",
    "limited",
    "wished",
    "pulse",
    "silent",
    "data",
    "shut",
    "fault",
    "closed",
    "closedForGood",
    "reloaded",
    "retry",
]
Action = Literal["connect", "authenticate", "subscribe", "snapshot", "ping", "probe", "gap", "close"]
Again = Literal["backoff", "longest", "halt"]
"""When to try again: after a growing wait, after the longest, or after `HALT_SECONDS` and when somebody asks."""

TABLE: dict[tuple[LinkState, Event], tuple[LinkState, tuple[Action, ...]]] = {
    ("starting", "due"): ("connecting", ("connect",)),
    ("connecting", "welcomed"): ("authenticating", ("authenticate",)),
    ("connecting", "fault"): ("closing", ("close",)),
    ("connecting", "reloaded"): ("closing", ("close",)),
    ("authenticating", "authenticated"): ("subscribing", ("subscribe",)),
    ("authenticating", "fault"): ("closing", ("close",)),
    ("authenticating", "reloaded"): ("closing", ("close",)),
    ("subscribing", "acknowledged"): ("live", ("snapshot", "subscribe")),
    ("subscribing", "limited"): ("subscribing", ("subscribe",)),
    ("subscribing", "fault"): ("closing", ("close",)),
    ("subscribing", "reloaded"): ("closing", ("close",)),
    ("live", "wished"): ("live", ("subscribe",)),
    ("live", "acknowledged"): ("live", ("subscribe",)),
    ("live", "limited"): ("live", ("subscribe",)),
    ("live", "pulse"): ("live", ("ping",)),
    ("live", "silent"): ("stale", ("probe",)),
    ("live", "fault"): ("closing", ("gap", "close")),
    ("live", "reloaded"): ("closing", ("gap", "close")),
    ("stale", "wished"): ("stale", ("subscribe",)),
    ("stale", "acknowledged"): ("stale", ("subscribe",)),
    ("stale", "limited"): ("stale", ("subscribe",)),
    ("stale", "pulse"): ("stale", ("ping",)),
    ("stale", "silent"): ("stale", ("probe",)),
    ("stale", "data"): ("live", ()),
    ("stale", "shut"): ("live", ()),
    ("stale", "fault"): ("closing", ("gap", "close")),
    ("stale", "reloaded"): ("closing", ("gap", "close")),
    ("closing", "closed"): ("backingOff", ()),
    ("closing", "closedForGood"): ("halted", ()),
    ("closing", "reloaded"): ("closing", ()),
    ("closing", "retry"): ("closing", ()),
    ("backingOff", "due"): ("connecting", ("connect",)),
    ("backingOff", "reloaded"): ("connecting", ("connect",)),
    ("backingOff", "retry"): ("connecting", ("connect",)),
    ("halted", "due"): ("connecting", ("connect",)),
    ("halted", "reloaded"): ("connecting", ("connect",)),
    ("halted", "retry"): ("connecting", ("connect",)),
}

CONNECTED: frozenset[LinkState] = frozenset({"connecting", "authenticating", "subscribing", "live", "stale"})
SERVING: frozenset[LinkState] = frozenset({"live", "stale"})

STEP_SECONDS = 10.0
"""How long the server may take for each step of the handshake, and for each later answer."""
CLOSE_SECONDS = 3.0
"""How long a close may take before the transport is aborted."""
HALT_SECONDS = 300.0
"""How long a halted link waits before it tries again by itself."""
PING_SECONDS = 10.0
"""How often a connection is pinged."""
DEAD_SECONDS = 30.0
"""How long a connection may bring neither data nor a pong."""
QUIET_FACTOR = 10
"""After so many times `silence_seconds` without data even a quiet market is not believed."""

RELOADED = "reloaded"
"""Why a connection ended that no fault has ended, beside the public codes."""

_STEPS = {
    "connecting": "did not accept the connection",
    "authenticating": "did not answer the authentication",
    "subscribing": "did not acknowledge the subscription",
}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a connection ended or cannot be had: a public code, what happened, what to do, when it is tried again."""

    code: Code
    text: str
    remedy: str = ""
    again: Again = "backoff"

    @property
    def reason(self) -> str:
        """The sentence for people."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds in seconds; `name` stands in sentences. `pong_proves`: data is rare, so that a pong is proof enough."""

    name: str
    silence_seconds: float
    backoff_min_seconds: float
    backoff_max_seconds: float
    pong_proves: bool = False


class Link:
    """One connection. `chance` gives a number from 0 to 1 for the jitter."""

    def __init__(self, settings: LinkSettings, *, chance: Callable[[], float]) -> None:
        self.settings = settings
        self.state: LinkState = "starting"
        self.fault: Fault | None = None
        self.failures: dict[str, int] = {}
        self.reconnected: dict[str, int] = {}
        self._lost_by = ""
        self._chance = chance
        self._attempts = 0
        self._entered = 0.0
        self._wait_seconds = 0.0
        self._has_been_live = False
        self._is_reopening = False
        self._last_data = 0.0
        self._last_pong = 0.0
        self._last_ping = 0.0
        self._asked_at: float | None = None
        self._next_look = 0.0
        self._watched_since: float | None = None

    def handle(self, event: Event, now: float, fault: Fault | None = None) -> tuple[Action, ...]:
        """What to do about `event`; an event that means nothing in this state does nothing."""
        row = TABLE.get((self.state, event))
        if row is None:
            return ()
        if row[0] != self.state:
            self._enter(row[0], now)
        if fault is not None:
            self.fault = fault
        if row[0] == "closing":
            self._note_end(event, is_loss="gap" in row[1])
        self._note(event, now)
        return row[1]

    def data(self, now: float) -> None:
        """A data message came: the silence is over, and the connection has proved itself."""
        self._last_data = now
        self._attempts = 0
        if self.fault is not None and self.state in SERVING:
            self._believe("data", now)

    def pong(self, now: float) -> None:
        """A ping of ours was answered: the connection is not dead."""
        self._last_pong = now
        if self.settings.pong_proves:
            self._attempts = 0
            if self.state in SERVING:
                self.fault = None

    def asked(self, now: float) -> None:
        """A request that is to be acknowledged goes out."""
        self._asked_at = now

    def watch(self, *, is_expecting: bool, now: float) -> None:
        """Whether silence is suspicious from `now` on: the market is open and something is subscribed."""
        if not is_expecting:
            self._watched_since = None
            if self.fault is not None and self.state in SERVING:
                self._believe("shut", now)
        elif self._watched_since is None:
            self._watched_since = now

    @property
    def reconnects(self) -> int:
        """How often it was lost and is live again; `reconnected` has them by what it was lost by."""
        return sum(self.reconnected.values())

    @property
    def deadline(self) -> float:
        """When `expire` is due."""
        if self.state == "starting":
            return self._entered
        if self.state in _STEPS:
            return self._entered + STEP_SECONDS
        if self.state == "closing":
            return self._entered + CLOSE_SECONDS
        if self.state == "backingOff":
            return self._entered + self._wait_seconds
        if self.state == "halted":
            return self._entered + HALT_SECONDS
        deadlines = (self._dead_at, self._last_ping + PING_SECONDS, self._answer_due_at, self._look_at)
        return min(deadline for deadline in deadlines if deadline is not None)

    def expire(self, now: float) -> tuple[Action, ...]:
        """What to do as the deadline has passed; nothing if it has moved since."""
        if now < self.deadline:
            return ()
        if self.state in _STEPS:
            return self._is_late(_STEPS[self.state], now)
        if self.state == "closing":
            return self.closed(now)
        if self.state not in SERVING:
            return self.handle("due", now)
        if now >= self._dead_at:
            text = f"{self.settings.name} brought neither data nor a pong for {DEAD_SECONDS:g} s"
            return self.handle("fault", now, Fault(code="silent", text=text))
        if self._answer_due_at is not None and now >= self._answer_due_at:
            return self._is_late(_STEPS["subscribing"], now)
        if now >= self._last_ping + PING_SECONDS:
            return self.handle("pulse", now)
        return self._look(now)

    def closed(self, now: float) -> tuple[Action, ...]:
        """The transport is gone, and with it Alpaca's slot."""
        halts = self.fault is not None and self.fault.again == "halt" and not self._is_reopening
        return self.handle("closedForGood" if halts else "closed", now)

    @property
    def public_state(self) -> State:
        """The word for people, but for the session: `live` may mean `closed`."""
        if self.state in SERVING:
            return "live" if self.state == "live" and self.fault is None else "stale"
        if self.fault is None and not self._has_been_live:
            return "starting"
        return "halted" if self.fault is not None and self.fault.again == "halt" else "reconnecting"

    @property
    def tries_at(self) -> float | None:
        """When a link that waits tries again; None while it does not wait."""
        return self.deadline if self.state in ("backingOff", "halted") else None

    @property
    def _dead_at(self) -> float:
        return max(self._last_data, self._last_pong) + DEAD_SECONDS

    @property
    def _answer_due_at(self) -> float | None:
        return None if self._asked_at is None else self._asked_at + STEP_SECONDS

    @property
    def _look_at(self) -> float | None:
        if self._watched_since is None:
            return None
        if self.state == "stale":
            return self._next_look
        return max(self._last_data, self._watched_since) + self.settings.silence_seconds

    def _believe(self, event: Event, now: float) -> None:
        """The silence is over, or no matter any more."""
        self.fault = None
        self.handle(event, now)

    def _is_late(self, what: str, now: float) -> tuple[Action, ...]:
        text = f"{self.settings.name} {what} within {STEP_SECONDS:g} s"
        return self.handle("fault", now, Fault(code="unreachable", text=text))

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
        if (self.state, state) == ("subscribing", "live"):
            self._note_live(now)
        elif state == "connecting":
            self._is_reopening = False
            self._asked_at = None
        self.state = state
        self._entered = now

    def _note(self, event: Event, now: float) -> None:
        """What an event means beyond its row."""
        if event in ("acknowledged", "limited"):
            self._asked_at = None
        elif event == "pulse":
            self._last_ping = now
        elif event == "silent":
            self._next_look = now + self.settings.silence_seconds
        elif event == "closed":
            self._wait_seconds = self._backoff()
        elif event == "reloaded":
            self._forget_failures()
        elif event == "retry":
            self._is_reopening = self.state == "closing"

    def _note_end(self, event: Event, *, is_loss: bool) -> None:
        """Count a connection that ends, by its fault's code; one that a reload ends is no failure."""
        reason = self.fault.code if event == "fault" and self.fault is not None else RELOADED
        if event == "fault":
            self.failures[reason] = self.failures.get(reason, 0) + 1
        if is_loss:
            self._lost_by = reason

    def _note_live(self, now: float) -> None:
        if self._lost_by:
            self.reconnected[self._lost_by] = self.reconnected.get(self._lost_by, 0) + 1
        self._has_been_live = True
        if self.fault is not None and self.fault.code != "silent":
            self.fault = None
        self._last_data = self._last_ping = now

    def _forget_failures(self) -> None:
        """Another key or another feed: what the last one met does not count."""
        self._attempts = 0
        self.fault = None
        self._is_reopening = self.state == "closing"

    def _backoff(self) -> float:
        """Seconds to wait: full jitter between the least and 2^n times it, at most the greatest.

        Whoever asks for another connection waits the least, in which Alpaca takes note that the last one is gone.
        """
        least, most = self.settings.backoff_min_seconds, self.settings.backoff_max_seconds
        if self._is_reopening:
            return least
        if self.fault is not None and self.fault.again == "longest":
            return most
        ceiling = min(most, least * 2.0 ** min(self._attempts, 60))
        self._attempts += 1
        return least + self._chance() * (ceiling - least)
