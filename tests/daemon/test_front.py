import asyncio
import types

import msgspec

from condord.config.relay_startup import RelayStartup
from condord.config.schema import Cluster, Config, Server
from condord.daemon.front import Front
from condord.daemon.relay import RelayInputs, RelayParts
from condord.errors import ConfigError
from condord.http.guard import Guard
from tests.fakes import startup
from tests.live.accounts import status

BUS = "nats://127.0.0.1:1"
CONFIG = Config(server=Server(port=0, max_subscribers=2), cluster=Cluster(role="ingest", bus=BUS))


class Spy:
    """Notes which of its methods were called, with which arguments."""

    def __init__(self, name, log):
        self._name, self._log = name, log

    def __getattr__(self, method):
        return lambda *arguments: self._log.append((self._name, method, *arguments))


class Harness:
    """The job of a front whose configuration file the test changes."""

    def __init__(self):
        self.config = CONFIG
        self.log = []
        self.view = types.SimpleNamespace(
            status=None,
            unread=types.SimpleNamespace(detail="nothing has been read"),
            cluster=types.SimpleNamespace(role="standby"),
        )
        self.guard = Guard(None, None)
        arguments = RelayStartup(loaded=startup.loaded(CONFIG), source_token=None, token=None)
        self.followed = types.SimpleNamespace(
            **{
                name: Spy(name, self.log)
                for name in ("bus", "leadership", "term", "ready", "publisher", "answers", "history")
            },
            run=None,
            retry=lambda: self.log.append("retry"),
        )
        parts = RelayParts(
            followed=self.followed,
            view=self.view,
            guard=self.guard,
            guard_settings=lambda config: config.server.allowed_hosts,
        )
        self.job = Front(RelayInputs(arguments, environ={}, reread=self.reread), parts, self.followed)

    def reread(self):
        if isinstance(self.config, Exception):
            raise self.config
        return self.config


def test_a_reload_also_reloads_the_maker():
    with startup.restored_root_logger():
        harness = Harness()
        changed = msgspec.structs.replace(CONFIG.server, allowed_hosts=("condord.example",), max_subscribers=3)
        harness.config = msgspec.structs.replace(CONFIG, server=changed)
        harness.job.reload()
        assert harness.guard.settings == ("condord.example",)
        assert harness.log == ["retry", ("term", "reload")]
        harness.config = ConfigError(["server.port = -1"])
        harness.job.reload()
        assert harness.guard.settings == ("condord.example",)


def test_the_state_for_systemd_names_the_role():
    with startup.restored_root_logger():
        harness = Harness()
    assert harness.job.status_text() == "standby, starting: nothing has been read"
    harness.view.status = status("live")
    assert harness.job.status_text() == "standby, live"
    harness.view.cluster.role = "leader"
    harness.view.status = msgspec.structs.replace(status("stale"), reason="no news")
    assert harness.job.status_text() == "leader, stale: no news"


def test_the_bus_and_the_lease_are_kept_until_the_maker_has_ended():
    with startup.restored_root_logger():
        harness = Harness()
    assert set(harness.job.tasks) == {"the follower", "the next maker", "the publisher"}
    assert set(harness.job.writers) == {"the bus", "the answers", "the leadership", "the history"}
    assert harness.job.log_fields == {"bus": BUS}
    assert harness.job.stuck(1.0) is None
    harness.job.close()

    async def leave():
        harness.log.append("left")

    async def release():
        harness.log.append("released")

    harness.followed.leadership = types.SimpleNamespace(leave=leave)
    harness.followed.history = types.SimpleNamespace(release=release)
    asyncio.run(harness.job.finish())
    assert harness.log[-2:] == ["left", "released"]
