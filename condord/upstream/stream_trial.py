"""Trial connections to the streams: connect as the daemon does, until the stream is live or fails.

The first fault ends a trial, even one that the daemon would retry. The socket is closed when a trial returns or is
cancelled. Quotes and trade updates that arrive meanwhile are discarded.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Sequence

from condord.core.quote import Tick
from condord.host.network import Network
from condord.live.link import SERVING, Link, LinkFault, LinkSettings
from condord.upstream.interfaces import Login
from condord.upstream.link_runner import LinkRunner
from condord.upstream.option_stream import OptionStream
from condord.upstream.stock_stream import StockStream
from condord.upstream.trade_updates import TradeUpdates

_UNUSED_SECONDS = 60.0
"""The silence limit and the backoff: a trial ends before either matters."""


async def quote_stream(
    kind: type[OptionStream | StockStream],
    url: str,
    login: Login,
    symbols: Sequence[str],
    *,
    network: Network,
    symbol_limit: int,
    now_at: Callable[[], dt.datetime],
) -> tuple[LinkFault | None, int]:
    """Authenticate and subscribe to `symbols`; return the fault, if any, and how many symbols were acknowledged."""
    changed = asyncio.Event()
    stream = kind(
        _link("the option stream" if kind is OptionStream else "the stock stream"),
        url=url,
        login=login,
        network=network,
        symbol_limit=symbol_limit,
        sink=_DiscardingSink(),
        now_at=now_at,
        newer=_never,
        live=_nothing,
        changed=changed.set,
    )
    stream.want(symbols)
    acknowledged = 0

    def count() -> None:
        nonlocal acknowledged
        acknowledged = len(stream.streamed)

    return await _run_until_live(stream, changed, count), acknowledged


async def trading_stream(url: str, login: Login, *, network: Network) -> LinkFault | None:
    """Authenticate and listen to trade updates; return the fault, or None if it works."""
    changed = asyncio.Event()
    updates = TradeUpdates(
        _link("the trading stream"), url=url, login=login, network=network, traded=_nothing, changed=changed.set
    )
    return await _run_until_live(updates, changed, _nothing)


async def _run_until_live(runner: LinkRunner, changed: asyncio.Event, on_live: Callable[[], None]) -> LinkFault | None:
    """Run until the link is live or has a fault, then call `on_live` while the socket is still open."""
    running = asyncio.ensure_future(runner.run())
    running.add_done_callback(lambda _: changed.set())
    try:
        while runner.link.state not in SERVING and runner.link.fault is None:
            if running.done():
                await running  # raises the bug that has ended it
            changed.clear()
            await changed.wait()
        on_live()
        return runner.link.fault
    finally:
        running.cancel()
        await asyncio.wait([running])


def _link(name: str) -> Link:
    bounds = LinkSettings(
        name=name,
        silence_seconds=_UNUSED_SECONDS,
        backoff_min_seconds=_UNUSED_SECONDS,
        backoff_max_seconds=_UNUSED_SECONDS,
    )
    return Link(bounds, chance=lambda: 0.0)


def _nothing() -> None:
    pass


async def _never() -> bool:
    return False


class _DiscardingSink:
    """A `QuoteSink` and `StockSink` that discards everything."""

    def offer(self, _: Sequence[Tick]) -> None:
        """Discard quotes."""

    def follow(self, _: Iterable[str]) -> None:
        """Discard the acknowledged symbols."""

    def gap(self) -> None:
        """Ignore that the stream was cut."""

    def resume(self) -> None:
        """Ignore that the stream is live."""

    def offer_stocks(self, _: Sequence[Tick]) -> None:
        """Discard quotes of stocks."""
