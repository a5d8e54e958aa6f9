import asyncio
import socket

import pytest

from condord.check import probes, report
from condord.config.credentials import Secret
from condord.errors import ConfigError, CredentialsMissing
from tests.check.worlds import AFTER_LOGIN, failed, not_tried, results
from tests.fakes.startup import found, loaded

pytestmark = pytest.mark.slow


def test_with_a_working_alpaca_everything_is_ok_but_that_no_daemon_runs(world):
    checks = world.check()
    assert {name for name, check in checks.items() if check.result != "ok"} == {"daemon-answers"}
    assert checks["daemon-answers"].result == "warn"
    assert "simulator" in checks["rest-login"].text
    assert world.notes == []


def test_with_faults_of_the_configuration_nothing_else_is_tried(world):
    world.found = {"key": None, "is_key_unknown": True, "config_error": ConfigError(["one"])}
    checks = asyncio.run(world.run())
    assert failed(checks) == ["config-valid"]
    assert len(not_tried(checks, "config-valid failed")) == len(report.NAMES) - 2


def test_without_a_key_the_network_and_this_machine_are_checked_all_the_same(world):
    world.found = {"key": None, "key_error": CredentialsMissing()}
    checks = world.check()
    assert failed(checks) == ["credentials-found"]
    assert not_tried(checks, "credentials-found failed") == sorted([*AFTER_LOGIN, "rest-login"], key=report.NAMES.index)
    assert results(checks, "dns", "tls", "port-free") == ["ok", "ok", "ok"]


def test_a_used_port_fails_if_the_address_of_a_daemon_is_not_known(world):
    with socket.create_server(("127.0.0.1", world.server["port"])):
        world.alpaca["data_url"] = "https://[1]"
        without_key = found(
            loaded=loaded(world.config()), key=None, token=Secret("token"), key_error=CredentialsMissing()
        )
        checks = probes.run(without_key, daemon=None, environ=world.environ, note=world.notes.append)
    assert [check.name for check in checks if check.result == "fail"] == ["credentials-found", "network", "port-free"]
