"""A machine to check: a simulator of Alpaca, perhaps with a fault, and the locks and ports of this machine."""

import asyncio
import contextlib
import socket

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord.check import probes, report
from condord.client.http import Daemon
from condord.config.schema import Alpaca, Cluster, Config, Server
from condord.daemon import wiring
from condord.host import instance_lock
from condord.simulator.server import serve
from tests.e2e.running import until
from tests.fakes import documents
from tests.fakes.daemon import json as answer
from tests.fakes.daemon import serving
from tests.fakes.startup import found, key, loaded

KEY, SECRET = "KEYFORTESTS", "secret-for-tests"
AFTER_LOGIN = [
    *("clock-skew", "data-feed-entitled", "stock-feed-entitled", "option-stream", "stock-stream", "trading-stream"),
    "slot-free",
]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def is_open(alpaca):
    return any(stream["open"] for stream in alpaca.streams.state().values())


class Machine:
    """A machine to check: its configuration, ports and locks. `daemon` is the URL at which a daemon would answer."""

    def __init__(self, directory):
        self.environ = {"RUNTIME_DIRECTORY": str(directory)}
        self.alpaca = {}
        self.server = {"port": free_port()}
        self.notify = ()
        self.cluster = Cluster()
        self.found = {}
        self.daemon = None
        self.notes = []

    def config(self):
        server = Server(**self.server)
        return Config(alpaca=Alpaca(**self.alpaca), server=server, notify=self.notify, cluster=self.cluster)

    def use(self, alpaca):
        """Let the configuration name this simulator."""
        self.alpaca = {
            "trading_url": alpaca.url,
            "data_url": alpaca.url,
            "option_stream_url": alpaca.option_stream_url,
            "trading_stream_url": alpaca.trading_stream_url,
            "stock_stream_url": alpaca.stock_stream_url,
        } | self.alpaca

    async def run(self):
        """All results by name."""
        options = found(**{"loaded": loaded(self.config()), "key": key(KEY, SECRET), **self.found})
        daemon = Daemon(self.daemon or f"http://127.0.0.1:{self.server['port']}", timeout_seconds=3.0)
        checks = await probes.run_checks(options, daemon=daemon, environ=self.environ, note=self.notes.append)
        names = [*(report.ELECTED_NAMES if self.cluster.is_elected else report.NAMES)]
        assert [check.name for check in checks] == names
        return {check.name: check for check in checks}

    def check(self, fault=None, credentials=None, scenario="default", **options):
        """All results by name with a simulator, in which something may go wrong."""

        async def main():
            async with serve(credentials=credentials, scenario=scenario) as alpaca:
                self.use(alpaca)
                if fault is not None:
                    alpaca.inject(fault, **options)
                checks = await self.run()
                await asyncio.to_thread(until, lambda: not is_open(alpaca), "no stream stays open")
                assert all(check.hint for check in checks.values() if check.result == "fail")
                return checks

        return asyncio.run(main())

    @contextlib.contextmanager
    def running_daemon(self, **report):
        """A condord that answers at the configured address."""
        with serving() as daemon:
            daemon.answers["/api/status"] = answer(documents.report(**report))
            self.daemon, self.server["port"] = daemon.url, int(daemon.url.rpartition(":")[2])
            yield daemon


def results(checks, *names):
    return [checks[name].result for name in names]


def failed(checks):
    return [name for name, check in checks.items() if check.result == "fail"]


def not_tried(checks, why):
    return [name for name, check in checks.items() if check.text == f"not tried: {why}"]


def locked(machine, key_id=KEY, lease_digest=""):
    """Lock the stream, as a daemon on this machine does; with a digest, as that of an ingester does."""
    locks = instance_lock.Locks(instance_lock.directory(machine.environ), lease_digest=lease_digest)
    locks.take(key_id=key_id, stream_url=wiring.supervisor(machine.config()).option_stream_url)
    return locks
