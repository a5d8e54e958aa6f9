import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.host import quoting


@given(st.text())
def test_any_text_is_quoted_on_one_line_and_truncated(text):
    assert "\n" not in quoting.plain(text)
    assert quoting.short(text).isprintable()
    assert quoting.short("x" * 100 + text) == "x" * quoting.SHOWN + "..."


def test_plain_short_text_is_unchanged():
    assert quoting.short("server.port") == quoting.plain("server.port") == "server.port"
    assert quoting.short("x" * 100, 100) == "x" * 100


@pytest.mark.parametrize(
    ("given_value", "shown"),
    [
        ("a\nb", "'a\\nb'"),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        ({"a": 1}, "a table"),
        ([1, "b"], "[1, 'b']"),
        ("wss://me:hush@x", "'wss://***@x'"),
        ("PK" + "A" * 20, "'***'"),
    ],
)
def test_a_value_is_shown_as_written(given_value, shown):
    assert quoting.value("server.host", given_value) == shown


def test_the_path_of_a_socket_is_shown_although_it_may_look_like_a_secret():
    assert quoting.value("server.uds", "/" + "x" * 30) == f"'/{'x' * 30}'"


@pytest.mark.parametrize("name", ["alpaca.secret_key", "token", "PASSWORD", "auth"])
def test_a_value_whose_name_suggests_a_secret_is_not_shown(name):
    assert quoting.value(name, ["hush"]) == "(not shown)"


def test_an_integer_too_long_for_python_to_print_is_not_shown():
    assert quoting.value("server.port", -(10**5000)) == "an integer of many digits"


@given(st.text())
def test_an_excerpt_is_printable_and_short(text):
    assert quoting.excerpt(text).isprintable()
    assert len(quoting.excerpt("x " * 100 + text)) == 100


def test_an_excerpt_omits_anything_that_may_be_a_key():
    assert quoting.excerpt("key " + "aB+/" * 5 + " failed\n") == "key … failed?"
    assert quoting.printable("ssl\x00error") == "ssl?error"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("invalid symbol", "invalid symbol"),
        ("two\nlines\tand \x1b[31mcolour", "two?lines?and ?[31mcolour"),
        ("key PKABCDEFGHIJKLMNOPQRST is unknown", "key … is unknown"),
        ("nineteen characters stay: ABCDEFGHIJKLMNOPQRS", "nineteen characters stay: ABCDEFGHIJKLMNOPQRS"),
        ("x " * 80, "x " * 50),
    ],
)
def test_an_excerpt_is_truncated_and_cleaned(text, shown):
    assert quoting.excerpt(text) == shown


def test_a_key_is_removed_before_the_text_is_truncated():
    """If the text were truncated first, the rest of a key could be too short to be recognized."""
    assert "PKABC" not in quoting.excerpt("x" * 10 + " " + "y " * 40 + "PKABCDEFGHIJKLMNOPQRSTUVWXYZ")
