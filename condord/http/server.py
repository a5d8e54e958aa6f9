"""Listens and serves: sockets of our own, and uvicorn without its signals, its logging and its wait for streams."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import resource
import select
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import msgspec
import uvicorn
from starlette.types import ASGIApp

from condord.errors import Unavailable
from condord.http.connection import Connection
from condord.http.door import Door
from condord.http.limits import Limits

BACKLOG = 2048
GRACE_SECONDS = 2
ACCEPTED_AT_ONCE = 16
"""Connections, in one turn of the loop; only then is it known which of them there is no room for."""
UNSENT_BYTES = 16_384
"""Kept low: the kernel would take 4 MB for a subscriber that reads nothing, half an hour of prices."""
SPARE_FILES = 128
"""Open files beside those of subscribers: other requests, Alpaca, the log and the store."""

DAEMON_LIMITS = Limits()

_log = logging.getLogger(__name__)


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where to listen: `uds` if it is set, or else `host` and `port` (0: any free one)."""

    host: str
    port: int
    uds: str


@contextlib.contextmanager
def listening(address: Address, inherited: Sequence[socket.socket]) -> Iterator[Sequence[socket.socket]]:
    """The sockets to serve on: those inherited, or one at `address` that leaves no file behind.

    Raises:
        Unavailable: the address is taken or cannot be had.
    """
    if inherited:
        for each in inherited:
            _set_for_streams(each)
        yield inherited
        return
    with listen(address) as listener:
        try:
            yield [listener]
        finally:
            if address.uds:
                Path(address.uds).unlink(missing_ok=True)


def listen(address: Address) -> socket.socket:
    """A listening socket.

    Raises:
        Unavailable: the address is taken or cannot be had.
    """
    return _listen_unix(Path(address.uds)) if address.uds else _listen_tcp(address.host, address.port)


def reserve_files(subscribers: int) -> None:
    """Let the process open what so many subscribers need, or as much as its hard limit allows, with a warning."""
    needed = subscribers + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        soft = min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < needed:
        hint = f"Set LimitNOFILE={needed} in the unit, or ulimit -n {needed} before the start; or lower the key."
        fields = {"max_subscribers": subscribers, "needed": needed, "limit": soft, "hint": hint}
        _log.warning("Too few open files for server.max_subscribers", extra={"fields": fields})


def name_of(listener: socket.socket) -> str:
    """The URL of a listening socket: `http://host:port` or `unix:///path`."""
    where = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix://{where}"
    host = f"[{where[0]}]" if listener.family == socket.AF_INET6 else where[0]
    return f"http://{host}:{where[1]}"


def _listen_tcp(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _set_for_streams(listener)
            listener.bind(where)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise _refused(f"{host}:{port}", error) from error
    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listener


def _listen_unix(path: Path) -> socket.socket:
    try:
        _clear_stale(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(path))
            path.chmod(0o660)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise _refused(str(path), error) from error
    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listener


def _clear_stale(path: Path) -> None:
    """Remove a socket that a killed daemon has left; one that answers is in use, and a file is not ours."""
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise FileExistsError(errno.EEXIST, "a file that is no socket is there", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, "another process answers there")


def _set_for_streams(listener: socket.socket) -> None:
    """No frame waits for another, and what a slow subscriber does not take waits in its ring, where it is bounded.

    Accepted sockets inherit it.
    """
    if listener.family == socket.AF_UNIX:
        return
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None:
        listener.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)


def _refused(where: str, error: OSError) -> Unavailable:
    text = f"cannot listen on {where}: {error.strerror or error}"
    if error.errno == errno.EADDRINUSE:
        return Unavailable(text, "Stop what listens there, or choose another with --port (0: any free one) or --uds.")
    return Unavailable(
        text, "Choose an address of this machine that you may use: server.host, server.port, server.uds."
    )


def _room(limits: Limits, subscribers: Callable[[], int] | None) -> int:
    """How many connections there may be: those of subscribers and some more, as far as files go."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = max(soft - SPARE_FILES, 0)
    return (files if subscribers is None else min(subscribers(), files)) + limits.others


class Server(uvicorn.Server):
    """uvicorn, told to stop by us.

    `subscribers` says how many there may be, of whom each needs a connection; without it files alone set a bound.
    `note_refusal` gets the status of each answer that a connection gives instead of `app`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits = DAEMON_LIMITS,
        subscribers: Callable[[], int] | None = None,
        note_refusal: Callable[[int], None] = lambda _status: None,
    ) -> None:
        door = Door(room=functools.partial(_room, limits, subscribers), leaving=limits.leaving)
        connection = functools.partial(Connection, limits=limits, door=door, note_refusal=note_refusal)
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
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

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the service."""
        yield

    async def run_on(self, listeners: Sequence[socket.socket]) -> None:
        """Serve until `stop`, then close what is still open within `GRACE_SECONDS`."""
        await self.serve(sockets=list(listeners))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, and tell."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)  # asyncio has made of it what it accepts at once
        self.is_serving.set()

    async def accept_no_more(self) -> None:
        """Take in who has connected until now, and leave who comes later to whoever listens next."""
        loop, waiting = asyncio.get_running_loop(), select.poll()
        listeners = [listener for each in self.servers for listener in each.sockets]
        for listener in listeners:
            waiting.register(listener, select.POLLIN)
        for _ in range(BACKLOG // ACCEPTED_AT_ONCE):
            if not waiting.poll(0):
                break
            await asyncio.sleep(0)
        for listener in listeners:
            loop.remove_reader(listener)
        # Who has been accepted in this turn has a transport in the next; asyncio would drop it with the listener.
        await asyncio.sleep(0)
        for each in self.servers:
            each.close()

    def stop(self) -> None:
        """Accept nothing more and end."""
        self.should_exit = True
