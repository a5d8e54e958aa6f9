"""Build the parts of the daemon and connect them.

The order follows the data: the published document first, then the connections to Alpaca, then the web server.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import secrets
import string
from collections.abc import Callable
from pathlib import Path

import msgspec

from condord import __version__
from condord.config.schema import Config
from condord.core.calendar import Calendar
from condord.daemon import account_source, metrics_source, serving, web, wiring, worker_pool
from condord.daemon import counts as counting
from condord.daemon.alert_service import FILE_NAME, AlertService
from condord.daemon.copied_state import CopiedState
from condord.daemon.counts import Counts
from condord.daemon.feed import Feed
from condord.daemon.grouper import Grouper
from condord.daemon.place import Place
from condord.daemon.recorded_account import RecordedAccount
from condord.daemon.reload import Inputs, Reload
from condord.daemon.shared_extremes import SharedExtremes
from condord.daemon.subscribers import Subscribers
from condord.daemon.view import RunningDaemon
from condord.daemon.worker_pool import WorkerPool
from condord.http import app
from condord.http.interfaces import GuardSettings, MetricValues
from condord.http.metrics import Metrics
from condord.http.tickets import Tickets
from condord.live import render
from condord.live.account import AccountState
from condord.live.alert_watch import AlertWatch
from condord.live.alerts import Alerts
from condord.live.book import Book
from condord.live.coalescer import Coalescer
from condord.live.exchange_clock import ExchangeClock
from condord.live.fanout import Fanout
from condord.live.prices import Prices
from condord.live.published import Edition
from condord.live.publisher import Publisher
from condord.notify import alert_copy
from condord.notify.delivery import Delivery
from condord.notify.schedule import session_end
from condord.notify.senders import RealSenders
from condord.notify.store import AlertStore
from condord.upstream.rest import AlpacaRest
from condord.upstream.state_files import Store
from condord.upstream.supervisor import Supervisor


class AccountParts(msgspec.Struct, frozen=True, kw_only=True):
    """The published document of the account, and what is stored of it: its state, its past and its alerts."""

    publisher: Publisher
    store: Store
    past: RecordedAccount
    alerts: AlertService


class Upstream(AccountParts, frozen=True, kw_only=True):
    """An account with the parts that talk to Alpaca. They and the stores have to be closed in the end."""

    supervisor: Supervisor
    brokerage: AlpacaRest
    grouper: Grouper

    def close(self) -> None:
        """Close files, connections and threads, after the supervisor has ended."""
        self.grouper.close()
        self.past.close()
        self.alerts.close()
        self.brokerage.close()
        self.store.close()


class Parts(serving.ServerParts, frozen=True, kw_only=True):
    """The parts that the daemon starts, stops and reloads."""

    publisher: Publisher
    upstream: Upstream
    reload: Reload


def utc_now() -> dt.datetime:
    """The wall clock."""
    return dt.datetime.now(dt.UTC)


def build(
    inputs: Inputs,
    *,
    place: Place,
    state: Path | None,
    history: Path | None,
    log_dropped: Callable[[], int],
    copied: CopiedState | None = None,
) -> Parts:
    """Build every part, within the running loop. None of them runs before the service starts it.

    Args:
        inputs: the configuration and the key in force.
        place: where it serves.
        state: the state directory, or None.
        history: the directory of the databases, or None.
        log_dropped: returns how many log lines could not be written.
        copied: has the state of an earlier leader, and sends copies to the front; None if this is not a maker.
    """

    def numbers() -> MetricValues:
        return metrics_source.numbers(
            supervisor=upstream.supervisor,
            brokerage=upstream.brokerage,
            book=upstream.publisher.book,
            counts=view.counts(),
            max_subscribers=inputs.config.server.max_subscribers,
            recorder=upstream.past.recorder,
            alerts=upstream.alerts,
        )

    clock = ExchangeClock(utc_now)
    metrics = Metrics(__version__, numbers)  # calls `numbers` at the first scrape, when all parts exist
    account = _account(inputs, clock=clock, state=state, directory=history, copied=copied)
    upstream = _upstream(inputs, account, metrics=metrics, clock=clock, copied=copied)
    pool = worker_pool.build(
        place,
        registry=metrics.registry,
        config=lambda: inputs.config,
        token=inputs.token,
        environ=inputs.environ,
    )
    view = _view(inputs, upstream, place=place, metrics=metrics, pool=pool, clock=clock, log_dropped=log_dropped)
    return _served(inputs, upstream, place=place, metrics=metrics, pool=pool, view=view)


def _account(
    inputs: Inputs, *, clock: ExchangeClock, state: Path | None, directory: Path | None, copied: CopiedState | None
) -> AccountParts:
    """The document, which is empty until positions are read, and the stores beside it."""
    config = inputs.config
    account = AccountState(config.rest.settle_seconds)
    book = _book(config)
    alerts = _alerts(inputs, book, clock=clock, directory=directory, calendar=lambda: account.calendar, copied=copied)
    store = Store(state) if copied is None else Store(state, copy=copied.copy_file, handed_over=copied.files)
    past = RecordedAccount(
        directory,
        source=account_source.source(config),
        is_enabled=config.history.enabled,
        keep_days=lambda: inputs.config.history.keep_days,
        recall=book.recall_past,
        machine_at=utc_now,
        now_at=clock,
        shared=None if copied is None else SharedExtremes(store),
    )
    return AccountParts(
        publisher=_publisher(config, account, book, past=past, alerts=alerts), store=store, past=past, alerts=alerts
    )


def _view(
    inputs: Inputs,
    upstream: Upstream,
    *,
    place: Place,
    metrics: Metrics,
    pool: WorkerPool | None,
    clock: ExchangeClock,
    log_dropped: Callable[[], int],
) -> RunningDaemon:
    """The daemon as the routes see it, with its subscribers."""

    def counts() -> Counts:
        own = counting.own(upstream.publisher.fanout, subscribers, log_dropped=log_dropped())
        return own if pool is None else counting.summed(own, pool.counts)

    subscribers = Subscribers(
        upstream.publisher.fanout, settings=lambda: place.own_section(inputs.config.server), now_at=clock
    )
    return RunningDaemon(
        publisher=upstream.publisher,
        supervisor=upstream.supervisor,
        past=upstream.past,
        alerts=upstream.alerts,
        subscribers=subscribers,
        tickets=Tickets(inputs.token.reveal() if inputs.token else "", now_at=clock),
        registry=metrics.registry if pool is None else pool.registry,
        counts=counts,
        now_at=clock,
        settings=lambda: inputs.config.server,
        address=place.address,
    )


def _served(
    inputs: Inputs,
    upstream: Upstream,
    *,
    place: Place,
    metrics: Metrics,
    pool: WorkerPool | None,
    view: RunningDaemon,
) -> Parts:
    """All parts, with the web server of `view`, and what applies another configuration to them."""

    def guard_settings(config: Config) -> GuardSettings:
        return web.guard_settings(
            config.server, token=inputs.token, tickets=view.tickets, takes_any_host=place.takes_any_host
        )

    built = web.build(
        app.build(view),
        guard_settings(inputs.config),
        metrics=metrics,
        max_subscribers=lambda: place.own_section(inputs.config.server).max_subscribers,
    )
    reload = Reload(
        inputs,
        publisher=upstream.publisher,
        alerts=upstream.alerts,
        brokerage=upstream.brokerage,
        supervisor=upstream.supervisor,
        guard=built.guard,
        guard_settings=guard_settings,
    )
    return Parts(
        publisher=upstream.publisher,
        upstream=upstream,
        subscribers=view.subscribers,
        metrics=metrics,
        view=view,
        listeners=place.listeners,
        server=built.server,
        workers=pool,
        reload=reload,
    )


def _book(config: Config) -> Book:
    """The book of a document that is empty until positions are read."""
    edition = Edition(
        epoch=_epoch(),
        replay_size=config.server.replay_size,
        status=render.unread_status(account_source.source(config), config.alpaca.feed, wiring.model(config), utc_now()),
        totals=render.UNREAD_TOTALS,
    )
    prices = Prices(max_symbols=config.cache.max_symbols, ttl_seconds=config.cache.ttl_seconds)
    return Book(edition=edition, prices=prices, min_change_e4=config.stream.min_change_e4)


def _publisher(
    config: Config, account: AccountState, book: Book, *, past: RecordedAccount, alerts: AlertService
) -> Publisher:
    """The publisher of `book` and its fan-out."""
    publisher = Publisher(
        account=account,
        book=book,
        coalescer=Coalescer(config.stream.window_seconds),
        fanout=Fanout(book.edition, ring_size=config.server.ring_size),
        recorder=past.recorder.record,
        alerts=alerts,
        on_alerts=alerts.take,
    )
    publisher.set_exits(wiring.exits(config))
    publisher.set_model(wiring.risks(config), wiring.dividends(config), wiring.cutoffs(config))
    return publisher


def _alerts(
    inputs: Inputs,
    book: Book,
    *,
    clock: ExchangeClock,
    directory: Path | None,
    calendar: Callable[[], Calendar],
    copied: CopiedState | None,
) -> AlertService:
    """The alerts of the condors published in `book`, with the rules and the channels of the configuration."""
    store = AlertStore(
        None if directory is None else directory / FILE_NAME,
        machine_at=utc_now,
        copy=alert_copy.keep_none if copied is None else copied.copy_alerts,
        handed_over=None if copied is None else copied.alerts,
    )
    delivery = Delivery(
        store,
        RealSenders(inputs.network, inputs.environ, machine_at=utc_now),
        now_at=clock,
        session_end=lambda underlying: session_end(calendar(), clock(), underlying),
    )
    alerts = Alerts()
    service = AlertService(alerts=alerts, watch=AlertWatch(book, alerts), store=store, delivery=delivery, now_at=clock)
    service.set_channels(inputs.channels)
    service.set_rules(wiring.alert_rules(inputs.config))
    return service


def _upstream(
    inputs: Inputs, account: AccountParts, *, metrics: Metrics, clock: ExchangeClock, copied: CopiedState | None
) -> Upstream:
    """The connections to Alpaca, whose data the feed passes to the publisher."""
    past, alerts = account.past, account.alerts
    brokerage = AlpacaRest(
        wiring.rest(inputs.config),
        inputs.login,
        now_at=utc_now,
        network=inputs.network,
        observe=metrics.observe_request,
    )
    grouper = Grouper()
    feed = Feed(
        account.publisher,
        loop=asyncio.get_running_loop(),
        now_at=clock,
        work=grouper.run,
        past=past,
        alerts=alerts,
        require_account=_take_any if copied is None else copied.require_account,
        requires_account=_has_none if copied is None else copied.requires_account,
        observe=metrics.observe_update,
    )
    alerts.show = feed.show_alerts
    supervisor = Supervisor(
        wiring.supervisor(inputs.config),
        brokerage=brokerage,
        sink=feed,
        past=past.trade_book,
        login=inputs.login,
        network=inputs.network,
        store=account.store,
        clock=clock,
        chance=random.random,
    )
    return Upstream(supervisor=supervisor, brokerage=brokerage, grouper=grouper, **msgspec.structs.asdict(account))


def _take_any(_account_key: str) -> None:
    """Take the account of any key."""


def _has_none() -> bool:
    return False


def _epoch() -> str:
    """A random name for this run, so that versions from other runs are recognised."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(6))
