"""Run a relay: build its parts and serve.

None of this imports alpaca-py or anything that reads an account, so that a relay is small.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from prometheus_client.registry import Collector

from condord import __version__
from condord.client.address import parse_url
from condord.cluster.connection import SourceSettings
from condord.config import schema
from condord.config.relay_startup import RelayStartup
from condord.config.schema import Config
from condord.daemon import counts as counting
from condord.daemon import place as places
from condord.daemon import web, worker_pool
from condord.daemon.counts import Counts
from condord.daemon.followed import Follow, FollowedSource
from condord.daemon.place import Place
from condord.daemon.relay import Relay, RelayInputs, RelayParts
from condord.daemon.relay_feed import RelayFeed
from condord.daemon.relay_view import RelayView
from condord.daemon.serving import ServerParts, Service
from condord.daemon.subscribers import Subscribers
from condord.errors import CondordError
from condord.host import logs
from condord.host.network import Network
from condord.host.suspensions import Suspensions
from condord.host.systemd import Notifier, listen_sockets
from condord.host.thread_pool import ResolvingLoop
from condord.http import app, server
from condord.http.interfaces import GuardSettings, MetricValues
from condord.http.metrics import Metrics
from condord.http.relays_header import RelaysHeader
from condord.http.tickets import Tickets
from condord.http.unread import UnreadGate
from condord.live.fanout import RESYNCS, Fanout
from condord.live.replica import Replica, empty_edition
from condord.live.source_clock import SourceClock

_log = logging.getLogger(__name__)


class BuiltRelay(msgspec.Struct, frozen=True, kw_only=True):
    """A relay that can be run, and what a worker needs of its parts."""

    service: Service
    server: server.HttpServer
    job: Relay
    view: RelayView
    subscribers: Subscribers
    counts: Callable[[], Counts]
    registry: Collector


def run(
    startup: RelayStartup,
    *,
    environ: Mapping[str, str],
    announce: Callable[[str], None],
    reread: Callable[[], Config] | None = None,
    log_dropped: Callable[[], int] = lambda: 0,
) -> None:
    """Run a relay in the foreground until SIGINT or SIGTERM; the arguments are as for `daemon.service.run`.

    Raises:
        CondordError: the address is taken, the certificates named in the environment cannot be used, the source does
            not accept the token or is this relay itself, or the bus does not accept the credentials.
    """
    config = startup.loaded.config
    inputs = RelayInputs(startup, environ=environ, reread=reread or (lambda: config))
    for warning in startup.loaded.warnings:
        _log.warning("Configuration warning", extra=logs.fields(code="configuration", reason=warning))
    follow = _of_bus(startup, environ) if config.cluster.bus else _of_source(startup, environ)
    serve(inputs, follow, announce=announce, log_dropped=log_dropped)


def serve(
    inputs: RelayInputs,
    follow: Follow,
    *,
    announce: Callable[[str], None],
    log_dropped: Callable[[], int],
    job: Callable[[RelayInputs, RelayParts], Relay] = Relay,
    endpoints: Mapping[str, Callable[..., Any]] | None = None,
) -> None:
    """Serve the source that `follow` returns until SIGINT or SIGTERM. `job` makes the job from the parts.

    `endpoints` replace those of the application, by the names of their routes.

    Raises:
        CondordError: the address is taken, or the job cannot continue.
    """
    config, own_environ = inputs.config, dict(inputs.environ)
    notifier = Notifier.from_environ(own_environ)
    server.reserve_files(config.server.max_subscribers)

    async def main(place: Place) -> None:
        place = msgspec.structs.replace(place, endpoints=endpoints or {})
        built = build(inputs, follow, notifier, suspensions=suspensions, place=place, log_dropped=log_dropped, job=job)
        await built.service.run(announce)

    suspensions = Suspensions()
    inherited = listen_sockets(own_environ)
    with (
        places.opened(config.server, inherited, token=inputs.token, environ=inputs.environ) as place,
        asyncio.Runner(loop_factory=lambda: ResolvingLoop(suspensions.selector())) as runner,
    ):
        runner.run(main(place))


def _of_source(startup: RelayStartup, environ: Mapping[str, str]) -> Follow:
    """Return a function that follows the source.

    Raises:
        ConfigError: the certificates that the environment names cannot be used.
    """
    network = Network(environ)
    source = startup.loaded.config.cluster.source
    address = parse_url(source, allows_tls=True)
    if address.is_tls:
        network.check([source])
    settings = SourceSettings(address=address, token=startup.source_token, context=lambda: network.context)
    return functools.partial(FollowedSource, settings)


def _of_bus(startup: RelayStartup, environ: Mapping[str, str]) -> Follow:
    """Return a function that follows the bus.

    Raises:
        ConfigError: the certificates that the environment or the credentials name cannot be used.
    """
    from condord.daemon.bus_settings import bus_settings  # 35 ms and 3 MB, which a relay of a source does not need
    from condord.daemon.followed_bus import FollowedBus

    cluster = startup.loaded.config.cluster
    settings = bus_settings(cluster, startup.bus_credentials, environ)
    return functools.partial(FollowedBus, settings, cluster.account)


def build(
    inputs: RelayInputs,
    follow: Follow,
    notifier: Notifier,
    *,
    suspensions: Suspensions,
    place: Place,
    log_dropped: Callable[[], int],
    job: Callable[[RelayInputs, RelayParts], Relay] = Relay,
) -> BuiltRelay:
    """Build every part, within the running loop. None of them runs before the service does."""

    def numbers() -> MetricValues:
        return _numbers(replica, view, counts=counts(), max_subscribers=inputs.config.server.max_subscribers)

    def counts() -> Counts:
        own = counting.own(fanout, subscribers, log_dropped=log_dropped(), cluster=followed.cluster)
        return own if pool is None else counting.summed(own, pool.counts)

    def server_section() -> schema.Server:
        return place.own_section(inputs.config.server)

    def guard_settings(config: Config) -> GuardSettings:
        return web.guard_settings(
            config.server, token=inputs.token, tickets=view.tickets, takes_any_host=place.takes_any_host
        )

    def refused(error: CondordError) -> None:
        service.stop(error)

    loop = asyncio.get_running_loop()
    clock = SourceClock(utc_now)
    tickets = Tickets(inputs.token.reveal() if inputs.token else "", now_at=clock, shared=place.used_tickets)
    metrics = Metrics(__version__, numbers)  # calls `numbers` at the first scrape, when all parts exist
    edition = empty_edition(inputs.config.server.replay_size)
    fanout = Fanout(edition, ring_size=inputs.config.server.ring_size, follows=True)
    replica = Replica(edition, fanout)
    feed = RelayFeed(
        replica,
        loop=loop,
        clock=clock,
        observe=metrics.observe_update,
        machine=socket.gethostname(),
        source=inputs.config.cluster.source,
        is_worker=inputs.worker is not None,
    )
    followed = follow(replica, feed, refused)
    subscribers = Subscribers(fanout, settings=server_section, now_at=clock, slots=place.slots)
    pool = worker_pool.build(
        place,
        registry=metrics.registry,
        config=lambda: inputs.config,
        token=inputs.token,
        environ=inputs.environ,
    )
    view = RelayView(
        replica=replica,
        feed=feed,
        clock=clock,
        subscribers=subscribers,
        tickets=tickets,
        registry=metrics.registry if pool is None else pool.registry,
        counts=counts,
        settings=lambda: inputs.config.server,
        cluster=lambda: followed.cluster,
        address=place.address,
        followed=_followed_text(inputs.config),
    )
    built = web.build(
        app.build_relay(view, followed, place.endpoints),
        guard_settings(inputs.config),
        metrics=metrics,
        max_subscribers=lambda: server_section().max_subscribers,
        gate=lambda application: UnreadGate(application, lambda: view.unread),
        around=lambda guarded: RelaysHeader(guarded, lambda: followed.relays.text),
    )
    job_parts = RelayParts(followed=followed, view=view, guard=built.guard, guard_settings=guard_settings)
    relay_job = job(inputs, job_parts)
    parts = ServerParts(
        subscribers=subscribers,
        metrics=metrics,
        view=view,
        listeners=place.listeners,
        server=built.server,
        workers=pool,
    )
    service = Service(parts, relay_job, notifier, suspensions, is_child=inputs.worker is not None)
    return BuiltRelay(
        service=service,
        server=built.server,
        job=relay_job,
        view=view,
        subscribers=subscribers,
        counts=counts,
        registry=metrics.registry,
    )


def _followed_text(config: Config) -> str:
    """The name of the source, for people. Only a worker may have neither a source nor a bus."""
    cluster = config.cluster
    return f"the bus {cluster.bus}" if cluster.bus else cluster.source or "its daemon"


def utc_now() -> dt.datetime:
    """The wall clock."""
    return dt.datetime.now(dt.UTC)


def _numbers(replica: Replica, view: RelayView, *, counts: Counts, max_subscribers: int) -> MetricValues:
    """The numbers for a scrape; those that only the daemon of an account has are left out."""
    return MetricValues(
        status=view.status,
        cluster=view.cluster,
        published=replica.edition.tally,
        subscribers=counts.subscribers,
        max_subscribers=max_subscribers,
        frames=counts.frames,
        sent_bytes=counts.sent_bytes,
        dropped=counts.dropped,
        resyncs={**dict.fromkeys(RESYNCS, 0), **counts.resyncs},
        disconnects=counts.disconnects,
        log_dropped=counts.log_dropped,
    )
