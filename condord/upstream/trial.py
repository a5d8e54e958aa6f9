"""Decides whether a stream would work: one connection by the daemon's own lines, until it is live or fails.

Rules: the first fault ends the trial, whatever it is. The socket is closed when a trial returns, also when it is
cancelled. What the stream brings meanwhile is for nobody.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from condord.core.quote import Tick
from condord.live.link import SERVING, Fault, Link, LinkSettings
from condord.upstream.line import Line
from condord.upstream.option_stream import OptionStream
from condord.upstream.ports import Desk, Login
from condord.upstream.trade_updates import TradeUpdates

_UNUSED_SECONDS = 60.0
"""Of silence and of backoff: a trial is over before either."""


async def option_stream(
    url: str, login: Login, symbols: Sequence[str], *, symbol_limit: int, now_at: Callable[[], dt.datetime]
) -> tuple[Fault | None, int]:
    """Authenticate and subscribe to `symbols`; what went wrong, and how many were acknowledged."""
    changed = asyncio.Event()
    stream = OptionStream(
        _link("the option stream"),
        url=url,
        login=login,
        symbol_limit=symbol_limit,
        desk=cast("Desk", _Deaf()),
        now_at=now_at,
        newer=_never,
        live=_nothing,
        changed=changed.set,
    )
    stream.want(symbols)
    granted = 0

    def count() -> None:
        nonlocal granted
        granted = len(stream.streamed)

    return await _serving(stream, changed, count), granted


async def trading_stream(url: str, login: Login) -> Fault | None:
    """Authenticate and listen; what went wrong."""
    changed = asyncio.Event()
    updates = TradeUpdates(_link("the trading stream"), url=url, login=login, traded=_nothing, changed=changed.set)
    return await _serving(updates, changed, _nothing)


async def _serving(line: Line, changed: asyncio.Event, look: Callable[[], None]) -> Fault | None:
    """Work until the line is live, and then `look` at it, or until it fails; the socket is closed at the end."""
    working = asyncio.ensure_future(line.run())
    working.add_done_callback(lambda _: changed.set())
    try:
        while line.link.state not in SERVING and line.link.fault is None:
            if working.done():
                await working  # raises the bug that has ended it
            changed.clear()
            await changed.wait()
        look()
        return line.link.fault
    finally:
        working.cancel()
        await asyncio.wait([working])


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


class _Deaf:
    """What an option stream asks of a desk, and no more; whatever it says is for nobody."""

    def offer(self, _: Sequence[Tick]) -> None:
        """Quotes."""

    def follow(self, _: Iterable[str]) -> None:
        """Acknowledged symbols."""

    def gap(self) -> None:
        """The end."""

    def resume(self) -> None:
        """It is live."""
