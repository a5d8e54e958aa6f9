"""Run a relay: build its parts and serve.

None of this imports alpaca-py or anything that reads an account, so that a relay is small.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import random
import socket
from collections.abc import Callable, Mapping, Sequence

from condord import __version__
from condord.client.http import parse_url
from condord.cluster.connection import SourceSettings
from condord.cluster.follower import Follower
from condord.cluster.questions import Questions
from condord.config.relay_startup import RelayStartup
from condord.config.schema import Config
from condord.daemon import web
from condord.daemon.relay import Relay, RelayInputs, RelayParts
from condord.daemon.relay_feed import RelayFeed
from condord.daemon.relay_view import RelayView
from condord.daemon.serving import ServerParts, Service
from condord.daemon.subscribers import Subscribers
from condord.errors import Refused
from condord.host import logs
from condord.host.network import Network
from condord.host.systemd import Notifier, listen_sockets
from condord.host.thread_pool import ResolvingLoop
from condord.http import app, server
from condord.http.interfaces import GuardSettings, MetricValues
from condord.http.metrics import Metrics
from condord.http.tickets import Tickets
from condord.http.unread import UnreadGate
from condord.live.fanout import RESYNCS, Fanout
from condord.live.replica import Replica, empty_edition
from condord.live.source_clock import SourceClock

_log = logging.getLogger(__name__)


def run(
    startup: RelayStartup,
    *,
    environ: Mapping[str, str],
    announce: Callable[[str], None],
    reread: Callable[[], Config] | None = None,
    log_dropped: Callable[[], int] = lambda: 0,
) -> None:
    """Run a relay in the foreground until SIGINT or SIGTERM; the arguments are those of `daemon.service.run`.

    Raises:
        CondordError: the address is taken, the certificates named in the environment cannot be used, or the source
            does not accept the token.
    """
    config = startup.loaded.config
    inputs = RelayInputs(startup, environ=environ, reread=reread or (lambda: config))
    for warning in startup.loaded.warnings:
        _log.warning("Configuration warning", extra=logs.fields(code="configuration", reason=warning))
    network = Network(environ)
    address = parse_url(config.cluster.source, allows_tls=True)
    if address.is_tls:
        network.check([config.cluster.source])
    settings = SourceSettings(address=address, token=startup.source_token, context=lambda: network.context)
    own_environ = dict(environ)
    notifier = Notifier.from_environ(own_environ)
    server.reserve_files(config.server.max_subscribers)

    async def main(listeners: Sequence[socket.socket]) -> None:
        await build(inputs, settings, notifier, listeners=listeners, log_dropped=log_dropped).run(announce)

    with (
        server.listening(web.address(config.server), listen_sockets(own_environ)) as listeners,
        asyncio.Runner(loop_factory=ResolvingLoop) as runner,
    ):
        if inputs.token is None:
            server.require_loopback(listeners)
        runner.run(main(listeners))


def build(
    inputs: RelayInputs,
    settings: SourceSettings,
    notifier: Notifier,
    *,
    listeners: Sequence[socket.socket],
    log_dropped: Callable[[], int],
) -> Service:
    """Build every part, within the running loop. None of them runs before the service does."""

    def numbers() -> MetricValues:
        return _numbers(
            replica,
            view,
            sent_bytes=subscribers.sent_bytes,
            max_subscribers=inputs.config.server.max_subscribers,
            log_dropped=log_dropped(),
        )

    def guard_settings(config: Config) -> GuardSettings:
        return web.guard_settings(config.server, token=inputs.token, tickets=view.tickets, listeners=listeners)

    def refused(error: Refused) -> None:
        service.stop(error)

    loop = asyncio.get_running_loop()
    clock = SourceClock(utc_now)
    metrics = Metrics(__version__, numbers)  # calls `numbers` first at a scrape, when all parts are there
    edition = empty_edition(inputs.config.server.replay_size)
    fanout = Fanout(edition, ring_size=inputs.config.server.ring_size, follows=True)
    replica = Replica(edition, fanout)
    feed = RelayFeed(replica, loop=loop, clock=clock, observe=metrics.observe_update)
    subscribers = Subscribers(fanout, settings=lambda: inputs.config.server, now_at=clock)
    view = RelayView(
        replica=replica,
        feed=feed,
        clock=clock,
        subscribers=subscribers,
        tickets=Tickets(inputs.token.reveal() if inputs.token else "", now_at=clock),
        registry=metrics.registry,
        settings=lambda: inputs.config.server,
        source=settings.address.url,
        address=server.listener_url(listeners[0]),
    )
    questions = Questions(settings, is_lost=lambda: feed.lost_reason is not None, refused=refused, now=loop.time)
    built = web.build(
        app.build_relay(view, questions),
        guard_settings(inputs.config),
        metrics=metrics,
        max_subscribers=lambda: inputs.config.server.max_subscribers,
        gate=lambda application: UnreadGate(application, lambda: view.why_unread),
    )
    follower = Follower(settings, feed, refused=refused, chance=random.random)
    job = Relay(inputs, RelayParts(follower=follower, view=view, guard=built.guard, guard_settings=guard_settings))
    parts = ServerParts(subscribers=subscribers, metrics=metrics, view=view, listeners=listeners, server=built.server)
    service = Service(parts, job, notifier)
    return service


def utc_now() -> dt.datetime:
    """The wall clock."""
    return dt.datetime.now(dt.UTC)


def _numbers(
    replica: Replica, view: RelayView, *, sent_bytes: int, max_subscribers: int, log_dropped: int
) -> MetricValues:
    """The numbers of a scrape: nothing is counted that only the daemon of an account has."""
    fanout = replica.fanout
    return MetricValues(
        status=view.status,
        cluster=view.cluster,
        published=replica.edition.tally,
        subscribers=fanout.subscribers,
        max_subscribers=max_subscribers,
        frames=fanout.frames,
        sent_bytes=sent_bytes,
        dropped=fanout.dropped,
        resyncs={**dict.fromkeys(RESYNCS, 0), **fanout.resyncs},
        disconnects=fanout.disconnects,
        log_dropped=log_dropped,
    )
