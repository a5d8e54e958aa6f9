import sys
import types

import pytest

import condord.daemon as package


@pytest.fixture
def service(monkeypatch):
    """Replaces `condord.daemon.relay_service`, which takes a moment to import; keeps the arguments of the call."""
    fake = types.SimpleNamespace(startup=None, reread=None)

    def run(startup, *, environ, announce, reread, log_dropped):
        fake.startup, fake.environ, fake.reread = startup, environ, reread
        announce("condord serves at http://127.0.0.1:8420")

    module = types.SimpleNamespace(run=run)
    monkeypatch.setitem(sys.modules, "condord.daemon.relay_service", module)
    monkeypatch.setattr(package, "relay_service", module, raising=False)
    return fake


def test_a_relay_follows_the_source_without_a_key(condord, service):
    result = condord("relay", "--source", "http://127.0.0.1:1", "--port", "0", "--log-level", "debug")
    assert result == (0, "", ["condord serves at http://127.0.0.1:8420"])
    config = service.startup.loaded.config
    assert (config.cluster.role, config.cluster.source) == ("relay", "http://127.0.0.1:1")
    assert (config.server.port, config.log.level) == (0, "debug")


def test_the_source_may_be_in_the_configuration_and_is_read_again_with_the_same_flags(condord, service, tmp_path):
    file = tmp_path / "my.toml"
    file.write_text('[cluster]\nsource = "https://a.example"\n')
    assert condord("relay", "--config", str(file), "--host", "localhost").code == 0
    assert service.startup.loaded.config.cluster.source == "https://a.example"
    file.write_text('[cluster]\nsource = "https://b.example"\n')
    again = service.reread()
    assert (again.cluster.role, again.cluster.source, again.server.host) == ("relay", "https://b.example", "localhost")


def test_start_runs_a_relay_if_the_configuration_sets_that_role(condord, service, monkeypatch):
    monkeypatch.setenv("CONDORD_CLUSTER_ROLE", "relay")
    monkeypatch.setenv("CONDORD_CLUSTER_SOURCE", "unix:///run/condord/condord.sock")
    assert condord("start", "--port", "0").code == 0
    assert service.startup.loaded.config.cluster.source == "unix:///run/condord/condord.sock"


def test_without_a_source_the_error_names_what_is_missing(condord, service):
    result = condord("relay")
    assert result.code == 78
    assert result.err[0].startswith(
        "condord: set by `condord relay`: cluster.role = 'relay': a relay needs the URL of another condord"
    )
    assert service.startup is None


def test_variables_for_programs_of_several_processes_are_removed(condord, service, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/nonexistent")
    assert condord("relay", "--source", "http://127.0.0.1:1").code == 0
    assert "PROMETHEUS_MULTIPROC_DIR" not in service.environ
