"""Decides what systemd is told about the daemon, and which sockets it hands over.

Rules:
    Without `NOTIFY_SOCKET` every call does nothing, so no caller asks whether systemd is there.
    One datagram says one thing (sd_notify(3)). One that cannot be sent is lost and nothing more: systemd draws
    its own conclusions from silence, and a daemon that serves must not die of a full socket buffer.
    What is said about this process is not inherited: `environ` loses its variables as they are read.
    The watchdog is for the process that `WATCHDOG_PID` names, sockets for the one that `LISTEN_PID` names.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import MutableMapping

from condord.errors import ConfigError

_FIRST_FD = 3  # SD_LISTEN_FDS_START


class Notifier:
    """Speaks to systemd; `watchdog_seconds` is how often `ping` is due, None without a watchdog."""

    def __init__(self, address: str, watchdog_seconds: float | None) -> None:
        self.watchdog_seconds = watchdog_seconds
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        if self._socket is not None:
            self._socket.settimeout(0)

    @classmethod
    def from_environ(cls, environ: MutableMapping[str, str]) -> Notifier:
        """A notifier for what systemd set in `environ`, which is taken out of it."""
        address = environ.pop("NOTIFY_SOCKET", "")
        pid, usec = environ.pop("WATCHDOG_PID", ""), environ.pop("WATCHDOG_USEC", "")
        ours = pid in ("", str(os.getpid()))
        timeout = int(usec) / 1e6 if ours and usec.isascii() and usec.isdigit() else 0.0
        return cls(address, timeout / 2 or None)

    def ready(self, status: str = "") -> None:
        """Say that the daemon serves, after the start or after a reload; without a `status` the last one stays."""
        self._send(f"READY=1\nSTATUS={_line(status)}" if status else "READY=1")

    def status(self, text: str) -> None:
        """Say in one line how the daemon is."""
        self._send(f"STATUS={_line(text)}")

    def reloading(self) -> None:
        """Say that the configuration is being read again; `ready` ends it."""
        usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={usec}")

    def stopping(self) -> None:
        """Say that the daemon is on its way out."""
        self._send("STOPPING=1")

    def ping(self) -> None:
        """Say that the daemon makes progress, which holds the watchdog off once more."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Give the socket back; later calls do nothing."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, text: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(text.encode(errors="replace"), self._address)


def listen_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd opened for this process (sd_listen_fds(3)), in its order; mostly none.

    They are not inherited further; a second call finds none.

    Raises:
        ConfigError: what systemd opened is no socket that connections can be accepted from.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return []
    return [_listening(fd) for fd in range(_FIRST_FD, _FIRST_FD + int(count))]


def _listening(fd: int) -> socket.socket:
    try:
        found = socket.socket(fileno=fd)
        if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            found.detach()
            raise OSError(errno.EINVAL, "it does not listen")
    except OSError as error:
        fault = f"file descriptor {fd}, which LISTEN_FDS counts, is no listening socket: {error.strerror}"
        hint = "Use ListenStream= and Accept=no alone in condord.socket, or start it without LISTEN_FDS."
        raise ConfigError([fault], hint) from error
    found.set_inheritable(False)
    return found


def _line(text: str) -> str:
    return " ".join(text.split())
