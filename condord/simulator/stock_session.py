"""The stock stream: quotes, trades, bars and more, in JSON or MessagePack.

On the basic plan, the subscriptions to trades and quotes are limited together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from condord.simulator.data_session import DataSession, Subscriptions

FEEDS = ("iex", "sip", "delayed_sip")
_FOLLOWS_TRADES = ("corrections", "cancelErrors")


class StockSession(DataSession):
    """One session of the stock stream on one of `FEEDS`."""

    stream = "stock"
    channels = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds")
    refused_channels = frozenset({"orderbooks", "news"})

    def has_plan(self) -> bool:
        """`sip` needs the paid plan; the delayed feed does not."""
        return self.feed != "sip" or self.entitlements.has_sip

    def limit_error(self, subscribed: Subscriptions) -> int | None:
        """More subscriptions than the limit are refused; the paid plan has none, and allows all symbols at once."""
        if self.entitlements.has_sip:
            return None
        is_star = "*" in subscribed["quotes"] or "*" in subscribed["trades"]
        return 405 if is_star or self.count(subscribed) > self.entitlements.stock_symbol_limit else None

    def count(self, subscribed: Subscriptions) -> int:
        """Subscriptions to quotes and to trades; those to bars do not count."""
        return len(subscribed["quotes"]) + len(subscribed["trades"])

    def acknowledged(self, subscribed: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
        """Corrections and cancellations come with the trades."""
        return {**subscribed, **dict.fromkeys(_FOLLOWS_TRADES, subscribed["trades"])}
