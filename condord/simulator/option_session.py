"""The option stream: quotes and trades of contracts, only in MessagePack, up to the plan's limit of symbols."""

from __future__ import annotations

from condord.simulator.data_session import DataSession, Subscriptions


class OptionSession(DataSession):
    """One session of the option stream on the feed `indicative` or `opra`."""

    stream = "option"
    channels = ("trades", "quotes")
    refused_channels = frozenset({"bars", "updatedBars", "dailyBars", "statuses", "lulds", "orderbooks", "news"})

    def text_error(self) -> int:
        """Options are only available in MessagePack."""
        return 412

    def has_plan(self) -> bool:
        """`opra` needs the agreement."""
        return self.feed != "opra" or self.entitlements.has_opra

    def format_error(self) -> int | None:
        """The authentication works without MessagePack, but subscriptions do not."""
        return None if self.is_msgpack else 412

    def limit_error(self, subscribed: Subscriptions) -> int | None:
        """All quotes at once are refused, and so are more symbols than the limit."""
        if "*" in subscribed["quotes"]:
            return 413
        return 405 if self.count(subscribed) > self.entitlements.symbol_limit else None

    def count(self, subscribed: Subscriptions) -> int:
        """The number of symbols whose quotes are subscribed."""
        return len(subscribed["quotes"])
