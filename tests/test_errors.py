import pytest

from condord import errors


def every_error(kind=errors.CondordError):
    return [kind, *(below for child in kind.__subclasses__() for below in every_error(child))]


@pytest.mark.parametrize("kind", [kind for kind in every_error() if kind.__module__ == "condord.errors"])
def test_every_error_has_a_code_and_an_exit_code_of_the_contract(kind):
    assert kind.code
    assert kind.exit_code in {1, 2, 69, 70, 77, 78}


def test_the_tree_in_the_docstring_is_the_tree():
    for kind in every_error():
        if kind.__module__ == "condord.errors":
            assert kind.__name__ in errors.__doc__


@pytest.mark.parametrize("value", [10**5000, None, b"bytes", [1] * 1000, "x" * 1000], ids=type)
def test_a_symbol_error_is_one_short_line_whatever_the_value(value):
    text = str(errors.SymbolError(value, "type", "no string"))
    assert len(text) < 150
    assert "\n" not in text


def test_a_configuration_error_keeps_every_fault():
    error = errors.ConfigError(["one", "two"])
    assert error.faults == ("one", "two")
    assert str(error) == "one\ntwo"


def test_missing_credentials_say_where_they_were_looked_for():
    assert str(errors.CredentialsMissing("half a key")).endswith("found: half a key")
    assert "APCA_API_KEY_ID" in errors.CredentialsMissing().hint
