import datetime as dt

import hypothesis.strategies as st
import pytest
from hypothesis import given

from condord.core.condor import group
from condord.core.occ import parse
from condord.core.position import Position
from condord.live.life import Life, Reading

P560, P570, C630, C640 = (f"SPY261218{leg}000" for leg in ("P00560", "P00570", "C00630", "C00640"))
CONDOR = {P560: 2, P570: -2, C630: -2, C640: 2}
DAY = dt.date(2026, 11, 20)
EARLIER = dt.datetime(2026, 11, 20, 15, tzinfo=dt.UTC)
LATER = EARLIER + dt.timedelta(minutes=5)


def reading(book, stocks=None):
    positions = tuple(
        Position(
            symbol=symbol,
            contract=parse(symbol),
            quantity=quantity,
            average_entry_e4=10_000,
            cost_basis_e4=quantity * 1_000_000,
            underlying="SPY",
        )
        for symbol, quantity in book.items()
        if quantity
    )
    return Reading(positions=positions, grouping=group(positions), stocks=stocks or {})


def follow(*books, day=DAY, stocks=None):
    life = Life()
    for number, book in enumerate(books):
        held = (stocks or [{}] * len(books))[number]
        life.follow(reading(book, held), day, EARLIER + number * (LATER - EARLIER))
    return life


def codes(life):
    return [notice.code for notice in life.notices]


def test_a_whole_condor_is_nothing_to_tell():
    life = follow(CONDOR, CONDOR)
    assert (life.notices, life.problems) == ((), {})


def test_a_condor_that_is_closed_is_nothing_to_tell():
    assert follow(CONDOR, {symbol: quantity // 2 for symbol, quantity in CONDOR.items()}).problems == {}
    assert follow(CONDOR, {}).problems == {}


def test_a_leg_that_vanished_alone_is_named_at_every_leg_it_left():
    life = follow(CONDOR, {**CONDOR, C640: 0})
    text = "broken condor: long call 640 missing"
    assert life.problems == {P560: text, P570: text, C630: text}
    (notice,) = life.notices
    assert (notice.code, notice.text, set(notice.symbols)) == ("brokenCondor", text, {P560, P570, C630})
    assert notice.since == LATER


def test_two_legs_that_vanished_are_both_named():
    assert follow(CONDOR, {P560: 2, P570: -2}).problems[P560] == "broken condor: short call 630, long call 640 missing"


def test_a_condor_broken_in_part_has_the_problem_at_what_is_left_over():
    life = follow(CONDOR, {**CONDOR, C640: 1})
    assert set(life.problems) == {P560, P570, C630}


def test_a_problem_stands_with_its_time_until_the_legs_are_gone():
    broken = {**CONDOR, C640: 0}
    life = follow(CONDOR, broken, broken)
    assert life.notices[0].since == LATER
    life.follow(reading({P560: 2, P570: -2}), DAY, LATER)
    assert set(life.problems) == {P560, P570}
    life.follow(reading({}), DAY, LATER)
    assert (life.notices, life.problems) == ((), {})


def test_a_problem_ends_when_the_leg_is_back():
    assert follow(CONDOR, {**CONDOR, C640: 0}, CONDOR).problems == {}


@pytest.mark.parametrize(("symbol", "shares", "word"), [(P570, 200, "came"), (C630, -200, "went")])
def test_a_short_leg_that_went_as_its_shares_moved_was_assigned(symbol, shares, word):
    life = follow(CONDOR, {**CONDOR, symbol: 0}, stocks=[{"SPY": 5}, {"SPY": 5 + shares}])
    notice = next(notice for notice in life.notices if notice.code == "assignment")
    assert notice.symbols == (symbol,)
    assert notice.text == f"2 short {symbol} went as 200 shares of SPY {word}: an assignment"


@pytest.mark.parametrize(
    ("book", "shares"),
    [
        ({**CONDOR, P570: 0}, 0),
        ({**CONDOR, P570: 0}, -200),
        ({**CONDOR, P570: 0}, 100),
        ({**CONDOR, P560: 0}, 200),
        (CONDOR, 200),
    ],
)
def test_a_change_that_does_not_fit_is_no_assignment(book, shares):
    assert "assignment" not in codes(follow(CONDOR, book, stocks=[{}, {"SPY": shares}]))


def test_an_assignment_is_told_until_the_day_is_over():
    life = follow(CONDOR, {**CONDOR, P570: 0}, {}, stocks=[{}, {"SPY": 200}, {"SPY": 200}])
    assert codes(life) == ["assignment"]
    life.follow(reading({}), DAY + dt.timedelta(days=1), LATER)
    assert codes(life) == []


@pytest.mark.parametrize(("days", "code"), [(-1, []), (0, ["expiresToday"]), (1, ["expired"])])
def test_contracts_at_and_past_their_end_are_named(days, code):
    life = follow(CONDOR, day=dt.date(2026, 12, 18) + dt.timedelta(days=days))
    assert codes(life) == code
    assert all(set(notice.symbols) == set(CONDOR) for notice in life.notices)


def test_one_contract_at_its_end_is_named_in_the_sentence():
    life = follow({P560: 1}, day=dt.date(2026, 12, 18))
    assert life.notices[0].text == f"{P560} expires today"


def test_a_position_without_a_contract_is_followed_without_a_word():
    odd = Position(symbol="?", contract=None, quantity=-1, average_entry_e4=None, cost_basis_e4=None)
    life = Life()
    for positions in ((odd,), ()):
        life.follow(Reading(positions=positions, grouping=group(positions), stocks={}), DAY, EARLIER)
    assert life.notices == ()


@given(st.lists(st.fixed_dictionaries({symbol: st.integers(-2, 2) for symbol in CONDOR}), min_size=1, max_size=6))
def test_problems_stand_at_leftovers_alone_and_every_notice_names_what_it_means(books):
    life = follow(*books)
    left = {leftover.position.symbol for leftover in reading(books[-1]).grouping.unmatched}
    assert set(life.problems) <= left
    assert all(notice.symbols and notice.text for notice in life.notices)
