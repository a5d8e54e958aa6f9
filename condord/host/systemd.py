"""Notify systemd of the daemon's state, and take over the sockets that it opened.

systemd's variables are for one process, so they are removed from `environ` when read, and no child inherits them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Mapping, MutableMapping

from condord.errors import ConfigError

_FIRST_FD = 3  # SD_LISTEN_FDS_START
_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class Notifier:
    """Sends sd_notify(3) datagrams to `address`; without one, as without systemd, every call does nothing.

    `ping` is due every `watchdog_seconds`, None without a watchdog.
    """

    def __init__(self, address: str, watchdog_seconds: float | None) -> None:
        self.watchdog_seconds = watchdog_seconds
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        if self._socket is not None:
            self._socket.settimeout(0)

    @classmethod
    def from_environ(cls, environ: MutableMapping[str, str]) -> Notifier:
        """A notifier for the variables that systemd set, which are removed from `environ`."""
        address = environ.pop("NOTIFY_SOCKET", "")
        pid, usec = environ.pop("WATCHDOG_PID", ""), environ.pop("WATCHDOG_USEC", "")
        is_ours = pid in ("", str(os.getpid()))
        timeout = int(usec) / 1e6 if is_ours and usec.isascii() and usec.isdigit() else 0.0
        return cls(address, timeout / 2 or None)

    def ready(self, status: str = "") -> None:
        """Report that the daemon serves, after the start or a reload. Without `status`, the last status stays."""
        self._send(f"READY=1\nSTATUS={_line(status)}" if status else "READY=1")

    def status(self, text: str) -> None:
        """Report the state of the daemon, in one line."""
        self._send(f"STATUS={_line(text)}")

    def reloading(self) -> None:
        """Report that a reload has begun; `ready` ends it."""
        usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={usec}")

    def stopping(self) -> None:
        """Report that the daemon is stopping."""
        self._send("STOPPING=1")

    def ping(self) -> None:
        """Report that the daemon makes progress, which restarts the timeout of the watchdog."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Close the socket; later calls do nothing."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, text: str) -> None:
        if self._socket is not None:
            # A datagram that cannot be sent is lost: the daemon must not end because of a full socket buffer.
            with contextlib.suppress(OSError):
                self._socket.sendto(text.encode(errors="replace"), self._address)


def without_systemd(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the variables that are for one process."""
    return {name: value for name, value in environ.items() if name not in _VARIABLES}


def listen_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd opened for this process (sd_listen_fds(3)), in its order; usually none.

    Children do not inherit them, and a second call returns none.

    Raises:
        ConfigError: systemd opened something that is not a listening socket.
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
        fault = f"file descriptor {fd}, passed by LISTEN_FDS, is not a listening socket: {error.strerror}"
        hint = "Use only ListenStream= and Accept=no in condord.socket, or start condord without LISTEN_FDS."
        raise ConfigError([fault], hint) from error
    found.set_inheritable(False)
    return found


def _line(text: str) -> str:
    return " ".join(text.split())
