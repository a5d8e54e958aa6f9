import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from condord.upstream.rate_limit import SHARES, Budget, requested_pause
from tests.examples import examples

MAX_PER_MINUTE = 200
CLOCK_PER_MINUTE = 30
"""Requests for the clock, which are the only ones of the share `main` to the trading API."""
PER_MINUTE = {
    "positions": 45,
    "main": 95,
    "side": 40,
    "spare": 20,
    "account": 40,
    "past": 20,
    "prices": 30,
    "figures": 30,
    "closes": 10,
}
HOSTS = {"main": "data", "prices": "data", "figures": "data", "closes": "data"}
"""The API that the requests of a share go to; the others go to the trading API."""
MAX_WAIT = {
    "positions": 4.0,
    "main": 60.0,
    "side": 30.0,
    "spare": 60.0,
    "account": 30.0,
    "past": 15.0,
    "prices": 12.0,
    "figures": 60.0,
    "closes": 60.0,
}


def taken(budget, share, now, host="trading"):
    """Return how many requests may go at one instant."""
    count = 0
    while budget.take(share, host, now):
        count += 1
    return count


class TestShares:
    def test_the_shares_of_each_api_are_two_hundred_a_minute_at_most(self):
        budget = Budget()
        sent = {share: sum(taken(budget, share, second / 10) for second in range(600)) for share in SHARES}
        assert sent == PER_MINUTE
        data = sum(count for share, count in sent.items() if HOSTS.get(share) == "data")
        assert data <= MAX_PER_MINUTE
        assert sum(sent.values()) - data + CLOCK_PER_MINUTE <= MAX_PER_MINUTE

    def test_a_request_makes_room_again_after_its_span(self):
        budget = Budget()
        assert budget.take("spare", "trading", 5.0)
        taken(budget, "spare", 20.0)
        assert budget.share_seconds("spare", 30.0) == 35.0
        assert (taken(budget, "spare", 64.9), taken(budget, "spare", 65.0)) == (0, 1)

    @pytest.mark.parametrize("share", sorted(SHARES))
    def test_no_share_delays_another(self, share):
        budget = Budget()
        for other in SHARES:
            if other != share:
                taken(budget, other, 0.0)
        assert budget.share_seconds(share, 0.0) == 0.0

    def test_positions_never_wait_longer_than_four_seconds(self):
        budget = Budget()
        for share in SHARES:
            taken(budget, share, 0.0)
        assert budget.share_seconds("positions", 0.0) == 4.0

    def test_the_room_of_a_share_is_counted(self):
        budget = Budget()
        assert budget.room("positions", 0.0) == 3
        budget.take("positions", "trading", 0.0)
        assert (budget.room("positions", 3.9), budget.room("positions", 4.0)) == (2, 3)


class TestPauses:
    def test_no_request_goes_to_a_host_during_its_pause(self):
        budget = Budget()
        budget.pause("data", 20.0, 100.0)
        assert not budget.take("main", "data", 119.9)
        assert budget.pause_seconds("data", 105.0) == 15.0
        assert budget.take("main", "data", 120.0)

    def test_requests_go_to_the_other_host_meanwhile(self):
        budget = Budget()
        budget.pause("data", 20.0, 100.0)
        assert budget.take("main", "trading", 100.0)

    def test_a_refused_request_is_not_counted(self):
        budget = Budget()
        budget.pause("data", 20.0, 100.0)
        assert not budget.take("side", "data", 100.0)
        assert taken(budget, "side", 100.0) == SHARES["side"].most

    def test_no_pause_is_longer_than_a_minute(self):
        budget = Budget()
        budget.pause("data", 86_400.0, 100.0)
        assert budget.pause_seconds("data", 100.0) == 60.0

    def test_a_shorter_pause_does_not_end_a_longer_one(self):
        budget = Budget()
        budget.pause("data", 20.0, 100.0)
        budget.pause("data", 1.0, 101.0)
        assert budget.pause_seconds("data", 101.0) == 19.0

    @pytest.mark.parametrize("share", sorted(SHARES))
    def test_only_the_shares_that_can_wait_leave_the_last_requests_to_others(self, share):
        budget = Budget()
        budget.pause_yielding("data", 86_400.0, 100.0)
        wait = 60.0 if share in ("past", "closes") else 0.0
        assert budget.pause_seconds("data", 100.0, share) == wait
        assert budget.take(share, "data", 159.9) == (not wait)
        assert budget.take(share, "trading", 159.9)
        assert budget.take(share, "data", 160.0)


class TestHeaders:
    NOW = 1_800_000_000.0

    def test_without_a_request_left_the_pause_lasts_until_the_reset(self):
        assert requested_pause({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1800000020"}, self.NOW) == 20.0

    @pytest.mark.parametrize(("remaining", "seconds"), [("0", 20.0), ("60", 20.0), ("61", 0.0), ("9" * 400, 0.0)])
    def test_with_a_reserve_the_pause_begins_while_requests_are_left(self, remaining, seconds):
        headers = {"X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": "1800000020"}
        assert requested_pause(headers, self.NOW, reserve=60) == seconds

    @pytest.mark.parametrize(
        ("remaining", "reset"),
        [
            ("1", "1800000020"),
            ("0", "1799999990"),
            ("0", ""),
            ("0", "soon"),
            ("0", "٣"),
            ("", "1800000020"),
            ("0", "-1"),
        ],
    )
    def test_anything_else_asks_for_no_pause(self, remaining, reset):
        assert requested_pause({"X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset}, self.NOW) == 0.0

    def test_answers_without_the_headers_ask_for_no_pause(self):
        assert requested_pause({}, self.NOW) == 0.0

    @given(st.text(), st.text() | st.integers().map(str))
    def test_any_headers_give_a_wait_that_is_a_number(self, remaining, reset):
        assert requested_pause({"X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset}, self.NOW) >= 0.0
        assert requested_pause({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}, self.NOW) >= 0.0


class BudgetMachine(RuleBasedStateMachine):
    """Callers in bursts, pauses of hosts, and time; `calm` checks the callers of one share."""

    def __init__(self):
        super().__init__()
        self.budget = Budget()
        self.calm = {share: Budget() for share in SHARES}
        self.now = 1000.0
        self.sent = []

    @rule(share=st.sampled_from(sorted(SHARES)), host=st.sampled_from(["trading", "data"]), count=st.integers(1, 150))
    def ask(self, share, host, count):
        for _ in range(count):
            may_go = self.budget.take(share, host, self.now)
            assert may_go == self.calm[share].take(share, host, self.now)
            if may_go:
                self.sent.append((self.now, share))

    @rule(seconds=st.floats(0.0, 90.0))
    def wait(self, seconds):
        self.now += seconds

    @rule(host=st.sampled_from(["trading", "data"]), seconds=st.floats(0.0, 1000.0))
    def pause(self, host, seconds):
        for budget in (self.budget, *self.calm.values()):
            budget.pause(host, seconds, self.now)

    @rule(share=st.sampled_from(sorted(SHARES)), host=st.sampled_from(["trading", "data"]))
    def go_at_the_announced_time(self, share, host):
        """A caller that returns at the announced time may go, and that time is within the bound of its share."""
        wait = self.budget.share_seconds(share, self.now)
        assert wait <= MAX_WAIT[share] + 1e-6
        pause = self.budget.pause_seconds(host, self.now)
        assert pause <= 60.0 + 1e-6
        self.now += max(wait, pause) + 1e-9  # a sum of floats may fall short
        assert self.budget.take(share, host, self.now)
        self.sent.append((self.now, share))
        assert self.calm[share].take(share, host, self.now)

    @invariant()
    def no_minute_has_too_many(self):
        recent = [share for at, share in self.sent if at + 60.0 > self.now]
        assert all(recent.count(share) <= most for share, most in PER_MINUTE.items())

    @invariant()
    def the_room_is_what_may_go(self):
        for share in SHARES:
            assert (self.budget.room(share, self.now) == 0) == (self.budget.share_seconds(share, self.now) > 0.0)


TestAnyCallers = pytest.mark.slow(BudgetMachine.TestCase)
TestAnyCallers.settings = settings(max_examples=examples(60), stateful_step_count=20, deadline=None)
