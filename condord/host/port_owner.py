"""Find the process that listens on a TCP address, so that a failed start can name it.

/proc/net/tcp (proc(5)) lists the inode of every socket, and /proc/PID/fd the inodes of a process. Only root may read
the latter for other users' processes, and only Linux has them. Otherwise the process is not known.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LISTEN = "0A"
_PROC = Path("/proc")


def named(error: OSError, host: str, port: int) -> OSError:
    """`error` of bind(2) or listen(2), with the process that uses the address if it is known."""
    if error.errno != errno.EADDRINUSE or (pid := pid_at(host, port)) is None:
        return error
    return OSError(error.errno, f"{error.strerror} by process {pid}")


def pid_at(host: str, port: int, proc: Path = _PROC) -> int | None:
    """The pid of the process that listens on `host` (an address) or on all addresses at `port`; None if not known."""
    try:
        lines = [line for table in ("tcp", "tcp6") for line in _lines(proc / "net" / table)]
        sockets = {f"socket:[{inode}]" for inode in inodes(lines, host, port)}
        return _owner(sockets, proc) if sockets else None
    except (OSError, ValueError):  # a table or directory that may not be read, or a host name instead of an address
        return None


def inodes(lines: Iterable[str], host: str, port: int) -> Iterator[str]:
    """The inodes of the listening sockets that conflict with another on `host` and `port`.

    Two sockets conflict if they have the same address or one of them listens on all addresses. `lines` come from
    /proc/net/tcp and tcp6; malformed ones are skipped.
    """
    wanted = _plain(ipaddress.ip_address(host))
    for line in lines:
        match line.split():
            case [_, local, _, state, _, _, _, _, _, inode, *_] if state == _LISTEN:
                try:
                    found, at = _address(local)
                except ValueError:
                    continue
                if at == port and (found == wanted or found.is_unspecified or wanted.is_unspecified):
                    yield inode


def _address(text: str) -> tuple[IPAddress, int]:
    """The address and port of `text`, hexadecimal words in the byte order of the machine."""
    address, _, port = text.partition(":")
    words = [int(address[start : start + 8], 16) for start in range(0, len(address), 8)]
    try:
        found = ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))
    except struct.error as error:
        raise ValueError(text) from error
    return _plain(found), int(port, 16)


def _plain(address: IPAddress) -> IPAddress:
    """The IPv4 address of an IPv4-mapped IPv6 address, which sockets of IPv6 may have; others unchanged."""
    return getattr(address, "ipv4_mapped", None) or address


def _lines(table: Path) -> list[str]:
    try:
        return table.read_text("ascii", "replace").splitlines()
    except FileNotFoundError:  # a kernel without IPv6 has no tcp6
        return []


def _owner(sockets: set[str], proc: Path) -> int | None:
    for process in proc.iterdir():
        if process.name.isdigit() and any(name in sockets for name in _open_files(process / "fd")):
            return int(process.name)
    return None


def _open_files(directory: Path) -> Iterator[str]:
    try:
        files = list(directory.iterdir())
    except OSError:  # of another user, or the process has just ended
        return
    for file in files:
        with contextlib.suppress(OSError):  # it was closed meanwhile
            yield str(file.readlink())
