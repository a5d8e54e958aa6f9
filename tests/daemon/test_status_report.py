import asyncio

from condord import __version__
from condord.config.schema import Server
from condord.daemon.status_report import status_report
from condord.live import wire
from tests.http.asking import FakeDaemon


def test_it_is_the_status_with_the_counters_of_the_process():
    daemon = FakeDaemon()
    daemon.fanout.dropped, daemon.fanout.resyncs = 3, {"ringOverflow": 1}

    async def made():
        return status_report(
            daemon.edition.status,
            stocks=None,
            cluster=wire.ClusterJson(role="all"),
            fanout=daemon.fanout,
            settings=Server(max_subscribers=5),
            refused={"frame": 2},
            address="http://127.0.0.1:1",
            uptime_seconds=1.23456,
        )

    report = asyncio.run(made())
    assert (report.state, report.version, report.uptime) == ("starting", __version__, 1.235)
    assert (report.max_subscribers, report.dropped, report.resyncs) == (5, 3, {"ringOverflow": 1})
    assert (report.refused, report.tasks, report.cluster.role) == ({"frame": 2}, 1, "all")
