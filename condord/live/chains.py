"""The held contracts of each expiry, with what their figures depend on besides prices.

The contracts of a chain settle together and deliver the same. Prices of options are per share of the multiplier. For an
adjusted contract, one such share is worth `shares_ratio` shares of the underlying and `cash` dollars. A standard
contract has the ratio 1 and no cash.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from condord.core.calendar import DAY, Calendar
from condord.core.condor import Condor
from condord.core.cover import Leftover
from condord.core.cutoffs import Cutoff, CutoffSettings, cutoffs
from condord.core.expiry import Ending, Expiry, Style, ending_of, expiry_of, style_of
from condord.core.market_hours import LATE, Hours, exchange_day
from condord.core.model.assumptions import MINUTES_PER_YEAR
from condord.core.model.figures import ModelQuote, invertible_price
from condord.core.occ import OptionSymbol, Right
from condord.core.position import Deliverable, Position
from condord.core.quote import Quote
from condord.live.lifecycle import AccountReading

CASH = "USD"
"""The symbol of cash in a list of deliverables."""

_MILLS_PER_DOLLAR = 1_000
_OTHER: dict[Right, Right] = {"put": "call", "call": "put"}


class ChainKey(NamedTuple):
    """The terms that the contracts of a chain share."""

    expiry: Expiry
    multiplier: int
    deliverables: tuple[Deliverable, ...]


class ListedContract(msgspec.Struct, frozen=True, kw_only=True):
    """A contract by its symbol and terms."""

    symbol: str
    right: Right
    strike: float


class ChainContract(ListedContract, frozen=True, kw_only=True):
    """One contract of a chain; `quantity` is signed, None if it is unknown. `opposite` has the other right."""

    contract: OptionSymbol
    quantity: int | None
    opposite: ListedContract

    def is_in_the_money(self, spot: float) -> bool:
        """Whether it would be worth anything at `spot`, the price to compare its strike with."""
        return self.strike < spot if self.right == "call" else self.strike > spot


class HeldChain(msgspec.Struct, frozen=True, kw_only=True):
    """The contracts of one expiry and deliverable, the condors of which they are legs, and those in no condor.

    `shares_ratio` is None if what they deliver is not known, or is not only shares of the underlying and cash.
    """

    key: ChainKey
    underlying: str
    ending: Ending
    style: Style
    shares_ratio: float | None
    cash: float
    contracts: tuple[ChainContract, ...]
    condors: tuple[Condor, ...]
    leftovers: tuple[Leftover, ...]

    def spot(self, price: float | None) -> float | None:
        """The price to compare strikes with, from a price of the underlying, in dollars; None if not known."""
        if price is None or self.shares_ratio is None:
            return None
        return price * self.shares_ratio + self.cash

    def years(self, now_at: dt.datetime, as_of: dt.datetime) -> float | None:
        """The time from `as_of` to the settlement; None from the settlement on."""
        if now_at >= self.ending.settles_at:
            return None
        return (self.ending.settles_at - as_of).total_seconds() / 60 / MINUTES_PER_YEAR

    def counted_from(self, now_at: dt.datetime, calendar: Calendar, *, is_open: bool | None) -> dt.datetime:
        """The moment from which time counts: this minute while the market is open, else the last close.

        `is_open` is whether the options held trade; None if it is not known, so that the calendar decides.
        """
        today = calendar.on(exchange_day(now_at))
        if is_open is None:
            is_open = today is not None and today.open_at <= now_at < self._close(today)
        if is_open:
            return now_at.replace(second=0, microsecond=0)
        last = today if today is not None and self._close(today) <= now_at else _before(now_at, calendar)
        return min(self._close(last), self.ending.last_trading_at)

    def cutoffs(self, calendar: Calendar, settings: CutoffSettings) -> tuple[Cutoff, ...]:
        """The cut-offs of Alpaca on the last trading day."""
        return cutoffs(self.key.expiry, self.ending, self.style, calendar, settings)

    def _close(self, hours: Hours) -> dt.datetime:
        return hours.close_at + LATE if self.key.expiry.is_late else hours.close_at


def chains_of(reading: AccountReading) -> tuple[HeldChain, ...]:
    """The chains of a reading."""
    held: dict[ChainKey, list[Position]] = {}
    keys: dict[str, ChainKey] = {}
    for position in reading.positions:
        if position.contract is not None:
            expiry = expiry_of(position.contract, position.underlying)
            key = keys[position.symbol] = ChainKey(expiry, position.multiplier, position.deliverables)
            held.setdefault(key, []).append(position)
    condors: dict[ChainKey, list[Condor]] = {}
    for condor in reading.grouping.condors:
        condors.setdefault(keys[condor.legs[0].symbol], []).append(condor)
    leftovers: dict[ChainKey, list[Leftover]] = {}
    for left in reading.grouping.unmatched:
        if left.position.symbol in keys:
            leftovers.setdefault(keys[left.position.symbol], []).append(left)
    return tuple(
        _chain(key, positions, ending_of(key.expiry, reading.calendar), condors.get(key, ()), leftovers.get(key, ()))
        for key, positions in held.items()
    )


def _chain(
    key: ChainKey,
    positions: Iterable[Position],
    ending: Ending,
    condors: Iterable[Condor],
    leftovers: Iterable[Leftover],
) -> HeldChain:
    underlying = key.expiry.underlying
    shares, cash = delivered(key)
    return HeldChain(
        key=key,
        underlying=underlying,
        ending=ending,
        style=next((held.style for held in positions if held.style is not None), style_of(key.expiry)),
        shares_ratio=None if shares is None else shares / key.multiplier,
        cash=cash / key.multiplier,
        contracts=tuple(
            _held(held.symbol, held.contract, held.quantity) for held in positions if held.contract is not None
        ),
        condors=tuple(condors),
        leftovers=tuple(leftovers),
    )


def _held(symbol: str, contract: OptionSymbol, quantity: int | None) -> ChainContract:
    other = msgspec.structs.replace(contract, right=_OTHER[contract.right])
    strike = contract.strike_mills / _MILLS_PER_DOLLAR
    return ChainContract(
        symbol=symbol,
        contract=contract,
        right=contract.right,
        strike=strike,
        quantity=quantity,
        opposite=ListedContract(symbol=other.compact, right=other.right, strike=strike),
    )


def delivered(key: ChainKey) -> tuple[float | None, float]:
    """The shares of the underlying and the dollars that one contract delivers.

    The shares are None if the deliverables are not known, or include anything else.
    """
    if not key.deliverables:
        # A digit at the end of the root means adjusted; at its beginning, FLEX, which delivers what others do.
        is_standard = not key.expiry.root[-1].isdigit()
        return (float(key.multiplier) if is_standard else None), 0.0
    shares, cash = 0.0, 0.0
    for item in key.deliverables:
        amount = _amount(item.amount)
        if amount is None or item.symbol not in (key.expiry.underlying, CASH):
            return None, 0.0
        if item.symbol == CASH:
            cash += amount
        else:
            shares += amount
    return shares, cash


def _amount(text: str | None) -> float | None:
    try:
        amount = float(text or "")
    except ValueError:
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None


def model_quote(listed: ListedContract, quote: Quote | None, *, unconfirmed: bool) -> ModelQuote:
    """The quote as the model inverts it: the price of a usable quote, or no price."""
    price = None if quote is None else invertible_price(quote, unconfirmed=unconfirmed)
    return ModelQuote(symbol=listed.symbol, right=listed.right, strike=listed.strike, price=price)


def _before(now_at: dt.datetime, calendar: Calendar) -> Hours:
    return calendar.last_until(exchange_day(now_at) - DAY)
