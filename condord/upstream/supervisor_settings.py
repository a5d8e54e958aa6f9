"""The settings of the supervisor: the URLs of the streams, and bounds in seconds."""

from __future__ import annotations

from condord.core.underlying import StockFeed
from condord.live import wire
from condord.live.link import Link, LinkBounds, LinkSettings
from condord.live.wire_risk import ModelJson

HISTORY_SECONDS = 180.0
"""The period of polls for orders, which are also read after each event of the trading stream."""
SUBSCRIBE_SECONDS = 1.0
"""How long new contracts wait for the stream to acknowledge them before they are shown."""


class SupervisorSettings(LinkBounds, frozen=True, kw_only=True):
    """The URLs of the streams, the names of the source in the status, and bounds in seconds, also those of all links.

    `model` has the assumptions in force, for the status. History is kept for `keep_days`, 0 for indefinitely.
    """

    source: wire.Source
    feed: wire.DataFeed
    model: ModelJson
    option_stream_url: str
    trading_stream_url: str
    stock_stream_url: str
    symbol_limit: int
    stock_feed: StockFeed
    stock_symbol_limit: int
    refresh_seconds: float
    keep_days: int


def link_settings(settings: SupervisorSettings, name: str, *, pong_counts_as_data: bool = False) -> LinkSettings:
    """The settings of one link: the bounds of `settings`, its name for messages, and whether a pong is enough."""
    bounds = {bound: getattr(settings, bound) for bound in LinkBounds.__struct_fields__}
    return LinkSettings(**bounds, name=name, pong_counts_as_data=pong_counts_as_data)


def set_bounds(link: Link, settings: SupervisorSettings) -> None:
    """Change the bounds of a link to the ones in `settings`."""
    link.set_bounds(
        silence_seconds=settings.silence_seconds,
        backoff_min_seconds=settings.backoff_min_seconds,
        backoff_max_seconds=settings.backoff_max_seconds,
    )
