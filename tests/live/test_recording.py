"""Minutes, extremes and lines of a whole publisher; in any order they are in test_publisher.py."""

import datetime as dt

import pytest

from condord.core.calendar import Calendar
from condord.core.market_hours import hours_of
from condord.live.minutes import Extremes, Holding, RecordedPast
from condord.live.published import EVERYTHING, Selection
from condord.live.recording import MARGIN_SECONDS, Minutes
from condord.live.wire_condor import HistoryJson

from .accounts import (
    C630,
    C640,
    CLOSED,
    DAY,
    EPOCH_AT,
    OPEN,
    P560,
    P570,
    QQQ_ID,
    SPY_ID,
    House,
    lot,
    qqq,
    spy,
    status,
    tick,
)
from .clocks import at

MARKS = {P560: 0.90, P570: 1.70, C630: 1.30, C640: 0.90}
"""The mark is 1.20, and the profit 230 dollars."""
FIRST = int(EPOCH_AT.timestamp())
OPENED_AT = EPOCH_AT - dt.timedelta(days=3)


def closes(minute):
    """A session that is open until this many minutes after the epoch."""
    return type(OPEN)(is_open=True, next_open=EPOCH_AT, next_close=EPOCH_AT + dt.timedelta(minutes=minute))


class Desk(House):
    """A house at whole minutes after the epoch, whose quotes are narrow."""

    def __init__(self, positions=None, *, minute=0, **options):
        super().__init__(None, **options)
        self.now, self.number = 60.0 * minute, 0
        if positions is not None:
            self.set_positions(positions)

    def quote(self, put=0.90, *, spread=0.02, marks=MARKS):
        """The long put is worth so much: a cent more is 2 dollars more."""
        self.number += 1
        quoted = {**marks, P560: put}
        self.offer(*(tick(each, mark - spread / 2, mark + spread / 2, self.number) for each, mark in quoted.items()))
        self.wait(0.5)

    def end_minute(self):
        """Wait until the rows of the minute are there."""
        self.wait(60 - self.now_at.timestamp() % 60 + 2 * MARGIN_SECONDS)

    @property
    def extremes(self):
        value = self.edition.document(self.now_at).condors[0].valuation
        return value.worst_pl, value.best_pl

    @property
    def line(self):
        line = self.edition.document(self.now_at).condors[0].history
        return [((second - FIRST) / 60, cents) for second, cents in zip(line.seconds, line.cents, strict=True)]

    def recorded_of(self, condor_id=SPY_ID):
        """The rows of one condor, or of the account."""
        rows = [row for minute in self.recorded for row in minute]
        return [row for row in rows if (row.holding.condor_id if row.holding else None) == condor_id]


def figures(row):
    return (row.second - FIRST) / 60, row.cents, row.natural_cents, row.low, row.high, row.is_held_back


@pytest.fixture
def desk():
    made = Desk(spy())
    made.set_status(status())
    return made


# Rows.


def test_a_row_has_the_last_values_of_its_minute_and_the_extremes_published_in_it(desk):
    for put in (0.90, 0.40, 1.50, 1.00):
        desk.quote(put)
    desk.end_minute()
    (row,) = desk.recorded_of()
    assert figures(row) == (1, 25_000, 24_200, 13_000, 35_000, False)
    assert (row.quantity, row.credit_e4) == (2, 23_500)
    assert row.holding == Holding(condor_id=SPY_ID, opened_at=None)


def test_a_minute_without_changes_has_the_values_of_the_one_before(desk):
    desk.quote()
    desk.end_minute()
    desk.end_minute()
    assert figures(desk.recorded_of()[1]) == (2, 23_000, 22_200, 23_000, 23_000, False)


def test_the_running_minute_has_what_was_published_in_it_so_far(desk):
    for put in (0.90, 0.40, 1.00):
        desk.quote(put)
    row, account = desk.publisher.book.minutes.running()
    assert figures(row) == (1, 25_000, 24_200, 13_000, 25_000, False)
    assert (account.holding, account.low) == (None, 13_000)
    assert desk.recorded == []


def test_outside_the_session_no_minute_is_running(desk):
    desk.quote()
    desk.set_status(status("closed", market=CLOSED))
    desk.end_minute()
    assert desk.publisher.book.minutes.running() == ()


def test_a_crash_between_two_minutes_is_not_lost(desk):
    desk.quote()
    desk.end_minute()
    for put in (0.01, 0.90):
        desk.quote(put)
    desk.end_minute()
    assert figures(desk.recorded_of()[1]) == (2, 23_000, 22_200, 5_200, 23_000, False)
    assert desk.extremes == (52, 230)


def test_a_natural_that_is_not_known_leaves_the_last_one(desk):
    desk.quote()
    desk.offer(tick(P560, 0.95, 0.90, 9))
    desk.wait(0.5)
    desk.end_minute()
    assert figures(desk.recorded_of()[0]) == (1, 23_000, 22_200, 23_000, 23_000, True)
    desk.end_minute()
    assert figures(desk.recorded_of()[1]) == (2, 23_000, None, 23_000, 23_000, True)


def test_the_recorder_gets_one_sequence_a_minute_with_all_condors_and_the_account():
    desk = Desk((*spy(), *qqq()))
    desk.set_status(status())
    desk.wait(180)
    assert [[row.holding and row.holding.condor_id for row in rows] for rows in desk.recorded] == [
        [QQQ_ID, SPY_ID, None]
    ] * 2


def test_the_account_has_the_sum_and_its_extremes_and_nothing_while_a_part_is_not_known():
    desk = Desk((*spy(), *qqq()))
    desk.set_status(status())
    desk.quote()
    desk.end_minute()
    assert figures(desk.recorded_of(None)[0]) == (1, None, None, None, None, False)
    for price in (1.0, 3.0):
        held = [held for held in qqq() if held.quantity > 0]
        desk.offer(*(tick(held.symbol, 1.0, 1.02, price) for held in qqq()))
        desk.offer(*(tick(held.symbol, price, price + 0.02, price) for held in held))
        desk.wait(0.5)
    desk.end_minute()
    condors = [desk.recorded_of(identity)[1] for identity in (SPY_ID, QQQ_ID)]
    (_, account) = desk.recorded_of(None)
    assert account.cents == sum(row.cents for row in condors) == 43_000
    assert account.natural_cents == sum(row.natural_cents for row in condors)
    assert (account.low, account.high) == (3_000, 43_000)
    assert (account.quantity, account.price_e4, account.credit_e4) == (None, None, None)


def test_an_account_without_condors_is_worth_nothing():
    desk = Desk(())
    desk.set_status(status())
    desk.end_minute()
    assert figures(*desk.recorded[0]) == (1, 0, 0, 0, 0, False)


def test_nothing_is_recorded_before_positions_were_read():
    desk = Desk()
    desk.set_status(status())
    desk.wait(120)
    assert desk.recorded == []


def test_what_is_not_known_is_null_and_what_was_known_in_a_minute_is_its_last_value(desk):
    desk.end_minute()
    desk.quote()
    desk.gap()
    desk.wait(1)
    desk.end_minute()
    desk.end_minute()
    assert [figures(row) for row in desk.recorded_of()] == [
        (1, None, None, None, None, False),
        (2, 23_000, 22_200, 23_000, 23_000, False),
        (3, None, None, None, None, False),
    ]
    assert desk.line == [(2, 23_000)]
    assert desk.extremes == (230, 230)


@pytest.mark.parametrize("state", ["starting", "stale", "reconnecting", "halted"])
def test_while_the_stream_is_not_live_minutes_of_the_session_have_nulls(desk, state):
    desk.quote()
    desk.end_minute()
    desk.set_status(status(state))
    desk.quote(0.10)
    desk.end_minute()
    desk.set_status(status())
    desk.end_minute()
    assert [row.cents for row in desk.recorded_of()] == [23_000, 23_000, 7_000]
    assert desk.recorded_of()[1].low == 23_000  # of its first moment
    assert desk.extremes == (70, 230)


def test_a_stream_that_is_live_again_counts_what_is_published_then_with_the_event_of_its_status(desk):
    desk.set_status(status("reconnecting"))
    desk.quote()
    subscriber = desk.subscribe(EVERYTHING)
    desk.take(subscriber)
    assert desk.extremes == (None, None)
    desk.set_status(status())
    [(event, _, data)] = desk.take(subscriber)
    assert (event, data["status"]["state"]) == ("delta", "live")
    assert [(value["worstPl"], value["bestPl"]) for value in data["valuations"]] == [(230, 230)]


def test_the_price_is_the_last_one_known_in_the_minute(desk):
    desk.offer_stocks(tick("SPY", 599.99, 600.01, 1))
    desk.end_minute()
    desk.offer_stocks(tick("SPY", 600.99, 601.01, 61))
    desk.publisher.lapse_prices()
    desk.wait(3)
    desk.end_minute()
    desk.end_minute()
    assert [row.price_e4 for row in desk.recorded_of()] == [6_000_000, 6_010_000, None]


# The session.


def test_the_last_minute_of_a_session_is_recorded_and_none_after_it():
    desk = Desk(spy(), minute=-2)
    desk.set_status(status(market=closes(0)))
    desk.quote()
    desk.wait(600)
    assert [figures(row)[:2] for row in desk.recorded_of()] == [(-1, 23_000), (0, 23_000)]
    assert desk.book.minutes.deadline is None


def test_a_close_that_is_reported_before_the_end_of_the_minute_is_recorded_leaves_that_minute():
    desk = Desk(spy(), minute=-1)
    desk.set_status(status(market=closes(0)))
    desk.quote()
    desk.wait(60 - desk.now_at.timestamp() % 60 + MARGIN_SECONDS / 2)
    desk.set_status(status("closed", market=CLOSED))
    desk.quote(0.01)
    desk.wait(600)
    assert [figures(row)[:4] for row in desk.recorded_of()] == [(0, 23_000, 22_200, 23_000)]
    assert (desk.line, desk.extremes) == ([(0, 23_000)], (230, 230))


def test_a_value_after_the_close_does_not_count():
    desk = Desk(spy(), minute=-1)
    desk.set_status(status(market=closes(0)))
    desk.quote()
    desk.now += 60
    desk.quote(0.01)
    desk.wait(600)
    assert [row.low for row in desk.recorded_of()] == [23_000]
    assert desk.extremes == (230, 230)


def test_a_session_that_opens_again_is_recorded_from_then_on():
    desk = Desk(spy(), minute=-1)
    desk.set_status(status(market=closes(0)))
    desk.wait(3600)
    desk.set_status(status(market=closes(120)))
    desk.quote()
    desk.wait(61)
    assert [figures(row)[:2] for row in desk.recorded_of()] == [(0, None), (60, 23_000)]


def test_a_session_without_a_known_end_is_recorded(desk):
    desk.set_status(status(market=type(OPEN)(is_open=True, next_open=None, next_close=None)))
    desk.end_minute()
    assert len(desk.recorded) == 1


def test_a_session_of_an_unknown_market_is_not_recorded():
    desk = Desk(spy())
    desk.set_status(status(market=type(OPEN)(is_open=None, next_open=None, next_close=None)))
    desk.wait(120)
    assert desk.recorded == []


# The clock.


def test_a_clock_set_back_a_little_makes_the_minute_longer(desk):
    desk.quote()
    desk.clock_is_ahead_by -= 30
    desk.wait(61)
    assert desk.recorded == []
    desk.wait(30)
    assert [figures(row)[0] for row in desk.recorded_of()] == [1]


def test_a_clock_set_back_by_minutes_gives_the_minute_that_ended_last_by_it(desk):
    desk.quote()
    desk.wait(125)
    desk.clock_is_ahead_by -= 120
    desk.end_minute()
    desk.quote(0.01)
    desk.end_minute()
    assert [figures(row)[:2] for row in desk.recorded_of()] == [(1, 23_000), (2, 23_000), (1, 23_000), (2, 5_200)]
    assert desk.line == [(1, 23_000), (2, 5_200)]


def test_a_clock_set_ahead_leaves_out_the_minutes_in_between(desk):
    desk.quote()
    desk.clock_is_ahead_by += 600
    desk.wait(60)
    desk.end_minute()
    assert [figures(row)[0] for row in desk.recorded_of()] == [1, 12]


def test_a_clock_set_ahead_ends_the_minute_with_the_next_status(desk):
    desk.quote()
    desk.clock_is_ahead_by += 60
    desk.set_status(status())
    assert [figures(row)[0] for row in desk.recorded_of()] == [1]
    desk.end_minute()
    assert [figures(row)[0] for row in desk.recorded_of()] == [1, 2]


def test_a_minute_always_ends_within_a_minute_by_a_steady_clock():
    for into_minute in (0.0, MARGIN_SECONDS / 2, MARGIN_SECONDS, 30.0, 59.99):
        minutes = Minutes()
        minutes.follow(status(), 100.0, at(into_minute))
        while not minutes.is_due(minutes.deadline, at(into_minute + minutes.deadline - 100.0)):
            pass
        assert minutes.deadline - 100.0 + into_minute == pytest.approx(60 + MARGIN_SECONDS)


# Extremes.


def test_a_value_that_the_first_live_status_makes_unconfirmed_counts_in_no_minute():
    house = House(spy())
    house.offer(*(tick(symbol, 1.0, 1.1) for symbol in house.book.symbols))
    house.gap()
    house.set_status(status())
    document = house.document(EVERYTHING)
    (condor,) = document["condors"]
    assert condor["valuation"]["unconfirmed"]
    assert (condor["valuation"]["worstPl"], condor["valuation"]["bestPl"]) == (None, None)
    row, account = house.book.minutes.running()
    assert (row.low, row.high, account.low) == (None, None, None)


def test_a_cut_while_another_account_is_read_has_no_condors_to_follow():
    house = House(spy())
    house.offer(*(tick(symbol, 1.0, 1.1) for symbol in house.book.symbols))
    house.book.recall_past(None)
    house.gap()
    house.set_status(status())
    assert house.book.minutes.running() == ()


def test_extremes_are_null_until_a_profit_is_known_and_a_new_one_comes_with_its_value(desk):
    assert desk.extremes == (None, None)
    subscriber = desk.subscribe(EVERYTHING)
    desk.quote()
    desk.take(subscriber)
    desk.wait(1)
    desk.quote(0.40)
    [(_, _, data)] = desk.take(subscriber)
    [value] = data["valuations"]
    assert (value["unrealizedPl"], value["worstPl"], value["bestPl"]) == (130, 130, 230)


def test_a_minute_with_a_held_value_counts_in_no_extreme_and_what_it_gained_is_taken_back(desk):
    desk.quote()
    desk.end_minute()
    desk.quote(0.80)
    assert desk.extremes == (210, 230)
    desk.quote(1.50, spread=1.6)
    assert desk.extremes == (230, 230)
    desk.quote(0.70)
    assert desk.extremes == (230, 230)
    version = desk.edition.number
    desk.end_minute()
    assert desk.recorded_of()[1].is_held_back
    assert desk.recorded_of(None)[1].is_held_back
    assert desk.extremes == (190, 230)  # it is still published in the next minute, which is not held
    assert desk.edition.number == version + 1


def test_a_value_that_stays_held_holds_the_next_minute_too(desk):
    desk.quote(spread=1.6)
    desk.end_minute()
    desk.end_minute()
    assert [row.is_held_back for row in desk.recorded_of()] == [True, True]
    assert [row.cents for row in desk.recorded_of()] == [23_000, 23_000]
    assert desk.extremes == (None, None)
    assert len(desk.line) == 2


def test_the_first_two_minutes_of_a_session_count_in_no_extreme():
    desk = Desk(minute=-1)
    desk.account.calendar = Calendar({DAY: hours_of(DAY, dt.time(10), dt.time(16))})
    desk.set_positions(spy())
    desk.set_status(status())
    for put in (0.8, 0.1, 0.2, 0.9):
        desk.end_minute()
        desk.quote(put)
    desk.end_minute()
    assert [(row.cents, row.is_held_back) for row in desk.recorded_of()] == [
        (None, False),
        (21_000, True),
        (7_000, True),
        (9_000, False),
        (23_000, False),
    ]
    assert desk.extremes == (70, 230)  # 70 was still published when the third minute began


def test_extremes_go_on_while_quantity_and_credit_change_and_the_line_begins_again(desk):
    desk.quote()
    desk.end_minute()
    subscriber = desk.subscribe(EVERYTHING)
    desk.take(subscriber)
    desk.set_positions(spy(1))
    [(event, _, data)] = desk.take(subscriber)
    assert (event, data["condors"][0]["history"]["seconds"]) == ("snapshot", [])
    assert desk.extremes == (115, 230)
    desk.end_minute()
    assert figures(desk.recorded_of()[1]) == (2, 11_500, 11_100, 11_500, 23_000, False)
    assert (desk.line, desk.recorded_of()[1].quantity) == ([(2, 11_500)], 1)


def test_a_line_that_begins_again_has_no_value_of_the_earlier_quantity(desk):
    desk.quote()
    desk.gap()
    desk.wait(1)
    desk.set_positions(spy(1))
    desk.end_minute()
    assert (desk.recorded_of()[0].cents, desk.recorded_of()[0].low, desk.line) == (None, 23_000, [])


def test_a_condor_that_was_gone_starts_again(desk):
    desk.quote()
    desk.set_positions(())
    desk.set_positions(spy())
    assert desk.extremes == (None, None)
    desk.quote(1.00)
    assert desk.extremes == (250, 250)
    desk.end_minute()
    assert [row.low for row in desk.recorded_of()] == [23_000, 25_000]
    assert desk.line == [(1, 25_000)]


def test_what_ends_in_a_minute_has_a_last_row_with_it(desk):
    desk.quote()
    desk.end_minute()
    desk.quote(0.01)
    desk.set_positions(())
    desk.end_minute()
    desk.end_minute()
    assert [figures(row)[:4] for row in desk.recorded_of()] == [(1, 23_000, 22_200, 23_000), (2, 5_200, 4_400, 5_200)]


def test_a_broken_condor_that_is_whole_again_is_the_same_holding(desk):
    desk.quote()
    desk.end_minute()
    desk.set_positions(spy()[:3])
    desk.end_minute()
    desk.end_minute()
    desk.set_positions(spy())
    assert [figures(row)[0] for row in desk.recorded_of()] == [1, 2]
    assert (desk.extremes, desk.line) == ((230, 230), [(1, 23_000)])
    desk.quote(0.80)
    desk.end_minute()
    assert (desk.extremes, desk.line) == ((210, 230), [(1, 23_000), (4, 21_000)])


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [(None, 0, True), (0, None, True), (0, 0, True), (0, -60, True), (0, 60, False)],
    ids=["known later", "not known any longer", "the same", "earlier", "later"],
)
def test_only_a_later_opening_is_another_holding(first, second, is_same):
    def opened(seconds):
        if seconds is None:
            return []
        shifted = EPOCH_AT + dt.timedelta(seconds=seconds)
        return [
            type(lot())(**{**{name: getattr(lot(), name) for name in lot().__struct_fields__}, "opened_at": shifted})
        ]

    desk = Desk()
    desk.set_status(status())
    desk.set_positions(spy(), opened(first))
    for put in (0.50, 2.00):
        desk.quote(put)
    worst, _ = desk.extremes
    desk.set_positions(spy(), opened(second))
    assert (desk.extremes[0] <= worst) == is_same
    desk.end_minute()
    expected = second if second is not None else first
    assert desk.recorded_of()[-1].holding.opened_at == EPOCH_AT + dt.timedelta(seconds=expected)
    assert len(desk.recorded_of()) == 2 - is_same


# After a restart.


def recorded(*, opened_at=None, line=(), quantity=2, credit_e4=23_500, worst=-50_000, best=90_000):
    points = [(FIRST + 60 * minute, cents) for minute, cents in line]
    return RecordedPast(
        lines={SPY_ID: HistoryJson(seconds=[each for each, _ in points], cents=[cents for _, cents in points])},
        quantities={SPY_ID: quantity},
        credits_e4={SPY_ID: credit_e4},
        extremes={Holding(condor_id=SPY_ID, opened_at=opened_at): Extremes(worst=worst, best=best)},
    )


@pytest.mark.parametrize("is_before", [True, False], ids=["before the positions", "after the positions"])
def test_lines_and_extremes_continue_whenever_they_are_recalled(is_before):
    desk = Desk(spy() if not is_before else None, minute=10)
    desk.set_status(status())
    if not is_before:
        desk.quote()
        desk.end_minute()
    desk.book.recall_past(recorded(line=[(5, 100), (6, 200)]))
    if is_before:
        desk.set_positions(spy())
        desk.quote()
        desk.end_minute()
    subscriber = desk.subscribe(EVERYTHING)
    desk.take(subscriber)
    desk.set_status(status(read=1))
    desk.wait(1)
    assert [event for event, _, _ in desk.take(subscriber)] == ([] if is_before else ["snapshot"])
    assert desk.line == [(5, 100), (6, 200), (11, 23_000)]
    assert desk.extremes == (-500, 900)
    desk.end_minute()
    [(event, _, data)] = desk.take(subscriber)
    assert (event, len(data["history"][0]["seconds"])) == ("delta", 1)


def test_the_minute_that_ends_next_brings_what_was_recalled():
    desk = Desk(spy())
    desk.set_status(status())
    desk.quote()
    subscriber = desk.subscribe(EVERYTHING)
    desk.take(subscriber)
    desk.book.recall_past(recorded(line=[(-5, 100)]))
    desk.end_minute()
    [(event, _, data)] = desk.take(subscriber)
    assert (event, len(data["condors"][0]["history"]["seconds"])) == ("snapshot", 2)
    assert desk.line == [(-5, 100), (1, 23_000)]


def test_a_status_brings_what_was_recalled():
    desk = Desk(spy())
    desk.set_status(status())
    desk.book.recall_past(recorded(line=[(-5, 100)]))
    desk.publisher.set_status(status("reconnecting"), desk.now, desk.now_at)
    assert (desk.line, desk.extremes) == ([(-5, 100)], (-500, 900))


def test_minutes_that_are_in_the_line_already_are_not_doubled(desk):
    desk.quote()
    desk.end_minute()
    desk.book.recall_past(recorded(line=[(0, 1), (1, 2)]))
    desk.set_status(status())
    desk.wait(1)
    assert desk.line == [(0, 1), (1, 23_000)]
    again = Desk(minute=0)
    again.book.recall_past(recorded(line=[(0, 1), (1, 2)]))
    again.set_positions(spy())
    again.set_status(status())
    again.quote()
    again.end_minute()
    assert again.line == [(0, 1), (1, 2)]


@pytest.mark.parametrize("other", [{"quantity": 1}, {"credit_e4": 23_501}, {"credit_e4": None}])
def test_a_line_of_another_quantity_or_credit_is_not_continued(other):
    desk = Desk()
    desk.book.recall_past(recorded(line=[(0, 1)], **other))
    desk.set_positions(spy())
    assert (desk.line, desk.extremes) == ([], (-500, 900))


def test_a_line_waits_for_the_orders_that_give_its_credit():
    desk = Desk()
    desk.book.recall_past(recorded(line=[(0, 1)], credit_e4=23_500, opened_at=EPOCH_AT))
    desk.set_positions((*spy()[:3], type(spy()[3])(**{**_fields(spy()[3]), "cost_basis_e4": 2_210_000})))
    assert (desk.line, desk.extremes) == ([], (-500, 900))
    desk.set_positions(spy(), [lot()])
    assert (desk.line, desk.extremes) == ([(0, 1)], (-500, 900))


def _fields(struct):
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def test_what_is_not_held_at_the_first_reading_is_not_continued_later():
    desk = Desk()
    desk.book.recall_past(recorded(line=[(0, 1)]))
    desk.set_positions(())
    desk.set_positions(spy())
    assert (desk.line, desk.extremes) == ([], (None, None))
    desk = Desk(())
    desk.book.recall_past(recorded(line=[(0, 1)]))
    desk.set_positions(spy())
    assert (desk.line, desk.extremes) == ([], (None, None))


@pytest.mark.parametrize(
    ("recorded_at", "opened_at", "expected"),
    [
        (OPENED_AT, EPOCH_AT, (None, None)),
        (EPOCH_AT, EPOCH_AT, (-500, 900)),
        (None, EPOCH_AT, (-500, 900)),
        (EPOCH_AT, None, (-500, 900)),
        (None, None, (-500, 900)),
    ],
    ids=["earlier", "the same", "not known then", "not known now", "never known"],
)
def test_extremes_of_the_same_holding_continue(recorded_at, opened_at, expected):
    desk = Desk()
    desk.book.recall_past(recorded(opened_at=recorded_at))
    desk.set_positions(spy(), [] if opened_at is None else [lot()])
    assert desk.extremes == expected


def test_an_opening_that_turns_out_to_be_later_than_the_recorded_one_starts_again():
    desk = Desk()
    desk.book.recall_past(recorded(opened_at=OPENED_AT))
    desk.set_positions(spy())
    assert desk.extremes == (-500, 900)
    desk.set_positions(spy(), [lot()])
    assert desk.extremes == (None, None)


def test_of_several_recorded_holdings_the_last_one_is_that_of_an_unknown_opening():
    holdings = {
        Holding(condor_id=SPY_ID, opened_at=OPENED_AT): Extremes(worst=-9, best=9),
        Holding(condor_id=SPY_ID, opened_at=EPOCH_AT): Extremes(worst=-500, best=400),
    }
    desk = Desk(spy())
    desk.book.recall_past(RecordedPast(extremes=holdings))
    desk.set_status(status("reconnecting"))
    assert desk.extremes == (-5, 4)


def test_another_day_of_the_recorded_line_is_dropped_with_the_first_point(desk):
    desk.book.recall_past(recorded(line=[(-1440, 1), (-1439, 2)]))
    desk.set_status(status(read=1))
    desk.wait(1)
    assert desk.line == [(-1440, 1), (-1439, 2)]
    desk.quote()
    desk.end_minute()
    assert desk.line == [(1, 23_000)]
    desk.book.recall_past(recorded(line=[(-1440, 1)]))
    desk.set_status(status(read=2))
    desk.wait(1)
    assert desk.line == [(1, 23_000)]


def test_only_the_last_day_of_a_recorded_line_is_continued_and_at_most_a_full_one(desk):
    desk.book.recall_past(recorded(line=[(-1440, 1), *((minute, 2) for minute in range(-550, 0))]))
    desk.set_status(status("reconnecting"))
    assert (len(desk.line), desk.line[0], desk.line[-1]) == (480, (-480, 2), (-1, 2))


def test_another_account_forgets_and_is_recorded_from_its_first_positions_on(desk):
    desk.quote()
    desk.end_minute()
    desk.book.recall_past(None)
    desk.set_status(status(read=1))
    desk.wait(1)
    assert (desk.line, desk.extremes) == ([], (None, None))
    desk.quote(0.10)
    desk.end_minute()
    assert (desk.line, desk.extremes, len(desk.recorded)) == ([], (None, None), 1)
    version = desk.edition.number
    desk.set_positions(spy())
    assert desk.edition.number == version + 1
    assert desk.extremes == (70, 70)
    desk.end_minute()
    assert desk.line == [(3, 7_000)]
    assert figures(desk.recorded_of(None)[-1])[3:5] == (7_000, 7_000)


def test_forgetting_nothing_is_not_an_event():
    desk = Desk(())
    version = desk.edition.number
    desk.book.recall_past(None)
    desk.set_status(status())
    desk.wait(1)
    assert desk.edition.number == version + 1  # of the status


# What subscribers get.


def test_a_resume_over_minutes_needs_no_snapshot_and_a_filter_gets_its_condors_only(desk):
    desk.quote()
    version = desk.edition.version
    for put in (1.0, 0.8, 1.2):
        desk.end_minute()
        desk.quote(put)
    for selection, count in ((EVERYTHING, 3), (Selection(condors=frozenset([QQQ_ID])), None)):
        [(event, _, data)] = desk.take(desk.subscribe(selection, version=version))
        assert event == "delta"
        assert [len(points["seconds"]) for points in data.get("history", [])] == ([] if count is None else [count])
        assert [value["worstPl"] for value in data["valuations"]] == ([] if count is None else [210])
