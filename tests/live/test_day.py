import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.activity import Activity, Split
from condord.core.calendar import Calendar
from condord.core.day_pl import ClosingPrices, DayFill
from condord.core.filled_orders import Fill, Order
from condord.core.grouping.account import group
from condord.core.lots import traded
from condord.core.market_hours import hours_of
from condord.core.position import Deliverable
from condord.core.quote import Quote
from condord.live.day import Day, DayMemory
from condord.live.lifecycle import AccountReading

from .accounts import C630, C640, C650, P560, P570, SPY_ID, parse, position, spy

THURSDAY, FRIDAY, SATURDAY, MONDAY = (dt.date(2026, 11, day) for day in (19, 20, 21, 23))
KNOWN = Calendar(
    {day: hours_of(day, dt.time(9, 30), dt.time(16)) for day in (THURSDAY, FRIDAY, MONDAY, dt.date(2026, 11, 24))}
)
MARKS = {P560: 1.0, P570: 2.0, C630: 2.0, C640: 1.0, C650: 0.5}
ADJUSTED = "SPY1261218P00560000"


def on(day, hour, minute=0):
    """A time of day in New York, which is five hours behind in November."""
    return dt.datetime(day.year, day.month, day.day, 5, tzinfo=dt.UTC) + dt.timedelta(hours=hour, minutes=minute)


def marked(**changed):
    """Quotes at `MARKS`, changed by the name of the variable that holds the symbol."""
    marks = MARKS | {globals()[name]: mark for name, mark in changed.items()}
    return {
        symbol: Quote(symbol=symbol, bid_e4=round(mark * 10_000), mark_e4=round(mark * 10_000))
        for symbol, mark in marks.items()
        if mark is not None
    }


def closes(day=THURSDAY, prices=MARKS):
    return ClosingPrices(day=day, prices_e4={symbol: round(price * 10_000) for symbol, price in prices.items()})


def reading(*positions, calendar=KNOWN, lots=()):
    return AccountReading(positions=positions, grouping=group(positions, lots), stocks={}, calendar=calendar)


def fill(symbol, quantity, price, at):
    return DayFill(symbol=symbol, quantity=quantity, price_e6=round(price * 1_000_000), at=at)


def filled(name, at, *fills, opens=True):
    """An order, from the fills of its legs."""
    legs = [
        Fill(symbol=one.symbol, contract=parse(one.symbol), quantity=one.quantity, price_e6=one.price_e6, opens=opens)
        for one in fills
    ]
    return Order(id=name, filled_at=at, fills=tuple(legs))


def follow(day, positions, now_at, orders=(), calendar=KNOWN):
    found = traded(orders)
    day.follow(reading(*positions, calendar=calendar, lots=found.lots), found, now_at)


def dollars(amount_e4):
    return None if amount_e4 is None else amount_e4 / 10_000


def holding(*positions):
    """An account that held `positions` at yesterday's close, on a Friday morning."""
    new = Day()
    new.set_closes(closes())
    follow(new, positions, on(FRIDAY, 10))
    new.set_fills(FRIDAY, ())
    return new


@pytest.fixture
def day():
    return holding(*spy(1))


def test_nothing_is_known_before_the_first_reading():
    day = Day()
    day.set_fills(FRIDAY, ())
    day.set_closes(closes())
    day.set_bookings((), ())
    day.record_marks(marked(), on(FRIDAY, 17))
    assert day.condor_e4(SPY_ID, marked()) is None
    assert day.closed_condors_e4 is None
    assert day.memory == DayMemory()


def test_nothing_is_known_before_the_fills_of_the_day_were_read():
    day = Day()
    day.set_closes(closes())
    follow(day, spy(1), on(FRIDAY, 10))
    assert day.condor_e4(SPY_ID, marked()) is None
    day.set_fills(THURSDAY, ())
    assert day.condor_e4(SPY_ID, marked()) is None
    day.set_fills(FRIDAY, ())
    assert day.condor_e4(SPY_ID, marked()) == 0


def test_a_condor_moves_with_its_marks(day):
    assert dollars(day.condor_e4(SPY_ID, marked(P570=1.80, C640=1.10))) == 30
    assert day.condor_e4(SPY_ID, marked(P570=None)) is None
    assert day.closed_condors_e4 == day.closed_contracts_e4 == 0


def test_an_owner_that_the_reading_does_not_have_is_unknown(day):
    assert day.condor_e4("SPY-261218-1-2-3-4", marked()) is None
    assert day.unmatched_e4(C650, marked()) is None


def test_a_contract_without_a_close_is_unknown_and_one_opened_today_needs_none():
    unknown = Day()
    follow(unknown, [position(C650, 1)], on(FRIDAY, 11))
    unknown.set_fills(FRIDAY, ())
    assert unknown.unmatched_e4(C650, marked()) is None
    unknown.set_fills(FRIDAY, [fill(C650, 1, 0.4, on(FRIDAY, 10, 30))])
    follow(unknown, [position(C650, 1)], on(FRIDAY, 11, 1))
    follow(unknown, [position(C650, 1)], on(FRIDAY, 11, 2))
    assert dollars(unknown.unmatched_e4(C650, marked())) == 10


def test_a_condor_closed_today_still_counts_in_the_profit_of_the_day(day):
    closing = [fill(one.symbol, -one.quantity, MARKS[one.symbol] + 0.1, on(FRIDAY, 11)) for one in spy(1)]
    closing[0] = fill(P560, -1, 1.5, on(FRIDAY, 11))
    follow(day, (), on(FRIDAY, 12))
    day.set_fills(FRIDAY, closing)
    assert dollars(day.closed_condors_e4) == 40
    assert day.closed_contracts_e4 == 0


def test_a_contract_closed_today_that_was_in_no_condor_is_counted_separately():
    day = holding(*spy(1), position(C650, 1))
    follow(day, spy(1), on(FRIDAY, 12))
    day.set_fills(FRIDAY, [fill(C650, -1, 0.6, on(FRIDAY, 11, 30))])
    assert (day.closed_condors_e4, dollars(day.closed_contracts_e4)) == (0, 10)


def test_a_roll_moves_the_day_of_the_closed_legs_to_the_successor(day):
    at = on(FRIDAY, 11)
    opening = [fill(one.symbol, one.quantity, 1.0, on(THURSDAY, 11)) for one in spy(1)]
    down = [fill(C630, 1, 2.5, at), fill(C640, -1, 1.2, at)]
    up = [fill(C640, -1, 1.2, at), fill(C650, 1, 0.6, at)]
    orders = [filled("a", on(THURSDAY, 11), *opening)]
    follow(day, spy(1), on(FRIDAY, 10, 59), orders)
    roll = filled("b", at, *down, opens=False).fills + filled("b", at, *up).fills
    orders.append(Order(id="b", filled_at=at, fills=roll))
    rolled = [*spy(1)[:2], position(C640, -1), position(C650, 1)]
    follow(day, rolled, on(FRIDAY, 12), orders)
    day.set_fills(FRIDAY, [*down, *up])
    successor = "SPY-261218-560-570-640-650"
    assert dollars(day.condor_e4(successor, marked(C640=1.2, C650=0.6))) == -50 + 20
    assert day.closed_condors_e4 == 0


def test_orders_of_another_day_explain_nothing_today(day):
    opening = [fill(one.symbol, one.quantity, 1.0, on(THURSDAY, 11)) for one in spy(1)]
    follow(day, spy(1), on(FRIDAY, 11), [filled("a", on(THURSDAY, 11), *opening)])
    assert day.condor_e4(SPY_ID, marked()) == 0


def test_fills_that_are_behind_the_orders_leave_the_day_unknown(day):
    bought = fill(C650, 1, 0.4, on(FRIDAY, 11))
    follow(day, (*spy(1), position(C650, 1)), on(FRIDAY, 11), [filled("b", on(FRIDAY, 11), bought)])
    assert day.unmatched_e4(C650, marked()) is None
    assert day.condor_e4(SPY_ID, marked()) == 0
    day.set_fills(FRIDAY, [bought])
    assert dollars(day.unmatched_e4(C650, marked())) == 10


# Closes.


def test_closes_of_another_session_do_not_count():
    day = Day()
    day.set_closes(closes(dt.date(2026, 11, 18)))
    follow(day, spy(1), on(FRIDAY, 10))
    day.set_fills(FRIDAY, ())
    assert day.condor_e4(SPY_ID, marked()) is None


def test_our_own_marks_of_the_last_session_take_precedence_over_alpacas_closes(day):
    day.record_marks(marked(P570=1.80), on(FRIDAY, 16))
    day.set_closes(closes(FRIDAY))
    follow(day, spy(1), on(MONDAY, 10))
    day.set_fills(MONDAY, ())
    assert dollars(day.condor_e4(SPY_ID, marked(P570=1.80))) == 0


def test_alpacas_close_stands_in_for_a_contract_without_a_mark(day):
    day.record_marks(marked(P570=None), on(FRIDAY, 16))
    day.set_closes(closes(FRIDAY))
    follow(day, spy(1), on(MONDAY, 10))
    day.set_fills(MONDAY, ())
    assert dollars(day.condor_e4(SPY_ID, marked(P570=1.90))) == 10


def test_the_first_mark_of_a_session_counts(day):
    day.record_marks(marked(P570=None), on(FRIDAY, 16))
    day.record_marks(marked(P570=1.80, C630=9.0), on(FRIDAY, 16, 1))
    marks = {symbol: held.mark_e4 for symbol, held in day.memory.sessions[-1].contracts.items()}
    assert marks == {P560: 10_000, P570: 18_000, C630: 20_000, C640: 10_000}


@pytest.mark.parametrize("at", [on(FRIDAY, 15, 59), on(SATURDAY, 12)], ids=["in session", "weekend"])
def test_marks_are_only_recorded_after_the_close_of_that_days_session(day, at):
    day.record_marks(marked(), at)
    assert day.memory.sessions == ()


def test_the_last_two_sessions_are_kept(day):
    for number in (20, 23, 24):
        follow(day, spy(1), on(dt.date(2026, 11, number), 12))
        day.record_marks(marked(), on(dt.date(2026, 11, number), 16))
    assert [session.day.day for session in day.memory.sessions] == [23, 24]


def test_closes_may_change_until_the_open_and_then_stay():
    day = Day()
    follow(day, spy(1), on(FRIDAY, 8))
    day.set_fills(FRIDAY, ())
    day.set_closes(closes(prices=MARKS | {P570: 9.0}))
    day.set_closes(closes())
    assert day.condor_e4(SPY_ID, marked()) == 0
    follow(day, spy(1), on(FRIDAY, 9, 30))
    day.set_closes(closes(prices=MARKS | {P570: 9.0}))
    assert day.condor_e4(SPY_ID, marked()) == 0


def test_the_same_closes_again_change_nothing(day):
    moved = marked(P570=9.0)
    before = day.condor_e4(SPY_ID, moved)
    day.set_closes(closes())
    assert day.condor_e4(SPY_ID, moved) == before != 0


def test_a_contract_that_is_gone_keeps_its_close_over_a_restart():
    day = holding(*spy(1), position(C650, 1))
    memory = msgspec.json.decode(msgspec.json.encode(day.memory), type=DayMemory)
    later = Day()
    later.recall(memory)
    later.set_closes(closes(prices={symbol: price for symbol, price in MARKS.items() if symbol != C650}))
    follow(later, spy(1), on(FRIDAY, 12))
    later.set_fills(FRIDAY, [fill(C650, -1, 0.6, on(FRIDAY, 11, 30))])
    assert dollars(later.closed_contracts_e4) == 10


# A day ends.


def test_the_day_is_zero_on_a_weekend_and_needs_no_fills(day):
    day.record_marks(marked(P570=1.80), on(FRIDAY, 16))
    assert dollars(day.condor_e4(SPY_ID, marked(P570=1.80))) == 20
    follow(day, spy(1), on(SATURDAY, 12))
    assert day.condor_e4(SPY_ID, marked(P570=1.80)) == 0


def test_fills_of_a_day_without_a_session_count_if_there_are_any(day):
    day.record_marks(marked(), on(FRIDAY, 16))
    follow(day, (*spy(1), position(C650, 1)), on(SATURDAY, 12))
    day.set_fills(SATURDAY, [fill(C650, 1, 0.4, on(SATURDAY, 11))])
    assert dollars(day.unmatched_e4(C650, marked())) == 10


def test_contracts_that_expire_and_disappear_the_same_evening_stay_in_the_day(day):
    day.record_marks(marked(P570=0.0, C630=0.0), on(FRIDAY, 16, 15))
    follow(day, (), on(FRIDAY, 20))
    assert dollars(day.closed_condors_e4) == 400
    follow(day, (), on(FRIDAY, 21))
    assert dollars(day.closed_condors_e4) == 400


def test_contracts_that_disappear_overnight_count_nothing_on_the_next_day(day):
    day.record_marks(marked(P570=0.0), on(FRIDAY, 16, 15))
    follow(day, (), on(SATURDAY, 10))
    assert day.closed_condors_e4 == 0


def test_contracts_that_disappear_in_the_session_without_a_fill_count_nothing(day):
    follow(day, spy(1)[1:], on(FRIDAY, 11))
    assert day.closed_condors_e4 is None  # a fill may still be read
    follow(day, spy(1)[1:], on(FRIDAY, 11, 1))
    assert day.closed_condors_e4 == day.closed_contracts_e4 == 0
    assert dollars(day.unmatched_e4(P570, marked(P570=2.2))) == -20


def test_a_contract_is_unknown_while_its_fill_or_its_position_is_late(day):
    sold = fill(C650, -1, 0.6, on(FRIDAY, 11))
    with_short = (*spy(1), position(C650, -1))
    follow(day, with_short, on(FRIDAY, 11))
    assert day.unmatched_e4(C650, marked()) is None
    assert day.condor_e4(SPY_ID, marked()) == 0
    day.set_fills(FRIDAY, [sold])
    assert dollars(day.unmatched_e4(C650, marked())) == 10
    bought = fill(C650, 1, 0.4, on(FRIDAY, 11, 30))
    day.set_fills(FRIDAY, [sold, bought])
    assert day.unmatched_e4(C650, marked()) is None
    follow(day, spy(1), on(FRIDAY, 11, 31))
    assert dollars(day.closed_contracts_e4) == 20


def test_a_contract_that_was_unknown_for_a_while_is_unknown_for_a_minute_only(day):
    with_long = (*spy(1), position(C650, 1))
    for minute, expected in ((0, None), (1, 20), (2, 20)):
        follow(day, with_long, on(FRIDAY, 11, minute))
        assert dollars(day.unmatched_e4(C650, marked(C650=0.7))) == expected


def test_before_the_open_no_fill_is_awaited():
    day = Day()
    day.set_closes(closes())
    day.set_fills(FRIDAY, ())
    follow(day, spy(1), on(FRIDAY, 8))
    follow(day, (*spy(1), position(C650, 1)), on(FRIDAY, 9))
    assert day.unmatched_e4(C650, marked()) == 0


def test_a_restart_waits_for_fills_again(day):
    follow(day, spy(1)[1:], on(FRIDAY, 11))
    day.recall(day.memory)
    assert day.closed_condors_e4 is None
    follow(day, spy(1)[1:], on(FRIDAY, 11, 1))
    assert day.closed_condors_e4 == 0


def test_contracts_that_disappear_in_the_evening_without_a_mark_count_nothing(day):
    day.record_marks(marked(P570=None), on(FRIDAY, 16, 15))
    follow(day, spy(1)[:1], on(FRIDAY, 20))
    assert day.closed_condors_e4 == 0


def test_a_fill_that_is_read_late_in_the_evening_is_not_a_departure(day):
    day.record_marks(marked(), on(FRIDAY, 16))
    follow(day, (*spy(1), position(C650, 1)), on(FRIDAY, 16, 5))
    day.set_fills(FRIDAY, [fill(C650, 1, 0.4, on(FRIDAY, 15, 59))])
    follow(day, (*spy(1), position(C650, 1)), on(FRIDAY, 20))
    assert dollars(day.unmatched_e4(C650, marked())) == 10


def test_a_position_that_becomes_unreadable_in_the_evening_is_not_a_departure(day):
    day.record_marks(marked(), on(FRIDAY, 16))
    follow(day, (*spy(1)[1:], position(P560, None)), on(FRIDAY, 20))
    assert day.unmatched_e4(P560, marked()) is None
    assert day.closed_condors_e4 == 0


# Splits.


@pytest.mark.parametrize("booked", [True, False], ids=["booked", "announced"])
def test_contracts_on_a_stock_that_is_split_today_are_unknown_unless_opened_today(day, booked):
    split = Split(symbol="SPY", new_shares="2", old_shares="1", day=FRIDAY)
    booking = Activity(id="1", kind="SPLIT", symbol="SPY", quantity=0, at=on(FRIDAY, 20), day=FRIDAY)
    day.set_bookings([booking] if booked else [], [] if booked else [split])
    assert day.condor_e4(SPY_ID, marked()) is None
    follow(day, (*spy(1), position(C650, 1)), on(FRIDAY, 11))
    day.set_fills(FRIDAY, [fill(C650, 1, 0.4, on(FRIDAY, 11))])
    assert dollars(day.unmatched_e4(C650, marked())) == 10


def test_splits_of_other_stocks_and_days_change_nothing(day):
    other = Split(symbol="QQQ", new_shares="2", old_shares="1", day=FRIDAY)
    earlier = Split(symbol="SPY", new_shares="2", old_shares="1", day=THURSDAY)
    expired = Activity(id="1", kind="OPEXP", symbol="SPY", quantity=1, at=on(FRIDAY, 20), day=FRIDAY)
    day.set_bookings([expired], [other, earlier])
    assert day.condor_e4(SPY_ID, marked()) == 0


def test_a_split_contract_that_was_sold_today_is_unknown(day):
    day.set_bookings((), [Split(symbol="SPY", new_shares="2", old_shares="1", day=FRIDAY)])
    day.set_fills(FRIDAY, [fill(C650, -1, 0.6, on(FRIDAY, 11))])
    assert day.closed_contracts_e4 is None


def delivering(shares, **fields):
    """A contract that delivers this many shares."""
    deliverables = (Deliverable(symbol="SPY", amount=str(shares)),)
    return position(ADJUSTED, 1, underlying="SPY", deliverables=deliverables, **fields)


@pytest.mark.parametrize(
    ("before", "now", "is_known"),
    [
        (delivering(150), delivering(150), True),
        (delivering(150), delivering(75), False),
        (delivering(150, multiplier_assumed=True), delivering(75), True),
    ],
    ids=["same", "adjusted", "not known"],
)
def test_a_close_counts_unless_the_contract_is_known_to_have_other_terms_now(before, now, is_known):
    day = Day()
    follow(day, [before], on(FRIDAY, 12))
    day.record_marks({ADJUSTED: Quote(symbol=ADJUSTED, mark_e4=10_000)}, on(FRIDAY, 16))
    follow(day, [now], on(MONDAY, 12))
    day.set_fills(MONDAY, ())
    new = day.unmatched_e4(ADJUSTED, {ADJUSTED: Quote(symbol=ADJUSTED, mark_e4=11_000)})
    assert dollars(new) == (10 if is_known else None)


# Multipliers of contracts that are gone.


@pytest.mark.parametrize(
    ("symbol", "expected"), [(C650, 40), (ADJUSTED, None), ("?", None)], ids=["standard", "adjusted", "unreadable"]
)
def test_only_a_standard_root_has_a_known_multiplier_if_it_was_never_held(day, symbol, expected):
    day.set_fills(FRIDAY, [fill(symbol, -1, 0.6, on(FRIDAY, 11)), fill(symbol, 1, 0.2, on(FRIDAY, 11))])
    assert dollars(day.closed_contracts_e4) == expected


def test_the_multiplier_of_a_contract_that_is_gone_comes_from_yesterdays_close():
    day = Day()
    follow(day, [position(ADJUSTED, 1, multiplier=10)], on(FRIDAY, 12))
    day.record_marks({ADJUSTED: Quote(symbol=ADJUSTED, mark_e4=10_000)}, on(FRIDAY, 16))
    follow(day, [], on(MONDAY, 12))
    day.set_fills(MONDAY, [fill(ADJUSTED, -1, 1.5, on(MONDAY, 11))])
    assert dollars(day.closed_contracts_e4) == 5


def test_contracts_of_a_condor_held_at_yesterdays_close_count_as_a_condors_today():
    day = Day()
    follow(day, spy(1), on(FRIDAY, 12))
    day.record_marks(marked(), on(FRIDAY, 16))
    follow(day, [], on(MONDAY, 12))
    day.set_fills(MONDAY, [fill(P570, 1, 1.5, on(MONDAY, 11))])
    assert dollars(day.closed_condors_e4) == 50


# Another account, and the memory.


def test_another_account_begins_with_nothing(day):
    day.record_marks(marked(), on(FRIDAY, 16))
    day.recall(None)
    assert day.memory == DayMemory()
    assert day.condor_e4(SPY_ID, marked()) is None
    follow(day, spy(1), on(FRIDAY, 17))
    assert day.condor_e4(SPY_ID, marked()) is None


def test_the_memory_is_the_same_object_while_nothing_changes(day):
    before = day.memory
    follow(day, spy(1), on(FRIDAY, 10, 1))
    day.set_fills(FRIDAY, ())
    assert day.memory is before


@given(
    st.lists(st.tuples(st.sampled_from([P560, P570, C630, C640, C650]), st.integers(-3, 3)), max_size=6),
    st.integers(0, 6),
)
def test_a_restart_at_any_time_changes_nothing(trades, stop):
    """The day of a run that stops after some trades and one that goes on is the same."""
    steady, stopped = Day(), Day()
    held, fills = {one.symbol: one.quantity for one in spy(1)}, []
    for number, (symbol, quantity) in enumerate([(C650, 0), *trades]):
        if number == stop:
            memory = msgspec.json.decode(msgspec.json.encode(stopped.memory), type=DayMemory)
            stopped = Day()
            stopped.recall(memory)
        if quantity:
            held[symbol] = held.get(symbol, 0) + quantity
            fills.append(fill(symbol, quantity, 1.5, on(FRIDAY, 11, number)))
        positions = [position(name, count) for name, count in held.items() if count]
        for day in (steady, stopped):
            day.set_closes(closes())
            follow(day, positions, on(FRIDAY, 11, number))
            day.set_fills(FRIDAY, fills)
    for day in (steady, stopped):
        day.record_marks(marked(), on(FRIDAY, 16))
        follow(day, [], on(FRIDAY, 20))
    assert steady.memory == stopped.memory
    assert steady.closed_condors_e4 == stopped.closed_condors_e4
    assert steady.closed_contracts_e4 == stopped.closed_contracts_e4
    whole = steady.closed_condors_e4 + steady.closed_contracts_e4
    now = {symbol: held.get(symbol, 0) for symbol in MARKS}
    traded_ = {symbol: sum(one.quantity for one in fills if one.symbol == symbol) for symbol in MARKS}
    expected = sum(100 * (now[symbol] - (now[symbol] - traded_[symbol])) * MARKS[symbol] for symbol in MARKS)
    assert dollars(whole) == expected - sum(one.quantity * 150 for one in fills)


# Readings and fills that arrive at different times.


@given(
    held=st.dictionaries(st.sampled_from([P560, C640, C650]), st.integers(-2, 2).filter(bool), max_size=3),
    trades=st.lists(
        st.tuples(st.sampled_from([P560, C640, C650]), st.integers(-2, 2).filter(bool), st.integers(1, 30)), max_size=5
    ),
    views=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8),
)
def test_a_day_is_right_or_unknown_however_late_readings_and_fills_are(held, trades, views):
    """A view is how many of the trades its reading has, and how many its fills have, counted from the first."""
    fills = [
        fill(symbol, quantity, tenths / 10, on(FRIDAY, 10, 1))
        for number, (symbol, quantity, tenths) in enumerate(trades)
    ]
    day = holding(*(position(symbol, quantity) for symbol, quantity in held.items()))
    quotes = marked(P560=1.3, C640=0.4, C650=0.9)
    for second, (read, filled_) in enumerate(sorted(views)):
        now = dict(held)
        for one in fills[:read]:
            now[one.symbol] = now.get(one.symbol, 0) + one.quantity
        at = on(FRIDAY, 10, 2) + dt.timedelta(seconds=second)
        follow(day, [position(symbol, quantity) for symbol, quantity in now.items() if quantity], at)
        day.set_fills(FRIDAY, fills[:filled_])
        expected, is_late, was_traded = 0.0, False, False
        for symbol in (P560, C640, C650):
            own = [one for one in fills[:filled_] if one.symbol == symbol]
            before, quantity = held.get(symbol, 0), now.get(symbol, 0)
            if quantity != before + sum(one.quantity for one in own):
                is_late = True
                continue
            cash = -sum(one.quantity * one.price_e6 for one in own) / 10_000
            new = 100 * (quantity * quotes[symbol].mark_e4 / 10_000 - before * MARKS[symbol]) + cash
            if quantity:
                assert dollars(day.unmatched_e4(symbol, quotes)) == pytest.approx(new)
            else:
                expected, was_traded = expected + new, True
        if is_late:
            late = [symbol for symbol in now if now[symbol]]
            known = [day.unmatched_e4(symbol, quotes) for symbol in late] + [day.closed_contracts_e4]
            assert None in known
        elif was_traded:
            assert dollars(day.closed_contracts_e4) == pytest.approx(expected)
