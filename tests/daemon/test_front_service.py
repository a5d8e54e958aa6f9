"""A front in this process, whose bus is down; tests/cluster/processes has fronts as programs."""

import os
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import msgspec
import pytest

from condord.config.account_name import account_name
from condord.config.schema import Cluster, Config, History, Server
from condord.daemon import front_service
from condord.errors import Unavailable
from condord.host import instance_lock
from condord.host.instance_lock import StateInUse
from tests.e2e.running import fetch, until
from tests.fakes import startup

from .service_runner import restored_process, run_service

UNREACHABLE_BUS = "nats://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _process():
    with restored_process():
        yield


def serve(visit, **options):
    """Run a front until `visit`, called in a thread once it serves, is over."""
    config = Config(server=Server(port=0), cluster=Cluster(role="ingest", bus=UNREACHABLE_BUS))
    run_service(
        lambda announce: front_service.run(
            startup.startup(config, startup.key(), warnings=["something is odd"]),
            config_file=None,
            flags={},
            announce=announce,
            reread=lambda: config,
            **{"environ": dict(os.environ), **options},
        ),
        visit,
    )


@pytest.mark.slow
def test_without_its_bus_a_front_reports_that_nothing_was_read_and_stops_gracefully(tmp_path):
    seen = {}

    def visit(url):
        seen["positions"] = fetch(f"{url}/api/positions")
        seen["alive"] = fetch(f"{url}/livez")[0]
        seen["ready"] = fetch(f"{url}/readyz")[0]
        until(lambda: 'condord_cluster_role{state="standby"} 1.0' in fetch(f"{url}/metrics")[2], "the role")
        seen["directories"] = [each.stat().st_mode & 0o777 for each in runtime.iterdir()]
        seen["locks"] = [each.name for each in state.iterdir()]

    state = tmp_path / "state"
    with tempfile.TemporaryDirectory() as short:  # the path of a socket has a limit, which `tmp_path` may exceed
        runtime = Path(short)
        serve(visit, environ={**os.environ, "RUNTIME_DIRECTORY": short, "STATE_DIRECTORY": str(state)})
        assert [*runtime.iterdir(), *state.iterdir()] == []
    assert (seen["positions"][0], seen["alive"], seen["ready"]) == (503, 200, 503)
    assert seen["directories"] == [0o700]
    assert [name.startswith("ingester-") for name in seen["locks"]] == [True]


def test_a_state_directory_used_by_another_ingester_of_the_account_is_refused(tmp_path):
    name = account_name(Config(cluster=Cluster(role="ingest", bus=UNREACHABLE_BUS)), startup.key())
    with instance_lock.only_ingester(name, tmp_path), pytest.raises(StateInUse, match=f"process {os.getpid()}"):
        serve(lambda _url: None, environ={"STATE_DIRECTORY": str(tmp_path)})


def test_without_a_directory_for_the_makers_socket_there_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    environ = {"RUNTIME_DIRECTORY": str(tmp_path / "file"), "STATE_DIRECTORY": str(tmp_path)}
    with pytest.raises(Unavailable, match="no private directory for the maker"):
        serve(lambda _url: None, environ=environ)


def test_a_maker_is_a_daemon_of_its_own_at_a_socket_of_the_front(tmp_path):
    config = Config(server=Server(port=1), cluster=Cluster(role="ingest", bus=UNREACHABLE_BUS, lease_seconds=5))
    environ = {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "1", "HOME": "/h"}
    found = startup.startup(config, startup.key())
    inputs = types.SimpleNamespace(config=config, environ=environ)
    settings = front_service._settings(found, inputs, tmp_path, Path("/c.toml"), {"server.port": 1, "log.level": None})
    assert settings.begin.config_file == "/c.toml"
    assert settings.begin.flags == {
        "server.port": None,
        "server.host": None,
        "log.level": None,
        "server.uds": f"{tmp_path}/maker",
        "server.workers": 1,
        "cluster.role": "all",
        "cluster.bus": "",
        "cluster.account": "",
    }
    assert settings.begin.account_digest == settings.account
    assert settings.environ == {"HOME": "/h"}
    assert settings.begin.state_directory == str(settings.state_directory(False))
    assert (settings.maker.address.uds, settings.lease_seconds, len(settings.account)) == (f"{tmp_path}/maker", 5, 12)


def test_a_front_records_in_the_database_of_its_makers(tmp_path):
    config = Config(cluster=Cluster(role="ingest", bus=UNREACHABLE_BUS))
    inputs = types.SimpleNamespace(config=config, environ={"STATE_DIRECTORY": "/s"})
    settings = front_service._settings(startup.startup(config, startup.key()), inputs, tmp_path, None, {})
    assert [settings.state_directory(lasts) for lasts in (True, False)] == [Path("/s")] * 2
    inputs.config = msgspec.structs.replace(config, history=History(keep_days=7))
    assert settings.history().keep_days == 7


@pytest.mark.slow
def test_a_front_imports_nothing_that_reads_an_account():
    program = "import sys, condord.daemon.front_service; print([m for m in ('alpaca', 'requests', 'pandas') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert result.stdout == "[]\n", result.stderr
