"""Check the bus: whether it answers, takes the credentials and large messages, and has JetStream and a leader."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from condord.check.report import Check, Name, fail, ok, warn
from condord.cluster.bus import Bus, Unanswered
from condord.cluster.kv import NO_JETSTREAM_REMEDY
from condord.cluster.lease import Lease, accounts
from condord.cluster.nats_client import MIN_PAYLOAD_BYTES
from condord.config.bus_credentials import BusCredentials
from condord.config.schema import Cluster
from condord.daemon.bus_settings import bus_settings, own_name
from condord.errors import ConfigError, Refused

CONNECT_SECONDS = 5.0
LOOK_SECONDS = 0.05

_NAME: Name = "bus"
_UNREACHABLE = "Check cluster.bus, the network, and whether the NATS servers run."
_NO_JETSTREAM = f"{NO_JETSTREAM_REMEDY[0].upper()}{NO_JETSTREAM_REMEDY[1:]}."
_NO_LEADER = "Start an ingester: a condord with cluster.role = ingest and this bus."
_SMALL = f"Set max_payload: {MIN_PAYLOAD_BYTES // 1024 // 1024}MB in the configuration of nats-server."


async def checked(cluster: Cluster, credentials: BusCredentials | None, environ: Mapping[str, str]) -> Check:
    """Return the result for the bus of a relay or an ingester."""
    refusals: list[Refused] = []
    try:
        settings = bus_settings(cluster, credentials, environ)
    except ConfigError as error:
        return fail(_NAME, str(error), error.hint, error.exit_code)
    bus = Bus(settings, name=f"condord check {own_name()}", refused=refusals.append, chance=lambda: 0.0)
    async with _running(bus):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                while not bus.is_connected and not refusals:  # noqa: ASYNC110 - a bus has no event for a refusal
                    await asyncio.sleep(LOOK_SECONDS)
        if refusals:
            return fail(_NAME, str(refusals[0]), refusals[0].hint, refusals[0].exit_code)
        if not bus.is_connected:
            return fail(_NAME, bus.reason, _UNREACHABLE)
        try:
            found = await accounts(bus)
            if cluster.role == "ingest":
                return _judged(bus, f"accounts that are led: {', '.join(found) or 'none'}")
            return _of_relay(cluster, bus, found, await _led(bus, cluster.account))
        except Unanswered as error:
            return fail(_NAME, f"{bus.urls}: {error}", _NO_JETSTREAM)


@contextlib.asynccontextmanager
async def _running(bus: Bus) -> AsyncIterator[None]:
    task = asyncio.create_task(bus.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _led(bus: Bus, account: str) -> str:
    """Describe the leader of the account, or of the only one; empty if there is none."""
    found = [account] if account else await accounts(bus)
    if len(found) != 1:
        return ""
    lease = await Lease(bus, found[0], seconds=CONNECT_SECONDS, nonce="").look()
    return f"account {found[0]}, led by {lease.holder}" if lease is not None else ""


def _of_relay(cluster: Cluster, bus: Bus, found: list[str], led: str) -> Check:
    """The result for a bus that answers, which needs a leader for a relay."""
    if not cluster.account and len(found) > 1:
        text = f"{bus.urls} has several accounts: {', '.join(found)}"
        return fail(_NAME, text, "Set cluster.account to one of them.", ConfigError.exit_code)
    if not led:
        named = f" of account {cluster.account}" if cluster.account else ""
        return warn(_NAME, f"{bus.urls} answers, but no ingester{named} leads", _NO_LEADER)
    return _judged(bus, led)


def _judged(bus: Bus, text: str) -> Check:
    if (bus.max_payload or 0) < MIN_PAYLOAD_BYTES:
        return warn(_NAME, f"{bus.urls}, {text}; it takes messages of at most {bus.max_payload} bytes", _SMALL)
    return ok(_NAME, f"{bus.urls}, {text}")
