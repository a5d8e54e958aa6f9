"""Decides how a program talks to a running daemon: one request at a time, and a stream that outlives its cuts.

Rules:
    Standard library and msgspec only: a command answers in a fraction of a second.
    An answer is trusted as far as its status and content type go; anything else is `Unavailable` and says what
    answered. The token goes into a header, never into a URL.
    The first connection of a stream fails loudly. After that a cut is waited out: the wait starts at the
    server's `retry`, doubles with each failure up to `LONGEST_WAIT_SECONDS` and is stretched by chance, so that
    a thousand clients do not come back together. What waiting cannot mend (a refused token, another
    program at the address) is raised at once.
    A link is dead when nothing came for three heartbeats, or for 35 s while their interval is unknown.
    Parsing follows the HTML standard, section 9.2.6 (text/event-stream).
"""

from __future__ import annotations

import http.client
import random
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from email.message import Message
from typing import TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from condord.errors import CondordError, NotFound, Refused, Unavailable
from condord.live.wire import Document, Heartbeat, Problem

TIMEOUT_SECONDS = 10.0
PATIENCE_SECONDS = 35.0
SHORTEST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 30.0
MOST_BYTES = 64 * 1024 * 1024  # one answer, or one event; a full account with 10,000 quotes is 2 MB

_LINE_END = re.compile(rb"\r\n|\n|\r")
_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_START_HINT = "Start one with `condord start`, or name the one you mean with --url or $CONDORD_URL."
_OTHER_HINT = "Something else listens there: check --url, $CONDORD_URL and server.port."

T = TypeVar("T")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the stream; `id` is None where the event itself carries none."""

    name: str
    data: str
    id: str | None


class EventParser:
    """Bytes of text/event-stream in, events out, wherever the bytes are split.

    `retry_ms` is the server's wish, None until it was said. Without I/O.
    """

    def __init__(self) -> None:
        self.retry_ms: int | None = None
        self._rest: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._first = True
        self._name = ""
        self._data: list[str] = []
        self._id: str | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes.

        Raises:
            Unavailable: if one event is larger than `MOST_BYTES`.
        """
        if not chunk:
            return []
        if self._after_cr:  # the LF of a CRLF that was split in two
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        self._size += len(chunk)
        *lines, rest = _LINE_END.split(chunk)
        if lines:
            lines[0] = b"".join([*self._rest, lines[0]])
            self._rest.clear()
        self._rest.append(rest)
        events = [event for line in lines if (event := self._line(line)) is not None]
        if self._size > MOST_BYTES:
            raise Unavailable(f"an event of more than {MOST_BYTES} bytes came from the stream", _OTHER_HINT)
        return events

    def _line(self, raw: bytes) -> Event | None:
        if self._first:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
            self._first = False
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

    def _dispatch(self) -> Event | None:
        event = None
        if self._data:
            event = Event(name=self._name or "message", data="\n".join(self._data), id=self._id)
            self._id = None  # an id without data waits for the next event, as a browser holds it
        self._name, self._data, self._size = "", [], 0
        return event


class Resumption:
    """What it takes to go on after a cut: the last id, how long to wait, how long to listen. Without I/O."""

    def __init__(self, last_event_id: str | None = None) -> None:
        self.last_event_id = last_event_id
        self.has_begun = False
        self.retry_seconds = 2.0
        self.patience_seconds = PATIENCE_SECONDS
        self._failures = 0
        self._beat_at: float | None = None

    def saw(self, event: Event) -> None:
        """Take note of an event that arrived."""
        self._failures = 0
        if event.id is not None:
            self.last_event_id = event.id
        if event.name != "heartbeat":
            return
        at = decoded(event.data.encode(), Heartbeat).as_of.timestamp()
        if self._beat_at is not None and at > self._beat_at:
            # The server's own times: a client that was paused reads old heartbeats in one go.
            self.patience_seconds = max(1.0, 3 * (at - self._beat_at))
        self._beat_at = at

    def was_silent(self) -> None:
        """Nothing came for `patience_seconds`: a server with a slower heartbeat gets twice as long."""
        self.patience_seconds = min(2 * self.patience_seconds, 10 * PATIENCE_SECONDS)

    def wait_seconds(self, chance: float, at_least: float = 0.0) -> float:
        """How long to wait before the next attempt; `chance` in [0, 1) adds up to half."""
        shortest = max(self.retry_seconds, SHORTEST_WAIT_SECONDS)
        wait = min(shortest * 2.0 ** min(self._failures, 16), max(LONGEST_WAIT_SECONDS, shortest))
        self._failures += 1
        self._beat_at = None
        self.patience_seconds = max(self.patience_seconds, PATIENCE_SECONDS)  # the daemon may have other settings now
        return max(wait, at_least) * (1 + chance / 2)


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a daemon is: a host and port, or a unix socket's path (`uds`); `base` goes before every route."""

    url: str
    host: str
    port: int
    uds: str
    base: str


def parse_url(url: str) -> Address:
    """The address that `http://host:port` or `unix:///path` names.

    Raises:
        ValueError: with a sentence, if it names none.
    """
    if url.startswith("unix://"):
        path = url.removeprefix("unix://")
        if not path.startswith("/") or "\0" in path:
            raise ValueError(f"{url!r} names no socket: unix:// is followed by an absolute path")
        return Address(url=url, host="localhost", port=0, uds=path, base="")
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("a user name, a query or a fragment has no place in it; the token goes into $CONDORD_TOKEN")
    if parts.scheme != "http" or not parts.hostname or re.search(r"[\x00-\x20\x7f]", url):
        raise ValueError(f"{url!r} is not http://host:port or unix:///path")
    host, port, base = parts.hostname, parts.port or 80, parts.path.rstrip("/")
    return Address(url=url.rstrip("/"), host=host, port=port, uds="", base=base)


def decoded(body: bytes, kind: type[T]) -> T:
    """`body` as a public struct.

    Raises:
        Unavailable: if it is not one.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        hint = f"{_OTHER_HINT} If it is a condord, it is of another version: see `condord --version`."
        raise Unavailable(f"the answer cannot be understood: {error}", hint) from error


class Daemon:
    """A running daemon. Answers are the exact bytes, checked to be JSON; `decoded` makes structs of them.

    `url` is as for `parse_url`, which raises ValueError; `timeout_seconds` bounds the connection and each read of a
    request; between two connections of a stream `sleep` waits, `chance` (a number in [0, 1)) spreads the waits.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.address = parse_url(url)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout_seconds = timeout_seconds
        self._sleep = sleep
        self._chance = chance

    def positions(self) -> bytes:
        """The body of `GET /api/positions`, a `wire.Document`."""
        return self._get("/api/positions")

    def status(self) -> bytes:
        """The body of `GET /api/status`, a `wire.StatusReport`."""
        return self._get("/api/status")

    def condor(self, condor_id: str) -> bytes:
        """The body of `GET /api/positions/{id}`, a `wire.OneCondor`.

        Raises:
            NotFound: if there is no such condor; its hint names the nearest ids.
        """
        try:
            return self._get(f"/api/positions/{quote(condor_id or '-', safe='')}")
        except _Absent as error:
            from difflib import get_close_matches  # 3 ms, and only after a mistake

            held = [condor.id for condor in decoded(self.positions(), Document).condors]
            near = get_close_matches(condor_id.upper(), held, n=3, cutoff=0.5)
            hint = f"The nearest: {', '.join(near)}." if near else "`condord positions` lists what is held."
            raise NotFound(f"no condor {condor_id} is held", hint) from error

    def events(
        self,
        condors: Sequence[str] = (),
        last_event_id: str | None = None,
        *,
        interval_ms: int | None = None,
        on_cut: Callable[[str, float], None] = lambda _reason, _seconds: None,
    ) -> Iterator[Event]:
        """The events of `condors` (none: of all) after `last_event_id`, over as many connections as it takes.

        With `interval_ms` there is at most one delta in so long, if that is slower than the daemon's window. `on_cut`
        is told why a connection ended and how many seconds the next attempt waits.

        Raises:
            CondordError: the first connection fails, or a later one in a way that waiting does not mend.
        """
        query = [("condor", one) for one in condors]
        if interval_ms is not None:
            query.append(("interval", str(interval_ms)))
        path = f"/api/stream?{urlencode(query)}".rstrip("?")
        resumption = Resumption(last_event_id)
        while True:
            reason, at_least = "the daemon ended the stream", 0.0
            try:
                yield from self._connection(path, resumption)
            except _Passing as error:
                if not resumption.has_begun:
                    raise
                reason, at_least = str(error), error.retry_after_seconds
            wait_seconds = resumption.wait_seconds(self._chance(), at_least)
            on_cut(reason, wait_seconds)
            self._sleep(wait_seconds)

    def _connection(self, path: str, resumption: Resumption) -> Iterator[Event]:
        """The events of one connection, until it ends or says bye."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if resumption.last_event_id:
            headers["Last-Event-ID"] = resumption.last_event_id
        with self._ask(path, headers, "text/event-stream") as (response, link):
            resumption.has_begun = True
            parser = EventParser()
            while chunk := self._read_some(response, link, resumption):
                events = parser.feed(chunk)
                if parser.retry_ms is not None:
                    resumption.retry_seconds = parser.retry_ms / 1000
                for event in events:
                    resumption.saw(event)
                    yield event
                    if event.name == "bye":
                        return

    def _read_some(self, response: http.client.HTTPResponse, link: socket.socket, resumption: Resumption) -> bytes:
        link.settimeout(resumption.patience_seconds)
        try:
            return response.read1(65536)
        except TimeoutError as error:
            text = f"nothing came from {self.address.url} for {resumption.patience_seconds:g} s"
            resumption.was_silent()
            raise _Passing(text, _START_HINT) from error

    def _get(self, path: str) -> bytes:
        with self._ask(path, {}, "application/json") as (response, _):
            body = response.read(MOST_BYTES + 1)
            if response.length or len(body) > MOST_BYTES:
                raise Unavailable(f"the answer of {self.address.url} ended early or is endless", _OTHER_HINT)
        decoded(body, dict[str, msgspec.Raw])
        return body

    @contextmanager
    def _ask(
        self, path: str, headers: Mapping[str, str], wanted: str
    ) -> Iterator[tuple[http.client.HTTPResponse, socket.socket]]:
        """A 200 of the `wanted` content type, its body unread, and the socket that it comes from."""
        with closing(_Connection(self.address, self._timeout_seconds)) as connection:
            try:
                connection.connect()
                link: socket.socket = connection.sock  # the connection forgets it if there is no second answer
                connection.request("GET", self.address.base + path, headers={**self._headers, **headers})
                with connection.getresponse() as response:
                    if response.status != http.client.OK:
                        raise self._refusal(response.status, response.headers, response.read(4096))
                    kind = response.headers.get_content_type()
                    if kind != wanted:
                        raise Unavailable(f"{self.address.url} answered with {kind}, unlike condord", _OTHER_HINT)
                    yield response, link
            except (OSError, http.client.HTTPException) as error:
                raise self._broken(error) from error

    def _broken(self, error: Exception) -> Unavailable:
        """What it means that no answer came."""
        url = self.address.url
        if isinstance(error, http.client.HTTPException) and not isinstance(error, http.client.RemoteDisconnected):
            return _Passing(f"{url} answered, but not with HTTP that ends well", _OTHER_HINT)
        if isinstance(error, TimeoutError):
            hint = "It runs but is stuck, or a firewall is between: try again, then look at its log."
            return _Passing(f"{url} did not answer within {self._timeout_seconds:g} s", hint)
        if isinstance(error, PermissionError):
            return _Passing(f"{url} may not be opened by this user", "Join the group that owns the socket.")
        reason = getattr(error, "strerror", None) or "the connection was closed"
        return _Passing(f"no daemon at {url}: {reason}", _START_HINT)

    def _refusal(self, status: int, headers: Message, body: bytes) -> CondordError:
        """What it means that the answer is no."""
        url, said = self.address.url, _detail(body)
        if status in {401, 403}:
            text = f"{url} does not accept the token" if self._headers else f"{url} wants a token"
            return Refused(text, "Set $CONDORD_TOKEN, or server.token_file to the file that the daemon reads.")
        text = f"{url} answered {status}{said}"
        if status == http.client.MISDIRECTED_REQUEST:
            return Unavailable(text, "Use the address that `condord start` printed, or see server.allowed_hosts.")
        if status in _PASSING_STATUSES:
            after = headers.get("Retry-After", "")
            seconds = float(after) if re.fullmatch("[0-9]{1,3}", after) else 0.0
            hint = "Try again later; with too many streams: close some, or raise server.max_subscribers."
            return _Passing(text, hint, seconds)
        return (_Absent if status == http.client.NOT_FOUND else Unavailable)(text, _OTHER_HINT)


class _Passing(Unavailable):
    """A failure that may mend itself, not before `retry_after_seconds`."""

    def __init__(self, text: str, hint: str, retry_after_seconds: float = 0.0) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(text, hint)


class _Absent(Unavailable):
    """404: no such condor, or no condord at all."""


class _Connection(http.client.HTTPConnection):
    """HTTP over TCP, or over a unix socket; there the Host is localhost, which every daemon serves."""

    def __init__(self, address: Address, timeout_seconds: float) -> None:
        super().__init__(address.host, address.port or None, timeout=timeout_seconds)
        self._uds = address.uds

    def connect(self) -> None:
        if not self._uds:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._uds)


def _detail(body: bytes) -> str:
    """What a problem document says, as the end of a sentence."""
    try:
        return f": {msgspec.json.decode(body, type=Problem).detail}"
    except msgspec.DecodeError:
        return ""
