from condord.simulator.ratelimit import RateLimit


def test_a_key_has_so_many_requests_a_minute():
    limit = RateLimit(2)
    answers = [limit.take("k", "v2", 120.0 + second) for second in range(3)]
    assert [each.is_allowed for each in answers] == [True, True, False]
    assert [each.remaining for each in answers] == [1, 0, 0]
    assert answers[0].headers == {
        "X-RateLimit-Limit": "2",
        "X-RateLimit-Remaining": "1",
        "X-RateLimit-Reset": "180",
    }


def test_keys_and_apis_are_counted_apart_and_a_minute_gives_all_back():
    limit = RateLimit(1)
    assert limit.take("a", "v2", 0.0).is_allowed
    assert limit.take("b", "v2", 0.0).is_allowed
    assert limit.take("a", "v1beta1", 0.0).is_allowed
    assert not limit.take("a", "v2", 59.9).is_allowed
    assert limit.take("a", "v2", 60.0).is_allowed
