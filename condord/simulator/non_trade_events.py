"""Events that change an account without an order: assignment, exercise, expiration, cash settlement and splits.

None of these events appears on a stream. Positions change at once; the activities become visible the next morning, as
at Alpaca, unless another time is requested.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import msgspec

from condord.core import occ
from condord.core.occ import OptionSymbol
from condord.errors import SymbolError
from condord.simulator import activities
from condord.simulator.account import Account
from condord.simulator.clock import NEW_YORK
from condord.simulator.contracts import dividend_json, stable_uuid, underlying_of

EventKind = Literal["assign", "exercise", "expire", "cash"]
Deliverables = tuple[tuple[str, int], ...]

_ACTIVITIES: dict[EventKind, str] = {"assign": "OPASN", "exercise": "OPEXC", "expire": "OPEXP", "cash": "OPCSH"}
"""The type of the activity that each event leaves."""
_MORNING = dt.time(4, 20)
_MULTIPLIER = 100


class NonTradeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event for `quantity` contracts of `symbol`; None means all that are held.

    With `moves_contracts` or `moves_shares` false, that part of the event is left out.
    """

    kind: EventKind
    symbol: OptionSymbol
    quantity: int | None = None
    moves_contracts: bool = True
    moves_shares: bool = True


class NonTradeEvents:
    """Applies events to `account`.

    `actions` are the announced corporate actions, by Alpaca's name of their kind, such as `cash_dividends`.
    """

    def __init__(self, account: Account) -> None:
        self.actions: dict[str, list[dict[str, Any]]] = {
            "cash_dividends": [
                dividend_json(stock, ex_date, float(amount))
                for stock, dividends in account.market.underlyings.dividends.items()
                for ex_date, amount in dividends
            ]
        }
        self._account = account
        self._deliverables: dict[str, Deliverables] = {}

    def set_deliverables(self, root: str, deliverables: Sequence[tuple[str, int]]) -> None:
        """Make every contract of `root` deliver these (stock, shares)."""
        self._deliverables[root] = tuple(deliverables)

    def deliverables(self, root: str) -> Deliverables:
        """The deliverable of one contract of `root`, as (stock, shares)."""
        if root in self._deliverables:
            return self._deliverables[root]
        known = self._account.market.root_of(root)
        if known is not None and known.deliverables:
            return tuple((stock, shares) for stock, shares, _ in known.deliverables)
        return ((known.underlying if known else underlying_of(root), _MULTIPLIER),)

    def underlying(self, root: str) -> str:
        """The underlying of `root`: the first stock that was set for it to deliver, else the market's."""
        known = self._account.market.root_of(root)
        return self.deliverables(root)[0][0] if root in self._deliverables or known is None else known.underlying

    def apply(self, event: NonTradeEvent, at: dt.datetime, visible_at: dt.datetime) -> None:
        """Apply `event` at `at`; its activities are visible from `visible_at` on. Without a holding nothing happens."""
        symbol = event.symbol.compact
        held = self._account.holdings.get(symbol)
        quantity = event.quantity or (abs(held.quantity) if held else 0)
        if not quantity:
            return
        is_long = event.kind == "exercise" or (held is not None and held.quantity > 0)
        change = -quantity if is_long else quantity
        if event.moves_contracts:
            price = self._intrinsic(event.symbol) if event.kind == "cash" else None
            self._account.adjust_position(symbol, change, price)
            self._record(event, quantity, -change * (price or Decimal(0)) * _MULTIPLIER, at, visible_at)
        if event.moves_shares and event.kind in ("assign", "exercise"):
            sign = 1 if (event.symbol.right == "put") == (event.kind == "assign") else -1
            price = Decimal(event.symbol.strike_mills) / 1000
            for stock, shares in self.deliverables(event.symbol.root):
                self._account.adjust_position(stock, sign * shares * quantity, price)
                serial = len(self._account.activities)
                row = activities.option_trade(stock, sign * shares * quantity, price, at, visible_at, serial)
                self._account.activities.append(row)

    def split(self, stock: str, new: int, old: int, at: dt.datetime, visible_at: dt.datetime) -> None:
        """Give `new` shares of `stock` for every `old`, adjust the contracts on it, and announce it as of `at`.

        A forward split divides strikes and multiplies contracts. A reverse one renames the root, as the clearing
        house does, and changes what a contract delivers.
        """
        ratio = Fraction(new, old)
        held = dict(self._account.holdings)
        for symbol, holding in held.items():
            adjusted = symbol if symbol == stock else self._adjusted_symbol(symbol, stock, ratio)
            if adjusted is None:
                continue
            is_multiplied = symbol == stock or ratio.denominator == 1
            quantity = int(holding.quantity * ratio) if is_multiplied else holding.quantity
            entry = holding.entry * ratio.denominator / ratio.numerator if is_multiplied else holding.entry
            self._account.set_position(symbol, 0)
            self._account.set_position(adjusted, quantity, entry)
            if symbol == stock:
                row = activities.delayed("SPLIT", "Stock Split", at, visible_at, len(self._account.activities))
                self._account.activities.append(row | {"symbol": stock, "qty": str(quantity - holding.quantity)})
        day = f"{at.astimezone(NEW_YORK):%Y-%m-%d}"
        kind = "forward_splits" if ratio > 1 else "reverse_splits"
        split_id = stable_uuid("split", stock, day)
        row = {"id": split_id, "symbol": stock, "new_rate": new, "old_rate": old, "ex_date": day}
        self.announce(kind, row | {"process_date": day, "record_date": day, "payable_date": day})

    def announce_dividend(self, stock: str, ex_date: dt.date, rate: float | None) -> None:
        """Announce a cash dividend, in place of another one of that ex-date; the market prices it, if it has a rate."""
        row = dividend_json(stock, ex_date, rate)
        others = [known for known in self.actions["cash_dividends"] if known["id"] != row["id"]]
        self.actions["cash_dividends"] = [*others, row]
        if rate is not None:
            priced = self._account.market.underlyings.dividends
            kept = (known for known in priced.get(stock, ()) if known[0] != ex_date)
            priced[stock] = sorted([*kept, (ex_date, Decimal(str(rate)))])

    def announce(self, kind: str, row: dict[str, Any]) -> None:
        """Add a corporate action; `kind` is Alpaca's, in the plural."""
        self.actions.setdefault(kind, []).append(row)

    def _adjusted_symbol(self, symbol: str, stock: str, ratio: Fraction) -> str | None:
        """The symbol that a contract on `stock` has after the split; None for any other symbol."""
        try:
            contract = occ.parse(symbol)
        except SymbolError:
            return None
        if self.underlying(contract.root) != stock:
            return None
        if ratio.denominator == 1:
            strike_mills = round(Fraction(contract.strike_mills) / ratio / 10) * 10
            return msgspec.structs.replace(contract, strike_mills=strike_mills).compact
        adjusted_root = f"{contract.root}1"
        self.set_deliverables(adjusted_root, [(stock, int(_MULTIPLIER * ratio))])
        return msgspec.structs.replace(contract, root=adjusted_root).compact

    def _intrinsic(self, symbol: OptionSymbol) -> Decimal:
        """The cash that one share of the contract pays at the current price of its underlying."""
        spot, strike = self._account.mark(self.underlying(symbol.root)), Decimal(symbol.strike_mills) / 1000
        return max(Decimal(0), spot - strike if symbol.right == "call" else strike - spot)

    def _record(
        self, event: NonTradeEvent, quantity: int, amount: Decimal, at: dt.datetime, visible_at: dt.datetime
    ) -> None:
        row = activities.option_event(
            _ACTIVITIES[event.kind],
            event.symbol.compact,
            quantity,
            at,
            visible_at,
            len(self._account.activities),
            amount=amount,
        )
        self._account.activities.append(row)


def next_morning(at: dt.datetime) -> dt.datetime:
    """When Alpaca shows the activity of an event at `at`: the next day at 04:20 in New York."""
    day = at.astimezone(NEW_YORK).date() + dt.timedelta(days=1)
    return dt.datetime.combine(day, _MORNING, NEW_YORK).astimezone(dt.UTC)
