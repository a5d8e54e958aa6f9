import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.host.redaction import Redaction

SECRET = 'PK12"ab\\cd/+x%y='
words = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=40)
around = st.text(max_size=20)

ESCAPES = [
    str,
    repr,
    json.dumps,
    quote,
    quote_plus,
    lambda text: quote(text, safe=""),
    lambda text: quote(text, safe="").replace("%2F", "%2f"),
    lambda text: json.dumps(text).replace("/", "\\/"),
    lambda text: text.replace("/", "\\u002f").replace("+", "\\x2B"),
    lambda text: repr(text.encode(errors="surrogatepass")),
]


def within(escaped):
    """The escaped text without the quotation marks of `repr` or JSON."""
    return escaped.removeprefix("b").strip("'\"")


@pytest.mark.parametrize("escape", ESCAPES)
def test_a_secret_is_masked_however_it_is_escaped_twice(escape):
    for again in ESCAPES:
        text = again(escape(f"<{SECRET}>"))
        hidden = Redaction([SECRET])(text)
        assert "PK12" not in hidden, text
        assert "cd" not in hidden, text
        assert hidden.count("***") == 1, text


@given(secret=words, before=around, after=around, escapes=st.lists(st.sampled_from(ESCAPES), max_size=2))
def test_no_text_shows_a_secret(secret, before, after, escapes):
    text, shown = f"{before}{secret}{after}", secret
    for escape in escapes:
        text, shown = escape(text), within(escape(shown))
    hidden = Redaction([secret])(text)
    assert "***" in hidden
    if "***" not in shown:
        assert shown not in hidden.replace("***", "\0")


@given(secret=words, before=st.binary(max_size=20), after=st.binary(max_size=20))
def test_base64_of_a_text_with_a_secret_does_not_show_it(secret, before, after):
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + secret.encode() + after).decode()
        hidden = Redaction([secret])(f"Basic {text}")
        assert "***" in hidden
        assert len(hidden) - len("Basic ***") <= len(text) - 4 * len(secret) // 3 + 3


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("GET /api/stream?ticket=AbC-9_x&condor=A", "GET /api/stream?ticket=***&condor=A"),
        ("/api/stream?condor=A&access_token=s%2Bx HTTP/1.1", "/api/stream?condor=A&access_token=*** HTTP/1.1"),
        ("http://localhost:8420/#token=abc", "http://localhost:8420/#token=***"),
        ("{'url': '/api/stream?ticket=abc'}", "{'url': '/api/stream?ticket=***'}"),
        ("next=%2Fapi%2Fstream%3Fticket%3Dabc", "next=%2Fapi%2Fstream%3Fticket%3D***"),
    ],
)
def test_tickets_and_tokens_in_urls_are_masked_with_any_values(text, hidden):
    assert Redaction([])(text) == hidden


@pytest.mark.parametrize("text", ["page_token=abc", "a ticket = 5", "token_file=/etc/token", "ticket=", "mytoken=abc"])
def test_a_text_that_only_resembles_a_ticket_or_token_stays(text):
    assert Redaction([])(text) == text


def test_a_text_without_a_secret_stays_as_it_is():
    text = 'SPY261218P00705000 "a\\b" %41 PK12'
    assert Redaction([SECRET, "a-token-of-sixteen"])(text) == text


def test_the_longer_of_two_overlapping_secrets_is_masked_completely():
    assert Redaction(["abcdefgh", "abcdefgh12"])("abcdefgh12 abcdefgh1") == "*** ***1"


def test_a_text_too_short_for_a_secret_masks_nothing():
    assert Redaction(["a", "abcde"])("an address of abcde") == "an address of abcde"
    assert Redaction(["abcdef"])("an address of abcdef") == "an address of ***"


def test_without_secrets_nothing_is_masked():
    assert Redaction(["", ""])("quiet") == Redaction([])("quiet") == "quiet"


@pytest.mark.parametrize(
    "text", ["\\" * 20_000, "%25" * 7_000, "PK12\\" * 4_000, '"' * 20_000, "PK12%25" * 3_000, "ticket%" * 4_000]
)
def test_no_text_takes_long_to_mask(text):
    """If the time grew with the square of the length, this would take minutes."""
    for secret in (SECRET, "\\" * 40 + "x", "%" * 40, '"' * 40):
        Redaction([secret])(text)
