import asyncio

import hypothesis.strategies as st
import pytest
from hypothesis import given

from condord.http.app import ROUTES, build
from condord.http.guard import Guard
from condord.http.host_names import host_name
from tests.http.builders import TOKEN, guard_settings
from tests.http.fake_daemon import Conversation, FakeDaemon, ask

CARDS = "https://cards.example"
EVIL = "https://evil.example"
PROTECTION = {"x-content-type-options", "referrer-policy", "x-frame-options", "cross-origin-resource-policy"}


def guarded(path="/api/status", *, method="GET", token=None, origins=(), hosts=("condord.example",), **headers):
    settings = guard_settings(token=token, origins=origins, hosts=hosts)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = ask(FakeDaemon(), path, method=method, headers=named, around=lambda app: Guard(app, settings))
    assert answer.headers.keys() >= PROTECTION
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status
        assert TOKEN not in answer.body.decode() + str(answer.headers)
    return answer


def through(app, *, headers=(), root_path="", path="/", query=b"", token=None, method="GET", origins=()):
    """One request with raw headers to `app` behind a guard; what `app` raises is raised."""
    conversation = Conversation(Guard(app, guard_settings(token=token, origins=origins)), path)
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
def test_any_other_host_gets_421(host):
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
def test_a_malformed_host_gets_400_and_is_never_a_bug(host, path):
    assert guarded(path, Host=host).status == 400


@given(st.text(st.characters(max_codepoint=255)))
def test_an_unknown_path_is_never_a_bug_whatever_the_host(host):
    settings = guard_settings(hosts=[host_name(host)])
    answer = ask(FakeDaemon(), "/nothing", headers={"Host": host}, around=lambda app: Guard(app, settings))
    assert answer.status in (400, 404)


@pytest.mark.parametrize("headers", [[(b"host", b"localhost"), (b"host", b"localhost")], [(b"x", b"y")]])
def test_exactly_one_host_header_is_needed(headers):
    answer = asyncio.run(through(echo_path, headers=headers).run())
    assert answer.status == (400 if len(headers) > 1 else 421)


async def echo_path(scope, receive, send):
    """An application that answers with the path of the request."""
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
def test_a_whole_url_must_name_the_same_host_as_the_header(target, path):
    answer = asyncio.run(through(echo_path, path=target).run())
    assert (answer.status, answer.body if path else None) == (200 if path else 400, path)


@pytest.mark.parametrize(
    "offer",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer {TOKEN}"},
    ],
)
def test_the_right_token_passes_in_the_header(offer):
    assert guarded(token=TOKEN, **offer).status == 200


def test_the_right_token_passes_as_access_token_in_the_query():
    assert guarded(f"/api/status?access_token={TOKEN}", token=TOKEN).status == 200


@pytest.mark.parametrize(
    "offer",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Cookie": f"condord_token={TOKEN}"},
        {"Cookie": f"token={TOKEN}; access_token={TOKEN}"},
        {"Authorization": "Bearer \xff"},
    ],
)
def test_without_the_right_token_the_answer_is_401(offer):
    answer = guarded(token=TOKEN, **offer)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN not in answer.body.decode()


@pytest.mark.parametrize(
    "query", ["", "?access_token=wrong", "?access_token=%FF%ED%A0%80", "?access_token=", "?token=x", f"?token={TOKEN}"]
)
def test_without_the_right_token_in_the_query_the_answer_is_401(query):
    assert guarded("/api/status" + query, token=TOKEN).status == 401


@given(st.binary(max_size=60))
def test_credentials_of_any_bytes_get_401_and_are_never_a_bug(junk):
    headers = [
        (b"host", b"localhost"),
        (b"authorization", b"Bearer " + junk),
        (b"cookie", junk),
        (b"origin", junk),
    ]
    offer = junk.replace(b"&", b"")
    query = b"access_token=" + offer + b"&ticket=" + offer
    answer = asyncio.run(through(echo_path, path="/api/stream", headers=headers, query=query, token=TOKEN).run())
    assert answer.status == 401


def test_the_host_is_checked_before_the_token():
    assert guarded(Host="evil.example", token=TOKEN).status == 421
    assert guarded(Host="evil.example", token=TOKEN, Authorization=f"Bearer {TOKEN}").status == 421


def test_no_answer_sets_a_cookie():
    answers = [guarded(path, token=TOKEN) for path in ("/", "/assets/x.js", "/api/status", f"/?token={TOKEN}")]
    answers += [guarded("/api/tickets", method="POST", token=TOKEN, Authorization=f"Bearer {TOKEN}")]
    assert not [answer.headers for answer in answers if "set-cookie" in answer.headers]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("query", [f"token={TOKEN}", "token=wrong", "token=", "a=b&token=x"])
def test_a_token_in_the_query_of_the_page_gets_400_with_the_right_way(method, token, query):
    answer = guarded(f"/?{query}", method=method, token=token)
    assert answer.status == 400
    assert "/#token=TOKEN" in answer.json()["detail"]


def test_a_token_in_the_query_of_the_page_is_refused_below_a_root_path_too():
    request = through(echo_path, root_path="/below", path="/below/", query=f"token={TOKEN}".encode(), token=TOKEN)
    assert asyncio.run(request.run()).status == 400


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_only_public_routes_need_no_token(route):
    path = route.path.replace("{name}", "page-abc.js").replace("{id}", "x")
    request = through(echo_path, path=path, method=route.method, token=TOKEN)
    assert asyncio.run(request.run()).status == (200 if route.access == "anyone" else 401)


@pytest.mark.parametrize(
    "path", ["/assets/", "/assets/a/b", "/assets", "//", "/assets/../api/status", "/ASSETS/a", "/x"]
)
def test_a_path_that_only_resembles_the_page_needs_the_token(path):
    assert asyncio.run(through(echo_path, path=path, token=TOKEN).run()).status == 401


def test_a_post_to_the_page_needs_the_token():
    assert guarded("/", token=TOKEN, method="POST").status == 401


def test_the_page_is_not_served_under_an_unknown_host():
    assert guarded("/", token=TOKEN, Host="evil.example").status == 421


class TestTickets:
    """Every test asks one guard, because only the server that accepted a ticket remembers it."""

    @pytest.fixture
    def daemon(self):
        return FakeDaemon()

    @pytest.fixture
    def ask(self, daemon):
        settings = guard_settings(token=TOKEN, origins=[CARDS])
        guard = Guard(build(daemon), settings)
        daemon.tickets = settings.tickets

        def run(path, *, method="GET", **headers):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return asyncio.run(Conversation(guard, path, method=method, headers=named).run())

        return run

    def ticket(self, ask):
        answer = ask("/api/tickets", method="POST", Authorization=f"Bearer {TOKEN}")
        assert (answer.status, answer.headers["cache-control"]) == (201, "no-store")
        assert answer.json().keys() == {"ticket", "expiresAt"}
        return answer.json()["ticket"]

    def test_a_ticket_opens_a_stream_once(self, ask, daemon):
        ticket = self.ticket(ask)
        daemon.stop()
        assert ask(f"/api/stream?ticket={ticket}").status == 200
        again = ask(f"/api/stream?ticket={ticket}")
        assert again.status == 401
        assert "POST /api/tickets" in again.json()["detail"]
        assert ticket not in str(again.headers) + again.body.decode()

    def test_issuing_a_ticket_needs_the_token_and_an_allowed_origin(self, ask):
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert ask("/api/tickets", method="POST").status == 401
        assert ask("/api/tickets", method="POST", Authorization="Bearer wrong").status == 401
        assert ask("/api/tickets", method="POST", Origin=EVIL, **bearer).status == 403
        assert ask("/api/tickets", method="POST", Sec_Fetch_Site="same-site", **bearer).status == 403
        allowed = ask("/api/tickets", method="POST", Origin=CARDS, **bearer)
        assert (allowed.status, allowed.headers["access-control-allow-origin"]) == (201, CARDS)
        assert ask("/api/tickets", **bearer).status == 405

    def test_a_ticket_is_not_accepted_for_anything_else(self, ask):
        ticket = self.ticket(ask)
        assert ask(f"/api/status?ticket={ticket}").status == 401
        assert ask(f"/api/positions?access_token={ticket}").status == 401
        assert ask("/api/stream", Authorization=f"Bearer {ticket}").status == 401
        assert ask(f"/api/stream?ticket={TOKEN}").status == 401
        assert ask(f"/api/tickets?ticket={ticket}", method="POST").status == 401

    def test_a_request_refused_for_its_host_or_origin_does_not_use_up_the_ticket(self, ask, daemon):
        ticket = self.ticket(ask)
        assert ask(f"/api/stream?ticket={ticket}", Host="evil.example").status == 421
        assert ask(f"/api/stream?ticket={ticket}", Sec_Fetch_Site="cross-site").status == 403
        daemon.stop()
        assert ask(f"/api/stream?ticket={ticket}").status == 200

    def test_a_request_with_the_token_does_not_use_up_a_ticket(self, ask, daemon):
        ticket = self.ticket(ask)
        daemon.stop()
        assert ask("/api/stream?ticket=none", Authorization=f"Bearer {TOKEN}").status == 200
        assert ask(f"/api/stream?ticket={ticket}&access_token={TOKEN}").status == 200
        assert ask(f"/api/stream?ticket={ticket}", Authorization="Bearer wrong").status == 200

    def test_a_ticket_is_used_up_even_if_there_is_no_room_for_the_stream(self, ask, daemon):
        ticket = self.ticket(ask)
        daemon.room = 0
        assert [ask(f"/api/stream?ticket={ticket}").status for _ in range(2)] == [503, 401]


def test_without_a_token_tickets_are_issued_and_ignored():
    assert guarded("/api/tickets", method="POST").status == 201
    assert guarded("/api/stream?ticket=whatever", method="HEAD").status == 200


def test_cors_headers_are_sent_to_an_allowed_origin():
    allowed = guarded(origins=[CARDS], Origin=CARDS)
    assert allowed.headers["access-control-allow-origin"] == CARDS
    assert "access-control-allow-credentials" not in allowed.headers
    assert allowed.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", [EVIL, "null", "", CARDS.upper(), CARDS + ".evil", CARDS + "/", "\xff"])
def test_cors_headers_are_not_sent_to_any_other_origin(origin):
    refused = guarded(origins=[CARDS], Origin=origin)
    assert not [name for name in refused.headers if name.startswith("access-control")]
    assert refused.headers["vary"] == "Origin"


def test_the_vary_header_of_a_stream_is_one_header():
    answer = guarded("/api/stream", method="HEAD", origins=[CARDS], Origin=CARDS)
    assert {name.strip() for name in answer.headers["vary"].split(",")} == {"Accept-Encoding", "Origin"}


def test_a_page_of_an_allowed_origin_may_read_a_401():
    assert guarded(token=TOKEN, origins=[CARDS], Origin=CARDS).headers["access-control-allow-origin"] == CARDS


@pytest.mark.parametrize("offer", [{}, {"Authorization": f"Bearer {TOKEN}"}])
def test_a_preflight_of_an_allowed_origin_needs_no_token(offer):
    answer = guarded(method="OPTIONS", token=TOKEN, origins=[CARDS], Origin=CARDS, **offer)
    assert answer.status == 204
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert answer.headers["access-control-max-age"] == "600"


@pytest.mark.parametrize("origin", [EVIL, "null"])
def test_a_preflight_of_another_origin_is_refused(origin):
    answer = guarded(method="OPTIONS", token=TOKEN, origins=[CARDS], Origin=origin)
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers


def test_a_preflight_with_an_unknown_host_gets_421():
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
def test_a_post_from_a_page_of_another_origin_gets_403(origin, status):
    assert guarded("/api/refresh", method="POST", Origin=origin).status == status


@pytest.mark.parametrize("path", ["/api/alerts/tested:SPY/acknowledge", "/api/channels/phone/test"])
def test_a_page_of_another_origin_cannot_acknowledge_an_alert_or_test_a_channel(path):
    assert guarded(path, method="POST", Origin=EVIL).status == 403
    assert guarded(path, method="POST", token=TOKEN).status == 401


def test_a_second_origin_header_is_not_covered_by_an_allowed_one():
    headers = [(b"host", b"localhost"), (b"origin", CARDS.encode()), (b"origin", EVIL.encode())]
    request = through(echo_path, headers=headers, method="POST", origins=[CARDS])
    assert asyncio.run(request.run()).status == 403


def test_a_followed_link_may_read_but_not_change_anything():
    followed = {"Sec-Fetch-Site": "Cross-Site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert guarded("/api/refresh", method="POST", **followed).status == 403
    assert guarded("/api/positions", **followed).status == 200


def test_a_page_of_an_allowed_origin_may_post():
    assert guarded("/api/refresh", method="POST", origins=[CARDS], Origin=CARDS).status == 202


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(("mode", "dest"), [("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe")])
def test_a_page_of_another_origin_cannot_embed_an_answer(site, mode, dest):
    fetch = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": dest}
    assert guarded("/api/positions", **fetch).status == 403
    assert guarded("/api/positions", origins=[CARDS], Origin=CARDS, **fetch).status == 200


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_page_is_not_cross_origin(site):
    fetch = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"}
    assert guarded("/api/positions", **fetch).status == 200


def test_a_link_from_another_site_may_be_followed():
    fetch = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert guarded(**fetch).status == 200


def test_a_bug_behind_the_guard_is_a_500_problem_without_details_of_the_exception():
    async def broken(scope, receive, send):
        raise RuntimeError("a secret detail")

    request = through(broken)
    with pytest.raises(RuntimeError):
        asyncio.run(request.run())
    assert request.answer.status == 500
    assert request.answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in request.answer.body.decode()


def test_a_bug_in_the_middle_of_an_answer_adds_nothing_to_it():
    async def breaks_off(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        raise RuntimeError

    request = through(breaks_off)
    with pytest.raises(RuntimeError):
        asyncio.run(request.run())
    assert (request.answer.status, request.answer.body) == (200, b"")


@pytest.mark.parametrize("framing", [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")])
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_route_is_called_once_the_whole_body_has_arrived(framing, is_whole):
    messages = [{"type": "http.request", "body": b"", "more_body": True}] * 2
    messages += [{"type": "http.request", "body": b""} if is_whole else {"type": "http.disconnect"}]
    request = through(echo_path, headers=[(b"host", b"localhost"), framing])

    async def receive():
        return messages.pop(0)

    request._receive = receive
    assert asyncio.run(request.run()).status == (200 if is_whole else 0)
    assert messages == []


def test_an_unauthorized_request_is_refused_before_its_body():
    headers = [(b"host", b"localhost"), (b"content-length", b"5")]
    request = through(echo_path, path="/api/status", headers=headers, token=TOKEN)
    request._receive = None
    assert asyncio.run(request.run()).status == 401


def test_a_page_has_a_content_security_policy():
    async def page(scope, receive, send):
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"<!doctype html>"})

    answer = asyncio.run(through(page).run())
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_anything_but_a_request_is_ignored():
    async def main():
        await Guard(echo_path, guard_settings())({"type": "websocket"}, None, None)

    asyncio.run(main())


# Probes.

PROBES = ("/livez", "/healthz", "/readyz")


def probed(path, *, is_ready=True, method="GET", token=None, **headers):
    daemon = FakeDaemon()
    daemon.is_ready = is_ready
    settings = guard_settings(token=token)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(daemon, path, method=method, headers=named, around=lambda app: Guard(app, settings))


@pytest.mark.parametrize("path", PROBES)
@pytest.mark.parametrize("host", ["10.1.2.3:8420", "[fd00::1]:8420", "pod.example", ""])
@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_probe_needs_neither_a_known_host_nor_a_token(path, host, token):
    assert probed(path, Host=host, token=token).status == 200
    assert probed(path, Host=host, token=token, method="HEAD").status == 200


@pytest.mark.parametrize("is_ready", [True, False])
def test_readiness_has_details_only_for_authorized_requests(is_ready):
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    may = [{}, {"token": TOKEN, **bearer}]
    may_not = [
        {"Host": "10.1.2.3"},
        {"Host": "10.1.2.3", "token": TOKEN, **bearer},
        {"token": TOKEN},
        {"token": TOKEN, "Authorization": "Bearer wrong"},
    ]
    shown = [probed("/readyz", is_ready=is_ready, **request) for request in may]
    hidden = [probed("/readyz", is_ready=is_ready, **request) for request in may_not]
    assert {answer.status for answer in (*shown, *hidden)} == {200 if is_ready else 503}
    assert all(answer.json()["version"] == "0" for answer in shown)
    assert {answer.body for answer in hidden} == {b""}


@pytest.mark.parametrize("path", ["/api/status", "/readyz/", "/livez/x", "/metrics", "/"])
def test_only_probes_are_answered_under_an_unknown_host(path):
    assert guarded(path, Host="10.1.2.3").status == 421


@pytest.mark.parametrize("path", PROBES)
def test_a_post_to_the_path_of_a_probe_is_not_a_probe(path):
    assert probed(path, Host="10.1.2.3", method="POST").status == 421


@pytest.mark.parametrize("path", PROBES)
def test_a_page_of_another_site_may_not_embed_a_probe(path):
    assert probed(path, Sec_Fetch_Site="cross-site").status == 403
