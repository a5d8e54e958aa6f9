"""Where Alpaca's two streams are, by alpaca-py's own enums."""

from __future__ import annotations

from alpaca.common.enums import BaseURL

from condord.live.wire import Feed


def option_stream(feed: Feed) -> str:
    """The URL of the option stream of `feed`."""
    return f"{BaseURL.MARKET_DATA_STREAM.value}/v1beta1/{feed}"


def trading_stream(*, paper: bool) -> str:
    """The URL of the trading stream of the paper or the live account."""
    return str((BaseURL.TRADING_STREAM_PAPER if paper else BaseURL.TRADING_STREAM_LIVE).value)
