"""A parser for event streams (text/event-stream), as defined in the HTML standard, section 9.2.6."""

from __future__ import annotations

import re

import msgspec

from condord.errors import Unavailable

MAX_EVENT_BYTES = 64 * 1024 * 1024  # the snapshot of a full account with 10,000 quotes has 2 MB

_LINE_END = re.compile(rb"\r\n|\n|\r")


class ServerSentEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the stream; `id` is None if the event itself carries none."""

    name: str
    data: str
    id: str | None


class EventParser:
    """Turns bytes into events.

    The bytes may be split anywhere. It does no I/O. `retry_ms` is the reconnection time that the server has asked for,
    or None.
    """

    def __init__(self) -> None:
        self.retry_ms: int | None = None
        self._rest: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._is_first_line = True
        self._name = ""
        self._data: list[str] = []
        self._id: str | None = None

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Return the events that `chunk` completes.

        Raises:
            Unavailable: one event is larger than `MAX_EVENT_BYTES`.
        """
        if not chunk:
            return []
        if self._after_cr:  # the LF of a CRLF that was split between two chunks
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        self._size += len(chunk)
        *lines, rest = _LINE_END.split(chunk)
        if lines:
            lines[0] = b"".join([*self._rest, lines[0]])
            self._rest.clear()
        self._rest.append(rest)
        events = [event for line in lines if (event := self._line(line)) is not None]
        if self._size > MAX_EVENT_BYTES:
            hint = "No condord sends events of this size: check --url and $CONDORD_URL."
            raise Unavailable(f"the stream sent an event of more than {MAX_EVENT_BYTES} bytes", hint)
        return events

    def _line(self, raw: bytes) -> ServerSentEvent | None:
        if self._is_first_line:
            raw = raw.removeprefix(b"\xef\xbb\xbf")  # the standard allows one byte order mark
            self._is_first_line = False
        if not raw:
            return self._dispatch()
        name, _, value = raw.decode(errors="replace").partition(":")
        self._field(name, value.removeprefix(" "))
        return None

    def _field(self, name: str, value: str) -> None:
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_ms = int(value[:9])

    def _dispatch(self) -> ServerSentEvent | None:
        event = None
        if self._data:
            event = ServerSentEvent(name=self._name or "message", data="\n".join(self._data), id=self._id)
            self._id = None  # an id without data belongs to the next event, as in a browser
        self._name, self._data, self._size = "", [], 0
        return event
