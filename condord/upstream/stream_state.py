"""The public state of a stream of quotes, when it began, and one line in the log for each change."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from condord.core.occ import symbols_text
from condord.live import wire
from condord.upstream.quote_stream import QuoteStream

_LEVELS: dict[wire.State, int] = {
    "starting": logging.INFO,
    "live": logging.INFO,
    "closed": logging.INFO,
    "stale": logging.WARNING,
    "reconnecting": logging.WARNING,
    "halted": logging.ERROR,
}
_REASONS: dict[wire.State, str] = {
    "starting": "the first connection is being made",
    "reconnecting": "reconnecting because the configuration was reloaded",
}
"""Why a stream is down without a fault, by state."""
_UP = ("live", "closed")

_log = logging.getLogger(__name__)


class StreamState(NamedTuple):
    """A state, with a reason for people and a code where there is one."""

    state: wire.State
    reason: str | None = None
    code: wire.Code | None = None


def state_of(stream: QuoteStream[Any], *, is_closed: bool) -> StreamState:
    """The state of `stream`; a live one is `closed` while the market `is_closed`."""
    link = stream.link
    state = link.public_state
    if state == "live" and is_closed:
        state = "closed"
    if link.fault is not None:
        return StreamState(state, link.fault.reason, link.fault.code)
    if stream.is_limited:
        streamed, requested = len(stream.streamed), len(stream.symbols)
        text = f"Alpaca streams {streamed} of {requested} symbols; read over REST instead: "
        return StreamState(state, text + symbols_text(stream.missing), "symbolLimit")
    return StreamState(state, _REASONS.get(state))


class StateLog:
    """Logs the changes of one stream's state as `event`; `since` is when the state began.

    `now_at` is the exchange's clock (UTC).
    """

    def __init__(self, event: str, now_at: Callable[[], dt.datetime]) -> None:
        self.since = now_at()
        self._down_since: float | None = None
        self._event = event
        self._now_at = now_at
        self._shown: tuple[wire.State, wire.Code | None] = ("starting", None)

    def note(self, new: StreamState, now: float) -> None:
        """Log the state if it or its code has changed.

        `now` is in seconds of a monotonic clock, which measures how long an outage lasted; a start lasts from the
        first call on.
        """
        if self._down_since is None:
            self._down_since = now
        if (new.state, new.code) == self._shown:
            return
        was, _ = self._shown
        if new.state != was:
            self.since = self._now_at()
        self._shown = (new.state, new.code)
        fields: dict[str, object] = {"state": new.state, "code": new.code, "reason": new.reason, "was": was}
        if was in _UP and new.state not in _UP:
            self._down_since = now
        elif new.state in _UP and was not in _UP:
            fields["lasted_seconds"] = round(now - self._down_since, 1)
        level = max(_LEVELS[new.state], logging.WARNING if new.code else logging.INFO)
        _log.log(level, self._event, extra={"fields": fields})
