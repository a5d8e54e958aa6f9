"""Read the requests of one connection within `Limits`, and explain why an invalid one is refused.

h11 checks its own bound only while a head is incomplete, so the size of a head that arrives in one piece is checked
here. Bodies are counted and discarded.
"""

from __future__ import annotations

import h11
import msgspec

from condord.http.limits import Limits

# Constant sentences, because h11's messages repeat the request, which may contain a token.
_DETAILS = {
    400: "this is not a valid HTTP/1.1 request",
    413: "the body is too large; no route uses one",
    414: "the address is too long",
    431: "the headers are too long",
    501: "the only supported transfer coding is chunked",
}

# By the text of the exception: h11's own texts, and those raised below.
_CAUSES = {
    "Missing mandatory Host: header": "the request has no Host",
    "Found multiple Host: headers": "the request has more than one Host",
    "bad Content-Length": "the Content-Length is invalid",
    "conflicting Content-Length headers": "the request has more than one Content-Length",
    "two framings": "the request has a Content-Length and a Transfer-Encoding",
    "unknown version": "only HTTP/1.0 and HTTP/1.1 are supported",
}


class RequestFault(msgspec.Struct, frozen=True):
    """Why a request is refused: the status of the answer, and its `detail`."""

    status: int
    detail: str


class RequestReader(h11.Connection):
    """h11's server side. Once `next_event` has raised, `fault` explains why, and no further request can be read."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(h11.SERVER, limits.head_bytes)
        self.fault: RequestFault | None = None
        self.has_asked_head = False
        self._limits = limits
        self._body_bytes = 0

    @property
    def waiting_bytes(self) -> int:
        """How many bytes were received that have not been parsed yet."""
        return len(self.trailing_data[0])

    def start_next_cycle(self) -> None:
        """Prepare for the next request."""
        super().start_next_cycle()
        self.has_asked_head = False

    def next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        """Parse the next event. The data of a body is empty.

        Raises:
            h11.RemoteProtocolError: the request is invalid or exceeds a limit.
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
                status = 413  # the head of a chunk, or a trailer
            elif status == 431 and self.waiting_bytes > self._limits.head_bytes and b"\n" not in self.trailing_data[0]:
                status = 414  # the request line itself does not end
            status = status if status in _DETAILS else 400
            self.fault = RequestFault(status, _CAUSES.get(str(error), _DETAILS[status]))
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
            # A proxy may have believed the other one: request smuggling (RFC 9112, 6.3).
            raise h11.RemoteProtocolError("two framings")
        self._check_body(int(framing.get(b"content-length", b"0")))

    def _check_body(self, size: int) -> None:
        if size > self._limits.body_bytes:
            raise h11.RemoteProtocolError("body too long", error_status_hint=413)
