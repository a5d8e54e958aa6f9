import datetime as dt
import math

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from condord.live.freshness import (
    CLOCK_SECONDS,
    LAPSE_POLLS,
    LAPSE_SECONDS,
    RESUBSCRIBE_SECONDS,
    RETRY_SECONDS,
    STUCK_SECONDS,
    SUSPEND_SECONDS,
    TICK_SECONDS,
    Freshness,
    TickInputs,
)
from condord.live.link import STEP_SECONDS, Link, LinkSettings

from .accounts import EPOCH_AT

START = 1000.0
LATEST_TICK = TICK_SECONDS + SUSPEND_SECONDS
"""The longest time between two ticks that does not count as a suspension."""


class Ticking:
    """A freshness, ticked through time; `suspended` seconds passed on the machine's clock, and not on the loop's."""

    def __init__(self):
        self.freshness = Freshness(START, EPOCH_AT)
        self.suspended = 0.0

    def tick(self, now, *, is_open=True, is_missing=False, is_clock_doubted=False, poll_seconds=1.0):
        machine_at = EPOCH_AT + dt.timedelta(seconds=now - START + self.suspended)
        observed = TickInputs(
            is_open=is_open, is_missing=is_missing, is_clock_doubted=is_clock_doubted, poll_seconds=poll_seconds
        )
        return self.freshness.tick(now, machine_at, observed)

    def ticks(self, seconds, **observed):
        """The actions of one tick a second, each with its second."""
        return [
            (second, action) for second in range(1, seconds + 1) for action in self.tick(START + second, **observed)
        ]


@pytest.fixture
def ticking():
    return Ticking()


def test_while_rest_delivers_and_the_stream_is_complete_nothing_is_due(ticking):
    for second in range(1, 500):
        ticking.freshness.polled(START + second)
        assert ticking.tick(START + second) == ()


def test_a_late_tick_is_a_gap_once(ticking):
    assert ticking.tick(START + LATEST_TICK) == ()
    assert ticking.tick(START + 2 * LATEST_TICK + 0.1) == ("gap",)
    assert ticking.tick(START + 2 * LATEST_TICK + 1.1) == ()


def test_a_suspend_is_a_gap_though_the_clock_of_the_loop_stood_still(ticking):
    ticking.tick(START + 1.0)
    ticking.suspended = 3600.0
    assert ticking.tick(START + 2.0) == ("gap",)
    assert ticking.tick(START + 3.0) == ()


def test_a_machine_clock_that_is_set_back_is_not_a_gap(ticking):
    ticking.suspended = -3600.0
    assert ticking.tick(START + 1.0) == ()


def test_a_retry_is_due_at_once_and_another_after_a_pause(ticking):
    assert ticking.freshness.request_retry(START) == ("retry",)
    assert ticking.freshness.request_retry(START + 0.5) == ()
    assert ticking.freshness.request_retry(START + 0.9) == ()
    assert ticking.ticks(10) == [(RETRY_SECONDS, "retry")]


def test_a_doubted_clock_is_read_at_once_and_again_after_a_pause(ticking):
    assert ticking.tick(START + 1.0, is_clock_doubted=True) == ("readClock",)
    assert ticking.tick(START + 2.0, is_clock_doubted=True) == ()
    assert ticking.tick(START + 2.0 + SUSPEND_SECONDS) == ()
    assert ticking.tick(START + 1.0 + CLOCK_SECONDS) == ("readClock",)
    assert ticking.tick(START + 2.0 + CLOCK_SECONDS) == ()


def test_quotes_lapse_in_every_tick_while_rest_does_not_deliver(ticking):
    late = int(LAPSE_SECONDS) + 1
    assert ticking.ticks(late + 2) == [(late, "lapse"), (late + 1, "lapse"), (late + 2, "lapse")]
    ticking.freshness.polled(START + late + 2.5)
    assert ticking.tick(START + late + 3) == ()


def test_with_many_contracts_quotes_lapse_after_three_polls(ticking):
    assert ticking.ticks(60, poll_seconds=20.0) == []
    assert ticking.tick(START + LAPSE_POLLS * 20.0 + 0.1, poll_seconds=20.0) == ("lapse",)


def test_quotes_of_a_closed_market_do_not_lapse(ticking):
    assert ticking.ticks(100, is_open=False) == []


def test_missing_symbols_are_subscribed_again_once_a_minute(ticking):
    assert ticking.ticks(125, is_open=False, is_missing=True) == [(60, "resubscribe"), (120, "resubscribe")]


def test_the_minute_begins_when_a_symbol_is_missing(ticking):
    for second in range(1, 50):
        ticking.tick(START + second, is_open=False)
    due = START + 49.0 + RESUBSCRIBE_SECONDS
    assert all(
        ticking.tick(now, is_open=False, is_missing=True) == () for now in (START + 50.0, START + 55.0, START + 60.0)
    )
    assert "resubscribe" not in ticking.tick(due - 0.1, is_open=False, is_missing=True)
    assert ticking.tick(due, is_open=False, is_missing=True) == ("resubscribe",)


def test_actions_due_together_come_in_one_tick_and_the_gap_first(ticking):
    ticking.freshness.request_retry(START)
    ticking.freshness.request_retry(START)
    assert ticking.tick(START + 100.0, is_missing=True, is_clock_doubted=True) == (
        "gap",
        "retry",
        "readClock",
        "lapse",
        "resubscribe",
    )


# Progress.


def link_of(name):
    settings = LinkSettings(name=name, silence_seconds=60.0, backoff_min_seconds=1.0, backoff_max_seconds=60.0)
    return Link(settings, chance=lambda: 0.5)


def test_a_supervisor_that_does_not_run_is_stuck(ticking):
    ticking.tick(START + 5.0)
    assert ticking.freshness.stuck(START + 5.0 + STUCK_SECONDS, []) is None
    assert ticking.freshness.stuck(START + 36.0, []) == "the supervisor has not run for 31 s"


def test_a_link_that_misses_its_deadline_is_stuck(ticking):
    first, second = link_of("the option stream"), link_of("the trading stream")
    first.handle("due", START + 40.0)
    ticking.tick(START + 30.0)
    assert ticking.freshness.stuck(START + 30.0, [first, second]) is None
    assert ticking.freshness.stuck(START + 31.0, [first, second]) == (
        "the trading stream is starting 31 s after its deadline"
    )
    second.handle("due", START + 31.0)
    ticking.tick(START + 70.0)
    assert ticking.freshness.stuck(START + 31.0 + STEP_SECONDS + STUCK_SECONDS, [first, second]) is None


# In any order.


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens, nothing is done more often than it may be, and nothing that was asked for is lost."""

    @initialize()
    def start(self):
        self.ticking = Ticking()
        self.now = self.polled = self.complete = START
        self.last = {"retry": -math.inf, "readClock": -math.inf}
        self.is_retry_wanted = self.is_clock_doubted = False

    @rule()
    def request_retry(self):
        self.is_retry_wanted = True
        self.check(self.ticking.freshness.request_retry(self.now), others=())

    @rule()
    def poll(self):
        self.ticking.freshness.polled(self.now)
        self.polled = self.now

    @rule(
        # Just under the limit: sums of such seconds are not exact.
        passed=st.sampled_from([0.1, TICK_SECONDS, LATEST_TICK - 0.01, 20.0, 70.0]),
        suspended=st.sampled_from([-50.0, 0.0, 0.0, 50.0]),
        is_open=st.booleans(),
        is_missing=st.booleans(),
        is_clock_doubted=st.booleans(),
        poll_seconds=st.sampled_from([1.0, 5.0, 30.0]),
    )
    def tick(self, passed, suspended, is_open, is_missing, is_clock_doubted, poll_seconds):
        self.now += passed
        self.ticking.suspended += suspended
        self.is_clock_doubted |= is_clock_doubted
        if not is_missing:
            self.complete = self.now
        others = []
        if max(passed, passed + suspended) > LATEST_TICK:
            others.append("gap")
        if is_open and self.now - self.polled > max(LAPSE_SECONDS, LAPSE_POLLS * poll_seconds):
            others.append("lapse")
        if self.now >= self.complete + RESUBSCRIBE_SECONDS:
            others.append("resubscribe")
            self.complete = self.now
        actions = self.ticking.tick(
            self.now,
            is_open=is_open,
            is_missing=is_missing,
            is_clock_doubted=is_clock_doubted,
            poll_seconds=poll_seconds,
        )
        self.check(actions, others)
        if self.is_clock_doubted and self.now >= self.last["readClock"] + CLOCK_SECONDS:
            raise AssertionError("the clock is doubted and not read")

    def check(self, actions, others):
        assert [action for action in actions if action not in self.last] == list(others)
        if "retry" in actions:
            assert self.is_retry_wanted
            assert self.now >= self.last["retry"] + RETRY_SECONDS
            self.is_retry_wanted, self.last["retry"] = False, self.now
        assert not (self.is_retry_wanted and self.now >= self.last["retry"] + RETRY_SECONDS)
        if "readClock" in actions:
            assert self.is_clock_doubted
            assert self.now >= self.last["readClock"] + CLOCK_SECONDS
            self.is_clock_doubted, self.last["readClock"] = False, self.now


TestAnyOrder = AnyOrder.TestCase
