"""Write entries with fields to the journal, if stderr is connected to it.

The protocol is journald's native one (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/): one datagram is one entry. The
socket never blocks; `send` returns False if journald did not take an entry, which the caller can write elsewhere.
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
    """A socket to journald at the path `address`.

    Raises:
        OSError: no socket could be created.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's signature

    def send(self, entry: Iterable[tuple[str, str]]) -> bool:
        """Write an entry: pairs of a name (see `field_name`) and a value. A name may occur several times.

        False if journald did not take it.
        """
        data = b"".join(_framed(name, value) for name, value in entry)
        try:
            self._deliver(data)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the socket; `send` returns False from now on."""
        self._socket.close()

    def _deliver(self, data: bytes) -> None:
        """Send without connecting, so that a restarted journald is reached."""
        try:
            self._socket.sendto(data, self._address)
        except OSError as error:
            if error.errno not in _TOO_LARGE:
                raise
            self._deliver_file(data)

    def _deliver_file(self, data: bytes) -> None:
        """Send an entry too large for a datagram as a memfd, which is sealed so that journald need not copy it."""
        with os.fdopen(os.memfd_create("condord-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "wb") as file:
            file.write(data)
            file.flush()
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()]))
            self._socket.sendmsg([], [rights], 0, self._address)


def opened(environ: Mapping[str, str], stream: TextIO) -> Journal | None:
    """The journal, if `stream` is connected to it and a socket can be created, else None."""
    try:
        status = os.fstat(stream.fileno())
        # Children inherit the variable, also those with another stderr, so the file is compared (systemd.exec(5)).
        is_journal = environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
        return Journal(ADDRESS) if is_journal else None
    except (OSError, ValueError):  # ValueError: the stream is closed
        return None


def field_name(text: str) -> str:
    """`text` as the name of a field: journald accepts up to 64 of A-Z, 0-9 and `_`, and drops other fields."""
    return re.sub(r"[^A-Z0-9]+", "_", text.upper())[:_NAME_LENGTH]


def _framed(name: str, value: str) -> bytes:
    key, raw = name.encode(), value.encode(errors="backslashreplace")
    if b"\n" in raw:  # the length instead of "="
        return key + b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n"
    return key + b"=" + raw + b"\n"
