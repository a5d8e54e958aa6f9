import asyncio

from condord import __version__
from condord.config.schema import Server
from condord.daemon.counts import Counts
from condord.daemon.status_report import status_report
from condord.live import wire
from tests.http.fake_daemon import FakeDaemon


def test_only_an_ingester_that_does_not_lead_reports_standby():
    daemon = FakeDaemon()

    async def state(role):
        cluster = wire.ClusterJson(role=role)
        fields = {
            "stocks": None,
            "counts": Counts(),
            "settings": Server(),
            "refused": {},
            "address": "",
            "uptime_seconds": 0,
        }
        return status_report(daemon.edition.status, cluster=cluster, **fields).state

    assert [asyncio.run(state(role)) for role in ("all", "leader", "standby", "relay")] == [
        "starting",
        "starting",
        "standby",
        "starting",
    ]


def test_the_report_is_the_status_with_the_counters_of_the_process():
    daemon = FakeDaemon()
    counts = Counts(dropped=3, resyncs={"ringOverflow": 1}, tasks=7, gaps=2)

    async def report_of():
        return status_report(
            daemon.edition.status,
            stocks=None,
            cluster=wire.ClusterJson(role="all"),
            counts=counts,
            settings=Server(max_subscribers=5),
            refused={"frame": 2},
            address="http://127.0.0.1:1",
            uptime_seconds=1.23456,
        )

    report = asyncio.run(report_of())
    assert (report.state, report.version, report.uptime) == ("starting", __version__, 1.235)
    assert (report.max_subscribers, report.dropped, report.resyncs) == (5, 3, {"ringOverflow": 1})
    assert (report.refused, report.tasks, report.cluster.role) == ({"frame": 2}, 8, "all")
    assert report.cluster.gaps == 2
