"""Decides which condors the filled orders of an account have opened and not closed: its lots.

What was traded at once belongs together, whatever the legs alone would suggest. Orders count by the instant of their
fill, then by id. Each of them does, in this order:

1. Roll. All its closing fills are legs of one lot, as many opening fills take their place, and both wings are verticals
   again, of one root and in the same direction: the lot keeps its id and its opening and adds what the closed legs
   made. The oldest lot goes first, but one that becomes a condor before one that does not: a lot rolled one wing at a
   time has two expirations, or crossed wings, in between, and is not shown until the other wing follows.
2. Close. What closes all four legs of a lot reduces it, the oldest first. Other closing fills take contracts that are
   in no lot; then legs of the lots that hold most of them, the oldest first. Such a lot is a condor no more: its other
   legs are in no lot from then on, and what its rolls made is not kept. Closing more than is known does nothing.
3. Open. Opening fills that are exactly one condor, of equal quantities, are a new lot. Any others (single legs,
   verticals, strangles, ratios) are in no lot.

Any of these may concern a part of a lot's contracts: then it is split. Lots that expired before an order are forgotten.
Prices are per share; the multiplier is the positions' matter, as is what is truly held: `capped` makes lots give way.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from condord.core.occ import OptionSymbol

_RIGHTS = ["put", "put", "call", "call"]
_Legs = tuple["LotLeg", "LotLeg", "LotLeg", "LotLeg"]
_Fills = dict[str, "Fill"]


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """What an order filled of one contract: `quantity` + bought, - sold. `opens`: its intent was to open."""

    symbol: str
    contract: OptionSymbol
    quantity: int
    price_e4: int
    opens: bool


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A filled order; a multi-leg one has a fill for each leg."""

    id: str
    filled_at: dt.datetime
    fills: tuple[Fill, ...]


class LotLeg(msgspec.Struct, frozen=True, kw_only=True):
    """One leg of a lot: signed contracts, opened at `price_e4` a share."""

    symbol: str
    contract: OptionSymbol
    quantity: int
    price_e4: int


class Lot(msgspec.Struct, frozen=True, kw_only=True):
    """`quantity` condors with one history; the legs are the outer and inner put, the inner and outer call.

    `id` is the opening order's; lots split by a roll share it. `realized_e4` is what the rolls made, per share.
    """

    id: str
    opened_at: dt.datetime
    quantity: int
    legs: _Legs
    realized_e4: int = 0

    def part(self, quantity: int) -> Lot:
        """So many of these condors."""
        one, two, three, four = self.legs
        outer = _sign(one.quantity) * quantity
        legs = (_resized(one, outer), _resized(two, -outer), _resized(three, -outer), _resized(four, outer))
        return msgspec.structs.replace(self, quantity=quantity, legs=legs)


def lots(orders: Iterable[Order]) -> tuple[Lot, ...]:
    """The condors that `orders` opened and have not closed, oldest first; the order of the input is of no account.

    Of orders with the same id only that with the last fill counts.
    """
    newest = {order.id: order for order in sorted(orders, key=_version)}
    ledger = _Ledger()
    for order in sorted(newest.values(), key=lambda order: (order.filled_at, order.id)):
        ledger.take(order)
    return tuple(lot for lot in ledger.lots if _is_condor(lot.legs))


def capped(lots: Iterable[Lot], held: Mapping[str, int]) -> tuple[Lot, ...]:
    """What of `lots` is covered by the signed contracts `held` (by symbol), leg by leg, oldest first.

    Contracts that are gone without an order (assigned, moved) are taken as a broker takes them, first in, first out: so
    the newest lots are covered first. A lot may be covered in part.
    """
    left = dict(held)
    covered = []
    oldest_first = sorted(lots, key=lambda lot: (lot.opened_at, lot.id))
    for lot in reversed(oldest_first):
        available = [_sign(leg.quantity) * left.get(leg.symbol, 0) for leg in lot.legs]
        quantity = min(lot.quantity, *available)
        if quantity > 0:
            covered.append(lot.part(quantity))
            for leg in covered[-1].legs:
                left[leg.symbol] -= leg.quantity
    return tuple(reversed(covered))


def _version(order: Order) -> tuple[dt.datetime, int]:
    return order.filled_at, sum(abs(fill.quantity) for fill in order.fills)


class _Ledger:
    """The lots of the orders so far, oldest first, and by symbol the signed contracts that are in no lot: `loose`."""

    def __init__(self) -> None:
        self.lots: list[Lot] = []
        self.loose: Counter[str] = Counter()

    def take(self, order: Order) -> None:
        closing = _joined(fill for fill in order.fills if not fill.opens)
        opening = _joined(fill for fill in order.fills if fill.opens)
        if closing:
            day = order.filled_at.toordinal()
            self.lots = [lot for lot in self.lots if _expires(lot).toordinal() >= day - 1]
            if len(closing) == len(opening):
                self._roll(closing, opening)
            self._close(closing)
        self._open(order, opening)

    def _roll(self, closing: _Fills, opening: _Fills) -> None:
        for may_be_apart in (False, True):
            after = []
            for lot in self.lots:
                rolled = _rolled(lot, closing, opening)
                if rolled is not None and (may_be_apart or _is_condor(rolled.legs)):
                    _use(closing, closing, rolled.quantity)
                    _use(opening, opening, rolled.quantity)
                    after += [rolled, *_rest(lot, rolled.quantity)]
                else:
                    after.append(lot)
            self.lots = after

    def _close(self, closing: _Fills) -> None:
        self._close_lots(closing, 4)
        for symbol, fill in list(closing.items()):
            sign = _sign(fill.quantity)
            quantity = min(abs(fill.quantity), max(0, -sign * self.loose[symbol]))
            self.loose[symbol] += sign * quantity
            _use(closing, [symbol], quantity)
        for legs in (3, 2, 1) if closing else ():
            self._close_lots(closing, legs)

    def _close_lots(self, closing: _Fills, legs: int) -> None:
        """Close what lots hold just so many legs of."""
        after = []
        for lot in self.lots:
            closed = _closed(lot, closing)
            quantity = 0
            if len(closed) == legs:
                quantity = min(lot.quantity, *(abs(closing[symbol].quantity) for symbol in closed))
                _use(closing, closed, quantity)
                for leg in lot.part(quantity).legs:
                    self.loose[leg.symbol] += 0 if leg.symbol in closed else leg.quantity
            after += _rest(lot, quantity)
        self.lots = after

    def _open(self, order: Order, opening: _Fills) -> None:
        legs = _in_place([_leg(fill, fill.quantity) for fill in opening.values()])
        if legs is not None and _is_condor(legs):
            quantity = abs(legs[0].quantity)
            self.lots.append(Lot(id=order.id, opened_at=order.filled_at, quantity=quantity, legs=legs))
        else:
            self.loose.update({symbol: fill.quantity for symbol, fill in opening.items()})


def _joined(fills: Iterable[Fill]) -> _Fills:
    """One fill for each symbol, at the average price to the nearest 1e-4 dollars; none of no contracts."""
    last: _Fills = {}
    quantities: Counter[str] = Counter()
    paid_e4: Counter[str] = Counter()
    for fill in fills:
        last[fill.symbol] = fill
        quantities[fill.symbol] += fill.quantity
        paid_e4[fill.symbol] += fill.quantity * fill.price_e4
    return {
        symbol: msgspec.structs.replace(
            last[symbol], quantity=quantity, price_e4=(2 * paid_e4[symbol] + quantity) // (2 * quantity)
        )
        for symbol, quantity in quantities.items()
        if quantity
    }


def _expires(lot: Lot) -> dt.date:
    """The day of its last contracts; a lot rolled one wing at a time may have two."""
    return max(leg.contract.expiration for leg in lot.legs)


def _use(fills: _Fills, symbols: Iterable[str], quantity: int) -> None:
    """Take so many contracts of each of `symbols` out of `fills`."""
    for symbol in list(symbols):
        fill = fills.pop(symbol)
        left = fill.quantity - _sign(fill.quantity) * quantity
        if left:
            fills[symbol] = msgspec.structs.replace(fill, quantity=left)


def _rest(lot: Lot, quantity: int) -> list[Lot]:
    """The lot without so many of its contracts."""
    if not quantity:
        return [lot]
    return [lot.part(lot.quantity - quantity)] if quantity < lot.quantity else []


def _closed(lot: Lot, closing: _Fills) -> list[str]:
    """The symbols of the legs that `closing` closes."""
    return [leg.symbol for leg in lot.legs if leg.symbol in closing and leg.quantity * closing[leg.symbol].quantity < 0]


def _rolled(lot: Lot, closing: _Fills, opening: _Fills) -> Lot | None:
    """As much of `lot` as these fills roll; None when they do not roll it."""
    closed = _closed(lot, closing)
    if not closed or not len(closed) == len(closing) == len(opening):
        return None
    quantity = min(lot.quantity, *(abs(fill.quantity) for fill in (*closing.values(), *opening.values())))
    part = lot.part(quantity)
    kept = [leg for leg in part.legs if leg.symbol not in closing]
    legs = _in_place([*kept, *(_leg(fill, _sign(fill.quantity) * quantity) for fill in opening.values())])
    if legs is None or legs[0].quantity != part.legs[0].quantity:
        return None
    if legs[0].contract.root != part.legs[0].contract.root:
        return None
    made_e4 = sum(
        _sign(leg.quantity) * (closing[leg.symbol].price_e4 - leg.price_e4)
        for leg in part.legs
        if leg.symbol in closing
    )
    return msgspec.structs.replace(part, legs=legs, realized_e4=part.realized_e4 + made_e4)


def _in_place(legs: Sequence[LotLeg]) -> _Legs | None:
    """The legs by right and strike, if they are two verticals, one of each right, that make a condor when they meet."""
    in_order = sorted(legs, key=lambda leg: (leg.contract.right == "call", leg.contract.strike_mills))
    if [leg.contract.right for leg in in_order] != _RIGHTS:
        return None
    one, two, three, four = in_order
    if [leg.quantity for leg in (two, three, four)] != [-one.quantity, -one.quantity, one.quantity]:
        return None
    if not (_is_vertical(one, two) and _is_vertical(three, four)) or one.contract.root != three.contract.root:
        return None
    return one, two, three, four


def _is_vertical(low: LotLeg, high: LotLeg) -> bool:
    return (low.contract.root, low.contract.expiration) == (high.contract.root, high.contract.expiration) and (
        low.contract.strike_mills < high.contract.strike_mills
    )


def _is_condor(legs: _Legs) -> bool:
    """Whether two verticals are a condor: one expiration, and the inner put not above the inner call."""
    _, put, call, _ = (leg.contract for leg in legs)
    return put.expiration == call.expiration and put.strike_mills <= call.strike_mills


def _leg(fill: Fill, quantity: int) -> LotLeg:
    return LotLeg(symbol=fill.symbol, contract=fill.contract, quantity=quantity, price_e4=fill.price_e4)


def _resized(leg: LotLeg, quantity: int) -> LotLeg:
    return msgspec.structs.replace(leg, quantity=quantity)


def _sign(quantity: int) -> int:
    return 1 if quantity > 0 else -1
