import pytest
from msgspec.structs import replace

from condord.live.broken import name, same_named
from tests.live.lifecycle_timelines import C630, C640, CONDOR, DAY, FRIDAY, ID, NAME, P550, P560, P570, Timeline

LEGS = {"P00560": 1, "P00570": -1, "C00630": -1, "C00640": 1}


def test_a_notice_names_both_legs_that_disappeared():
    assert Timeline(CONDOR).read({C630: 0, C640: 1}).breaks == [
        f"{NAME} lost its 2 short calls 630 and 1 of its 2 long calls 640"
    ]


def test_two_condors_that_lose_a_short_call_are_two_notices():
    books = [
        {f"{root}261218{leg}000": sign * count for leg, sign in LEGS.items()}
        for root, count in (("LQA", 9), ("LQB", 2))
    ]
    timeline = Timeline(books[0] | books[1]).read({"LQA261218C00630000": 0, "LQB261218C00630000": -1})
    assert timeline.breaks == [
        "LQA 560/570/630/640 Dec 18 lost its 9 short calls 630",
        "LQB 560/570/630/640 Dec 18 lost its short call 630",
    ]
    assert [notice.condor_id for notice in timeline.notices("brokenCondor")] == [
        "LQA-261218-560-570-630-640",
        "LQB-261218-560-570-630-640",
    ]


def test_the_name_of_a_condor_has_the_year_if_it_is_not_the_current_one():
    book = {f"SPY270115{leg}000": sign for leg, sign in LEGS.items()}
    assert Timeline(book).read({"SPY270115C00640000": 0}).breaks == [
        "SPY 560/570/630/640 Jan 15, 2027 lost its long call 640"
    ]


def test_a_partly_broken_condor_puts_the_problem_on_its_leftovers():
    timeline = Timeline(CONDOR).read({C640: 1})
    assert set(timeline.lifecycle.problems) == {P560, P570, C630}
    assert timeline.breaks == [f"{NAME} lost its long call 640"]
    assert timeline.read({C640: 0}).breaks == [f"{NAME} lost its 2 long calls 640"]


def test_the_notice_of_a_broken_condor_has_every_leg_that_is_missing_now():
    timeline = Timeline(CONDOR).read({P560: 1})
    assert timeline.breaks == [f"{NAME} lost its long put 560"]
    assert timeline.order({P560: -1}).read({P560: 0}).breaks == [
        f"{NAME} lost 1 of its 2 long puts 560, and 1 of its 2 long puts 560 was closed"
    ]
    timeline.order({C640: -2}).read({C640: 0})
    text = f"{NAME} lost 1 of its 2 long puts 560, and 1 of its 2 long puts 560 and its 2 long calls 640 were closed"
    assert timeline.breaks == [text]
    assert set(timeline.lifecycle.problems.values()) == {f"broken condor: {text}"}
    assert (
        timeline.read({C630: 0})
        .breaks[0]
        .startswith(f"{NAME} lost 1 of its 2 long puts 560 and its 2 short calls 630, ")
    )


def test_a_condor_broken_for_weeks_may_lose_more_or_be_closed_further():
    timeline = Timeline(CONDOR).read({P560: 0}).read(after=3 * 4 * DAY)
    assert timeline.read({C630: -1}).breaks == [f"{NAME} lost its 2 long puts 560 and 1 of its 2 short calls 630"]
    assert timeline.read().breaks == [f"{NAME} lost its 2 long puts 560 and 1 of its 2 short calls 630"]
    assert timeline.order({C640: -2}).read({C640: 0}).restart().read().breaks == [
        f"{NAME} lost its 2 long puts 560 and 1 of its 2 short calls 630, and its 2 long calls 640 were closed"
    ]


def test_a_broken_condor_is_reported_for_weeks():
    timeline = Timeline(CONDOR).read({C640: 0})
    for _ in range(5):
        timeline.read(after=4 * DAY)
        assert timeline.breaks == [f"{NAME} lost its 2 long calls 640"]


def test_a_broken_condor_is_whole_again_when_the_leg_is_back():
    assert Timeline(CONDOR).read({C640: 0}).read({C640: 2}).breaks == []
    assert Timeline(CONDOR).read({C640: 0}).read({C640: 1}).breaks == [f"{NAME} lost its long call 640"]


def test_a_missing_contract_that_two_condors_share_counts_for_only_one():
    book = {P550: 1, P560: 1, P570: -2, C630: -2, C640: 2}
    timeline = Timeline(book).read({C630: -1})
    assert len(timeline.breaks) == 1
    timeline.read({C630: 0})
    assert sorted(text.split(" lost ")[1] for text in timeline.breaks) == ["its short call 630"] * 2


def test_closing_a_side_by_an_order_leaves_a_vertical_and_not_a_broken_condor():
    timeline = Timeline({P560: 3, P570: -3, C630: -3, C640: 3})
    timeline.order({C630: 3, C640: -3}).read({C630: 0, C640: 0})
    assert (timeline.breaks, timeline.lifecycle.problems) == ([], {})


def test_an_order_known_after_the_reading_withdraws_the_notice():
    timeline = Timeline(CONDOR).read({C630: 0, C640: 0})
    assert len(timeline.breaks) == 1
    assert timeline.order({C630: 2, C640: -2}).read().breaks == []


def test_a_condor_whose_long_was_sold_is_broken_while_its_short_is_uncovered():
    timeline = Timeline(CONDOR).order({C640: -2}).read({C640: 0})
    assert timeline.breaks == [f"{NAME} is left uncovered: short call 630 without the long call 640"]
    assert timeline.order({C630: 2}).read({C630: 0}).breaks == []


def test_a_short_left_over_by_another_grouping_is_not_a_broken_condor():
    timeline = Timeline({P560: 1, P570: -1, C630: -1, C640: 1}).order({P550: -1}, opens=True).read({P550: -1})
    assert timeline.breaks == []


def test_settled_contracts_do_not_break_a_condor():
    timeline = Timeline(CONDOR, at=FRIDAY + 28 * DAY).read({P560: 0, C630: 0, C640: 0}, after=DAY)
    assert (timeline.breaks, timeline.lifecycle.problems) == ([], {})


@pytest.mark.parametrize(
    ("kind", "symbol", "text"),
    [
        ("OPEXP", P560, None),
        ("OPASN", P570, "lost its 2 short puts 570"),
        ("OPEXC", P560, "is left uncovered: short put 570 without the long put 560"),
    ],
)
def test_a_booking_explains_a_missing_leg(kind, symbol, text):
    timeline = Timeline(CONDOR).read({symbol: 0})
    assert len(timeline.breaks) == 1
    assert timeline.activity(kind, symbol, 2).read().breaks == ([f"{NAME} {text}"] if text else [])


def test_only_condors_that_differ_by_the_number_of_their_id_alone_have_it_in_their_name():
    [held] = Timeline(CONDOR).lifecycle.memory.shown.condors
    second, other = replace(held, id=f"{ID}-2"), replace(held, id="SPY-261218-1", root="SPYX")
    assert same_named([held, held, other]) == frozenset()
    assert same_named([second]) == frozenset()
    alike = same_named([held, second, other])
    assert alike == {ID, f"{ID}-2"}
    assert [name(each, 2026, alike) for each in (held, second)] == [NAME, f"{NAME} (2)"]
    assert name(second, 2026) == NAME
    assert name(second, 2025, alike) == f"{NAME}, 2026 (2)"
