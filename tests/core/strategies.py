"""Builders and strategies for the tests of core: positions, quotes and lots in short notation.

Prices and strikes are dollars as text here, and integers of 1e-4 dollars in the results.
"""

import datetime as dt
import string
from collections import Counter
from decimal import Decimal
from itertools import chain

from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.cost import fill_cost
from condord.core.filled_orders import LotLeg
from condord.core.grouping.account import group
from condord.core.lots import Lot
from condord.core.occ import OptionSymbol
from condord.core.position import Position
from condord.core.quote import Tick, judge

DECEMBER = dt.date(2026, 12, 18)
JANUARY = dt.date(2027, 1, 15)
STRIKES = (90, 95, 105, 110)
"""The strikes of a condor with wings of 5 dollars."""
MONDAY = dt.datetime(2026, 11, 16, 15, 0, tzinfo=dt.UTC)
QUOTED_AT = dt.datetime(2026, 11, 20, 15, 31, 7, tzinfo=dt.UTC)

_RIGHTS = {"P": "put", "C": "call"}


def e4(dollars):
    """Converts dollars as text to integers of 1e-4 dollars; fails if the amount is finer."""
    if dollars is None:
        return None
    amount = Decimal(dollars) * 10_000
    assert amount == amount.to_integral_value()
    return int(amount)


def dollars(*amounts):
    """Converts several amounts like `e4`."""
    return tuple(map(e4, amounts))


def contract(right, strike, *, root="XYZ", expiration=DECEMBER):
    """An option from `P` or `C` and its strike in dollars."""
    mills = Decimal(str(strike)) * 1000
    return OptionSymbol(root=root, expiration=expiration, right=_RIGHTS[right], strike_mills=int(mills))


def lot_leg(option, quantity, price_e4):
    """A leg of a lot: `quantity` signed contracts of one fill at a price."""
    paid = fill_cost(quantity * price_e4 * 100, abs(quantity))
    return LotLeg(symbol=option.compact, contract=option, quantity=quantity, costs=paid)


def holding(
    right,
    strike,
    quantity,
    entry="1",
    *,
    basis=None,
    root="XYZ",
    expiration=DECEMBER,
    multiplier=100,
    underlying=None,
):
    """A position of `quantity` signed contracts, entered at `entry` dollars a share or for `basis` dollars in all."""
    option = contract(right, strike, root=root, expiration=expiration)
    basis_e4 = e4(basis)
    if basis is None and entry is not None:
        basis_e4 = quantity * multiplier * e4(entry)
    return Position(
        symbol=option.compact,
        contract=option,
        quantity=quantity,
        average_entry_e4=e4(entry),
        cost_basis_e4=basis_e4,
        multiplier=multiplier,
        underlying=underlying or root,
    )


def holdings(*legs, **common):
    """Positions from (right, strike, quantity) and the expiration unless it is December."""
    return [
        holding(right, strike, quantity, expiration=(*rest, DECEMBER)[0], **common)
        for right, strike, quantity, *rest in legs
    ]


SHAPE = (("P", 1), ("P", -1), ("C", -1), ("C", 1))
"""The rights and signs of a short condor's legs, by strike."""


def lot(strikes, entries="1221", quantity=1, *, name="a", day=0, realized="0", root="XYZ"):
    """A lot of one order; a negative `quantity` makes it a reverse condor."""
    legs = []
    for (right, sign), strike, entry in zip(SHAPE, strikes, entries, strict=True):
        legs.append(lot_leg(contract(right, strike, root=root), sign * quantity, e4(entry)))
    opened_at = MONDAY + dt.timedelta(days=day)
    costs = None if realized is None else (fill_cost(-e4(realized) * 100 * abs(quantity), abs(quantity)),)
    return Lot(
        id=name, since_at=opened_at, opened_at=opened_at, quantity=abs(quantity), legs=tuple(legs), realized=costs
    )


def unreadable(symbol="SPY-DEC18-P560", *, quantity=-1, underlying=None):
    """A position whose symbol cannot be parsed."""
    return Position(
        symbol=symbol,
        contract=None,
        quantity=quantity,
        average_entry_e4=None,
        cost_basis_e4=None,
        underlying=underlying,
        problem="not an option symbol",
    )


def condor_holdings(strikes, entries, quantity=1, **common):
    """The four positions of a condor; a negative `quantity` makes it a reverse condor."""
    return [
        holding(right, strike, sign * quantity, entry, **common)
        for (right, sign), strike, entry in zip(SHAPE, strikes, entries, strict=True)
    ]


def only_condor(positions):
    """The one condor that uses up all of `positions`."""
    found = group(positions)
    assert found.unmatched == ()
    (condor,) = found.condors
    return condor


def numbers(condor):
    """The numbers of a condor that do not depend on quotes."""
    return (
        condor.credit_e4,
        condor.max_profit_e4,
        condor.max_loss_e4,
        condor.lower_breakeven_e4,
        condor.upper_breakeven_e4,
    )


def quoted(symbol, bid, ask, *, last_good=None, at=QUOTED_AT):
    """A judged quote from prices in dollars."""
    return judge(Tick(symbol, at, float(bid), float(ask), 10, 10), e4(last_good))


def payoff_e4(legs, price_e4, multiplier):
    """The profit or loss at expiration at `price_e4`; `legs` are (right, strike in mills, quantity, basis in 1e-4)."""
    total = 0
    for right, strike_mills, quantity, basis_e4 in legs:
        above = price_e4 - strike_mills * 10
        total += quantity * multiplier * max(0, above if right == "call" else -above) - basis_e4
    return total


def legs_of(condor):
    """The legs of a condor as `payoff_e4` takes them."""
    return [(leg.right, leg.strike_mills, leg.quantity, leg.cost_basis_e4) for leg in condor.legs]


def roots():
    """All roots that a symbol may have."""
    letters_and_digits = st.text(string.ascii_uppercase + string.digits, min_size=1, max_size=6)
    return letters_and_digits.filter(lambda root: not root.isdigit())


def option_symbols():
    """All contracts that a symbol can contain."""
    return st.builds(
        OptionSymbol,
        root=roots(),
        expiration=st.dates(dt.date(2000, 1, 1), dt.date(2099, 12, 31)),
        right=st.sampled_from(["put", "call"]),
        strike_mills=st.integers(1, 99_999_999),
    )


@st.composite
def pieces(draw):
    """A condor, a reverse condor or one leg, as (root, expiration, right, strike, signed contracts)."""
    key = draw(st.sampled_from([("XYZ", DECEMBER)] * 4 + [("XYZ1", DECEMBER), ("XYZ", JANUARY)]))
    quantity = draw(st.integers(-3, 3).filter(bool))
    if draw(st.integers(0, 3)) == 0:
        return [(*key, draw(st.sampled_from("PC")), draw(st.integers(90, 110)), quantity)]
    first, second, third, last = sorted(draw(st.lists(st.integers(90, 110), min_size=4, max_size=4, unique=True)))
    third = draw(st.sampled_from([second, third, third]))
    shape = (("P", first, 1), ("P", second, -1), ("C", third, -1), ("C", last, 1))
    return [(*key, right, strike, sign * quantity) for right, strike, sign in shape]


@st.composite
def books(draw, known_basis=False):
    """Accounts: positions, one for each contract, that several condors and single legs add up to."""
    held = Counter()
    for root, expiration, right, strike, quantity in chain(*draw(st.lists(pieces(), max_size=4))):
        held[root, expiration, right, strike] += quantity
    book = []
    for (root, expiration, right, strike), quantity in held.items():
        if quantity:
            position = holding(right, strike, quantity, root=root, expiration=expiration, underlying="XYZ")
            basis_e4 = draw(st.integers(0, 50_000_000)) * (1 if quantity > 0 else -1)
            unknown = not known_basis and draw(st.integers(0, 19)) == 0
            book.append(replace(position, cost_basis_e4=None if unknown else basis_e4))
    return draw(st.permutations(book))


@st.composite
def condor_books(draw, exact=True):
    """Four positions that are exactly one condor, short or reverse, as (positions, short, quantity, multiplier).

    With `exact`, each cost basis is a price per share times the shares; without, it need not divide.
    """
    first = draw(st.integers(1, 500))
    put_width, body, call_width = draw(st.tuples(st.integers(1, 20), st.integers(0, 20), st.integers(1, 20)))
    inner_put = first + put_width
    strikes = (first, inner_put, inner_put + body, inner_put + body + call_width)
    quantity, multiplier = draw(st.integers(1, 12)), draw(st.sampled_from([1, 10, 75, 100]))
    short = draw(st.booleans())
    held = []
    for (right, sign), strike in zip(SHAPE, strikes, strict=True):
        signed = sign * quantity if short else -sign * quantity
        price_e4 = draw(st.integers(0, 120_000))
        basis_e4 = signed * multiplier * price_e4
        if not exact:
            basis_e4 += draw(st.integers(-50, 50))
        held.append(holding(right, strike, signed, basis=str(Decimal(basis_e4) / 10_000), multiplier=multiplier))
    return held, short, quantity, multiplier
