"""alpaca-py's clients, bounded by `transport`: one for each part of Alpaca's REST API that is used."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from condord.host.network import Network
from condord.upstream import transport
from condord.upstream.interfaces import Login
from condord.upstream.rate_limit import AlpacaHost
from condord.upstream.without_pandas import (
    CorporateActionsClient,
    OptionHistoricalDataClient,
    StockHistoricalDataClient,
    TradingClient,
)


class Clients(NamedTuple):
    """The clients of the trading API, and of the data API: options and indexes, stocks, and corporate actions."""

    trading: TradingClient
    market: OptionHistoricalDataClient
    stocks: StockHistoricalDataClient
    actions: CorporateActionsClient

    def close(self) -> None:
        """Close the idle connections; requests under way go on."""
        for client in self:
            transport.close(client)


def log_in(
    login: Login,
    *,
    paper: bool,
    trading_url: str,
    data_url: str,
    timeout_seconds: float,
    network: Network,
    on_headers: Callable[[AlpacaHost, Mapping[str, str]], None],
) -> Clients:
    """Return clients that use `login`; empty URLs mean Alpaca's own.

    `on_headers` gets the headers of each answer, on any thread.
    """
    key_id, secret_key = login.key_id, login.secret_key
    trading = TradingClient(key_id, secret_key, paper=paper, raw_data=True, url_override=trading_url or None)
    market = OptionHistoricalDataClient(key_id, secret_key, raw_data=True, url_override=data_url or None)
    stocks = StockHistoricalDataClient(key_id, secret_key, raw_data=True, url_override=data_url or None)
    actions = CorporateActionsClient(key_id, secret_key, raw_data=True, url_override=data_url or None)
    transport.harden(trading, timeout_seconds, functools.partial(on_headers, "trading"), network)
    for client in (market, stocks, actions):
        transport.harden(client, timeout_seconds, functools.partial(on_headers, "data"), network)
    return Clients(trading, market, stocks, actions)
