import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord import quoting


@given(st.text())
def test_any_text_stands_on_one_line_and_is_short(text):
    assert "\n" not in quoting.plain(text)
    assert quoting.short(text).isprintable()
    assert quoting.short("x" * 100 + text) == "x" * quoting.SHOWN + "..."


def test_what_is_plain_and_short_stays_as_it_is():
    assert quoting.short("server.port") == quoting.plain("server.port") == "server.port"
    assert quoting.short("x" * 100, 100) == "x" * 100


@pytest.mark.parametrize(
    ("said", "shown"),
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
def test_a_value_is_shown_as_it_was_meant(said, shown):
    assert quoting.value("server.host", said) == shown


@pytest.mark.parametrize("name", ["alpaca.secret_key", "token", "PASSWORD", "auth"])
def test_a_value_that_may_be_a_secret_by_its_name_is_not_shown(name):
    assert quoting.value(name, ["hush"]) == "(not shown)"


def test_an_integer_that_python_would_not_print_is_not_shown():
    assert quoting.value("server.port", -(10**5000)) == "an integer of many digits"
