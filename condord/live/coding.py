"""Decides the bytes of frames on the wire: as they are, or in a gzip stream that anybody can join at any frame.

A frame is deflated once for everybody who takes gzip, and ends in a full flush: nothing refers back beyond it, so that
the pieces of any frames after each other are a deflate stream (RFC 1951). What differs between subscribers is the head
and, as it sums up all that one of them was sent, the end (RFC 1952).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LAST_BLOCK = b"\x03\x00"
_LEVEL = 6
_RAW_DEFLATE = -15

CodingName = Literal["identity", "gzip"]


class Frame:
    """One event of the stream, encoded; deflated when somebody wants it so."""

    __slots__ = ("_deflated", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._deflated: bytes | None = None

    @property
    def deflated(self) -> bytes:
        """The frame as a piece of a deflate stream."""
        if self._deflated is None:
            deflating = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW_DEFLATE)
            self._deflated = deflating.compress(self.raw) + deflating.flush(zlib.Z_FULL_FLUSH)
        return self._deflated


class Coding(Protocol):
    """How one subscriber's frames become bytes."""

    def join(self, frames: Sequence[Frame], *, is_last: bool) -> bytes:
        """The bytes of `frames`, which follow on those of the last call; after `is_last` nothing comes."""


class Identity:
    """Frames as they are."""

    def join(self, frames: Sequence[Frame], *, is_last: bool) -> bytes:  # noqa: ARG002 - a coding's form
        """The frames, one after the other."""
        return frames[0].raw if len(frames) == 1 else b"".join(frame.raw for frame in frames)


class Gzip:
    """One gzip stream."""

    __slots__ = ("_checksum", "_is_begun", "_size")

    def __init__(self) -> None:
        self._is_begun = False
        self._checksum = 0
        self._size = 0

    def join(self, frames: Sequence[Frame], *, is_last: bool) -> bytes:
        """The pieces of the frames, after the head and before the end where those are due."""
        pieces = [frame.deflated for frame in frames]
        self._add_up(frame.raw for frame in frames)
        if not self._is_begun:
            self._is_begun = True
            pieces.insert(0, _HEAD)
        if is_last:
            pieces.append(_LAST_BLOCK + self._checksum.to_bytes(4, "little") + self._size.to_bytes(4, "little"))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _add_up(self, sent: Iterable[bytes]) -> None:
        for raw in sent:
            self._checksum = zlib.crc32(raw, self._checksum)
            self._size = (self._size + len(raw)) & 0xFFFF_FFFF


IDENTITY = Identity()
"""It has no state of its own: one for all."""


def coding(name: CodingName) -> Coding:
    """A coding for a new subscriber."""
    return Gzip() if name == "gzip" else IDENTITY
