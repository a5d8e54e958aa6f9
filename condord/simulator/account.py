"""Decides what the account holds, and what its positions are worth by Alpaca's own formulas.

Rules: quantities are signed (+ long, - short) and so are market value and cost basis; the cost is kept exactly and
the average entry derived from it; day profit counts from yesterday's close, or from entry when opened today;
`change_today` is not turned around for shorts. Numbers leave as strings.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any

import msgspec

from condord.core import occ
from condord.errors import SymbolError
from condord.simulator import orders
from condord.simulator.market import Market
from condord.simulator.names import identity
from condord.simulator.orders import Execution, number

_DEPOSIT = Decimal(100_000)
_RATIO_DIGITS = 16


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What is held of one symbol: `cost` is signed dollars in all, `lastday` yesterday's close per share."""

    symbol: str
    quantity: int
    cost: Decimal
    lastday: Decimal
    multiplier: int
    opened_today: bool = False

    @property
    def entry(self) -> Decimal:
        """The average entry price per share; it may not terminate and is cut at 16 digits."""
        return _ratio(self.cost, self.quantity * self.multiplier)


class Account:
    """One account: its holdings, the orders that made them, and its activities."""

    def __init__(self, market: Market, key_id: str = "SIMULATED") -> None:
        self.market = market
        self.orders: list[dict[str, Any]] = []
        self.activities: list[dict[str, Any]] = []
        self._account_id = identity("account", key_id)
        self._holdings: dict[str, Holding] = {}
        self._cash = Decimal(0)
        self._serial = 0

    @property
    def holdings(self) -> Mapping[str, Holding]:
        """What is held, by symbol."""
        return self._holdings

    def deposit(self, at: dt.datetime) -> None:
        """Begin with money, as a paper account does."""
        self._cash += _DEPOSIT
        self.activities.append(orders.other_activity("JNLC", "", at, amount=number(_DEPOSIT)))

    def put(self, symbol: str, quantity: int, entry: Decimal | None = None) -> None:
        """Hold exactly `quantity` of `symbol` from now on, without any order; 0 removes it.

        `entry` is per share; without it the present entry or, for a new symbol, the present mark.
        """
        held = self._holdings.get(symbol)
        if quantity == 0:
            self._holdings.pop(symbol, None)
            return
        self._watch(symbol)
        multiplier = _multiplier(symbol)
        price = entry if entry is not None else held.entry if held else self.mark(symbol)
        self._holdings[symbol] = Holding(
            symbol=symbol,
            quantity=quantity,
            cost=price * quantity * multiplier,
            lastday=held.lastday if held else self._lastday(symbol),
            multiplier=multiplier,
            opened_today=held.opened_today if held else entry is None,
        )

    def vanish(self, symbol: str, kind: str, at: dt.datetime) -> None:
        """Lose `symbol` overnight: no order and no trade update, only an activity (OPEXP or OPASN)."""
        held = self._holdings.pop(symbol, None)
        if held is not None:
            text = "Options Expiry" if kind == "OPEXP" else "Options Assignment"
            self.activities.append(orders.other_activity(kind, text, at, symbol=symbol, quantity=abs(held.quantity)))

    def trade(self, changes: Sequence[tuple[str, int, Decimal | None]], at: dt.datetime) -> dict[str, Any]:
        """Fill one market order that changes holdings by (symbol, signed quantity, price or the mark).

        Returns the trade update. The order and its activities are on record afterwards.
        """
        self._serial += 1
        executions = [self._execute(*change, at) for change in changes]
        filled = orders.order(executions, at, self._serial)
        self.orders.append(filled)
        self.activities += [orders.fill_activity(each, at, self._serial) for each in executions]
        return orders.trade_update(filled, executions, at, self._serial)

    def mark(self, symbol: str) -> Decimal:
        """What one share or contract's share is worth: the middle of the quote, or the stock's price.

        0 for a symbol the market does not know.
        """
        quote = self.market.latest(symbol)
        if quote is not None:
            return Decimal(str(quote.mid))
        return Decimal(str(self.market.spot(symbol) or 0))

    def positions(self) -> list[dict[str, Any]]:
        """The answer to `GET /v2/positions`, by symbol."""
        return [self._position(self._holdings[symbol]) for symbol in sorted(self._holdings)]

    def position(self, symbol: str) -> dict[str, Any] | None:
        """The answer to `GET /v2/positions/{symbol}`; None where nothing is held."""
        held = self._holdings.get(symbol)
        return None if held is None else self._position(held)

    def answer(self) -> dict[str, Any]:
        """The answer to `GET /v2/account`."""
        values = [self.mark(each.symbol) * each.quantity * each.multiplier for each in self._holdings.values()]
        long = sum((value for value in values if value > 0), Decimal(0))
        short = sum((value for value in values if value < 0), Decimal(0))
        equity = self._cash + long + short
        margin = Decimal(27_000)
        free = number(max(Decimal(0), equity - margin))
        power = number(max(Decimal(0), (equity - margin) * 2))
        return {
            "id": self._account_id,
            "account_number": "PA3" + self._account_id[:9].replace("-", "").upper(),
            "status": "ACTIVE",
            "crypto_status": "ACTIVE",
            "currency": "USD",
            "cash": number(self._cash),
            "equity": number(equity),
            "last_equity": number(equity),
            "portfolio_value": number(equity),
            "long_market_value": number(long),
            "short_market_value": number(short),
            "position_market_value": number(long - short),
            **dict.fromkeys(("buying_power", "regt_buying_power", "effective_buying_power"), power),
            **dict.fromkeys(("options_buying_power", "non_marginable_buying_power"), free),
            **dict.fromkeys(("initial_margin", "maintenance_margin", "last_maintenance_margin"), number(margin)),
            "sma": number(equity),
            "accrued_fees": "0",
            "multiplier": "4",
            "options_approved_level": 3,
            "options_trading_level": 3,
            "shorting_enabled": True,
            "account_blocked": False,
            "trading_blocked": False,
            "transfers_blocked": False,
            "trade_suspended_by_user": False,
            "created_at": "2026-01-05T14:41:03.521189Z",
        }

    def _execute(self, symbol: str, quantity: int, price: Decimal | None, at: dt.datetime) -> Execution:
        self._watch(symbol)
        price = self.mark(symbol) if price is None else price
        held = self._holdings.get(symbol)
        multiplier = _multiplier(symbol)
        before = held.quantity if held else 0
        after = before + quantity
        today = dt.datetime.fromtimestamp(self.market.at, dt.UTC).date()
        self._cash -= price * quantity * multiplier
        if after == 0:
            self._holdings.pop(symbol, None)
        else:
            self._holdings[symbol] = Holding(
                symbol=symbol,
                quantity=after,
                cost=_cost_after(held, before, quantity, price * multiplier),
                lastday=held.lastday if held else self._lastday(symbol),
                multiplier=multiplier,
                opened_today=held.opened_today if held else at.date() >= today,
            )
        return Execution(symbol=symbol, quantity=quantity, price=price, held_after=after, is_option=_is_option(symbol))

    def _watch(self, symbol: str) -> None:
        if _is_option(symbol):
            self.market.watch(symbol)

    def _lastday(self, symbol: str) -> Decimal:
        if not _is_option(symbol):
            return round(self.mark(symbol) * Decimal("0.996"), 2)
        worth = self.market.valuation(symbol, seconds_ago=86_400, spot_factor=0.998).price
        return Decimal(str(max(0.01, round(worth, 2))))

    def _position(self, held: Holding) -> dict[str, Any]:
        current = self.mark(held.symbol)
        size = held.quantity * held.multiplier
        value = current * size
        profit = value - held.cost
        day_base = held.cost if held.opened_today else held.lastday * size
        is_option = _is_option(held.symbol)
        return {
            "asset_id": identity("asset", held.symbol),
            "symbol": held.symbol,
            "exchange": "" if is_option else "NASDAQ",
            "asset_class": "us_option" if is_option else "us_equity",
            "asset_marginable": True,
            "qty": str(held.quantity),
            "avg_entry_price": number(held.entry),
            "side": "long" if held.quantity > 0 else "short",
            "market_value": number(value),
            "cost_basis": number(held.cost),
            "unrealized_pl": number(profit),
            "unrealized_plpc": number(_ratio(profit, abs(held.cost))),
            "unrealized_intraday_pl": number(value - day_base),
            "unrealized_intraday_plpc": number(_ratio(value - day_base, abs(day_base))),
            "current_price": number(current),
            "lastday_price": number(held.lastday),
            "change_today": number(_ratio(current - held.lastday, held.lastday)),
            "qty_available": str(held.quantity),
        }


def _cost_after(held: Holding | None, before: int, quantity: int, unit_cost: Decimal) -> Decimal:
    """The cost once `quantity` was traded: added when it grows, in proportion when it shrinks, anew when it flips."""
    after = before + quantity
    if held is None or before * quantity > 0:
        return (held.cost if held else Decimal(0)) + unit_cost * quantity
    if before * after > 0:
        return held.cost * after / before
    return unit_cost * after


def _ratio(value: Decimal, by: Decimal | int) -> Decimal:
    if by == 0:
        return Decimal(0)
    with localcontext() as context:
        context.prec = _RATIO_DIGITS
        return value / by


def _is_option(symbol: str) -> bool:
    try:
        occ.parse(symbol)
    except SymbolError:
        return False
    return True


def _multiplier(symbol: str) -> int:
    return 100 if _is_option(symbol) else 1
