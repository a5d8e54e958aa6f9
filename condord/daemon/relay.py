"""The job of a relay: follow another condord."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from condord.config import bus_credentials
from condord.config.relay_startup import RelayStartup
from condord.config.schema import Config
from condord.daemon import live_keys
from condord.daemon.followed import RelaySource
from condord.daemon.relay_view import RelayView
from condord.host import logs
from condord.host.secret import Secret
from condord.http import server
from condord.http.guard import Guard
from condord.http.interfaces import GuardSettings


class RelayInputs:
    """The settings in force: `config` and the tokens; `reread` loads the configuration again.

    `worker` is the number of a worker, None in a relay. Configures the logs, which mask both tokens and the bus's
    credentials, and call this process `process`.
    """

    def __init__(
        self,
        startup: RelayStartup,
        *,
        environ: Mapping[str, str],
        reread: Callable[[], Config],
        worker: int | None = None,
        process: str = "",
    ) -> None:
        self.worker = worker
        self._process = process if worker is None else f"worker-{worker}"
        self.config = startup.loaded.config
        self.token = startup.token
        self.source_token = startup.source_token
        self._bus_secrets = bus_credentials.secrets_of(startup.bus_credentials)
        self.environ = environ
        self._reread = reread
        self._configure_logs()

    def renew(self) -> list[str]:
        """Read the configuration again, and return the keys that need a restart.

        Raises:
            CondordError: it is not valid; nothing has changed then.
        """
        new = self._reread()
        self.config = live_keys.taken(self.config, new)
        self._configure_logs()
        return live_keys.differing(self.config, new)

    def _configure_logs(self) -> None:
        log = self.config.log
        secrets: list[Secret] = [secret for secret in (self.token, self.source_token) if secret is not None]
        secrets += self._bus_secrets
        logs.configure(log.level, log.format, secrets=secrets, environ=self.environ, process=self._process)


class RelayParts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that the job runs and reloads."""

    followed: RelaySource
    view: RelayView
    guard: Guard
    guard_settings: Callable[[Config], GuardSettings]


class Relay:
    """Implements `condord.daemon.serving.Job`."""

    def __init__(self, inputs: RelayInputs, parts: RelayParts) -> None:
        self._inputs = inputs
        self._parts = parts

    @property
    def tasks(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The tasks that run until the stop."""
        return {"the follower": self._parts.followed.run}

    @property
    def writers(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Nothing is stored."""
        return {}

    @property
    def log_fields(self) -> Mapping[str, object]:
        """The source or the bus, which the daemon of a worker logs."""
        if self._inputs.worker is not None:
            return {}
        cluster = self._inputs.config.cluster
        return {"bus": cluster.bus} if cluster.bus else {"source": cluster.source}

    def stuck(self, _now: float) -> str | None:
        """Nothing can be stuck but the event loop."""
        return None

    def note_suspension(self, seconds: float) -> None:
        """Count the source as lost until an event shows its state."""
        self._parts.followed.note_suspension(seconds)

    def status_text(self) -> str:
        """The state of the source's option stream, or that the source is lost."""
        status = self._parts.view.status
        if status is None:
            unread = self._parts.view.unread
            return "starting" if unread is None else f"starting: {unread.detail}"
        return f"{status.state}: {status.reason}" if status.reason else status.state

    def reload(self) -> None:
        """Apply the changes that drop no subscriber, and connect at once; logs the result."""
        before = self._inputs.config.server.max_subscribers
        live_keys.reload(self._inputs.renew, lambda: self._apply(before))
        self._parts.followed.retry()

    def renew(self) -> None:
        """Apply a worker's new configuration, which its daemon has already checked; logs nothing."""
        before = self._inputs.config.server.max_subscribers
        self._inputs.renew()
        self._apply(before)

    def _apply(self, before: int) -> None:
        self._parts.guard.reload(self._parts.guard_settings(self._inputs.config))
        if (most := self._inputs.config.server.max_subscribers) > before:
            server.reserve_files(most, is_child=self._inputs.worker is not None)

    async def finish(self) -> None:
        """Nothing is left to store."""
        await asyncio.sleep(0)

    def close(self) -> None:
        """Nothing is open: a connection ends with its task."""
