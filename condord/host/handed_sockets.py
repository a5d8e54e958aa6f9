"""Hand accepted connections to another process, over a pair of unix sockets: one byte with a descriptor for each."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Iterator
from typing import Any

_DESCRIPTOR = struct.Struct("i")


class HandedListener(socket.socket):
    """The socket end in the process that takes the connections, used like a listening socket. `taken` counts them."""

    taken = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """Take the next connection, and return it with the address of its client.

        Raises:
            BlockingIOError: none waits, and the socket does not block.
            ConnectionAbortedError: the client has gone, or the other end is closed.
        """
        # Not socket.recv_fds, which ignores its flags.
        _, ancillary, _, _ = self.recvmsg(1, socket.CMSG_LEN(_DESCRIPTOR.size), socket.MSG_CMSG_CLOEXEC)
        if not ancillary:
            raise ConnectionAbortedError(errno.ECONNABORTED, "no connection was handed over")
        self.taken += 1
        (descriptor,) = _DESCRIPTOR.unpack(ancillary[0][2])
        connection = socket.socket(fileno=descriptor)
        try:
            return connection, connection.getpeername()
        except OSError as error:
            connection.close()
            raise ConnectionAbortedError(errno.ECONNABORTED, "the client has gone") from error

    def listen(self, backlog: int = 0, /) -> None:
        """Do nothing: the process at the other end listens."""


class Handover:
    """The socket pair in the process that hands connections to another one, which inherits `descriptor`.

    This process keeps that end open, too, and so can take back waiting connections. The kernel gives each connection to
    only one process, even if both take at the same moment. `handed` counts the connections without those taken back.
    """

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._theirs = HandedListener(fileno=theirs.detach())
        for end in (self._ours, self._theirs):
            end.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self._handed = 0

    @property
    def descriptor(self) -> int:
        """The number of the descriptor from which the other process makes its `HandedListener`."""
        return self._theirs.fileno()

    @property
    def handed(self) -> int:
        """How many connections the other process was handed, without those that were taken back."""
        return self._handed - self._theirs.taken

    def hand(self, connection: socket.socket) -> bool:
        """Hand over a connection; False if too many wait. The caller closes its own copy."""
        with contextlib.suppress(OSError):
            is_handed = socket.send_fds(self._ours, [b"c"], [connection.fileno()]) == 1
            self._handed += is_handed
            return is_handed
        return False

    def take_back(self) -> Iterator[socket.socket]:
        """Take back the connections that the other process has not taken. The caller closes them."""
        while True:
            try:
                connection, _ = self._theirs.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            yield connection

    def close(self) -> None:
        """Close both ends, and every connection that waits unless the other process takes it."""
        self._ours.close()
        self._theirs.close()
