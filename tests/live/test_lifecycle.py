import datetime as dt

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given
from msgspec.structs import replace

from condord.core.calendar import Calendar
from condord.core.grouping.account import group
from condord.core.market_hours import hours_of
from condord.core.position import Position
from condord.live.lifecycle import AccountReading, Lifecycle, Memory
from tests.live.lifecycle_timelines import (
    C630,
    C640,
    CONDOR,
    DAY,
    FRIDAY,
    ID,
    MINUTE,
    NAME,
    P560,
    P570,
    Timeline,
    inferred,
    positions,
)

TODAY = dt.date(2026, 11, 20)
EARLIER = dt.datetime(2026, 11, 20, 15, tzinfo=dt.UTC)
LATER = EARLIER + dt.timedelta(minutes=5)


def reading(book, stocks=None):
    held = positions(book)
    return AccountReading(positions=held, grouping=group(held), stocks=stocks or {})


def follow(*books, day=TODAY, stocks=None):
    lifecycle = Lifecycle()
    for number, book in enumerate(books):
        held = (stocks or [{}] * len(books))[number]
        lifecycle.follow(reading(book, held), day, EARLIER + number * (LATER - EARLIER))
    return lifecycle


def codes(lifecycle):
    return [notice.code for notice in lifecycle.notices]


def test_a_complete_condor_has_no_notice():
    lifecycle = follow(CONDOR, CONDOR)
    assert (lifecycle.notices, lifecycle.problems) == ((), {})


def test_closing_a_condor_has_no_notice():
    assert follow(CONDOR, {symbol: quantity // 2 for symbol, quantity in CONDOR.items()}).problems == {}
    assert follow(CONDOR, {}).problems == {}


def test_a_missing_leg_is_a_problem_of_every_leg_that_is_left():
    timeline = Timeline(CONDOR).read({C640: 0})
    text = f"{NAME} lost its 2 long calls 640"
    assert timeline.lifecycle.problems == dict.fromkeys((P560, P570, C630), f"broken condor: {text}")
    (notice,) = timeline.notices("brokenCondor")
    assert (notice.text, notice.condor_id, notice.since) == (text, ID, FRIDAY + MINUTE)
    assert set(notice.symbols) == set(CONDOR)


def test_a_broken_condor_keeps_its_time_until_the_legs_are_gone():
    timeline = Timeline(CONDOR).read({C640: 0}).read().read({C630: 0})
    assert timeline.notices("brokenCondor")[0].since == FRIDAY + MINUTE
    assert set(timeline.lifecycle.problems) == {P560, P570}
    timeline.read({P560: 0, P570: 0})
    assert (timeline.lifecycle.notices, timeline.lifecycle.problems) == ((), {})


def test_an_assignment_is_reported_until_the_close_of_the_next_session():
    timeline = Timeline(CONDOR).read({P570: 0}, {"SPY": 200}).read({P560: 0, C630: 0, C640: 0})
    assert len(timeline.assignments) == 1
    timeline.read(after=3 * DAY)
    assert [(len(timeline.assignments), notice.since) for notice in timeline.lifecycle.notices] == [
        (1, FRIDAY + MINUTE)
    ]
    assert timeline.read(after=6 * 60 * MINUTE).assignments == []
    assert timeline.read(after=DAY).assignments == []


def test_changes_while_nothing_ran_are_reported_after_a_restart():
    timeline = Timeline(CONDOR).restart().read({P570: 0}, {"SPY": 200}, after=2 * DAY)
    assert timeline.assignments == [inferred(2, P570, 200)]
    assert timeline.breaks == [f"{NAME} lost its 2 short puts 570"]


def test_notices_survive_a_restart_with_their_time():
    timeline = Timeline(CONDOR).read({P570: 0}, {"SPY": 200})
    before = timeline.lifecycle.notices
    assert timeline.restart().read(after=DAY).lifecycle.notices == before


def awaited(timeline):
    """The symbols of what awaits a booking."""
    return {key.split()[0] for key in timeline.lifecycle.awaited}


@pytest.mark.parametrize("kind", ["OPASN", "OPEXP", "OPCSH"])
def test_contracts_that_left_the_account_await_their_booking_also_after_a_restart(kind):
    timeline = Timeline(CONDOR)
    assert awaited(timeline) == set()
    assert awaited(timeline.read({P570: -1})) == {P570}
    assert awaited(timeline.restart().read(after=DAY)) == {P570}
    assert awaited(timeline.activity(kind, P570, 1).read()) == set()


def test_a_fill_and_shares_await_no_booking():
    timeline = Timeline(CONDOR)
    timeline.order({P570: 2})
    assert awaited(timeline.read({P570: 0}, {"SPY": 100})) == set()


def test_an_inferred_assignment_awaits_its_booking():
    timeline = Timeline(CONDOR).read({P570: 0}, {"SPY": 200})
    assert (timeline.assignments, awaited(timeline)) == ([inferred(2, P570, 200)], {P570})
    timeline.activity("OPASN", P570, 2).read()
    assert (timeline.assignments, awaited(timeline)) == (
        [f"2 short {P570} were assigned: 200 shares of SPY came"],
        set(),
    )


def test_an_assignment_that_no_reading_shows_yet_is_awaited_until_one_does():
    timeline = Timeline(CONDOR).activity("OPASN", P570, 2).read()
    assert (len(timeline.assignments), awaited(timeline)) == (1, {P570})
    assert awaited(timeline.read({P570: 0}, {"SPY": 200})) == set()


def test_contracts_listed_after_their_settlement_await_a_booking_on_each_day():
    timeline = Timeline(CONDOR, at=FRIDAY + 28 * DAY)
    assert awaited(timeline) == set()
    assert awaited(timeline.read(after=DAY)) == set(CONDOR)
    before = timeline.lifecycle.awaited
    assert timeline.read().lifecycle.awaited == before
    assert not timeline.read(after=DAY).lifecycle.awaited & before


def test_another_account_awaits_nothing():
    timeline = Timeline(CONDOR).read({P570: 0})
    timeline.lifecycle.recall(None)
    assert timeline.lifecycle.awaited == frozenset()


def test_an_assignment_before_a_holiday_is_reported_until_the_close_of_the_day_after():
    days = {dt.date(2026, 11, 25): dt.time(16), dt.date(2026, 11, 27): dt.time(13)}
    timeline = Timeline(CONDOR, at=dt.datetime(2026, 11, 25, 15, tzinfo=dt.UTC))
    timeline.account.set_calendar(Calendar({day: hours_of(day, dt.time(9, 30), close) for day, close in days.items()}))
    timeline.read({P570: 0}, {"SPY": 200}).read(after=2 * DAY + 177 * MINUTE)
    assert (timeline.at.hour, timeline.at.minute, len(timeline.assignments)) == (17, 58, 1)
    assert timeline.read(after=2 * MINUTE).assignments == []


def test_expired_contracts_no_longer_listed_are_reported_after_a_restart():
    timeline = Timeline(CONDOR, at=FRIDAY + 28 * DAY).read(after=DAY)
    (before,) = timeline.notices("expired")
    (after,) = timeline.restart().replace({}, after=DAY).notices("expired")
    assert (after.condor_id, after.since) == (before.condor_id, before.since)
    assert timeline.read(after=2 * DAY).lifecycle.notices == ()


def test_a_change_that_is_not_explained_yet_survives_a_restart():
    timeline = Timeline(CONDOR).read({P570: 0}).restart().read({}, {"SPY": 200})
    assert len(timeline.assignments) == 1


def test_memories_that_differ_only_in_the_time_of_reading_count_as_equal():
    timeline = Timeline(CONDOR)
    first = timeline.lifecycle.memory
    assert timeline.read().lifecycle.memory.is_like(first)
    assert not timeline.read(stocks={"SPY": 1}).lifecycle.memory.is_like(first)
    assert Memory().is_like(Memory())


def test_another_account_is_not_a_change():
    timeline = Timeline(CONDOR).read({P570: 0}, {"SPY": 200})
    timeline.lifecycle.recall(None)
    assert (timeline.lifecycle.notices, timeline.lifecycle.problems) == ((), {})
    assert timeline.replace({}).lifecycle.notices == ()


def test_a_memory_with_an_unreadable_symbol_is_ignored():
    timeline = Timeline(CONDOR).read({P570: 0})
    kept = timeline.lifecycle.memory
    bad = msgspec.structs.replace(kept, changes=(msgspec.structs.replace(kept.changes[0], symbol="?"),))
    timeline.lifecycle.recall(bad)
    assert timeline.lifecycle.memory == Memory()


def test_first_seen_is_still_called_told_in_the_file():
    written = msgspec.json.encode(Memory(first_seen={"key": EARLIER}))
    assert b'"told":{"key":"2026-11-20T15:00:00Z"}' in written
    assert msgspec.json.decode(written, type=Memory).first_seen == {"key": EARLIER}


SATURDAY = dt.datetime(2026, 12, 19, 14, tzinfo=dt.UTC)


def test_a_condor_is_not_broken_after_its_settlement():
    lifecycle = Lifecycle()
    lifecycle.follow(reading(CONDOR), TODAY, EARLIER)
    left = replace(reading({P570: -2}), settled=frozenset({P570}))
    lifecycle.follow(left, SATURDAY.date(), SATURDAY)
    assert lifecycle.problems == {}
    assert codes(lifecycle) == ["expired"]


def test_a_broken_condor_is_reported_only_until_its_settlement():
    lifecycle = follow(CONDOR, {P560: 2, P570: -2})
    assert "brokenCondor" in codes(lifecycle)
    lifecycle.follow(replace(reading({P560: 2, P570: -2}), settled=frozenset({P560, P570})), SATURDAY.date(), SATURDAY)
    assert (codes(lifecycle), lifecycle.problems) == (["expired"], {})


def test_a_position_without_a_contract_has_no_notice():
    odd = Position(symbol="?", contract=None, quantity=-1, average_entry_e4=None, cost_basis_e4=None)
    lifecycle = Lifecycle()
    for held in ((odd,), ()):
        lifecycle.follow(AccountReading(positions=held, grouping=group(held), stocks={}), TODAY, EARLIER)
    assert lifecycle.notices == ()


@given(st.lists(st.fixed_dictionaries({symbol: st.integers(-2, 2) for symbol in CONDOR}), min_size=1, max_size=6))
def test_only_leftovers_have_problems_and_every_notice_has_symbols_and_a_text(books):
    lifecycle = follow(*books)
    left = {leftover.position.symbol for leftover in reading(books[-1]).grouping.unmatched}
    assert set(lifecycle.problems) <= left
    assert all(notice.symbols and notice.text for notice in lifecycle.notices)
