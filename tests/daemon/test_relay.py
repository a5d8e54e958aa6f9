import asyncio
import logging
import types

import msgspec
import pytest

from condord.config.bus_credentials import BusCredentials
from condord.config.relay_startup import RelayStartup
from condord.config.schema import Cluster, Config, Log, Server
from condord.daemon.relay import Relay, RelayInputs, RelayParts
from condord.errors import ConfigError
from condord.host.secret import Secret
from condord.http.guard import Guard
from tests.fakes import startup
from tests.live.accounts import status

CONFIG = Config(server=Server(port=0, max_subscribers=2), cluster=Cluster(role="relay", source="http://127.0.0.1:1"))


@pytest.fixture(autouse=True)
def _restored_logger():
    with startup.restored_root_logger():
        yield


class Harness:
    """A job whose configuration file the test changes."""

    def __init__(self):
        self.config = CONFIG
        self.retries = []
        self.view = types.SimpleNamespace(status=None, unread=types.SimpleNamespace(detail="nothing has been read"))
        self.guard = Guard(None, None)
        found = RelayStartup(
            loaded=startup.loaded(CONFIG), source_token=Secret("source-token-1234"), token=Secret("own-token-1234567")
        )
        self.inputs = RelayInputs(found, environ={}, reread=self.reread)
        self.job = Relay(
            self.inputs,
            RelayParts(
                followed=types.SimpleNamespace(run="run the follower", retry=lambda: self.retries.append(1)),
                view=self.view,
                guard=self.guard,
                guard_settings=lambda config: config.server.allowed_hosts,
            ),
        )

    def reread(self):
        if isinstance(self.config, Exception):
            raise self.config
        return self.config


def test_a_reload_applies_keys_that_need_no_restart_and_reconnects_at_once(caplog):
    harness = Harness()
    changed = msgspec.structs.replace(CONFIG.server, allowed_hosts=("condord.example",), port=9, max_subscribers=3)
    harness.config = msgspec.structs.replace(CONFIG, server=changed, log=Log(level="debug"))
    harness.job.reload()
    assert harness.guard.settings == ("condord.example",)
    assert harness.inputs.config.server.max_subscribers == 3
    assert harness.inputs.config.server.port == 0
    assert logging.getLogger().level == logging.DEBUG
    assert harness.retries == [1]


def test_a_faulty_configuration_changes_nothing_but_reconnects_at_once(caplog):
    harness = Harness()
    harness.config = ConfigError(["server.port = -1"])
    with caplog.at_level(logging.INFO):
        harness.job.reload()
    assert harness.guard.settings is None
    assert harness.inputs.config is CONFIG
    assert harness.retries == [1]


def test_the_state_for_systemd_follows_the_source():
    harness = Harness()
    assert harness.job.status_text() == "starting: nothing has been read"
    harness.view.status = status("live")
    assert harness.job.status_text() == "live"
    harness.view.status = msgspec.structs.replace(status("stale"), reason="no news")
    assert harness.job.status_text() == "stale: no news"


def test_the_only_task_of_the_job_is_the_follower():
    harness = Harness()
    assert harness.job.tasks == {"the follower": "run the follower"}
    assert harness.job.writers == {}
    assert harness.job.log_fields == {"source": "http://127.0.0.1:1"}
    assert harness.job.stuck(1.0) is None
    asyncio.run(harness.job.finish())
    harness.job.close()


def test_the_log_names_a_bus_and_masks_its_credentials(capsys, tmp_path):
    config = msgspec.structs.replace(CONFIG, cluster=Cluster(role="relay", bus="nats://127.0.0.1:1"))
    credentials = BusCredentials(kind="password", secret=Secret("kramers:hushhush-1"), path=tmp_path)
    found = RelayStartup(
        loaded=startup.loaded(config), source_token=None, bus_credentials=credentials, token=Secret("own-token-1234567")
    )
    inputs = RelayInputs(found, environ={}, reread=lambda: config)
    parts = RelayParts(followed=None, view=None, guard=None, guard_settings=lambda config: None)
    assert Relay(inputs, parts).log_fields == {"bus": "nats://127.0.0.1:1"}
    logging.getLogger("condord").error("kramers sent hushhush-1")
    output = capsys.readouterr().err
    assert "kramers sent" in output
    assert "hushhush" not in output
