from condord.upstream.awaited_bookings import FIRST_SECONDS, AwaitedBookings

ONE, TWO = frozenset({"one"}), frozenset({"two"})
NONE = frozenset()


class Harness:
    """Looks once a second, from 0 on, and notes when a reading is due."""

    def __init__(self):
        self.awaited = AwaitedBookings(900.0)
        self.now = 0.0
        self.due = []

    def wait(self, keys, seconds):
        for _ in range(int(seconds)):
            if self.awaited.is_due(keys, self.now):
                self.due.append(self.now)
            self.now += 1.0
        return self


def test_an_awaited_booking_is_read_soon_and_again_after_pauses_that_double():
    assert Harness().wait(ONE, 86_400).due == [5.0, 15.0, 35.0, 75.0, 155.0, 315.0, 635.0, 1275.0]


def test_nothing_is_read_if_nothing_awaits_a_booking():
    assert Harness().wait(NONE, 3600).due == []


def test_a_change_that_is_explained_at_once_is_not_read():
    assert Harness().wait(ONE, FIRST_SECONDS - 1).wait(NONE, 3600).due == []


def test_a_change_that_is_explained_later_is_read_once_more():
    assert Harness().wait(ONE, 100).wait(NONE, 3600).due == [5.0, 15.0, 35.0, 75.0, 100.0]
    assert Harness().wait(ONE, 10_000).wait(NONE, 3600).due[-1] == 10_000.0


def test_the_pauses_begin_again_with_the_next_change():
    harness = Harness().wait(ONE, 10_000)
    harness.due.clear()
    harness.wait(ONE | TWO, 100)
    assert harness.due == [10_005.0, 10_015.0, 10_035.0, 10_075.0]


def test_after_one_of_several_changes_is_explained_the_others_are_still_awaited():
    harness = Harness().wait(ONE | TWO, 20).wait(TWO, 100)
    assert harness.due == [5.0, 15.0, 20.0, 60.0]
    assert harness.wait(NONE, 100).wait(ONE, 3).wait(NONE, 100).due[4:] == [120.0]
