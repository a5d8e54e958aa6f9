from condord.cluster.denials import MAX_DENIALS, STANDING_SECONDS, Denials, publishing, subscribing


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_denial_is_new_once_per_connection():
    denials = Denials(Clock())
    what = publishing("a.b")
    assert (what, subscribing("a")) == ("publish to a.b", "subscribe to a")
    assert (denials.add(what), denials.add(what)) == (True, False)
    denials.clear()
    assert denials.first((what,)) is None
    assert denials.add(what)


def test_a_denial_lapses_when_it_was_not_repeated_for_a_while():
    clock = Clock()
    denials = Denials(clock)
    denials.add("publish to a")
    clock.now += STANDING_SECONDS - 1
    denials.add("subscribe to b")
    assert denials.first(("x", "subscribe to b", "publish to a")) == "subscribe to b"
    assert denials.text.startswith("the bus forbids this user to publish to a; permit it")
    clock.now += 2
    assert denials.first(("publish to a",)) is None
    assert denials.text.startswith("the bus forbids this user to subscribe to b; ")
    clock.now += STANDING_SECONDS
    assert denials.text is None


def test_an_operation_that_was_tried_again_without_a_denial_is_permitted():
    clock = Clock()
    denials = Denials(clock)
    denials.add("one")
    denials.add("two")
    clock.now += 1
    begun = clock.now
    denials.add("two")
    denials.settle(("one", "two", "never forbidden"), begun)
    assert denials.first(("one", "two", "never forbidden")) == "two"
    assert denials.add("one")


def test_the_number_of_denials_is_bounded():
    denials = Denials(Clock())
    assert all(denials.add(str(number)) for number in range(MAX_DENIALS))
    assert not denials.add("one more")
    assert denials.first(("one more",)) is None
