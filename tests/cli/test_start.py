import contextlib
import os
import sys
import types

import pytest

import condord.daemon as package
from condord.cli import demo
from condord.cli.demo import Ready
from condord.config.schema import Cluster
from condord.errors import Unavailable


class FakeService:
    """Replaces `condord.daemon.service`, which takes a second to import."""

    def __init__(self):
        self.config = None
        self.environ = {}
        self.reread = None
        self.error = None

    def run(self, startup, *, environ, announce, reread, log_dropped):
        self.config, self.environ, self.reread = startup.loaded.config, environ, reread
        self.warnings = startup.loaded.warnings
        announce("condord serves at http://127.0.0.1:8420")
        if self.error is not None:
            raise self.error


@pytest.fixture
def service(monkeypatch):
    fake = FakeService()
    monkeypatch.setenv("APCA_API_KEY_ID", "PKENV")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "env-hush")
    module = types.SimpleNamespace(run=fake.run)
    monkeypatch.setitem(sys.modules, "condord.daemon.service", module)
    monkeypatch.setattr(package, "service", module, raising=False)
    return fake


@pytest.fixture
def simulated(monkeypatch):
    """The demo's simulator without a process; the list has one element for each open context."""
    open_now = []

    @contextlib.contextmanager
    def simulator():
        open_now.append(1)
        yield Ready.at("http://127.0.0.1:4000")
        open_now.pop()

    monkeypatch.setattr(demo, "simulator", simulator)
    return open_now


def test_the_address_is_one_line_on_stderr(condord, service):
    assert condord("start") == (0, "", ["condord serves at http://127.0.0.1:8420"])


def test_warnings_of_the_configuration_are_passed_to_the_daemon(condord, service, monkeypatch):
    monkeypatch.setenv("CONDORD_PORT", "1")
    assert condord("start").code == 0
    (warning,) = service.warnings
    assert "CONDORD_SERVER_PORT" in warning


def test_flags_win_over_environment_and_file(condord, service, monkeypatch, tmp_path):
    file = tmp_path / "my.toml"
    file.write_text('[server]\nhost = "::1"\nport = 1000\n[log]\nlevel = "error"\n')
    monkeypatch.setenv("CONDORD_SERVER_PORT", "2000")
    assert condord("start", "--config", str(file), "--log-level", "debug", "--log-format", "json").code == 0
    assert (service.config.server.host, service.config.server.port) == ("::1", 2000)
    assert (service.config.log.level, service.config.log.format) == ("debug", "json")
    assert condord("start", "--host", "localhost", "--port", "0").code == 0
    assert (service.config.server.host, service.config.server.port) == ("localhost", 0)
    assert condord("start", "--uds", "/run/x").code == 0
    assert service.config.server.uds == "/run/x"


def test_the_configuration_can_be_read_again_with_the_same_flags(condord, service, tmp_path):
    file = tmp_path / "my.toml"
    file.write_text("[stream]\nwindow_ms = 100\n")
    condord("start", "--config", str(file), "--port", "7")
    file.write_text("[stream]\nwindow_ms = 200\n")
    assert (service.reread().stream.window_ms, service.reread().server.port) == (200, 7)


def test_a_socket_beside_a_port_is_a_usage_error(condord, service):
    code, out, err = condord("start", "--demo", "--uds", "x.sock", "--port", "9999")
    assert (code, out, len(err)) == (2, "", 2)
    assert err[0] == "condord: Invalid value for '--uds': it cannot be combined with --port"


@pytest.mark.parametrize(
    "arguments", [("--config", "/none/condord.toml"), ("--port", "70000"), ("--log-level", "loud")]
)
def test_an_invalid_configuration_exits_with_78(condord, service, arguments):
    code, out, err = condord("start", *arguments)
    assert (code, out, len(err)) == (78, "", 2)
    assert service.config is None


def test_each_fault_is_a_line_and_the_remedies_are_one_hint(condord, service, monkeypatch):
    for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    code, out, [port, key, hint] = condord("start", "--port", "99999")
    assert (code, out) == (78, "")
    assert port == "condord: flag: server.port = 99999: must be an integer from 0 to 65535"
    assert key == "condord: no Alpaca API key was found"
    assert hint.startswith("hint: Correct the values named above. Set APCA_API_KEY_ID and APCA_API_SECRET_KEY, ")


def test_the_option_leaves_access_checks_to_the_loader(condord, service, monkeypatch, tmp_path):
    file = tmp_path / "my.toml"
    file.write_text("[server]\nport = 1\n")
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    assert condord("start", "--config", str(file)).code == 0
    assert condord("start", "--config", str(tmp_path)).code == 78


def test_a_port_in_use_exits_with_69_and_two_lines(condord, service):
    service.error = Unavailable("port 8420 is in use", "Choose another with --port.")
    code, _, err = condord("start")
    assert code == 69
    assert err[1:] == ["condord: port 8420 is in use", "hint: Choose another with --port."]


def test_the_demo_overrides_only_the_account_of_the_configuration(condord, service, simulated, monkeypatch, tmp_path):
    file = tmp_path / "my.toml"
    file.write_text('[alpaca]\npaper = false\nfeed = "opra"\ndata_url = "https://x"\n[server]\nport = 1234\n')
    monkeypatch.setenv("CONDORD_ALPACA_TRADING_URL", "https://api.alpaca.markets")
    monkeypatch.setenv("APCA_API_KEY_ID", "mine")
    assert condord("start", "--demo", "--config", str(file)).code == 0
    alpaca = service.config.alpaca
    assert (alpaca.paper, alpaca.feed) == (True, "indicative")
    assert alpaca.trading_url == alpaca.data_url == "http://127.0.0.1:4000"
    assert alpaca.option_stream_url == "ws://127.0.0.1:4000/v1beta1/indicative"
    assert alpaca.trading_stream_url == "ws://127.0.0.1:4000/stream"
    assert service.config.server.port == 1234
    assert {name: service.environ[name] for name in demo.CREDENTIALS} == demo.CREDENTIALS
    assert service.reread().alpaca == alpaca
    assert simulated == []


def test_the_demo_ignores_cluster_settings(condord, service, simulated, tmp_path):
    file = tmp_path / "my.toml"
    file.write_text('[cluster]\nrole = "ingest"\nbus = "nats://127.0.0.1"\naccount = "mine"\n')
    assert condord("start", "--demo", "--config", str(file)).code == 0
    assert service.config.cluster == Cluster()


def test_the_demo_names_each_setting_that_it_ignores(condord, service, simulated, monkeypatch, tmp_path):
    file = tmp_path / "my.toml"
    file.write_text('[alpaca]\npaper = true\nfeed = "opra"\n[cluster]\nrole = "ingest"\nlease_seconds = 3.0\n')
    monkeypatch.setenv("CONDORD_CLUSTER_BUS", "nats://127.0.0.1")
    assert condord("start", "--demo", "--config", str(file)).err[0] == (
        f"condord: --demo has an account and a daemon of its own, and ignores alpaca.feed (file {file}), "
        f"cluster.role (file {file}), cluster.bus (environment CONDORD_CLUSTER_BUS)"
    )


def test_the_demo_prints_nothing_about_settings_that_it_uses(condord, service, simulated, monkeypatch):
    monkeypatch.setenv("CONDORD_STREAM_WINDOW_MS", "100")
    assert condord("start", "--demo").err == ["condord serves at http://127.0.0.1:8420"]


def test_an_ingester_without_a_bus_is_a_daemon_on_its_own(condord, service, monkeypatch):
    monkeypatch.setenv("CONDORD_CLUSTER_ROLE", "ingest")
    assert condord("start").code == 0
    assert service.config.cluster.role == "ingest"


def test_an_ingester_with_a_bus_takes_part_in_an_election(condord, service, monkeypatch):
    seen = {}
    module = types.SimpleNamespace(run=lambda startup, **options: seen.update(options, startup=startup))
    monkeypatch.setitem(sys.modules, "condord.daemon.front_service", module)
    monkeypatch.setattr(package, "front_service", module, raising=False)
    monkeypatch.setenv("CONDORD_CLUSTER_ROLE", "ingest")
    monkeypatch.setenv("CONDORD_CLUSTER_BUS", "nats://127.0.0.1")
    assert condord("start", "--port", "0").code == 0
    assert service.config is None
    assert (seen["config_file"], seen["flags"]["server.port"]) == (None, 0)
    assert seen["startup"].loaded.config.cluster.is_elected
    assert seen["reread"]().cluster.bus == "nats://127.0.0.1"


def test_an_invalid_configuration_starts_no_simulator(condord, service, simulated, monkeypatch):
    monkeypatch.setattr(demo, "simulator", None)
    assert condord("start", "--demo", "--port", "70000").code == 78
