from condord.simulator.entitlements import Entitlements, FeedSlots


def test_without_credentials_any_key_and_secret_are_accepted():
    assert Entitlements().accepts("k", "s")
    assert not Entitlements().accepts("", "s")
    assert not Entitlements().accepts("k", None)
    assert not Entitlements().accepts(["k"], "s")


def test_with_credentials_set_no_other_key_or_secret_is_accepted():
    entitlements = Entitlements(credentials=("k", "s"))
    assert entitlements.accepts("k", "s")
    assert not entitlements.accepts("k", "other")


def test_a_slot_is_held_until_it_is_released():
    slots, first, second = FeedSlots(), object(), object()
    assert slots.claim("indicative", "k", first)
    assert slots.claim("indicative", "k", first)
    assert not slots.claim("indicative", "k", second)
    assert slots.claim("opra", "k", second)
    assert slots.claim("indicative", "other", second)
    slots.release(first)
    assert slots.claim("indicative", "k", second)
