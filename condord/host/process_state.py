"""The state of another process by /proc (proc(5)), and which process is at the other end of a connection."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from pathlib import Path

from condord.host import port_owner

_UCRED = "3i"


def stat_of(pid: int | None) -> list[str]:
    """The fields of a process from its state on; none if they cannot be read."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def is_stopped(pid: int | None) -> bool:
    """Whether a process is known to be stopped by a signal or a debugger."""
    return stat_of(pid)[:1] in (["T"], ["t"])


def stopped_peer(connected: socket.socket) -> int | None:
    """The pid of the process on this machine that should answer on a connection, if it is known to be stopped."""
    pid = _peer(connected)
    return pid if is_stopped(pid) else None


def _peer(connected: socket.socket) -> int | None:
    if connected.family == socket.AF_UNIX:
        raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_UCRED))
        return int(struct.unpack(_UCRED, raw)[0]) or None
    host, port = connected.getpeername()[:2]
    return port_owner.pid_at(host, port) if ipaddress.ip_address(host).is_loopback else None
