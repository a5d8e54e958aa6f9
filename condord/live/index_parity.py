"""The price of an index from its own options, where Alpaca does not give its value.

Put-call parity is exact for European options. It is taken at the held strike nearest the money of the nearest
expiration, where the call and the put cost most nearly the same. The right that is not held comes from REST.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from condord.core.model.assumptions import Assumptions
from condord.core.model.parity import parity_price
from condord.live.chains import ChainContract, HeldChain

MAX_ASKED = 20
"""The number of strikes whose other right is requested until a price shows which strike is the nearest."""
NEAREST_ASKED = 3
_E4_PER_DOLLAR = 10_000


class _Pair(NamedTuple):
    """The mids of both rights at one strike, in dollars per share."""

    strike: float
    call: float
    put: float


def nearest(chains: Iterable[HeldChain], underlying: str) -> HeldChain | None:
    """The chain of the nearest expiration of an index whose options are European."""
    found = [chain for chain in chains if chain.underlying == underlying and chain.style == "european"]
    return min(found, key=lambda chain: (chain.ending.settles_at, chain.key.expiry), default=None)


def price_e4(
    chain: HeldChain, years: float, mid: Callable[[str], float | None], assumptions: Assumptions
) -> int | None:
    """The price of the index in 1e-4 dollars; None if no strike has the mids of both its put and its call.

    `mid` returns the mid of a contract, given its symbol, or None if its quote is not usable.
    """
    pair = min(_pairs(chain, mid), key=lambda pair: abs(pair.call - pair.put), default=None)
    if pair is None:
        return None
    found = parity_price(
        pair.call,
        pair.put,
        pair.strike,
        years=years,
        rate=assumptions.rate,
        dividend_yield=assumptions.dividend_yields.get(chain.underlying, 0.0),
    )
    return None if found is None else round(found * _E4_PER_DOLLAR)


def contracts_to_request(chain: HeldChain, price: float | None, mid: Callable[[str], float | None]) -> list[str]:
    """The contracts whose quotes are needed, those of the strikes nearest the money first.

    While the price is not known, the most expensive contracts held are taken to be the nearest.
    """
    held = {contract.symbol for contract in chain.contracts}

    def distance(contract: ChainContract) -> float:
        return -(mid(contract.symbol) or 0.0) if price is None else abs(contract.strike - price)

    ranked = sorted(chain.contracts, key=lambda contract: (distance(contract), contract.symbol))
    most = MAX_ASKED if price is None else NEAREST_ASKED
    return [contract.opposite.symbol for contract in ranked[:most] if contract.opposite.symbol not in held]


def _pairs(chain: HeldChain, mid: Callable[[str], float | None]) -> Iterator[_Pair]:
    for contract in chain.contracts:
        own, other = mid(contract.symbol), mid(contract.opposite.symbol)
        if own is not None and other is not None:
            is_call = contract.right == "call"
            yield _Pair(contract.strike, own if is_call else other, other if is_call else own)
