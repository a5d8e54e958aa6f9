"""Listen on sockets, and serve with uvicorn, without its signal handlers, its logging and its wait for streams."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import ipaddress
import logging
import os
import resource
import select
import socket
import stat
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import msgspec
import uvicorn
from starlette.types import ASGIApp

from condord.errors import ConfigError, Unavailable
from condord.host import port_owner
from condord.http.admission import AdmissionControl
from condord.http.connection import HttpConnection
from condord.http.limits import Limits
from condord.http.log_limit import PERIOD_SECONDS, LogLimit

BACKLOG = 2048
GRACE_SECONDS = 2
"""How long answers may take to end after `stop`."""
ACCEPTED_AT_ONCE = 16
"""Connections accepted in one iteration of the event loop, before admission control sees any of them."""
UNSENT_BYTES = 16_384
"""Unsent bytes that the kernel queues for a connection. Its default, 4 MB, would be half an hour of stale prices."""
SPARE_FILES = 128
"""Open files in addition to the subscribers': other requests, Alpaca, the log and the store."""

DAEMON_LIMITS = Limits()

_ADDRESS_HINT = "Choose an address of this machine that you may use, with server.host, server.port or server.uds."
_DIRECTORY_HINT = "Name a socket in a directory that exists and that you may write to, with --uds or server.uds."
_NO_SOCKET_HINT = "Remove that file, or name another path with --uds or server.uds."

_log = logging.getLogger(__name__)


class ListenAddress(msgspec.Struct, frozen=True, kw_only=True):
    """The address to listen on: the Unix socket `uds` if it is set, else on `host` and `port` (0: any free one).

    `mode` is the file mode of the Unix socket.
    """

    host: str
    port: int
    uds: str
    mode: int = 0o660


@contextlib.contextmanager
def listening(address: ListenAddress, inherited: Sequence[socket.socket]) -> Iterator[Sequence[socket.socket]]:
    """The sockets to serve on: the inherited ones, or else one at `address`. A Unix socket is removed at the end.

    Raises:
        Unavailable: the address is in use or not available.
    """
    if inherited:
        for listener in inherited:
            _set_for_streams(listener)
        yield inherited
        return
    with listen(address) as listener:
        own_file = Path(address.uds).lstat() if address.uds else None
        try:
            yield [listener]
        finally:
            if own_file is not None:
                _remove(Path(address.uds), own_file)


def listen(address: ListenAddress) -> socket.socket:
    """A listening socket.

    Raises:
        Unavailable: the address is in use or not available.
    """
    return _listen_unix(Path(address.uds), address.mode) if address.uds else _listen_tcp(address.host, address.port)


def require_loopback(listeners: Sequence[socket.socket]) -> None:
    """Refuse to serve other machines without a token.

    The configuration is validated for this before, but sockets that systemd opened are not part of it.

    Raises:
        ConfigError: a socket listens on an address other than loopback.
    """
    for listener in listeners:
        if listener.family != socket.AF_UNIX and not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
            fault = f"{listener_url(listener)}: other machines could read the account without a token"
            raise ConfigError([fault], "Set server.token_file, or listen on 127.0.0.1 in condord.socket.")


def reserve_files(subscribers: int, *, is_child: bool = False) -> None:
    """Raise the limit of open files for `subscribers`.

    If the hard limit is lower, raise it to that and warn; a child process leaves the warning to its parent.
    """
    needed = subscribers + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        soft = min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < needed and not is_child:
        raise_it = f"Set LimitNOFILE={needed} in the unit, or run ulimit -n {needed} before the start"
        hint = f"{raise_it}; or lower server.max_subscribers."
        fields = {"max_subscribers": subscribers, "needed": needed, "limit": soft, "hint": hint}
        _log.warning("Too few open files for server.max_subscribers", extra={"fields": fields})


def listener_url(listener: socket.socket) -> str:
    """The URL of a listening socket: `http://host:port` or `unix:///path`."""
    address = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix://{address}"
    host = f"[{address[0]}]" if listener.family == socket.AF_INET6 else address[0]
    return f"http://{host}:{address[1]}"


def _listen_tcp(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _set_for_streams(listener)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            raise port_owner.named(error, str(address[0]), port) from error
    except OSError as error:
        raise _unavailable(f"{host}:{port}", error, _ADDRESS_HINT) from error
    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listener


def _listen_unix(path: Path, mode: int) -> socket.socket:
    try:
        _clear_stale(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(path))
            path.chmod(mode)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        hint = _NO_SOCKET_HINT if isinstance(error, FileExistsError) else _DIRECTORY_HINT
        raise _unavailable(str(path), error, hint) from error
    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listener


def _remove(path: Path, own_file: os.stat_result) -> None:
    """Remove our socket, unless another daemon has replaced it in the meantime."""
    with contextlib.suppress(OSError):  # the next start removes a stale socket
        if os.path.samestat(path.lstat(), own_file):
            path.unlink()


def _clear_stale(path: Path) -> None:
    """Remove a socket that a killed daemon has left.

    Raises:
        OSError: a process answers there, or the path is not a socket.
    """
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise FileExistsError(errno.EEXIST, "the file there is not a socket", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        # A process outside our namespace has pid 0. For a socket that systemd opened it is the pid of systemd.
        pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    raise OSError(errno.EADDRINUSE, f"{f'process {pid}' if pid else 'another process'} answers there")


def _set_for_streams(listener: socket.socket) -> None:
    """Send each frame at once, and keep what a slow subscriber does not read in its ring, which is bounded.

    Accepted sockets inherit these options.
    """
    if listener.family == socket.AF_UNIX:
        return
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None:
        listener.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)


def _unavailable(where: str, error: OSError, hint: str) -> Unavailable:
    """The error; `hint` is for any cause but an address in use."""
    text = f"cannot listen on {where}: {error.strerror or error}"
    if error.errno == errno.EADDRINUSE:
        return Unavailable(
            text,
            "Stop the program that listens there, or choose another address with --port (0: any free one) or --uds.",
        )
    return Unavailable(text, hint)


def _max_connections(limits: Limits, subscribers: Callable[[], int] | None) -> int:
    """The number of connections allowed: those of the subscribers and some more, within the limit of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = max(soft - SPARE_FILES, 0)
    return (files if subscribers is None else min(subscribers(), files)) + limits.other_connections


class HttpServer(uvicorn.Server):
    """uvicorn, stopped by `stop` instead of by signals.

    `subscribers` returns how many subscribers are allowed, each with its own connection; without it only the limit
    of open files counts. `note_refusal` gets the status of each answer that a connection gives instead of `app`.
    `clock` returns seconds, for the limit of log records.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits = DAEMON_LIMITS,
        subscribers: Callable[[], int] | None = None,
        note_refusal: Callable[[int], None] = lambda _status: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        admission = AdmissionControl(
            slots=functools.partial(_max_connections, limits, subscribers), max_leaving=limits.leaving_connections
        )
        connection = functools.partial(HttpConnection, limits=limits, admission=admission, note_refusal=note_refusal)
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                workers=1,  # without it uvicorn reads WEB_CONCURRENCY
                log_level="error",
                server_header=False,
                ws="none",
                http=cast("type[asyncio.Protocol]", connection),
                backlog=ACCEPTED_AT_ONCE,
                timeout_graceful_shutdown=GRACE_SECONDS,
                proxy_headers=False,
            )
        )
        self.is_serving = asyncio.Event()
        self._log_limit = LogLimit(clock)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the service."""
        yield

    async def run_on(self, listeners: Sequence[socket.socket]) -> None:
        """Serve until `stop`, then close open connections within `GRACE_SECONDS`."""
        with self._log_limit.in_force():
            await self.serve(sockets=list(listeners))
        self._report_suppressed(is_last=True)

    async def on_tick(self, counter: int) -> bool:
        """Do uvicorn's work of each tenth of a second, and report how many log records were left out."""
        self._report_suppressed()
        return await super().on_tick(counter)

    def _report_suppressed(self, *, is_last: bool = False) -> None:
        if suppressed := self._log_limit.take_excess(is_last=is_last):
            fields = {"left_out": suppressed, "seconds": PERIOD_SECONDS}
            _log.warning("Too many log records about connections; the rest was left out", extra={"fields": fields})

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, then set `is_serving`."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)  # asyncio has lowered it to ACCEPTED_AT_ONCE
        self.is_serving.set()

    async def stop_accepting(self) -> None:
        """Accept the connections in the queue now. Later ones stay in the socket's queue for the next daemon."""
        loop, waiting = asyncio.get_running_loop(), select.poll()
        listeners = [listener for server in self.servers for listener in server.sockets]
        for listener in listeners:
            waiting.register(listener, select.POLLIN)
        for _ in range(BACKLOG // ACCEPTED_AT_ONCE):
            if not waiting.poll(0):
                break
            await asyncio.sleep(0)
        for listener in listeners:
            loop.remove_reader(listener)
        # A connection accepted in this iteration gets its transport in the next, so the listener closes after it.
        await asyncio.sleep(0)
        for server in self.servers:
            server.close()

    def stop(self) -> None:
        """Make `run_on` end."""
        self.should_exit = True
