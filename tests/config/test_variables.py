import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.config import schema, variables

KNOWN = [field.variable for field in schema.fields()]

# What a pod gets for a service on port 8420 (Kubernetes, "Environment variables" of a Service).
SERVICE = {
    "CONDORD_SERVER_SERVICE_HOST": "10.0.0.1",
    "CONDORD_SERVER_SERVICE_PORT": "8420",
    "CONDORD_SERVER_SERVICE_PORT_HTTP": "8420",
    "CONDORD_SERVER_PORT": "tcp://10.0.0.1:8420",
    "CONDORD_SERVER_PORT_8420_TCP": "tcp://10.0.0.1:8420",
    "CONDORD_SERVER_PORT_8420_TCP_PROTO": "tcp",
    "CONDORD_SERVER_PORT_8420_TCP_PORT": "8420",
    "CONDORD_SERVER_PORT_8420_TCP_ADDR": "10.0.0.1",
}


def variables_of(service):
    """The variables of another service."""
    prefix = service.upper().replace("-", "_")
    return {name.replace("CONDORD_SERVER", prefix, 1): value for name, value in SERVICE.items()}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CONDORD_PORT", "CONDORD_SERVER_PORT"),
        ("CONDORD_LOGLEVEL", "CONDORD_LOG_LEVEL"),
        ("CONDORD_SERVER_PROT", "CONDORD_SERVER_PORT"),
        ("CONDORD_TOKEN_FILE", "CONDORD_SERVER_TOKEN_FILE"),
        ("CONDORD_FEED", "CONDORD_ALPACA_FEED"),
        ("CONDORD_WINDOW_MS", "CONDORD_STREAM_WINDOW_MS"),
        ("CONDORD_SEVER_HOST", "CONDORD_SERVER_HOST"),
        ("CONDORD_server_port", "CONDORD_SERVER_PORT"),
        ("CONDORD_CONFIG_", "CONDORD_CONFIG"),
        ("CONDORD_TOKENS", "CONDORD_TOKEN"),
    ],
)
def test_the_warning_for_an_unknown_variable_names_the_nearest_known_one(name, meant):
    assert variables.unread({name: "x"}, KNOWN) == (
        f"{name} is not used: condord has no such variable; the nearest known variable is {meant}",
    )


def test_the_warning_for_a_variable_unlike_any_known_one_names_only_the_variable():
    assert variables.unread({"CONDORD_XYZZY": "x"}, KNOWN) == (
        "CONDORD_XYZZY is not used: condord has no such variable",
    )


def test_known_variables_and_those_of_other_programs_give_no_warning():
    environ = dict.fromkeys([*KNOWN, *variables.OTHERS, "HOME", "CONDORDX", "_CONDORD_COMPLETE", "condord_port"], "x")
    assert variables.unread(environ, KNOWN) == ()


def test_the_variables_of_a_kubernetes_service_give_one_warning_that_names_it():
    (warning,) = variables.unread(SERVICE, KNOWN)
    assert warning == (
        "CONDORD_SERVER_PORT_8420_TCP and 6 more are not used: set by Kubernetes for a service named "
        "condord-server; set `enableServiceLinks: false` in the pod, or rename the service"
    )


@pytest.mark.parametrize("service", ["condord", "condord-metrics", "condord-service", "condord-port"])
def test_services_with_other_names_are_recognised_too(service):
    (warning,) = variables.unread(variables_of(service), KNOWN)
    assert f"named {service};" in warning


def test_two_services_and_a_misspelt_variable_give_three_warnings():
    environ = {**SERVICE, **variables_of("condord"), "CONDORD_LOGLEVEL": "debug"}
    assert len(variables.unread(environ, KNOWN)) == 3


@pytest.mark.parametrize("value", ["tcp://10.0.0.1:8420", "udp://[fd00::1]:53", "sctp://10.0.0.1:1"])
def test_a_value_that_only_kubernetes_writes_gives_a_hint_that_names_the_service(value):
    assert "named condord-server:" in variables.link_hint("CONDORD_SERVER_PORT", value)


@pytest.mark.parametrize("value", ["", "8420", "https://10.0.0.1", "many"])
def test_any_other_value_gives_no_hint(value):
    assert variables.link_hint("CONDORD_SERVER_PORT", value) == ""


@given(st.dictionaries(st.text(max_size=80).map(lambda text: f"CONDORD_{text}"), st.text(max_size=20), max_size=5))
def test_every_warning_is_one_short_line(environ):
    for warning in variables.unread(environ, KNOWN):
        assert warning.isprintable()
        assert len(warning) < 400
