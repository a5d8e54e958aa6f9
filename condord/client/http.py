"""One request to a running daemon: its address, the connection, and what a failure means.

Only the standard library and msgspec are imported, as a command has 0.25 s to answer.
"""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from email.message import Message
from typing import TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from condord.errors import EXIT_FAILED, AccessDenied, CondordError, NotFound, Unavailable
from condord.live.never_read import why_positions_unread
from condord.live.remedies import split_loss
from condord.live.urgency import held, symbols
from condord.live.wire import Document, Problem, UnreadProblem
from condord.live.wire_alerts import AlertsJson
from condord.live.wire_history import TradesJson

TIMEOUT_SECONDS = 10.0
DELIVERY_SECONDS = 30.0  # the daemon answers within 25 s how a channel took a test message
MAX_BODY_BYTES = 64 * 1024 * 1024  # a full account with 10,000 quotes has 2 MB
NO_DAEMON_HINT = "Start one with `condord start`, or name the one you mean with --url or $CONDORD_URL."

_NOT_CONDORD_HINT = "Something else listens there: check --url, $CONDORD_URL and server.port."
_TEMPORARY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_MAX_LISTED = 5

T = TypeVar("T")


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """The address of a daemon: a host and port, or a unix socket's path (`uds`); `base` goes before every route."""

    url: str
    host: str
    port: int
    uds: str
    base: str
    is_tls: bool = False


def parse_url(url: str, *, allows_tls: bool = False) -> Address:
    """Return the address that `http://host:port`, `unix:///path` or, if it is allowed, `https://host` names.

    Raises:
        ValueError: the URL has another form; the message is a sentence without any secret in it.
    """
    if url.startswith("unix://"):
        path = url.removeprefix("unix://")
        if not path.startswith("/") or "\0" in path:
            raise ValueError(f"{url!r} names no socket: an absolute path must follow unix://")
        return Address(url=url, host="localhost", port=0, uds=path, base="")
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("it may not contain a user name, a query or a fragment; put the token into $CONDORD_TOKEN")
    schemes = ("http", "https") if allows_tls else ("http",)
    if parts.scheme not in schemes or not parts.hostname or re.search(r"[\x00-\x20\x7f]", url):
        forms = "http://host:port, https://host" if allows_tls else "http://host:port"
        raise ValueError(f"{url!r} is not {forms} or unix:///path")
    is_tls = parts.scheme == "https"
    try:
        port = parts.port or (443 if is_tls else 80)
    except ValueError as error:
        raise ValueError(f"{url!r} has no port from 1 to 65535") from error
    host, base = parts.hostname, parts.path.rstrip("/")
    return Address(url=url.rstrip("/"), host=host, port=port, uds="", base=base, is_tls=is_tls)


def decoded(body: bytes, kind: type[T]) -> T:
    """Decode `body` as a struct of the public JSON.

    Raises:
        Unavailable: it cannot be decoded.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        hint = f"{_NOT_CONDORD_HINT} If it is a condord, its version differs: see `condord --version`."
        raise Unavailable(f"the answer cannot be understood: {error}", hint) from error


def require_read(unread: str) -> None:
    """Refuse an answer that would look like "none": `unread` is a sentence of `condord.live.never_read`.

    Raises:
        Unavailable: the sentence is not empty.
    """
    if unread:
        raise Unavailable(unread, "Try again in a few seconds; `condord status` shows what the daemon waits for.")


class TemporarilyUnavailable(Unavailable):
    """A failure that may not occur again.

    The server asks for at least `retry_after_seconds` before the next attempt.
    """

    def __init__(self, text: str, hint: str, retry_after_seconds: float = 0.0) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(text, hint)


class NothingRead(TemporarilyUnavailable):
    """The server follows another one, and has no document yet."""

    def __init__(self, text: str, problem: UnreadProblem, retry_after_seconds: float) -> None:
        self.problem = problem
        found, remedy = split_loss(text, problem.code)
        super().__init__(found, f"It goes on trying; {remedy or 'try again in a moment'}.", retry_after_seconds)


class TooManyRequests(TemporarilyUnavailable):
    """The daemon does this only once in a while."""

    code = "too-many-requests"
    exit_code = EXIT_FAILED


def lost_legs(condor_id: str) -> NotFound:
    """Return the error that a condor which is broken has no body of its own."""
    hint = f"`condord positions {condor_id}` shows what is left of it, and `condord positions --json` has it."
    return NotFound(f"{condor_id} has lost legs, so it is not among the condors", hint)


class _Answered404(Unavailable):
    """The resource does not exist, or the server is not condord: then `detail` is empty."""

    def __init__(self, text: str, hint: str, detail: str) -> None:
        self.detail = detail
        super().__init__(text, hint)


class Daemon:
    """A running daemon, asked with one connection per request.

    Args:
        url: as for `parse_url`, which raises ValueError.
        token: sent as a header, never in a URL; empty for none.
        timeout_seconds: bounds the connection and each read.
    """

    def __init__(self, url: str, token: str = "", *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.address = parse_url(url)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout_seconds = timeout_seconds

    def positions(self) -> bytes:
        """Return the exact body of `GET /api/positions`, a `wire.Document`.

        Raises:
            CondordError: the daemon cannot be reached, refuses the token, or answers with something else.
        """
        return self._json("/api/positions")

    def status(self) -> bytes:
        """Return the exact body of `GET /api/status`, a `wire.StatusReport`; it raises as `positions` does."""
        return self._json("/api/status")

    def condor(self, condor_id: str) -> bytes:
        """Return the exact body of `GET /api/positions/{id}`, a `wire.OneCondor`.

        Raises:
            NotFound: no such condor is held, or it lost legs; the hint names similar ids.
            CondordError: as for `positions`, also while it is not known what is held.
        """
        try:
            return self._json(f"/api/positions/{quote(condor_id or '-', safe='')}")
        except _Answered404 as error:
            document = decoded(self.positions(), Document)
            require_read(why_positions_unread(document))
            if condor_id in [broken.id for broken in document.broken]:
                raise lost_legs(condor_id) from error
            known = list(dict.fromkeys(condor.id for condor in held(document)))
            hint = _similar(condor_id, known) or _listed(known)
            if (symbol := condor_id.upper()) in symbols(document):
                hint = f"`condord positions --show {symbol}` shows the condors on it."
            raise NotFound(f"no condor {_named(condor_id)} is held", hint) from error

    def whole_or_broken(self, condor_id: str) -> bytes | Document:
        """Return the body that `condor` returns, or the document if that has the condor, or a part of it, as broken.

        Raises:
            NotFound: no such condor is held; the hint names similar ids.
            CondordError: as for `condor`.
        """
        document = decoded(self.positions(), Document)
        is_broken = condor_id in [broken.id for broken in document.broken]
        return document if is_broken else self.condor(condor_id)

    def history(self, parameters: Mapping[str, str]) -> bytes:
        """Return the exact body of `GET /api/history` with these parameters, a `wire_history.RecordedJson`.

        Raises:
            NotFound: nothing is recorded, or nothing of this condor; the hint names similar ids.
            CondordError: as for `positions`.
        """
        try:
            return self._json(_with_query("/api/history", parameters))
        except _Answered404 as error:
            if not error.detail:
                raise
            condor_id = parameters.get("condor")
            if condor_id is None or "history.enabled" in error.detail:
                raise NotFound(
                    error.detail, "Set history.enabled = true in the configuration of the daemon."
                ) from error
            closed = decoded(self.trades({}), TradesJson).trades
            hint = _similar(condor_id, dict.fromkeys(trade.id for trade in closed))
            hint = hint or "`condord positions` and `condord trades` list the ids."
            raise NotFound(f"nothing is recorded of a condor {_named(condor_id)}", hint) from error

    def trades(self, parameters: Mapping[str, str]) -> bytes:
        """Return the exact body of `GET /api/trades`, a `wire_history.TradesJson`; it raises as `positions` does."""
        return self._json(_with_query("/api/trades", parameters))

    def alerts(self) -> bytes:
        """Return the exact body of `GET /api/alerts`, a `wire_alerts.AlertsJson`; it raises as `positions` does."""
        return self._json("/api/alerts")

    def acknowledge(self, alert_id: str) -> None:
        """Acknowledge an alert, which ends its repeats.

        Raises:
            NotFound: there is no such alert; the hint names similar ids.
            CondordError: as for `positions`.
        """
        path = f"/api/alerts/{quote(alert_id or '-', safe='')}/acknowledge"
        try:
            with self._answer("POST", path, {}, "", self._timeout_seconds):
                return
        except _Answered404 as error:
            known = [alert.id for alert in decoded(self.alerts(), AlertsJson).alerts]
            hint = _similar(alert_id, known) or "`condord alerts --all` lists the ids."
            raise NotFound(f"there is no alert {_named(alert_id)}", hint) from error

    def test_channel(self, name: str) -> bytes:
        """Send a test message; return the exact body of the answer, a `wire_alerts.ChannelTestJson`.

        Raises:
            NotFound: no such channel is configured; the hint names those that are.
            TooManyRequests: the last test of this channel was a moment ago.
            CondordError: as for `positions`.
        """
        path = f"/api/channels/{quote(name or '-', safe='')}/test"
        try:
            return self._json(path, "POST", max(self._timeout_seconds, DELIVERY_SECONDS))
        except _Answered404 as error:
            known = [channel.name for channel in decoded(self.alerts(), AlertsJson).channels]
            hint = (
                f"These are: {', '.join(known)}." if known else "Add a [[notify]] to the configuration of the daemon."
            )
            raise NotFound(f"no channel {_named(name)} is configured", hint) from error

    def _json(self, path: str, method: str = "GET", timeout_seconds: float | None = None) -> bytes:
        timeout_seconds = timeout_seconds or self._timeout_seconds
        with self._answer(method, path, {}, "application/json", timeout_seconds) as (response, _):
            body = response.read(MAX_BODY_BYTES + 1)
            if response.length or len(body) > MAX_BODY_BYTES:
                raise Unavailable(f"the answer of {self.address.url} ended early or is too long", _NOT_CONDORD_HINT)
        decoded(body, dict[str, msgspec.Raw])
        return body

    @contextmanager
    def get(
        self, path: str, headers: Mapping[str, str], content_type: str
    ) -> Iterator[tuple[http.client.HTTPResponse, socket.socket]]:
        """Open a response with status 200 and the given content type; its body is unread.

        The socket is returned too, because http.client drops its reference if the response is the connection's last.

        Raises:
            TemporarilyUnavailable: it cannot be reached, or answers with a temporary status.
            CondordError: any other failure.
        """
        with self._answer("GET", path, headers, content_type, self._timeout_seconds) as answer:
            yield answer

    @contextmanager
    def _answer(
        self, method: str, path: str, headers: Mapping[str, str], content_type: str, timeout_seconds: float
    ) -> Iterator[tuple[http.client.HTTPResponse, socket.socket]]:
        """Open a response as `get` does; without a content type one with status 204."""
        expected = http.client.OK if content_type else http.client.NO_CONTENT
        with closing(_TcpOrUnixConnection(self.address, timeout_seconds)) as connection:
            try:
                connection.connect()
                opened: socket.socket = connection.sock
                connection.request(method, self.address.base + path, headers={**self._headers, **headers})
                with connection.getresponse() as response:
                    if response.status != expected:
                        raise self._status_error(response.status, response.headers, response.read(4096))
                    received = response.headers.get_content_type()
                    if content_type and received != content_type:
                        text = f"{self.address.url} answered with {received}, unlike condord"
                        raise Unavailable(text, _NOT_CONDORD_HINT)
                    yield response, opened
            except (OSError, http.client.HTTPException) as error:
                raise self._connection_error(error, timeout_seconds) from error

    def _connection_error(self, error: Exception, timeout_seconds: float) -> Unavailable:
        """Return the error to raise when there is no complete answer."""
        url = self.address.url
        if isinstance(error, http.client.HTTPException) and not isinstance(error, http.client.RemoteDisconnected):
            return TemporarilyUnavailable(f"{url} sent invalid or incomplete HTTP", _NOT_CONDORD_HINT)
        if isinstance(error, TimeoutError):
            hint = "The daemon hangs, is suspended (`kill -CONT` continues it), or a firewall drops the connection: "
            hint += "try again, then look at its log."
            return TemporarilyUnavailable(f"{url} did not answer within {timeout_seconds:g} s", hint)
        if isinstance(error, PermissionError):
            return TemporarilyUnavailable(f"this user may not open {url}", "Join the group that owns the socket.")
        reason = getattr(error, "strerror", None) or "the connection was closed"
        return TemporarilyUnavailable(f"no daemon at {url}: {reason}", NO_DAEMON_HINT)

    def _status_error(self, status: int, headers: Message, body: bytes) -> CondordError:
        """Return the error to raise for another status than the expected one."""
        url = self.address.url
        if status in {401, 403}:
            text = f"{url} does not accept the token" if self._headers else f"{url} requires a token"
            return AccessDenied(text, "Set $CONDORD_TOKEN; server.token_file is for the configured address only.")
        detail = _problem_detail(body)
        text = f"{url} answered {status}: {detail}" if detail else f"{url} answered {status}"
        if status == http.client.MISDIRECTED_REQUEST:
            return Unavailable(text, "Use the address that `condord start` printed, or see server.allowed_hosts.")
        if status in _TEMPORARY_STATUSES:
            after = headers.get("Retry-After", "")
            seconds = float(after) if re.fullmatch("[0-9]{1,3}", after) else 0.0
            if status == http.client.TOO_MANY_REQUESTS:
                hint = f"Try again in {seconds:g} s." if seconds else "Try again in a few seconds."
                return TooManyRequests(text, hint, seconds)
            if (unread := _unread(body)) is not None:
                return NothingRead(text, unread, seconds)
            hint = "Try again later."
            if "subscribers" in detail:
                hint += " Close some streams, or raise server.max_subscribers."
            return TemporarilyUnavailable(text, hint, seconds)
        if status == http.client.NOT_FOUND:
            return _Answered404(text, _NOT_CONDORD_HINT, detail)
        return Unavailable(text, _NOT_CONDORD_HINT)


class _TcpOrUnixConnection(http.client.HTTPConnection):
    """HTTP over TCP or a unix socket; over the latter `Host` is localhost, which every daemon accepts."""

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


def _with_query(path: str, parameters: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(parameters)}" if parameters else path


def _problem_detail(body: bytes) -> str:
    """Return the detail of a problem document; empty for any other body."""
    try:
        return msgspec.json.decode(body, type=Problem).detail
    except msgspec.DecodeError:
        return ""


def _unread(body: bytes) -> UnreadProblem | None:
    """Return what a server answers before it has a document; None for any other body."""
    try:
        return msgspec.json.decode(body, type=UnreadProblem)
    except msgspec.DecodeError:
        return None


def _named(name: str) -> str:
    return name or "''"


def _listed(known: Sequence[str]) -> str:
    more = f", and {len(known) - _MAX_LISTED} more" if len(known) > _MAX_LISTED else ""
    return f"Held: {', '.join(known[:_MAX_LISTED])}{more}." if known else "No condor is held."


def _similar(unknown_id: str, known: Iterable[str]) -> str:
    """Return a sentence with the known ids that are spelled like this one; empty if there are none."""
    from difflib import get_close_matches  # 3 ms, only needed after a mistake

    by_capitals = {each.upper(): each for each in known}
    similar = [by_capitals[each] for each in get_close_matches(unknown_id.upper(), list(by_capitals), n=3, cutoff=0.5)]
    return f"Similar ids: {', '.join(similar)}." if similar else ""
