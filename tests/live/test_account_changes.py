import datetime as dt

import pytest

from condord.core.activity import Split
from tests.live.lifecycle_timelines import C640, CONDOR, DAY, FRIDAY, MINUTE, P560, P570, Timeline, inferred, of_root

BEFORE_SPLIT = {"P00400": 1, "P00420": -1, "C00500": -1, "C00520": 1, "P00380": -1}
AFTER_SPLIT = {"P00100": 4, "P00105": -4, "C00125": -4, "C00130": 4, "P00095": -4}


def test_a_closing_fill_shows_which_of_two_puts_was_assigned():
    timeline = Timeline({P560: -1, P570: -1}).read({P560: 0, P570: 0}, {"SPY": 100})
    assert timeline.order({P560: 1}).read().assignments == [inferred(1, P570, 100)]


def test_an_order_that_fills_again_later_explains_its_earlier_closings():
    timeline = Timeline({P570: -10}).order({P570: 4}).read({P570: -6}, {"SPY": 400})
    first = timeline.orders.pop()
    timeline.at += 60 * MINUTE
    timeline.order({P570: 10}).read({P570: 0})
    assert timeline.orders[0].id == first.id
    assert timeline.assignments == []


def test_a_fill_explains_only_one_change():
    timeline = Timeline({P570: -2}).order({P570: 1}).read({P570: -1}).read({P570: 0}, {"SPY": 100})
    assert timeline.assignments == [inferred(1, P570, 100)]


def test_a_fill_that_orders_and_activities_report_counts_once():
    timeline = Timeline({P570: -2}).order({P570: 1}).activity("FILL", P570, 1).read({P570: 0}, {"SPY": 100})
    assert timeline.assignments == [inferred(1, P570, 100)]


def test_a_split_of_stock_and_options_is_not_reported():
    timeline = Timeline(of_root("SPLT", BEFORE_SPLIT), {"SPLT": 100}).replace(
        of_root("SPLT", AFTER_SPLIT), {"SPLT": 400}
    )
    assert timeline.lifecycle.notices == ()


@pytest.mark.parametrize("options_first", [False, True])
def test_a_split_that_takes_two_readings_is_not_reported(options_first):
    steps = [{"SPLT": 100}, {"SPLT": 400}]
    timeline = Timeline(of_root("SPLT", BEFORE_SPLIT), {"SPLT": 100})
    if options_first:
        timeline.replace(of_root("SPLT", AFTER_SPLIT), steps[0])
    timeline.replace(of_root("SPLT", AFTER_SPLIT if options_first else BEFORE_SPLIT), steps[1])
    timeline.replace(of_root("SPLT", AFTER_SPLIT), steps[1])
    assert timeline.lifecycle.notices == ()


def test_a_reverse_split_that_renames_the_contracts_is_not_reported():
    timeline = Timeline(of_root("RVS", BEFORE_SPLIT), {"RVS": 105}, deliverables={"RVS1": {"RVS": 10}})
    timeline.replace(of_root("RVS1", BEFORE_SPLIT), {"RVS": 10})
    assert timeline.lifecycle.notices == ()


@pytest.mark.parametrize("evidence", ["activity", "announced"])
def test_a_known_split_explains_a_change_of_stock_without_a_pair_of_contracts(evidence):
    book = of_root("SPLT", {"P00420": -1})
    timeline = Timeline(book, {"SPLT": 100}).replace({}, {"SPLT": 400})
    assert len(timeline.assignments) == 1
    if evidence == "activity":
        timeline.activity("SPLIT", "SPLT", 300)
    else:
        split = Split(symbol="SPLT", new_shares="4", old_shares="1", day=dt.date(2026, 11, 20))
        timeline.lifecycle.set_bookings((), (split,))
    assert timeline.read().assignments == []


@pytest.mark.parametrize(
    "legs", [{"P00105": -3}, {"P00106": -4}, {"C00105": -4}, {"P00105": 4}, {"P00106": -4, "C00105": -4}]
)
def test_a_contract_that_does_not_fit_the_ratio_is_not_the_same_contract(legs):
    timeline = Timeline(of_root("SPLT", {"P00420": -1})).replace(of_root("SPLT", legs), {"SPLT": 100})
    assert len(timeline.assignments) == 1


def test_a_contract_missing_from_one_reading_is_not_assigned_when_shares_come_later():
    timeline = Timeline(CONDOR).read({P570: 0}).read({P570: -2})
    assert timeline.read(stocks={"SPY": 200}).lifecycle.notices == ()


def test_only_the_contracts_that_did_not_come_back_are_lost():
    timeline = Timeline({P570: -3}).read({P570: 0}).read({P570: -1}).read(stocks={"SPY": 300})
    assert timeline.assignments == [inferred(2, P570, 200)]


def test_an_unreadable_quantity_counts_as_unchanged():
    timeline = Timeline(CONDOR)
    timeline.unreadable = {P570}
    assert timeline.read(stocks={"SPY": 200}).lifecycle.notices == ()
    timeline.unreadable = set()
    assert timeline.read().lifecycle.notices == ()


def test_a_contract_that_came_and_went_is_not_renamed():
    timeline = Timeline({}).read({P570: -1}).read({P570: 0}, {"SPY": 100})
    assert len(timeline.assignments) == 1


def test_a_contract_that_came_a_week_before_another_went_is_not_the_same_contract():
    timeline = Timeline(of_root("SPLT", {"P00420": -1})).read(of_root("SPLT", {"P00105": -4}))
    timeline.read(of_root("SPLT", {"P00420": 0}), {"SPLT": 100}, after=7 * DAY)
    assert len(timeline.assignments) == 1


@pytest.mark.parametrize(("kind", "symbol"), [("OPEXP", P570), ("OPCSH", P570), ("OPEXC", C640)])
def test_contrary_bookings_withdraw_an_inferred_assignment(kind, symbol):
    timeline = Timeline({P570: -1, C640: 1}).read({P570: 0}, {"SPY": 100})
    assert len(timeline.assignments) == 1
    assert timeline.read({C640: 0}).activity(kind, symbol, 1).read().assignments == []


def test_a_booking_from_before_a_contract_disappeared_does_not_explain_it():
    timeline = Timeline({P570: -2}).activity("OPEXP", P570, 1, day=FRIDAY.date() - 5 * DAY)
    assert len(timeline.read({P570: 0}, {"SPY": 200}).assignments) == 1


@pytest.mark.parametrize("kind", ["OPASN", "OPEXC", "OPEXP", "OPCSH"])
def test_a_booking_that_names_the_stock_explains_no_change_of_the_stock(kind):
    timeline = Timeline({P570: -1}, {"SPY": 100}).activity(kind, "SPY", 100).read({P570: 0}, {"SPY": 0})
    assert not any(P570 in text for text in timeline.assignments)
    gone = Timeline({P570: -1}).activity(kind, "SPY", 100).read({P570: 0}, {"SPY": 100})
    assert inferred(1, P570, 100) in gone.assignments
