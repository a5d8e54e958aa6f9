import datetime as dt

import pytest

from condord.live.source_clock import PERIOD, SourceClock

from .accounts import EPOCH_AT

SECOND, MS = dt.timedelta(seconds=1), dt.timedelta(milliseconds=1)


class Machine:
    """The machine's clock, which only the test moves, and the exchange's, which is two seconds ahead."""

    def __init__(self):
        self.at = EPOCH_AT
        self.ahead = 2 * SECOND
        self.clock = SourceClock(lambda: self.at)

    def observe(self, took, after=SECOND):
        """An event that was sent `took` before it arrives."""
        self.at += after
        self.clock.observe(self.at + self.ahead - took)


@pytest.fixture
def machine():
    return Machine()


def test_before_the_first_event_the_source_clock_is_the_machines_clock(machine):
    assert machine.clock() == EPOCH_AT
    assert machine.clock.lag == dt.timedelta()


def test_the_source_clock_is_the_exchanges_time_less_the_shortest_delay(machine):
    for took in (40 * MS, 10 * MS, 300 * MS):
        machine.observe(took)
    assert machine.at + machine.ahead - machine.clock() == 10 * MS
    assert machine.clock.lag == 290 * MS


def test_no_event_is_in_the_future(machine):
    machine.observe(40 * MS)
    machine.observe(10 * MS)
    assert machine.clock.lag == dt.timedelta()
    assert machine.clock() == machine.at + machine.ahead - 10 * MS


def test_the_shortest_delay_is_forgotten_after_two_periods(machine):
    machine.observe(10 * MS)
    for _ in range(3):
        machine.observe(50 * MS, after=PERIOD)
    assert machine.at + machine.ahead - machine.clock() == 50 * MS
    assert machine.clock.lag == dt.timedelta()


@pytest.mark.parametrize("took", [5 * MS, 50 * MS, 900 * MS])
def test_at_another_connection_the_time_does_not_go_back(machine, took):
    machine.observe(10 * MS)
    before = machine.clock()
    machine.clock.forget()
    machine.observe(took, after=dt.timedelta())
    assert machine.clock() >= before
    for _ in range(3):
        machine.observe(took, after=PERIOD)
    assert machine.clock.lag == dt.timedelta()


@pytest.mark.parametrize("ahead", [-1, 0.9, 5])
def test_a_connection_to_a_machine_with_another_clock_begins_again(machine, ahead):
    machine.observe(10 * MS)
    machine.clock.forget()
    machine.ahead = ahead * SECOND
    machine.observe(10 * MS)
    assert machine.at + machine.ahead - machine.clock() == 10 * MS
    assert machine.clock.lag == dt.timedelta()


def test_a_clock_that_is_set_back_begins_a_period(machine):
    machine.observe(10 * MS)
    machine.observe(30 * MS, after=-3600 * SECOND)
    assert machine.clock.lag == 20 * MS
    machine.observe(30 * MS, after=PERIOD)
    assert machine.clock.lag == dt.timedelta()
