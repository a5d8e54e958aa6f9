"""Write the orders and activities of condors that were opened and closed before today.

They pay and bring cash, and leave nothing in the account. A condor that was held until it expired leaves a row for each
leg: an expiration, an assignment or exercise with the trade of its shares, or a cash settlement. Shares that came are
sold in the next session.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal

from condord.core.occ import OptionSymbol, Right
from condord.simulator import activities
from condord.simulator.account import Account
from condord.simulator.contracts import INDEXES
from condord.simulator.non_trade_events import next_morning
from condord.simulator.orders import Execution
from condord.simulator.past_calendar import past_expiration, past_instant, session_after, session_hours
from condord.simulator.past_path import PastPath
from condord.simulator.past_quotes import PastQuotes
from condord.simulator.past_trades import ALL_LEGS, PastCondor, PastEvent

_RIGHTS: tuple[Right, ...] = ("put", "put", "call", "call")
_SIGNS = (1, -1, -1, 1)  # of a short condor
_SHARES = 100
_SALE_AFTER = dt.timedelta(minutes=12, seconds=9, microseconds=317_204)


def trade_past(account: Account, path: PastPath, condors: Iterable[PastCondor], at: dt.datetime) -> None:
    """Note the orders and activities of `condors` before `at` in `account`; they are not sorted.

    Raises:
        KeyError: the market has no such root.
    """
    quotes = PastQuotes(account.market, path)
    for condor in condors:
        _Trader(account, path, quotes, condor, at).trade()


class _Trader:
    """Trades one condor; `_legs` are its contracts by strike, and `_held` the signed contracts of each symbol."""

    def __init__(
        self, account: Account, path: PastPath, quotes: PastQuotes, condor: PastCondor, at: dt.datetime
    ) -> None:
        self._account = account
        self._path = path
        self._quotes = quotes
        self._condor = condor
        self._at = at
        self._held: dict[OptionSymbol, int] = {}
        self._legs: list[OptionSymbol] = []

    def trade(self) -> None:
        """Open the condor, and apply its later events."""
        opened_at = past_instant(self._at, self._condor.age)
        self._legs = self._chosen(self._condor.ratios, self._condor.expiry_age, opened_at)
        self._fill(self._opening(ALL_LEGS), opened_at)
        for event in self._condor.events:
            event_at = past_instant(self._at, event.age)
            if event.kind == "reopen":
                self._fill(self._opening(ALL_LEGS), event_at)
            elif event.kind == "close":
                self._fill(self._closing(event), event_at)
            else:
                self._roll(event, event_at)
        if any(self._held.values()):
            self._expire()

    def _chosen(self, ratios: tuple[float, float], expiry_age: int, at: dt.datetime) -> list[OptionSymbol]:
        """The contracts at `ratios` of the price at `at`."""
        root = self._account.market.root_of(self._condor.root)
        if root is None:
            raise KeyError(self._condor.root)
        strikes = self._condor.strikes_mills(self._path.price(root.underlying, at.timestamp()), ratios)
        expiration = past_expiration(self._at, expiry_age)
        return [
            OptionSymbol(root=root.symbol, expiration=expiration, right=right, strike_mills=strike)
            for right, strike in zip(_RIGHTS, strikes, strict=True)
        ]

    def _opening(self, legs: Sequence[int]) -> list[tuple[OptionSymbol, int]]:
        return [(self._legs[leg], _SIGNS[leg] * self._condor.quantity) for leg in legs]

    def _closing(self, event: PastEvent) -> list[tuple[OptionSymbol, int]]:
        held = [(self._legs[leg], self._held[self._legs[leg]]) for leg in event.legs]
        return [
            (leg, -count if event.quantity is None else -count * event.quantity // abs(count)) for leg, count in held
        ]

    def _roll(self, event: PastEvent, at: dt.datetime) -> None:
        closing = self._closing(event)
        expiry_age = self._condor.expiry_age if event.expiry_age is None else event.expiry_age
        chosen = self._chosen(event.ratios, expiry_age, at)
        self._legs = [chosen[leg] if leg in event.legs else old for leg, old in enumerate(self._legs)]
        opening = self._opening(event.legs)
        if event.gap_seconds:
            self._fill(closing, at)
            self._fill(opening, at + dt.timedelta(seconds=event.gap_seconds))
        else:
            self._fill([*closing, *opening], at)

    def _fill(self, changes: Sequence[tuple[OptionSymbol, int]], at: dt.datetime) -> None:
        executions = []
        for leg, quantity in changes:
            self._held[leg] = self._held.get(leg, 0) + quantity
            price = self._quotes.price(leg, at.timestamp())
            executions.append(
                Execution(symbol=leg.compact, quantity=quantity, price=price, position_after=self._held[leg])
            )
        self._account.add_past_order(executions, at)

    def _expire(self) -> None:
        """Let the held contracts expire at the close of its last session, and sell the shares that come."""
        closes_at = session_hours(self._legs[0].expiration)[1]
        underlying = self._quotes.underlying(self._legs[0])
        price = Decimal(str(round(self._path.price(underlying, closes_at.timestamp()), 2)))
        shares = sum(
            self._expire_leg(leg, self._held[leg], underlying, price, closes_at)
            for leg in self._legs
            if self._held[leg]
        )
        if shares:
            at = session_hours(session_after(closes_at.date()))[0] + _SALE_AFTER
            paid = Decimal(str(round(self._path.price(underlying, at.timestamp()), 2)))
            sale = Execution(symbol=underlying, quantity=-shares, price=paid, position_after=0, is_option=False)
            self._account.add_past_order([sale], at)

    def _expire_leg(self, leg: OptionSymbol, held: int, underlying: str, price: Decimal, closes_at: dt.datetime) -> int:
        """Note the effect of the expiration of one leg; returns the shares that it brought."""
        strike = Decimal(leg.strike_mills) / 1000
        worth = max(Decimal(0), price - strike if leg.right == "call" else strike - price)
        kind, amount = "OPEXP", Decimal(0)
        if worth and underlying in INDEXES:
            kind, amount = "OPCSH", worth * held * _SHARES
        elif worth:
            kind = "OPEXC" if held > 0 else "OPASN"
        visible_at = next_morning(closes_at)
        event = activities.option_event(
            kind, leg.compact, abs(held), closes_at, visible_at, self._account.next_serial(), amount=amount
        )
        self._account.add_past_activity(event, closes_at)
        if kind not in ("OPEXC", "OPASN"):
            return 0
        shares = held * _SHARES * (1 if leg.right == "call" else -1)
        serial = self._account.next_serial()
        row = activities.option_trade(underlying, shares, strike, closes_at, visible_at, serial)
        self._account.add_past_activity(row, closes_at)
        return shares
