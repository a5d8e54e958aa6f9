"""Reads the requests of one connection, and says what is wrong with those that may not be served.

Rules: the bounds of `Limits` hold for a request that comes in one piece, too, which h11 alone would take. A body is
counted and thrown away. Where two headers frame it, neither is believed: it may be a smuggled request (RFC 9112, 6.3).
What is said of a fault is a constant sentence: h11's own would repeat what came, and a token may be in it.
"""

from __future__ import annotations

import h11
import msgspec

from condord.http.limits import Limits

_SENTENCES = {
    400: "this is no HTTP/1.1 request",
    413: "no route takes a body, and this one is too large to be passed over",
    414: "the address is too long",
    431: "the headers are too long",
    501: "of transfer codings only chunked is understood",
}

_CAUSES = {
    "Missing mandatory Host: header": "the request has no Host",
    "Found multiple Host: headers": "the request has more than one Host",
    "bad Content-Length": "this is no Content-Length",
    "conflicting Content-Length headers": "the request has more than one Content-Length",
    "two framings": "the request has a Content-Length and a Transfer-Encoding",
    "unknown version": "only HTTP/1.0 and HTTP/1.1 are spoken here",
}


class Fault(msgspec.Struct, frozen=True):
    """Why a request is refused: the status, and a sentence."""

    status: int
    detail: str


class Inbound(h11.Connection):
    """h11's server side. After it raised, `fault` says why; nothing more can be read."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(h11.SERVER, limits.head_bytes)
        self.fault: Fault | None = None
        self.has_asked_head = False
        self._limits = limits
        self._body_bytes = 0

    @property
    def waiting_bytes(self) -> int:
        """How much has come that is not read yet."""
        return len(self.trailing_data[0])

    def start_next_cycle(self) -> None:
        """Be ready for another request, of which nothing is known yet."""
        super().start_next_cycle()
        self.has_asked_head = False

    def next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        """What was read next.

        Raises:
            h11.RemoteProtocolError: it is not HTTP, or beyond a bound.
        """
        was_reading_head = self.their_state is h11.IDLE
        try:
            event = super().next_event()
            if isinstance(event, h11.Request):
                self._check_head(event)
            elif isinstance(event, h11.Data):
                self._body_bytes += len(event.data)
                self._check_body(self._body_bytes)
                event = h11.Data(data=b"")
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            if status == 431 and not was_reading_head:
                status = 413  # a chunk's head or a trailer
            elif status == 431 and self.waiting_bytes > self._limits.head_bytes and b"\n" not in self.trailing_data[0]:
                status = 414  # the request line itself has no end
            status = status if status in _SENTENCES else 400
            self.fault = Fault(status, _CAUSES.get(str(error), _SENTENCES[status]))
            raise
        return event

    def _check_head(self, request: h11.Request) -> None:
        self.has_asked_head = request.method == b"HEAD"
        self._body_bytes = 0
        if len(request.target) > self._limits.target_bytes:
            raise h11.RemoteProtocolError("target too long", error_status_hint=414)
        size = len(request.target) + sum(len(name) + len(value) + len(b": \r\n") for name, value in request.headers)
        if size > self._limits.head_bytes:
            raise h11.RemoteProtocolError("head too long", error_status_hint=431)
        if request.http_version not in (b"1.0", b"1.1"):
            raise h11.RemoteProtocolError("unknown version")
        framing = {name: value for name, value in request.headers if name in (b"content-length", b"transfer-encoding")}
        if len(framing) > 1:
            raise h11.RemoteProtocolError("two framings")
        self._check_body(int(framing.get(b"content-length", b"0")))

    def _check_body(self, size: int) -> None:
        if size > self._limits.body_bytes:
            raise h11.RemoteProtocolError("body too long", error_status_hint=413)
