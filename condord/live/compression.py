"""Encode frames for the wire: plain or gzip, and as HTTP/1.1 chunks if the caller writes to the socket itself.

Each frame is chunked once and deflated at most once, however many subscribers it goes to. A deflated frame ends in a
full flush, so later frames do not refer back to it. Any consecutive frames form a deflate stream (RFC 1951), and a
subscriber can join at any frame. Only the gzip header and the trailer, which sums up one subscriber's data,
differ (RFC 1952).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Literal, Protocol

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LAST_BLOCK = b"\x03\x00"
_LEVEL = 6
_RAW_DEFLATE = -15

CodingName = Literal["identity", "gzip"]


class Piece:
    """Bytes sent to many subscribers, as one HTTP/1.1 chunk (RFC 9112, section 7.1). `raw` must not be empty.

    Its attribute `raw` is a view of the chunk: a snapshot of a large account takes over 1 MB, and each view of the
    fan-out may hold one.
    """

    __slots__ = ("chunk", "raw")

    def __init__(self, raw: bytes) -> None:
        size = b"%x\r\n" % len(raw)
        self.chunk = b"%b%b\r\n" % (size, raw)
        self.raw = memoryview(self.chunk)[len(size) : -2]


class Frame(Piece):
    """One encoded event of the stream, deflated when the first subscriber needs it."""

    __slots__ = ("_deflated",)

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self._deflated: Piece | None = None

    @property
    def deflated(self) -> Piece:
        """The frame as part of a deflate stream."""
        if self._deflated is None:
            deflating = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW_DEFLATE)
            self._deflated = Piece(deflating.compress(self.raw) + deflating.flush(zlib.Z_FULL_FLUSH))
        return self._deflated


class Coding(Protocol):
    """Encodes the frames of one subscriber."""

    def join(self, frames: Sequence[Frame], *, is_last: bool) -> bytes:
        """Return `frames` for one write, continuing the last call. Nothing may follow `is_last`.

        The result is empty if there is nothing to write.
        """


class Uncompressed:
    """Frames as they are. It has no state, so all subscribers can share one."""

    __slots__ = ("_is_chunked",)

    def __init__(self, *, is_chunked: bool) -> None:
        self._is_chunked = is_chunked

    def join(self, frames: Sequence[Frame], *, is_last: bool) -> bytes:  # noqa: ARG002 - part of `Coding`
        """Return the frames one after the other."""
        if self._is_chunked and len(frames) == 1:  # `_joined`, inlined for nearly every delivery
            return frames[0].chunk
        return _joined(frames, is_chunked=self._is_chunked)


class Gzip:
    """One gzip stream."""

    __slots__ = ("_checksum", "_has_begun", "_is_chunked", "_size")

    def __init__(self, *, is_chunked: bool) -> None:
        self._is_chunked = is_chunked
        self._has_begun = False
        self._checksum = 0
        self._size = 0

    def join(self, frames: Sequence[Frame], *, is_last: bool) -> bytes:
        """Return the deflated frames, after the header on the first call and before the trailer on the last."""
        for frame in frames:
            raw = frame.raw
            self._checksum = zlib.crc32(raw, self._checksum)
            self._size = (self._size + len(raw)) & 0xFFFF_FFFF
        pieces = [frame.deflated for frame in frames]
        if not self._has_begun:
            self._has_begun = True
            pieces.insert(0, Piece(_HEADER))
        if is_last:
            trailer = self._checksum.to_bytes(4, "little") + self._size.to_bytes(4, "little")
            pieces.append(Piece(_LAST_BLOCK + trailer))
        return _joined(pieces, is_chunked=self._is_chunked)


def _joined(pieces: Sequence[Piece], *, is_chunked: bool) -> bytes:
    """Return `pieces` as one chunk or as they are; a single chunk is not copied."""
    if is_chunked and len(pieces) == 1:
        return pieces[0].chunk
    raw = b"".join(piece.raw for piece in pieces)
    return Piece(raw).chunk if is_chunked and raw else raw


_PLAIN = Uncompressed(is_chunked=False)
_CHUNKED = Uncompressed(is_chunked=True)


def coding(name: CodingName, *, is_chunked: bool = False) -> Coding:
    """Return the coding for a new subscriber."""
    if name == "gzip":
        return Gzip(is_chunked=is_chunked)
    return _CHUNKED if is_chunked else _PLAIN
