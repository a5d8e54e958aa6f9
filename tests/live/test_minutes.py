"""The structs by themselves; test_recording.py has what is recorded in them."""

import datetime as dt

from condord.live.minutes import Extremes, HoldingPeriod, RecordedPast

from .accounts import EPOCH_AT, SPY_ID


def test_extremes_are_found_by_the_id_and_the_opening_of_a_holding():
    held = HoldingPeriod(condor_id=SPY_ID, opened_at=EPOCH_AT)
    past = RecordedPast(extremes={held: Extremes(worst=-1, best=2)})
    in_new_york = EPOCH_AT.astimezone(dt.timezone(dt.timedelta(hours=-5)))
    assert past.extremes[HoldingPeriod(condor_id=SPY_ID, opened_at=in_new_york)] == Extremes(worst=-1, best=2)
    assert HoldingPeriod(condor_id=SPY_ID, opened_at=None) not in past.extremes
