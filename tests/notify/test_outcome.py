from condord.notify.outcome import Outcome


def test_a_plain_failure_is_neither_gone_nor_down():
    outcome = Outcome(ok=False, text="It cannot be reached.")
    assert (outcome.status, outcome.is_gone, outcome.is_down) == (None, False, False)
