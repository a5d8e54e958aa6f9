import asyncio

import hypothesis.strategies as st
import pytest
from hypothesis import given

from condord.config import is_loopback
from condord.http.guard import COOKIE, Guard, _cookie, host_name, origin_name
from condord.http.ports import GuardSettings
from tests.http.asking import Conversation, FakeDaemon, ask

TOKEN = "a-token-of-some-length"
MINTED = _cookie(TOKEN.encode()).decode()
CARDS = "https://cards.example"
EVIL = "https://evil.example"
PROTECTION = {"x-content-type-options", "referrer-policy", "x-frame-options", "cross-origin-resource-policy"}


def settings_of(*, token=None, origins=(), hosts=("condord.example",)):
    return GuardSettings(
        knows_host=lambda name: name in hosts or is_loopback(name),
        origins=frozenset(origins),
        token=(lambda: token) if token else None,
    )


def guarded(path="/livez", *, method="GET", token=None, origins=(), hosts=("condord.example",), **headers):
    settings = settings_of(token=token, origins=origins, hosts=hosts)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = ask(FakeDaemon(), path, method=method, headers=named, around=lambda app: Guard(app, settings))
    assert answer.headers.keys() >= PROTECTION
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status
        assert TOKEN not in answer.body.decode() + str(answer.headers)
    return answer


def through(app, *, headers=(), root_path="", path="/", query=b"", token=None, method="GET", origins=()):
    """What comes of one request to `app` behind a guard, with raw headers; whatever `app` raises is raised."""
    conversation = Conversation(Guard(app, settings_of(token=token, origins=origins)), path)
    conversation._scope |= {"root_path": root_path, "query_string": query, "method": method}
    if headers:
        conversation._scope["headers"] = list(headers)
    return conversation


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1:8420",
        "[::1]:8420",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "LOCALHOST:1",
        "localhost.",
        "localhost.:8420",
        "localhost:",
        "condord.example",
        "Condord.Example.:80",
        "127.8.9.1",
    ],
)
def test_loopback_names_and_known_hosts_are_served(host):
    assert guarded(Host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "",
        ":8420",
        ".",
        "localhost..",
        "localhost.evil.example",
        "10.0.0.1",
        "10.0.0.1:8420",
        "127.1",
        "2130706433",
        "[::2]",
        "[::ffff:10.0.0.1]",
        "127.0.0.1.evil",
    ],
)
def test_any_other_host_is_misdirected(host):
    answer = guarded(Host=host)
    assert answer.status == 421
    assert answer.json()["title"] == "Misdirected Request"


@pytest.mark.parametrize(
    "host",
    [
        "localhost:80.evil",
        "localhost:80:80",
        "user@localhost",
        "localhost/evil",
        "local host",
        "localhost, evil.example",
        "[::1",
        "[::1]evil",
        "[1:2]",
        "[v1.x]",
        "::1",
        "[::1%lo]",
        "localhost\xe9",
        "\xff",
    ],
)
@pytest.mark.parametrize("path", ["/livez", "/no/such/thing"])
def test_a_malformed_host_is_a_bad_request_and_never_a_bug(host, path):
    assert guarded(path, Host=host).status == 400


@given(st.text(st.characters(max_codepoint=255)))
def test_a_host_header_of_any_shape_has_a_name_or_none(host):
    name = host_name(host)
    assert name is None or (name == name.lower() and name.isascii() and not set(name) & set("[]/@ \t,%?#"))


@given(st.text(st.characters(max_codepoint=255)))
def test_no_host_header_makes_a_bug_of_a_wrong_path(host):
    settings = settings_of(hosts=[host_name(host)])
    answer = ask(FakeDaemon(), "/nothing", headers={"Host": host}, around=lambda app: Guard(app, settings))
    assert answer.status in (400, 404)


@pytest.mark.parametrize("headers", [[(b"host", b"localhost"), (b"host", b"localhost")], [(b"x", b"y")]])
def test_one_host_header_is_needed(headers):
    answer = asyncio.run(through(whole_path, headers=headers).run())
    assert answer.status == (400 if len(headers) > 1 else 421)


async def whole_path(scope, receive, send):
    """An application that tells which path was asked for."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://localhost/livez", b"/livez"),
        ("HTTPS://LOCALHOST/livez", b"/livez"),
        ("http://localhost", b"/"),
        ("/http://localhost/livez", b"/http://localhost/livez"),
        ("http://evil.example/livez", None),
        ("http://user@localhost/livez", None),
        ("http://localhost:1/livez", None),
        ("http:///livez", None),
        ("ftp://localhost/livez", None),
        ("localhost:8420", None),
        ("*", None),
        ("", None),
    ],
)
def test_a_whole_url_as_the_address_has_to_name_the_same_host(target, path):
    answer = asyncio.run(through(whole_path, path=target).run())
    assert (answer.status, answer.body if path else None) == (200 if path else 400, path)


@pytest.mark.parametrize(
    "offer",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer {TOKEN}"},
        {"Cookie": f"a=b; {COOKIE}={MINTED}"},
        {"Cookie": f'broken {{"a": [1, 2]}}=\x01; =; {COOKIE}=of-another-port; {COOKIE}={MINTED}'},
    ],
)
def test_the_right_token_passes_by_header_and_cookie(offer):
    assert guarded(token=TOKEN, **offer).status == 200


def test_the_right_token_passes_in_the_query_for_an_event_source():
    assert guarded(f"/livez?access_token={TOKEN}", token=TOKEN).status == 200


@pytest.mark.parametrize(
    "offer",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {MINTED}"},
        {"Cookie": f"{COOKIE}=wrong"},
        {"Cookie": f"{COOKIE}={TOKEN}"},
        {"Cookie": f"{COOKIE}=\xe9\xff"},
        {"Cookie": COOKIE},
        {"Cookie": "\x01=;;=\xff"},
        {"Authorization": "Bearer \xff"},
    ],
)
def test_without_the_right_token_the_answer_is_401(offer):
    answer = guarded(token=TOKEN, **offer)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN not in answer.body.decode()


@pytest.mark.parametrize(
    "query", ["", "?access_token=wrong", "?access_token=%FF%ED%A0%80", "?access_token=", "?token=x"]
)
def test_without_the_right_token_in_the_query_the_answer_is_401(query):
    assert guarded("/livez" + query, token=TOKEN).status == 401


@given(st.binary(max_size=60))
def test_an_offer_of_any_bytes_is_refused_and_never_a_bug(junk):
    headers = [
        (b"host", b"localhost"),
        (b"authorization", b"Bearer " + junk),
        (b"cookie", COOKIE.encode() + b"=" + junk),
        (b"cookie", junk),
        (b"origin", junk),
    ]
    query = b"access_token=" + junk.replace(b"&", b"")
    answer = asyncio.run(through(whole_path, headers=headers, query=query, token=TOKEN).run())
    assert answer.status == 401


def test_a_foreign_host_is_told_before_any_token_is_looked_at():
    assert guarded(Host="evil.example", token=TOKEN).status == 421
    assert guarded(Host="evil.example", token=TOKEN, Authorization=f"Bearer {TOKEN}").status == 421


def test_the_page_with_a_token_sets_a_strict_cookie_and_redirects_without_it():
    answer = guarded(f"/?token={TOKEN}", token=TOKEN)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert answer.headers["cache-control"] == "no-store"
    cookie = answer.headers["set-cookie"]
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
    assert TOKEN not in cookie
    assert guarded(token=TOKEN, Cookie=cookie.partition(";")[0]).status == 200


def test_the_cookie_and_the_redirect_stay_below_a_root_path():
    asked = through(whole_path, root_path="/below", path="/below/", query=f"token={TOKEN}".encode(), token=TOKEN)
    answer = asyncio.run(asked.run())
    assert (answer.status, answer.headers["location"]) == (303, "/below/")
    assert "path=/below/" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("query", ["token=wrong", "token=", "token=%FF", f"token={TOKEN}&token=wrong"])
def test_the_page_with_a_wrong_token_is_401_whatever_else_is_right(query):
    assert guarded(f"/?{query}", token=TOKEN).status == 401
    assert guarded(f"/?{query}", token=TOKEN, Cookie=f"{COOKIE}={MINTED}").status == 401


def test_only_reading_the_page_sets_the_cookie():
    assert guarded(f"/?token={TOKEN}", token=TOKEN, method="HEAD").status == 303
    assert guarded(f"/?token={TOKEN}", token=TOKEN, method="POST").status == 401


def test_cors_is_answered_for_allowed_origins_alone():
    allowed = guarded(origins=[CARDS], Origin=CARDS)
    assert allowed.headers["access-control-allow-origin"] == CARDS
    assert allowed.headers["access-control-allow-credentials"] == "true"
    assert allowed.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", [EVIL, "null", "", CARDS.upper(), CARDS + ".evil", CARDS + "/", "\xff"])
def test_any_other_origin_is_told_nothing(origin):
    refused = guarded(origins=[CARDS], Origin=origin)
    assert not [name for name in refused.headers if name.startswith("access-control")]
    assert refused.headers["vary"] == "Origin"


def test_what_a_stream_varies_with_is_told_in_one_header():
    answer = guarded("/api/stream", method="HEAD", origins=[CARDS], Origin=CARDS)
    assert {name.strip() for name in answer.headers["vary"].split(",")} == {"Accept-Encoding", "Origin"}


def test_an_allowed_page_may_read_why_it_was_refused():
    assert guarded(token=TOKEN, origins=[CARDS], Origin=CARDS).headers["access-control-allow-origin"] == CARDS


@pytest.mark.parametrize("offer", [{}, {"Authorization": f"Bearer {TOKEN}"}])
def test_a_preflight_of_an_allowed_origin_is_answered_with_a_token_and_without(offer):
    answer = guarded(method="OPTIONS", token=TOKEN, origins=[CARDS], Origin=CARDS, **offer)
    assert answer.status == 204
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert answer.headers["access-control-max-age"] == "600"


@pytest.mark.parametrize("origin", [EVIL, "null"])
def test_a_preflight_of_another_origin_is_refused(origin):
    answer = guarded(method="OPTIONS", token=TOKEN, origins=[CARDS], Origin=origin)
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers


def test_a_preflight_does_not_pass_a_foreign_host():
    assert guarded(method="OPTIONS", origins=[CARDS], Origin=CARDS, Host="evil.example").status == 421


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (EVIL, 403),
        ("null", 403),
        ("localhost", 403),
        ("ftp://localhost", 403),
        ("http://localhost:1", 403),
        ("http://localhost", 202),
        ("https://localhost", 202),
        ("", 403),
    ],
)
def test_a_page_of_another_origin_cannot_make_a_browser_post(origin, status):
    assert guarded("/api/refresh", method="POST", Origin=origin).status == status


def test_a_second_origin_is_not_covered_by_an_allowed_one():
    headers = [(b"host", b"localhost"), (b"origin", CARDS.encode()), (b"origin", EVIL.encode())]
    asked = through(whole_path, headers=headers, method="POST", origins=[CARDS])
    assert asyncio.run(asked.run()).status == 403


def test_a_link_cannot_change_anything():
    followed = {"Sec-Fetch-Site": "Cross-Site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert guarded("/api/refresh", method="POST", **followed).status == 403
    assert guarded("/api/positions", **followed).status == 200


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://A.b:443", "https://a.b"),
        ("http://a.b:80", "http://a.b"),
        ("http://a.b:443", "http://a.b:443"),
        ("https://a.b:8443", "https://a.b:8443"),
        ("chrome-extension://abc", "chrome-extension://abc"),
    ],
)
def test_an_origin_is_known_as_browsers_send_it(written, sent):
    assert origin_name(written) == sent


def test_a_page_of_an_allowed_origin_may_post():
    assert guarded("/api/refresh", method="POST", origins=[CARDS], Origin=CARDS).status == 202


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(("mode", "dest"), [("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe")])
def test_a_page_of_another_origin_takes_no_place_of_a_stream(site, mode, dest):
    fetch = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": dest}
    assert guarded("/api/positions", **fetch).status == 403
    assert guarded("/api/positions", origins=[CARDS], Origin=CARDS, **fetch).status == 200


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_page_is_no_other(site):
    fetch = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"}
    assert guarded("/api/positions", **fetch).status == 200


def test_a_link_to_here_may_be_followed():
    fetch = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert guarded(**fetch).status == 200


def test_a_bug_behind_the_guard_is_a_problem_that_says_nothing_of_it():
    async def broken(scope, receive, send):
        raise RuntimeError("a secret of the inside")

    asked = through(broken)
    with pytest.raises(RuntimeError):
        asyncio.run(asked.run())
    assert asked.answer.status == 500
    assert asked.answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in asked.answer.body.decode()


def test_a_bug_in_the_middle_of_an_answer_adds_nothing_to_it():
    async def breaks_off(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        raise RuntimeError

    asked = through(breaks_off)
    with pytest.raises(RuntimeError):
        asyncio.run(asked.run())
    assert (asked.answer.status, asked.answer.body) == (200, b"")


@pytest.mark.parametrize("framing", [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")])
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_route_is_asked_when_the_whole_body_has_come(framing, is_whole):
    messages = [{"type": "http.request", "body": b"", "more_body": True}] * 2
    messages += [{"type": "http.request", "body": b""} if is_whole else {"type": "http.disconnect"}]
    asked = through(whole_path, headers=[(b"host", b"localhost"), framing])

    async def receive():
        return messages.pop(0)

    asked._receive = receive
    assert asyncio.run(asked.run()).status == (200 if is_whole else 0)
    assert messages == []


def test_whoever_may_not_ask_is_told_before_the_body():
    headers = [(b"host", b"localhost"), (b"content-length", b"5")]
    asked = through(whole_path, headers=headers, token=TOKEN)
    asked._receive = None
    assert asyncio.run(asked.run()).status == 401


def test_a_page_comes_with_its_policy():
    async def page(scope, receive, send):
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"<!doctype html>"})

    answer = asyncio.run(through(page).run())
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_what_is_no_request_is_not_answered():
    async def main():
        await Guard(whole_path, settings_of())({"type": "websocket"}, None, None)

    asyncio.run(main())
