import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from condord.upstream.budget import SHARES, Budget, told_pause

MOST_SIDE = 60
MOST = 200


def taken(budget, share, now, host="trading"):
    """How many requests may go at one instant."""
    count = 0
    while budget.take(share, host, now):
        count += 1
    return count


class TestShares:
    def test_all_together_are_two_hundred_a_minute(self):
        budget = Budget()
        assert taken(budget, "side", 0.0) == MOST_SIDE
        assert taken(budget, "main", 0.0) == MOST - MOST_SIDE

    def test_there_is_room_again_a_minute_after_a_request_went(self):
        budget = Budget()
        assert budget.take("side", "trading", 5.0)
        taken(budget, "side", 20.0)
        assert budget.share_seconds("side", 30.0) == 35.0
        assert (taken(budget, "side", 64.9), taken(budget, "side", 65.0)) == (0, 1)

    def test_the_side_never_makes_the_others_wait(self):
        budget = Budget()
        taken(budget, "side", 0.0)
        assert budget.share_seconds("main", 0.0) == 0.0
        taken(budget, "main", 0.0)
        assert budget.share_seconds("side", 60.0) == 0.0


class TestPauses:
    def test_nothing_goes_to_a_host_before_it_wants(self):
        budget = Budget()
        budget.pause("data", 20.0, 100.0)
        assert not budget.take("main", "data", 119.9)
        assert budget.pause_seconds("data", 105.0) == 15.0
        assert budget.take("main", "data", 120.0)

    def test_the_other_host_is_asked_meanwhile(self):
        budget = Budget()
        budget.pause("data", 20.0, 100.0)
        assert budget.take("main", "trading", 100.0)

    def test_what_may_not_go_is_not_counted(self):
        budget = Budget()
        budget.pause("data", 20.0, 100.0)
        assert not budget.take("side", "data", 100.0)
        assert taken(budget, "side", 100.0) == MOST_SIDE

    def test_no_pause_is_longer_than_a_minute(self):
        budget = Budget()
        budget.pause("data", 86_400.0, 100.0)
        assert budget.pause_seconds("data", 100.0) == 60.0

    def test_a_shorter_one_does_not_end_a_longer_one(self):
        budget = Budget()
        budget.pause("data", 20.0, 100.0)
        budget.pause("data", 1.0, 101.0)
        assert budget.pause_seconds("data", 101.0) == 19.0


class TestHeaders:
    NOW = 1_800_000_000.0

    def test_when_no_request_is_left_we_wait_until_the_reset(self):
        assert told_pause({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1800000020"}, self.NOW) == 20.0

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
    def test_anything_else_asks_for_nothing(self, remaining, reset):
        assert told_pause({"X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset}, self.NOW) == 0.0

    def test_answers_without_them_ask_for_nothing(self):
        assert told_pause({}, self.NOW) == 0.0

    @given(st.text(), st.text() | st.integers().map(str))
    def test_whatever_they_say_the_wait_is_a_number(self, remaining, reset):
        assert told_pause({"X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset}, self.NOW) >= 0.0
        assert told_pause({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}, self.NOW) >= 0.0


class BudgetMachine(RuleBasedStateMachine):
    """Callers come in bursts, hosts ask for pauses, time goes on. `calm` sees what the main callers alone do."""

    def __init__(self):
        super().__init__()
        self.budget = Budget()
        self.calm = Budget()
        self.now = 1000.0
        self.went = []

    @rule(share=st.sampled_from(sorted(SHARES)), host=st.sampled_from(["trading", "data"]), count=st.integers(1, 150))
    def ask(self, share, host, count):
        for _ in range(count):
            may_go = self.budget.take(share, host, self.now)
            if share == "main":
                assert may_go == self.calm.take(share, host, self.now)
            if may_go:
                self.went.append((self.now, share))

    @rule(seconds=st.floats(0.0, 90.0))
    def wait(self, seconds):
        self.now += seconds

    @rule(host=st.sampled_from(["trading", "data"]), seconds=st.floats(0.0, 1000.0))
    def pause(self, host, seconds):
        self.budget.pause(host, seconds, self.now)
        self.calm.pause(host, seconds, self.now)

    @rule(share=st.sampled_from(sorted(SHARES)), host=st.sampled_from(["trading", "data"]))
    def go_as_soon_as_may_be(self, share, host):
        """Nobody starves: a caller that comes when it is told to goes, and that is within a minute."""
        wait = max(self.budget.share_seconds(share, self.now), self.budget.pause_seconds(host, self.now))
        assert wait <= 60.0 + 1e-6
        self.now += wait + 1e-9  # a sum of floats may fall short
        assert self.budget.take(share, host, self.now)
        self.went.append((self.now, share))
        if share == "main":
            assert self.calm.take(share, host, self.now)

    @invariant()
    def no_minute_has_too_many(self):
        recent = [share for at, share in self.went if at + 60.0 > self.now]
        assert len(recent) <= MOST
        assert recent.count("side") <= MOST_SIDE


TestAnyCallers = pytest.mark.slow(BudgetMachine.TestCase)
TestAnyCallers.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
