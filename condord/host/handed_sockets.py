"""Hand accepted connections to another process, over a pair of unix sockets: one byte with a descriptor for each."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from typing import Any

_DESCRIPTOR = struct.Struct("i")


class HandedListener(socket.socket):
    """The end of the process that takes the connections. It is used like a listening socket. `taken` counts them."""

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


def pair() -> tuple[socket.socket, socket.socket]:
    """A connected pair: the end that hands over, which does not block, and that of a `HandedListener`."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return ours, theirs


def hand(connection: socket.socket, to: socket.socket) -> bool:
    """Hand over a connection, of which the caller closes its own copy.

    False if the other process takes none now: too many wait for it, or it has ended.
    """
    with contextlib.suppress(OSError):
        return socket.send_fds(to, [b"c"], [connection.fileno()]) == 1
    return False
