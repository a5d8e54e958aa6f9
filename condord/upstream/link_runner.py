"""The I/O of one link: carries out the actions of `condord.live.link` over one WebSocket at a time.

At most one socket is open at any time: a connection is closed within 3 s, or else aborted, before the link may try the
next one. The reader handles a frame without awaiting. Every wait ends at the link's deadline. Subclasses interpret the
frames; they never touch the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from websockets.exceptions import ConnectionClosed, WebSocketException

from condord.errors import ConfigError
from condord.host.network import Network
from condord.live.link import CLOSE_SECONDS, CONNECTED, SERVING, STEP_SECONDS, Action, Event, Link, LinkFault
from condord.upstream.classify_failure import connection_fault
from condord.upstream.rest_fault import RestFault
from condord.upstream.sockets import PingFlood, Socket, dial

PROBE_PONG_SECONDS = 5.0
MAX_WAITING = 1000
"""How many messages may wait to be sent; Alpaca's answers never require more."""

_log = logging.getLogger(__name__)


class _LinkEnded(Exception):
    """The link has left the connected states, so the tasks of the connection end."""


class LinkRunner(ABC):
    """One link and its socket; `changed` is called whenever the status may have changed."""

    def __init__(
        self, link: Link, *, url: str, headers: Mapping[str, str], network: Network, changed: Callable[[], None]
    ) -> None:
        self.link = link
        self._url = url
        self._headers = headers
        self._network = network
        self._changed = changed
        self._outbox: list[bytes | str] = []
        self._woken = asyncio.Event()
        self._is_probe_due = False
        self._is_probing = False
        self._is_ping_due = False
        self._is_expecting = self._is_doubted = False
        self._dialling: asyncio.Timeout | None = None
        self._logged = link.state

    @abstractmethod
    def begin(self) -> None:
        """Forget the last connection before a new one."""

    @abstractmethod
    def read(self, data: bytes) -> None:
        """Handle one frame (a text frame as its UTF-8 bytes)."""

    @abstractmethod
    def authentication(self) -> bytes | str:
        """The message that logs in."""

    @abstractmethod
    def subscription(self) -> list[bytes | str]:
        """The messages that change the subscription to the wanted one; none if it is already."""

    @abstractmethod
    def opened(self) -> None:
        """Note that the socket is open, for a server that sends no welcome."""

    @abstractmethod
    def gap(self) -> None:
        """Note that a live connection has ended."""

    @abstractmethod
    def snapshot(self) -> None:
        """Read the missed data, now that the connection is live."""

    async def ask_newer(self) -> bool:
        """Whether REST has data that this silent connection should have delivered."""
        return False

    def now(self) -> float:
        """Seconds of the loop's clock."""
        return asyncio.get_running_loop().time()

    def step(self, event: Event, fault: LinkFault | None = None) -> None:
        """Pass an event to the link and carry out its actions."""
        self._carry_out(self.link.handle(event, self.now(), fault))

    def resubscribe(self) -> None:
        """Send the messages of `subscription` if the connection is live."""
        self.step("wanted")

    def reopen(self, url: str) -> None:
        """Connect again, to `url` and with the current `authentication`."""
        self._url = url
        self.step("reloaded")
        if self._dialling is not None and self.link.state == "closing":
            self._dialling.reschedule(self.now())
        self._woken.set()

    def watch(self, *, is_expecting: bool) -> None:
        """Set whether data is expected from now on: the market is open and something is subscribed."""
        before = self.link.deadline
        self._is_expecting = is_expecting
        self.link.watch(is_expecting=is_expecting, now=self.now())
        if self.link.deadline != before:
            self._woken.set()

    def doubt(self) -> None:
        """Take a live connection for stale, as the process was suspended, until data follows the answer to a ping.

        Earlier data has waited in the connection, which may have ended meanwhile.
        """
        if self._is_expecting:
            text = f"{self.link.settings.name}: no data since this process was suspended"
            self.step("silent", LinkFault(code="silent", text=text))
            self._is_doubted = self.link.state == "stale"

    def note_data(self) -> None:
        """Note a data message. This is the fast path of a quote."""
        if not self._is_doubted:
            self.link.data(self.now())

    def retry(self) -> None:
        """Try again now, without waiting for the end of a halt or a backoff.

        If a connection is being closed, try after that.
        """
        self.step("retry")
        self._woken.set()

    async def run(self) -> None:
        """Keep the link up until cancelled."""
        while True:
            if self.link.state == "connecting":
                await self._connect_and_serve()
            else:
                await self._wait_to_retry()

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
            self._woken.set()
            self._changed()
        self._log_state()

    def _log_state(self) -> None:
        """Log the state if it has changed; states between two awaits are not logged."""
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
        if len(self._outbox) > MAX_WAITING:
            text = f"{self.link.settings.name} requires more than {MAX_WAITING} messages at once"
            self.step("fault", LinkFault(code="malformed", text=text))
        elif messages:
            self.link.requested(self.now())
        elif self.link.state not in SERVING:
            self.step("acknowledged")

    async def _wait_to_retry(self) -> None:
        """Wait for the end of a backoff or a halt, or for `_woken`."""
        self._woken.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self.link.deadline):
                await self._woken.wait()
        self._carry_out(self.link.expire(self.now()))

    async def _connect_and_serve(self) -> None:
        self._outbox.clear()
        self._is_ping_due = self._is_probe_due = self._is_probing = self._is_doubted = False
        self.begin()
        socket = None
        try:
            async with asyncio.timeout_at(self.link.deadline) as self._dialling:
                socket = await dial(self._url, self._headers, self._network)
            self._dialling = None
            await self._serve(socket)
        except (OSError, EOFError, WebSocketException, ImportError, ConfigError) as error:
            self.step("fault", connection_fault(error))
        finally:
            self._dialling = None
            if socket is not None:
                await self._close(socket)
        self._carry_out(self.link.closed(self.now()))

    async def _serve(self, socket: Socket) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read_all(socket))
                await self._send_and_probe(socket, tasks)
        except* _LinkEnded:
            pass
        except* ConnectionClosed as closed:
            self.step("fault", connection_fault(PingFlood() if socket.is_flooded else closed.exceptions[0]))
        _pass_on_cancellation()

    async def _read_all(self, socket: Socket) -> None:
        self.opened()
        while True:
            self.read(await socket.recv(decode=False))
            if self._outbox or self.link.state not in CONNECTED:
                self._woken.set()

    async def _send_and_probe(self, socket: Socket, tasks: asyncio.TaskGroup) -> None:
        """Send waiting messages, keep the deadline, and start pings and probes, until the link ends the connection."""
        while True:
            while self._outbox and self.link.state in CONNECTED:
                await self._send(socket, self._outbox.pop(0))
            if self.link.state not in CONNECTED:
                raise _LinkEnded
            if self._is_ping_due:
                self._is_ping_due = False
                tasks.create_task(self._ping(socket))
            if self._is_probe_due and not self._is_probing:
                self._is_probe_due, self._is_probing = False, True
                tasks.create_task(self._probe(socket))
            self._woken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self.link.deadline):
                    await self._woken.wait()
            self._carry_out(self.link.expire(self.now()))

    async def _send(self, socket: Socket, message: bytes | str) -> None:
        """Send, or end the connection if the server reads nothing for `STEP_SECONDS`."""
        try:
            async with asyncio.timeout(STEP_SECONDS):
                await socket.send(message)
        except TimeoutError:
            self.step("fault", LinkFault(code="unreachable", text=f"{self.link.settings.name} reads no messages"))

    async def _ping(self, socket: Socket) -> None:
        """Ping, and wait for the pong without a timeout: the link has a deadline for it."""
        await (await socket.ping())
        self.link.pong(self.now())

    async def _probe(self, socket: Socket) -> None:
        """Find out whether a silent connection is dead, has lost data, or the market is quiet.

        Whether it is quiet is not known if REST does not answer. Data that arrives during the probe ends the silence,
        regardless of REST's answer.
        """
        name = self.link.settings.name
        try:
            async with asyncio.timeout(PROBE_PONG_SECONDS):
                await (await socket.ping())
            self._is_doubted = False
            has_newer = await self.ask_newer()
            if self.link.state != "stale":
                return
            if has_newer:
                self.step("fault", LinkFault(code="silent", text=f"{name} is silent while REST has newer quotes"))
            else:
                text = f"{name} is silent, but REST has no newer quotes: the market may be quiet"
                self._explain_silence(LinkFault(code="silent", text=text))
        except RestFault as fault:
            text = f"{name} is silent, and REST does not answer either: {fault.text}"
            self._explain_silence(LinkFault(code="silent", text=text, remedy=fault.remedy))
        except TimeoutError:
            if self.link.state == "stale":
                text = f"{name} is silent and did not answer a ping within {PROBE_PONG_SECONDS:g} s"
                self.step("fault", LinkFault(code="silent", text=text))
        finally:
            self._is_probing = False

    def _explain_silence(self, fault: LinkFault) -> None:
        self.link.explain_silence(fault)
        self._changed()

    async def _close(self, socket: Socket) -> None:
        """Close within `CLOSE_SECONDS`, or abort. The socket is closed when this returns."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await socket.close()
        except TimeoutError:
            _log.debug("Close timed out, aborted", extra={"fields": {"link": self.link.settings.name}})
        finally:
            socket.transport.abort()


def _pass_on_cancellation() -> None:
    """Raise the cancellation that arrived while a TaskGroup was ending with an error.

    The group raises only its errors, and a caller that handles them would run on after its cancellation (Python 3.11 to
    3.13 at least; `test_cancelling_while_the_connection_ends_is_not_lost` fails without this). The count of
    cancellations is right only if the group's body awaits: otherwise a child's error leaves one behind (Python 3.11).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
