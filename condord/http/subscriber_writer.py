"""Write a subscriber's frames straight to its socket, in the same iteration of the event loop that made them.

No task is woken for a frame: the task of a stream sleeps until the stream ends. While the socket has not taken the last
write, frames wait in the subscriber's ring, which is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from starlette.types import Receive, Scope, Send

from condord.http.connection import HttpConnection
from condord.http.interfaces import Subscriptions
from condord.live.subscriber import Subscriber

STALL_SECONDS = 30.0
"""A client that reads nothing for this long is evicted."""
BYE_SECONDS = 1.0
"""A client that does not take its `bye` within this time is evicted, so that it does not delay the stop."""

Subscribe = Callable[[Callable[[], None]], Subscriber]
"""Opens a stream; its argument is called when the stream has something to take."""


class DirectStream:
    """The response to a stream request on our own server: an ASGI application."""

    def __init__(
        self, connection: HttpConnection, subscribers: Subscriptions, subscribe: Subscribe, headers: Mapping[str, str]
    ) -> None:
        self._connection = connection
        self._subscribers = subscribers
        self._subscribe = subscribe
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Stream until the client or the daemon ends it."""
        headers = [(name.lower().encode(), value.encode()) for name, value in self._headers.items()]
        writer = SubscriberWriter(self._connection, self._subscribers)
        subscriber = self._subscribe(writer.wake)  # before the first await: another stream could take the last slot
        try:
            writer.open(subscriber)
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            writer.begin()
            if await writer.end:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            writer.close()
            self._subscribers.unsubscribe(subscriber)


class SubscriberWriter:
    """Writes the frames in one subscriber's ring. `end` becomes True after the last frame, False if the client left.

    It bypasses the transport, whose buffer is empty while frames flow, and writes to the socket. With 5,000 subscribers
    that, and touching few objects, saves a tenth of the cost of a delivery (`benchmarks/fanout.py`).
    """

    __slots__ = (
        "_connection",
        "_eviction",
        "_flows",
        "_has_begun",
        "_loop",
        "_now_at",
        "_put",
        "_subscriber",
        "_subscribers",
        "_unsent_bytes",
        "end",
    )

    def __init__(self, connection: HttpConnection, subscribers: Subscriptions) -> None:
        self._connection = connection
        self._subscribers = subscribers
        self._loop = connection.loop
        self._now_at = subscribers.now_at
        self._put = connection.put
        self._subscriber: Subscriber | None = None
        self._has_begun = False
        self._flows = False
        self._eviction: asyncio.TimerHandle | None = None
        self._unsent_bytes = 0
        self.end: asyncio.Future[bool] = self._loop.create_future()

    def open(self, subscriber: Subscriber) -> None:
        """Take the connection over. From here on, a client that does not even read the head is evicted."""
        self._subscriber = subscriber
        self._connection.take_over(self)

    def begin(self) -> None:
        """Write the waiting frames. From here on, each `wake` writes."""
        self._has_begun = True
        self._flow()
        self.wake()

    def close(self) -> None:
        """Stop writing and give the connection back."""
        self._subscriber = None
        self._flows = False
        self._stop_watching()
        if self._connection.outlet is self:
            self._connection.hand_back()

    def wake(self) -> None:
        """Write the frames in the ring, unless the socket has not taken an earlier write yet."""
        subscriber = self._subscriber
        if subscriber is None:
            return
        if self._flows:
            try:
                self._write(subscriber)
            except Exception as error:  # noqa: BLE001 - raised in this stream's task, not in the loop over all streams
                self._finish(error)
        elif subscriber.is_over and self._connection.is_blocked:
            self._watch(BYE_SECONDS)

    def blocked(self) -> None:
        """The socket cannot accept more now."""
        self._flows = False
        is_over = self._subscriber is not None and self._subscriber.is_over
        self._watch(BYE_SECONDS if is_over else STALL_SECONDS)

    def drained(self) -> None:
        """The socket has accepted everything."""
        self._stop_watching()
        self._flow()
        self.wake()

    def lost(self) -> None:
        """The client has left."""
        self._stop_watching()
        self._finish(is_whole=False)

    def _flow(self) -> None:
        """Let frames flow if the stream is open and the transport has nothing of its own to write."""
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
        data = subscriber.take(self._now_at)
        if data:
            self._subscribers.sent_bytes += len(data)
            self._send(data)
        if subscriber.is_over:
            self._finish()

    def _send(self, data: bytes) -> None:
        """Write to the socket and leave the rest to the transport, which calls `drained` when all is written."""
        try:
            sent = self._put(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._flows = False
            self._connection.transport.abort()
            return
        if sent < len(data):
            self._connection.transport.write(data[sent:])

    def _watch(self, seconds: float) -> None:
        """Check in `seconds` whether the client has taken anything; an earlier check stays."""
        if self._eviction is not None:
            if self._eviction.when() <= self._loop.time() + seconds:
                return
            self._eviction.cancel()
        self._unsent_bytes = self._connection.transport.get_write_buffer_size()
        self._eviction = self._loop.call_later(seconds, self._check_progress)

    def _stop_watching(self) -> None:
        if self._eviction is not None:
            self._eviction.cancel()
            self._eviction = None

    def _check_progress(self) -> None:
        self._eviction = None
        subscriber = self._subscriber
        is_over = subscriber is not None and subscriber.is_over
        # Nothing is written after the bytes that wait, so a shorter buffer means that the client has taken some of it.
        if not is_over and self._connection.transport.get_write_buffer_size() < self._unsent_bytes:
            self._watch(STALL_SECONDS)
            return
        if subscriber is not None:
            self._subscribers.evict(subscriber)
        self._connection.evict()
