"""Decides whether stderr is the journal, and puts entries with fields of their own into it.

Rules:
    stderr is the journal where JOURNAL_STREAM names its device and inode (systemd.exec(5)): whoever is started from a
    service inherits the variable, wherever its own stderr leads.
    One datagram is one entry, in journald's native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/). A value with
    a newline is framed by its length; an entry too large for a datagram goes as a sealed memfd, or it would be copied.
    The socket never blocks: whoever gets False has the entry still, and another way to say it.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import re
import socket
import struct
from collections.abc import Iterable, Mapping
from typing import TextIO

ADDRESS = "/run/systemd/journal/socket"
_NAME_LENGTH = 64
_TOO_LARGE = (errno.EMSGSIZE, errno.ENOBUFS)
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class Journal:
    """A socket to journald at `address`.

    Raises:
        OSError: no socket can be had.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's signature

    def send(self, entry: Iterable[tuple[str, str]]) -> bool:
        """Put an entry into the journal: names as `field_name` makes them, each as often as it has values.

        False if journald did not take it.
        """
        data = b"".join(_framed(name, value) for name, value in entry)
        try:
            self._deliver(data)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give the socket back; `send` is False from now on."""
        self._socket.close()

    def _deliver(self, data: bytes) -> None:
        """Send without a connection, so that a journald that was started again is found."""
        try:
            self._socket.sendto(data, self._address)
        except OSError as error:
            if error.errno not in _TOO_LARGE:
                raise
            self._deliver_file(data)

    def _deliver_file(self, data: bytes) -> None:
        with os.fdopen(os.memfd_create("condord-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "wb") as file:
            file.write(data)
            file.flush()
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()]))
            self._socket.sendmsg([], [rights], 0, self._address)


def opened(environ: Mapping[str, str], stream: TextIO) -> Journal | None:
    """The journal, if that is where `stream` leads and a socket to it can be had."""
    try:
        status = os.fstat(stream.fileno())
        is_journal = environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
        return Journal(ADDRESS) if is_journal else None
    except (OSError, ValueError):  # ValueError: the stream is closed
        return None


def field_name(text: str) -> str:
    """`text` as the name of a field: journald takes 64 of A-Z, 0-9 and `_`, and drops what has another name."""
    return re.sub(r"[^A-Z0-9]+", "_", text.upper())[:_NAME_LENGTH]


def _framed(name: str, value: str) -> bytes:
    key, raw = name.encode(), value.encode(errors="backslashreplace")
    if b"\n" in raw:
        return key + b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n"
    return key + b"=" + raw + b"\n"
