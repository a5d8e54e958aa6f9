import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from condord.upstream.due import ReadSchedule
from condord.upstream.poller import MAX_DOUBLINGS, RETRY_SECONDS
from tests.examples import examples

PERIOD = 60.0
PACE = 2.0


def is_due(due, now, symbols=("SPY",)):
    return due.is_due(symbols, now, period=PERIOD, pace=PACE)


def read(due, now, symbols=("SPY",), *, is_good=True):
    due.begin(now)
    due.end(symbols, is_good=is_good)


@pytest.fixture
def due():
    """A read of SPY that went well at 100 s."""
    schedule = ReadSchedule()
    read(schedule, 100.0)
    return schedule


def test_symbols_that_were_never_read_are_due_at_once():
    assert is_due(ReadSchedule(), 0.0)


def test_without_symbols_nothing_is_due():
    schedule = ReadSchedule()
    schedule.ask()
    assert not is_due(schedule, 1000.0, symbols=())


@pytest.mark.parametrize(("now", "expected"), [(100.1, False), (159.9, False), (160.0, True)])
def test_a_read_is_due_again_after_its_period(due, now, expected):
    assert is_due(due, now) is expected


@pytest.mark.parametrize(("now", "expected"), [(101.9, False), (102.0, True)])
def test_a_request_makes_a_read_due_as_soon_as_the_pace_allows(due, now, expected):
    due.ask()
    assert is_due(due, now) is expected


@pytest.mark.parametrize(("now", "expected"), [(101.9, False), (102.0, True)])
def test_a_new_symbol_makes_a_read_due_as_soon_as_the_pace_allows(due, now, expected):
    assert is_due(due, now, symbols=("SPY", "QQQ")) is expected


def test_a_symbol_that_is_gone_makes_nothing_due(due):
    read(due, 100.0, symbols=("SPY", "QQQ"))
    assert not is_due(due, 110.0)


def test_a_read_answers_the_requests_before_it_but_not_those_during_it(due):
    due.ask()
    read(due, 110.0)
    assert not is_due(due, 120.0)
    due.begin(130.0)
    due.ask()
    due.end(("SPY",), is_good=True)
    assert is_due(due, 132.0)


def test_after_failures_a_read_is_due_with_growing_waits_within_the_period():
    schedule, now, waits = ReadSchedule(), 100.0, []
    for _ in range(8):
        read(schedule, now, is_good=False)
        waits.append(next(seconds for seconds in range(1, 200) if is_due(schedule, now + seconds)))
        now += waits[-1]
    assert waits == [5, 10, 20, 40, 60, 60, 60, 60]
    assert RETRY_SECONDS * 2**MAX_DOUBLINGS > PERIOD


def test_a_new_symbol_does_not_cut_the_wait_after_a_failure_short_but_a_request_does():
    schedule = ReadSchedule()
    read(schedule, 100.0, is_good=False)
    assert not is_due(schedule, 104.9, symbols=("SPY", "QQQ"))
    schedule.ask()
    assert is_due(schedule, 104.9)


def test_a_success_resets_the_wait():
    schedule = ReadSchedule()
    for now in (100.0, 105.0, 115.0):
        read(schedule, now, is_good=False)
    read(schedule, 135.0)
    read(schedule, 195.0, is_good=False)
    assert is_due(schedule, 200.0)


class DueMachine(RuleBasedStateMachine):
    """A caller that reads whenever it is due, amid requests, new symbols and failures."""

    def __init__(self):
        super().__init__()
        self.due = ReadSchedule()
        self.now = 1000.0
        self.symbols = {"SPY"}
        self.last = None
        self.is_asked = False

    @rule()
    def ask(self):
        self.due.ask()
        self.is_asked = True

    @rule(symbol=st.sampled_from(["SPY", "QQQ", "IWM", "DIA"]))
    def change(self, symbol):
        self.symbols ^= {symbol}

    @rule(seconds=st.floats(0.1, 90.0), is_good=st.booleans())
    def wait(self, seconds, is_good):
        self.now += seconds
        waited = None if self.last is None else self.now - self.last
        if is_due(self.due, self.now, self.symbols):
            assert self.symbols
            assert waited is None or waited >= PACE
            read(self.due, self.now, self.symbols, is_good=is_good)
            self.last, self.is_asked = self.now, False
        elif self.symbols:
            assert waited < PERIOD
            assert not self.is_asked or waited < PACE


TestAnyCaller = DueMachine.TestCase
TestAnyCaller.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
