"""The minutes of a replica equal those that its source records."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.live.followed_minutes import FollowedMinutes
from condord.live.minutes import HoldingPeriod

from .accounts import ACCOUNTS, C640, CLOSED, EPOCH_AT, P560, REPEATABLE, SPY_ID, lot, qqq, spy, status, tick
from .replicas import Hop, Origin
from .test_recording import MARKS, RecordingService, figures


class Follower:
    """A replica of a service, whose minutes are recorded."""

    def __init__(self, service):
        self.service = service
        self.hop = Hop(Origin(service))
        self.minutes = FollowedMinutes(self.hop.edition)
        self.rows = []
        self.is_first = True

    def pump(self):
        """Take what waits, and end the minute if that is due."""
        number = self.hop.edition.number
        snapshots = sum(block.startswith(b"event: snapshot") for block in self.hop.blocks)
        self.hop.pump()
        is_whole = sum(block.startswith(b"event: snapshot") for block in self.hop.blocks) > snapshots
        if is_whole or self.hop.edition.number != number:
            self.take(is_whole=is_whole)
        self.turn()

    def take(self, *, is_whole=False):
        self.minutes.take(self.service.now, self.service.now_at, is_whole=is_whole)

    def turn(self):
        if self.minutes.deadline is not None and self.minutes.deadline <= self.service.now:
            self.rows += self.minutes.end(self.service.now, self.service.now_at)

    def rows_of(self, condor_id=SPY_ID):
        return [row for row in self.rows if (row.holding.condor_id if row.holding else None) == condor_id]

    def check(self):
        """The rows are those of the source."""
        assert self.rows == [row for minute in self.service.recorded for row in minute]


@pytest.fixture
def follower():
    service = RecordingService(spy())
    service.set_status(status())
    follower = Follower(service)
    follower.pump()
    return follower


def quoted(follower, *puts):
    for put in puts:
        follower.service.quote(put)
        follower.pump()


def end_minute(follower):
    follower.service.end_minute()
    follower.pump()


def test_rows_have_the_values_and_the_extremes_of_their_minute(follower):
    quoted(follower, 0.90, 0.40, 1.50, 1.00)
    end_minute(follower)
    end_minute(follower)
    first, second = follower.rows_of()
    assert figures(first) == (1, 25_000, 24_200, 13_000, 35_000, False)
    assert figures(second) == (2, 25_000, 24_200, 25_000, 25_000, False)
    assert (first.quantity, first.credit_e4, first.holding) == (
        2,
        23_500,
        HoldingPeriod(condor_id=SPY_ID, opened_at=None),
    )
    follower.check()


def test_the_account_and_every_condor_have_rows(follower):
    follower.service.set_positions([*spy(), *qqq()])
    follower.pump()
    quoted(follower, 0.90)
    end_minute(follower)
    assert [each.cents for each in follower.rows_of()] == [23_000]
    assert len(follower.rows) == 3
    follower.check()


def test_a_minute_with_wide_or_crossed_quotes_is_held_back(follower):
    follower.service.quote(0.90, spread=1.5)
    follower.pump()
    end_minute(follower)
    quoted(follower, 0.90)
    follower.service.offer(tick(P560, 0.95, 0.90, 9))
    follower.service.wait(0.5)
    follower.pump()
    end_minute(follower)
    end_minute(follower)
    assert [row.is_held_back for row in follower.rows_of()] == [True, True, True]
    follower.check()


def test_a_lost_leader_gives_no_values(follower):
    quoted(follower, 0.90)
    follower.hop.replica.lose("leaderLost", "it is gone", follower.service.now_at)
    follower.take()
    end_minute_alone(follower)
    end_minute_alone(follower)
    first, second = follower.rows_of()
    assert figures(first) == (1, 23_000, 22_200, 23_000, 23_000, False)
    assert figures(second) == (2, None, None, None, None, False)


def end_minute_alone(follower):
    """A minute in which nothing comes."""
    follower.service.end_minute()
    follower.turn()


def test_when_the_leader_is_back_its_values_count_again(follower):
    quoted(follower, 0.90)
    follower.hop.replica.lose("leaderLost", "it is gone", follower.service.now_at)
    follower.take()
    end_minute_alone(follower)
    follower.service.set_status(status(message=5, source="alpaca-paper"))
    quoted(follower, 0.40)
    end_minute(follower)
    assert [figures(row)[1:4] for row in follower.rows_of()] == [(23_000, 22_200, 23_000), (13_000, 12_200, 13_000)]


def test_a_recorder_that_begins_late_has_the_values_that_are_shown(follower):
    quoted(follower, 0.90)
    later = FollowedMinutes(follower.hop.edition)
    later.take(follower.service.now, follower.service.now_at, is_whole=False)
    row, account = later.running()
    assert (row.cents, account.cents) == (23_000, 23_000)


def test_a_condor_that_ends_has_a_row_for_its_last_minute(follower):
    quoted(follower, 0.90)
    follower.service.set_positions([])
    follower.pump()
    end_minute(follower)
    end_minute(follower)
    assert [row.second for row in follower.rows_of()] == [row.second for row in follower.service.recorded_of()]
    follower.check()


def test_the_opening_time_of_a_condor_comes_from_the_document():
    service = RecordingService()
    service.set_positions(spy(), lots=[lot()])
    service.set_status(status())
    follower = Follower(service)
    follower.pump()
    quoted(follower, 0.90)
    end_minute(follower)
    assert {row.holding.opened_at for row in follower.rows_of()} == {EPOCH_AT}
    follower.check()


def test_the_price_of_the_underlying_is_recorded(follower):
    quoted(follower, 0.90)
    shown = follower.hop.edition.underlyings.json["SPY"]
    follower.hop.edition.underlyings.json["SPY"] = msgspec.structs.replace(shown, price=601.25, unconfirmed=False)
    follower.take()
    end_minute_alone(follower)
    assert [row.price_e4 for row in follower.rows_of()] == [6_012_500]


def test_outside_the_session_nothing_is_recorded(follower):
    quoted(follower, 0.90)
    follower.service.set_status(status("closed", market=CLOSED))
    follower.pump()
    end_minute(follower)
    count = len(follower.rows)
    end_minute(follower)
    assert (len(follower.rows), follower.minutes.deadline, follower.minutes.running()) == (count, None, ())
    follower.check()


def test_a_minute_that_has_not_ended_goes_on(follower):
    quoted(follower, 0.90)
    assert follower.minutes.end(follower.service.now, follower.service.now_at) == ()


def test_a_value_of_an_unknown_condor_is_left_out(follower):
    quoted(follower, 0.90)
    edition = follower.hop.edition
    shown = edition.valuations.json[SPY_ID]
    edition.valuations.show("OTHER", shown, edition.number + 1)
    follower.take()
    assert [row.holding and row.holding.condor_id for row in follower.minutes.running()] == [SPY_ID, None]


def test_without_a_quote_of_a_leg_nothing_is_known(follower):
    marks = {symbol: mark for symbol, mark in MARKS.items() if symbol != C640}
    follower.service.quote(0.90, marks=marks)
    follower.pump()
    end_minute(follower)
    assert [row.cents for row in follower.rows_of()] == [None]
    follower.check()


@REPEATABLE
@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.just("quote"), st.integers(1, 200).map(lambda cents: cents / 100), st.sampled_from([0.02, 1.5])
            ),
            st.tuples(st.just("hold"), st.sampled_from(["nothing", "condor", "condor and a call", "broken"])),
            st.tuples(st.just("status"), st.sampled_from(["live", "stale", "reconnecting"])),
            st.tuples(st.just("minute")),
        ),
        max_size=20,
    )
)
def test_in_any_order_the_rows_equal_the_sources(steps):
    service = RecordingService(spy())
    service.set_status(status())
    follower = Follower(service)
    follower.pump()
    for name, *given_step in [*steps, ("minute",)]:
        if name == "quote":
            service.quote(given_step[0], spread=given_step[1])
        elif name == "hold":
            service.set_positions(ACCOUNTS[given_step[0]])
        elif name == "status":
            service.set_status(status(*given_step))
        else:
            service.end_minute()
        follower.pump()
    follower.check()
