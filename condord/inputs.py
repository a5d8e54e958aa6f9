"""Decides what the daemon runs on: a configuration, a key, and the lock on both; read again, all or nothing.

Rules: whatever of new inputs is unusable, the old ones stay as they are. A secret is hidden from the logs before
anything else is done with it, and never shown again. The lock on a new key or stream is taken before either is used,
and the one on the old is given back when nobody is connected with it any more, which the service says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from condord import credentials as keys
from condord import logs, settings
from condord.config import Config
from condord.lock import Locks
from condord.upstream.ports import Login


class Inputs:
    """What is in force: `config`, `login` and `token`; `reread` loads the configuration again.

    Raises:
        CondordError: no key was found, a file with a secret cannot be used, or another daemon has the stream.
    """

    def __init__(
        self, config: Config, *, environ: Mapping[str, str], reread: Callable[[], Config], locks: Locks
    ) -> None:
        self.config = config
        self._environ = environ
        self._reread = reread
        self._locks = locks
        self._hidden: list[keys.Secret] = []
        self._key = self._find(config)
        self.login = _login(self._key)
        self.token = keys.read_token(config.server.token_file, environ) if config.server.token_file else None
        self._hide(*([self.token] if self.token else []))
        locks.take(**settings.slot(config, self.login))

    def renew(self) -> list[str]:
        """Read everything again and put in force what can be; returns the configuration's keys that wait for a restart.

        `login` stays the same object while the key does.

        Raises:
            CondordError: as at the start, and nothing has changed.
        """
        new = self._reread()
        key = self._find(new)
        config = settings.taken(self.config, new)
        if config.alpaca != new.alpaca or _is_same(key, self._key):
            key = self._key
        login = self.login if key is self._key else _login(key)
        self._locks.take(**settings.slot(config, login))
        self.config, self.login, self._key = config, login, key
        self._hide()
        return settings.differing(config, new)

    def let_go(self) -> None:
        """Nobody is connected any more with another key or stream than those in force."""
        self._locks.keep_only(**settings.slot(self.config, self.login))

    def _find(self, config: Config) -> keys.Credentials:
        key = keys.find(self._environ, config.alpaca.key_id_file, config.alpaca.secret_key_file)
        self._hide(key.key_id, key.secret_key)
        return key

    def _hide(self, *secrets: keys.Secret) -> None:
        """Log as configured, and never any of `secrets` or of those before."""
        self._hidden += [secret for secret in secrets if secret not in self._hidden]
        log = self.config.log
        logs.configure(log.level, log.format, secrets=self._hidden, environ=self._environ)


def _login(key: keys.Credentials) -> Login:
    return Login(key.key_id.reveal, key.secret_key.reveal)


def _is_same(one: keys.Credentials, other: keys.Credentials) -> bool:
    """Whether it is one key, wherever it was found."""
    return one.key_id == other.key_id and one.secret_key == other.secret_key
