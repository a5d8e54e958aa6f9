import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.redaction import Redaction

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
    """What an escape leaves between its quotation marks."""
    return escaped.removeprefix("b").strip("'\"")


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize("again", ESCAPES)
def test_a_secret_is_hidden_however_it_is_escaped_and_escaped_again(escape, again):
    text = again(escape(f"<{SECRET}>"))
    hidden = Redaction([SECRET])(text)
    assert "PK12" not in hidden
    assert "cd" not in hidden
    assert hidden.count("***") == 1


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
def test_base64_of_whatever_has_a_secret_in_it_does_not_show_it(secret, before, after):
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + secret.encode() + after).decode()
        hidden = Redaction([secret])(f"Basic {text}")
        assert "***" in hidden
        assert len(hidden) - len("Basic ***") <= len(text) - 4 * len(secret) // 3 + 3


def test_what_is_no_secret_stays_as_it_is():
    text = 'SPY261218P00705000 "a\\b" %41 PK12'
    assert Redaction([SECRET, "a-token-of-sixteen"])(text) == text


def test_of_two_secrets_the_longer_is_hidden_whole():
    assert Redaction(["abcdefgh", "abcdefgh12"])("abcdefgh12 abcdefgh1") == "*** ***1"


def test_what_is_too_short_for_a_secret_hides_nothing():
    assert Redaction(["a", "abcde"])("an address of abcde") == "an address of abcde"
    assert Redaction(["abcdef"])("an address of abcdef") == "an address of ***"


def test_without_secrets_nothing_is_hidden():
    assert Redaction(["", ""])("quiet") == Redaction([])("quiet") == "quiet"


@pytest.mark.parametrize("text", ["\\" * 20_000, "%25" * 7_000, "PK12\\" * 4_000, '"' * 20_000, "PK12%25" * 3_000])
def test_no_text_takes_long(text):
    """Were the time to grow with the square of the length, this would take minutes."""
    for secret in (SECRET, "\\" * 40 + "x", "%" * 40, '"' * 40):
        Redaction([secret])(text)
