import datetime as dt

from condord.core.activity import Activity
from condord.core.filled_orders import Fill, Order
from condord.core.occ import parse
from condord.upstream.fill_instants import FillInstants

AT = dt.datetime(2026, 11, 20, 15, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
LONG, SHORT = "SPY261218P00560000", "SPY261218P00570000"


def order(*legs):
    """An order of legs: symbol, signed quantity and id."""
    fills = tuple(
        Fill(symbol=symbol, contract=parse(symbol), quantity=quantity, price_e6=1, opens=True, leg_id=leg_id)
        for symbol, quantity, leg_id in legs
    )
    return Order(id="order", filled_at=AT, fills=fills, is_partial=True)


def fill(leg_id, symbol, quantity, *, at=AT, id_="1"):
    return Activity(
        id=id_, kind="FILL", symbol=symbol, quantity=quantity, at=at, day=dt.date(2026, 11, 20), order_id=leg_id
    )


SPREAD = order((LONG, 2, "long"), (SHORT, -2, "short"))
FILLS = [
    fill("long", LONG, 1),
    fill("long", LONG, 1, at=AT + 2 * MINUTE, id_="2"),
    fill("short", SHORT, -2, at=AT + MINUTE),
]


def test_the_last_fill_of_all_legs_dates_the_order():
    instants = FillInstants()
    assert instants.add(FILLS)
    assert instants.last_at(SPREAD) == AT + 2 * MINUTE


def test_fills_of_a_part_of_the_contracts_do_not_date_an_order():
    for missing in range(3):
        instants = FillInstants()
        instants.add(FILLS[:missing] + FILLS[missing + 1 :])
        assert instants.last_at(SPREAD) is None


def test_a_fill_counts_once():
    instants = FillInstants()
    assert instants.add(FILLS[1:])
    assert not instants.add(FILLS[1:])
    assert instants.last_at(SPREAD) is None


def test_a_leg_without_an_id_dates_nothing():
    instants = FillInstants()
    instants.add(FILLS)
    nameless = order((LONG, 2, "long"), (SHORT, -2, None))
    assert instants.last_at(nameless) is None
    instants.drop(nameless)
    assert instants.last_at(order((SHORT, -2, "short"))) == AT + MINUTE


def test_fills_of_an_order_that_alpaca_has_dated_are_not_kept():
    instants = FillInstants()
    instants.add(FILLS[:1])
    instants.drop(SPREAD)
    assert not instants.add(FILLS)
    assert instants.last_at(SPREAD) is None
