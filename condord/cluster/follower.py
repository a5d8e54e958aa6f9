"""Follow the stream of another condord: connect, read events, notice silence, and connect again."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

from condord.client.address import Address
from condord.cluster.connection import ConnectionLost, Response, Silence, SourceSettings, open_request, require
from condord.cluster.event_blocks import EventBlocks
from condord.cluster.interfaces import EventSink
from condord.cluster.stall_detector import StallDetector
from condord.errors import AccessDenied, CondordError, ConfigError
from condord.host import loopback
from condord.live.relay_path import HEADER, RelayPath
from condord.live.remedies import LOOP_REMEDY, with_remedy
from condord.live.replica import LostCode, UnreadableEvent

HEARTBEAT_SECONDS = 0.5
"""The interval that a relay requests from its source."""
LOST_SECONDS = 2.0
"""The source counts as lost after this long without an event or without a connection."""
WATCH_SECONDS = 0.1
HEAD_SECONDS = 3.5
"""How long the source may take to answer: if it has not reached the event to resume after, it waits up to 3 s."""
MIN_WAIT_SECONDS = 0.1
MAX_WAIT_SECONDS = 5.0

ITSELF_HINT = "Name the address of the condord that the relay should follow, and check where a proxy before it leads."

# For how long is in the status: a reason with the time of one attempt would contradict that.
_NO_ANSWER, _NO_EVENTS = "it does not answer", "it sends no events"

_log = logging.getLogger(__name__)


class _FollowerEvents(NamedTuple):
    """The log sentences for a source that is lost or back, or does not answer yet or at last, and the code."""

    lost: str
    back: str
    silent: str
    answers: str
    code: LostCode


_EVENTS = {
    "source": _FollowerEvents(
        lost="The source is lost",
        back="The source is back",
        silent="The source does not answer yet",
        answers="The source answers",
        code="sourceLost",
    ),
    "maker": _FollowerEvents(
        lost="The maker is silent",
        back="The maker is back",
        silent="The maker does not answer yet",
        answers="The maker answers",
        code="leaderLost",
    ),
}


class Follower:
    """Follows one source and gives its events to `sink`.

    `refused` gets the error if the source does not accept the token, or is this process itself, as a new attempt would
    not help. `chance` returns a number in [0, 1) that spreads the attempts, which are `max_wait_seconds` apart at most,
    and half as much again by chance. `relays` is this process's own path. `followed` is the source, for the log.
    """

    def __init__(
        self,
        settings: SourceSettings,
        sink: EventSink,
        *,
        refused: Callable[[CondordError], None],
        chance: Callable[[], float],
        relays: RelayPath | None = None,
        max_wait_seconds: float = MAX_WAIT_SECONDS,
        followed: Literal["source", "maker"] = "source",
    ) -> None:
        self.is_connected = False
        self._events = _EVENTS[followed]
        self._settings = settings
        self._sink = sink
        self._refused = refused
        self._chance = chance
        self._relays = relays or RelayPath()
        self._max_wait_seconds = max_wait_seconds
        self._event_at = math.inf  # until it runs
        self._reason = "it has not answered yet"
        self._shown_reason = ""
        self._is_lost = False
        self._lost_at = 0.0
        self._has_followed = False
        self._failures = 0
        self._retry_now = asyncio.Event()
        self._is_outdated = False  # this connection began before a suspension

    def retry(self) -> None:
        """Connect now instead of after the wait."""
        self._retry_now.set()

    def note_suspension(self, seconds: float) -> None:
        """Report the source as lost if nothing has been read from it for `LOST_SECONDS`, and connect again.

        This process has not run for `seconds`. What waits in the connection is as old as that, and its last event may
        be, too. This is not logged as a loss: the source may well have been there.
        """
        now = asyncio.get_running_loop().time()
        if max(seconds, now - self._event_at) >= LOST_SECONDS:
            self._is_outdated = True
            self._sink.lose(suspended(seconds))

    async def run(self) -> None:
        """Follow until cancelled."""
        self._event_at = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            retry_after_seconds = 0.0
            try:
                await self._one_connection()
            except Silence as silence:
                self._reason = _NO_EVENTS if silence.has_answered else _NO_ANSWER
            except ConnectionLost as lost:
                self._reason, retry_after_seconds = str(lost), lost.retry_after_seconds
            except UnreadableEvent as error:
                self._reason = str(error)
            except (AccessDenied, ConfigError) as error:
                self._refused(error)
                await asyncio.Event().wait()
            finally:
                self.is_connected = False
            await self._pause(retry_after_seconds)

    async def _pause(self, at_least: float) -> None:
        wait = max(MIN_WAIT_SECONDS * 2.0 ** min(self._failures, 16), at_least)
        self._failures += 1
        self._retry_now.clear()
        try:
            async with asyncio.timeout(min(wait, self._max_wait_seconds) * (1 + self._chance() / 2)):
                await self._retry_now.wait()
        except TimeoutError:
            return

    async def _one_connection(self) -> None:
        """Read the events of one connection until it ends.

        Raises:
            ConnectionLost: it cannot be made, or has ended.
            UnreadableEvent: the stream has other events than a condord's.
            AccessDenied: the source does not accept the token.
            ConfigError: the source is this process itself.
        """
        self._is_outdated = False
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if not _is_near(self._settings.address):
            headers["Accept-Encoding"] = "gzip"
        if (version := self._sink.resume_version) is not None:
            headers["Last-Event-ID"] = version
        target = f"/api/stream?heartbeat={HEARTBEAT_SECONDS:g}"
        async with open_request(self._settings, "GET", target, headers, HEAD_SECONDS) as response:
            self._require_recent()
            self._require_no_loop(response)
            require(self._settings, response, "text/event-stream")
            self._sink.begin()
            self.is_connected = True
            await self._read(response)
        raise ConnectionLost("it has ended the stream")

    def _require_no_loop(self, response: Response) -> None:
        """Check that the source is neither this relay, under any of its names, nor one that follows it.

        The latter is tried again, as another relay may be corrected.

        Raises:
            ConfigError: it is this relay.
            ConnectionLost: it follows this relay.
        """
        url, relay_loop = self._settings.address.url, self._relays.follow(response.headers.get(HEADER.lower(), ""))
        if relay_loop == "itself":
            raise ConfigError([f"cluster.source = {url}: this relay itself answers there"], ITSELF_HINT)
        if relay_loop == "others":
            raise ConnectionLost(with_remedy("it follows this relay, directly or through others", LOOP_REMEDY))

    def _require_recent(self) -> None:
        """Raise `ConnectionLost` if this connection began before a suspension: its next events are old."""
        if self._is_outdated:
            raise ConnectionLost("this process was suspended")

    async def _read(self, response: Response) -> None:
        blocks, has_begun = EventBlocks(), False
        while chunk := await response.read(LOST_SECONDS):
            for event in blocks.feed(chunk):
                self._require_recent()
                if event.name == "bye":
                    raise ConnectionLost("it has stopped")
                self._sink.take(event)
                self._note_event()
                if self._sink.needs_snapshot and event.name == "delta":
                    raise ConnectionLost("events are missing")
                if self._sink.is_lost and has_begun:
                    raise ConnectionLost("it was silent")  # a resume brings the status, which no heartbeat does
                has_begun = has_begun or event.name in ("snapshot", "delta")

    def _note_event(self) -> None:
        self._event_at = asyncio.get_running_loop().time()
        self._failures = 0
        if self._is_lost:
            self._is_lost = False
            event = self._events.back if self._has_followed else self._events.answers
            lasted = {"lasted_seconds": round(self._event_at - self._lost_at, 1)} if self._has_followed else {}
            _log.info(event, extra={"fields": {"source": self._settings.address.url, **lasted}})
        self._has_followed = True

    async def _watch(self) -> None:
        """Report the source as lost after `LOST_SECONDS` without an event, and again if the reason changes."""
        loop = asyncio.get_running_loop()
        stalls = StallDetector(loop.time())
        while True:
            now, due = loop.time(), self._event_at + LOST_SECONDS
            if stalls.has_recovered(now) and now >= due:
                self._lose(now)
            await asyncio.sleep(min(due - now, WATCH_SECONDS) if now < due else WATCH_SECONDS)

    def _lose(self, now: float) -> None:
        reason = self.reason
        if not self._is_lost:
            self._is_lost, self._lost_at = True, now
            fields = {"source": self._settings.address.url, "code": self._events.code, "reason": reason}
            event = self._events.lost if self._has_followed else self._events.silent
            _log.warning(event, extra={"fields": fields})
        elif reason == self._shown_reason:
            return
        self._shown_reason = reason
        self._sink.lose(reason)

    @property
    def reason(self) -> str:
        """Why the source is lost; otherwise the reason for the last loss."""
        return _NO_EVENTS if self.is_connected else self._reason


def suspended(seconds: float) -> str:
    """The reason for a loss that a suspension of this process has caused."""
    return f"this process was suspended for {seconds:.0f} s, and has read nothing since"


def _is_near(address: Address) -> bool:
    """Whether the source is on this machine, where compression would only cost time."""
    return bool(address.uds) or loopback.is_loopback(address.host)
