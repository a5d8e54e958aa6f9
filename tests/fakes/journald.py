"""A fake journald for entries in the native protocol, as strict as the real one."""

import fcntl
import os
import re
import socket
import struct

SEALED = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class Journald:
    """Listens on the socket at the path `address` while the context is open."""

    def __init__(self, address):
        self.address = str(address)
        self.files = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.settimeout(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def entries(self):
        """The entries since the last call, each a dictionary of field names to lists of values (bytes)."""
        received = []
        while (entry := self._entry()) is not None:
            received.append(entry)
        return received

    def _entry(self):
        try:
            data, files, _, _ = socket.recv_fds(self._socket, 1 << 20, 2)
        except BlockingIOError:
            return None
        if files:
            (file,) = files
            assert data == b"", "a datagram has a payload or a file, not both"
            self.files += 1
            data = contents(file)
        return parsed(data)


def contents(file):
    """The content of a memfd, which must be sealed so that no process can change it."""
    try:
        assert fcntl.fcntl(file, fcntl.F_GET_SEALS) == SEALED
        return os.pread(file, os.fstat(file).st_size, 0)
    finally:
        os.close(file)


def parsed(data):
    """Parse an entry into a dictionary of field names to lists of values."""
    entry = {}
    while data:
        line, newline, rest = data.partition(b"\n")
        assert newline, "every field ends with a newline"
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack_from("<Q", rest)
            value, end, data = rest[8 : 8 + length], rest[8 + length : 9 + length], rest[9 + length :]
            assert (len(value), end) == (length, b"\n")
        else:
            data = rest
        assert re.fullmatch(rb"[A-Z][A-Z0-9_]{0,63}", name), name
        entry.setdefault(name.decode(), []).append(value)
    return entry
