import os
import subprocess
import sys
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.host.shared_counts import SharedCounts, SharedSlots


@pytest.fixture
def counts():
    with closing(SharedCounts.create(3)) as counts:
        yield counts


def test_numbers_are_zero_at_first_and_each_process_has_its_own(counts):
    assert counts.total("subscribers") == 0
    counts.set(0, "subscribers", 5)
    counts.set(2, "subscribers", 7)
    counts.set(2, "gone", 9)
    assert [counts.get(process, "subscribers") for process in range(3)] == [5, 0, 7]
    assert (counts.total("subscribers"), counts.total("gone")) == (12, 9)
    counts.clear(2)
    assert (counts.total("subscribers"), counts.total("gone")) == (5, 0)


def test_another_process_reads_and_sets_the_numbers(counts):
    program = """
import sys
from condord.host.shared_counts import SharedCounts
counts = SharedCounts(int(sys.argv[1]), 3)
assert counts.get(0, "subscribers") == 5
counts.set(1, "subscribers", 6)
"""
    counts.set(0, "subscribers", 5)
    number = counts.descriptor
    assert not os.get_inheritable(number)
    subprocess.run([sys.executable, "-c", program, str(number)], pass_fds=[number], check=True, timeout=120)
    assert counts.get(1, "subscribers") == 6


def test_the_limit_of_subscribers_applies_to_all_processes_together(counts):
    one, other = SharedSlots(counts, 0), SharedSlots(counts, 1)
    assert one.take(0, 2)
    assert other.take(0, 2)
    assert not one.take(1, 2)
    assert not other.take(1, 2)
    one.note(0)
    assert other.take(1, 2)


def test_closed_connections_are_counted(counts):
    SharedSlots(counts, 1).note_gone(4)
    assert counts.get(1, "gone") == 4


@given(most=st.integers(1, 6), steps=st.lists(st.tuples(st.integers(0, 2), st.booleans())))
def test_subscribers_never_exceed_the_limit_and_are_never_fewer_than_were_let_in(most, steps):
    with closing(SharedCounts.create(3)) as counts:
        slots, inside = [SharedSlots(counts, process) for process in range(3)], [0, 0, 0]
        for process, comes in steps:
            if comes:
                is_free = sum(inside) < most
                assert slots[process].take(inside[process], most) is is_free
                inside[process] += is_free
            elif inside[process]:
                inside[process] -= 1
                slots[process].note(inside[process])
            assert counts.total("subscribers") == sum(inside) <= most
