import pytest

from condord.upstream.pending_faults import SHOWN_WAIT_SECONDS, PendingFaults
from condord.upstream.rest_fault import RestFault


def fault(code):
    return RestFault(code, "", may_retry=True)


@pytest.fixture
def pending():
    return PendingFaults()


def test_positions_come_before_quotes_and_quotes_before_the_clock(pending):
    for endpoint in ("clock", "quotes", "positions"):
        pending.note(endpoint, fault(endpoint))
        assert pending.worst.code == endpoint
    for endpoint, next_one in (("positions", "quotes"), ("quotes", "clock")):
        pending.forget(endpoint)
        assert pending.worst.code == next_one
    pending.forget("clock")
    assert pending.worst is None


def test_a_failure_of_the_clock_comes_before_a_wait_of_positions(pending):
    with pending.waiting("positions", fault("budgetUsedUp"), 9.0):
        assert pending.worst.code == "budgetUsedUp"
        pending.note("clock", fault("timeout"))
        assert pending.worst.code == "timeout"


def test_other_endpoints_are_not_shown(pending):
    pending.note("orders", fault("timeout"))
    assert pending.worst is None


def test_the_end_of_a_call_that_never_failed_changes_nothing(pending):
    pending.forget("positions")
    assert pending.worst is None


def test_a_short_wait_is_not_shown(pending):
    with pending.waiting("positions", fault("budgetUsedUp"), SHOWN_WAIT_SECONDS - 0.1):
        assert pending.worst is None


def test_the_newest_of_several_waits_counts_until_it_ends(pending):
    with pending.waiting("quotes", fault("first"), SHOWN_WAIT_SECONDS):
        with pending.waiting("quotes", fault("second"), SHOWN_WAIT_SECONDS):
            assert pending.worst.code == "second"
        assert pending.worst is None
    assert pending.worst is None


def test_a_wait_that_is_given_up_is_over(pending):
    with pytest.raises(ZeroDivisionError), pending.waiting("positions", fault("budgetUsedUp"), 9.0):
        _ = 1 / 0
    assert pending.worst is None


def test_the_fault_of_the_positions_comes_first(pending):
    with pending.waiting("positions", fault("a"), 9.0):
        pending.note("clock", fault("b"))
        assert pending.worst.code == "b"
        pending.note("quotes", fault("c"))
        assert pending.worst.code == "c"
        pending.forget("quotes")
        pending.forget("clock")
        assert pending.worst.code == "a"
    assert pending.worst is None


def test_a_wait_is_shown_until_the_last_of_several_requests_has_waited(pending):
    second = fault("b")
    with pending.waiting("quotes", second, 9.0):
        with pending.waiting("quotes", fault("a"), 9.0):
            pass
        assert pending.worst in (None, second)
    assert pending.worst is None
