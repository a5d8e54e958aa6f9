"""Apply a new configuration and a new API key while the daemon runs.

If any new input is unusable, none is applied. A setting that needs a restart keeps its old value until then. A secret
is registered with the logs, which mask it, before anything else is done with it. The lock on a new API key or stream is
taken before either is used. The lock on the old one is released once no connection uses it any longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from condord.config import credentials as keys
from condord.config.schema import Config
from condord.config.startup import Startup
from condord.daemon import live_keys, wiring
from condord.daemon.alert_service import AlertService
from condord.host import logs
from condord.host.instance_lock import Locks
from condord.host.network import Network
from condord.host.secret import Secret
from condord.http import server
from condord.http.guard import Guard
from condord.http.interfaces import GuardSettings
from condord.live.publisher import Publisher
from condord.notify.channel import Channel
from condord.upstream.interfaces import Login
from condord.upstream.rest import AlpacaRest
from condord.upstream.supervisor import Supervisor

RELEASE_SECONDS = 30.0
"""How long the lock on an old key or stream is kept: its connection may take 10 s for a step, and 3 s to close."""


class Inputs:
    """The settings in force: `config`, `login`, `token`, `channels`, `network`. `reread` loads the configuration.

    Configures the logs, which call this process `process`.

    Raises:
        CondordError: another daemon has the stream, or the environment names a proxy or certificates that cannot be
            used.
    """

    def __init__(
        self,
        startup: Startup,
        *,
        environ: Mapping[str, str],
        reread: Callable[[], Config],
        locks: Locks,
        process: str = "",
    ) -> None:
        self.config = startup.loaded.config
        self.login = _login(startup.key)
        self.token = startup.token
        self.network = Network(environ)
        self.environ = environ
        self._reread = reread
        self._locks = locks
        self._process = process
        self._secrets: list[Secret] = []
        self.channels = self._masked(wiring.channels(self.config, startup.channels))
        self._configure_logs(startup.key.key_id, startup.key.secret_key, *([self.token] if self.token else []))
        self.network.check(wiring.urls(self.config))
        locks.take(**wiring.slot(self.config, self.login))

    def renew(self) -> list[str]:
        """Read everything again, and apply the keys that need no restart; the same key keeps its `login` object.

        Returns:
            The configuration keys that need a restart.

        Raises:
            CondordError: as at the start, or no key was found, or a file of a channel cannot be used. Nothing has
            changed then.
        """
        new = self._reread()
        key = keys.find(self.environ, new.alpaca.key_id_file, new.alpaca.secret_key_file)
        self._configure_logs(key.key_id, key.secret_key)
        channels = self._masked(wiring.read_channels(new, self.environ))  # all of [[notify]] is live
        config = live_keys.taken(self.config, new)
        # If [alpaca] waits for a restart, so does the API key, which may belong to the other account.
        keeps_login = config.alpaca != new.alpaca or _is_of(key, self.login)
        login = self.login if keeps_login else _login(key)
        self.network.check(wiring.urls(config))
        self._locks.take(**wiring.slot(config, login))
        self.config, self.login, self.channels = config, login, channels
        self._configure_logs()
        return live_keys.differing(config, new)

    def release(self) -> None:
        """Release all locks but the one on the key and stream in force. No connection may use the others any longer."""
        self._locks.keep_only(**wiring.slot(self.config, self.login))

    def _masked(self, channels: tuple[Channel, ...]) -> tuple[Channel, ...]:
        """Let the log mask the secrets of `channels`, and return them."""
        secrets = (secret for channel in channels for secret in (channel.url, channel.signing_key))
        self._configure_logs(*(secret for secret in secrets if secret is not None))
        return channels

    def _configure_logs(self, *secrets: Secret) -> None:
        """Log as configured, and mask `secrets` and all earlier secrets."""
        self._secrets += [secret for secret in secrets if secret not in self._secrets]
        log = self.config.log
        logs.configure(log.level, log.format, secrets=self._secrets, environ=self.environ, process=self._process)


class Reload:
    """Applies new inputs to the running parts."""

    def __init__(
        self,
        inputs: Inputs,
        *,
        publisher: Publisher,
        alerts: AlertService,
        brokerage: AlpacaRest,
        supervisor: Supervisor,
        guard: Guard,
        guard_settings: Callable[[Config], GuardSettings],
    ) -> None:
        self._inputs = inputs
        self._publisher = publisher
        self._alerts = alerts
        self._brokerage = brokerage
        self._supervisor = supervisor
        self._guard = guard
        self._guard_settings = guard_settings
        self._release: asyncio.TimerHandle | None = None

    def run(self) -> None:
        """Apply the changes that drop no subscriber, and retry a halted stream; logs the result."""
        config, login = self._inputs.config, self._inputs.login
        live_keys.reload(self._inputs.renew, lambda: self._apply(config, login))
        self._supervisor.retry()

    def _apply(self, old: Config, old_login: Login) -> None:
        config, login = self._inputs.config, self._inputs.login
        stream = config.stream
        self._publisher.set_stream(window_seconds=stream.window_seconds, min_change_e4=stream.min_change_e4)
        self._publisher.set_model(wiring.risks(config), wiring.dividends(config), wiring.cutoffs(config))
        self._alerts.set_channels(self._inputs.channels)  # before the rules, whose ends go to them
        self._alerts.set_rules(wiring.alert_rules(config))
        self._publisher.set_exits(wiring.exits(config))
        self._guard.reload(self._guard_settings(config))
        if config.server.max_subscribers > old.server.max_subscribers:
            server.reserve_files(config.server.max_subscribers)
        # REST before the streams: after they reconnect, missed data is read over REST.
        self._brokerage.set_breaker(config.rest.breaker_failures, config.rest.breaker_reset_seconds)
        feeds, old_feeds = ((each.alpaca.feed, each.alpaca.stock_feed) for each in (config, old))
        if login is not old_login or feeds != old_feeds:
            self._brokerage.relogin(wiring.rest(config), login)
        self._supervisor.reload(wiring.supervisor(config), login)
        if self._release is not None:
            self._release.cancel()
        self._release = asyncio.get_running_loop().call_later(RELEASE_SECONDS, self._inputs.release)


def _login(key: keys.Credentials) -> Login:
    return Login(key.key_id.reveal, key.secret_key.reveal)


def _is_of(key: keys.Credentials, login: Login) -> bool:
    """Whether `login` has this key; where it was found does not matter."""
    return (key.key_id.reveal(), key.secret_key.reveal()) == (login.key_id, login.secret_key)
