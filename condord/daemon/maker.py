"""The maker: the daemon of an account as a child of a front, which is its only client.

It serves at a unix socket in a directory of its front. It ends when its front does, or at the deadline, which its front
extends while it holds the lease (`condord.host.deadline`). A front that stands by has a maker that has imported
everything and waits. `condord.daemon.maker_process` starts it as `python -m condord.daemon.maker`, with the environment
of the front and two descriptors as arguments.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from condord.cluster.maker_channel import (
    ALIVE_SECONDS,
    Alive,
    ChannelEnd,
    CopyIsKept,
    HasBegun,
    HasRead,
    IsLoaded,
    IsServing,
    MakerError,
    MakerMessage,
    packed,
    receive_first,
)
from condord.config import sources, startup
from condord.config.account_name import require_account
from condord.config.schema import Config
from condord.errors import EXIT_BUG, CondordError
from condord.host import logs, stderr
from condord.host.child_process import end_with_parent
from condord.host.deadline import EXIT_EXPIRED, DeadlineWatch

if TYPE_CHECKING:
    from condord.daemon.copied_state import CopiedState

CHECK_SECONDS = 0.05
"""How often the maker checks whether its document has positions, until it has."""
CONTRACTS_SECONDS = 0.5
"""How long the front waits for the contracts of these positions, which would otherwise need a second snapshot."""

_log = logging.getLogger(__name__)


def main(deadline: int, channel: int) -> int:
    """Run with these descriptors, and return the exit code."""
    end_with_parent()
    signal.signal(signal.SIGHUP, lambda *_: None)  # until the daemon handles it by reloading
    watch = DeadlineWatch(deadline)
    watch.start()
    stderr.unblock()
    end = socket.socket(fileno=channel)
    code = 0
    try:
        _run(end, watch, os.environ)
    except EOFError:
        code = EXIT_EXPIRED  # the front has ended
    except CondordError as error:
        code = _report(end, MakerError(exit_code=error.exit_code, text=str(error), hint=error.hint))
    except Exception as error:  # noqa: BLE001 - it is reported
        _log.exception("The maker ends because of a bug")
        code = _report(end, MakerError(exit_code=EXIT_BUG, text=f"{type(error).__name__}: {error}", hint=""))
    stderr.drain(sys.stderr)
    return code


def _run(end: socket.socket, watch: DeadlineWatch, environ: Mapping[str, str]) -> None:
    from condord.daemon import account_source, copied_state, service  # 0.6 s, mostly for alpaca-py
    from condord.daemon.build import Parts
    from condord.upstream import state_files

    _send_first(end, IsLoaded())
    begin = receive_first(end)
    _send_first(end, HasBegun())
    watch.renew()
    path = None if begin.config_file is None else Path(begin.config_file)
    found = startup.load(path, environ, begin.flags)
    log = found.loaded.config.log
    secrets = (found.key.key_id, found.key.secret_key)
    logs.configure(log.level, log.format, secrets=secrets, environ=environ, process=service.MAKER)
    require_account(begin.account_digest, found.loaded.config, environ)
    lasts = account_source.source(found.loaded.config) != "simulator"
    if state_files.directory(environ, lasts=lasts) is None:
        environ = {**environ, "STATE_DIRECTORY": begin.state_directory}
    copied = copied_state.CopiedState(begin.copies)
    serves = asyncio.Event()

    def reread() -> Config:
        config = sources.load(path, environ, begin.flags).config
        require_account(begin.account_digest, config, environ)
        return config

    async def talk(parts: Parts) -> None:
        channel = await ChannelEnd.open(end)
        copied.connect(channel.send)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_receive_confirmations(channel, copied))
            tasks.create_task(_report_alive(channel))
            await serves.wait()
            channel.send(IsServing())
            edition = parts.publisher.book.edition
            while edition.status.positions.read_at is None:  # noqa: ASYNC110 - this ends within seconds
                await asyncio.sleep(CHECK_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONTRACTS_SECONDS):
                    while edition.assumes_multipliers:  # noqa: ASYNC110 - as above
                        await asyncio.sleep(CHECK_SECONDS)
            channel.send(HasRead())

    service.run(
        found,
        environ=environ,
        announce=lambda _line: serves.set(),
        reread=reread,
        log_dropped=stderr.dropped,
        before_iteration=watch.check,
        lease_digest=begin.lease_digest,
        extra_work={"the channel to the front": talk},
        copied=copied,
    )


async def _receive_confirmations(channel: ChannelEnd, copied: CopiedState) -> None:
    """Take the front's confirmations until cancelled."""
    while (message := await channel.receive()) is not None:
        if isinstance(message, CopyIsKept):
            await copied.confirm(message)
    await asyncio.Event().wait()  # the front is gone, so this process ends in a moment


async def _report_alive(channel: ChannelEnd) -> None:
    """Let the front know that this loop runs, until cancelled."""
    while True:
        channel.send(Alive())
        await asyncio.sleep(ALIVE_SECONDS)


def _send_first(end: socket.socket, message: MakerMessage) -> None:
    """Send a message, before there is an event loop.

    Raises:
        EOFError: the front is gone.
    """
    try:
        end.sendall(packed(message))
    except OSError as error:
        raise EOFError("the front is gone") from error


def _report(end: socket.socket, ending: MakerError) -> int:
    try:
        end.settimeout(None)
        end.sendall(packed(ending))
    except OSError:
        _log.debug("The front is gone")
    return ending.exit_code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
