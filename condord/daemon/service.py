"""Run the daemon of an account.

The sockets are opened first, so that a start on a taken port fails before anything else is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

from condord.config.schema import Config
from condord.config.startup import Startup
from condord.daemon import account_source
from condord.daemon import place as places
from condord.daemon.build import Parts, build
from condord.daemon.copied_state import CopiedState
from condord.daemon.ingest import Ingest
from condord.daemon.place import Place
from condord.daemon.reload import Inputs
from condord.daemon.serving import Service
from condord.host import instance_lock, logs
from condord.host.private_directory import owned_directory
from condord.host.suspensions import Suspensions
from condord.host.systemd import Notifier, listen_sockets
from condord.host.thread_pool import ResolvingLoop
from condord.http import server
from condord.live import wire
from condord.upstream.state_files import directory as state_directory

MAKER = "maker"
"""The name in the log of a process that is the maker of a front."""

_log = logging.getLogger(__name__)


def run(
    startup: Startup,
    *,
    environ: Mapping[str, str],
    announce: Callable[[str], None],
    reread: Callable[[], Config] | None = None,
    log_dropped: Callable[[], int] = lambda: 0,
    before_iteration: Callable[[], None] = lambda: None,
    lease_digest: str = "",
    extra_work: Mapping[str, Callable[[Parts], Awaitable[None]]] | None = None,
    copied: CopiedState | None = None,
) -> None:
    """Run the daemon in the foreground until SIGINT or SIGTERM.

    Args:
        startup: the configuration, its warnings, the key and the token.
        environ: the environment, with systemd's variables if it started the daemon.
        announce: gets one line when the daemon serves.
        reread: loads the configuration again on SIGHUP.
        log_dropped: returns how many log lines could not be written.
        before_iteration: is called before each iteration of the event loop.
        lease_digest: identifies the lease of a maker (`condord.host.instance_lock`).
        extra_work: what else runs until the stop, by name.
        copied: has the state of an earlier leader, and sends copies to the front; None if this is not a maker.

    Raises:
        CondordError: the address is taken, another daemon has the stream, or the proxy or certificates named in the
            environment cannot be used.
    """
    config = startup.loaded.config
    with instance_lock.Locks(instance_lock.directory(environ), lease_digest=lease_digest) as locks:
        process = "" if copied is None else MAKER
        inputs = Inputs(startup, environ=environ, reread=reread or (lambda: config), locks=locks, process=process)
        for warning in startup.loaded.warnings if copied is None else ():  # the front of a maker has logged them
            _log.warning("Configuration warning", extra=logs.fields(code="configuration", reason=warning))
        own_environ = dict(environ)
        notifier = Notifier.from_environ(own_environ)
        source = account_source.source(config)
        state = state_directory(environ, lasts=source != "simulator")
        server.reserve_files(config.server.max_subscribers, is_child=copied is not None)

        async def main(place: Place) -> None:
            parts = build(inputs, place=place, state=state, history=history, log_dropped=log_dropped, copied=copied)
            job = Ingest(parts, extra_work or {})
            await Service(parts, job, notifier, suspensions, is_child=copied is not None).run(announce)

        suspensions = Suspensions()
        inherited = listen_sockets(own_environ)
        with (
            _history_directory(state, source) as history,
            places.opened(config.server, inherited, token=inputs.token, environ=environ) as place,
            asyncio.Runner(loop_factory=lambda: ResolvingLoop(suspensions.selector(before_iteration))) as runner,
        ):
            if copied is None:  # only the front of a maker serves people
                locks.note_url(place.address)
            runner.run(main(place))


@contextlib.contextmanager
def _history_directory(state: Path | None, source: wire.Source) -> Iterator[Path | None]:
    """The state directory; for a simulator without one, a temporary directory, removed at the end.

    None if there is neither.
    """
    if state is not None or source != "simulator":
        yield state
        return
    with contextlib.ExitStack() as stack:
        path: Path | None = None
        with contextlib.suppress(OSError):  # no directory can be written
            path = stack.enter_context(owned_directory("condord-history-"))
        yield path
