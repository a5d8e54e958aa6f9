"""Collect the numbers for a scrape from the parts, which count in plain integers.

There may be thousands of subscribers and tasks. Nothing here iterates over them, so the cost of a scrape is constant.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, get_args

from condord.daemon.alert_service import AlertService
from condord.daemon.counts import Counts
from condord.daemon.recorder import Recorder
from condord.http.interfaces import MetricValues, StreamCounts
from condord.live.book import Book
from condord.live.fanout import RESYNCS
from condord.live.link import RELOADED, SERVING
from condord.live.wire import ClusterJson, Code, Refusal

if TYPE_CHECKING:  # they import alpaca-py
    from condord.upstream.market_supervisor import MarketSupervisor
    from condord.upstream.option_stream import OptionStream
    from condord.upstream.rest import AlpacaRest
    from condord.upstream.stock_stream import StockStream
    from condord.upstream.supervisor import Supervisor
    from condord.upstream.trade_updates import TradeUpdates

_CODES = dict.fromkeys(get_args(Code), 0)
"""Every code is there from the start: increase() and rate() miss the first count of a series that appears later."""


def numbers(
    *,
    supervisor: Supervisor,
    brokerage: AlpacaRest,
    book: Book,
    counts: Counts,
    max_subscribers: int,
    recorder: Recorder,
    alerts: AlertService,
) -> MetricValues:
    """The numbers now; reading them publishes nothing."""
    return MetricValues(
        status=supervisor.status(),
        cluster=ClusterJson(role="all", gaps=counts.gaps, dropped=counts.outdated),
        streams={
            "option": _stream(supervisor.stream),
            "trading": _stream(supervisor.trades),
            "stock": _stock_stream(supervisor.market),
        },
        published=book.edition.tally,
        rate_limited=brokerage.rate_limited,
        breakers=brokerage.breakers,
        budget_room=brokerage.budget_room,
        budget_waits=brokerage.budget_waits,
        superseded=book.prices.superseded,
        refused={**dict.fromkeys(get_args(Refusal), 0), **refused(book, supervisor)},
        subscribers=counts.subscribers,
        max_subscribers=max_subscribers,
        frames=counts.frames,
        sent_bytes=counts.sent_bytes,
        dropped=counts.dropped,
        resyncs={**dict.fromkeys(RESYNCS, 0), **counts.resyncs},
        disconnects=counts.disconnects,
        history_rows=recorder.rows,
        history_fault=recorder.has_fault,
        log_dropped=counts.log_dropped,
        alerts=alerts.counts,
        notifications=dict(alerts.delivery.counts.items()),
        rule_evaluations=alerts.evaluations,
    )


def refused(book: Book, supervisor: Supervisor) -> dict[str, int]:
    """How often something that Alpaca sent was refused, by reason; option quotes and stock quotes are added up."""
    counts: Counter[str] = Counter()
    for part in (book.prices.refused, book.underlying_prices.refused, supervisor.refused):
        counts.update(part)
    return dict(counts)


def _stock_stream(market: MarketSupervisor) -> StreamCounts:
    """The counts of the stock stream, which exists only while stocks are needed."""
    if market.stream is not None:
        return _stream(market.stream)
    return StreamCounts(
        connected=False, messages=market.messages, reconnects={**_CODES, RELOADED: 0}, failures=dict(_CODES)
    )


def _stream(stream: OptionStream | StockStream | TradeUpdates) -> StreamCounts:
    link = stream.link
    return StreamCounts(
        connected=link.state in SERVING,
        messages=stream.messages,
        reconnects={**_CODES, RELOADED: 0, **link.reconnected},
        failures={**_CODES, **link.failures},
    )
