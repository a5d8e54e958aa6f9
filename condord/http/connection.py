"""One HTTP connection: uvicorn's protocol with bounds. A stream can take it over and write to the socket itself.

uvicorn reads the request and answers it up to the head of the response. From there a stream writes to the socket, and
lets uvicorn end the body. A route finds the connection in its scope, under `EXTENSION`. On another server there is none
and the stream goes through ASGI. A client that closes its sending side counts as gone, as in uvicorn.

A request is admitted when the application has decided to answer it. An error without admission is the last answer of
its connection. Otherwise refused clients could hold all connections by asking again.

The other side may reset the connection at any moment. asyncio reports that where it writes. Calls on the socket itself
(`shutdown`, `setsockopt`) raise OSError, which is caught here.

A connection is in one of these phases, each with one timer, or in none. The last column is what the timer does:

    head     the head of a request is awaited, and the connection or its first byte has come    408
    body     the head has ended and the body has not                                            408, or close
    idle     a request is answered and none has begun                                           close
    last     like head or idle, while the server stops                                          503, or close
    unsent   the client takes nothing of an answer                                              reset
    leaving  the client is refused, and may read why                                            reset
    None     a request is being answered, or a stream has the connection and watches it itself
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, cast

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from condord.http.admission import AdmissionControl, Standing
from condord.http.headers import protected
from condord.http.limits import Limits
from condord.http.problem import problem
from condord.http.request_reader import RequestReader

EXTENSION = "condord.connection"
RETRY_AFTER_SECONDS = 10
_FIRST_ERROR = 400

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Phase = Literal["head", "body", "idle", "last", "unsent", "leaving"]


class Outlet(Protocol):
    """Takes over a connection, and is then called back about its transport."""

    def blocked(self) -> None:
        """Bytes wait in the transport, because the socket cannot accept more now."""

    def drained(self) -> None:
        """The socket has accepted everything."""

    def lost(self) -> None:
        """The connection is closed."""


class HttpConnection(H11Protocol):
    """A connection of our server.

    `outlet` is the stream that writes to the connection, if there is one. `admission` is shared by all connections,
    and admits them. `note_refusal` gets the status of each answer given instead of the application's.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - as uvicorn's
        limits: Limits,
        admission: AdmissionControl,
        note_refusal: Callable[[int], None],
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        self.outlet: Outlet | None = None
        self.conn = self._reader = RequestReader(limits)
        self._limits = limits
        self._admission = admission
        self._note_refusal = note_refusal
        self._phase: Phase | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unsent_bytes = 0
        self._is_admitted = False
        self._was_admitted = False
        self._is_stopping = False
        self._is_leaving = False
        self._is_lost = False
        self.app = functools.partial(_introduce, self.app, self)

    @property
    def is_admitted(self) -> bool:
        """Whether the application has admitted the request that is being answered."""
        return self._is_admitted

    @property
    def is_blocked(self) -> bool:
        """Whether written bytes wait for the socket."""
        return self.flow.write_paused

    def take_over(self, outlet: Outlet) -> None:
        """Give the connection to `outlet` and report its state; from here on any unsent byte means blocked."""
        was_blocked = self.is_blocked
        self.outlet = outlet
        self._step()
        self.transport.set_write_buffer_limits(high=0)
        if was_blocked:
            outlet.blocked()
        if self._is_lost or self._is_leaving:
            outlet.lost()

    def admit(self) -> None:
        """Admit the request that is being answered: the connection is not closed for another until that is done."""
        self._is_admitted = self._was_admitted = True
        self._step()

    @property
    def put(self) -> Callable[[bytes], int]:
        """Writes to the socket and returns how many bytes it took; only for when the transport has nothing to write."""
        return functools.partial(os.write, self.transport.get_extra_info("socket").fileno())

    def hand_back(self) -> None:
        """Give the connection back to uvicorn."""
        self.outlet = None
        self.transport.set_write_buffer_limits()
        self._step()

    def evict(self) -> None:
        """Reset the connection: an orderly close would wait behind the bytes that the client does not read."""
        with contextlib.suppress(OSError):  # it is reset already
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def refuse(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        """Answer instead of the application if it has not begun to, and close once the client could read it."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.waiting_for_100_continue = False
            self.cycle.message_event.set()
        if self.outlet is not None or self.conn.our_state is h11.SEND_BODY:
            self.drop()
            return
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._note_refusal(status)
            answer = problem(status, detail, {"Connection": "close", **(headers or {})})
            head = [*self.server_state.default_headers, *protected(answer.raw_headers)]
            body = b"" if self._reader.has_asked_head else bytes(answer.body)
            for event in (
                h11.Response(status_code=status, headers=head, reason=STATUS_PHRASES[status]),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self._leave()

    def give_way(self) -> None:
        """Close, so that another connection can have the slot."""
        if self.transport.get_write_buffer_size():
            self.evict()
            self._admission.gone(self)
        elif self._phase == "idle":
            self.timeout_keep_alive_handler()
            self._admission.gone(self)
        else:
            self._refuse_for_now()

    def drop(self) -> None:
        """Close at once."""
        self._admission.gone(self)
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Enter if there is room, else refuse with 503."""
        try:
            super().connection_made(transport)
        except OSError:  # uvicorn asks the socket for its addresses: the client has reset it
            self._is_lost = True
            transport.abort()
            return
        transport.max_size = self._limits.read_bytes  # type: ignore[attr-defined]  # asyncio's own, not documented
        if self._admission.enter(self):
            self._step()
        else:
            self._refuse_for_now()

    def shutdown(self) -> None:
        """Close as the server stops; a request on its way and an unfinished answer get a moment."""
        self._is_stopping = True
        if self._phase == "body":
            self._refuse_and_close()
            return
        if self._phase not in ("head", "idle"):
            self._make_last()
            super().shutdown()
        self._leave_phase()  # its time limit is shorter from here on
        self._step()

    def data_received(self, data: bytes) -> None:
        """Read requests; discard what a refused client sends."""
        if self._is_leaving:
            return
        super().data_received(data)
        if self._is_stopping:
            self._make_last()
        self._step()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - our sentence is more precise
        """Refuse a request that cannot be parsed; uvicorn calls this for every error of h11."""
        fault = self._reader.fault
        assert fault is not None  # noqa: S101 - set whenever it raises
        self.refuse(fault.status, fault.detail)

    def on_response_complete(self) -> None:
        """Answer a pipelined request, or wait for the next."""
        self._is_admitted = False
        super().on_response_complete()
        self._unset_keepalive_if_required()  # the phase has the only timer
        self._step()

    def pause_writing(self) -> None:
        """Bytes wait in the transport."""
        super().pause_writing()
        if self.outlet is not None:
            self.outlet.blocked()
        else:
            self._step()

    def resume_writing(self) -> None:
        """The transport has written everything."""
        super().resume_writing()
        if self.outlet is not None:
            self.outlet.drained()
        elif self._is_leaving:
            self._shut_down_writing()
        else:
            self._step()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is closed."""
        super().connection_lost(exc)
        self._is_lost = True
        self._admission.gone(self)
        self._step()
        self.app = self.config.loaded_app  # `_introduce` refers to self: a cycle, freed only by the collector
        if self.outlet is not None:
            self.outlet.lost()

    def _refuse_for_now(self) -> None:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        self.refuse(503, "every connection is in use; try again later", headers)

    def _make_last(self) -> None:
        """Have an answer that has not begun close the connection; uvicorn looks for that in the request's headers."""
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False
            self.cycle.scope["headers"] = [*self.cycle.scope["headers"], (b"connection", b"close")]

    def _refuse_and_close(self) -> None:
        self.refuse(503, "the daemon is stopping", {"Retry-After": str(RETRY_AFTER_SECONDS)})
        self.transport.close()

    def _leave(self) -> None:
        """Let the client read the refusal: closing at once would reset the connection while it has unread bytes."""
        self._is_leaving = True
        self._admission.leave(self)
        self.flow.resume_reading()
        self.transport.set_write_buffer_limits(high=0)
        self._shut_down_writing()
        self._step()

    def _shut_down_writing(self) -> None:
        """Send the FIN once everything is written. `write_eof` would raise if the client has reset the socket."""
        if self.transport.get_write_buffer_size() or self.transport.is_closing():
            return
        try:
            self.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
        except OSError:
            self.transport.abort()

    def refusal(self, start: Message) -> Message:
        """Return the head of an answer that is the last because its request was not admitted."""
        self.cycle.transport = cast("asyncio.Transport", _RefusalTransport(self))
        headers = [(name, value) for name, value in start.get("headers", ()) if name.lower() != b"connection"]
        return {**start, "headers": [*headers, CLOSE_HEADER]}

    def close_after_refusal(self) -> None:
        """Close now that the refusal is written."""
        if not self._is_leaving:
            self._leave()

    def _step(self) -> None:
        """Enter the current phase, restarting the timer if it is a new one, and report the standing for admission."""
        phase = self._current_phase()
        if phase != self._phase:
            self._leave_phase()
            self._phase = phase
            if phase is not None:
                self._unsent_bytes = self.transport.get_write_buffer_size()
                self._timer = self.loop.call_later(self._seconds(phase), self._time_out, phase)
        self._admission.note(self, self._standing(phase))

    def _standing(self, phase: Phase | None) -> Standing:
        if phase is None and (self.outlet is not None or self._is_admitted):
            return "busy"
        return "waiting" if self._was_admitted else "unadmitted"

    def _leave_phase(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._phase = self._timer = None

    def _current_phase(self) -> Phase | None:
        theirs = self.conn.their_state
        if self._is_lost:
            return None
        if self._is_leaving:
            return "leaving"
        if not self.transport.is_closing():
            if theirs is h11.SEND_BODY:
                return "body"
            if theirs is h11.IDLE and self._is_stopping:
                return "last"
            if theirs is h11.IDLE:
                has_begun = self.cycle is None or self._reader.waiting_bytes > 0
                return "head" if has_begun else "idle"
        is_unsent = self.outlet is None and self.transport.get_write_buffer_size() > 0
        return "unsent" if is_unsent else None

    def _seconds(self, phase: Phase) -> float:
        match phase:
            case "head":
                return self._limits.head_seconds
            case "body":
                return self._limits.body_seconds
            case "idle":
                return self._limits.idle_seconds
            case "last":
                return self._limits.last_seconds
            case "unsent":
                return self._limits.leave_seconds if self._is_stopping else self._limits.unsent_seconds
            case "leaving":
                return self._limits.leave_seconds

    def _time_out(self, phase: Phase) -> None:
        """Act on the timeout of `phase`."""
        self._leave_phase()
        match phase:
            case "head":
                self.refuse(408, f"no request arrived within {self._limits.head_seconds:g} s")
            case "body":
                self.refuse(408, f"the body did not end within {self._limits.body_seconds:g} s")
            case "last" if self._reader.waiting_bytes:
                self._refuse_and_close()
            case "last" | "idle":
                self.timeout_keep_alive_handler()
            case "unsent":
                if self._is_stopping or self.transport.get_write_buffer_size() >= self._unsent_bytes:
                    self.evict()
            case "leaving":
                self.drop()
        self._step()


class _RefusalTransport:
    """A transport for uvicorn to write a refusal to. Its `close` closes only once the client could read it."""

    __slots__ = ("_connection",)

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        self._connection.transport.write(data)

    def is_closing(self) -> bool:
        return self._connection.transport.is_closing()

    def close(self) -> None:
        self._connection.close_after_refusal()


async def _introduce(app: ASGIApp, connection: HttpConnection, scope: Scope, receive: Receive, send: Send) -> None:
    extensions = {**scope.get("extensions", {}), EXTENSION: connection}
    await app({**scope, "extensions": extensions}, receive, functools.partial(_answer, connection, send))


async def _answer(connection: HttpConnection, send: Send, message: Message) -> None:
    if message["type"] == "http.response.start" and message["status"] >= _FIRST_ERROR and not connection.is_admitted:
        message = connection.refusal(message)
    await send(message)
