"""A worker as a process, whose daemon is this test; tests/cluster/processes has real daemons."""

import asyncio
import os
import subprocess
import sys
import threading

import pytest
from prometheus_client import CollectorRegistry

from condord.config.schema import Cluster, Config, Server
from condord.daemon import place as places
from condord.daemon import worker_pool
from condord.host.secret import Secret
from tests.e2e.running import fetch

pytestmark = pytest.mark.slow

TOKEN = "token-of-the-worker-1"
BOUND_SECONDS = 120


def run_scenario(test, cluster=None):
    """Play `test(url, reload)` in a thread beside a pool of one worker, whose daemon does not listen."""

    async def main():
        async with asyncio.timeout(BOUND_SECONDS):
            with places.opened(Server(port=0, workers=2), (), token=None, environ={}) as place:
                for listener in place.listeners:
                    listener.close()
                config = [Config(server=Server(workers=1), cluster=cluster or Cluster())]
                pool = worker_pool.build(
                    place,
                    registry=CollectorRegistry(),
                    config=lambda: config[0],
                    token=Secret(TOKEN),
                    environ=os.environ,
                )
                running = asyncio.create_task(pool.run())
                await pool.is_ready.wait()

                def reload(**settings):
                    config[0] = Config(server=Server(workers=1, **settings))
                    loop.call_soon_threadsafe(pool.reload)

                loop = asyncio.get_running_loop()
                await asyncio.to_thread(test, place.address, reload)
                counts = pool.counts
                await pool.stop()
                running.cancel()
                await asyncio.wait([running])
                return counts

    return asyncio.run(main())


def test_without_its_daemon_a_worker_is_alive_and_reports_that_nothing_was_read():
    def test(url, reload):
        assert fetch(url + "/livez")[0] == 200
        assert fetch(url + "/readyz")[0] == 503
        headers = {"Authorization": f"Bearer {TOKEN}"}
        status, answered, problem = fetch(url + "/api/positions", headers=headers)
        assert (status, problem["detail"].partition(" in ")[0]) == (503, "this worker has read nothing from its daemon")
        assert answered["Retry-After"]
        assert fetch(url + "/metrics", headers=headers)[0] == 503
        assert fetch(url + "/api/positions")[0] == 401
        assert fetch(url + "/livez", headers={"Host": "evil.example"})[0] == 200
        assert fetch(url + "/", headers={"Host": "evil.example"})[0] == 421

    run_scenario(test)


@pytest.mark.parametrize(
    ("cluster", "role", "source", "text"),
    [
        (Cluster(role="relay", source="http://a/"), "relay", "http://a", "this relay has read nothing from http://a/"),
        (
            Cluster(role="ingest", bus="nats://a"), "standby", None,
            "this ingester stands by, and has read nothing from the bus nats://a",
        ),
    ],
)  # fmt: skip
def test_a_worker_that_has_read_nothing_names_the_role_and_the_source_of_its_daemon(cluster, role, source, text):
    def test(url, reload):
        _, _, problem = fetch(url + "/api/status", headers={"Authorization": f"Bearer {TOKEN}"})
        assert problem["detail"].startswith(f"{text} in ")
        assert (problem["cluster"]["role"], problem["cluster"]["source"]) == (role, source)

    run_scenario(test, cluster)


def test_a_reload_is_applied():
    def test(url, reload):
        reload(allowed_hosts=("condord.example",))
        pause = threading.Event()
        for _ in range(1000):
            if fetch(url + "/", headers={"Host": "condord.example"})[0] != 421:
                return
            pause.wait(0.05)
        raise AssertionError("the new name was never served")

    run_scenario(test)


def test_a_worker_imports_nothing_that_reads_an_account():
    program = "import sys, condord.daemon.worker; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"alpaca", "pandas", "condord.upstream", "condord.notify", "condord.history"} & set(names)
