import datetime as dt

import pytest

from condord.core.calendar import Calendar
from condord.core.expiry import Expiry
from condord.core.grouping.account import group
from condord.core.market_hours import hours_of
from condord.core.position import Deliverable
from condord.core.quote import judge
from condord.live.chains import ChainKey, chains_of, delivered, model_quote
from condord.live.lifecycle import AccountReading

from .accounts import C630, C640, C650, P560, P570, SPY_ID, option, position, qqq, spy, tick, unreadable

FRIDAY, MONDAY = dt.date(2026, 11, 20), dt.date(2026, 11, 23)


def at(hour, minute=0, second=0, day=FRIDAY):
    """A time of day in UTC; New York is five hours behind."""
    return dt.datetime.combine(day, dt.time(hour, minute, second), dt.UTC)


def reading(*positions):
    held = tuple(sorted(positions, key=lambda each: each.symbol))
    return AccountReading(positions=held, grouping=group(held), stocks={})


def chain(*positions):
    [found] = chains_of(reading(*positions))
    return found


def key(root="SPY", underlying="SPY", multiplier=100, deliverables=()):
    return ChainKey(Expiry(root, underlying, dt.date(2026, 12, 18)), multiplier, tuple(deliverables))


def item(symbol, amount):
    return Deliverable(symbol=symbol, amount=amount)


def test_a_chain_has_all_contracts_of_an_expiry_whether_in_condors_or_not():
    found = chain(*spy(), position(C650, 3, 0.40))
    assert {held.symbol: held.quantity for held in found.contracts} == {P560: 2, P570: -2, C630: -2, C640: 2, C650: 3}
    assert [condor.id for condor in found.condors] == [SPY_ID]
    assert [left.position.symbol for left in found.leftovers] == [C650]
    assert (found.underlying, found.style, found.shares_ratio, found.cash) == ("SPY", "american", 1.0, 0.0)


def test_each_expiry_is_a_chain_and_symbols_that_cannot_be_parsed_are_in_none():
    found = chains_of(reading(*spy(), *qqq(), unreadable()))
    assert sorted(each.underlying for each in found) == ["QQQ", "SPY"]
    assert all(not each.leftovers for each in found)


def test_the_style_that_alpaca_gives_precedes_the_roots():
    assert chain(position(C650, 1, style="european")).style == "european"


def test_a_contract_knows_its_opposite_and_the_prices_at_which_it_is_in_the_money():
    call, put = chain(position(C650, 1)).contracts[0], chain(position(P560, 1)).contracts[0]
    assert (call.opposite.symbol, call.opposite.right, call.opposite.strike) == (option(650), "put", 650.0)
    assert put.opposite.symbol == option(560, "C")
    assert [call.is_in_the_money(spot) for spot in (649.0, 650.0, 651.0)] == [False, False, True]
    assert [put.is_in_the_money(spot) for spot in (559.0, 560.0, 561.0)] == [True, False, False]


@pytest.mark.parametrize(
    ("key_", "shares", "cash"),
    [
        (key(), 100.0, 0.0),
        (key("4SPX", "SPX"), 100.0, 0.0),
        (key("XYZ1", "XYZ"), None, 0.0),
        (key("XYZ1", "XYZ", deliverables=[item("XYZ", "150")]), 150.0, 0.0),
        (key("XYZ1", "XYZ", deliverables=[item("XYZ", "50"), item("USD", "120.5")]), 50.0, 120.5),
        (key("XYZ1", "XYZ", deliverables=[item("USD", "1200")]), 0.0, 1200.0),
        (key("XYZ1", "XYZ", deliverables=[item("XYZ", "100"), item("SPIN", "10")]), None, 0.0),
        (key("XYZ1", "XYZ", deliverables=[item("XYZ", None)]), None, 0.0),
        (key("XYZ1", "XYZ", deliverables=[item("XYZ", "many")]), None, 0.0),
        (key("XYZ1", "XYZ", deliverables=[item("XYZ", "inf")]), None, 0.0),
        (key("XYZ1", "XYZ", deliverables=[item("XYZ", "-1")]), None, 0.0),
    ],
)
def test_the_shares_a_contract_delivers_follow_from_its_list_and_are_unknown_if_it_delivers_anything_else(
    key_, shares, cash
):
    assert delivered(key_) == (shares, cash)


def test_the_strikes_of_an_adjusted_contract_compare_with_its_deliverable():
    terms = {"deliverables": (item("SPY", "150"), item("USD", "120")), "multiplier": 100}
    found = chain(position(C650, 1, **terms))
    assert found.spot(400.0) == pytest.approx(601.2)
    assert found.spot(None) is None
    assert chain(position(C650, 1, deliverables=(item("SPIN", "1"),))).spot(400.0) is None


# Which moment time counts from.


@pytest.mark.parametrize(("is_open", "now_at"), [(True, at(15, 30, 59)), (None, at(15, 30, 59)), (True, at(3))])
def test_time_counts_from_this_minute_while_the_market_is_open(is_open, now_at):
    assert chain(*spy()).counted_from(now_at, Calendar(), is_open=is_open) == now_at.replace(second=0)


@pytest.mark.parametrize(
    ("is_open", "now_at", "counted_at"),
    [
        (False, at(22), at(21, 15)),
        (None, at(21, 16), at(21, 15)),
        (None, at(14, 29, day=MONDAY), at(21, 15)),
        (False, at(12, day=MONDAY), at(21, 15)),
        (False, at(16), at(21, 15, day=FRIDAY - dt.timedelta(days=1))),
        (None, at(15, day=dt.date(2026, 11, 22)), at(21, 15)),
    ],
)
def test_time_counts_from_the_last_close_while_the_market_is_closed(is_open, now_at, counted_at):
    assert chain(*spy()).counted_from(now_at, Calendar(), is_open=is_open) == counted_at


def test_the_last_close_depends_on_the_product_and_the_calendar():
    apple = chain(position(option(300, root="AAPL"), 1))
    assert apple.counted_from(at(22), Calendar(), is_open=False) == at(21)
    early = Calendar({FRIDAY: hours_of(FRIDAY, dt.time(9, 30), dt.time(13))})
    assert apple.counted_from(at(22), early, is_open=False) == at(18)


def test_the_time_of_an_am_settled_contract_ends_at_the_open_and_counts_from_its_last_trade_before():
    spx = chain(position(option(6000, root="SPX"), 1))
    evening_at = at(23, day=dt.date(2026, 12, 17))
    counted_at = spx.counted_from(evening_at, Calendar(), is_open=False)
    assert counted_at == at(21, 15, day=dt.date(2026, 12, 17))
    assert spx.years(evening_at, counted_at) == (17 * 60 + 15) / 525_600


def test_there_is_no_time_from_the_settlement_on():
    found = chain(*spy())
    settles_at = found.ending.settles_at
    assert found.years(settles_at - dt.timedelta(minutes=1), settles_at - dt.timedelta(minutes=1)) == 1 / 525_600
    assert found.years(settles_at, settles_at) is None


def test_the_model_inverts_the_mid_of_a_usable_quote():
    held = chain(position(C650, 1)).contracts[0]
    assert model_quote(held, judge(tick(C650, 1.0, 1.1), None), unconfirmed=False).price == pytest.approx(1.05)
    assert model_quote(held, judge(tick(C650, 1.0, 1.1), None), unconfirmed=True).price is None
    unquoted = model_quote(held, None, unconfirmed=False)
    assert (unquoted.symbol, unquoted.right, unquoted.strike, unquoted.price) == (C650, "call", 650.0, None)
