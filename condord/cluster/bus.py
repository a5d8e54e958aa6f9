"""Keep a connection to NATS for as long as the program runs: publish, subscribe, and make requests.

After a loss it reconnects indefinitely, with all subscriptions. Messages published during an outage are dropped and
counted, as they would arrive late: followers notice the gap and ask for what is missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec
from nats import errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext

from condord.cluster.connection import ConnectionLost
from condord.cluster.denials import Denials, publishing, subscribing
from condord.cluster.nats_client import (
    MIN_PAYLOAD_BYTES,
    PAYLOAD_REMEDY,
    VERSION_REMEDY,
    BusLogin,
    Forbidden,
    NatsClient,
    fault,
    is_too_old,
    open_client,
)
from condord.cluster.outgoing_messages import OutgoingMessages
from condord.errors import AccessDenied
from condord.live.remedies import FORBIDDEN_REMEDY
from condord.tasks import check_cancelled, loop_time

MIN_WAIT_SECONDS = 0.1
MAX_WAIT_SECONDS = 1.0
CHECK_SECONDS = 0.1
"""The time between two checks of the connection: nats-py does not report every lost one."""
MAX_PENDING_BYTES = 32 * 1024 * 1024
"""The received messages of a subscription that may wait."""
SUBSCRIBE_AGAIN_SECONDS = 5.0
"""How often a subscription is tried again that the server forbids, as the server does not report when it permits it."""
TRY_SECONDS = 2
"""How long the server may take to report denied subjects."""
HEADER_BYTES = 1024
"""The part of the server's `max_payload` that is left for the headers of a message."""

_log = logging.getLogger(__name__)


class BusError(Exception):
    """A request on the bus has failed. If no answer came, it may have been carried out. The text is a clause."""


class BusSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The servers, and the credentials. `context` returns the trust store, with the client certificate if any.

    Answers come to subjects that begin with `inbox`, so that a server can separate the roles.
    """

    urls: Sequence[str]
    login: BusLogin | None
    context: Callable[[], ssl.SSLContext]
    inbox: str = "_INBOX"


class BusMessage(NamedTuple):
    """A received message; `reply` is the subject to which its sender expects an answer, or empty."""

    subject: str
    data: bytes
    headers: Mapping[str, str]
    reply: str


Take = Callable[[BusMessage], None]
_Subjects = Collection[str]


class BusSubscription:
    """Passes the messages of a subject to `take` until `end` is called."""

    def __init__(self, subject: str, take: Take) -> None:
        self.subject = subject
        self.take = take
        self.live: Subscription | None = None  # the subscription of the current connection
        self.is_over = False

    async def end(self) -> None:
        """Stop taking messages, at once."""
        self.is_over = True
        live, self.live = self.live, None
        if live is not None:
            with contextlib.suppress(errors.Error, OSError):  # it has ended with its connection
                await live.unsubscribe()


class Bus:
    """The connection of one process to the bus.

    `refused` gets the error if the server does not accept the credentials; attempts go on unless `refused` stops them.
    `chance` returns a number in [0, 1) that spreads the attempts. `name` is shown by the server's monitoring.

    `dropped` counts messages that were not sent: there was no connection, the queue was full, or they were too large.
    `reason` is why there is no connection, or why the last attempt or connection ended. `denials` are the operations
    that the server forbids.
    """

    def __init__(
        self, settings: BusSettings, *, name: str, refused: Callable[[AccessDenied], None], chance: Callable[[], float]
    ) -> None:
        self.dropped = 0
        self.reason = "it has not answered yet"
        self.denials = Denials(loop_time)
        self._settings = settings
        self._name = name
        self._refused = refused
        self._chance = chance
        self._client: NatsClient | None = None
        self._subscriptions: list[BusSubscription] = []
        self._watchers: list[Callable[[], None]] = []
        self._outgoing = OutgoingMessages()
        self._retry_now = asyncio.Event()
        self._failures = 0
        self._lost_at: float | None = None
        self._failure: Exception | None = None
        self._is_too_small = False

    @property
    def urls(self) -> str:
        """The servers, for people."""
        return ",".join(self._settings.urls)

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection; a silent server is noticed within 2 s."""
        return self._client is not None and self._client.is_connected

    @property
    def version(self) -> str:
        """The version of the server, empty without a connection."""
        return self._client.version if self._client is not None else ""

    @property
    def max_payload(self) -> int | None:
        """The largest message that the server takes, in bytes with headers; None without a connection."""
        return self._client.max_payload if self._client is not None else None

    def js(self, seconds: float) -> JetStreamContext:
        """Return JetStream on the current connection; each of its calls takes at most `seconds`.

        Raises:
            BusError: there is no connection.
        """
        return self._usable_client.jetstream(timeout=seconds)

    def retry(self) -> None:
        """Connect now instead of after the wait."""
        self._retry_now.set()

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever a connection has begun or ended."""
        self._watchers.append(changed)

    async def subscribe(self, subject: str, take: Take) -> BusSubscription:
        """Give the messages of `subject` to `take`, at this connection and all that follow."""
        subscription = BusSubscription(subject, take)
        self._subscriptions = [each for each in self._subscriptions if not each.is_over]
        self._subscriptions.append(subscription)
        client = self._client
        if client is not None and client.is_connected:
            with contextlib.suppress(errors.Error, OSError):  # it has just ended; the next one subscribes too
                await self._subscribe(client, subscription)
        return subscription

    def publish(self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Queue a message. Without a connection or room for it, or if it is too large, drop and count it."""
        size = len(payload)
        if self.is_connected and self._outgoing.has_room(size) and self.takes(size):
            self._outgoing.put(subject, payload, headers)
        else:
            self.dropped += 1

    def takes(self, size: int) -> bool:
        """Whether the server accepts a message of `size` bytes; a refusal is logged once per connection."""
        limit = self.max_payload
        if limit is None or size + HEADER_BYTES <= limit:
            return True
        if not self._is_too_small:
            self._is_too_small = True
            _log.error("The bus does not take messages of this size", extra=_limits(limit, size))
        return False

    async def ask(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None, *, seconds: float
    ) -> BusMessage:
        """Send a message and return the answer.

        Raises:
            BusError: none has come within `seconds`, nobody listens, or there is no connection.
        """
        client, begun = self._usable_client, loop_time()
        try:
            message = await client.request(subject, payload, seconds, headers=dict(headers or {}))
        except errors.NoRespondersError as error:
            raise BusError("nobody answers on the bus") from error
        except (errors.Error, OSError) as error:
            raise BusError(self.why(error)) from error
        finally:
            check_cancelled()
        self.denials.settle((publishing(subject),), begun)
        return _message(message)

    def why(self, error: Exception) -> str:
        """Return the reason for an error of nats-py: a denied request gets no answer."""
        text = self.denials.text if isinstance(error, errors.TimeoutError) else None
        return text or str(fault(error))

    async def try_out(self, *, publish: _Subjects = (), subscribe: _Subjects = (), write: _Subjects = ()) -> str | None:
        """Send an empty message to each subject to publish to, and subscribe to the others for a moment.

        Returns the first of these that the server forbids, or None. `write` are subjects of keys; nothing is stored.

        Raises:
            BusError: there is no connection, or no answer.
        """
        client, begun = self._usable_client, loop_time()
        whats = [*map(publishing, publish), *map(subscribing, subscribe), *map(publishing, write)]
        try:
            await client.try_out(publish, subscribe, write, TRY_SECONDS)
        except (errors.Error, OSError) as error:
            raise BusError(str(fault(error))) from error
        finally:
            check_cancelled()
        self.denials.settle(whats, begun)
        return self.denials.first(whats)

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        urls = list(self._settings.urls)
        while True:
            try:
                await self._one_connection(urls[0])
            except ConnectionLost as lost:
                self.reason = f"{urls[0]}: {lost}"
            except AccessDenied as error:
                self.reason = str(error)
                self._refused(error)
            urls.append(urls.pop(0))
            await self._pause()

    @property
    def _usable_client(self) -> NatsClient:
        if self._client is None or not self._client.is_connected:
            raise BusError("the bus is not connected")
        return self._client

    async def _pause(self) -> None:
        wait = min(MIN_WAIT_SECONDS * 2.0 ** min(self._failures, 16), MAX_WAIT_SECONDS)
        self._failures += 1
        self._retry_now.clear()
        try:
            async with asyncio.timeout(wait * (1 + self._chance() / 2)):
                await self._retry_now.wait()
        except TimeoutError:
            return

    async def _one_connection(self, url: str) -> None:
        """Hold one connection until it ends.

        Raises:
            ConnectionLost: it cannot be made, or has ended.
            AccessDenied: the credentials are not accepted.
        """
        settings = self._settings
        client = await open_client(
            url, settings.login, settings.context, name=self._name, inbox=settings.inbox, failed=self._note
        )
        self.denials.clear()
        try:
            for subscription in self._subscriptions:
                await self._subscribe(client, subscription)
            self._begin(client, url)
            async with asyncio.TaskGroup() as tasks:
                sender, retrier = [tasks.create_task(work(client)) for work in (self._send, self._subscribe_again)]
                while client.is_connected and self._failure is None and not sender.done():  # noqa: ASYNC110 - see there
                    await asyncio.sleep(CHECK_SECONDS)
                sender.cancel()
                retrier.cancel()
        except (errors.Error, OSError) as error:
            raise fault(error) from error
        finally:
            self._client = None
            self._outgoing.clear()
            await client.end()
            self._notify_watchers()
        if self._failure is not None:
            raise self._failure
        self._lost_at = loop_time()
        _log.warning("The bus is lost", extra={"fields": {"bus": url, "reason": str(fault(client.last_error))}})
        raise fault(client.last_error)

    def _begin(self, client: NatsClient, url: str) -> None:
        self._client = client
        self._failures, self._is_too_small = 0, False
        now, lost_at, self._lost_at = loop_time(), self._lost_at, None
        lasted = {} if lost_at is None else {"lasted_seconds": round(now - lost_at, 1)}
        _log.info("The bus is connected", extra={"fields": {"bus": url, "version": client.version, **lasted}})
        if is_too_old(client.version):
            fields = {"bus": url, "version": client.version, "remedy": VERSION_REMEDY}
            _log.error("The NATS server is too old", extra={"fields": fields})
        if client.max_payload < MIN_PAYLOAD_BYTES:
            _log.warning("The bus takes only small messages", extra=_limits(client.max_payload))
        self._notify_watchers()

    def _notify_watchers(self) -> None:
        for changed in self._watchers:
            changed()

    async def _subscribe(self, client: NatsClient, subscription: BusSubscription) -> None:
        async def take(message: Msg) -> None:
            if subscription.is_over:
                return
            try:
                subscription.take(_message(message))
            except Exception as error:  # noqa: BLE001 - nats-py would only report it: `run` raises it
                self._failure = error

        if not subscription.is_over:
            handle = await client.subscribe(subscription.subject, cb=take, pending_bytes_limit=MAX_PENDING_BYTES)
            subscription.live = handle

    async def _subscribe_again(self, client: NatsClient) -> None:
        """Try denied subscriptions again, until the connection ends."""
        while True:
            await asyncio.sleep(SUBSCRIBE_AGAIN_SECONDS)
            for subscription in [*self._subscriptions]:
                what = subscribing(subscription.subject)
                if self.denials.first((what,)) is None:
                    continue
                begun = loop_time()
                try:
                    if subscription.live is not None:
                        await subscription.live.unsubscribe()
                    await self._subscribe(client, subscription)
                    await client.answered(TRY_SECONDS)
                except (errors.Error, OSError):
                    return  # the connection has ended, or soon will
                self.denials.settle((what,), begun)

    async def _send(self, client: NatsClient) -> None:
        """Send the queued messages, until one cannot be sent because the connection ends."""
        await self._outgoing.send(client)
        self.dropped += 1

    async def _note(self, error: Exception) -> None:
        """Log the errors that nats-py reports, except that the connection was lost, which is logged elsewhere."""
        if isinstance(error, errors.SlowConsumerError):
            fields = {"subject": error.subject}
            _log.warning("Messages of the bus were dropped, as too many wait", extra={"fields": fields})
        elif isinstance(error, Forbidden):
            what = str(error)
            if self.denials.add(what):
                fields = {"what": what, "remedy": FORBIDDEN_REMEDY}
                _log.error("The bus forbids something", extra={"fields": fields})


def _message(message: Msg) -> BusMessage:
    return BusMessage(message.subject, message.data, message.headers or {}, message.reply)


def _limits(max_payload: int, size: int | None = None) -> dict[str, dict[str, object]]:
    sizes = {} if size is None else {"bytes": size}
    return {"fields": {**sizes, "max_payload": max_payload, "remedy": PAYLOAD_REMEDY}}
