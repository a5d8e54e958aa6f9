"""The URLs of Alpaca's streams, taken from alpaca-py's enums."""

from __future__ import annotations

from alpaca.common.enums import BaseURL

from condord.core.underlying import StockFeed
from condord.live.wire import DataFeed


def option_stream(feed: DataFeed) -> str:
    """The URL of the option stream of `feed`."""
    return f"{BaseURL.MARKET_DATA_STREAM.value}/v1beta1/{feed}"


def stock_stream(feed: StockFeed) -> str:
    """The URL of the stock stream of `feed`."""
    return f"{BaseURL.MARKET_DATA_STREAM.value}/v2/{feed}"


def trading_stream(*, paper: bool) -> str:
    """The URL of the trading stream of the paper or the live account."""
    return str((BaseURL.TRADING_STREAM_PAPER if paper else BaseURL.TRADING_STREAM_LIVE).value)
