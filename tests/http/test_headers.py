from condord.http.headers import protected

PLAIN = [(b"content-type", b"application/json")]
PAGE = [(b"content-type", b"text/html; charset=utf-8")]


def test_every_answer_says_that_it_is_what_it_says_and_for_no_page_of_others():
    said = dict(protected(PLAIN))
    assert said[b"x-content-type-options"] == b"nosniff"
    assert said[b"referrer-policy"] == b"no-referrer"
    assert said[b"x-frame-options"] == b"DENY"
    assert said[b"cross-origin-resource-policy"] == b"same-origin"
    assert said[b"content-type"] == b"application/json"


def test_a_page_runs_nothing_and_asks_nobody_but_this_server():
    policy = dict(protected(PAGE))[b"content-security-policy"].decode()
    said = dict(part.split(" ", 1) for part in policy.split("; "))
    assert said == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def test_what_is_no_page_has_no_policy_for_one():
    assert b"content-security-policy" not in dict(protected(PLAIN))


def test_what_an_answer_says_itself_stands_and_comes_once():
    own = [*PAGE, (b"content-security-policy", b"default-src 'self'")]
    names = [name for name, _ in protected(own)]
    assert dict(protected(own))[b"content-security-policy"] == b"default-src 'self'"
    assert len(names) == len(set(names))


def test_headers_that_may_come_more_than_once_all_stay():
    twice = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    assert protected(twice)[:2] == twice
