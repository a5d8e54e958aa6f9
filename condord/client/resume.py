"""A stream of events that continues over reconnections.

The first connection must succeed. After that a lost connection is retried with exponential backoff and resumed after
the last event. An error that a retry cannot fix, such as a refused token, is raised at once.
"""

from __future__ import annotations

import http.client
import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlencode

from condord.client.failures import NO_DAEMON_HINT, TemporarilyUnavailable
from condord.client.http import Daemon, decoded
from condord.client.sse import EventParser, ServerSentEvent
from condord.live.wire import Heartbeat

SILENCE_SECONDS = 35.0
"""How long a connection may be silent while the interval of its heartbeats is unknown."""
MIN_WAIT_SECONDS = 0.1
MAX_WAIT_SECONDS = 30.0
HEARTBEATS_MISSED = 3  # after this many a connection counts as dead


class Reconnection:
    """The state that a stream needs to reconnect: the last id, the backoff, and how long silence is normal.

    It does no I/O.
    """

    def __init__(self, last_event_id: str | None = None) -> None:
        self.last_event_id = last_event_id
        self.has_connected = False
        self.retry_seconds = 2.0
        self.silence_seconds = SILENCE_SECONDS
        self._failures = 0
        self._heartbeat_at: float | None = None

    def record(self, event: ServerSentEvent) -> None:
        """Record an event, which ends the backoff. The time between two heartbeats becomes the expected silence.

        Raises:
            Unavailable: a heartbeat cannot be decoded.
        """
        self._failures = 0
        if event.id is not None:
            self.last_event_id = event.id
        if event.name != "heartbeat":
            return
        at = decoded(event.data.encode(), Heartbeat).as_of.timestamp()
        if self._heartbeat_at is not None and at > self._heartbeat_at:
            # The interval is by the server's clock: a client that was paused reads several old heartbeats at once.
            self.silence_seconds = max(1.0, HEARTBEATS_MISSED * (at - self._heartbeat_at))
        self._heartbeat_at = at

    def allow_longer_silence(self) -> None:
        """Double the permitted silence, as the server may have a slower heartbeat than expected."""
        self.silence_seconds = min(2 * self.silence_seconds, 10 * SILENCE_SECONDS)

    def next_wait_seconds(self, jitter: float, at_least: float = 0.0) -> float:
        """Return how long to wait before the next attempt, and count this failure.

        Args:
            jitter: in [0, 1). It adds up to half of the wait, so that a thousand clients do not return together.
            at_least: in seconds, the server's `Retry-After`.
        """
        shortest = max(self.retry_seconds, MIN_WAIT_SECONDS)
        wait = min(shortest * 2.0 ** min(self._failures, 16), max(MAX_WAIT_SECONDS, shortest))
        self._failures += 1
        self._heartbeat_at = None
        # The daemon may come back with a slower heartbeat.
        self.silence_seconds = max(self.silence_seconds, SILENCE_SECONDS)
        return max(wait, at_least) * (1 + jitter / 2)


def follow(
    daemon: Daemon,
    condors: Sequence[str] = (),
    last_event_id: str | None = None,
    *,
    interval_ms: int | None = None,
    on_cut: Callable[[str, float], None] = lambda _reason, _seconds: None,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
) -> Iterator[ServerSentEvent]:
    """Yield the events of the stream, over as many connections as it takes.

    Args:
        daemon: the daemon to connect to.
        condors: the ids to follow; all if empty.
        last_event_id: the event to resume after.
        interval_ms: the minimum time between two deltas, if it is longer than the daemon's window.
        on_cut: called after a connection with the reason that it ended and the seconds until the next attempt.
        sleep: waits between two connections.
        jitter: returns a number in [0, 1) that spreads the waits.

    Raises:
        CondordError: the first connection fails, or a later one in a way that a retry cannot fix.
    """
    query = [("condor", condor_id) for condor_id in condors]
    if interval_ms is not None:
        query.append(("interval", str(interval_ms)))
    path = f"/api/stream?{urlencode(query)}".rstrip("?")
    reconnection = Reconnection(last_event_id)
    while True:
        reason, at_least = "the daemon ended the stream", 0.0
        try:
            yield from _one_connection(daemon, path, reconnection)
        except TemporarilyUnavailable as error:
            if not reconnection.has_connected:
                raise
            reason, at_least = str(error), error.retry_after_seconds
        wait_seconds = reconnection.next_wait_seconds(jitter(), at_least)
        on_cut(reason, wait_seconds)
        sleep(wait_seconds)


def _one_connection(daemon: Daemon, path: str, reconnection: Reconnection) -> Iterator[ServerSentEvent]:
    """Yield the events of one connection, until it ends or the daemon sends `bye`."""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if reconnection.last_event_id:
        headers["Last-Event-ID"] = reconnection.last_event_id
    with daemon.get(path, headers, "text/event-stream") as (response, connection):
        reconnection.has_connected = True
        parser = EventParser()
        while chunk := _read(response, connection, reconnection, daemon.address.url):
            events = parser.feed(chunk)
            if parser.retry_ms is not None:
                reconnection.retry_seconds = parser.retry_ms / 1000
            for event in events:
                reconnection.record(event)
                yield event
                if event.name == "bye":
                    return


def _read(response: http.client.HTTPResponse, connection: socket.socket, reconnection: Reconnection, url: str) -> bytes:
    connection.settimeout(reconnection.silence_seconds)
    try:
        return response.read1(65536)
    except TimeoutError as error:
        text = f"{url} has sent nothing for {reconnection.silence_seconds:g} s"
        reconnection.allow_longer_silence()
        raise TemporarilyUnavailable(text, NO_DAEMON_HINT) from error
