"""Carries out what a link decides, over one WebSocket at a time.

Rules: at most one socket is open, in every path: a connection is closed, within 3 s or else aborted, before the link
hears of it and so before the next can be tried. The reader handles a frame without awaiting. All waiting ends at the
link's deadline. Subclasses say what frames mean; they never touch the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from condord.live.link import CLOSE_SECONDS, CONNECTED, SERVING, STEP_SECONDS, Action, Event, Fault, Link
from condord.upstream.faults import connection_fault
from condord.upstream.option_protocol import MAX_FRAME_BYTES

PROBE_PONG_SECONDS = 5.0
MOST_WAITING = 1000
"""Messages of ours that may wait to be sent; a server whose answers call for more is no Alpaca."""

_log = logging.getLogger(__name__)


class _Over(Exception):
    """The link has left the connected states: the connection's tasks end."""


class Line(ABC):
    """One link and its socket. `changed` is called when what the status shows may have changed."""

    def __init__(self, link: Link, *, url: str, headers: Mapping[str, str], changed: Callable[[], None]) -> None:
        self.link = link
        self._url = url
        self._headers = headers
        self._changed = changed
        self._outbox: list[bytes | str] = []
        self._poked = asyncio.Event()
        self._is_probe_due = False
        self._is_probing = False
        self._is_ping_due = False
        self._dialling: asyncio.Timeout | None = None
        self._logged = link.state

    @abstractmethod
    def begin(self) -> None:
        """A new connection: forget what belonged to the last one."""

    @abstractmethod
    def read(self, data: bytes) -> None:
        """Handle one frame (a text frame comes as its UTF-8 bytes)."""

    @abstractmethod
    def authentication(self) -> bytes | str:
        """The message that logs in."""

    @abstractmethod
    def subscription(self) -> list[bytes | str]:
        """The messages that bring the subscription to what is wanted; none if it is."""

    @abstractmethod
    def opened(self) -> None:
        """The upgrade is done; only a server that sends no welcome needs this."""

    @abstractmethod
    def gap(self) -> None:
        """The connection was live and is no more."""

    @abstractmethod
    def snapshot(self) -> None:
        """The connection is live: what was missed is to be read."""

    async def ask_newer(self) -> bool:
        """Whether another source has data that this silent connection should have brought."""
        return False

    def now(self) -> float:
        """Seconds of the loop's clock."""
        return asyncio.get_running_loop().time()

    def step(self, event: Event, fault: Fault | None = None) -> None:
        """Tell the link and carry out its answer."""
        self._carry_out(self.link.handle(event, self.now(), fault))

    def resubscribe(self) -> None:
        """Send what `subscription` asks for, if the connection is live."""
        self.step("wished")

    def reopen(self, url: str) -> None:
        """Connect anew, to `url`, with what `authentication` says from now on."""
        self._url = url
        self.step("reloaded")
        if self._dialling is not None and self.link.state == "closing":
            self._dialling.reschedule(self.now())
        self._poked.set()

    def watch(self, *, is_expecting: bool) -> None:
        """Whether silence is suspicious from now on: the market is open and something is subscribed."""
        before = self.link.deadline
        self.link.watch(is_expecting=is_expecting, now=self.now())
        if self.link.deadline != before:
            self._poked.set()

    def retry(self) -> None:
        """Try again now instead of waiting out a halt or a backoff, also one that a close is about to begin."""
        self.step("retry")
        self._poked.set()

    async def run(self) -> None:
        """Keep the link up until cancelled."""
        while True:
            if self.link.state == "connecting":
                await self._connect_and_serve()
            else:
                await self._rest()

    def _carry_out(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if action == "authenticate":
                self._outbox.append(self.authentication())
            elif action == "subscribe":
                self._subscribe()
            elif action == "gap":
                self.gap()
            elif action == "snapshot":
                self.snapshot()
            elif action == "ping":
                self._is_ping_due = True
            elif action == "probe":
                self._is_probe_due = True
        if actions or self.link.state not in CONNECTED:
            self._poked.set()
            self._changed()
        self._log_state()

    def _log_state(self) -> None:
        """Tell of every state that the link is in for a while; one attempt is several."""
        was, self._logged = self._logged, self.link.state
        if was == self._logged:
            return
        fields: dict[str, object] = {"link": self.link.settings.name, "state": self._logged, "was": was}
        if (fault := self.link.fault) is not None:
            fields |= {"code": fault.code, "reason": fault.reason}
        if (tries_at := self.link.tries_at) is not None:
            fields["retry_seconds"] = round(tries_at - self.now(), 1)
        _log.debug("Link changed state", extra={"fields": fields})

    def _subscribe(self) -> None:
        messages = self.subscription()
        self._outbox += messages
        if len(self._outbox) > MOST_WAITING:
            text = f"{self.link.settings.name} keeps us asking"
            self.step("fault", Fault(code="malformed", text=text))
        elif messages:
            self.link.asked(self.now())
        elif self.link.state not in SERVING:
            self.step("acknowledged")

    async def _rest(self) -> None:
        """Wait for the deadline of a backoff or a halt, or for somebody to poke."""
        self._poked.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self.link.deadline):
                await self._poked.wait()
        self._carry_out(self.link.expire(self.now()))

    async def _connect_and_serve(self) -> None:
        self._outbox.clear()
        self._is_ping_due = self._is_probe_due = self._is_probing = False
        self.begin()
        socket = None
        try:
            async with asyncio.timeout_at(self.link.deadline) as self._dialling:
                socket = await connect(
                    self._url,
                    additional_headers=self._headers,
                    compression=None,
                    open_timeout=None,
                    ping_interval=None,
                    close_timeout=CLOSE_SECONDS,
                    max_size=MAX_FRAME_BYTES,
                )
            self._dialling = None
            await self._serve(socket)
        except (OSError, EOFError, WebSocketException, ImportError) as error:
            self.step("fault", connection_fault(error))
        finally:
            self._dialling = None
            if socket is not None:
                await self._close(socket)
        self._carry_out(self.link.closed(self.now()))

    async def _serve(self, socket: ClientConnection) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read_all(socket))
                await self._watch(socket, tasks)
        except* _Over:
            pass
        except* ConnectionClosed as closed:
            self.step("fault", connection_fault(closed.exceptions[0]))
        _pass_on_cancellation()

    async def _read_all(self, socket: ClientConnection) -> None:
        self.opened()
        while True:
            self.read(await socket.recv(decode=False))
            if self._outbox or self.link.state not in CONNECTED:
                self._poked.set()

    async def _watch(self, socket: ClientConnection, tasks: asyncio.TaskGroup) -> None:
        """Send what waits, keep the deadline, start probes; ends the connection when the link says so."""
        while True:
            while self._outbox and self.link.state in CONNECTED:
                await self._send(socket, self._outbox.pop(0))
            if self.link.state not in CONNECTED:
                raise _Over
            if self._is_ping_due:
                self._is_ping_due = False
                tasks.create_task(self._ping(socket))
            if self._is_probe_due and not self._is_probing:
                self._is_probe_due, self._is_probing = False, True
                tasks.create_task(self._probe(socket))
            self._poked.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self.link.deadline):
                    await self._poked.wait()
            self._carry_out(self.link.expire(self.now()))

    async def _send(self, socket: ClientConnection, message: bytes | str) -> None:
        """Send; a server that reads nothing for as long as a step may take is as good as gone."""
        try:
            async with asyncio.timeout(STEP_SECONDS):
                await socket.send(message)
        except TimeoutError:
            self.step("fault", Fault(code="unreachable", text=f"{self.link.settings.name} takes no message of ours"))

    async def _ping(self, socket: ClientConnection) -> None:
        """One ping; its pong may come whenever the link waits for it."""
        await (await socket.ping())
        self.link.pong(self.now())

    async def _probe(self, socket: ClientConnection) -> None:
        """Find out whether a silent connection is dead, has lost our data, or the market is quiet.

        Data that comes meanwhile has ended the silence, whatever the answer is.
        """
        name = self.link.settings.name
        try:
            async with asyncio.timeout(PROBE_PONG_SECONDS):
                await (await socket.ping())
            has_newer = await self.ask_newer()
            if self.link.state != "stale":
                return
            if has_newer:
                self.step("fault", Fault(code="silent", text=f"{name} is silent while REST has newer quotes"))
            else:
                self.link.fault = Fault(code="silent", text=f"{name} is silent, as REST is too: a quiet market")
                self._changed()
        except TimeoutError:
            if self.link.state == "stale":
                text = f"{name} is silent and did not answer a ping within {PROBE_PONG_SECONDS:g} s"
                self.step("fault", Fault(code="silent", text=text))
        finally:
            self._is_probing = False

    async def _close(self, socket: ClientConnection) -> None:
        """Close within the bound, or abort: the socket is gone when this returns."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await socket.close()
        except TimeoutError:
            _log.debug("Close timed out, aborted", extra={"fields": {"link": self.link.settings.name}})
        finally:
            socket.transport.abort()


def _pass_on_cancellation() -> None:
    """Raise the cancellation that came while a TaskGroup was ending with an error.

    The group raises its errors alone, and who handles those would go on for ever (Python 3.11 to 3.13 at least;
    `test_cancelling_while_the_connection_ends_is_not_lost` fails without this). The count tells the truth only if the
    group's body awaits: else a child's error leaves one behind for good (Python 3.11).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
