"""The state machine of one connection to Alpaca: a table of states and events, and a deadline for each state.

Time is an argument. `handle` takes an event and returns the actions to carry out; `expire` is called once `deadline`
has passed. Anything that only moves a deadline has no row in the table: data, pongs, a request that awaits its answer,
and the opening of the market. `data` is called for every frame of quotes, so it must be cheap.

The wait between attempts grows exponentially, with full jitter between the configured bounds. Only data resets it (or a
pong, if data is rare), so that a server that accepts connections and then drops them is not flooded with attempts. A
fault stays until its cause is gone. The fault of a silent connection stays until data arrives, because the next
connection may be silent too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from condord.live.remedies import with_remedy
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
    "wanted",
    "pingDue",
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
"""When to try again: after a growing wait, after the maximum wait, or after `HALT_SECONDS` and on request."""

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
    ("live", "wanted"): ("live", ("subscribe",)),
    ("live", "acknowledged"): ("live", ("subscribe",)),
    ("live", "limited"): ("live", ("subscribe",)),
    ("live", "pingDue"): ("live", ("ping",)),
    ("live", "silent"): ("stale", ("probe",)),
    ("live", "fault"): ("closing", ("gap", "close")),
    ("live", "reloaded"): ("closing", ("gap", "close")),
    ("stale", "wanted"): ("stale", ("subscribe",)),
    ("stale", "acknowledged"): ("stale", ("subscribe",)),
    ("stale", "limited"): ("stale", ("subscribe",)),
    ("stale", "pingDue"): ("stale", ("ping",)),
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
"""The timeout of each step of the handshake, and of each later answer."""
CLOSE_SECONDS = 3.0
"""The timeout of a close, after which the transport is aborted."""
HALT_SECONDS = 300.0
"""The wait of a halted link before it tries again by itself."""
PING_SECONDS = 10.0
"""The time between two pings."""
DEAD_SECONDS = 30.0
"""A connection that delivers neither data nor a pong for this long is dead."""
QUIET_FACTOR = 10
"""A silence of more than this many times `silence_seconds` cannot be due to a quiet market."""

RELOADED = "reloaded"
"""Why a reload ends a connection. Unlike the other reasons, this is not a public code."""

_STEPS = {
    "connecting": "did not accept the connection",
    "authenticating": "did not answer the authentication",
    "subscribing": "did not acknowledge the subscription",
}


class LinkFault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a connection ended or cannot be made: public code, what happened, what to do, and when to try again."""

    code: Code
    text: str
    remedy: str = ""
    again: Again = "backoff"

    @property
    def reason(self) -> str:
        """The text and the remedy as one sentence."""
        return with_remedy(self.text, self.remedy)


class LinkBounds(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of every link, in seconds."""

    silence_seconds: float
    backoff_min_seconds: float
    backoff_max_seconds: float


class LinkSettings(LinkBounds, frozen=True, kw_only=True):
    """The settings of a link.

    `name` is for messages. `pong_counts_as_data`: a pong shows that the connection works, as data is rare.
    """

    name: str
    pong_counts_as_data: bool = False


class Link:
    """Successive connections to one endpoint. `chance` returns a number from 0 to 1 for the jitter.

    `failures` counts failed connections, and `reconnected` recovered ones, by the code of their fault.
    """

    def __init__(self, settings: LinkSettings, *, chance: Callable[[], float]) -> None:
        self._settings = settings
        self._state: LinkState = "starting"
        self._fault: LinkFault | None = None
        self.failures: dict[str, int] = {}
        self.reconnected: dict[str, int] = {}
        self._loss_reason = ""
        self._chance = chance
        self._attempts = 0
        self._entered = 0.0
        self._wait_seconds = 0.0
        self._has_been_live = False
        self._is_reopening = False
        self._last_data = 0.0
        self._last_pong = 0.0
        self._last_ping = 0.0
        self._requested_at: float | None = None
        self._next_probe = 0.0
        self._watched_since: float | None = None

    @property
    def settings(self) -> LinkSettings:
        """The name and the bounds."""
        return self._settings

    @property
    def state(self) -> LinkState:
        """The state, as in `TABLE`."""
        return self._state

    @property
    def fault(self) -> LinkFault | None:
        """Why the connection ended, cannot be made or is doubted; None if it works or was never tried."""
        return self._fault

    def set_bounds(self, *, silence_seconds: float, backoff_min_seconds: float, backoff_max_seconds: float) -> None:
        """Change the bounds, in seconds; a wait that has begun keeps its length."""
        self._settings = msgspec.structs.replace(
            self._settings,
            silence_seconds=silence_seconds,
            backoff_min_seconds=backoff_min_seconds,
            backoff_max_seconds=backoff_max_seconds,
        )

    def explain_silence(self, fault: LinkFault) -> None:
        """Give the reason of a stale connection after REST was asked about it. Only data makes it live again."""
        if self._state == "stale":
            self._fault = fault

    def handle(self, event: Event, now: float, fault: LinkFault | None = None) -> tuple[Action, ...]:
        """Return the actions for `event`; an event without a row for the state changes nothing."""
        row = TABLE.get((self._state, event))
        if row is None:
            return ()
        if row[0] != self._state:
            self._enter(row[0], now)
        if fault is not None:
            self._fault = fault
        if row[0] == "closing":
            self._note_end(event, is_loss="gap" in row[1])
        self._note(event, now)
        return row[1]

    def data(self, now: float) -> None:
        """Note a data message, which ends a silence and resets the backoff."""
        self._last_data = now
        self._attempts = 0
        if self._fault is not None and self._state in SERVING:
            self._clear_silence("data", now)

    def pong(self, now: float) -> None:
        """Note the answer to a ping: the connection is not dead."""
        self._last_pong = now
        if self._settings.pong_counts_as_data:
            self._attempts = 0
            if self._state in SERVING:
                self._fault = None

    def requested(self, now: float) -> None:
        """Note that a request was sent, whose answer has a deadline."""
        self._requested_at = now

    def watch(self, *, is_expecting: bool, now: float) -> None:
        """Set whether data is expected from `now` on: the market is open and something is subscribed."""
        if not is_expecting:
            self._watched_since = None
            if self._fault is not None and self._state in SERVING:
                self._clear_silence("shut", now)
        elif self._watched_since is None:
            self._watched_since = now

    @property
    def reconnects(self) -> int:
        """How often a lost connection was replaced; `reconnected` has the numbers by reason."""
        return sum(self.reconnected.values())

    @property
    def deadline(self) -> float:
        """When `expire` is due, in seconds of the loop's clock."""
        if self._state == "starting":
            return self._entered
        if self._state in _STEPS:
            return self._entered + STEP_SECONDS
        if self._state == "closing":
            return self._entered + CLOSE_SECONDS
        if self._state == "backingOff":
            return self._entered + self._wait_seconds
        if self._state == "halted":
            return self._entered + HALT_SECONDS
        deadlines = (self._dead_at, self._last_ping + PING_SECONDS, self._answer_due_at, self._probe_at)
        return min(deadline for deadline in deadlines if deadline is not None)

    def expire(self, now: float) -> tuple[Action, ...]:
        """Return the actions if the deadline has passed; none if it has moved since."""
        if now < self.deadline:
            return ()
        if self._state in _STEPS:
            return self._is_late(_STEPS[self._state], now)
        if self._state == "closing":
            return self.closed(now)
        if self._state not in SERVING:
            return self.handle("due", now)
        if now >= self._dead_at:
            text = f"{self._settings.name} delivered neither data nor a pong for {DEAD_SECONDS:g} s"
            return self.handle("fault", now, LinkFault(code="silent", text=text))
        if self._answer_due_at is not None and now >= self._answer_due_at:
            return self._is_late(_STEPS["subscribing"], now)
        if now >= self._last_ping + PING_SECONDS:
            return self.handle("pingDue", now)
        return self._probe(now)

    def closed(self, now: float) -> tuple[Action, ...]:
        """Note that the socket is closed, which frees Alpaca's slot."""
        halts = self._fault is not None and self._fault.again == "halt" and not self._is_reopening
        return self.handle("closedForGood" if halts else "closed", now)

    @property
    def public_state(self) -> State:
        """The public state, except for the market's hours: `live` is `closed` outside of them."""
        if self._state in SERVING:
            return "live" if self._state == "live" and self._fault is None else "stale"
        if self._fault is None and not self._has_been_live:
            return "starting"
        return "halted" if self._fault is not None and self._fault.again == "halt" else "reconnecting"

    @property
    def tries_at(self) -> float | None:
        """When a waiting link tries again; None if it does not wait."""
        return self.deadline if self._state in ("backingOff", "halted") else None

    @property
    def _dead_at(self) -> float:
        return max(self._last_data, self._last_pong) + DEAD_SECONDS

    @property
    def _answer_due_at(self) -> float | None:
        return None if self._requested_at is None else self._requested_at + STEP_SECONDS

    @property
    def _probe_at(self) -> float | None:
        if self._watched_since is None:
            return None
        if self._state == "stale":
            return self._next_probe
        return max(self._last_data, self._watched_since) + self._settings.silence_seconds

    def _clear_silence(self, event: Event, now: float) -> None:
        """Clear a fault that was silence: data arrived, or none is expected any longer."""
        self._fault = None
        self.handle(event, now)

    def _is_late(self, what: str, now: float) -> tuple[Action, ...]:
        text = f"{self._settings.name} {what} within {STEP_SECONDS:g} s"
        return self.handle("fault", now, LinkFault(code="unreachable", text=text))

    def _probe(self, now: float) -> tuple[Action, ...]:
        """Probe a silent connection, and end it once a quiet market no longer explains the silence."""
        silent_since = max(self._last_data, self._watched_since or 0.0)
        limit = QUIET_FACTOR * self._settings.silence_seconds
        if now - silent_since >= limit:
            return self.handle(
                "fault", now, LinkFault(code="silent", text=f"{self._settings.name}: no data for {limit:g} s")
            )
        text = f"{self._settings.name}: no data for {now - silent_since:.0f} s while the market is open"
        return self.handle("silent", now, LinkFault(code="silent", text=text))

    def _enter(self, state: LinkState, now: float) -> None:
        if (self._state, state) == ("subscribing", "live"):
            self._note_live(now)
        elif state == "connecting":
            self._is_reopening = False
            self._requested_at = None
        self._state = state
        self._entered = now

    def _note(self, event: Event, now: float) -> None:
        """Update the facts that the table does not show."""
        if event in ("acknowledged", "limited"):
            self._requested_at = None
        elif event == "pingDue":
            self._last_ping = now
        elif event == "silent":
            self._next_probe = now + self._settings.silence_seconds
        elif event == "closed":
            self._wait_seconds = self._backoff()
        elif event == "reloaded":  # the failures belonged to another key or feed
            self._attempts = 0
            self._fault = None
            self._is_reopening = self._state == "closing"
        elif event == "retry":
            self._is_reopening = self._state == "closing"

    def _note_end(self, event: Event, *, is_loss: bool) -> None:
        """Count a failed connection by the code of its fault; a reload is not a failure."""
        reason = self._fault.code if event == "fault" and self._fault is not None else RELOADED
        if event == "fault":
            self.failures[reason] = self.failures.get(reason, 0) + 1
        if is_loss:
            self._loss_reason = reason

    def _note_live(self, now: float) -> None:
        if self._loss_reason:
            self.reconnected[self._loss_reason] = self.reconnected.get(self._loss_reason, 0) + 1
        self._has_been_live = True
        if self._fault is not None and self._fault.code != "silent":
            self._fault = None
        self._last_data = self._last_ping = now

    def _backoff(self) -> float:
        """Seconds to wait: full jitter between the minimum and 2^n times the minimum, up to the maximum.

        A requested reconnect waits for the minimum, so that Alpaca notices that the last connection is gone.
        """
        least, most = self._settings.backoff_min_seconds, self._settings.backoff_max_seconds
        if self._is_reopening:
            return least
        if self._fault is not None and self._fault.again == "longest":
            return most
        ceiling = min(most, least * 2.0 ** min(self._attempts, 60))
        self._attempts += 1
        return least + self._chance() * (ceiling - least)
