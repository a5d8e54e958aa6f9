"""The ids of condors from one grouping to the next."""

import datetime as dt

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from condord.core.grouping.account import group
from condord.core.naming import CondorName, UnnamedCondor, assign_names, expiration_of
from tests.core.strategies import STRIKES, condor_holdings, holding, lot
from tests.examples import examples

BASE = "XYZ-261218-90-95-105-110"
A, B, C = lot(STRIKES, name="a"), lot(STRIKES, name="b", day=1), lot(STRIKES, name="c", day=2)


def held(*lots, more=0):
    return condor_holdings(STRIKES, "1111", sum(opened.quantity for opened in lots) + more)


def ids(found):
    """The ids without their base, by the orders that opened the condors; None for condors found by structure."""
    return {condor.lot: condor.id.removeprefix(BASE) for condor in found.condors}


def after(*readings):
    """The last grouping of `readings`, which are pairs of positions and lots."""
    found = None
    for positions, lots in readings:
        found = group(positions, lots, found.names if found else {})
    return found


def test_the_second_condor_with_the_same_strikes_has_a_number():
    assert ids(group(held(A, B), [A, B])) == {"a": "", "b": "-2"}


def test_the_second_keeps_its_number_when_the_first_is_closed():
    assert ids(after((held(A, B), [A, B]), (held(B), [B]))) == {"b": "-2"}


def test_a_new_condor_takes_the_lowest_free_number():
    found = after((held(A, B), [A, B]), (held(B), [B]), (held(B, C), [B, C]))
    assert ids(found) == {"b": "-2", "c": ""}


def test_names_survive_being_written_and_read():
    before = group(held(A, B), [A, B])
    kept = msgspec.json.decode(msgspec.json.encode(before.names), type=dict[str, CondorName])
    assert ids(group(held(B), [B], kept)) == {"b": "-2"}


def test_a_condor_closed_in_part_keeps_its_id():
    more = lot(STRIKES, quantity=3, name="a")
    found = after((held(more, B), [more, B]), (held(A, B), [A, B]))
    assert ids(found) == {"a": "", "b": "-2"}


def test_a_rolled_condor_has_the_id_of_its_new_strikes_and_frees_the_old_one():
    rolled = replace(lot((80, 85, 105, 110), name="a"), rolls=("r",))
    positions = [*condor_holdings(STRIKES, "1111")[:2], *condor_holdings((80, 85, 105, 110), "1111")[:2]]
    positions += condor_holdings((80, 85, 105, 110), "1111", 2)[2:]
    found = after((held(A, B), [A, B]), (positions, [rolled, B]))
    assert [condor.id for condor in found.condors] == ["XYZ-261218-80-85-105-110", f"{BASE}-2"]


def test_a_condor_that_lost_a_leg_gets_its_id_back_with_the_leg():
    broken = [*held(A, B)[1:], holding("P", 90, 1)]
    found = after((held(A, B), [A, B]), (held(B), [A, B]), (held(A, B), [A, B]))
    assert ids(found) == {"a": "", "b": "-2"}
    found = after((held(A), [A]), (broken, [A, B]), (held(A, B), [A, B]))
    assert ids(found) == {"a": "", "b": "-2"}


def test_while_a_condor_is_broken_no_other_takes_its_id():
    without = [*held(A, B)[1:], holding("P", 90, 1)]
    found = after((held(A), [A]), (held(A)[1:], [A]), (without, [A, B]))
    assert ids(found) == {"b": "-2"}


def test_a_lot_closed_by_an_order_loses_its_name_even_if_one_of_its_contracts_is_left_over():
    extra = [*held(B)[1:], holding("P", 90, 2)]
    found = after((held(A), [A]), ([holding("P", 90, 1)], []), (extra, [B]))
    assert ids(found) == {"b": ""}


def test_a_condor_found_by_structure_keeps_its_id_when_an_order_opens_another():
    found = after((held(more=1), []), (held(A, more=1), [A]))
    assert ids(found) == {None: "", "a": "-2"}


def test_a_lot_whose_order_is_read_later_takes_over_the_id_of_the_condor_found_by_structure():
    assert ids(after((held(A, B), []), (held(A, B), [A, B]))) == {"a": "", "b": "-2"}
    assert ids(after((held(A, more=1), []), (held(A, more=1), [A]))) == {"a": "", None: "-2"}
    two = lot(STRIKES, quantity=2, name="a")
    assert ids(after((held(A, B), [A, B]), (held(B), [B]), (held(B, two), [B]), (held(B, two), [B, two]))) == {
        "b": "-2",
        "a": "",
    }


def test_a_lot_known_before_its_contracts_are_held_takes_over_no_id():
    found = after((held(A), [A]), (held(A), [A, B]))
    assert ids(found) == {"a": ""}
    assert ids(group(held(A, B), [A, B], found.names)) == {"a": "", "b": "-2"}


def test_a_condor_closed_by_an_order_keeps_its_id_until_the_positions_show_it():
    found = after((held(A, B), [A, B]), (held(B), [B]), (held(B), []))
    assert ids(found) == {None: "-2"}


def test_a_condor_closed_in_part_by_an_order_keeps_its_id_until_the_positions_show_it():
    before, now = lot(STRIKES, quantity=7, name="a"), lot(STRIKES, quantity=5, name="a")
    found = after((held(before), [before]), (held(before), [now]))
    assert ids(found) == {"a": "", None: "-2"}
    assert ids(group(held(now), [now], found.names)) == {"a": ""}


def test_one_of_two_condors_closed_in_part_by_an_order_keeps_its_id_until_the_positions_show_it():
    before, now = lot(STRIKES, quantity=3, name="b", day=1), lot(STRIKES, quantity=1, name="b", day=1)
    found = after((held(A, before), [A, before]), (held(A, before), [A, now]))
    assert ids(found) == {"a": "", "b": "-2", None: "-3"}


def test_long_and_short_condors_found_by_structure_with_the_same_strikes_have_different_ids():
    condors = [
        UnnamedCondor(base=BASE, lot=None, form=form, quantity=1, symbols=("x",)) for form in ("short 100", "long 10")
    ]
    names = assign_names(condors, (), (), {})
    assert [names[condor.key].id for condor in condors] == [BASE, f"{BASE}-2"]
    assert assign_names(condors[1:], (), (), names)[condors[1].key].id == f"{BASE}-2"


class Lots(RuleBasedStateMachine):
    """Lots of one set of strikes are opened, reduced and closed; their ids equal those of a plain list of numbers."""

    def __init__(self):
        super().__init__()
        self.lots = []
        self.expected = {}
        self.names = {}
        self.count = 0

    def read(self):
        found = group(held(*self.lots), self.lots, self.names)
        self.names = found.names
        self.ids = ids(found)

    @rule(quantity=st.integers(1, 3))
    def open(self, quantity):
        self.count += 1
        name = f"o{self.count:03d}"
        self.lots.append(lot(STRIKES, quantity=quantity, name=name, day=self.count))
        self.expected[name] = next(n for n in range(1, 99) if n not in self.expected.values())
        self.read()

    @rule(index=st.integers(0, 9), quantity=st.integers(1, 3), order_comes_first=st.booleans())
    def close(self, index, quantity, order_comes_first):
        if self.lots:
            index %= len(self.lots)
            before = held(*self.lots)
            closed = self.lots[index]
            if quantity < closed.quantity:
                self.lots[index] = closed.split(quantity)[1]
            else:
                del self.lots[index]
                del self.expected[closed.id]
            if order_comes_first:
                self.names = group(before, self.lots, self.names).names
            self.read()

    @rule()
    def restart(self):
        self.names = msgspec.json.decode(msgspec.json.encode(self.names), type=dict[str, CondorName])
        self.read()

    @rule()
    def lose_and_find_a_leg(self):
        if self.lots:
            found = group(held(*self.lots)[1:], self.lots, self.names)
            self.names = found.names
            self.read()

    @invariant()
    def every_condor_keeps_its_id(self):
        if self.count:
            expected = {name: "" if number == 1 else f"-{number}" for name, number in self.expected.items()}
            assert self.ids == expected


Lots.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=25, deadline=None)
TestLots = Lots.TestCase


@pytest.mark.parametrize(
    ("condor_id", "expiration"),
    [
        ("SPY-261218-560-570-630-640", dt.date(2026, 12, 18)),
        ("XYZ1-270115-65-70.5-85-90.125-2", dt.date(2027, 1, 15)),
        ("QQQ-270115-620-645-645-670-10", dt.date(2027, 1, 15)),
        ("NONSENSE", None),
        ("spy-261218-560-570-630-640", None),
        ("SPY-261318-560-570-630-640", None),
        ("SPY-261218-560-570-630", None),
        ("SPY-261218-560-570-630-640-0", None),
        ("SPY-261218-560-570-630-640\n", None),
    ],
)
def test_the_expiration_of_an_id_is_none_if_no_condor_can_have_it(condor_id, expiration):
    assert expiration_of(condor_id) == expiration
