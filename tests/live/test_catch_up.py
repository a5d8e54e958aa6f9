import pytest

from condord.live.catch_up import caught_up
from condord.live.published import EVERYTHING

from .accounts import House, applied, events, spy, status


@pytest.fixture
def house():
    made = House(spy())
    made.set_status(status())
    return made


def version_of(house):
    return house.fanout._edition.version


def caught(house, version):
    return events(caught_up(house.fanout, version, house.now_at))


def test_a_client_without_a_version_gets_a_snapshot(house):
    [(event, identity, data)] = caught(house, None)
    assert (event, identity) == ("snapshot", version_of(house))
    assert applied(None, event, identity, data) == house.document(EVERYTHING)
    assert house.fanout.subscribers == 0


def test_missed_events_are_joined_into_one_delta(house):
    before = version_of(house)
    house.move()
    house.move()
    [(event, identity, _)] = caught(house, before)
    assert (event, identity) == ("delta", version_of(house))


def test_a_client_of_another_epoch_gets_a_snapshot_with_the_reason(house):
    found = caught_up(house.fanout, "other-1", house.now_at)
    assert b": resync, unknownEpoch" in found
    assert [event for event, _, _ in events(found)] == ["snapshot"]


def test_a_client_that_is_ahead_gets_no_answer(house):
    epoch, _, number = version_of(house).rpartition("-")
    assert caught(house, f"{epoch}-{int(number) + 1}") == []
    assert house.fanout.subscribers == 0
