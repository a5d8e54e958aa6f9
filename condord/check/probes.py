"""Run every check of `condord check --online`, with the daemon's own parts."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence

from condord.check.alpaca import AlpacaProbes
from condord.check.channels import ChannelProbes
from condord.check.local import LocalProbes
from condord.check.report import ELECTED_NAMES, NAMES, Check, Name, offline
from condord.check.schedule import Schedule, quiet
from condord.check.slot import OnBus
from condord.client.http import Daemon
from condord.config import bus_credentials
from condord.config.account_name import account_name
from condord.config.startup import StartupFindings
from condord.daemon import wiring
from condord.host import logs
from condord.host.network import Network
from condord.host.thread_pool import ResolvingLoop
from condord.notify.channel import Channel
from condord.notify.delivery import Delivery
from condord.notify.senders import RealSenders
from condord.notify.store import AlertStore
from condord.upstream.interfaces import Login


def run(
    found: StartupFindings, *, daemon: Daemon | None, environ: Mapping[str, str], note: Callable[[Name], None]
) -> tuple[Check, ...]:
    """Run every check, each within its time (`schedule`); the results are in the order of `report.NAMES`, then `bus`.

    Args:
        found: what a daemon would start with, or its faults.
        daemon: a client for the daemon at the configured address; None if the address is not known.
        environ: the environment, for the network and the directory of the locks.
        note: is called with the name of a check that takes longer than a second.
    """
    secrets = [found.key.key_id, found.key.secret_key] if found.key else []
    secrets += [found.token] if found.token else []
    secrets += bus_credentials.secrets_of(found.bus_credentials)
    logs.configure("error", found.loaded.config.log.format, secrets=secrets, environ=environ)
    with quiet(), asyncio.Runner(loop_factory=ResolvingLoop) as runner:
        return runner.run(run_checks(found, daemon=daemon, environ=environ, note=note))


async def run_checks(
    found: StartupFindings, *, daemon: Daemon | None, environ: Mapping[str, str], note: Callable[[Name], None]
) -> tuple[Check, ...]:
    """Run the checks within a running loop, without configuring the log."""
    config = found.loaded.config
    login = Login(found.key.key_id.reveal, found.key.secret_key.reveal) if found.key else None
    local = LocalProbes(config, login, daemon=daemon, environ=environ)
    channels = ChannelProbes(
        lambda: wiring.read_channels(config, environ), lambda configured: _delivery(configured, environ)
    )
    is_elected = config.cluster.is_elected
    schedule = Schedule(note, ELECTED_NAMES if is_elected else NAMES)
    config_valid, credentials_found = offline(found)
    schedule.settle(config_valid)
    schedule.settle(credentials_found, blocked_by="config-valid" if found.is_key_unknown else None)
    with (
        contextlib.closing(local),
        AlpacaProbes(
            config,
            login,
            environ=environ,
            report=lambda: local.report,
            unread=lambda: local.unread,
            on_bus=lambda: _on_bus(found, environ),
        ) as alpaca,
    ):
        probes = {**alpaca.probes, **local.probes, **channels.probes}
        if is_elected:
            probes |= {"bus": lambda: _bus(found, environ), "state-free": lambda: local.state_free(_account(found))}
        return await schedule.run(probes)


async def _bus(found: StartupFindings, environ: Mapping[str, str]) -> Check:
    """Connect to the bus, as an ingester will."""
    from condord.check import bus  # 35 ms, which a daemon without a bus does not need

    return await bus.checked(found.loaded.config.cluster, found.bus_credentials, environ, _account(found))


def _account(found: StartupFindings) -> str:
    """The account's name on the bus; empty if that is not known."""
    config = found.loaded.config
    return config.cluster.account if found.key is None else account_name(config, found.key)


async def _on_bus(found: StartupFindings, environ: Mapping[str, str]) -> OnBus:
    """Return the state of an ingester's account on its bus."""
    cluster = found.loaded.config.cluster
    if not cluster.is_elected or found.key is None:
        return OnBus()
    from condord.check import bus  # 35 ms, as in `_bus`

    account = account_name(found.loaded.config, found.key)
    return await bus.known(cluster, found.bus_credentials, environ, account)


@contextlib.contextmanager
def _delivery(channels: Sequence[Channel], environ: Mapping[str, str]) -> Iterator[Delivery]:
    """The daemon's delivery to these channels, with an outbox that is neither read nor written."""
    senders = RealSenders(Network(environ), environ, machine_at=_utc_now)
    store = AlertStore(None, machine_at=_utc_now)
    delivery = Delivery(store, senders, now_at=_utc_now, session_end=lambda _: _utc_now())
    delivery.set_channels(channels)
    try:
        yield delivery
    finally:
        senders.stop()


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
