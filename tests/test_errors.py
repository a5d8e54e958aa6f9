import importlib
import inspect
import pkgutil
import warnings

import pytest

import condord
from condord import errors


def import_every_module():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # alpaca-py imports parts of websockets that are deprecated
        for module in pkgutil.walk_packages(condord.__path__, "condord."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


def every_error(kind=errors.CondordError):
    """The exception and all its subclasses, in an order that does not depend on the imports."""
    children = sorted(kind.__subclasses__(), key=lambda child: (child.__module__, child.__qualname__))
    return [kind, *(below for child in children for below in every_error(child))]


import_every_module()
ERRORS = [kind for kind in every_error() if kind.__module__.startswith("condord.")]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_has_a_code_and_a_documented_exit_code(kind):
    assert kind.code
    assert kind.exit_code in {1, 2, 69, 70, 77, 78}


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if kind is not errors.CondordError])
def test_every_error_has_a_hint_or_gets_one(kind):
    assert kind.hint or any("hint" in inspect.signature(base.__init__).parameters for base in kind.__mro__)


def test_the_tree_in_the_docstring_matches_the_classes():
    for kind in (errors.CondordError, *errors.CondordError.__subclasses__()):
        if kind.__module__.startswith("condord."):
            assert f" {kind.__name__} " in errors.__doc__.replace("\n", " ")


@pytest.mark.parametrize("value", [10**5000, None, b"bytes", [1] * 1000, "x" * 1000], ids=type)
def test_a_symbol_error_is_one_short_line_whatever_the_value(value):
    text = str(errors.SymbolError(value, "type", "no string"))
    assert len(text) < 150
    assert "\n" not in text


def test_a_configuration_error_keeps_every_fault():
    error = errors.ConfigError(["one", "two"])
    assert error.faults == ("one", "two")
    assert str(error) == "one\ntwo"


def test_missing_credentials_report_the_trace_and_name_the_variables():
    assert str(errors.CredentialsMissing("half a key")).endswith("found: half a key")
    assert "APCA_API_KEY_ID" in errors.CredentialsMissing().hint
