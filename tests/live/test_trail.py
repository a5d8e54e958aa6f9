import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core import condor as cards
from condord.core.valuation import Valuation
from condord.live import wire
from condord.live.edition import EVERYTHING, Selection
from condord.live.trail import MOST_POINTS, STEP_SECONDS, Trail

from .accounts import C640, C650, EPOCH_AT, QQQ_ID, REPEATABLE, SPY_ID, House, position, qqq, spy, status, tick
from .clocks import at

FIRST = int(EPOCH_AT.timestamp())


def worth(dollars, *, name=SPY_ID, unconfirmed=False):
    """A condor with so much profit; None: unknown."""
    return Valuation(
        id=name,
        at=EPOCH_AT,
        mark_e4=None,
        natural_e4=None,
        unrealized_e4=None if dollars is None else round(dollars * 10_000),
        natural_pl_e4=None,
        percent_of_max_profit=None,
        percent_of_risk=None,
        missing=(),
        unconfirmed=unconfirmed,
        legs_unrealized_e4=(),
    )


def points(trail, name=SPY_ID):
    """Of its line: seconds after the first, and cents."""
    line = trail.line(name)
    return [(second - FIRST, cents) for second, cents in zip(line.seconds, line.cents, strict=True)]


@pytest.fixture
def trail():
    made = Trail()
    made.hold(cards.group((*spy(), *qqq())).condors)
    made.add([worth(1.5)], at(0))
    return made


# When a point is due.


def test_nothing_is_due_while_the_stream_is_not_live():
    trail = Trail()
    assert trail.deadline is None
    trail.follow(100.0, is_live=False)
    assert not trail.is_due(1e9)


def test_the_first_point_is_due_a_minute_after_the_stream_went_live():
    trail = Trail()
    trail.follow(100.0, is_live=True)
    trail.follow(130.0, is_live=True)
    assert trail.deadline == 100.0 + STEP_SECONDS
    assert not trail.is_due(159.9)
    assert trail.is_due(160.0)


def test_the_next_point_is_due_a_minute_after_the_last_however_late_that_was():
    trail = Trail()
    trail.follow(100.0, is_live=True)
    trail.is_due(190.0)
    assert trail.deadline == 190.0 + STEP_SECONDS


def test_a_stream_that_is_live_again_begins_its_minute_again():
    trail = Trail()
    trail.follow(100.0, is_live=True)
    trail.follow(150.0, is_live=False)
    assert trail.deadline is None
    trail.follow(155.0, is_live=True)
    assert trail.deadline == 155.0 + STEP_SECONDS


# What a point is.


def test_a_point_is_a_second_since_1970_and_the_profit_in_cents(trail):
    assert trail.line(SPY_ID) == wire.History(seconds=[FIRST], cents=[150])


def test_a_line_that_nothing_is_known_of_is_empty(trail):
    assert trail.line(QQQ_ID) == wire.History(seconds=[], cents=[])


@pytest.mark.parametrize("value", [worth(None), worth(2.0, unconfirmed=True)])
def test_an_unknown_or_unconfirmed_profit_is_a_hole_and_no_point(trail, value):
    assert trail.add([value], at(60)) == {}
    assert trail.add([worth(3.0)], at(120)) == {SPY_ID: trail.line(SPY_ID)}
    assert points(trail) == [(0, 150), (120, 300)]


def test_a_condor_without_a_point_keeps_its_line_when_another_gets_one(trail):
    assert trail.add([worth(None), worth(7, name=QQQ_ID)], at(60)).keys() == {QQQ_ID}
    assert points(trail) == [(0, 150)]
    assert points(trail, QQQ_ID) == [(60, 700)]


def test_an_account_without_condors_has_no_points(trail):
    assert trail.add([], at(60)) == {}


def test_every_condor_with_a_known_profit_gets_its_point(trail):
    grown = trail.add([worth(2.5), worth(7, name=QQQ_ID)], at(60))
    assert {name: line.cents for name, line in grown.items()} == {SPY_ID: [150, 250], QQQ_ID: [700]}


@pytest.mark.parametrize(
    "held",
    [(), qqq(), spy(3), (*spy()[:3], position(C640, 2, 1.5))],
    ids=["nothing", "another condor", "another quantity", "another credit"],
)
def test_what_a_condor_leaves_is_no_line_of_what_has_its_name_afterwards(trail, held):
    trail.hold(cards.group(held).condors)
    assert points(trail) == []
    trail.hold(cards.group((*spy(), *qqq())).condors)
    assert points(trail) == []


def test_a_condor_keeps_its_line_while_others_come_and_go(trail):
    trail.hold(cards.group(spy()).condors)
    trail.hold(cards.group((*spy(), *qqq())).condors)
    assert points(trail) == [(0, 150)]


def test_the_longest_session_is_whole():
    assert MOST_POINTS >= 405  # 09:30 to 16:15


def test_a_line_that_was_given_out_does_not_change_any_more(trail):
    line = trail.line(SPY_ID)
    trail.add([worth(2.0)], at(60))
    assert line == wire.History(seconds=[FIRST], cents=[150])


def test_the_lines_stay_until_the_first_point_of_another_day_at_the_exchange(trail):
    late = at(13.9 * 3600)  # five minutes to midnight in New York, and the next day in UTC
    trail.add([worth(2.0)], late)
    trail.add([worth(None)], late + dt.timedelta(hours=10))
    assert len(points(trail)) == 2
    trail.add([worth(4.0), worth(None, name=QQQ_ID)], late + dt.timedelta(hours=10))
    assert trail.line(SPY_ID).cents == [400]


def test_a_line_has_so_many_points_at_most_and_loses_its_oldest(trail):
    for minute in range(1, MOST_POINTS + 10):
        trail.add([worth(minute)], at(60 * minute))
    assert len(points(trail)) == MOST_POINTS
    assert points(trail)[0] == (600, 1000)
    assert points(trail)[-1] == (60 * (MOST_POINTS + 9), 100 * (MOST_POINTS + 9))


def test_a_clock_that_is_set_back_takes_the_points_ahead_of_it_out_of_the_line(trail):
    trail.add([worth(2.0)], at(60))
    trail.add([worth(3.0)], at(120))
    trail.add([worth(4.0)], at(60))
    assert points(trail) == [(0, 150), (60, 400)]


@REPEATABLE
@given(st.lists(st.tuples(st.integers(-7200, 7200), st.one_of(st.none(), st.integers(-9999, 9999))), max_size=40))
def test_a_line_ascends_and_ends_with_the_last_known_profit_whatever_the_clock_does(added):
    trail = Trail()
    for second, cents in added:
        trail.add([worth(None if cents is None else cents / 100)], at(second))
    known = [(second, cents) for second, cents in added if cents is not None]
    assert points(trail)[-1:] == known[-1:]
    assert all(sooner < later for (sooner, _), (later, _) in pairwise(points(trail)))
    assert set(points(trail)) <= set(known)


# In the account.


@pytest.fixture
def house():
    made = House((*spy(), position(C650, 3, 0.40)))
    made.set_status(status())
    made.offer(*(tick(symbol, 1.0, 1.2) for symbol in made.book.symbols))
    return made


def history(house):
    return house.edition.document(house.now_at).condors[0].history


def test_a_minute_of_a_live_stream_is_a_snapshot_with_the_line(house):
    begun = int(house.now_at.timestamp())
    house.wait(59.9)
    version = house.edition.version
    assert history(house) == wire.History()
    house.wait(0.2)
    shown = house.edition.document(house.now_at).condors[0]
    assert shown.history == wire.History(seconds=[begun + 60], cents=[round(shown.valuation.unrealized_pl * 100)])
    assert house.edition.resume_from(version) == "historyGrew"


def test_what_a_condor_is_worth_in_the_same_turn_is_in_its_point(house):
    house.wait(59.9)
    house.offer(tick(C650, 3.0, 3.2, 1))
    house.now += 0.2
    house.offer(*(tick(held.symbol, 2.0, 2.2, 2) for held in spy()))
    shown = house.edition.document(house.now_at).condors[0]
    assert shown.history.cents == [round(shown.valuation.unrealized_pl * 100)]


def test_other_positions_leave_the_line_of_a_condor_alone(house):
    house.wait(60)
    before = history(house)
    house.set_positions(spy())
    assert history(house) == before != wire.History()


@pytest.mark.parametrize("state", ["starting", "closed", "stale", "reconnecting", "halted"])
def test_a_stream_that_is_not_live_makes_no_points(house, state):
    house.set_status(status(state))
    house.wait(300)
    assert history(house) == wire.History()


def test_an_account_without_a_known_profit_makes_no_events():
    house = House(spy())
    house.set_status(status())
    version = house.edition.version
    house.wait(300)
    assert house.edition.version == version


def test_a_point_reaches_those_who_see_its_line_and_nobody_else(house):
    house.set_positions((*spy(), *qqq(), position(C650, 3, 0.40)))
    version = house.edition.version
    filters = (EVERYTHING, Selection(condors=frozenset([SPY_ID])), Selection(symbols=frozenset([C640])))
    everybody, one, other = subscribers = [house.subscribe(each) for each in filters]
    quiet = house.subscribe(Selection(condors=frozenset([QQQ_ID])))
    for subscriber in (*subscribers, quiet):
        house.take(subscriber)
    house.wait(60)
    assert [[name for name, _, _ in house.take(each)] for each in (everybody, one)] == [["snapshot"], ["snapshot"]]
    assert [house.take(each) for each in (other, quiet)] == [[], []]
    assert house.edition.resume_from(version, Selection(condors=frozenset([QQQ_ID]))) == int(version.split("-")[1])
