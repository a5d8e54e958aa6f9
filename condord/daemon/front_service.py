"""Run a front, which is one of several ingesters on a bus.

None of this imports alpaca-py: a child process, the maker, reads the account while this process leads.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from condord.client.address import parse_url
from condord.cluster.connection import SourceSettings
from condord.cluster.maker_channel import Begin
from condord.config.account_name import account_digest, account_name, lease_digest, require_account
from condord.config.relay_startup import RelayStartup
from condord.config.schema import Config
from condord.config.startup import Startup
from condord.daemon import account_source, relay_service
from condord.daemon.bus_settings import bus_settings
from condord.daemon.followed_front import FollowedFront, FrontSettings
from condord.daemon.front import Front
from condord.daemon.relay import RelayInputs, RelayParts
from condord.daemon.relay_feed import RelayFeed
from condord.errors import CondordError
from condord.host import instance_lock, logs
from condord.host.network import Network
from condord.host.private_directory import private_directory
from condord.host.systemd import without_systemd
from condord.http.front_routes import ENDPOINTS
from condord.live.replica import Replica
from condord.upstream import state_files

_HINT = "Set TMPDIR or RUNTIME_DIRECTORY to a writable directory."

_log = logging.getLogger(__name__)


def run(
    startup: Startup,
    *,
    config_file: Path | None,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    announce: Callable[[str], None],
    reread: Callable[[], Config],
    log_dropped: Callable[[], int] = lambda: 0,
) -> None:
    """Run an ingester on a bus in the foreground until SIGINT or SIGTERM.

    `config_file` and `flags` come from the command line; the other arguments are as for `daemon.service.run`.

    Raises:
        CondordError: the address is taken, the certificates named in the environment cannot be used, the bus does not
            accept the credentials, no daemon of the account can be started, or another ingester of the account has
            the state directory.
    """
    given = RelayStartup(
        loaded=startup.loaded, source_token=None, bus_credentials=startup.bus_credentials, token=startup.token
    )
    digest, cluster = account_digest(startup.loaded.config, startup.key), startup.loaded.config.cluster

    def reread_account() -> Config:
        new = reread()
        # A new `cluster.account` waits for a restart.
        require_account(digest, msgspec.structs.replace(new, cluster=cluster), environ)
        return new

    inputs = RelayInputs(given, environ=environ, reread=reread_account, process="front")
    for warning in startup.loaded.warnings:
        _log.warning("Configuration warning", extra=logs.fields(code="configuration", reason=warning))
    fronts: list[FollowedFront] = []
    with (
        _own_state(startup, environ),
        private_directory(environ, purpose="the maker", hint=_HINT) as directory,
    ):
        settings = _settings(startup, inputs, directory, config_file, flags)

        def follow(replica: Replica, feed: RelayFeed, refused: Callable[[CondordError], None]) -> FollowedFront:
            fronts.append(FollowedFront(settings, replica, feed, refused))
            return fronts[0]

        def job(inputs: RelayInputs, parts: RelayParts) -> Front:
            return Front(inputs, parts, fronts[0])

        relay_service.serve(inputs, follow, announce=announce, log_dropped=log_dropped, job=job, endpoints=ENDPOINTS)


def _own_state(startup: Startup, environ: Mapping[str, str]) -> contextlib.AbstractContextManager[None]:
    """The lock of this ingester on its state, if another ingester could use the same directory."""
    config = startup.loaded.config
    state = state_files.directory(environ, lasts=account_source.source(config) != "simulator")
    if state is None:
        return contextlib.nullcontext()
    return instance_lock.only_ingester(account_name(config, startup.key), state)


def _settings(
    startup: Startup,
    inputs: RelayInputs,
    directory: Path,
    config_file: Path | None,
    flags: Mapping[str, Any],
) -> FrontSettings:
    config, environ, own_state = startup.loaded.config, inputs.environ, directory / "state"
    network, socket_path = Network(environ), str(directory / "maker")
    address = {"server.host": None, "server.port": None, "server.uds": socket_path, "server.workers": 1}
    own = {"cluster.role": "all", "cluster.bus": "", "cluster.account": config.cluster.account}
    return FrontSettings(
        bus=bus_settings(config.cluster, startup.bus_credentials, environ),
        account=account_name(config, startup.key),
        lease_seconds=config.cluster.lease_seconds,
        begin=Begin(
            config_file=None if config_file is None else str(config_file),
            account_digest=account_digest(config, startup.key),
            flags={**flags, **address, **own},
            state_directory=str(own_state),
            lease_digest=lease_digest(config, startup.key),
        ),
        environ=without_systemd(environ),
        maker=SourceSettings(
            address=parse_url(f"unix://{socket_path}"), token=startup.token, context=lambda: network.context
        ),
        history=lambda: inputs.config.history,
        state_directory=lambda lasts: state_files.directory(environ, lasts=lasts) or own_state,
    )
