"""Conditions and values of any kind."""

from hypothesis import strategies as st

from condord.core.rules.catalogue import QUANTITIES
from condord.core.rules.facts import ABSENT, Between
from condord.core.rules.rule import Condition

NUMBERS = [each for each in QUANTITIES.values() if not each.is_word]
WORDS = [each for each in QUANTITIES.values() if each.is_word]

thresholds = st.sampled_from([0.0, 0.25, 1.0]) | st.integers(0, 10**6).map(lambda millionths: millionths / 10**6)


@st.composite
def comparisons(draw, names=tuple(each.name for each in NUMBERS), threshold=thresholds):
    name, sign = draw(st.sampled_from(names)), draw(st.sampled_from([">=", "<=", ">", "<"]))
    return Condition(quantity=name, operator=sign, threshold=draw(threshold))


words = st.builds(
    lambda name, is_negated: Condition(quantity=name, is_negated=is_negated),
    st.sampled_from([each.name for each in WORDS]),
    st.booleans(),
)
conditions = comparisons() | words
few = [-1.0, 0.0, 0.25, 0.5, 1.0, 2.0]
numbers = st.sampled_from(few)
ranges = st.tuples(numbers, numbers).map(lambda ends: Between(min(ends), max(ends)))
values_of_numbers = st.none() | st.just(ABSENT) | numbers | ranges
values_of_words = st.none() | st.just(ABSENT) | st.booleans()


@st.composite
def facts_values(draw):
    """Values of some of all quantities."""
    values = {}
    for each in draw(st.lists(st.sampled_from(list(QUANTITIES.values())), max_size=6)):
        values[each.name] = draw(values_of_words if each.is_word else values_of_numbers)
    return values
