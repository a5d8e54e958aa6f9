"""Make requests to a running daemon.

Only the standard library and msgspec are imported, as a command has 0.25 s to answer.
"""

from __future__ import annotations

import http.client
import select
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from condord.client.address import Address, parse_url
from condord.client.failures import NOT_CONDORD_HINT, Answered404, Suspended, connection_error, status_error
from condord.errors import NotFound, Unavailable
from condord.live.never_read import why_positions_unread
from condord.live.urgency import held, symbols
from condord.live.wire import Document
from condord.live.wire_alerts import AlertsJson
from condord.live.wire_history import TradesJson

TIMEOUT_SECONDS = 10.0
STOPPED_SECONDS = 1.0
"""After so long without an answer, the process is looked at: it may be stopped."""
DELIVERY_SECONDS = 30.0  # the daemon answers within 25 s how a channel took a test message
MAX_BODY_BYTES = 64 * 1024 * 1024  # a full account with 10,000 quotes has 2 MB

_MAX_LISTED = 5

T = TypeVar("T")


def decoded(body: bytes, kind: type[T]) -> T:
    """Decode `body` as a struct of the public JSON.

    Raises:
        Unavailable: it cannot be decoded.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        hint = f"{NOT_CONDORD_HINT} If it is a condord, its version differs: see `condord --version`."
        raise Unavailable(f"the answer cannot be understood: {error}", hint) from error


def require_read(unread: str) -> None:
    """Refuse an answer that would look like "none": `unread` is a sentence of `condord.live.never_read`.

    Raises:
        Unavailable: the sentence is not empty.
    """
    if unread:
        raise Unavailable(unread, "Try again in a few seconds; `condord status` shows what the daemon waits for.")


def broken_condor_error(condor_id: str) -> NotFound:
    """Return the error for a broken condor, which has no body of its own."""
    hint = f"`condord positions {condor_id}` shows what is left of it, and `condord positions --json` has it."
    return NotFound(f"{condor_id} has lost legs, so it is not among the condors", hint)


class Daemon:
    """A running daemon, asked with one connection per request.

    Args:
        url: as for `parse_url`, which raises ValueError.
        token: sent as a header, never in a URL; empty for none.
        timeout_seconds: bounds the connection and each read.
        stopped_peer: returns the pid of the process at the other end of a connection if it is stopped, else None.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        stopped_peer: Callable[[socket.socket], int | None] = lambda _: None,
    ) -> None:
        self.address = parse_url(url)
        self._stopped_peer = stopped_peer
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
        except Answered404 as error:
            document = decoded(self.positions(), Document)
            require_read(why_positions_unread(document))
            if condor_id in [broken.id for broken in document.broken]:
                raise broken_condor_error(condor_id) from error
            known = list(dict.fromkeys(condor.id for condor in held(document)))
            hint = _similar(condor_id, known) or _listed(known)
            if (symbol := condor_id.upper()) in symbols(document):
                hint = f"`condord positions --show {symbol}` shows the condors on it."
            raise NotFound(f"no condor {_named(condor_id)} is held", hint) from error

    def whole_or_broken(self, condor_id: str) -> Document:
        """Return the document that has the condor, whole or broken.

        Raises:
            NotFound: no such condor is held; the hint names similar ids.
            CondordError: as for `condor`.
        """
        document = decoded(self.positions(), Document)
        if condor_id in [condor.id for condor in held(document)]:
            return document
        self.condor(condor_id)  # it raises, unless the condor appeared a moment ago
        return decoded(self.positions(), Document)

    def history(self, parameters: Mapping[str, str]) -> bytes:
        """Return the exact body of `GET /api/history` with these parameters, a `wire_history.RecordedJson`.

        Raises:
            NotFound: nothing is recorded, or nothing of this condor; the hint names similar ids.
            CondordError: as for `positions`.
        """
        try:
            return self._json(_with_query("/api/history", parameters))
        except Answered404 as error:
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
        except Answered404 as error:
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
        except Answered404 as error:
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
                raise Unavailable(f"the answer of {self.address.url} ended early or is too long", NOT_CONDORD_HINT)
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
                self._await_answer(opened, timeout_seconds)
                with connection.getresponse() as response:
                    if response.status != expected:
                        raise status_error(
                            response.status,
                            response.headers,
                            response.read(4096),
                            url=self.address.url,
                            has_token=bool(self._headers),
                        )
                    received = response.headers.get_content_type()
                    if content_type and received != content_type:
                        text = f"{self.address.url} answered with {received}, unlike condord"
                        raise Unavailable(text, NOT_CONDORD_HINT)
                    yield response, opened
            except (OSError, http.client.HTTPException) as error:
                raise connection_error(error, url=self.address.url, timeout_seconds=timeout_seconds) from error

    def _await_answer(self, opened: socket.socket, timeout_seconds: float) -> None:
        """Wait for the first byte.

        Raises:
            Suspended: it does not come, as the daemon's process is stopped.
            TimeoutError: it does not come within `timeout_seconds`.
        """
        early = min(STOPPED_SECONDS, timeout_seconds)
        if select.select([opened], [], [], early)[0]:
            return
        if (pid := self._stopped_peer(opened)) is not None:
            raise Suspended(self.address.url, pid)
        if not select.select([opened], [], [], timeout_seconds - early)[0]:
            raise TimeoutError


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
