import datetime as dt
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.grouping.account import group
from condord.live import wire_condor
from condord.live.minutes import HoldingPeriod, MinuteRow
from condord.live.pl_history import DROPPED_POINTS, MAX_POINTS, HistoryChanges, PlHistory
from condord.live.published import EVERYTHING, Selection

from .accounts import (
    C640,
    C650,
    EPOCH_AT,
    QQQ_ID,
    REPEATABLE,
    SPY_ID,
    PublishingService,
    events,
    option,
    position,
    qqq,
    spy,
    status,
    tick,
)
from .clocks import at

FIRST = int(EPOCH_AT.timestamp())


def worth(dollars, *, name=SPY_ID):
    """The row of a condor with so much profit; None: unknown."""
    return MinuteRow(
        holding=HoldingPeriod(condor_id=name, opened_at=None),
        second=0,
        cents=None if dollars is None else round(dollars * 100),
        natural_cents=None,
        price_e4=None,
        low=None,
        high=None,
        quantity=2,
    )


ACCOUNT = msgspec.structs.replace(worth(99.0), holding=None)


def grow(pl_history, rows, now_at):
    """Add rows of the minute that ended last."""
    second = int(now_at.timestamp()) // 60 * 60
    return pl_history.add([msgspec.structs.replace(row, second=second) for row in (*rows, ACCOUNT)])


def hold(pl_history, positions, broken=()):
    pl_history.hold(group(positions).condors, broken)


def points(pl_history, name=SPY_ID):
    """The points of a condor's line: seconds after the first, and cents."""
    line = pl_history.of(name)
    return [(second - FIRST, cents) for second, cents in zip(line.seconds, line.cents, strict=True)]


@pytest.fixture
def pl_history():
    new = PlHistory()
    hold(new, (*spy(), *qqq()))
    grow(new, [worth(1.5)], at(0))
    return new


# What a point is.


def test_a_point_is_a_second_since_1970_and_the_profit_in_cents(pl_history):
    assert pl_history.of(SPY_ID) == wire_condor.HistoryJson(seconds=[FIRST], cents=[150])


def test_a_point_is_at_the_end_of_its_minute_and_there_is_one_of_each(pl_history):
    grow(pl_history, [worth(2.0)], at(60.05))
    assert grow(pl_history, [worth(3.0)], at(61)) == HistoryChanges()
    assert grow(pl_history, [worth(4.0), worth(7, name=QQQ_ID)], at(119.9)).histories.keys() == {QQQ_ID}
    grow(pl_history, [worth(5.0)], at(175))
    assert points(pl_history) == [(0, 150), (60, 200), (120, 500)]


def test_an_unknown_condor_has_an_empty_history(pl_history):
    assert pl_history.of(QQQ_ID) == wire_condor.HistoryJson(seconds=[], cents=[])


def test_an_unknown_profit_makes_no_point(pl_history):
    assert grow(pl_history, [worth(None)], at(60)) == HistoryChanges()
    assert grow(pl_history, [worth(3.0)], at(120)) == HistoryChanges(histories={SPY_ID: pl_history.of(SPY_ID)})
    assert points(pl_history) == [(0, 150), (120, 300)]


def test_a_condor_without_a_point_keeps_its_history_when_another_gets_one(pl_history):
    assert grow(pl_history, [worth(None), worth(7, name=QQQ_ID)], at(60)).histories.keys() == {QQQ_ID}
    assert points(pl_history) == [(0, 150)]
    assert points(pl_history, QQQ_ID) == [(60, 700)]


def test_an_account_without_condors_has_no_points(pl_history):
    assert grow(pl_history, [], at(60)) == HistoryChanges()


def test_every_condor_with_a_known_profit_gets_its_point(pl_history):
    growth = grow(pl_history, [worth(2.5), worth(7, name=QQQ_ID)], at(60))
    assert {name: line.cents for name, line in growth.histories.items()} == {SPY_ID: [150, 250], QQQ_ID: [700]}
    assert not growth.is_restart


@pytest.mark.parametrize(
    "held",
    [(), qqq(), spy(3), (*spy()[:3], position(C640, 2, 1.5))],
    ids=["nothing", "another condor", "another quantity", "another credit"],
)
def test_another_holding_with_the_same_id_starts_without_points(pl_history, held):
    hold(pl_history, held)
    assert points(pl_history) == []
    hold(pl_history, (*spy(), *qqq()))
    assert points(pl_history) == []


def test_a_condor_keeps_its_history_while_others_change(pl_history):
    hold(pl_history, spy())
    hold(pl_history, (*spy(), *qqq()))
    assert points(pl_history) == [(0, 150)]


def test_the_longest_session_is_whole():
    assert MAX_POINTS >= 405  # 09:30 to 16:15


def test_a_returned_history_does_not_change(pl_history):
    line = pl_history.of(SPY_ID)
    grow(pl_history, [worth(2.0)], at(60))
    assert line == wire_condor.HistoryJson(seconds=[FIRST], cents=[150])


def test_histories_stay_until_the_first_point_of_another_day_at_the_exchange(pl_history):
    late = at(13.9 * 3600)  # five minutes to midnight in New York, and the next day in UTC
    grow(pl_history, [worth(2.0)], late)
    grow(pl_history, [worth(None)], late + dt.timedelta(hours=10))
    assert len(points(pl_history)) == 2
    growth = grow(pl_history, [worth(4.0), worth(None, name=QQQ_ID)], late + dt.timedelta(hours=10))
    assert pl_history.of(SPY_ID).cents == [400]
    assert growth == HistoryChanges(histories={SPY_ID: pl_history.of(SPY_ID)}, is_restart=True)


def test_another_day_drops_the_history_of_a_condor_without_a_point_too(pl_history):
    growth = grow(pl_history, [worth(7, name=QQQ_ID)], at(24 * 3600))
    assert points(pl_history) == []
    assert growth == HistoryChanges(histories={QQQ_ID: pl_history.of(QQQ_ID)}, is_restart=True)


def test_a_full_history_loses_its_oldest_hour_at_once_and_then_only_grows(pl_history):
    grown = [grow(pl_history, [worth(minute)], at(60 * minute)) for minute in range(1, MAX_POINTS + DROPPED_POINTS + 1)]
    restarts = [minute for minute, growth in enumerate(grown, 1) if growth.is_restart]
    assert restarts == [MAX_POINTS, MAX_POINTS + DROPPED_POINTS]
    assert [len(growth.histories[SPY_ID].seconds) for growth in grown[-2:]] == [
        MAX_POINTS,
        MAX_POINTS - DROPPED_POINTS + 1,
    ]
    assert points(pl_history)[0] == (60 * 120, 12_000)
    assert points(pl_history)[-1] == (60 * 540, 54_000)


def test_a_clock_that_is_set_back_removes_the_points_ahead_of_it(pl_history):
    grow(pl_history, [worth(2.0), worth(7, name=QQQ_ID)], at(60))
    grow(pl_history, [worth(3.0)], at(120))
    growth = grow(pl_history, [worth(4.0), worth(None, name=QQQ_ID)], at(60))
    assert points(pl_history) == [(0, 150), (60, 400)]
    assert growth == HistoryChanges(
        histories={SPY_ID: pl_history.of(SPY_ID), QQQ_ID: pl_history.of(QQQ_ID)}, is_restart=True
    )


@REPEATABLE
@given(st.lists(st.tuples(st.integers(-7200, 7200), st.one_of(st.none(), st.integers(-9999, 9999))), max_size=40))
def test_a_history_ascends_and_ends_with_the_last_known_profit_even_if_the_clock_jumps(added):
    pl_history = PlHistory()
    hold(pl_history, spy())
    for second, cents in added:
        before = points(pl_history)
        growth = grow(pl_history, [worth(None if cents is None else cents / 100)], at(second))
        minute = second // 60 * 60
        is_there = before[-1:] and before[-1][0] == minute
        is_ahead = any(ahead >= minute for ahead, _ in before)
        assert growth.is_restart == (cents is not None and is_ahead and not is_there)
        assert growth.is_restart or points(pl_history)[: len(before)] == before
        if cents is not None and not is_there:
            assert points(pl_history)[-1] == (minute, cents)
    known = [(second // 60 * 60, cents) for second, cents in added if cents is not None]
    assert all(sooner < later for (sooner, _), (later, _) in pairwise(points(pl_history)))
    assert set(points(pl_history)) <= set(known)


# In the account.


@pytest.fixture
def service():
    new = PublishingService((*spy(), position(C650, 3, 0.40)))
    new.set_status(status())
    new.offer(*(tick(symbol, 1.0, 1.2) for symbol in new.book.symbols))
    return new


def history(service):
    return service.edition.document(service.now_at).condors[0].history


def test_a_minute_of_a_live_stream_is_a_delta_with_the_new_point(service):
    until_minute = 60 - service.now_at.timestamp() % 60
    end = int(service.now_at.timestamp() + until_minute)
    subscriber = service.subscribe(EVERYTHING)
    service.take(subscriber)
    service.wait(until_minute)
    assert history(service) == wire_condor.HistoryJson()
    service.wait(0.2)
    shown = service.edition.document(service.now_at).condors[0]
    cents = round(shown.valuation.unrealized_pl * 100)
    assert shown.history == wire_condor.HistoryJson(seconds=[end], cents=[cents])
    [(event, identity, data)] = service.take(subscriber)
    assert (event, identity) == ("delta", service.edition.version)
    assert data["history"] == [{"id": SPY_ID, "seconds": [end], "cents": [cents]}]


def test_minutes_that_a_client_has_missed_come_in_one_delta(service):
    version = service.edition.version
    service.wait(180)
    [(event, _, data)] = service.take(service.subscribe(EVERYTHING, version=version))
    assert event == "delta"
    assert [len(points["seconds"]) for points in data["history"]] == [3]


def test_a_history_that_restarts_is_a_snapshot_to_all_subscribers(service):
    service.wait(60)
    version = service.edition.version
    slow = service.subscribe(EVERYTHING, interval=10.0)
    service.take(slow)
    service.clock_is_ahead_by = -120.0
    service.wait(60)
    [(event, identity, data)] = service.take(slow)
    assert (event, identity, len(data["condors"][0]["history"]["seconds"])) == ("snapshot", service.edition.version, 1)
    assert service.edition.resume_from(version) == "historyRestarted"


def test_a_client_of_a_slow_view_is_sent_no_point_twice(service):
    early = service.subscribe(EVERYTHING, interval=10.0)
    service.wait(59 - service.now_at.timestamp() % 60)
    service.offer(tick(C650, 3.0, 3.2, 1))
    service.take(early)
    service.wait(1.5)
    assert len(history(service).seconds) == 1
    late = service.subscribe(EVERYTHING, interval=10.0)
    [(_, _, snapshot)] = service.take(late)
    assert len(snapshot["condors"][0]["history"]["seconds"]) == 1
    service.wait(10)
    assert [len(data["history"]) for _, _, data in service.take(early)] == [1]
    assert service.take(late) == []


def test_eight_condors_at_the_close_keep_every_line_of_the_stream_short():
    """A session of 405 minutes; `events` refuses lines that are too long, too."""
    service = PublishingService()
    held = [
        position(option(strike + each, right, root), sign, 1.0)
        for each in range(4)
        for root in ("SPY", "QQQ")
        for strike, right, sign in ((500, "P", 1), (510, "P", -1), (600, "C", -1), (610, "C", 1))
    ]
    service.set_positions(held)
    assert len(service.edition.document(service.now_at).condors) == 8
    service.set_status(status())
    subscriber = service.subscribe(EVERYTHING)
    sizes = []
    for minute in range(405):
        bids = {symbol: 1.0 + (minute * which) % 40 / 8 for which, symbol in enumerate(service.book.symbols)}
        service.offer(*(tick(symbol, bid, bid + 0.25, minute * 60) for symbol, bid in bids.items()))
        service.wait(60)
        sizes.append(len(subscriber.take(lambda: service.now_at)))
    assert [len(condor.history.seconds) for condor in service.edition.document(service.now_at).condors] == [405] * 8
    whole = service.subscribe(EVERYTHING).take(lambda: service.now_at)
    assert len(whole) > 65_536 > 2 * max(sizes[1:])
    assert max(map(len, whole.split(b"\n"))) < 40_960
    assert [name for name, _, _ in events(whole)] == ["snapshot"]


def test_a_valuation_of_the_same_turn_is_in_the_point(service):
    service.wait(59.9)
    service.offer(tick(C650, 3.0, 3.2, 1))
    service.now += 0.2
    service.offer(*(tick(held.symbol, 2.0, 2.2, 2) for held in spy()))
    shown = service.edition.document(service.now_at).condors[0]
    assert shown.history.cents == [round(shown.valuation.unrealized_pl * 100)]


def test_changed_positions_leave_the_history_of_a_condor_unchanged(service):
    service.wait(60)
    before = history(service)
    service.set_positions(spy())
    assert history(service) == before != wire_condor.HistoryJson()


@pytest.mark.parametrize("state", ["starting", "closed", "stale", "reconnecting", "halted"])
def test_a_stream_that_is_not_live_makes_no_points(service, state):
    service.wait(10)
    service.set_status(status(state))
    service.wait(300)
    assert len(history(service).seconds) == 1  # of the minute in which it was


def test_an_account_without_a_known_profit_makes_no_events():
    service = PublishingService(spy())
    service.set_status(status())
    version = service.edition.version
    service.wait(300)
    assert service.edition.version == version


def test_a_point_reaches_only_the_subscribers_that_see_its_condor(service):
    service.set_positions((*spy(), *qqq(), position(C650, 3, 0.40)))
    filters = (EVERYTHING, Selection(condors=frozenset([SPY_ID])), Selection(symbols=frozenset([C640])))
    all_condors, one, other = subscribers = [service.subscribe(each) for each in filters]
    quiet = service.subscribe(Selection(condors=frozenset([QQQ_ID])))
    for subscriber in (*subscribers, quiet):
        service.take(subscriber)
    service.wait(60)
    sent = [
        [[points["id"] for points in data["history"]] for _, _, data in service.take(each)]
        for each in (all_condors, one)
    ]
    assert sent == [[[SPY_ID]], [[SPY_ID]]]
    assert [service.take(each) for each in (other, quiet)] == [[], []]
