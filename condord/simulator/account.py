"""The account: its cash and holdings, and its positions by Alpaca's formulas.

Quantities, costs and values are signed: + long, - short.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any

import msgspec

from condord.core import occ
from condord.simulator import activities, balances, orders
from condord.simulator.balances import Balances, ValuedHolding
from condord.simulator.clock import NEW_YORK
from condord.simulator.closes import ContractCloses
from condord.simulator.contracts import stable_uuid
from condord.simulator.market import Market
from condord.simulator.orders import Execution, is_option, number

_DEPOSIT = Decimal(100_000)
_RATIO_DIGITS = 16


class SimulatedPosition(msgspec.Struct, frozen=True, kw_only=True):
    """The position in one symbol.

    `cost` is the exact total in signed dollars; `day_base` is what today's profit or loss counts from: the value at
    yesterday's close, and what was paid today.
    """

    symbol: str
    quantity: int
    cost: Decimal
    day_base: Decimal
    multiplier: int

    @property
    def entry(self) -> Decimal:
        """The average entry price per share, to 16 significant digits."""
        return _ratio(self.cost, self.quantity * self.multiplier)


class Account:
    """One account with its holdings, orders and activities. `name` determines its id.

    Its equity less that of yesterday's close is always the day's profit or loss of its contracts and stocks, less the
    day's fees, plus its transfers. A position that changes without an order counts as held since yesterday.
    """

    def __init__(self, market: Market, name: str = "SIMULATED") -> None:
        self.market = market
        self.closes = ContractCloses(market, self.mark)
        self.id = stable_uuid("account", name)
        self._orders: list[dict[str, Any]] = []
        self._activities: list[dict[str, Any]] = []
        self._past: Callable[[], None] | None = None
        self._holdings: dict[str, SimulatedPosition] = {}
        self._cash = Decimal(0)
        self._last_equity = Decimal(0)
        self._serial = 0

    @property
    def orders(self) -> list[dict[str, Any]]:
        """All orders, the oldest first."""
        self._write_past()
        return self._orders

    @property
    def activities(self) -> list[dict[str, Any]]:
        """All activities, the oldest first."""
        self._write_past()
        return self._activities

    def set_past(self, write: Callable[[], None]) -> None:
        """Have `write` add orders and activities before today, as soon as any are read or added, or the day ends.

        They leave nothing in the account but cash. Writing them takes most of the time of a start.
        """
        self._past = write

    @property
    def holdings(self) -> Mapping[str, SimulatedPosition]:
        """The holdings, by symbol."""
        return self._holdings

    def advance(self, at: dt.datetime, session_close_at: dt.datetime | None) -> None:
        """Note closing prices once today's session has ended at `session_close_at`, and begin the next day."""
        if self.closes.advance(at, session_close_at, tuple(self._holdings)):
            for symbol, held in self._holdings.items():
                base = self.closes.of(symbol) * held.quantity * held.multiplier
                self._holdings[symbol] = msgspec.structs.replace(held, day_base=base)
            self._write_past()
            self._last_equity = self._cash + sum((held.day_base for held in self._holdings.values()), Decimal(0))

    def deposit(self, at: dt.datetime) -> None:
        """Deposit $100,000, the cash of a new paper account."""
        self._transfer("JNLC", _DEPOSIT, at)

    def transfer(self, amount: Decimal, at: dt.datetime) -> None:
        """Deposit `amount` dollars, or withdraw them if it is negative."""
        self._transfer("CSD" if amount > 0 else "CSW", amount, at)

    def set_position(self, symbol: str, quantity: int, entry: Decimal | None = None) -> None:
        """Set the holding in `symbol` to `quantity` without an order; 0 removes it.

        `entry` is per share; by default the current entry or, for a new symbol, the mark, as if opened today.
        """
        self._watch(symbol)
        held = self._holdings.get(symbol)
        size = quantity * _multiplier(symbol)
        price = entry if entry is not None else held.entry if held else self.mark(symbol)
        if held is not None:
            base = round(held.day_base * quantity / held.quantity, 4)
        else:
            base = (price if entry is None else self.closes.of(symbol)) * size
        self._last_equity += base - (held.day_base if held else 0)
        self._hold(symbol, quantity, price * size, base)

    def adjust_position(self, symbol: str, quantity: int, price: Decimal | None = None) -> None:
        """Change the holding in `symbol` by `quantity` without an order; with `price` per share, cash changes too.

        Without a price, the contracts are worth nothing from now on.
        """
        self._watch(symbol)
        held = self._holdings.get(symbol)
        before = held.quantity if held else 0
        if price is None and before * quantity >= 0:
            self.set_position(symbol, before + quantity)
            return
        if price is not None:
            self._cash -= price * quantity * _multiplier(symbol)
        self._change(symbol, quantity, self.mark(symbol) if price is None else price)

    def trade(
        self,
        changes: Sequence[tuple[str, int, Decimal | None]],
        at: dt.datetime,
        *,
        ordered: int | None = None,
        replaces: bool = False,
    ) -> dict[str, Any]:
        """Fill one market order and return its trade update.

        `changes` are (symbol, signed quantity, price per share); a price of None is the mark. `ordered` is the quantity
        of the order if it is filled only in part. With `replaces`, the order replaces the previous one. Afterwards the
        order and its activities are in `orders` and `activities`.
        """
        serial = self.next_serial()
        executions = self.execute(changes, at)
        filled = orders.order(executions, at, serial, ordered)
        if replaces and self.orders:
            orders.replace(self.orders[-1], filled, at)
        self.orders.append(filled)
        return self.record(filled, executions, at, serial)

    def add_past_order(self, executions: Sequence[Execution], at: dt.datetime) -> None:
        """Note a market order that was filled before today; what `executions` opened was closed before today, too."""
        serial = self.next_serial()
        filled = orders.order(executions, at, serial)
        for execution in executions:
            self._pay(-execution.price * execution.quantity * _multiplier(execution.symbol), at)
            self._pay(-activities.clearing_fee(execution), at)
        self.orders.append(filled)
        self.record(filled, executions, at, serial)

    def add_past_activity(self, row: dict[str, Any], at: dt.datetime) -> None:
        """Note an activity before today that is not a trade, and its amount."""
        self._pay(Decimal(row["net_amount"]), at)
        self.activities.append(row)

    def next_serial(self) -> int:
        """A number that no other order, fill or transfer of the account has."""
        self._write_past()
        self._serial += 1
        return self._serial

    def execute(self, changes: Sequence[tuple[str, int, Decimal | None]], at: dt.datetime) -> list[Execution]:
        """Change holdings and cash by `changes`, as `trade` does; orders and activities stay as they are."""
        return [self._execute(*change, at) for change in changes]

    def record(
        self, order: dict[str, Any], executions: Sequence[Execution], at: dt.datetime, serial: int
    ) -> dict[str, Any]:
        """Note the activities of `executions`, which filled `order`, and return the trade update."""
        for leg, execution in zip(orders.legs_of(order), executions, strict=True):
            self.activities.append(activities.fill(execution, leg, at, serial))
            if execution.is_option:
                self.activities.append(activities.fee(execution, at, serial))
        return orders.trade_update(order, executions, at, serial)

    def mark(self, symbol: str) -> Decimal:
        """The mark per share: the midpoint of an option's quote, or the price of a stock.

        An option that is not listed is quoted from now on. It is 0 for a symbol that the market does not know.
        """
        self._watch(symbol)
        quote = self.market.latest(symbol)
        if quote is not None:
            return Decimal(str(quote.mid))
        return Decimal(str(self.market.spot(symbol) or 0))

    def positions(self) -> list[dict[str, Any]]:
        """The body of `GET /v2/positions`, by symbol."""
        return [self._position(self._holdings[symbol]) for symbol in sorted(self._holdings)]

    def position(self, symbol: str) -> dict[str, Any] | None:
        """The body of `GET /v2/positions/{symbol}`; None if nothing is held."""
        held = self._holdings.get(symbol)
        return None if held is None else self._position(held)

    def account_json(self) -> dict[str, Any]:
        """The body of `GET /v2/account`."""
        self._write_past()
        return balances.account_json(
            Balances(
                account_id=self.id,
                cash=self._cash,
                last_equity=self._last_equity,
                asof=self.closes.asof,
                holdings=[self._valued(held) for held in self._holdings.values()],
            )
        )

    def _write_past(self) -> None:
        write, self._past = self._past, None
        if write is not None:
            write()

    def _transfer(self, kind: str, amount: Decimal, at: dt.datetime) -> None:
        self._pay(amount, at)
        self.activities.append(activities.transfer(kind, amount, at, self.next_serial()))

    def _pay(self, amount: Decimal, at: dt.datetime) -> None:
        """Add `amount` to the cash; before today it was in yesterday's equity, too."""
        self._cash += amount
        if self._is_past(at):
            self._last_equity += amount

    def _is_past(self, at: dt.datetime) -> bool:
        return at.astimezone(NEW_YORK).date() < self.closes.day

    def _execute(self, symbol: str, quantity: int, price: Decimal | None, at: dt.datetime) -> Execution:
        self._watch(symbol)
        price = self.mark(symbol) if price is None else price
        before = self._holdings.get(symbol)
        self._pay(-price * quantity * _multiplier(symbol), at)
        self._change(symbol, quantity, price)
        after = self._holdings.get(symbol)
        if self._is_past(at):
            if after is not None:
                base = self.closes.of(symbol) * after.quantity * after.multiplier
                after = self._holdings[symbol] = msgspec.structs.replace(after, day_base=base)
            self._last_equity += (after.day_base if after else 0) - (before.day_base if before else 0)
        execution = Execution(
            symbol=symbol,
            quantity=quantity,
            price=price,
            position_after=after.quantity if after else 0,
            is_option=is_option(symbol),
        )
        self._pay(-activities.clearing_fee(execution), at)
        return execution

    def _change(self, symbol: str, quantity: int, price: Decimal) -> None:
        """Trade `quantity` at `price`; the cash stays as it is."""
        held = self._holdings.get(symbol)
        before = held.quantity if held else 0
        paid = price * _multiplier(symbol)
        cost = _cost_after(held.cost if held else Decimal(0), before, quantity, paid)
        base = _cost_after(held.day_base if held else Decimal(0), before, quantity, paid)
        self._hold(symbol, before + quantity, cost, base)

    def _hold(self, symbol: str, quantity: int, cost: Decimal, day_base: Decimal) -> None:
        if quantity == 0:
            self._holdings.pop(symbol, None)
            return
        self._holdings[symbol] = SimulatedPosition(
            symbol=symbol, quantity=quantity, cost=cost, day_base=day_base, multiplier=_multiplier(symbol)
        )

    def _watch(self, symbol: str) -> None:
        if is_option(symbol):
            self.market.watch(symbol)

    def _valued(self, held: SimulatedPosition) -> ValuedHolding:
        root = self.market.root_of(occ.parse(held.symbol).root) if is_option(held.symbol) else None
        return ValuedHolding(
            symbol=held.symbol,
            quantity=held.quantity,
            value=self.mark(held.symbol) * held.quantity * held.multiplier,
            spot=self.mark(root.underlying if root else held.symbol),
        )

    def _position(self, held: SimulatedPosition) -> dict[str, Any]:
        current, close = self.mark(held.symbol), self.closes.of(held.symbol)
        value = current * held.quantity * held.multiplier
        profit, day_profit = value - held.cost, value - held.day_base
        is_contract = is_option(held.symbol)
        return {
            "asset_id": stable_uuid("asset", held.symbol),
            "symbol": held.symbol,
            "exchange": "" if is_contract else "NASDAQ",
            "asset_class": "us_option" if is_contract else "us_equity",
            "asset_marginable": True,
            "qty": str(held.quantity),
            "avg_entry_price": number(held.entry),
            "side": "long" if held.quantity > 0 else "short",
            "market_value": number(value),
            "cost_basis": number(round(held.cost, 2)),
            "unrealized_pl": number(profit),
            "unrealized_plpc": number(_ratio(profit, abs(held.cost))),
            "unrealized_intraday_pl": number(round(day_profit, 4)),
            "unrealized_intraday_plpc": number(_ratio(day_profit, abs(held.day_base))),
            "current_price": number(current),
            "lastday_price": number(close),
            # Not inverted for shorts, as at Alpaca.
            "change_today": number(_ratio(current - close, close)),
            "qty_available": str(held.quantity),
        }


def _cost_after(cost: Decimal, before: int, quantity: int, unit_cost: Decimal) -> Decimal:
    """The cost after trading `quantity`: added to if the holding grows, prorated if it shrinks, reset if it flips."""
    after = before + quantity
    if before * quantity >= 0:
        return cost + unit_cost * quantity
    return cost * after / before if before * after > 0 else unit_cost * after


def _ratio(value: Decimal, by: Decimal | int) -> Decimal:
    if by == 0:
        return Decimal(0)
    with localcontext() as context:
        context.prec = _RATIO_DIGITS
        return value / by


def _multiplier(symbol: str) -> int:
    return 100 if is_option(symbol) else 1
