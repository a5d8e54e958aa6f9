import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord.core.grouping import Match, match, match_all, search
from condord.core.grouping.budget import SearchBudget
from tests.core.grouping_oracle import solve, value_of
from tests.examples import examples

RIGHTS = {"P": "put", "C": "call"}


def book(text):
    """The book of "P90:+1 C105:-1": right, strike in dollars, signed contracts."""
    legs = (part.split(":") for part in text.split())
    return {(RIGHTS[name[0]], round(float(name[1:]) * 1000)): int(quantity) for name, quantity in legs}


def cards(found):
    """The matches as "90/95/105/110 x1"; a long condor has "long " before it."""
    return [
        ("" if card.short else "long ") + "/".join(f"{k / 1000:g}" for k in card.strikes) + f" x{card.quantity}"
        for card in found
    ]


def residual(held, found):
    """The signed contracts that the matches leave, without zeros."""
    left = dict(held)
    for card in found:
        signed = card.quantity if card.short else -card.quantity
        for right, strike, sign in zip(("put", "put", "call", "call"), card.strikes, (1, -1, -1, 1), strict=True):
            left[right, strike] -= sign * signed
    return {leg: quantity for leg, quantity in left.items() if quantity}


def value(found):
    """The value of the matches by the objectives 1 to 5, as the oracle counts it."""
    parts = [value_of(card.strikes, card.short, card.quantity) for card in found]
    return tuple(map(sum, zip((0,) * 7, *parts, strict=True)))


def random_book(chance, condors, grid, most, long=0.2, noise=3):
    """Overlapping `condors` with random strikes on one grid, and up to `noise` other legs."""
    held = {}
    for _ in range(condors):
        strikes = sorted(chance.sample(range(1, grid + 1), 4))
        if chance.random() < 0.2:
            strikes[2] = strikes[1]
        quantity = chance.randint(1, most) * (-1 if chance.random() < long else 1)
        for right, strike, sign in zip(("put", "put", "call", "call"), strikes, (1, -1, -1, 1), strict=True):
            leg = (right, strike * 1000)
            held[leg] = held.get(leg, 0) + sign * quantity
    for _ in range(chance.randint(0, noise)):
        held[chance.choice(["put", "call"]), chance.randint(1, grid) * 1000] = chance.choice([-2, -1, 1, 2])
    return {leg: quantity for leg, quantity in held.items() if quantity}


def is_sound(held, found):
    """Whether every match is a condor that the signs and quantities of `held` allow."""
    used = {}
    for card in found:
        k1, k2, k3, k4 = card.strikes
        assert k1 < k2 <= k3 < k4
        assert card.quantity >= 1
        outer = card.quantity if card.short else -card.quantity
        for leg, part in (("put", k1), outer), (("put", k2), -outer), (("call", k3), -outer), (("call", k4), outer):
            used[leg] = used.get(leg, 0) + part
            assert held[leg] * part > 0
    assert all(abs(part) <= abs(held[leg]) for leg, part in used.items())
    assert residual(held, found) == {
        leg: rest for leg, quantity in held.items() if (rest := quantity - used.get(leg, 0))
    }
    return True


books = st.dictionaries(
    st.tuples(st.sampled_from(["put", "call"]), st.integers(1, 9).map(lambda k: k * 1000)),
    st.integers(-4, 4),
    max_size=12,
)

# Long legs outside, short legs inside: no long condor can be made of these.
short_books = st.fixed_dictionaries(
    {},
    optional={
        (right, k * 1000): st.integers(*((1, 4) if k < 3 or k > 9 else (-4, -1)))
        for right, strikes in (("put", range(6)), ("call", range(7, 13)))
        for k in strikes
    },
)


@pytest.mark.parametrize(
    ("held", "expected", "left"),
    [
        ("", [], ""),
        ("P100:+1 P105:-1 C110:-1 C120:+1", ["100/105/110/120 x1"], ""),
        ("P95:+10 P97.5:-10 C102.5:-10 C105:+10", ["95/97.5/102.5/105 x10"], ""),
        ("C598:+1 C600:+1 C603:-1 C605:-1", [], "C598:+1 C600:+1 C603:-1 C605:-1"),
        ("P95:-1 C110:-1 C115:+1", [], "P95:-1 C110:-1 C115:+1"),
        ("C300:+1 C325:-2 P200:+1 P175:-2", ["long 175/200/300/325 x1"], "C325:-1 P175:-1"),
        ("P90:+1 P95:-2 C105:-2 C110:+1", ["90/95/105/110 x1"], "P95:-1 C105:-1"),
        ("P90:+2 P95:-1 P97:-1 C105:-1 C107:-1 C112:+1 C110:+1", ["90/95/107/112 x1", "90/97/105/110 x1"], ""),
        (
            "P90:+3 P95:-3 P80:+2 P85:-2 C105:-2 C110:+2 C115:-3 C120:+3",
            ["80/85/105/110 x2", "90/95/115/120 x3"],
            "",
        ),
        ("P90:+1 P100:-1 C100:-1 C105:+1", ["90/100/100/105 x1"], ""),
        ("P100:+1 P105:-1 C103:-1 C108:+1", [], "P100:+1 P105:-1 C103:-1 C108:+1"),
        ("P50:+1 P75:-1 P100:-1 P125:+1", [], "P50:+1 P75:-1 P100:-1 P125:+1"),
        ("P97.5:+2 P100:-2 C102.5:-2 C105:+2", ["97.5/100/102.5/105 x2"], ""),
        ("P100:+1 P105:-1 C105:+1 C100:-1", [], "P100:+1 P105:-1 C105:+1 C100:-1"),
    ],
)
def test_real_books_are_grouped_as_a_trader_would(held, expected, left):
    found = match(book(held))
    assert cards(found) == expected
    assert residual(book(held), found) == book(left)


def test_zero_quantities_are_ignored():
    held = book("P85:0 P90:+1 P95:-1 C105:-1 C110:+1")
    found = match(held)
    assert found == (Match(strikes=(90000, 95000, 105000, 110000), short=True, quantity=1, ambiguous=False),)
    assert residual(held, found) == {}


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        # 2: the long put could be the wing of a short condor or the body of a long one.
        ("P80:-1 P90:+1 P95:-1 C105:-1 C110:+1 C100:+1 C115:-1", ["90/95/105/110 x1"]),
        # 1 before 2: two long condors beat the one short condor that would break them.
        (
            "P80:-1 P85:+1 P90:-1 P95:+1 C92:+1 C110:-1 C115:+1 C120:-1",
            ["long 80/85/92/110 x1", "long 90/95/115/120 x1"],
        ),
        # 4: five wide joins five wide, ten wide joins ten wide.
        ("P80:+1 P85:-1 P88:+1 P98:-1 C105:-1 C110:+1 C120:-1 C130:+1", ["80/85/105/110 x1", "88/98/120/130 x1"]),
        # 5: the near long call makes the narrower wing, and the put wings are as wide as each other.
        ("P90:+1 P95:-1 C105:-1 C111:+1 C112:+1", ["90/95/105/111 x1"]),
        # 6: the put side nearest the middle joins the call side nearest the middle.
        ("P80:+1 P85:-1 P90:+1 P95:-1 C105:-1 C110:+1 C115:-1 C120:+1", ["80/85/115/120 x1", "90/95/105/110 x1"]),
        # 6: of two put sides as good, the nearer one is used.
        ("P80:+1 P85:-1 P90:+1 P95:-1 C105:-1 C110:+1", ["90/95/105/110 x1"]),
    ],
)
def test_each_objective_decides_if_those_before_it_tie(held, expected):
    assert cards(match(book(held))) == expected


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ("P90:+1 P95:-1 C105:-1 C110:+1", False),
        ("P90:+3 P95:-3 P80:+2 P85:-2 C105:-2 C110:+2 C115:-3 C120:+3", False),
        ("P90:+2 P95:-1 P97:-1 C105:-1 C107:-1 C112:+1 C110:+1", True),
        ("P80:+1 P85:-1 P90:+1 P95:-1 C105:-1 C110:+1 C115:-1 C120:+1", True),
        ("P80:+1 P85:-1 P90:+1 P95:-1 C105:-1 C110:+1", True),
    ],
)
def test_a_grouping_is_ambiguous_if_another_is_as_good_by_the_first_five_objectives(held, expected):
    found = match(book(held))
    assert found
    assert {card.ambiguous for card in found} == {expected}


@pytest.mark.slow
@given(books)
def test_no_leg_is_used_beyond_what_is_held(held):
    assert is_sound(held, match(held))


@pytest.mark.slow
@given(books)
def test_matches_are_sorted_and_no_two_are_the_same_condor(held):
    order = [(card.strikes, not card.short) for card in match(held)]
    assert all(first < second for first, second in pairwise(order))


@pytest.mark.slow
@given(books, st.randoms(use_true_random=False))
def test_the_order_of_the_legs_does_not_matter(held, chance):
    legs = list(held.items())
    chance.shuffle(legs)
    assert match(dict(legs)) == match(held)


@pytest.mark.slow
@given(books, st.integers(2, 7))
def test_n_times_the_book_gives_n_times_the_same_cards(held, times):
    single = match(held)
    many = match({leg: quantity * times for leg, quantity in held.items()})
    assert [(c.strikes, c.short, c.quantity, c.ambiguous) for c in many] == [
        (c.strikes, c.short, c.quantity * times, c.ambiguous) for c in single
    ]


@pytest.mark.slow
@given(short_books)
@settings(max_examples=examples(40), deadline=None)
def test_the_reverse_of_a_book_of_short_condors_has_the_same_cards_long(held):
    opposite = match({leg: -quantity for leg, quantity in held.items()})
    assert all(card.short for card in match(held))
    assert [(c.strikes, not c.short, c.quantity, c.ambiguous) for c in opposite] == [
        (c.strikes, c.short, c.quantity, c.ambiguous) for c in match(held)
    ]


@pytest.mark.slow
@given(books)
@settings(max_examples=examples(60), deadline=None)
def test_small_books_are_grouped_as_exhaustive_search_would(held):
    best = solve(held)
    found = match(held)
    assert value(found) == best.value
    assert any(card.ambiguous for card in found) == (best.ways > 1)


@pytest.mark.deep
@pytest.mark.slow
@pytest.mark.parametrize(
    ("condors", "grid", "most", "long", "noise", "count"),
    [
        (1, 8, 5, 0.2, 3, 300),
        (2, 9, 3, 0.2, 3, 400),
        (2, 14, 4, 0.0, 2, 200),
        (3, 9, 2, 0.3, 2, 300),
        (4, 8, 2, 0.0, 2, 100),
        (4, 8, 2, 0.5, 2, 100),
    ],
)
def test_overlapping_condors_are_grouped_as_exhaustive_search_would(condors, grid, most, long, noise, count):
    chance = random.Random(condors * grid)
    for _ in range(examples(count)):
        held = random_book(chance, condors, grid, most, long, noise)
        best = solve(held)
        found = match(held)
        assert is_sound(held, found)
        assert value(found) == best.value, held
        assert any(card.ambiguous for card in found) == (best.ways > 1), held


def crowded(seed, most, sign):
    """Forty legs: a put and a call at each of twenty strikes, with the signs that `sign(strike, right)` returns."""
    chance = random.Random(seed)
    return {
        (right, k * 1000): sign(chance, k, right) * chance.randint(1, most)
        for k in range(1, 21)
        for right in ("put", "call")
    }


CROWDS = {
    "signs by chance": lambda chance, k, right: chance.choice((-1, 1)),
    "signs in turn": lambda chance, k, right: (-1) ** (k + (right == "call")),
    "puts and calls alike": lambda chance, k, right: (-1) ** k,
    "wide": lambda chance, k, right: 1 if (k <= 5 and right == "put") or (k > 15 and right == "call") else -1,
}


@pytest.mark.slow
@pytest.mark.parametrize("most", [1, 3, 30, 500])
@pytest.mark.parametrize("crowd", CROWDS)
def test_forty_legs_that_all_overlap_end_after_a_bounded_budget(crowd, most):
    held = crowded(most, most, CROWDS[crowd])
    budget = SearchBudget(search.ACCOUNT_BUDGET)
    found = search._group(held, budget)
    assert found
    assert is_sound(held, found)
    assert budget.spent < 100_000


@pytest.mark.deep
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_no_contract_is_lost_when_the_budget_is_spent(monkeypatch, seed):
    chance = random.Random(seed)
    for _ in range(examples(60)):
        held = random_book(chance, 3, 9, 3, long=0.4)
        best = solve(held)
        with monkeypatch.context() as patch:
            patch.setattr(search, "_EXHAUSTIVE_BUDGET", 0)
            found = match(held)
        assert is_sound(held, found)
        assert value(found)[:2] == best.value[:2]
        assert not any(card.ambiguous for card in found) or best.ways > 1 or value(found) != best.value


def test_the_beam_search_falls_back_to_a_safe_card(monkeypatch):
    monkeypatch.setattr(search, "_EXHAUSTIVE_BUDGET", 0)
    monkeypatch.setattr(search, "_BEAM_TRIES", 0)
    held = book("P80:+3 P85:-2 P90:+2 P95:-3 C105:-4 C110:+1 C115:-1 C120:+4")
    found = match(held)
    assert is_sound(held, found)
    assert sum(card.quantity for card in found) == 5


def test_with_enough_budget_each_book_of_an_account_is_grouped_as_if_it_were_the_only_one():
    books = [book("P90:+1 P95:-1 C105:-1 C110:+1"), {}, book("P90:+2 P95:-2 C105:-2 C110:+2 C120:+1")]
    assert match_all(books) == [match(held) for held in books]


@pytest.mark.slow
@pytest.mark.parametrize(("books", "legs", "most"), [(1, 4000, 3), (1, 2000, 300), (20, 200, 3), (100, 40, 300)])
def test_a_large_account_is_grouped_within_its_budget_and_is_ambiguous(books, legs, most):
    chance = random.Random(books)
    account = [
        {
            (right, k * 1000): chance.choice((-1, 1)) * chance.randint(1, most)
            for k in range(1, legs // 2 + 1)
            for right in ("put", "call")
        }
        for _ in range(books)
    ]
    found = match_all(account)
    for held, cards_of_one in zip(account, found, strict=True):
        assert is_sound(held, cards_of_one)
        assert len(cards_of_one) <= legs
        assert not match(residual(held, cards_of_one))
    assert any(card.ambiguous for cards_of_one in found for card in cards_of_one)


@pytest.mark.deep
@pytest.mark.parametrize("budget", [0, 50, 500, 5000])
def test_with_little_budget_no_contract_of_one_direction_is_lost(budget):
    chance = random.Random(budget)
    for _ in range(examples(40)):
        held = random_book(chance, 6, 14, 5, long=0.0, noise=0)
        found = search._group(held, SearchBudget(budget))
        assert is_sound(held, found)
        assert sum(card.quantity for card in found) == sum(card.quantity for card in match(held))
        assert budget or all(card.ambiguous for card in found)


def test_a_search_can_be_interrupted():
    chance = random.Random(1)

    def give_up():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        match_all([random_book(chance, 30, 60, 9)], give_up)
