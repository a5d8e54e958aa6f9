"""Serves a subscriber straight on its connection: a frame goes from its ring to the socket in the turn that made it.

Rules: what waits is written at once and in one write, unless the socket has not taken the last one; then frames wait in
the ring, where they are bounded, until it has. No task is woken for that: a stream's own task sleeps until the end. A
subscriber that has taken nothing for `STALL_SECONDS` is reset, and one that has not taken its farewell within
`FAREWELL_SECONDS`, so that nobody holds up the stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from starlette.types import Receive, Scope, Send

from condord.http.connection import Connection
from condord.http.ports import Audience
from condord.live.fanout import Subscriber

STALL_SECONDS = 30.0
"""A subscriber that takes nothing for so long is closed."""
FAREWELL_SECONDS = 1.0
"""The daemon waits no longer when it stops."""

Subscribe = Callable[[Callable[[], None]], Subscriber]


class DirectStream:
    """The answer to a stream's request: an ASGI application. `subscribe` takes what wakes the subscriber."""

    def __init__(
        self, connection: Connection, audience: Audience, subscribe: Subscribe, headers: Mapping[str, str]
    ) -> None:
        self._connection = connection
        self._audience = audience
        self._subscribe = subscribe
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's form
        """Stream until the client or the daemon goes; the place is taken before anything is awaited."""
        headers = [(name.lower().encode(), value.encode()) for name, value in self._headers.items()]
        spout = Spout(self._connection, self._audience, is_chunked=scope["http_version"] >= "1.1")
        subscriber = self._subscribe(spout.wake)
        try:
            spout.open(subscriber)
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            spout.begin()
            if await spout.end:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            spout.close()
            self._audience.unsubscribe(subscriber)


class Spout:
    """Where one subscriber's frames leave. `end` becomes True after the last, or False when the client is gone.

    The socket is written to past the transport, which has nothing of its own to write while frames flow: that, and to
    touch few objects, saves a tenth of what a delivery costs beside 5,000 others (`benchmarks/fanout.py`).
    """

    __slots__ = (
        "_audience",
        "_connection",
        "_eviction",
        "_flows",
        "_has_begun",
        "_is_chunked",
        "_loop",
        "_put",
        "_subscriber",
        "_unsent",
        "end",
    )

    def __init__(self, connection: Connection, audience: Audience, *, is_chunked: bool) -> None:
        self._connection = connection
        self._audience = audience
        self._is_chunked = is_chunked
        self._loop = connection.loop
        self._put = connection.put
        self._subscriber: Subscriber | None = None
        self._has_begun = False
        self._flows = False
        self._eviction: asyncio.TimerHandle | None = None
        self._unsent = 0
        self.end: asyncio.Future[bool] = self._loop.create_future()

    def open(self, subscriber: Subscriber) -> None:
        """Watch over the connection: the head of the answer, too, has to be taken."""
        self._subscriber = subscriber
        self._connection.take_over(self)

    def begin(self) -> None:
        """Write what waits, and from here on whatever comes."""
        self._has_begun = True
        self._flow()
        self.wake()

    def close(self) -> None:
        """Write no more."""
        self._subscriber = None
        self._flows = False
        self._rest()
        if self._connection.outlet is self:
            self._connection.hand_back()

    def wake(self) -> None:
        """Something waits in the ring."""
        subscriber = self._subscriber
        if subscriber is None:
            return
        if self._flows:
            try:
                self._write(subscriber)
            except Exception as error:  # noqa: BLE001 - it is raised in this stream, and spares those woken after it
                self._finish(error)
        elif subscriber.is_over and self._connection.is_blocked:
            self._watch(FAREWELL_SECONDS)

    def blocked(self) -> None:
        """The socket takes no more for now."""
        self._flows = False
        is_over = self._subscriber is not None and self._subscriber.is_over
        self._watch(FAREWELL_SECONDS if is_over else STALL_SECONDS)

    def drained(self) -> None:
        """The socket has taken everything."""
        self._rest()
        self._flow()
        self.wake()

    def lost(self) -> None:
        """The client is gone."""
        self._rest()
        self._finish(is_whole=False)

    def _flow(self) -> None:
        """Frames flow from the beginning to the end, but for the time in which the transport has something to write."""
        connection = self._connection
        self._flows = (
            self._has_begun
            and not self.end.done()
            and not connection.is_blocked
            and not connection.transport.is_closing()
        )

    def _finish(self, error: Exception | None = None, *, is_whole: bool = True) -> None:
        self._flows = False
        if self.end.done():
            return
        if error is not None:
            self.end.set_exception(error)
        else:
            self.end.set_result(is_whole)

    def _write(self, subscriber: Subscriber) -> None:
        frames = self._audience.take(subscriber)
        if frames:
            self._send(b"%x\r\n%b\r\n" % (len(frames), frames) if self._is_chunked else frames)
        if subscriber.is_over:
            self._finish()

    def _send(self, chunk: bytes) -> None:
        """What the socket does not take is left to the transport, which says when it has."""
        try:
            sent = self._put(chunk)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._flows = False
            self._connection.transport.abort()
            return
        if sent < len(chunk):
            self._connection.transport.write(chunk[sent:])

    def _watch(self, seconds: float) -> None:
        """Look in so long, or sooner if that was to be, whether anything was taken."""
        if self._eviction is not None:
            if self._eviction.when() <= self._loop.time() + seconds:
                return
            self._eviction.cancel()
        self._unsent = self._connection.transport.get_write_buffer_size()
        self._eviction = self._loop.call_later(seconds, self._look)

    def _rest(self) -> None:
        if self._eviction is not None:
            self._eviction.cancel()
            self._eviction = None

    def _look(self) -> None:
        """Nothing is written behind what waits, so that less of it means that some was taken."""
        self._eviction = None
        is_over = self._subscriber is not None and self._subscriber.is_over
        if not is_over and self._connection.transport.get_write_buffer_size() < self._unsent:
            self._watch(STALL_SECONDS)
        else:
            self._audience.note_eviction()
            self._connection.evict()
