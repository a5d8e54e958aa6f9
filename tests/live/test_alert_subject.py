"""The key of a subject."""

from .alert_parts import CONDOR, subject


def test_the_key_is_the_id_the_symbol_or_the_account():
    assert [subject(key=each).key for each in (CONDOR, "SPY", "account")] == [CONDOR, "SPY", "account"]
