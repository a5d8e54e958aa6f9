import pytest

from condord.live.catch_up import caught_up
from condord.live.published import EVERYTHING

from .accounts import PublishingService, applied, events, spy, status


@pytest.fixture
def service():
    service = PublishingService(spy())
    service.set_status(status())
    return service


def version_of(service):
    return service.fanout._edition.version


def caught(service, version):
    return events(caught_up(service.fanout, version, service.now_at))


def test_a_client_without_a_version_gets_a_snapshot(service):
    [(event, identity, data)] = caught(service, None)
    assert (event, identity) == ("snapshot", version_of(service))
    assert applied(None, event, identity, data) == service.document(EVERYTHING)
    assert service.fanout.subscribers == 0


def test_missed_events_are_joined_into_one_delta(service):
    before = version_of(service)
    service.move()
    service.move()
    [(event, identity, _)] = caught(service, before)
    assert (event, identity) == ("delta", version_of(service))


def test_a_client_of_another_epoch_gets_a_snapshot_with_the_reason(service):
    found = caught_up(service.fanout, "other-1", service.now_at)
    assert b": resync, unknownEpoch" in found
    assert [event for event, _, _ in events(found)] == ["snapshot"]


def test_a_client_that_is_ahead_gets_no_answer(service):
    epoch, _, number = version_of(service).rpartition("-")
    assert caught(service, f"{epoch}-{int(number) + 1}") == []
    assert service.fanout.subscribers == 0
