import msgspec
import pytest

from condord.cli.moves import Moves
from condord.live.wire_condor import ValuationJson
from tests.fakes import documents


def moved(moves, **values):
    valuations = [documents.valuation(name, unrealizedPl=value) for name, value in values.items()]
    return {each.value.id: each.change for each in moves.moved(msgspec.convert(valuations, list[ValuationJson]))}


def test_only_moves_of_at_least_the_amount_since_the_last_one_shown_are_returned():
    moves = Moves(25)
    assert moved(moves, A=100, B=-10) == {}
    assert moved(moves, A=124.99, B=-35) == {"B": -25}
    assert moved(moves, A=125, B=-59.99) == {"A": 25}
    assert moved(moves, A=101, B=-60) == {"B": -25}
    assert moved(moves, A=100) == {"A": -25}


def test_small_steps_add_up():
    moves = Moves(1)
    moved(moves, A=0)
    assert [moved(moves, A=step / 10) for step in range(1, 11)] == [{}] * 9 + [{"A": 1}]


def test_an_unknown_value_is_not_a_move_and_keeps_the_last_known_one():
    moves = Moves(5)
    assert moved(moves, A=None) == moved(moves, A=10) == moved(moves, A=None) == moved(moves, A=14) == {}
    assert moved(moves, A=15) == {"A": 5}


@pytest.mark.parametrize("amount", [0, 0.0001])
def test_with_the_smallest_amount_every_change_is_a_move(amount):
    moves = Moves(amount)
    assert moved(moves, A=10) == moved(moves, A=10) == {}
    assert moved(moves, A=10.01) == {"A": 0.01}
