import datetime as dt
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.day_pl import CLOSED_CONDORS, CLOSED_CONTRACTS, DayFill, DayLine, Owner, day_lines, day_pl_e4
from condord.core.filled_orders import Fill, Order
from condord.core.grouping.account import group
from condord.core.lots import LedgerSummary, traded
from condord.core.position import Position
from tests.core.strategies import MONDAY, contract, e4, quoted

TODAY = dt.date(2026, 11, 17)
TUESDAY = MONDAY + dt.timedelta(days=1)
P80, P85, P75, P70, C105, C110, C115 = (
    contract(right, strike)
    for right, strike in (("P", 80), ("P", 85), ("P", 75), ("P", 70), ("C", 105), ("C", 110), ("C", 115))
)
CONDOR = {P80: 1, P85: -1, C105: -1, C110: 1}
ID = "XYZ-261218-80-85-105-110"
CLOSES = {option.compact: e4("1") for option in (P80, P85, P75, P70, C105, C110, C115)}


def order(name, at, legs, quantity=1, *, opens=True, price="1"):
    """An order that fills `quantity` of `legs` at one price; closing takes the opposite side."""
    sign = quantity if opens else -quantity
    return Order(
        id=name,
        filled_at=at,
        fills=tuple(
            Fill(symbol=leg.compact, contract=leg, quantity=sign * count, price_e6=e4(price) * 100, opens=opens)
            for leg, count in legs.items()
        ),
    )


def joined(one, other):
    """One order with the fills of both."""
    return Order(id=one.id, filled_at=one.filled_at, fills=one.fills + other.fills)


def of_today(orders):
    """The fills of today in `orders`."""
    return [
        DayFill(symbol=fill.symbol, quantity=fill.quantity, price_e6=fill.price_e6, at=one.filled_at, order_id=one.id)
        for one in orders
        if one.filled_at >= TUESDAY
        for fill in one.fills
    ]


def positions_of(orders, multiplier=100):
    """What an account holds after `orders`."""
    held, contracts = Counter(), {}
    for one in orders:
        for fill in one.fills:
            held[fill.symbol] += fill.quantity
            contracts[fill.symbol] = fill.contract
    return [
        Position(
            symbol=symbol,
            contract=contracts[symbol],
            quantity=quantity,
            average_entry_e4=e4("1"),
            cost_basis_e4=quantity * multiplier * e4("1"),
            multiplier=multiplier,
            underlying="XYZ",
        )
        for symbol, quantity in held.items()
        if quantity
    ]


def ledger_summary(orders):
    found = traded(orders)
    return found if found.day == TODAY else LedgerSummary()


def lines_of(orders, fills=None, positions=None, **fields):
    positions = positions_of(orders) if positions is None else positions
    found = traded(orders)
    fields = {"multipliers": dict.fromkeys(CLOSES, 100), **fields}
    given_fills = of_today(orders) if fills is None else fills
    return day_lines(group(positions, found.lots), ledger_summary(orders), given_fills, **fields)


def at_mark(dollars, symbols=tuple(CLOSES)):
    """Quotes of one price."""
    return {symbol: quoted(symbol, dollars, dollars) for symbol in symbols}


def day_pl(lines, mark="1", closes=CLOSES):
    """The profit or loss in dollars by owner, without those of 0."""
    found = {owner: day_pl_e4(of_owner, at_mark(mark), closes) for owner, of_owner in lines.items()}
    return {owner: None if value is None else value / 10_000 for owner, value in found.items() if value != 0}


HELD = order("a", MONDAY, CONDOR)


# The formula.


@pytest.mark.parametrize(
    ("now", "traded_", "cash", "mark", "close", "expected"),
    [
        (2, 0, "0", "1.50", "1.20", "60"),
        (-2, 0, "0", "1.50", "1.20", "-60"),
        (1, 1, "-100", "1.50", None, "50"),  # bought today: yesterday's close does not matter
        (0, -1, "130", None, "1.20", "10"),  # sold today: the mark does not matter
        (0, 0, "-7", None, None, "-7"),  # bought and sold
        (1, 0, "0", None, "1.20", None),
        (1, 0, "0", "1.50", None, None),
    ],
)
def test_a_line_compares_with_yesterdays_close_and_counts_the_cash_of_fills(now, traded_, cash, mark, close, expected):
    line = DayLine(symbol="X", multiplier=100, now=now, traded=traded_, cash_e4=e4(cash))
    assert line.pl_e4(e4(mark), e4(close)) == e4(expected)


@pytest.mark.parametrize("unknown", ["now", "multiplier", "cash_e4"])
def test_a_line_without_contracts_multiplier_or_cash_is_unknown(unknown):
    known = {"symbol": "X", "multiplier": 100, "now": 0, "traded": 0, "cash_e4": 0}
    assert DayLine(**known).pl_e4(1, 1) == 0
    assert DayLine(**(known | {unknown: None})).pl_e4(1, 1) is None


@pytest.mark.parametrize(
    ("bid", "ask", "expected"), [("0", "0.10", "5"), ("0.01", "0.09", None)], ids=["no bid", "bid"]
)
def test_a_close_of_zero_is_wrong_while_there_is_a_bid(bid, ask, expected):
    line = DayLine(symbol="X", multiplier=100, now=1, traded=0, cash_e4=0)
    assert day_pl_e4([line], {"X": quoted("X", bid, ask)}, {"X": 0}) == e4(expected)


def test_a_close_of_zero_is_unknown_if_nothing_is_quoted():
    line = DayLine(symbol="X", multiplier=100, now=0, traded=-1, cash_e4=e4("5"))
    assert day_pl_e4([line], {}, {"X": 0}) is None
    assert day_pl_e4([line], {}, {"X": e4("0.04")}) == e4("1")


def test_the_close_of_an_adjusted_contract_does_not_count():
    old = DayLine(symbol="X", multiplier=100, now=1, traded=0, cash_e4=0)
    new = DayLine(symbol="X", multiplier=100, now=1, traded=1, cash_e4=-e4("100"))
    assert day_pl_e4([old], at_mark("1.2", ["X"]), {"X": e4("1")}, {"X"}) is None
    assert day_pl_e4([new], at_mark("1.2", ["X"]), {"X": e4("1")}, {"X"}) == e4("20")


# Whose fills they are.


def test_a_condor_that_was_not_traded_today_moves_with_its_marks():
    quotes = at_mark("1") | {P85.compact: quoted(P85.compact, "1.25", "1.25")}
    [lines] = lines_of([HELD]).values()
    assert day_pl_e4(lines, quotes, CLOSES) == e4("-25")


def test_a_condor_opened_today_moves_from_its_entry():
    sold = order("a", TUESDAY, {P85: -1, C105: -1}, price="1.30")
    bought = order("a", TUESDAY, {P80: 1, C110: 1}, price="0.40")
    lines = lines_of([joined(sold, bought)])
    assert day_pl(lines, closes={}) == {Owner("condor", ID): 180.0}


def test_fills_that_close_a_part_of_a_condor_belong_to_it():
    orders = [order("a", MONDAY, CONDOR, 3), order("b", TUESDAY, {P85: -1, C105: -1}, 2, opens=False, price="0.70")]
    orders[1] = joined(orders[1], order("b", TUESDAY, {P80: 1, C110: 1}, 2, opens=False, price="0.90"))
    assert day_pl(lines_of(orders)) == {Owner("condor", ID): 80.0}


def test_a_condor_that_was_closed_completely_is_counted_separately():
    orders = [HELD, order("b", TUESDAY, CONDOR, opens=False, price="0.70")]
    orders[1] = Order(id="b", filled_at=TUESDAY, fills=orders[1].fills[:3])
    rest = order("c", TUESDAY, {C110: 1}, opens=False, price="0.95")
    whole = joined(orders[1], rest)
    assert day_pl(lines_of([HELD, whole])) == {CLOSED_CONDORS: 25.0}  # -30 + 30 + 30 - 5


def test_a_condor_that_was_opened_and_closed_today_is_counted_separately():
    opened = order("a", TUESDAY, {P85: -1, C105: -1}, price="1.30")
    opened = joined(opened, order("a", TUESDAY, {P80: 1, C110: 1}))
    closed = order("b", TUESDAY + dt.timedelta(hours=1), CONDOR, opens=False)
    assert day_pl(lines_of([opened, closed]), closes={}) == {CLOSED_CONDORS: 60.0}


def test_a_roll_moves_the_closed_legs_to_the_successor():
    closing = order("b", TUESDAY, {P80: 1, P85: -1}, opens=False, price="1.50")
    closing = Order(id="b", filled_at=TUESDAY, fills=closing.fills[1:])
    closing = joined(closing, order("b", TUESDAY, {P80: 1}, opens=False, price="1.20"))
    roll = joined(closing, order("b", TUESDAY, {P70: 1, P75: -1}, price="0.60"))
    lines = lines_of([HELD, roll])
    assert set(lines) == {Owner("condor", "XYZ-261218-70-75-105-110")}
    assert day_pl(lines, mark="0.60", closes=CLOSES)[Owner("condor", "XYZ-261218-70-75-105-110")] == -30.0


def test_rolling_a_part_leaves_the_fills_of_the_rest_where_they_are():
    opened = order("a", TUESDAY, CONDOR, 3, price="1")
    later = TUESDAY + dt.timedelta(hours=1)
    roll = joined(
        order("b", later, {P80: 1, P85: -1}, opens=False, price="1"), order("b", later, {P70: 1, P75: -1}, price="1")
    )
    lines = lines_of([opened, roll])
    traded_ = {owner: {line.symbol: line.traded for line in of_owner} for owner, of_owner in lines.items()}
    assert traded_ == {
        Owner("condor", ID): {P80.compact: 2, P85.compact: -2, C105.compact: -2, C110.compact: 2},
        Owner("condor", "XYZ-261218-70-75-105-110"): {
            P80.compact: 0,
            P85.compact: 0,
            P70.compact: 1,
            P75.compact: -1,
            C105.compact: -1,
            C110.compact: 1,
        },
    }


def test_a_contract_of_two_condors_keeps_the_fills_of_each():
    other = {P70: 1, P85: -1, C105: -1, C110: 1}
    orders = [HELD, order("b", TUESDAY, other, price="2")]
    lines = lines_of(orders)
    assert day_pl(lines, mark="2") == {}  # both wings are equal, and nothing has moved since the entry
    assert [line.traded for line in lines[Owner("condor", ID)]] == [0, 0, 0, 0]


def test_a_leftover_beside_a_condor_keeps_its_own_fills():
    orders = [HELD, order("b", TUESDAY, {C105: -1}, price="1.40")]
    assert day_pl(lines_of(orders), closes=CLOSES) == {Owner("unmatched", C105.compact): 40.0}


def test_condors_found_by_structure_and_leftovers_share_fills_pro_rata():
    legs = [order(f"{leg}", TUESDAY, {leg: count}, 2, price="1.50") for leg, count in CONDOR.items()]
    orders = [*legs, order("more", TUESDAY, {C105: -2}, price="1.50")]
    lines = lines_of(orders)
    counts = {owner: {line.symbol: line.traded for line in of_owner} for owner, of_owner in lines.items()}
    assert counts[Owner("condor", ID)][C105.compact] == counts[Owner("unmatched", C105.compact)][C105.compact] == -2


def test_a_contract_that_was_in_a_condor_today_is_closed_with_the_condors():
    orders = [order("a", MONDAY, {C105: -1}), order("b", TUESDAY, {C105: -1}, opens=False, price="0.80")]
    assert day_pl(lines_of(orders)) == {CLOSED_CONTRACTS: 20.0}
    assert day_pl(lines_of(orders, in_condors={C105.compact})) == {CLOSED_CONDORS: 20.0}


def test_a_contract_that_is_gone_needs_a_multiplier():
    orders = [order("a", MONDAY, {C105: -1}), order("b", TUESDAY, {C105: -1}, opens=False)]
    assert day_pl(lines_of(orders, multipliers={})) == {CLOSED_CONTRACTS: None}


def test_nothing_is_known_while_orders_have_filled_more_than_the_fills_contain():
    orders = [HELD, order("b", TUESDAY, {C115: 1}, price="0.80")]
    assert day_pl(lines_of(orders, fills=[])) == {Owner("unmatched", C115.compact): None}
    sold = [HELD, order("b", TUESDAY, {C115: -1}, price="0.80")]
    assert day_pl(lines_of(sold, fills=[])) == {Owner("unmatched", C115.compact): None}


def test_the_profit_of_closed_contracts_is_unknown_until_their_fills_are_read():
    orders = [order("a", MONDAY, {C115: 1}), order("b", TUESDAY, {C115: 1}, opens=False)]
    assert day_pl(lines_of(orders, fills=[])) == {CLOSED_CONTRACTS: None}


def test_the_caller_can_declare_a_contract_unknown():
    assert day_pl(lines_of([HELD], unknown={P85.compact})) == {Owner("condor", ID): None}
    assert day_pl(lines_of([HELD], unknown={C115.compact})) == {CLOSED_CONTRACTS: None}


def test_fills_of_unread_orders_are_split_among_condors_of_lots_if_nothing_else_holds_the_contract():
    fills = [DayFill(symbol=C105.compact, quantity=1, price_e6=e4("0.80") * 100, at=TUESDAY)]
    held = positions_of([order("a", MONDAY, CONDOR)])
    lines = lines_of([HELD], fills=fills, positions=held)
    assert day_pl(lines) == {Owner("condor", ID): 20.0}


def test_a_partly_held_lot_leaves_the_other_fills_to_the_leftovers():
    opened = order("a", TUESDAY, CONDOR, 3, price="1.10")
    positions = positions_of([order("a", MONDAY, CONDOR), order("b", MONDAY, {P80: 1}, 2)])
    lines = lines_of([opened], positions=positions)
    [left] = lines[Owner("unmatched", P80.compact)]
    assert (left.now, left.traded, left.cash_e4) == (2, 2, e4("-220"))


def test_the_profit_or_loss_of_an_unreadable_position_is_unknown():
    position = Position(symbol="?", contract=None, quantity=None, average_entry_e4=None, cost_basis_e4=None)
    assert day_pl(lines_of([], positions=[position])) == {Owner("unmatched", "?"): None}


def test_the_rounding_of_an_orders_average_stays_with_its_condor():
    legs = {P80: 3, P85: -3, C105: -3, C110: 3}
    opened = order("a", TUESDAY, legs)
    average = [Fill(**{**as_dict(fill), "price_e6": 333_333}) for fill in opened.fills]
    opened = Order(id="a", filled_at=TUESDAY, fills=tuple(average))
    fills = [
        DayFill(symbol=fill.symbol, quantity=fill.quantity // 3, price_e6=price, at=TUESDAY)
        for fill in average
        for price in (330_000, 330_000, 340_000)
    ]
    lines = lines_of([opened], fills=fills)
    assert set(lines) == {Owner("condor", "XYZ-261218-80-85-105-110")}
    assert {abs(line.cash_e4) for line in lines[Owner("condor", ID)]} == {e4("100")}


def as_dict(fill):
    return {name: getattr(fill, name) for name in ("symbol", "contract", "quantity", "price_e6", "opens")}


# The sum over all owners.

OPTIONS = (P70, P75, P80, P85, C105, C110, C115)


@st.composite
def histories(draw):
    """Orders of two days that open, close and roll condors, sides and legs, and positions that no order explains."""
    sides = [{P80: 1, P85: -1}, {P70: 1, P75: -1}, {P75: 1, P85: -1}]
    calls = [{C105: -1, C110: 1}, {C110: -1, C115: 1}, {C105: -1, C115: 1}]
    orders = []
    for number in range(draw(st.integers(0, 8))):
        at = (MONDAY if draw(st.booleans()) else TUESDAY) + dt.timedelta(minutes=number)
        quantity, price = draw(st.integers(1, 3)), f"{draw(st.integers(1, 400)) / 100}"
        put, call = draw(st.sampled_from(sides)), draw(st.sampled_from(calls))
        shape = draw(st.sampled_from(["condor", "condor", "close", "roll", "side", "leg"]))
        legs = {"side": put, "leg": dict([draw(st.sampled_from(list(put.items())))])}.get(shape, put | call)
        if shape == "roll":
            other = draw(st.sampled_from(sides))
            both = joined(
                order(f"{number}", at, put, quantity, opens=False, price=price),
                order(f"{number}", at, other, quantity, price=price),
            )
            orders.append(both)
        else:
            opens = shape != "close" and draw(st.integers(0, 3)) > 0
            orders.append(order(f"{number}", at, legs, quantity, opens=opens, price=price))
    return orders


@given(
    orders=histories(),
    unread=st.sets(st.integers(0, 7), max_size=2),
    prices=st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=7, max_size=7),
    multiplier=st.sampled_from([100, 100, 10, 1]),
    odd=st.integers(0, 99),
    in_condors=st.sets(st.sampled_from(OPTIONS)),
)
def test_the_owners_add_up_to_the_account(orders, unread, prices, multiplier, odd, in_condors):
    positions = positions_of(orders, multiplier)
    read = [one for number, one in enumerate(orders) if number not in unread]
    fills = [
        DayFill(symbol=fill.symbol, quantity=fill.quantity, price_e6=fill.price_e6 + odd, at=fill.at)
        for fill in of_today(orders)
    ]
    found = traded(read)
    quotes, closes = {}, {}
    for leg, (mark, close) in zip(OPTIONS, prices, strict=True):
        quotes[leg.compact], closes[leg.compact] = quoted(leg.compact, mark / 100, mark / 100), close * 100
    lines = day_lines(
        group(positions, found.lots),
        found if found.day == TODAY else LedgerSummary(),
        fills,
        in_condors={leg.compact for leg in in_condors},
        multipliers=dict.fromkeys(CLOSES, multiplier),
    )
    account = 0
    for leg in OPTIONS:
        now = sum(held.quantity for held in positions if held.symbol == leg.compact)
        own = [fill for fill in fills if fill.symbol == leg.compact]
        before = now - sum(fill.quantity for fill in own)
        cash_e6 = -sum(fill.quantity * fill.price_e6 for fill in own) * multiplier
        cash_e4 = (abs(cash_e6) + 50) // 100 * (1 if cash_e6 > 0 else -1)
        mark_e4 = quotes[leg.compact].mark_e4
        account += multiplier * (now * mark_e4 - before * closes[leg.compact]) + cash_e4
    assert sum(day_pl_e4(of_owner, quotes, closes) for of_owner in lines.values()) == account
