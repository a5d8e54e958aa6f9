import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from condord.history.instants import instant, instant_or_none, microseconds, microseconds_or_none

INSTANTS = st.datetimes(timezones=st.just(dt.UTC))


@given(INSTANTS)
def test_an_instant_is_the_same_after_both_conversions(at):
    assert instant(microseconds(at)) == at
    assert instant_or_none(microseconds_or_none(at)) == at


def test_a_missing_instant_is_converted_to_none():
    assert microseconds_or_none(None) is None
    assert instant_or_none(None) is None
