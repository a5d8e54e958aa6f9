from collections import Counter

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.examples import examples
from tests.live.accounts import REPEATABLE
from tests.live.lifecycle_timelines import C630, C640, CONDOR, DAY, FRIDAY, ID, MINUTE, P560, P570, Timeline, inferred


@pytest.mark.parametrize(("symbol", "shares", "word"), [(P570, 200, "came"), (C630, -200, "went")])
def test_a_short_leg_that_disappeared_when_its_shares_moved_was_assigned(symbol, shares, word):
    timeline = Timeline(CONDOR, {"SPY": 5}).read({symbol: 0}, {"SPY": 5 + shares})
    (notice,) = timeline.notices("assignment")
    assert (notice.symbols, notice.condor_id, notice.since) == ((symbol,), ID, FRIDAY + MINUTE)
    assert notice.text == inferred(2, symbol, 200, moved=word)


@pytest.mark.parametrize(
    ("book", "shares"),
    [({P570: 0}, 0), ({P570: 0}, -200), ({P570: 0}, 99), ({P560: 0}, 200), ({}, 200)],
)
def test_a_change_that_does_not_fit_is_not_an_assignment(book, shares):
    assert Timeline(CONDOR).read(book, {"SPY": shares}).assignments == []


def test_if_two_contracts_disappear_and_shares_for_one_arrive_one_was_assigned():
    timeline = Timeline(CONDOR).read({P570: 0}, {"SPY": 100})
    assert timeline.assignments == [
        f"one of 2 short {P570} was assigned: 100 shares of SPY came, and it is not known which"
    ]


def test_if_two_puts_disappear_and_shares_for_one_arrive_one_notice_names_both():
    timeline = Timeline({P560: -1, P570: -1}).read({P560: 0, P570: 0}, {"SPY": 100})
    (notice,) = timeline.notices("assignment")
    assert notice.symbols == (P560, P570)
    assert notice.text.startswith(f"one of 2 short {P560}, {P570} was assigned: 100 shares of SPY came")
    timeline.read(stocks={"SPY": 200})
    assert timeline.assignments == [inferred(1, put, 100) for put in (P560, P570)]


def test_buying_back_a_short_put_and_buying_shares_is_not_an_assignment():
    timeline = Timeline(CONDOR).order({P570: 2}).read({P570: 0}, {"SPY": 200})
    assert timeline.assignments == []


def test_unwinding_a_covered_call_is_not_an_assignment():
    timeline = Timeline({C630: -1}, {"SPY": 100}).order({C630: 1}).read({C630: 0}, {"SPY": 0})
    assert timeline.assignments == []


def test_a_closing_order_known_after_the_reading_withdraws_the_assignment():
    timeline = Timeline(CONDOR).read({P570: 0}, {"SPY": 200})
    assert len(timeline.assignments) == 1
    assert timeline.order({P570: 2}).read().assignments == []


def test_shares_bought_by_an_order_are_not_an_assignment():
    timeline = Timeline(CONDOR).activity("FILL", "SPY", 200).read({P570: 0}, {"SPY": 200})
    assert timeline.assignments == []


@pytest.mark.parametrize("shares_first", [False, True])
@pytest.mark.parametrize(("after", "count"), [(MINUTE, 1), (3 * DAY + 5 * 60 * MINUTE, 1), (4 * DAY, 0)])
def test_shares_may_be_booked_up_to_the_end_of_the_next_session(after, count, shares_first):
    parts = [({P570: 0}, {}), ({}, {"SPY": 200})]
    first, second = reversed(parts) if shares_first else parts
    timeline = Timeline(CONDOR).read(*first).read(*second, after=after)
    assert len(timeline.assignments) == count


def test_an_adjusted_contract_is_assigned_for_the_shares_that_it_delivers():
    put = "ADJ1261218P00030000"
    book = {"ADJ1261218P00020000": 1, put: -1, "ADJ1261218C00070000": -1, "ADJ1261218C00080000": 1}
    for shares in (10, 150):
        timeline = Timeline(book, deliverables={"ADJ1": {"ADJ": shares, "USD": 35}}).read({put: 0}, {"ADJ": shares})
        assert timeline.assignments == [inferred(1, put, shares, stock="ADJ")]


def test_a_contract_that_delivers_only_cash_is_never_assigned_by_shares():
    put = "ADJ1261218P00030000"
    timeline = Timeline({put: -1}, deliverables={"ADJ1": {"USD": 35, "ADJ": "odd"}}).read({put: 0}, {"ADJ": 100})
    assert timeline.assignments == []


def test_shares_explain_the_contract_that_delivers_that_many():
    timeline = Timeline({"ADJ1261218P00030000": -1, "ADJ261218P00030000": -1}, deliverables={"ADJ1": {"ADJ": 10}})
    timeline.read({"ADJ1261218P00030000": 0, "ADJ261218P00030000": 0}, {"ADJ": 10})
    assert timeline.assignments == [inferred(1, "ADJ1261218P00030000", 10, stock="ADJ")]


def test_a_second_assignment_of_the_same_contract_is_reported_by_itself():
    timeline = Timeline({P570: -3}).read({P570: -2}, {"SPY": 100}).read(after=4 * DAY)
    assert timeline.assignments == []
    timeline.read({P570: 0}, {"SPY": 300})
    assert timeline.assignments == [inferred(2, P570, 200)]


def test_two_assignments_of_the_same_contract_are_one_notice():
    timeline = Timeline({P570: -3}).read({P570: -2}, {"SPY": 100}).read({P570: 0}, {"SPY": 300})
    assert timeline.assignments == [inferred(3, P570, 300)]


def test_an_activity_confirms_an_inferred_assignment():
    timeline = Timeline({P570: -2}).read({P570: 0}, {"QQQ": 200, "SPY": 200}).activity("OPASN", P570, 2).read()
    assert timeline.assignments == [f"2 short {P570} were assigned: 200 shares of SPY came"]
    assert timeline.notices("assignment")[0].since == FRIDAY + MINUTE


def test_an_activity_shows_which_of_two_puts_was_assigned():
    timeline = Timeline({P560: -1, P570: -1}).read({P560: 0, P570: 0}, {"SPY": 100})
    timeline.activity("OPASN", P560, 1).activity("OPEXP", P570, 1).read()
    assert timeline.assignments == [f"1 short {P560} was assigned: 100 shares of SPY came"]


def test_an_assignment_without_a_change_of_shares_is_reported_when_alpaca_books_it():
    timeline = Timeline({P570: -1, C630: -1}).read({P570: 0, C630: 0})
    timeline.activity("OPASN", P570, 1).activity("OPASN", C630, 1).read(after=3 * DAY)
    assert timeline.assignments == [
        f"1 short {C630} was assigned: 100 shares of SPY went",
        f"1 short {P570} was assigned: 100 shares of SPY came",
    ]


@pytest.mark.parametrize(("days", "count"), [(1, 1), (10, 0)])
def test_an_assignment_before_the_first_reading_is_reported_if_it_is_recent(days, count):
    timeline = Timeline({}, at=FRIDAY).activity("OPASN", P570, 1, day=FRIDAY.date() - days * DAY).read()
    assert timeline.assignments == [f"1 short {P570} was assigned"] * count


def test_shares_that_may_come_from_an_exercised_call_are_not_an_assignment():
    timeline = Timeline({P570: -1, C640: 1}).read({P570: 0, C640: 0}, {"SPY": 100})
    assert timeline.assignments == []
    assert timeline.activity("OPASN", P570, 1).read().assignments == [
        f"1 short {P570} was assigned: 100 shares of SPY came"
    ]


def test_the_short_put_of_a_condor_that_expired_between_its_puts_was_assigned():
    timeline = Timeline(CONDOR, at=FRIDAY + 28 * DAY).replace({}, {"SPY": 200}, after=DAY)
    assert timeline.assignments == [inferred(2, P570, 200)]


def test_a_contract_that_became_long_has_lost_its_short_quantity():
    timeline = Timeline({P570: -1}).read({P570: 2}, {"SPY": 100})
    assert timeline.assignments == [inferred(1, P570, 100)]


def test_a_condor_that_expired_beyond_its_wings_moves_no_shares_and_is_reported_only_once_booked():
    timeline = Timeline(CONDOR, at=FRIDAY + 28 * DAY).replace({}, {}, after=DAY)
    assert timeline.assignments == []
    timeline.activity("OPASN", P570, 2).activity("OPEXC", P560, 2).read()
    assert timeline.assignments == [f"2 short {P570} were assigned: 200 shares of SPY came"]


def test_shares_for_only_some_expired_contracts_show_that_only_these_were_assigned():
    timeline = Timeline({P570: -2}, at=FRIDAY + 28 * DAY).replace({}, {"SPY": 100}, after=DAY)
    assert timeline.assignments == [
        f"one of 2 short {P570} was assigned: 100 shares of SPY came, and it is not known which"
    ]


PUTS = ("AAA261218P00100000", "AAA261218P00110000", "BBB261218P00100000")
CALLS = ("CCC261218C00100000", "CCC261218C00110000")
HELD = 4

EVENTS = {
    "assigned": [("gone", "shares"), ("shares", "gone"), ("gone", "shares", "OPASN"), ("gone", "OPASN", "shares")],
    "bought back": [("fill", "gone"), ("gone", "fill")],
    "bought back, and the stock traded": [("fill", "FILL", "gone", "shares"), ("FILL", "shares", "gone", "fill")],
    "expired": [("gone", "OPEXP"), ("OPEXP", "gone")],
    "only the stock traded": [("FILL", "shares")],
}
"""What can happen to one contract, and the sequences in which its parts may become known."""


class Events(RuleBasedStateMachine):
    """Events on shorts of three stocks: at most one at a time on each stock, several stocks at once."""

    def __init__(self):
        super().__init__()
        stocks = {"AAA": 0, "BBB": 300, "CCC": 0}
        self.timeline = Timeline(dict.fromkeys((*PUTS, *CALLS), -HELD), stocks)
        self.under_way = {}
        self.assigned = Counter()

    @rule(symbol=st.sampled_from((*PUTS, *CALLS)), event=st.sampled_from(sorted(EVENTS)), data=st.data())
    def begin(self, symbol, event, data):
        if symbol[:3] not in self.under_way and self.timeline.book[symbol] < 0:
            parts = data.draw(st.sampled_from(EVENTS[event]))
            self.under_way[symbol[:3]] = (symbol, list(parts))
            self.assigned[symbol] += event == "assigned"

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), most=st.integers(1, 4))
    def advance(self, data, most):
        stock = data.draw(st.sampled_from(sorted(self.under_way)))
        symbol, parts = self.under_way.pop(stock)
        for part in parts[:most]:
            getattr(self, part)(symbol, stock, 100 if symbol in PUTS else -100)
        if parts[most:]:
            self.under_way[stock] = (symbol, parts[most:])

    def gone(self, symbol, _stock, _shares):
        self.timeline.read({symbol: self.timeline.book[symbol] + 1})

    def shares(self, _symbol, stock, shares):
        self.timeline.read(stocks={stock: self.timeline.stocks[stock] + shares})

    def fill(self, symbol, _stock, _shares):
        self.timeline.order({symbol: 1}).read()

    def FILL(self, _symbol, stock, shares):  # noqa: N802 - Alpaca's name
        self.timeline.activity("FILL", stock, shares).read()

    def OPASN(self, symbol, _stock, _shares):  # noqa: N802
        self.timeline.activity("OPASN", symbol, 1).read()

    def OPEXP(self, symbol, _stock, _shares):  # noqa: N802
        self.timeline.activity("OPEXP", symbol, 1).read()

    @precondition(lambda self: "BBB" not in self.under_way and self.timeline.book[PUTS[2]])
    @rule(ratio=st.sampled_from([2, 4]), is_stock_first=st.booleans())
    def split(self, ratio, is_stock_first):
        """Split one stock, which renames its contracts; no more events happen to them."""
        symbol = PUTS[2]
        renamed = f"{symbol[:-8]}{int(symbol[-8:]) // ratio:08d}"
        steps = [
            ({symbol: 0, renamed: ratio * self.timeline.book[symbol]}, {}),
            ({}, {"BBB": ratio * self.timeline.stocks["BBB"]}),
        ]
        for book, stocks in reversed(steps) if is_stock_first else steps:
            self.timeline.read(book, stocks)

    @rule()
    def read_again(self):
        self.timeline.read()

    @rule()
    def restart(self):
        self.timeline.restart().read()

    @invariant()
    def each_assigned_contract_is_reported_once_and_nothing_else_is(self):
        reported = [
            (symbol, notice.text) for notice in self.timeline.notices("assignment") for symbol in notice.symbols
        ]
        for symbol in (*PUTS, *CALLS):
            if symbol[:3] not in self.under_way:
                texts = [text for assigned, text in reported if assigned == symbol]
                assert [text.split(" short ")[0] for text in texts] == [str(self.assigned[symbol])][
                    : self.assigned[symbol]
                ]


TestEvents = Events.TestCase
TestEvents.settings = settings(REPEATABLE, max_examples=examples(100), stateful_step_count=30)
