import pytest

from condord.upstream.status_publisher import StatusPublisher
from tests.live.accounts import status


class Published:
    """What was published of `current`, and how often the stocks were noted."""

    def __init__(self):
        self.current = status(read=1, message=1)
        self.statuses, self.notes = [], 0
        self.publisher = StatusPublisher(lambda: self.current, self.note, publish=self.statuses.append)

    def note(self):
        self.notes += 1


@pytest.fixture
def published():
    return Published()


def test_the_first_status_is_a_change(published):
    published.publisher.publish_change()
    assert published.statuses == [published.current]


def test_a_status_with_another_state_or_reason_is_published_at_once(published):
    published.publisher.publish()
    published.current = status("stale", read=1, message=1)
    published.publisher.publish_change()
    assert [each.state for each in published.statuses] == ["live", "stale"]


def test_a_status_with_other_instants_waits_for_the_next_time_when_any_is_published(published):
    published.publisher.publish()
    published.current = newest = status(read=2, message=3)
    published.publisher.publish_change()
    assert len(published.statuses) == 1
    published.publisher.publish()
    assert published.statuses[1] == newest


def test_a_change_is_one_from_what_was_published_last(published):
    published.publisher.publish()
    first = published.current
    for current in (status("stale", read=1, message=1), first):
        published.current = current
        published.publisher.publish_change()
    assert [each.state for each in published.statuses] == ["live", "stale", "live"]


def test_the_stocks_are_noted_each_time(published):
    for _ in range(2):
        published.publisher.publish_change()
        published.publisher.publish()
    assert published.notes == 4
