"""Check the bus: whether it answers, takes the credentials and large messages, and has JetStream and a leader."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import msgspec

from condord.check.report import Check, Name, fail, ok, warn
from condord.check.slot import OnBus
from condord.cluster.bus import Bus, BusError
from condord.cluster.bus_frames import (
    SNAPSHOTS,
    STATE_BUCKET,
    ask_subject,
    frames_subject,
    resume_subject,
    state_key,
)
from condord.cluster.event_blocks import EventBlocks
from condord.cluster.fenced import FencedKey
from condord.cluster.kv import NO_JETSTREAM_REMEDY, KvBucket, key_subject
from condord.cluster.lease import LEASES, accounts, holder_of
from condord.cluster.nats_client import (
    MIN_PAYLOAD_BYTES,
    PAYLOAD_REMEDY,
    VERSION_REMEDY,
    is_older_than_recommended,
    is_too_old,
)
from condord.cluster.state_copies import copied_name
from condord.config.bus_credentials import BusCredentials
from condord.config.schema import Cluster
from condord.daemon.bus_settings import bus_settings, own_name
from condord.errors import AccessDenied, ConfigError, Unavailable
from condord.live.remedies import CAUSE_REMEDIES, FORBIDDEN_REMEDY, sentence, split_remedy
from condord.live.replica import UnreadableEvent
from condord.live.wire import Document, Status
from condord.upstream import state_files

CONNECT_SECONDS = 5.0
CHECK_SECONDS = 0.05

_NAME: Name = "bus"
_UNREACHABLE = "Check cluster.bus, the network, and whether the NATS servers run."
_NO_JETSTREAM = f"{NO_JETSTREAM_REMEDY[0].upper()}{NO_JETSTREAM_REMEDY[1:]}."
_NO_LEADER = (
    "Start an ingester: a condord with cluster.role = ingest and this bus. If one runs, its log and `condord check "
    "--online` with its configuration show why it does not lead."
)
_NO_ACCOUNT = "Run it with the key of the account, or set cluster.account."


async def checked(
    cluster: Cluster, credentials: BusCredentials | None, environ: Mapping[str, str], account: str = ""
) -> Check:
    """Return the result for the bus of a relay or an ingester; `account` is its name there, if that is known."""
    try:
        async with _connected(cluster, credentials, environ) as bus:
            try:
                found = await accounts(bus)
                return await _forbidden(cluster, bus, found, account) or await _allowed(cluster, bus, found)
            except BusError as error:
                text, remedy = split_remedy(f"{_server(bus)}: {error}", CAUSE_REMEDIES)
                return fail(_NAME, text, sentence(remedy or _version_remedy(bus)) or _NO_JETSTREAM)
    except (ConfigError, AccessDenied) as error:
        return fail(_NAME, str(error), error.hint, error.exit_code)
    except Unavailable as error:
        return fail(_NAME, str(error), error.hint)


async def known(
    cluster: Cluster, credentials: BusCredentials | None, environ: Mapping[str, str], account: str
) -> OnBus:
    """Return the state of this account on the bus: its leader, the leader's status, and the hash of the account."""
    with contextlib.suppress(ConfigError, AccessDenied, Unavailable, BusError):
        async with _connected(cluster, credentials, environ) as bus:
            lease = await holder_of(bus, account)
            name = await copied_name(KvBucket(bus, STATE_BUCKET), account, state_files.EXTREMES)
            account_hash = None if name is None else state_files.account_hash(name)
            if lease is None:
                return OnBus("", account_hash)
            return OnBus(lease.holder, account_hash, await _stored_status(bus, account, lease.fence))
    return OnBus(leader=None)


async def _stored_status(bus: Bus, account: str, fence: int) -> Status | None:
    """Return the status in the snapshot that the leader with this fence has stored; None without a readable one."""
    try:
        stored = await FencedKey(KvBucket(bus, SNAPSHOTS), account).read()
        if stored is None or stored.fence != fence:
            return None
        events = EventBlocks().feed(stored.value)
        return msgspec.json.decode(events[0].data, type=Document).status if events else None
    except (BusError, UnreadableEvent, msgspec.DecodeError):  # by another version, or the bus forbids to read it
        return None


@contextlib.asynccontextmanager
async def _connected(
    cluster: Cluster, credentials: BusCredentials | None, environ: Mapping[str, str]
) -> AsyncIterator[Bus]:
    """A connection to the bus.

    Raises:
        ConfigError: the certificates that the environment or the credentials name cannot be used.
        AccessDenied: it does not accept the credentials.
        Unavailable: it cannot be reached.
    """
    refusals: list[AccessDenied] = []
    settings = bus_settings(cluster, credentials, environ)
    bus = Bus(settings, name=f"condord check {own_name()}", refused=refusals.append, chance=lambda: 0.0)
    task = asyncio.create_task(bus.run())
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                while not bus.is_connected and not refusals:  # noqa: ASYNC110 - a bus has no event for a refusal
                    await asyncio.sleep(CHECK_SECONDS)
        if refusals:
            raise refusals[0]
        if not bus.is_connected:
            text, remedy = split_remedy(bus.reason, CAUSE_REMEDIES)
            raise Unavailable(text, sentence(remedy) or _UNREACHABLE)
        yield bus
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _forbidden(cluster: Cluster, bus: Bus, found: list[str], account: str) -> Check | None:
    """The result if the bus denies a permission that the role needs; else None, as far as can be tried."""
    if not account and len(found) != 1:
        if cluster.role != "ingest":
            return None
        text = f"{_server(bus)} answers, but what it permits is not known, as the account is not"
        return warn(_NAME, text, _NO_ACCOUNT)
    account = account or found[0]
    frames, questions = (frames_subject(account),), (ask_subject(account), resume_subject(account))
    if cluster.role == "ingest":
        what = await bus.try_out(publish=frames, subscribe=questions, write=_keys(account))
    else:
        what = await bus.try_out(publish=questions, subscribe=frames)
    if what is None:
        return None
    return fail(_NAME, f"{_server(bus)} forbids this user to {what}", sentence(FORBIDDEN_REMEDY))


def _keys(account: str) -> tuple[str, ...]:
    """The subjects of the keys that a leader writes; one of each bucket."""
    keys = {LEASES: account, STATE_BUCKET: state_key(account, state_files.EXTREMES), SNAPSHOTS: account}
    return tuple(key_subject(bucket, key) for bucket, key in keys.items())


async def _allowed(cluster: Cluster, bus: Bus, found: list[str]) -> Check:
    """The result for a bus with the permissions that the role needs."""
    if cluster.role == "ingest":
        return _judged(bus, f"accounts that are led: {', '.join(found) or 'none'}")
    return _of_relay(cluster, bus, found, await _leader(bus, cluster.account))


def _server(bus: Bus) -> str:
    """The servers, and the version of the one that answers."""
    return f"{bus.urls} (nats-server {bus.version})" if bus.version else bus.urls


def _version_remedy(bus: Bus) -> str:
    """The remedy if the server is too old; otherwise empty."""
    return VERSION_REMEDY if is_too_old(bus.version) else ""


async def _leader(bus: Bus, account: str) -> str:
    """Describe the leader of the account, or of the only one; empty if there is none."""
    found = [account] if account else await accounts(bus)
    if len(found) != 1:
        return ""
    lease = await holder_of(bus, found[0])
    return f"account {found[0]}, led by {lease.holder}" if lease is not None else ""


def _of_relay(cluster: Cluster, bus: Bus, found: list[str], leader_text: str) -> Check:
    """The result for a bus that answers, which needs a leader for a relay."""
    if not cluster.account and len(found) > 1:
        text = f"{_server(bus)} has several accounts: {', '.join(found)}"
        return fail(_NAME, text, "Set cluster.account to one of them.", ConfigError.exit_code)
    if not leader_text and found:
        text = f"{_server(bus)} has no account {cluster.account} that is led, but {', '.join(found)}"
        return fail(_NAME, text, "Set cluster.account to one of these, or start an ingester of the account.")
    if not leader_text:
        named = f" of account {cluster.account}" if cluster.account else ""
        return warn(_NAME, f"{_server(bus)} answers, but no ingester{named} leads", _NO_LEADER)
    return _judged(bus, leader_text)


def _judged(bus: Bus, text: str) -> Check:
    if remedy := _version_remedy(bus):
        return warn(_NAME, f"{_server(bus)} is too old; {text}", sentence(remedy))
    if (bus.max_payload or 0) < MIN_PAYLOAD_BYTES:
        text = f"{_server(bus)}, {text}; it takes messages of at most {bus.max_payload} bytes"
        return warn(_NAME, text, sentence(PAYLOAD_REMEDY))
    if is_older_than_recommended(bus.version):
        return ok(_NAME, f"{_server(bus)}, which is older than recommended, {text}", sentence(VERSION_REMEDY))
    return ok(_NAME, f"{_server(bus)}, {text}")
