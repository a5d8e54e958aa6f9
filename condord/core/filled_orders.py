"""Read filled orders as transactions: contracts opened and closed together.

An order and its replacements are one transaction, dated by the first fill. Transactions are sorted by that instant,
then by id. An order that only closes and an order that only opens are also one transaction if together they are a roll
and at most 60 s apart; each is joined with the nearest.

A roll closes a condor, or one side of it (both puts or both calls), and opens it again at other strikes or another
expiration. Root, direction and quantity stay the same. Anything else is two transactions.

Costs are before the multiplier, which orders do not contain and positions do.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import msgspec

from condord.core import cost
from condord.core.cost import Costs
from condord.core.occ import OptionSymbol

ROLL_SECONDS = 60.0
"""The longest time between two orders that are one roll."""

_RIGHTS = ["put", "put", "call", "call"]
FourLegs = tuple["LotLeg", "LotLeg", "LotLeg", "LotLeg"]
Fills = dict[str, "LotLeg"]
"""The fills by symbol."""
_Shape = tuple[str, str, int]
"""Equal for both halves of a roll: "put", "call" or "condor", the root, the signed contracts of the lowest leg."""


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """The fill of one contract of an order.

    `quantity` is signed (+ bought, - sold), and `price_e6` is Alpaca's average in 1e-6 dollars a share. `opens` is true
    if the order's position intent was to open. `leg_id` is the id of the leg, which is an order of its own, as
    activities name it.
    """

    symbol: str
    contract: OptionSymbol
    quantity: int
    price_e6: int
    opens: bool
    leg_id: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A filled order, with one fill for each leg.

    `origin` is the id of the first order in its chain of replacements, None if it replaced no order. `is_partial`:
    it was filled in part, for which Alpaca gives no instant, so `filled_at` is from activities or an estimate.
    """

    id: str
    filled_at: dt.datetime
    fills: tuple[Fill, ...]
    origin: str | None = None
    is_partial: bool = False


class LotLeg(msgspec.Struct, frozen=True, kw_only=True):
    """The signed contracts of one leg, and their cost."""

    symbol: str
    contract: OptionSymbol
    quantity: int
    costs: Costs

    @property
    def price_e4(self) -> int:
        """The average price per share, in 1e-4 dollars."""
        return cost.average_e4(self.costs, self.quantity)

    def split(self, count: int) -> tuple[LotLeg, LotLeg]:
        """The first `count` contracts (unsigned), and the others."""
        taken, left = cost.split(self.costs, count)
        quantity = sign_of(self.quantity) * count
        return (
            msgspec.structs.replace(self, quantity=quantity, costs=taken),
            msgspec.structs.replace(self, quantity=self.quantity - quantity, costs=left),
        )


class Transaction(msgspec.Struct, kw_only=True):
    """One order with its replacements, or the two orders of a roll; `at` and `last_at` are its first and last fill."""

    id: str
    at: dt.datetime
    last_at: dt.datetime
    closing: Fills
    opening: Fills

    @property
    def is_roll(self) -> bool:
        """Whether a condor, or one side of it, is closed and opened again at other strikes or another expiration."""
        shape = _closed_shape(self.closing)
        return shape is not None and shape == _opened_shape(self.opening) and self.closing.keys() != self.opening.keys()

    def can_join(self, half: Transaction) -> bool:
        """Whether `half`, which came later, can be the other half of a roll: it closes nothing that this one opened."""
        opened, closed = self.opening or half.opening, self.closing or half.closing
        undoes = any(
            closed[symbol].quantity * opened[symbol].quantity < 0 for symbol in closed.keys() & self.opening.keys()
        )
        return opened.keys() != closed.keys() and not undoes

    def join(self, half: Transaction) -> None:
        """Add the other half of a roll."""
        if half.opening:
            self.id = half.id
        self.closing, self.opening = self.closing or half.closing, self.opening or half.opening


def transactions(orders: Iterable[Order]) -> list[Transaction]:
    """The transactions of `orders`, oldest first; the order of the input does not matter.

    Of several orders with the same id, only the one with the last fill counts. A roll of two orders is sorted by the
    first of them.
    """
    joined = []
    waiting: dict[tuple[_Shape, bool], list[Transaction]] = {}
    for transaction in _chains(orders):
        shape = _closed_shape(transaction.closing) or _opened_shape(transaction.opening)
        if shape is None or (transaction.closing and transaction.opening):
            joined.append(transaction)
            continue
        closes = bool(transaction.closing)
        others = [
            other
            for other in waiting.get((shape, not closes), ())
            if (transaction.at - other.last_at).total_seconds() <= ROLL_SECONDS
        ]
        mates = [other for other in others if other.can_join(transaction)]
        if mates:
            others.remove(mates[-1])
            mates[-1].join(transaction)
        else:
            waiting.setdefault((shape, closes), []).append(transaction)
            joined.append(transaction)
        waiting[shape, not closes] = others
    return joined


def _chains(orders: Iterable[Order]) -> list[Transaction]:
    """One transaction for each order and its replacements."""
    newest = {order.id: order for order in sorted(orders, key=_version)}
    chains: dict[str, list[Order]] = {}
    for order in sorted(newest.values(), key=lambda order: (order.filled_at, order.id)):
        chains.setdefault(order.origin or order.id, []).append(order)
    found = [
        Transaction(
            id=origin,
            at=chain[0].filled_at,
            last_at=chain[-1].filled_at,
            closing=_by_symbol((fill, order.id) for order in chain for fill in order.fills if not fill.opens),
            opening=_by_symbol((fill, order.id) for order in chain for fill in order.fills if fill.opens),
        )
        for origin, chain in chains.items()
    ]
    return sorted(found, key=lambda transaction: (transaction.at, transaction.id))


def _version(order: Order) -> tuple[dt.datetime, int]:
    return order.filled_at, sum(abs(fill.quantity) for fill in order.fills)


def _by_symbol(fills: Iterable[tuple[Fill, str]]) -> Fills:
    """One leg for each symbol, of all its fills; symbols whose fills add up to nothing are left out.

    Each fill comes with the id of its order.
    """
    parts: dict[str, list[tuple[Fill, str]]] = {}
    for fill, order_id in fills:
        if fill.quantity:
            parts.setdefault(fill.symbol, []).append((fill, order_id))
    legs = {symbol: _leg(found) for symbol, found in parts.items()}
    return {symbol: leg for symbol, leg in legs.items() if leg.quantity}


def _leg(fills: Sequence[tuple[Fill, str]]) -> LotLeg:
    """The fills of one contract as a leg.

    If one order bought and sold the contract, the difference in contracts has the difference in cost.
    """
    quantity = sum(fill.quantity for fill, _ in fills)
    if abs(quantity) == sum(abs(fill.quantity) for fill, _ in fills):
        costs = tuple(
            part
            for fill, order_id in fills
            for part in cost.fill_cost(fill.quantity * fill.price_e6, abs(fill.quantity), fill.leg_id or order_id)
        )
    else:
        costs = cost.fill_cost(sum(fill.quantity * fill.price_e6 for fill, _ in fills), abs(quantity))
    last, _ = fills[-1]
    return LotLeg(symbol=last.symbol, contract=last.contract, quantity=quantity, costs=costs)


def _opened_shape(fills: Fills) -> _Shape | None:
    """The shape of the opened legs, None if that is neither a condor nor one side of it."""
    legs = list(fills.values())
    verticals = as_verticals(legs)
    if verticals is not None:
        outer_put = verticals[0]
        return ("condor", outer_put.contract.root, outer_put.quantity) if is_condor(verticals) else None
    return _side(legs)


def _closed_shape(fills: Fills) -> _Shape | None:
    """The shape of the closed legs; the sides of a condor that is being rolled may have two expirations."""
    legs = list(fills.values())
    verticals = as_verticals(legs)
    if verticals is not None:
        outer_put = verticals[0]
        return "condor", outer_put.contract.root, -outer_put.quantity
    if (side := _side(legs)) is None:
        return None
    right, root, quantity = side
    return right, root, -quantity


def _side(legs: Sequence[LotLeg]) -> _Shape | None:
    """The shape of both puts or both calls of a condor, None if `legs` are neither."""
    if len(legs) != 2:
        return None
    low, high = sorted(legs, key=lambda leg: leg.contract.strike_mills)
    if low.contract.right != high.contract.right or low.quantity != -high.quantity or not _is_vertical(low, high):
        return None
    return low.contract.right, low.contract.root, low.quantity


def as_verticals(legs: Sequence[LotLeg]) -> FourLegs | None:
    """The legs by right and strike if they are a vertical of puts and one of calls, else None.

    Both have the root, direction and quantity of one condor, but their expirations may differ and their strikes cross.
    """
    in_order = sorted(legs, key=lambda leg: (leg.contract.right == "call", leg.contract.strike_mills))
    if [leg.contract.right for leg in in_order] != _RIGHTS:
        return None
    outer_put, inner_put, inner_call, outer_call = in_order
    outer = outer_put.quantity
    if [leg.quantity for leg in (inner_put, inner_call, outer_call)] != [-outer, -outer, outer]:
        return None
    if not (_is_vertical(outer_put, inner_put) and _is_vertical(inner_call, outer_call)):
        return None
    if outer_put.contract.root != inner_call.contract.root:
        return None
    return outer_put, inner_put, inner_call, outer_call


def _is_vertical(low: LotLeg, high: LotLeg) -> bool:
    return (low.contract.root, low.contract.expiration) == (high.contract.root, high.contract.expiration) and (
        low.contract.strike_mills < high.contract.strike_mills
    )


def is_condor(legs: FourLegs) -> bool:
    """Whether two verticals are a condor: they have one expiration, and the inner put is not above the inner call."""
    _, put, call, _ = (leg.contract for leg in legs)
    return put.expiration == call.expiration and put.strike_mills <= call.strike_mills


def take(fills: Fills, symbols: Iterable[str], quantity: int) -> list[LotLeg]:
    """Remove the first `quantity` contracts of each of `symbols` from `fills`, and return them."""
    taken = []
    for symbol in symbols:
        first, left = fills.pop(symbol).split(quantity)
        if first.quantity:
            taken.append(first)
        if left.quantity:
            fills[symbol] = left
    return taken


def closed_by(legs: Iterable[LotLeg], closing: Fills) -> list[str]:
    """The symbols of the `legs` that `closing` closes."""
    return [leg.symbol for leg in legs if leg.symbol in closing and leg.quantity * closing[leg.symbol].quantity < 0]


def joined(legs: Sequence[LotLeg]) -> LotLeg:
    """Contracts of one symbol and one sign as one leg, with the costs of all."""
    return msgspec.structs.replace(
        legs[0], quantity=sum(leg.quantity for leg in legs), costs=tuple(part for leg in legs for part in leg.costs)
    )


def sign_of(quantity: int) -> int:
    """1 for long, -1 for short."""
    return 1 if quantity > 0 else -1
