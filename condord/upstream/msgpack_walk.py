"""Decides where the elements of a damaged MessagePack array begin and end, so that the sound ones can be saved.

msgspec refuses an array whole that has bytes missing or left over, the byte that MessagePack never uses, or nesting
without end. This walk (https://github.com/msgpack/msgpack/blob/master/spec.md) only counts bytes: it keeps no stack,
and takes time in proportion to the bytes alone.
"""

from __future__ import annotations

from collections.abc import Iterator

_FIXED = (
    {0xCA: 4, 0xCB: 8}
    | {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
    | {0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}
)
"""Bytes after the first: floats, integers, extensions of fixed length."""
_SIZED = (
    {0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0)}
    | {0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1)}
    | {0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0)}
)
"""Binary, extension and string: bytes of the length, and bytes beside the content."""
_CONTAINERS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""Array and map: bytes of the count, and values for each of the count."""


def count(data: bytes) -> int | None:
    """How many elements the array in `data` says it has; None where it is no array."""
    if data and data[0] & 0xF0 == 0x90:
        return data[0] & 0x0F
    if data and data[0] in (0xDC, 0xDD):
        size = _CONTAINERS[data[0]][0]
        return int.from_bytes(data[1 : 1 + size], "big") if len(data) > size else None
    return None


def elements(data: bytes) -> Iterator[bytes]:
    """The bytes of each element of the array in `data`; what is cut off or left over comes as one, at the end."""
    at = 1 if data[0] & 0xF0 == 0x90 else 1 + _CONTAINERS[data[0]][0]
    for _ in range(count(data) or 0):
        end = _end(data, at)
        yield data[at:end]
        at = end
        if end >= len(data):
            return
    if at < len(data):
        yield data[at:]


def _end(data: bytes, at: int) -> int:
    """Where the value at `at` ends, or beyond the end of `data`."""
    awaited = 1
    while awaited and at < len(data):
        kind = data[at]
        at += 1
        awaited -= 1
        if 0x80 <= kind <= 0x8F:
            awaited += 2 * (kind & 0x0F)
        elif 0x90 <= kind <= 0x9F:
            awaited += kind & 0x0F
        elif 0xA0 <= kind <= 0xBF:
            at += kind & 0x1F
        elif kind in _FIXED:
            at += _FIXED[kind]
        elif kind in _SIZED:
            size, more = _SIZED[kind]
            at += size + more + int.from_bytes(data[at : at + size], "big")
        elif kind in _CONTAINERS:
            size, each = _CONTAINERS[kind]
            awaited += each * int.from_bytes(data[at : at + size], "big")
            at += size
    return at if not awaited else len(data) + 1
