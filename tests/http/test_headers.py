from condord.http.headers import protected

PLAIN = [(b"content-type", b"application/json")]
PAGE = [(b"content-type", b"text/html; charset=utf-8")]


def test_every_answer_forbids_sniffing_framing_and_use_by_other_origins():
    headers = dict(protected(PLAIN))
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"referrer-policy"] == b"no-referrer"
    assert headers[b"x-frame-options"] == b"DENY"
    assert headers[b"cross-origin-resource-policy"] == b"same-origin"
    assert headers[b"content-type"] == b"application/json"


def test_a_page_may_load_and_connect_to_only_this_server():
    policy = dict(protected(PAGE))[b"content-security-policy"].decode()
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    assert directives == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def test_only_a_page_has_a_content_security_policy():
    assert b"content-security-policy" not in dict(protected(PLAIN))


def test_a_header_that_the_answer_sets_itself_is_kept_and_not_repeated():
    own = [*PAGE, (b"content-security-policy", b"default-src 'self'")]
    names = [name for name, _ in protected(own)]
    assert dict(protected(own))[b"content-security-policy"] == b"default-src 'self'"
    assert len(names) == len(set(names))


def test_repeated_headers_are_all_kept():
    twice = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    assert protected(twice)[:2] == twice
