"""The messages between the front and the maker of an ingester, over a pair of connected sockets.

The front begins with `Begin`. After that the maker reports, and the front confirms what it has copied.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping

import msgspec

ALIVE_SECONDS = 0.25

_LENGTH = struct.Struct("!I")


class StateCopy(msgspec.Struct, frozen=True, kw_only=True):
    """State that a maker has stored and its successor needs, the newest of its `kind`; `name` is its file's name."""

    kind: str
    name: str
    content: bytes


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The start message: the configuration file, the flags that override it, and the state of an earlier maker.

    The maker keeps its files in `state_directory` if the account has no other directory. `account_digest` identifies
    the account (`condord.config.account_name`), as the configuration file may have changed since the front read it.
    `lease_digest` identifies its lease (`condord.host.instance_lock`).
    """

    config_file: str | None
    account_digest: str
    flags: Mapping[str, bool | int | float | str | None]
    state_directory: str
    lease_digest: str = ""
    copies: tuple[StateCopy, ...] = ()


class KeepCopy(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The front is to keep `copy` for a successor.

    `CopyIsKept` with this `number`, or a later one for the same kind, confirms it.
    """

    number: int
    copy: StateCopy


class CopyIsKept(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The copy with this number is on the bus, where a successor would find it."""

    kind: str
    number: int


class IsLoaded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The maker has imported everything, and waits for `Begin`."""


class HasBegun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The maker has got `Begin`."""


class Alive(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The maker's event loop runs. This is sent every `ALIVE_SECONDS`, from the start of the loop on."""


class IsServing(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The maker answers requests at its socket."""


class HasRead(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The maker's document has positions."""


class MakerError(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The maker ends because of an error."""

    exit_code: int
    text: str
    hint: str


MakerMessage = Begin | KeepCopy | CopyIsKept | IsLoaded | HasBegun | Alive | IsServing | HasRead | MakerError


class ChannelEnd:
    """One end of the channel, on the running loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> ChannelEnd:
        """Take over a connected socket."""
        return cls(*await asyncio.open_unix_connection(sock=end))

    def send(self, message: MakerMessage) -> None:
        """Queue a message; if the other end is gone, do nothing."""
        if not self._writer.is_closing():
            self._writer.write(packed(message))

    async def receive(self) -> MakerMessage | None:
        """Return the next message; None if the other end is gone."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            return msgspec.msgpack.decode(await self._reader.readexactly(length), type=MakerMessage)
        except (asyncio.IncompleteReadError, OSError):
            return None

    def close(self) -> None:
        """Close this end."""
        self._writer.close()


def packed(message: MakerMessage) -> bytes:
    """Return the bytes of a message."""
    body = msgspec.msgpack.encode(message)
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
