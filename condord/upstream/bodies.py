"""Bodies of REST answers: read within limits, and decoded row by row.

A small answer can grow in two ways: 60 kB of gzip become 60 MB of text, and 8 MB of `{},{},…` become 200 MB of objects.
So a body is inflated in small steps up to the limit of its endpoint, its values are counted before any is created, and
rows are decoded one at a time. The only encoding accepted is gzip, which requests ask for. A status that is neither 200
nor an error is a fault: a redirect with the body `[]` would otherwise look like an empty account.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import time
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, overload
from urllib.parse import urljoin, urlsplit

import msgspec
import requests
import urllib3.exceptions

from condord.host.bounded_http import TooLarge

MAX_ERROR_BYTES = 65_536
"""The status identifies an error; its body is read only so that the connection can be reused."""
MAX_ROW_BYTES = 262_144
_USUAL_ROW_BYTES = 4096
_CHUNK_BYTES = 65_536
_STEP_BYTES = 262_144
_OK = 200
_ERRORS = range(400, 600)
_WBITS_GZIP = 31
_PLAIN = ("", "identity")
_GZIP = ("gzip", "x-gzip")
_TARGET_LENGTH = 100
_SPACE = re.compile(rb"[ \t\n\r]*")
_KEY_LIKE = re.compile(r"[A-Za-z0-9+]{20,}")


class BodyLimit(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of an endpoint's answer, which is a list of at most `rows` rows.

    If `rows` is 0, it is decoded as a whole.
    """

    body_bytes: int
    values: int
    rows: int = 0


_POSITIONS = BodyLimit(body_bytes=8 << 20, values=400_000, rows=12_000)
_ORDERS = BodyLimit(body_bytes=8 << 20, values=150_000, rows=500)
_OTHERS = BodyLimit(body_bytes=2 << 20, values=20_000)
_BOUNDS = {"positions": _POSITIONS, "orders": _ORDERS}


class UnexpectedStatus(Exception):
    """An answer whose status is neither 200 nor an error; `target` is the URL of a redirect."""

    def __init__(self, status: int, target: str = "") -> None:
        self.status = status
        self.target = target
        super().__init__(f"HTTP {status}")


class UndecodableBody(Exception):
    """A body whose encoding was not requested, or is broken."""


class NotJson(Exception):
    """A body that is not JSON."""


def limit_of(url: str) -> BodyLimit:
    """The limits for the endpoint of `url`."""
    return _BOUNDS.get(urlsplit(url).path.rpartition("/")[2], _OTHERS)


class Rows(Sequence[Any]):
    """A list whose rows are decoded on each access, so that only one is in memory."""

    def __init__(self, rows: Sequence[bytes | msgspec.Raw]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return map(_decoded, self._rows)

    @overload
    def __getitem__(self, index: int) -> Any: ...  # noqa: ANN401 - JSON
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> Any:
        return Rows(self._rows[index]) if isinstance(index, slice) else _decoded(self._rows[index])


class OkResponse:
    """An answer with the status 200. It has only the attributes that alpaca-py uses."""

    status_code = _OK

    def __init__(self, body: bytes, limit: BodyLimit) -> None:
        self._body = body
        self._limit = limit

    def raise_for_status(self) -> None:
        """Do nothing: the status is 200."""

    @property
    def text(self) -> str:
        """Empty if the body is. alpaca-py only tests that, and a decoded copy would need memory."""
        return "a body" if self._body else ""

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return the decoded body; `Rows` if the limits have rows.

        Raises:
            NotJson: the body is not JSON.
            TooLarge: it has too many values or rows, or too large a row.
            msgspec.ValidationError: it should be a list, and is not.
        """
        return decoded(self._body, self._limit)


def decoded(body: bytes, limit: BodyLimit) -> Any:  # noqa: ANN401 - JSON
    """Decode `body` as `OkResponse.json` does."""
    values = 1 + sum(map(body.count, (b",", b"[", b"{")))  # an upper limit: strings may hold these characters too
    if values > limit.values:
        raise TooLarge(f"{limit.values} values")
    if not limit.rows:
        return _decoded(body)
    rows = _split(body, limit.rows + 1)
    if len(rows) > limit.rows:
        raise TooLarge(f"{limit.rows} rows")
    if any(len(memoryview(row)) > MAX_ROW_BYTES for row in rows):
        raise TooLarge(f"{MAX_ROW_BYTES} bytes in a row")
    return Rows(rows)


def _split(body: bytes, most: int) -> Sequence[bytes | msgspec.Raw]:
    """The rows of a list, undecoded. If msgspec refuses a row, a slower way finds the others."""
    try:
        return msgspec.json.decode(body, type=list[msgspec.Raw])
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return list(itertools.islice(_split_leniently(body), most))


def _split_leniently(body: bytes) -> Iterator[bytes]:
    # The module json needs text, and the whole body as text could take four times its size.
    at = _after_space(body, 0)
    if not body.startswith(b"[", at):
        raise NotJson
    at = _after_space(body, at + 1)
    while True:
        row = _row_at(body, at)
        yield row
        at = _after_space(body, at + len(row))
        if not body.startswith(b",", at):
            break
        at = _after_space(body, at + 1)
    if not body.startswith(b"]", at) or _after_space(body, at + 1) < len(body):
        raise NotJson


def _row_at(body: bytes, at: int) -> bytes:
    for size in (_USUAL_ROW_BYTES, MAX_ROW_BYTES):
        text = body[at : at + size].decode("utf-8", "surrogateescape")
        with contextlib.suppress(ValueError):  # not JSON, or longer than `size`
            length = json.JSONDecoder().raw_decode(text)[1]
            return text[:length].encode("utf-8", "surrogateescape")
    raise NotJson


def _after_space(body: bytes, at: int) -> int:
    found = _SPACE.match(body, at)
    return found.end() if found else at


def _decoded(raw: bytes | msgspec.Raw) -> Any:  # noqa: ANN401 - JSON
    """Decode a value. If only msgspec refuses it (half a surrogate pair, 1e999), the rest of its row stays usable."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        try:
            return json.loads(bytes(raw).decode("utf-8", "replace"))
        except ValueError as error:
            raise NotJson from error


def read_whole(response: requests.Response, limit: BodyLimit, deadline: float) -> OkResponse | requests.Response:
    """Return the answer with its body, read before `deadline` (monotonic seconds); an error without its body.

    Raises:
        UnexpectedStatus: the status is neither 200 nor an error.
        TooLarge: the body exceeds the limit.
        UndecodableBody: its encoding is not gzip, or is broken.
        requests.RequestException: the body does not arrive, or not in time.
    """
    try:
        if response.status_code == _OK:
            return OkResponse(_body(response, limit.body_bytes, deadline), limit)
        if response.status_code not in _ERRORS:
            raise UnexpectedStatus(response.status_code, target_of(response.headers.get("Location", ""), response.url))
        _drain(response, deadline)
        return response
    finally:
        if not response.raw.isclosed():
            response.close()


def target_of(location: str, url: str = "") -> str:
    """The URL of a redirect, for people: without user and query, and without anything as long as a key."""
    try:
        parts = urlsplit(urljoin(url, location))
    except ValueError:  # for example brackets without an IPv6 address
        return "an invalid URL"
    host = parts.netloc.rpartition("@")[2]
    scheme = f"{parts.scheme}:" if parts.scheme else ""
    shown = f"{scheme}//{host}{parts.path}" if host else parts.path
    shown = _KEY_LIKE.sub("…", shown)[:_TARGET_LENGTH]
    return "".join(letter if letter.isprintable() else "?" for letter in shown)


def _body(response: requests.Response, most: int, deadline: float) -> bytes:
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in _PLAIN:
        return bytes(_gathered(_chunks(response, most, deadline), most))
    if encoding not in _GZIP:
        raise UndecodableBody("an encoding that was not requested")
    return bytes(_gathered(_inflated(_chunks(response, most, deadline), deadline), most))


def _gathered(pieces: Iterator[bytes], most: int) -> bytearray:
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > most:
            raise TooLarge(f"{most} bytes")
    return body


def _inflated(chunks: Iterator[bytes], deadline: float) -> Iterator[bytes]:
    """Inflate one gzip member in steps of at most `_STEP_BYTES`."""
    inflate = zlib.decompressobj(_WBITS_GZIP)
    try:
        for chunk in chunks:
            waiting = chunk
            while waiting:
                _check_time(deadline)
                yield inflate.decompress(waiting, _STEP_BYTES)
                if inflate.unused_data:
                    raise UndecodableBody("bytes after the end of the gzip")
                waiting = inflate.unconsumed_tail
        while not inflate.eof and (rest := inflate.decompress(b"", _STEP_BYTES)):
            _check_time(deadline)
            yield rest
    except zlib.error as error:
        raise UndecodableBody("not gzip") from error
    if not inflate.eof:
        raise UndecodableBody("a gzip that ends early")


def _chunks(response: requests.Response, most: int, deadline: float) -> Iterator[bytes]:
    """The body as it is sent, before the deadline: a timeout of requests bounds each wait, not their sum."""
    count = 0
    try:
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
            _check_time(deadline)
            count += len(chunk)
            if count > most:
                raise TooLarge(f"{most} bytes")
            yield chunk
    except (urllib3.exceptions.ReadTimeoutError, TimeoutError) as error:
        raise requests.ReadTimeout(error) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error


def _check_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise requests.ReadTimeout("the body came too slowly")


def _drain(response: requests.Response, deadline: float) -> None:
    """Discard the body of an error, so that the connection can be reused; close it if the body is large or slow."""
    try:
        for _ in _chunks(response, MAX_ERROR_BYTES, deadline):
            pass
    except (TooLarge, requests.RequestException):
        response.close()
    response._content = b""  # noqa: SLF001 - requests' mark for a body that was read; alpaca-py asks for its text
