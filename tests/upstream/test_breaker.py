import asyncio

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from condord.upstream.breaker import Breaker
from condord.upstream.rest_fault import RestFault
from tests.fakes.alpaca import OUTAGE

REFUSAL = RestFault("refused", "no", may_retry=False, is_outage=False)
LIMITED = RestFault("rateLimited", "too many requests", may_retry=True, is_outage=False)


class Harness:
    """A breaker that opens after `failures` for ten seconds, with its clock."""

    def __init__(self, failures=1):
        self.now = 1000.0
        self.breaker = Breaker(failures, 10.0)

    def begin(self):
        """Begin a call, to be finished with `end`."""
        call = self.breaker.guarding(lambda: self.now)
        call.__enter__()
        return call

    def call(self, outcome=None):
        end(self.begin(), outcome)


def end(call, outcome=None):
    """End a call with success, or with the exception `outcome`."""
    if outcome is None:
        call.__exit__(None, None, None)
    else:
        assert not call.__exit__(type(outcome), outcome, None)


@pytest.fixture
def harness():
    return Harness()


def refused(harness):
    """Return the fault of a refused call."""
    with pytest.raises(RestFault) as caught:
        harness.begin()
    with pytest.raises(RestFault):
        harness.breaker.check(harness.now)
    return caught.value


class TestOpening:
    def test_the_breaker_opens_after_the_configured_number_of_outages_in_a_row(self):
        harness = Harness(failures=3)
        for state in ("closed", "closed", "open"):
            harness.call(OUTAGE)
            assert harness.breaker.state == state

    @pytest.mark.parametrize("answer", [None, REFUSAL])
    def test_any_answer_resets_the_count(self, answer):
        harness = Harness(failures=2)
        for outcome in (OUTAGE, answer, OUTAGE, answer):
            harness.call(outcome)
        assert harness.breaker.state == "closed"

    @pytest.mark.parametrize("silence", [asyncio.CancelledError(), LIMITED], ids=["cancelled", "429"])
    def test_an_inconclusive_call_neither_counts_nor_resets_the_count(self, silence):
        harness = Harness(failures=2)
        for outcome in (OUTAGE, silence, silence):
            harness.call(outcome)
        assert harness.breaker.state == "closed"
        for outcome in (silence, OUTAGE):
            harness.call(outcome)
        assert harness.breaker.state == "open"

    def test_an_open_breaker_refuses_calls_with_the_newest_outage(self, harness):
        harness.call(OUTAGE)
        harness.now += 9.9
        fault = refused(harness)
        assert (fault.code, fault.may_retry, fault.is_outage) == (OUTAGE.code, False, False)
        assert OUTAGE.text in fault.text

    def test_calls_under_way_when_it_opened_change_nothing(self, harness):
        good, bad = harness.begin(), harness.begin()
        harness.call(OUTAGE)
        harness.now += 5.0
        end(bad, OUTAGE)
        end(good)
        assert harness.breaker.state == "open"
        harness.now += 5.0
        harness.breaker.check(harness.now)

    def test_changed_bounds_apply_from_now_on(self, harness):
        harness.breaker.set(2, 5.0)
        harness.call(OUTAGE)
        assert harness.breaker.state == "closed"
        harness.call(OUTAGE)
        harness.now += 5.0
        harness.call()
        assert harness.breaker.state == "closed"

    def test_a_bug_is_not_an_outage(self, harness):
        harness.call(ZeroDivisionError())
        assert harness.breaker.state == "closed"


class TestProbe:
    @pytest.fixture
    def probe(self, harness):
        harness.call(OUTAGE)
        harness.now += 10.0
        return harness.begin()

    def test_during_a_probe_all_other_calls_are_refused(self, harness, probe):
        assert harness.breaker.state == "halfOpen"
        assert "too often in a row" in refused(harness).text
        assert "too often in a row" in refused(harness).text

    @pytest.mark.parametrize("answer", [None, REFUSAL])
    def test_a_good_probe_closes_the_breaker(self, harness, probe, answer):
        end(probe, answer)
        assert harness.breaker.state == "closed"
        harness.call()

    def test_a_bad_probe_opens_the_breaker_again_for_the_whole_reset_time(self, harness, probe):
        harness.now += 3.0
        end(probe, OUTAGE)
        assert harness.breaker.state == "open"
        harness.now += 9.9
        refused(harness)
        harness.now += 0.1
        harness.call()
        assert harness.breaker.state == "closed"

    def test_a_call_that_may_not_probe_is_refused_until_the_breaker_closes(self, harness):
        harness.breaker.check(harness.now, may_probe=False)
        harness.call(OUTAGE)
        harness.now += 10.0
        for _ in range(2):
            with pytest.raises(RestFault, match="too often in a row"):
                harness.breaker.check(harness.now, may_probe=False)
            harness.breaker.check(harness.now)
        harness.call()
        harness.breaker.check(harness.now, may_probe=False)

    @pytest.mark.parametrize("silence", [asyncio.CancelledError(), LIMITED], ids=["cancelled", "429"])
    def test_after_an_inconclusive_probe_the_next_call_is_the_probe(self, harness, probe, silence):
        end(probe, silence)
        assert harness.breaker.state == "halfOpen"
        harness.call()
        assert harness.breaker.state == "closed"

    def test_an_earlier_call_does_not_count_as_the_probe(self, harness):
        late = harness.begin()
        harness.call(OUTAGE)
        harness.now += 10.0
        probe = harness.begin()
        end(late)
        assert harness.breaker.state == "halfOpen"
        end(probe, OUTAGE)
        assert harness.breaker.state == "open"


class BreakerMachine(RuleBasedStateMachine):
    """Calls begin and end in any order while time passes."""

    def __init__(self):
        super().__init__()
        self.harness = Harness(failures=3)
        self.under_way = []
        self.probes = []

    @rule()
    def begin(self):
        before = self.harness.breaker.state
        try:
            call = self.harness.begin()
        except RestFault:
            assert before != "closed"
            return
        self.under_way.append(call)
        if before != "closed":
            assert self.harness.breaker.state == "halfOpen"
            self.probes.append(call)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), outcome=st.sampled_from([None, OUTAGE, REFUSAL, LIMITED, asyncio.CancelledError()]))
    def end(self, data, outcome):
        call = data.draw(st.sampled_from(self.under_way))
        before, was_probe = self.harness.breaker.state, call in self.probes
        self.under_way.remove(call)
        end(call, outcome)
        after = self.harness.breaker.state
        if was_probe:
            self.probes.remove(call)
            is_silent = outcome is LIMITED or isinstance(outcome, asyncio.CancelledError)
            assert after == ("halfOpen" if is_silent else "open" if outcome is OUTAGE else "closed")
        elif before != "closed" or outcome is not OUTAGE:
            assert after == before

    @rule(seconds=st.sampled_from([1.0, 5.0, 10.0]))
    def wait(self, seconds):
        self.harness.now += seconds

    @invariant()
    def there_is_one_probe_at_most_and_only_half_open(self):
        assert len(self.probes) <= (self.harness.breaker.state == "halfOpen")


TestAnyCalls = pytest.mark.slow(BreakerMachine.TestCase)
