"""Start a maker as a child process, take its reports, and end it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Self

from condord.cluster.maker_channel import (
    Alive,
    Begin,
    ChannelEnd,
    CopyIsKept,
    HasBegun,
    HasRead,
    IsLoaded,
    IsServing,
    KeepCopy,
    MakerError,
)
from condord.errors import EXIT_CONFIG, EXIT_REFUSED, AccessDenied, CondordError, ConfigError
from condord.host.child_process import ChildProcess
from condord.host.deadline import NEVER, DeadlinePipe

STOP_SECONDS = 3.0
"""How long a maker may take to stop gracefully: the front as a whole has five seconds to stop."""

_MODULE = "condord.daemon.maker"

_log = logging.getLogger(__name__)


class MakerProcess:
    """A running maker.

    `is_loaded` is set when it waits for `begin`, `has_begun` when it has received that, and `is_alive` when its event
    loop runs; `beats` then rises several times a second. `is_serving` is set when it answers at its socket, `has_read`
    when its document has positions. `ending` is the reason that it reports for its end. `keep` gets the state for a
    successor.
    """

    def __init__(self, child: ChildProcess, deadline: DeadlinePipe, channel: ChannelEnd) -> None:
        self.keep: Callable[[KeepCopy], None] = lambda _keep: None
        self.is_loaded = asyncio.Event()
        self.has_begun = asyncio.Event()
        self.is_alive = asyncio.Event()
        self.beats = 0
        self.is_serving = asyncio.Event()
        self.has_read = asyncio.Event()
        self.ending: MakerError | None = None
        self._child = child
        self._deadline = deadline
        self._channel = channel

    @classmethod
    async def start(cls, environ: Mapping[str, str]) -> Self:
        """Start a maker, which imports everything and waits for `begin`.

        Raises:
            OSError: it cannot be started.
        """
        deadline = DeadlinePipe(NEVER)
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                arguments = (str(deadline.reader), str(theirs.fileno()))
                descriptors = (deadline.reader, theirs.fileno())
                child = await ChildProcess.start(_MODULE, arguments, environ=environ, pass_fds=descriptors)
            deadline.close_reader()
            ours.settimeout(0)
            channel = await ChannelEnd.open(ours)
        except BaseException:
            deadline.close()  # ends the child, if it has started
            ours.close()
            raise
        return cls(child, deadline, channel)

    def begin(self, begin: Begin, until: float) -> None:
        """Let it read the account, until `until` (`condord.host.deadline`)."""
        self._deadline.extend(until)
        self._channel.send(begin)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._child.returncode is not None

    @property
    def fatal(self) -> CondordError | None:
        """The error that ended the maker, if another attempt would not help; otherwise None."""
        if self.ending is None:
            return None
        if self.ending.exit_code == EXIT_CONFIG:
            return ConfigError([self.ending.text], self.ending.hint)
        return AccessDenied(self.ending.text, self.ending.hint) if self.ending.exit_code == EXIT_REFUSED else None

    async def wait(self) -> int:
        """Take the maker's reports until it has ended, and return its exit code, or -N after signal N."""
        while (message := await self._channel.receive()) is not None:
            if isinstance(message, Alive):
                self.beats += 1
                self.is_alive.set()
            elif isinstance(message, IsLoaded):
                self.is_loaded.set()
            elif isinstance(message, HasBegun):
                self.has_begun.set()
            elif isinstance(message, IsServing):
                self.is_serving.set()
            elif isinstance(message, HasRead):
                self.has_read.set()
            elif isinstance(message, KeepCopy):
                self.keep(message)
            elif isinstance(message, MakerError):
                self.ending = message
        code = await self._child.wait()
        self.close()
        return code

    def confirm(self, kept: CopyIsKept) -> None:
        """Confirm the copies stored for a successor."""
        self._channel.send(kept)

    def extend(self, until: float) -> None:
        """Let the maker run until `until`."""
        self._deadline.extend(until)

    def reload(self) -> None:
        """Have the maker read its configuration again."""
        self._child.send_signal(signal.SIGHUP)

    async def stop(self) -> None:
        """End it gracefully, or kill it after `STOP_SECONDS`."""
        await self._child.stop(STOP_SECONDS)

    async def kill(self) -> None:
        """Kill it, and wait until it has ended."""
        await self._child.kill()
        self.close()

    def close(self) -> None:
        """Close the channel and the deadline pipe of a maker that has ended."""
        self._channel.close()
        self._deadline.close()
