"""Filled orders in short notation: legs are (right, strike, signed contracts of one condor, price in dollars)."""

import datetime as dt
from decimal import Decimal

from hypothesis import strategies as st

from condord.core.filled_orders import Fill, Order
from tests.core.strategies import DECEMBER, JANUARY, contract

MONDAY = dt.datetime(2026, 11, 16, 15, 0, tzinfo=dt.UTC)

PUTS = [("P", 80, 1, "0.50"), ("P", 85, -1, "1.10")]
CALLS = [("C", 105, -1, "1.20"), ("C", 110, 1, "0.40")]
CONDOR = [*PUTS, *CALLS]
LOWER_PUTS = [("P", 70, 1, "0.30"), ("P", 75, -1, "0.80")]


def e6(dollars):
    """Dollars as text to integers of 1e-6 dollars."""
    return int(Decimal(dollars) * 1_000_000)


def fills(legs, *, opens, quantity=1, **common):
    """Fills from (right, strike, signed contracts of one condor, price in dollars)."""
    found = []
    for right, strike, sign, price in legs:
        option = contract(right, strike, **common)
        found.append(
            Fill(symbol=option.compact, contract=option, quantity=sign * quantity, price_e6=e6(price), opens=opens)
        )
    return found


def opening(legs, quantity=1, **common):
    return fills(legs, opens=True, quantity=quantity, **common)


def closing(legs, quantity=1, **common):
    """The fills that close `legs` at the given prices."""
    return fills(legs, opens=False, quantity=-quantity, **common)


def order(name, minute, *parts):
    return Order(
        id=name,
        filled_at=MONDAY + dt.timedelta(minutes=minute),
        fills=tuple(fill for part in parts for fill in part),
    )


OPENED = order("a", 0, opening(CONDOR))


def at(price, legs):
    """The same legs at another price."""
    return [(right, strike, sign, price) for right, strike, sign, _ in legs]


def any_fills():
    """Fills that need not be plausible."""
    option = st.builds(
        contract,
        st.sampled_from("PC"),
        st.sampled_from([80, 85, 90, 100, 105, 110]),
        expiration=st.sampled_from([DECEMBER, DECEMBER, JANUARY]),
    )
    return st.builds(
        lambda option, quantity, price_e6, opens: Fill(
            symbol=option.compact, contract=option, quantity=quantity, price_e6=price_e6, opens=opens
        ),
        option,
        st.integers(-3, 3),
        st.integers(-100, 5_000_000),
        st.booleans(),
    )


def any_orders():
    anything = st.lists(any_fills(), max_size=8)
    sensible = st.builds(
        lambda legs, quantity, opens: opening(legs, quantity) if opens else closing(legs, quantity),
        st.sampled_from([CONDOR, PUTS, CALLS, [*LOWER_PUTS, *CALLS], [(r, k, -s, p) for r, k, s, p in CONDOR]]),
        st.integers(1, 3),
        st.booleans(),
    )
    parts = st.lists(st.one_of(sensible, sensible, anything), min_size=1, max_size=2)
    return st.lists(
        st.builds(
            lambda name, minute, parts: order(name, minute, *parts),
            st.text("abcdef", min_size=1, max_size=2),
            st.integers(0, 20),
            parts,
        ),
        max_size=10,
    )
