from condord.simulator.rate_limiter import RateLimiter


def test_a_key_may_make_limit_requests_a_minute():
    limit = RateLimiter(2)
    allowances = [limit.take("k", "v2", 120.0 + second) for second in range(3)]
    assert [allowance.is_allowed for allowance in allowances] == [True, True, False]
    assert [allowance.remaining for allowance in allowances] == [1, 0, 0]
    assert allowances[0].headers == {
        "X-RateLimit-Limit": "2",
        "X-RateLimit-Remaining": "1",
        "X-RateLimit-Reset": "180",
    }


def test_keys_and_apis_are_counted_separately_and_reset_each_minute():
    limit = RateLimiter(1)
    assert limit.take("a", "v2", 0.0).is_allowed
    assert limit.take("b", "v2", 0.0).is_allowed
    assert limit.take("a", "v1beta1", 0.0).is_allowed
    assert not limit.take("a", "v2", 59.9).is_allowed
    assert limit.take("a", "v2", 60.0).is_allowed
