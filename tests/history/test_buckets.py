from hypothesis import given
from hypothesis import strategies as st

from condord.history.buckets import Bucket, Run, joined

VALUES = st.none() | st.integers(-(10**9), 10**9)
BUCKETS = st.lists(
    st.builds(Bucket, st.integers(1, 500), VALUES, VALUES, VALUES, VALUES, VALUES, st.integers(1, 9)), max_size=40
).map(lambda found: sorted(found, key=lambda bucket: bucket.number))


def last(values):
    return next((value for value in reversed(values) if value is not None), None)


@given(BUCKETS, st.integers(1, 40))
def test_joined_buckets_keep_their_extremes_and_last_known_values(buckets, factor):
    found = joined(buckets, factor)
    assert [each.number for each in found] == sorted({-(-each.number // factor) for each in buckets})
    for each in found:
        some = [bucket for bucket in buckets if -(-bucket.number // factor) == each.number]
        assert each.low == min((one.low for one in some if one.low is not None), default=None)
        assert each.high == max((one.high for one in some if one.high is not None), default=None)
        assert each.cents == last([one.cents for one in some])
        assert each.natural == last([one.natural for one in some])
        assert each.price_e4 == last([one.price_e4 for one in some])
        assert each.quantity == some[-1].quantity


def test_the_first_quarter_of_a_run_contains_its_start():
    run = Run(run=1, start=30, quantity=1, credit_e4=None, cents=None, unit=1, price_e4=0, state="recent")
    assert [run._replace(start=start).first_quarter for start in (30, 31, 44, 45, 46)] == [2, 3, 3, 3, 4]
