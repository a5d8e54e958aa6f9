"""Split a damaged MessagePack array into its elements, so that the intact ones can be used.

msgspec's `Decoder(list[Raw])` splits an intact array, but refuses all of one with bytes missing or left over, with
the byte 0xC1, which MessagePack never uses, or with nesting beyond Python's recursion limit (msgspec 0.23;
`test_msgspec_refuses_the_whole_of_a_damaged_array` fails when it no longer does, and then this module can go).

The walk follows https://github.com/msgpack/msgpack/blob/master/spec.md. It only counts bytes: it keeps no stack, and
its time grows with the number of bytes only.
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
"""Binary, extension and string: bytes of the length, and bytes in addition to the content."""
_CONTAINERS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""Array and map: bytes of the count, and values per element: a map's has a key and a value."""


def count(data: bytes) -> int | None:
    """How many elements the head of the array announces; None if `data` does not begin with the head of an array."""
    if data and data[0] & 0xF0 == 0x90:
        return data[0] & 0x0F
    if data and data[0] in (0xDC, 0xDD):
        size = _CONTAINERS[data[0]][0]
        return int.from_bytes(data[1 : 1 + size], "big") if len(data) > size else None
    return None


def elements(data: bytes) -> Iterator[bytes]:
    """The bytes of each element of the array in `data`.

    A truncated last element and bytes left over are included as they are.
    """
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
    """The offset after the value at `at`; more than the length of `data` if the value is truncated."""
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
