"""What the two processes of an ingester that leads tell each other, over a pair of connected sockets.

The front begins with `Begin`. After that the maker reports, and the front confirms what it has copied.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping

import msgspec

_LENGTH = struct.Struct("!I")


class StateCopy(msgspec.Struct, frozen=True, kw_only=True):
    """What a maker has stored and its successor needs: the newest of its `kind`. `name` is that of its file."""

    kind: str
    name: str
    content: bytes


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a maker starts with: its configuration file, what takes the place of values in it, and an earlier state.

    The maker keeps its files in `state_directory` if the account has no other. `account_mark` tells the account from
    others (`condord.config.account_name`): the configuration file may have been changed since the front has read it.
    """

    config_file: str | None
    account_mark: str
    flags: Mapping[str, bool | int | float | str | None]
    state_directory: str
    copies: tuple[StateCopy, ...] = ()


class Keep(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Let a successor have this; confirmed by its number, or a later one of its kind."""

    number: int
    copy: StateCopy


class Kept(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A successor would have what was sent with this number."""

    kind: str
    number: int


class IsServing(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The maker answers at its socket."""


class HasRead(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The maker's document has positions."""


class MakerError(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The maker ends because of an error."""

    exit_code: int
    text: str
    hint: str


Said = Begin | Keep | Kept | IsServing | HasRead | MakerError


class ChannelEnd:
    """One end of the channel, on the running loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> ChannelEnd:
        """Take over a connected socket."""
        return cls(*await asyncio.open_unix_connection(sock=end))

    def send(self, said: Said) -> None:
        """Send soon, in order; nothing happens if the other end is gone."""
        if not self._writer.is_closing():
            self._writer.write(packed(said))

    async def receive(self) -> Said | None:
        """Return what the other end says next; None if it is gone."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            return msgspec.msgpack.decode(await self._reader.readexactly(length), type=Said)
        except (asyncio.IncompleteReadError, OSError):
            return None

    def close(self) -> None:
        """Close this end."""
        self._writer.close()


def packed(said: Said) -> bytes:
    """Return the bytes of a message."""
    body = msgspec.msgpack.encode(said)
    return _LENGTH.pack(len(body)) + body


def receive_first(end: socket.socket) -> Begin:
    """Wait for the first message, before there is an event loop.

    Raises:
        EOFError: the front is gone.
    """
    (length,) = _LENGTH.unpack(_exactly(end, _LENGTH.size))
    return msgspec.msgpack.decode(_exactly(end, length), type=Begin)


def _exactly(end: socket.socket, length: int) -> bytes:
    parts: list[bytes] = []
    while length:
        part = end.recv(min(length, 1 << 16))
        if not part:
            raise EOFError("the front is gone")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
