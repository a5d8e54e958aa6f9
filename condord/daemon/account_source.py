"""Which environment an account is in. This imports nothing that reads an account, so that a relay stays small."""

from __future__ import annotations

from urllib.parse import urlsplit

from condord.config.schema import Config
from condord.host import loopback
from condord.live import wire


def source(config: Config) -> wire.Source:
    """The source in the status; a trading URL on this machine can only be a simulator."""
    if config.alpaca.trading_url and loopback.is_loopback(urlsplit(config.alpaca.trading_url).hostname or ""):
        return "simulator"
    return "alpaca-paper" if config.alpaca.paper else "alpaca-live"
