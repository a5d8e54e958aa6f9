"""The entitlements of an account: its credentials, its data plan, and one connection per feed."""

from __future__ import annotations

import msgspec


class Entitlements(msgspec.Struct, frozen=True, kw_only=True):
    """The entitlements of an account. Without `credentials`, any key and secret that are not empty are accepted.

    `symbol_limit` is for option symbols. `stock_symbol_limit` is for subscriptions to quotes and trades of stocks; with
    `has_sip` they are not limited.
    """

    credentials: tuple[str, str] | None = None
    has_opra: bool = False
    has_sip: bool = False
    has_index_values: bool = False
    symbol_limit: int = 200
    stock_symbol_limit: int = 30

    def accepts(self, key: object, secret: object) -> bool:
        """Whether `key` and `secret` are valid."""
        if self.credentials is not None:
            return (key, secret) == self.credentials
        return isinstance(key, str) and isinstance(secret, str) and bool(key) and bool(secret)


class FeedSlots:
    """The session that holds each feed of each key; there is one slot per feed and key."""

    def __init__(self) -> None:
        self._holders: dict[tuple[str, str], object] = {}

    def claim(self, feed: str, key: str, holder: object) -> bool:
        """Take the slot for `holder`; False if another session holds it."""
        return self._holders.setdefault((feed, key), holder) is holder

    def release(self, holder: object) -> None:
        """Free every slot of `holder`."""
        for slot in [slot for slot, held in self._holders.items() if held is holder]:
            del self._holders[slot]
