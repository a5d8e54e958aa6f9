"""The account's balances, and its profit or loss today."""

from __future__ import annotations

import datetime as dt

import msgspec


class AccountSummary(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v2/account` in 1e-4 dollars; each None where Alpaca gives no number.

    `last_equity_e4` is the equity of 16:00 ET on the day before. `transfers_e4` is the sum of the day's deposits (+)
    and withdrawals (-), None while they are not known.
    """

    read_at: dt.datetime
    equity_e4: int | None
    last_equity_e4: int | None
    cash_e4: int | None
    buying_power_e4: int | None
    options_buying_power_e4: int | None
    maintenance_margin_e4: int | None
    transfers_e4: int | None = None

    @property
    def day_pl_e4(self) -> int | None:
        """Today's profit or loss without the day's transfers; None if any part is not known."""
        if self.equity_e4 is None or self.last_equity_e4 is None or self.transfers_e4 is None:
            return None
        return self.equity_e4 - self.last_equity_e4 - self.transfers_e4
