import pytest

from condord.upstream.pending_faults import SHOWN_WAIT_SECONDS, PendingFaults
from condord.upstream.rest_fault import RestFault


def fault(code):
    return RestFault(code, "", may_retry=True)


@pytest.fixture
def trouble():
    return PendingFaults()


def test_positions_come_before_quotes_and_quotes_before_the_clock(trouble):
    for endpoint in ("clock", "quotes", "positions"):
        trouble.note(endpoint, fault(endpoint))
        assert trouble.worst.code == endpoint
    for endpoint, next_one in (("positions", "quotes"), ("quotes", "clock")):
        trouble.forget(endpoint)
        assert trouble.worst.code == next_one
    trouble.forget("clock")
    assert trouble.worst is None


def test_a_failure_of_the_clock_comes_before_a_wait_of_positions(trouble):
    with trouble.waiting("positions", fault("budgetUsedUp"), 9.0):
        assert trouble.worst.code == "budgetUsedUp"
        trouble.note("clock", fault("timeout"))
        assert trouble.worst.code == "timeout"


def test_other_endpoints_are_not_shown(trouble):
    trouble.note("orders", fault("timeout"))
    assert trouble.worst is None


def test_the_end_of_a_call_that_never_failed_changes_nothing(trouble):
    trouble.forget("positions")
    assert trouble.worst is None


def test_a_short_wait_is_not_shown(trouble):
    with trouble.waiting("positions", fault("budgetUsedUp"), SHOWN_WAIT_SECONDS - 0.1):
        assert trouble.worst is None


def test_the_newest_of_several_waits_counts_until_it_ends(trouble):
    with trouble.waiting("quotes", fault("first"), SHOWN_WAIT_SECONDS):
        with trouble.waiting("quotes", fault("second"), SHOWN_WAIT_SECONDS):
            assert trouble.worst.code == "second"
        assert trouble.worst is None
    assert trouble.worst is None


def test_a_wait_that_is_given_up_is_over(trouble):
    with pytest.raises(ZeroDivisionError), trouble.waiting("positions", fault("budgetUsedUp"), 9.0):
        _ = 1 / 0
    assert trouble.worst is None


def test_the_fault_of_the_positions_comes_first(trouble):
    with trouble.waiting("positions", fault("a"), 9.0):
        trouble.note("clock", fault("b"))
        assert trouble.worst.code == "b"
        trouble.note("quotes", fault("c"))
        assert trouble.worst.code == "c"
        trouble.forget("quotes")
        trouble.forget("clock")
        assert trouble.worst.code == "a"
    assert trouble.worst is None


def test_a_wait_is_shown_until_the_last_of_several_requests_has_waited(trouble):
    second = fault("b")
    with trouble.waiting("quotes", second, 9.0):
        with trouble.waiting("quotes", fault("a"), 9.0):
            pass
        assert trouble.worst in (None, second)
    assert trouble.worst is None
