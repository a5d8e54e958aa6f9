import hypothesis.strategies as st
import pytest
from hypothesis import given

from condord.config import is_loopback
from condord.http.guard import COOKIE, Guard, host_name
from condord.http.ports import GuardSettings
from tests.http.asking import FakeDaemon, ask

TOKEN = "a-token-of-some-length"


def guarded(path="/livez", *, method="GET", token=None, origins=(), hosts=("condord.example",), **headers):
    settings = GuardSettings(
        knows_host=lambda name: name in hosts or is_loopback(name),
        origins=frozenset(origins),
        token=(lambda: token) if token else None,
    )
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(FakeDaemon(), path, method=method, headers=named, around=lambda app: Guard(app, settings))


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8420", "[::1]:8420", "LOCALHOST:1", "condord.example", "127.8.9.1"]
)
def test_loopback_names_and_known_hosts_are_served(host):
    assert guarded(Host=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "", "localhost.evil.example", "10.0.0.1", "[::2]", "127.0.0.1.evil", "localhost:80.evil"]
)
def test_any_other_host_is_misdirected(host):
    answer = guarded(Host=host)
    assert answer.status == 421
    assert answer.json()["title"] == "Misdirected Request"


@given(st.text())
def test_a_host_header_of_any_shape_has_a_name_or_none(host):
    port = host.partition(":")[2]
    has_port = not port or (port.isascii() and port.isdigit())
    assert ":" not in host_name(host) or not has_port or host.startswith("[")


@pytest.mark.parametrize(
    "offer",
    [{"Authorization": f"Bearer {TOKEN}"}, {"Authorization": f"bearer {TOKEN}"}, {"Cookie": f"a=b; {COOKIE}={TOKEN}"}],
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
        {"Cookie": f"{COOKIE}=wrong"},
        {"Cookie": "\x01=;;=\xff"},
        {"Authorization": "Bearer \xff"},
    ],
)
def test_without_the_right_token_the_answer_is_401(offer):
    answer = guarded(token=TOKEN, **offer)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN not in answer.body.decode()


def test_the_page_with_a_token_sets_a_strict_cookie_and_redirects_without_it():
    answer = guarded(f"/?token={TOKEN}", token=TOKEN)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_the_page_with_a_wrong_token_is_401():
    assert guarded("/?token=wrong", token=TOKEN).status == 401


def test_cors_is_answered_for_allowed_origins_alone():
    allowed = guarded(origins=["https://cards.example"], Origin="https://cards.example")
    assert allowed.headers["access-control-allow-origin"] == "https://cards.example"
    assert allowed.headers["vary"] == "Origin"
    refused = guarded(origins=["https://cards.example"], Origin="https://evil.example")
    assert "access-control-allow-origin" not in refused.headers


def test_a_preflight_of_an_allowed_origin_is_answered_without_a_token():
    answer = guarded(method="OPTIONS", token=TOKEN, origins=["https://cards.example"], Origin="https://cards.example")
    assert answer.status == 204
    assert "Authorization" in answer.headers["access-control-allow-headers"]


def test_a_preflight_does_not_pass_a_foreign_host():
    answer = guarded(
        method="OPTIONS", origins=["https://cards.example"], Origin="https://cards.example", Host="evil.example"
    )
    assert answer.status == 421


def test_a_page_of_another_origin_cannot_make_a_browser_post():
    assert guarded("/api/refresh", method="POST", Origin="https://evil.example").status == 403
    assert guarded("/api/refresh", method="POST", Origin="http://localhost").status == 202
    assert guarded("/api/refresh", method="POST").status == 202
