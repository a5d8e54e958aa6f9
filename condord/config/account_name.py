"""The name of an account on the bus if the configuration has none, and whether a changed configuration has another.

An ingester keeps the name and the account that it was started with: subscribers, the state on the bus and the other
ingesters know nothing else of the account.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from condord.config import credentials
from condord.config.credentials import Credentials
from condord.config.schema import Config
from condord.errors import ConfigError

_DIGITS = 12
_HINT = (
    "Undo the change, or restart every ingester with it. With `cluster.account` a new key for the same account needs "
    "no restart."
)


def account_name(config: Config, key: Credentials) -> str:
    """Return `cluster.account`, or else a digest of the key id and the trading URL, which all ingesters share."""
    return config.cluster.account or account_digest(config, key)


def account_digest(config: Config, key: Credentials) -> str:
    """Return a digest of the trading URL and of `cluster.account`, or else the key id, to compare accounts with."""
    environment = config.alpaca.trading_url or ("paper" if config.alpaca.paper else "live")
    named = config.cluster.account or key.key_id.reveal()
    return hashlib.sha256(f"{named} {environment}".encode()).hexdigest()[:_DIGITS]


def lease_digest(config: Config, key: Credentials) -> str:
    """Return a digest of the account's name on the bus and of the bus, to compare leases with."""
    names = [account_name(config, key), *sorted(config.cluster.bus_urls)]
    return hashlib.sha256(" ".join(names).encode()).hexdigest()[:_DIGITS]


def require_account(digest: str, config: Config, environ: Mapping[str, str]) -> None:
    """Check that a configuration, with the key that it names, has the account of `digest`.

    Raises:
        ConfigError: it has another one.
        CredentialsMissing: there is no key.
    """
    key = credentials.find(environ, config.alpaca.key_id_file, config.alpaca.secret_key_file)
    if account_digest(config, key) != digest:
        raise ConfigError(["[alpaca] or its key has changed, and an ingester keeps the account of its start"], _HINT)
