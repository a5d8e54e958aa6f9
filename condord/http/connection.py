"""One connection of our own server: uvicorn's within bounds; a stream can take it over to write to its socket itself.

Rules: the request is read and answered by uvicorn up to the head of the answer; from there on a stream writes chunks
to the transport, and lets uvicorn end the body. A route finds the connection in its scope, under `EXTENSION`; where
another server runs the application there is none, and a stream goes the standard way. A client that closes its sending
side is gone, as uvicorn has it: it looks the same as one that has left, and would keep a place that another needs.

At each moment a connection is in one phase or none, and has one timer for it or none; a stream has none:

    head     the request's first byte, or the connection, has come, and its head has not ended    408
    body     the head has ended and the body has not                                              408, or the end
    idle     a request is answered and none has begun                                             the end
    last     as head or idle, while the server stops                                              503, or the end
    unsent   an answer waits for a client that takes nothing of it                                a reset
    leaving  the client is refused, and may read why                                              a reset
    None     a request is being answered, or a stream has the connection and watches itself
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from condord.http.door import Door
from condord.http.headers import protected
from condord.http.inbound import Inbound
from condord.http.limits import Limits
from condord.http.problem import problem

EXTENSION = "condord.connection"
RETRY_AFTER_SECONDS = 10

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Phase = Literal["head", "body", "idle", "last", "unsent", "leaving"]


class Outlet(Protocol):
    """What has taken a connection over."""

    def blocked(self) -> None:
        """The socket takes no more for now."""

    def drained(self) -> None:
        """The socket has taken everything."""

    def lost(self) -> None:
        """The connection is gone."""


class Connection(H11Protocol):
    """`outlet` is told what becomes of the transport while it has it; `door` is common to all connections.

    `note_refusal` gets the status of each answer that is given instead of the application's.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - uvicorn's own
        limits: Limits,
        door: Door,
        note_refusal: Callable[[int], None],
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        self.outlet: Outlet | None = None
        self.conn = self._inbound = Inbound(limits)
        self._limits = limits
        self._door = door
        self._note_refusal = note_refusal
        self._phase: Phase | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unsent_bytes = 0
        self._is_stopping = False
        self._is_leaving = False
        self._is_lost = False
        self.app = functools.partial(_introduce, self.app, self)

    @property
    def is_blocked(self) -> bool:
        """Whether something written waits for the socket."""
        return self.flow.write_paused

    def take_over(self, outlet: Outlet) -> None:
        """Tell `outlet` what is so and what comes: it is blocked as soon as anything waits that was written."""
        was_blocked = self.is_blocked
        self.outlet = outlet
        self._step()
        self.transport.set_write_buffer_limits(high=0)
        if was_blocked:
            outlet.blocked()
        if self._is_lost or self._is_leaving:
            outlet.lost()

    @property
    def put(self) -> Callable[[bytes], int]:
        """Writes to the socket, past the transport while that has nothing to write, and returns how much was taken."""
        return functools.partial(os.write, self.transport.get_extra_info("socket").fileno())

    def hand_back(self) -> None:
        """Let uvicorn go on."""
        self.outlet = None
        self.transport.set_write_buffer_limits()
        self._step()

    def evict(self) -> None:
        """Reset the connection: the end of an orderly close would wait behind what the other side does not read."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def refuse(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        """Answer instead of the application, as far as there is still something to answer, and part."""
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
            body = b"" if self._inbound.has_asked_head else bytes(answer.body)
            for event in (
                h11.Response(status_code=status, headers=head, reason=STATUS_PHRASES[status]),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self._part()

    def give_way(self) -> None:
        """Leave for another."""
        if self._phase == "idle":
            self.timeout_keep_alive_handler()
            self._door.gone(self)
        else:
            self._refuse_for_now()

    def drop(self) -> None:
        """Go at once."""
        self._door.gone(self)
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Come in if there is room."""
        super().connection_made(transport)
        transport.max_size = self._limits.read_bytes  # type: ignore[attr-defined]  # asyncio's own, not documented
        if self._door.enter(self):
            self._step()
        else:
            self._refuse_for_now()

    def shutdown(self) -> None:
        """End, as the server stops: a request that may be on its way and an answer are waited for a moment."""
        self._is_stopping = True
        if self._phase == "body":
            self._refuse_and_close()
            return
        if self._phase not in ("head", "idle"):
            self._make_last()
            super().shutdown()
        self._leave_phase()  # whose time is another from now on
        self._step()

    def data_received(self, data: bytes) -> None:
        """Read requests; what comes from a client that is refused is thrown away."""
        if self._is_leaving:
            return
        super().data_received(data)
        if self._is_stopping:
            self._make_last()
        self._step()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's sentence; ours says more
        """Refuse what cannot be read: uvicorn calls it, for everything that h11 raises."""
        fault = self._inbound.fault
        assert fault is not None  # noqa: S101 - set whenever it raises
        self.refuse(fault.status, fault.detail)

    def on_response_complete(self) -> None:
        """Go on with what is pipelined, or wait for a request."""
        super().on_response_complete()
        self._unset_keepalive_if_required()  # ours is the one timer
        self._step()

    def pause_writing(self) -> None:
        """The transport holds something back."""
        super().pause_writing()
        if self.outlet is not None:
            self.outlet.blocked()
        else:
            self._step()

    def resume_writing(self) -> None:
        """The transport holds nothing back."""
        super().resume_writing()
        if self.outlet is not None:
            self.outlet.drained()
        else:
            self._step()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        super().connection_lost(exc)
        self._is_lost = True
        self._door.gone(self)
        self._step()
        self.app = self.config.loaded_app  # the one that introduces it is a cycle: memory would wait for the collector
        if self.outlet is not None:
            self.outlet.lost()

    def _refuse_for_now(self) -> None:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        self.refuse(503, "there are as many connections as there may be; try again", headers)

    def _make_last(self) -> None:
        """Let an answer that has not begun say that it is the last, by the header where uvicorn looks for that."""
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False
            self.cycle.scope["headers"] = [*self.cycle.scope["headers"], (b"connection", b"close")]

    def _refuse_and_close(self) -> None:
        self.refuse(503, "the daemon is stopping", {"Retry-After": str(RETRY_AFTER_SECONDS)})
        self.transport.close()

    def _part(self) -> None:
        """Let the client read what it was told: an end at once resets the connection if anything of it is unread."""
        self._is_leaving = True
        self._door.leave(self)
        self.flow.resume_reading()
        self.transport.write_eof()
        self._step()

    def _step(self) -> None:
        """Enter the phase that it is in by now, if that is another."""
        phase = self._look()
        if phase == self._phase:
            return
        self._leave_phase()
        self._phase = phase
        if phase is not None:
            self._unsent_bytes = self.transport.get_write_buffer_size()
            self._timer = self.loop.call_later(self._seconds(phase), self._end, phase)
        self._door.note(self, is_waiting=phase in ("head", "body", "idle"))

    def _leave_phase(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._phase = self._timer = None

    def _look(self) -> Phase | None:
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
                has_begun = self.cycle is None or self._inbound.waiting_bytes > 0
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

    def _end(self, phase: Phase) -> None:
        """The time of `phase` is over."""
        self._leave_phase()
        match phase:
            case "head":
                self.refuse(408, f"no request came within {self._limits.head_seconds:g} s")
            case "body":
                self.refuse(408, f"the body did not end within {self._limits.body_seconds:g} s")
            case "last" if self._inbound.waiting_bytes:
                self._refuse_and_close()
            case "last" | "idle":
                self.timeout_keep_alive_handler()
            case "unsent":
                if self._is_stopping or self.transport.get_write_buffer_size() >= self._unsent_bytes:
                    self.evict()
            case "leaving":
                self.drop()
        self._step()


async def _introduce(app: ASGIApp, connection: Connection, scope: Scope, receive: Receive, send: Send) -> None:
    extensions = {**scope.get("extensions", {}), EXTENSION: connection}
    await app({**scope, "extensions": extensions}, receive, send)
