from condord.simulator.session import Slots, Terms


def test_without_credentials_any_key_and_secret_will_do():
    assert Terms().accepts("k", "s")
    assert not Terms().accepts("", "s")
    assert not Terms().accepts("k", None)
    assert not Terms().accepts(["k"], "s")


def test_with_credentials_only_these_will_do():
    terms = Terms(credentials=("k", "s"))
    assert terms.accepts("k", "s")
    assert not terms.accepts("k", "other")


def test_a_slot_is_held_until_it_is_released_and_slots_of_others_are_free():
    slots, first, second = Slots(), object(), object()
    assert slots.claim("indicative", "k", first)
    assert slots.claim("indicative", "k", first)
    assert not slots.claim("indicative", "k", second)
    assert slots.claim("opra", "k", second)
    assert slots.claim("indicative", "other", second)
    slots.release(first)
    assert slots.claim("indicative", "k", second)
