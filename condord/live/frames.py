"""Encode events as text/event-stream (HTML standard, section 9.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from condord.live import wire

MAX_LINE_BYTES = 40_960
"""The longest line of the stream, field name and newline included: common clients refuse lines over 64 kB."""
_BETWEEN = re.compile(rb',(?="[^,:\]}])')
_MAX_DATA_BYTES = MAX_LINE_BYTES - len(b"data: \n")


def framed(event: str, payload: msgspec.Struct, version: str | None = None) -> bytes:
    """Return one event with `payload` as JSON; `version` becomes its id.

    Data that is too long for one line is split over several. A client joins them with newlines, which is the same JSON.
    """
    name = f"event: {event}\n".encode()
    identity = b"" if version is None else f"id: {version}\n".encode()
    data = wire.encode(payload)
    if len(data) > _MAX_DATA_BYTES:
        data = b"\ndata: ".join(lines(data, _MAX_DATA_BYTES))
    return b"%b%bdata: %b\n\n" % (name, identity, data)


def lines(data: bytes, size: int) -> Iterator[bytes]:
    """Split a compact JSON object or list into pieces of at most `size` bytes, after commas between values.

    It only considers commas before a quote that is not followed by one of `,:]}`, so that it need not parse the JSON:
    after a comma inside a string, a quote ends that string, and one of the four follows. A piece without such a comma,
    like a long list of numbers or a long string, is longer than `size`.
    """
    start = 0
    while start < len(data):
        end = len(data) if len(data) - start <= size else _break(data, start, size)
        yield data[start:end]
        start = end


def _break(data: bytes, start: int, size: int) -> int:
    """Return where the piece that begins at `start` ends."""
    at = start + size
    while (at := data.rfind(b',"', start, at + 1)) >= 0:
        if data[at + 2] not in b",:]}":
            return at + 1
    later = _BETWEEN.search(data, start + size)
    return later.end() if later else len(data)
