"""Minutes, extremes and lines of a whole publisher; in any order they are in test_publisher.py."""

import datetime as dt

import pytest

from condord.core.calendar import Calendar
from condord.core.market_hours import hours_of
from condord.live.minutes import Extremes, HoldingPeriod, RecordedPast
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
    PublishingService,
    lot,
    qqq,
    spy,
    status,
    tick,
)
from .clocks import at
from .plain_record import e4

MARKS = {P560: 0.90, P570: 1.70, C630: 1.30, C640: 0.90}
"""The mark is 1.20, and the profit 230 dollars."""
FIRST = int(EPOCH_AT.timestamp())
OPENED_AT = EPOCH_AT - dt.timedelta(days=3)


def closes(minute):
    """A session that is open until this many minutes after the epoch."""
    return type(OPEN)(is_open=True, next_open=EPOCH_AT, next_close=EPOCH_AT + dt.timedelta(minutes=minute))


class RecordingService(PublishingService):
    """A publishing service at whole minutes after the epoch, whose quotes are narrow."""

    def __init__(self, positions=None, *, minute=0, **options):
        super().__init__(None, **options)
        self.now, self.number = 60.0 * minute, 0
        if positions is not None:
            self.set_positions(positions)

    def quote(self, put=0.90, *, spread=0.02, marks=MARKS):
        """Quote the long put at `put`: each cent is 2 dollars of profit."""
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
def service():
    service = RecordingService(spy())
    service.set_status(status())
    return service


# Rows.


def test_a_row_has_the_last_values_of_its_minute_and_the_extremes_published_in_it(service):
    for put in (0.90, 0.40, 1.50, 1.00):
        service.quote(put)
    service.end_minute()
    (row,) = service.recorded_of()
    assert figures(row) == (1, 25_000, 24_200, 13_000, 35_000, False)
    assert (row.quantity, row.credit_e4) == (2, 23_500)
    assert row.holding == HoldingPeriod(condor_id=SPY_ID, opened_at=None)


def test_a_minute_without_changes_has_the_values_of_the_one_before(service):
    service.quote()
    service.end_minute()
    service.end_minute()
    assert figures(service.recorded_of()[1]) == (2, 23_000, 22_200, 23_000, 23_000, False)


def test_the_running_minute_has_the_values_published_in_it_so_far(service):
    for put in (0.90, 0.40, 1.00):
        service.quote(put)
    row, account = service.publisher.book.minutes.running()
    assert figures(row) == (1, 25_000, 24_200, 13_000, 25_000, False)
    assert (account.holding, account.low) == (None, 13_000)
    assert service.recorded == []


def test_outside_the_session_no_minute_is_running(service):
    service.quote()
    service.set_status(status("closed", market=CLOSED))
    service.end_minute()
    assert service.publisher.book.minutes.running() == ()


def test_a_crash_between_two_minutes_is_not_lost(service):
    service.quote()
    service.end_minute()
    for put in (0.01, 0.90):
        service.quote(put)
    service.end_minute()
    assert figures(service.recorded_of()[1]) == (2, 23_000, 22_200, 5_200, 23_000, False)
    assert service.extremes == (52, 230)


def test_a_natural_that_is_not_known_leaves_the_last_one(service):
    service.quote()
    service.offer(tick(P560, 0.95, 0.90, 9))
    service.wait(0.5)
    service.end_minute()
    assert figures(service.recorded_of()[0]) == (1, 23_000, 22_200, 23_000, 23_000, True)
    service.end_minute()
    assert figures(service.recorded_of()[1]) == (2, 23_000, None, 23_000, 23_000, True)


def test_the_recorder_gets_one_sequence_a_minute_with_all_condors_and_the_account():
    service = RecordingService((*spy(), *qqq()))
    service.set_status(status())
    service.wait(180)
    assert [[row.holding and row.holding.condor_id for row in rows] for rows in service.recorded] == [
        [QQQ_ID, SPY_ID, None]
    ] * 2


def test_the_account_has_the_sum_and_its_extremes_and_nothing_while_a_part_is_not_known():
    service = RecordingService((*spy(), *qqq()))
    service.set_status(status())
    service.quote()
    service.end_minute()
    assert figures(service.recorded_of(None)[0]) == (1, None, None, None, None, False)
    for price in (1.0, 3.0):
        held = [held for held in qqq() if held.quantity > 0]
        service.offer(*(tick(held.symbol, 1.0, 1.02, price) for held in qqq()))
        service.offer(*(tick(held.symbol, price, price + 0.02, price) for held in held))
        service.wait(0.5)
    service.end_minute()
    condors = [service.recorded_of(identity)[1] for identity in (SPY_ID, QQQ_ID)]
    (_, account) = service.recorded_of(None)
    assert account.cents == sum(row.cents for row in condors) == 43_000
    assert account.natural_cents == sum(row.natural_cents for row in condors)
    assert (account.low, account.high) == (3_000, 43_000)
    assert (account.quantity, account.price_e4, account.credit_e4) == (None, None, None)


def test_an_account_without_condors_is_worth_nothing():
    service = RecordingService(())
    service.set_status(status())
    service.end_minute()
    assert figures(*service.recorded[0]) == (1, 0, 0, 0, 0, False)


def test_nothing_is_recorded_before_positions_were_read():
    service = RecordingService()
    service.set_status(status())
    service.wait(120)
    assert service.recorded == []


def test_an_unknown_value_is_null_and_a_minute_has_its_last_known_value(service):
    service.end_minute()
    service.quote()
    service.gap()
    service.wait(1)
    service.end_minute()
    service.end_minute()
    assert [figures(row) for row in service.recorded_of()] == [
        (1, None, None, None, None, False),
        (2, 23_000, 22_200, 23_000, 23_000, False),
        (3, None, None, None, None, False),
    ]
    assert service.line == [(2, 23_000)]
    assert service.extremes == (230, 230)


@pytest.mark.parametrize("state", ["starting", "stale", "reconnecting", "halted"])
def test_while_the_stream_is_not_live_minutes_of_the_session_have_nulls(service, state):
    service.quote()
    service.end_minute()
    service.set_status(status(state))
    service.quote(0.10)
    service.end_minute()
    service.set_status(status())
    service.end_minute()
    assert [row.cents for row in service.recorded_of()] == [23_000, 23_000, 7_000]
    assert service.recorded_of()[1].low == 23_000  # of its first moment
    assert service.extremes == (70, 230)


def test_values_count_again_from_the_event_in_which_the_stream_is_live(service):
    service.set_status(status("reconnecting"))
    service.quote()
    subscriber = service.subscribe(EVERYTHING)
    service.take(subscriber)
    assert service.extremes == (None, None)
    service.set_status(status())
    [(event, _, data)] = service.take(subscriber)
    assert (event, data["status"]["state"]) == ("delta", "live")
    assert [(value["worstPl"], value["bestPl"]) for value in data["valuations"]] == [(230, 230)]


def test_the_price_is_the_last_one_known_in_the_minute(service):
    service.offer_stocks(tick("SPY", 599.99, 600.01, 1))
    service.end_minute()
    service.offer_stocks(tick("SPY", 600.99, 601.01, 61))
    service.publisher.lapse_prices(service.now_at)
    service.wait(3)
    service.end_minute()
    service.end_minute()
    assert [row.price_e4 for row in service.recorded_of()] == [6_000_000, 6_010_000, None]


# The session.


def test_the_last_minute_of_a_session_is_recorded_and_none_after_it():
    service = RecordingService(spy(), minute=-2)
    service.set_status(status(market=closes(0)))
    service.quote()
    service.wait(600)
    assert [figures(row)[:2] for row in service.recorded_of()] == [(-1, 23_000), (0, 23_000)]
    assert service.book.minutes.deadline is None


def test_a_close_that_is_reported_before_the_end_of_the_minute_is_recorded_leaves_that_minute():
    service = RecordingService(spy(), minute=-1)
    service.set_status(status(market=closes(0)))
    service.quote()
    service.wait(60 - service.now_at.timestamp() % 60 + MARGIN_SECONDS / 2)
    service.set_status(status("closed", market=CLOSED))
    service.quote(0.01)
    service.wait(600)
    assert [figures(row)[:4] for row in service.recorded_of()] == [(0, 23_000, 22_200, 23_000)]
    assert (service.line, service.extremes) == ([(0, 23_000)], (230, 230))


def test_a_value_after_the_close_does_not_count():
    service = RecordingService(spy(), minute=-1)
    service.set_status(status(market=closes(0)))
    service.quote()
    service.now += 60
    service.quote(0.01)
    service.wait(600)
    assert [row.low for row in service.recorded_of()] == [23_000]
    assert service.extremes == (230, 230)


def test_a_session_that_opens_again_is_recorded_from_then_on():
    service = RecordingService(spy(), minute=-1)
    service.set_status(status(market=closes(0)))
    service.wait(3600)
    service.set_status(status(market=closes(120)))
    service.quote()
    service.wait(61)
    assert [figures(row)[:2] for row in service.recorded_of()] == [(0, None), (60, 23_000)]


def test_a_session_without_a_known_end_is_recorded(service):
    service.set_status(status(market=type(OPEN)(is_open=True, next_open=None, next_close=None)))
    service.end_minute()
    assert len(service.recorded) == 1


def test_a_session_of_an_unknown_market_is_not_recorded():
    service = RecordingService(spy())
    service.set_status(status(market=type(OPEN)(is_open=None, next_open=None, next_close=None)))
    service.wait(120)
    assert service.recorded == []


# The clock.


def test_a_clock_set_back_a_little_makes_the_minute_longer(service):
    service.quote()
    service.clock_is_ahead_by -= 30
    service.wait(61)
    assert service.recorded == []
    service.wait(30)
    assert [figures(row)[0] for row in service.recorded_of()] == [1]


def test_a_clock_set_back_by_minutes_labels_the_minute_by_the_new_time(service):
    service.quote()
    service.wait(125)
    service.clock_is_ahead_by -= 120
    service.end_minute()
    service.quote(0.01)
    service.end_minute()
    assert [figures(row)[:2] for row in service.recorded_of()] == [(1, 23_000), (2, 23_000), (1, 23_000), (2, 5_200)]
    assert service.line == [(1, 23_000), (2, 5_200)]


def test_a_clock_set_ahead_leaves_out_the_minutes_in_between(service):
    service.quote()
    service.clock_is_ahead_by += 600
    service.wait(60)
    service.end_minute()
    assert [figures(row)[0] for row in service.recorded_of()] == [1, 12]


def test_a_clock_set_ahead_ends_the_minute_with_the_next_status(service):
    service.quote()
    service.clock_is_ahead_by += 60
    service.set_status(status())
    assert [figures(row)[0] for row in service.recorded_of()] == [1]
    service.end_minute()
    assert [figures(row)[0] for row in service.recorded_of()] == [1, 2]


def test_a_minute_always_ends_within_a_minute_by_a_steady_clock():
    for into_minute in (0.0, MARGIN_SECONDS / 2, MARGIN_SECONDS, 30.0, 59.99):
        minutes = Minutes()
        minutes.follow(status(), 100.0, at(into_minute))
        while not minutes.is_due(minutes.deadline, at(into_minute + minutes.deadline - 100.0)):
            pass
        assert minutes.deadline - 100.0 + into_minute == pytest.approx(60 + MARGIN_SECONDS)


# Extremes.


def test_a_value_that_the_first_live_status_makes_unconfirmed_counts_in_no_minute():
    service = PublishingService(spy())
    service.offer(*(tick(symbol, 1.0, 1.1) for symbol in service.book.symbols))
    service.gap()
    service.set_status(status())
    document = service.document(EVERYTHING)
    (condor,) = document["condors"]
    assert condor["valuation"]["unconfirmed"]
    assert (condor["valuation"]["worstPl"], condor["valuation"]["bestPl"]) == (None, None)
    row, account = service.book.minutes.running()
    assert (row.low, row.high, account.low) == (None, None, None)


def test_a_gap_while_another_account_is_read_records_no_condors():
    service = PublishingService(spy())
    service.offer(*(tick(symbol, 1.0, 1.1) for symbol in service.book.symbols))
    service.book.recall_past(None)
    service.gap()
    service.set_status(status())
    assert service.book.minutes.running() == ()


def test_extremes_are_null_until_a_profit_is_known_and_a_new_one_comes_with_its_value(service):
    assert service.extremes == (None, None)
    subscriber = service.subscribe(EVERYTHING)
    service.quote()
    service.take(subscriber)
    service.wait(1)
    service.quote(0.40)
    [(_, _, data)] = service.take(subscriber)
    [value] = data["valuations"]
    assert (value["unrealizedPl"], value["worstPl"], value["bestPl"]) == (130, 130, 230)


def test_a_minute_that_is_held_back_undoes_the_extremes_it_set(service):
    service.quote()
    service.end_minute()
    service.quote(0.80)
    assert service.extremes == (210, 230)
    service.quote(1.50, spread=1.6)
    assert service.extremes == (230, 230)
    service.quote(0.70)
    assert service.extremes == (230, 230)
    version = service.edition.number
    service.end_minute()
    assert service.recorded_of()[1].is_held_back
    assert service.recorded_of(None)[1].is_held_back
    assert service.extremes == (190, 230)  # it is still published in the next minute, which is not held
    assert service.edition.number == version + 1


def test_a_value_that_stays_held_back_holds_the_next_minute_back_too(service):
    service.quote(spread=1.6)
    service.end_minute()
    service.end_minute()
    assert [row.is_held_back for row in service.recorded_of()] == [True, True]
    assert [row.cents for row in service.recorded_of()] == [23_000, 23_000]
    assert service.extremes == (None, None)
    assert len(service.line) == 2


def test_the_first_two_minutes_of_a_session_count_in_no_extreme():
    service = RecordingService(minute=-1)
    service.account.set_calendar(Calendar({DAY: hours_of(DAY, dt.time(10), dt.time(16))}))
    service.set_positions(spy())
    service.set_status(status())
    for put in (0.8, 0.1, 0.2, 0.9):
        service.end_minute()
        service.quote(put)
    service.end_minute()
    assert [(row.cents, row.is_held_back) for row in service.recorded_of()] == [
        (None, False),
        (21_000, True),
        (7_000, True),
        (9_000, False),
        (23_000, False),
    ]
    assert service.extremes == (70, 230)  # 70 was still published when the third minute began


def test_extremes_go_on_while_quantity_and_credit_change_and_the_line_begins_again(service):
    service.quote()
    service.end_minute()
    subscriber = service.subscribe(EVERYTHING)
    service.take(subscriber)
    service.set_positions(spy(1))
    [(event, _, data)] = service.take(subscriber)
    assert (event, data["condors"][0]["history"]["seconds"]) == ("snapshot", [])
    assert service.extremes == (115, 230)
    service.end_minute()
    assert figures(service.recorded_of()[1]) == (2, 11_500, 11_100, 11_500, 23_000, False)
    assert (service.line, service.recorded_of()[1].quantity) == ([(2, 11_500)], 1)


def test_a_line_that_begins_again_has_no_value_of_the_earlier_quantity(service):
    service.quote()
    service.gap()
    service.wait(1)
    service.set_positions(spy(1))
    service.end_minute()
    assert (service.recorded_of()[0].cents, service.recorded_of()[0].low, service.line) == (None, 23_000, [])


def test_a_condor_that_was_gone_starts_again(service):
    service.quote()
    service.set_positions(())
    service.set_positions(spy())
    assert service.extremes == (None, None)
    service.quote(1.00)
    assert service.extremes == (250, 250)
    service.end_minute()
    assert [row.low for row in service.recorded_of()] == [23_000, 25_000]
    assert service.line == [(1, 25_000)]


def test_a_holding_that_ends_in_a_minute_has_a_last_row_for_it(service):
    service.quote()
    service.end_minute()
    service.quote(0.01)
    service.set_positions(())
    service.end_minute()
    service.end_minute()
    assert [figures(row)[:4] for row in service.recorded_of()] == [
        (1, 23_000, 22_200, 23_000),
        (2, 5_200, 4_400, 5_200),
    ]


def test_a_broken_condor_that_is_whole_again_is_the_same_holding(service):
    service.quote()
    service.end_minute()
    service.set_positions(spy()[:3])
    service.end_minute()
    service.end_minute()
    service.set_positions(spy())
    assert [figures(row)[0] for row in service.recorded_of()] == [1, 2]
    assert (service.extremes, service.line) == ((230, 230), [(1, 23_000)])
    service.quote(0.80)
    service.end_minute()
    assert (service.extremes, service.line) == ((210, 230), [(1, 23_000), (4, 21_000)])


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

    service = RecordingService()
    service.set_status(status())
    service.set_positions(spy(), opened(first))
    for put in (0.50, 2.00):
        service.quote(put)
    worst, _ = service.extremes
    service.set_positions(spy(), opened(second))
    assert (service.extremes[0] <= worst) == is_same
    service.end_minute()
    expected = second if second is not None else first
    assert service.recorded_of()[-1].holding.opened_at == EPOCH_AT + dt.timedelta(seconds=expected)
    assert len(service.recorded_of()) == 2 - is_same


# After a restart.


def recorded(*, opened_at=None, line=(), quantity=2, credit_e4=23_500, worst=-50_000, best=90_000):
    points = [(FIRST + 60 * minute, cents) for minute, cents in line]
    return RecordedPast(
        lines={SPY_ID: HistoryJson(seconds=[each for each, _ in points], cents=[cents for _, cents in points])},
        quantities={SPY_ID: quantity},
        credits_e4={SPY_ID: credit_e4},
        extremes={HoldingPeriod(condor_id=SPY_ID, opened_at=opened_at): Extremes(worst=worst, best=best)},
    )


@pytest.mark.parametrize("is_before", [True, False], ids=["before the positions", "after the positions"])
def test_lines_and_extremes_continue_whenever_they_are_recalled(is_before):
    service = RecordingService(spy() if not is_before else None, minute=10)
    service.set_status(status())
    if not is_before:
        service.quote()
        service.end_minute()
    service.book.recall_past(recorded(line=[(5, 100), (6, 200)]))
    if is_before:
        service.set_positions(spy())
        service.quote()
        service.end_minute()
    subscriber = service.subscribe(EVERYTHING)
    service.take(subscriber)
    service.set_status(status(read=1))
    service.wait(1)
    assert [event for event, _, _ in service.take(subscriber)] == ([] if is_before else ["snapshot"])
    assert service.line == [(5, 100), (6, 200), (11, 23_000)]
    assert service.extremes == (-500, 900)
    service.end_minute()
    [(event, _, data)] = service.take(subscriber)
    assert (event, len(data["history"][0]["seconds"])) == ("delta", 1)


def test_the_end_of_the_next_minute_publishes_the_recalled_points():
    service = RecordingService(spy())
    service.set_status(status())
    service.quote()
    subscriber = service.subscribe(EVERYTHING)
    service.take(subscriber)
    service.book.recall_past(recorded(line=[(-5, 100)]))
    service.end_minute()
    [(event, _, data)] = service.take(subscriber)
    assert (event, len(data["condors"][0]["history"]["seconds"])) == ("snapshot", 2)
    assert service.line == [(-5, 100), (1, 23_000)]


def test_a_status_publishes_the_recalled_points():
    service = RecordingService(spy())
    service.set_status(status())
    service.book.recall_past(recorded(line=[(-5, 100)]))
    service.publisher.set_status(status("reconnecting"), service.now, service.now_at)
    assert (service.line, service.extremes) == ([(-5, 100)], (-500, 900))


def test_minutes_that_are_in_the_line_already_are_not_doubled(service):
    service.quote()
    service.end_minute()
    service.book.recall_past(recorded(line=[(0, 1), (1, 2)]))
    service.set_status(status())
    service.wait(1)
    assert service.line == [(0, 1), (1, 23_000)]
    again = RecordingService(minute=0)
    again.book.recall_past(recorded(line=[(0, 1), (1, 2)]))
    again.set_positions(spy())
    again.set_status(status())
    again.quote()
    again.end_minute()
    assert again.line == [(0, 1), (1, 2)]


def test_a_line_is_continued_beside_a_condor_of_which_no_point_was_recorded():
    service = RecordingService([*spy(), *qqq()])
    [shown] = [condor for condor in service.document(EVERYTHING)["condors"] if condor["id"] == QQQ_ID]
    past = recorded(line=[(1, 100)])
    service.book.recall_past(
        RecordedPast(
            lines={**past.lines, QQQ_ID: HistoryJson()},
            quantities={**past.quantities, QQQ_ID: shown["quantity"]},
            credits_e4={**past.credits_e4, QQQ_ID: e4(shown["credit"])},
        )
    )
    service.set_status(status())
    lines = {condor["id"]: condor["history"]["cents"] for condor in service.document(EVERYTHING)["condors"]}
    assert lines == {SPY_ID: [100], QQQ_ID: []}


@pytest.mark.parametrize("other", [{"quantity": 1}, {"credit_e4": 23_501}, {"credit_e4": None}])
def test_a_line_of_another_quantity_or_credit_is_not_continued(other):
    service = RecordingService()
    service.book.recall_past(recorded(line=[(0, 1)], **other))
    service.set_positions(spy())
    assert (service.line, service.extremes) == ([], (-500, 900))


def test_a_line_waits_for_the_orders_that_give_its_credit():
    service = RecordingService()
    service.book.recall_past(recorded(line=[(0, 1)], credit_e4=23_500, opened_at=EPOCH_AT))
    service.set_positions((*spy()[:3], type(spy()[3])(**{**_fields(spy()[3]), "cost_basis_e4": 2_210_000})))
    assert (service.line, service.extremes) == ([], (-500, 900))
    service.set_positions(spy(), [lot()])
    assert (service.line, service.extremes) == ([(0, 1)], (-500, 900))


def _fields(struct):
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def test_a_holding_missing_at_the_first_reading_is_not_continued_later():
    service = RecordingService()
    service.book.recall_past(recorded(line=[(0, 1)]))
    service.set_positions(())
    service.set_positions(spy())
    assert (service.line, service.extremes) == ([], (None, None))
    service = RecordingService(())
    service.book.recall_past(recorded(line=[(0, 1)]))
    service.set_positions(spy())
    assert (service.line, service.extremes) == ([], (None, None))


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
    service = RecordingService()
    service.book.recall_past(recorded(opened_at=recorded_at))
    service.set_positions(spy(), [] if opened_at is None else [lot()])
    assert service.extremes == expected


def test_an_opening_that_turns_out_to_be_later_than_the_recorded_one_starts_again():
    service = RecordingService()
    service.book.recall_past(recorded(opened_at=OPENED_AT))
    service.set_positions(spy())
    assert service.extremes == (-500, 900)
    service.set_positions(spy(), [lot()])
    assert service.extremes == (None, None)


def test_a_holding_with_unknown_opening_continues_the_last_of_several_recorded_ones():
    holdings = {
        HoldingPeriod(condor_id=SPY_ID, opened_at=OPENED_AT): Extremes(worst=-9, best=9),
        HoldingPeriod(condor_id=SPY_ID, opened_at=EPOCH_AT): Extremes(worst=-500, best=400),
    }
    service = RecordingService(spy())
    service.book.recall_past(RecordedPast(extremes=holdings))
    service.set_status(status("reconnecting"))
    assert service.extremes == (-5, 4)


def test_another_day_of_the_recorded_line_is_dropped_with_the_first_point(service):
    service.book.recall_past(recorded(line=[(-1440, 1), (-1439, 2)]))
    service.set_status(status(read=1))
    service.wait(1)
    assert service.line == [(-1440, 1), (-1439, 2)]
    service.quote()
    service.end_minute()
    assert service.line == [(1, 23_000)]
    service.book.recall_past(recorded(line=[(-1440, 1)]))
    service.set_status(status(read=2))
    service.wait(1)
    assert service.line == [(1, 23_000)]


def test_only_the_last_day_of_a_recorded_line_is_continued_and_at_most_a_full_one(service):
    service.book.recall_past(recorded(line=[(-1440, 1), *((minute, 2) for minute in range(-550, 0))]))
    service.set_status(status("reconnecting"))
    assert (len(service.line), service.line[0], service.line[-1]) == (480, (-480, 2), (-1, 2))


def test_another_account_forgets_and_is_recorded_from_its_first_positions_on(service):
    service.quote()
    service.end_minute()
    service.book.recall_past(None)
    service.set_status(status(read=1))
    service.wait(1)
    assert (service.line, service.extremes) == ([], (None, None))
    service.quote(0.10)
    service.end_minute()
    assert (service.line, service.extremes, len(service.recorded)) == ([], (None, None), 1)
    version = service.edition.number
    service.set_positions(spy())
    assert service.edition.number == version + 1
    assert service.extremes == (70, 70)
    service.end_minute()
    assert service.line == [(3, 7_000)]
    assert figures(service.recorded_of(None)[-1])[3:5] == (7_000, 7_000)


def test_recalling_no_past_is_not_an_event():
    service = RecordingService(())
    version = service.edition.number
    service.book.recall_past(None)
    service.set_status(status())
    service.wait(1)
    assert service.edition.number == version + 1  # of the status


# What subscribers get.


def test_a_resume_over_minutes_needs_no_snapshot_and_a_filter_gets_its_condors_only(service):
    service.quote()
    version = service.edition.version
    for put in (1.0, 0.8, 1.2):
        service.end_minute()
        service.quote(put)
    for selection, count in ((EVERYTHING, 3), (Selection(condors=frozenset([QQQ_ID])), None)):
        [(event, _, data)] = service.take(service.subscribe(selection, version=version))
        assert event == "delta"
        assert [len(points["seconds"]) for points in data.get("history", [])] == ([] if count is None else [count])
        assert [value["worstPl"] for value in data["valuations"]] == ([] if count is None else [210])
