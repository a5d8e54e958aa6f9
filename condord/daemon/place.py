"""Open the sockets of a server: those for clients and, with workers, the private one that the workers follow."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from condord.config import schema
from condord.daemon import web
from condord.daemon.subscribers import OwnSlots, SubscriberSlots
from condord.errors import Unavailable
from condord.host.private_directory import private_directory
from condord.host.secret import Secret
from condord.host.shared_counts import SharedCounts
from condord.http import server
from condord.http.tickets import UsedTickets

_HINT = "Set server.workers = 1, or give the daemon a runtime directory, which RuntimeDirectory= of a unit does."


class WorkerResources(msgspec.Struct, frozen=True, kw_only=True):
    """The resources shared with workers: `listeners` for clients, a private `directory`, and `counts`.

    The directory is removed at the end.
    """

    listeners: Sequence[socket.socket]
    directory: Path
    counts: SharedCounts

    @property
    def source(self) -> str:
        """The path of the socket that workers follow."""
        return str(self.directory / "source.sock")

    @property
    def tickets(self) -> Path:
        """The directory of used tickets."""
        return self.directory / "tickets"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The sockets and the address at which a process serves. `address` is the URL for clients.

    With `worker_resources`, clients connect to the listeners in these, and only workers to `listeners`. `endpoints`
    replace those of the application, by the names of their routes. A worker shares `slots` and `used_tickets` with the
    other workers.
    """

    listeners: Sequence[socket.socket]
    address: str
    takes_any_host: bool
    worker_resources: WorkerResources | None = None
    slots: SubscriberSlots = OwnSlots()
    used_tickets: UsedTickets | None = None
    endpoints: Mapping[str, Callable[..., Any]] = {}

    def own_section(self, section: schema.Server) -> schema.Server:
        """The section `[server]` as it applies to the streams of this process.

        With workers, only they subscribe here, and none is refused. While this process was paused, each worker may have
        reconnected many times, and its abandoned connections wait in the queue before the current one.
        """
        if self.worker_resources is None:
            return section
        return msgspec.structs.replace(section, max_subscribers=server.BACKLOG)


@contextlib.contextmanager
def opened(
    section: schema.Server, inherited: Sequence[socket.socket], *, token: Secret | None, environ: Mapping[str, str]
) -> Iterator[Place]:
    """Open the sockets that a process serves at. `inherited` are those that systemd has already opened.

    Raises:
        Unavailable: the address is taken, or there is no directory for a private socket.
        ConfigError: without a token, one of the sockets can be reached from other machines.
    """
    with contextlib.ExitStack() as stack:
        listeners = stack.enter_context(server.listening(web.address(section), inherited))
        if token is None:
            server.require_loopback(listeners)
        address = server.listener_url(listeners[0])
        if section.workers == 1:
            yield Place(listeners=listeners, address=address, takes_any_host=web.is_unix_only(listeners))
            return
        resources = stack.enter_context(_worker_resources(section.workers, listeners, environ))
        private = server.ListenAddress(host="", port=0, uds=resources.source, mode=0o600)
        inner = stack.enter_context(server.listening(private, ()))
        yield Place(listeners=inner, address=address, takes_any_host=True, worker_resources=resources)


@contextlib.contextmanager
def _worker_resources(
    workers: int, listeners: Sequence[socket.socket], environ: Mapping[str, str]
) -> Iterator[WorkerResources]:
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(private_directory(environ, purpose="the workers", hint=_HINT))
        try:
            counts = stack.enter_context(contextlib.closing(SharedCounts.create(workers)))
        except OSError as error:
            raise Unavailable(f"the workers have no shared memory: {error.strerror}", _HINT) from error
        resources = WorkerResources(listeners=listeners, directory=directory, counts=counts)
        resources.tickets.mkdir(mode=0o700)
        yield resources
