import pytest

from condord.config import sources

BUS = {"cluster.bus": "nats://127.0.0.1"}
RELAY = {"cluster.role": "relay"}
SOURCE = {**RELAY, "cluster.source": "http://127.0.0.1:1"}


def warnings(flags, environ=None, path=None):
    return [*sources.load(path, environ or {}, flags).warnings]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    """There is no file in any of the default directories."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(sources, "SYSTEM_PATH", tmp_path / "etc" / "condord.toml")


@pytest.mark.parametrize(
    ("role", "unused"),
    [
        ({}, {"source_token_file", "credentials_file", "lease_seconds", "account"}),
        ({"cluster.role": "ingest", **BUS}, {"source_token_file"}),
        (SOURCE, {"credentials_file", "lease_seconds", "account"}),
        ({**RELAY, **BUS}, {"source_token_file", "lease_seconds"}),
    ],
    ids=["all", "ingester", "relay of a source", "relay of a bus"],
)
def test_keys_of_another_role_are_named_with_what_to_do(role, unused):
    settings = {
        "CONDORD_CLUSTER_SOURCE_TOKEN_FILE": "/t",
        "CONDORD_CLUSTER_CREDENTIALS_FILE": "/c",
        "CONDORD_CLUSTER_LEASE_SECONDS": "5",
        "CONDORD_CLUSTER_ACCOUNT": "desk",
    }
    found = warnings(role, settings)
    assert {text.partition(" ")[0].removeprefix("cluster.") for text in found} == unused
    for text in found:
        key = text.partition(" ")[0].removeprefix("cluster.")
        assert f"(environment CONDORD_CLUSTER_{key.upper()}) has no effect " in text
        assert ": leave it out, or set cluster." in text
    assert warnings(role) == []


def test_an_ingester_without_a_bus_is_named():
    (found,) = warnings({"cluster.role": "ingest"})
    assert found == (
        "cluster.role (flag) has no effect without cluster.bus, so this condord is the only one of the account: "
        'set cluster.bus, or cluster.role to "all"'
    )


def test_a_key_at_its_default_causes_no_warning():
    assert warnings({}, {"CONDORD_CLUSTER_LEASE_SECONDS": "3", "CONDORD_CLUSTER_ACCOUNT": ""}) == []


def test_a_relay_names_the_settings_of_the_account_that_it_does_not_use(tmp_path):
    path = tmp_path / "condord.toml"
    path.write_text(
        "[alpaca]\npaper = false\n[history]\nkeep_days = 5\n[log]\nlevel = 'debug'\n[[alert]]\nname = 'stop-loss'\n"
    )
    assert warnings(SOURCE, path=path) == [
        "a relay does not use [alpaca], [history], [[alert]]: set these where the account is read"
    ]


@pytest.mark.parametrize("role", ["all", "ingest"])
def test_only_a_relay_may_have_a_source(role):
    flags = {"cluster.role": role, "cluster.source": "http://127.0.0.1:1", **(BUS if role == "ingest" else {})}
    (fault,) = sources.read(None, {}, flags).faults
    assert fault == (
        f"flag: cluster.source = 'http://127.0.0.1:1': the role \"{role}\" has no source; "
        'set cluster.role to "relay", or leave cluster.source out'
    )


def test_a_port_or_a_host_beside_a_unix_socket_is_named():
    environ = {"CONDORD_SERVER_UDS": "/run/x", "CONDORD_SERVER_PORT": "9", "CONDORD_SERVER_HOST": "::1"}
    by = "has no effect, as server.uds (environment CONDORD_SERVER_UDS) is set: leave one of the two out"
    assert warnings({}, environ) == [
        f"server.host (environment CONDORD_SERVER_HOST) {by}",
        f"server.port (environment CONDORD_SERVER_PORT) {by}",
    ]


@pytest.mark.parametrize(("flags", "words"), [(("port",), "--port"), (("host", "port"), "--host and --port")])
def test_a_port_on_the_command_line_takes_the_place_of_a_unix_socket_from_elsewhere(flags, words):
    settings = {"server.host": "127.0.0.1", "server.port": 9}
    flags = {f"server.{name}": settings[f"server.{name}"] for name in flags} | {"server.uds": None}
    loaded = sources.load(None, {"CONDORD_SERVER_UDS": "/run/x"}, flags)
    assert (loaded.config.server.uds, loaded.config.server.port) == ("", 9)
    assert loaded.origins["server.uds"] == "flag"
    assert loaded.warnings == (f"server.uds (environment CONDORD_SERVER_UDS) is not used, as {words} was given",)


def test_a_unix_socket_on_the_command_line_stays():
    loaded = sources.load(None, {"CONDORD_SERVER_UDS": "/run/x"}, {"server.uds": "/run/y", "server.port": 9})
    assert loaded.config.server.uds == "/run/y"


def test_with_faults_nothing_is_called_unused():
    assert sources.read(None, {"CONDORD_CLUSTER_ACCOUNT": "desk", "CONDORD_SERVER_PORT": "x"}, {}).loaded.warnings == ()
