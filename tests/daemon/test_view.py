import asyncio
import datetime as dt

import pytest
from prometheus_client import CollectorRegistry

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord.config.schema import Server
from condord.daemon.subscribers import Subscribers
from condord.daemon.view import ALIVE_SECONDS, RunningDaemon
from condord.http.tickets import Tickets
from condord.live.wire_risk import StocksJson
from tests.http.asking import NOW_AT, FakeDaemon

STOCKS = StocksJson(state="live", code=None, reason=None, since=NOW_AT, stream=["SPY"], polled=["QQQ"])


class FakeSupervisor:
    """`beat` is when it was last alive, in loop seconds."""

    def __init__(self):
        self.beat = 0.0
        self.reason = None
        self.is_ready = False
        self.refused = {"frame": 2}
        self.told = self.refreshed = 0

    def stocks(self):
        return STOCKS

    def stuck(self, _now):
        return self.reason

    def publish_status(self):
        self.told += 1

    def refresh(self):
        self.refreshed += 1


@pytest.fixture
def supervisor():
    return FakeSupervisor()


@pytest.fixture
def view(supervisor):
    daemon = FakeDaemon()
    return RunningDaemon(
        publisher=daemon.publisher,
        supervisor=supervisor,
        subscribers=Subscribers(daemon.fanout, settings=Server, now_at=lambda: NOW_AT),
        tickets=Tickets("a-token-of-some-length", now_at=lambda: NOW_AT),
        registry=CollectorRegistry(),
        now_at=lambda: NOW_AT,
        settings=lambda: Server(max_subscribers=7),
        address="http://127.0.0.1:8420",
    )


@pytest.mark.parametrize(
    ("silent_seconds", "reason", "is_alive"),
    [
        (0.0, None, True),
        (ALIVE_SECONDS - 1, None, True),
        (ALIVE_SECONDS + 1, None, False),
        (0.0, "the readings have not turned for 99 s", False),
    ],
)
def test_it_is_alive_while_the_supervisor_beats_and_is_not_stuck(view, supervisor, silent_seconds, reason, is_alive):
    async def look():
        supervisor.beat = asyncio.get_running_loop().time() - silent_seconds
        supervisor.reason = reason
        return view.is_alive

    assert asyncio.run(look()) is is_alive


def test_it_is_ready_when_the_supervisor_is(view, supervisor):
    assert not view.is_ready
    supervisor.is_ready = True
    assert view.is_ready


def test_the_document_has_the_status_of_this_moment(view, supervisor):
    document = view.document()
    assert (supervisor.told, document.as_of) == (1, NOW_AT)
    assert [condor.id for condor in document.condors] == [view.condor(document.condors[0].id).condor.id]
    assert view.condor("none") is None


def test_the_report_has_the_status_and_the_counters(view):
    async def read():
        return view.report()

    report = asyncio.run(read())
    assert (report.address, report.max_subscribers, report.subscribers) == ("http://127.0.0.1:8420", 7, 0)
    assert report.refused["frame"] == 2
    assert report.stocks == STOCKS
    assert report.uptime < dt.timedelta(minutes=1).total_seconds()
    assert report.tasks == 1


def test_a_refresh_is_passed_to_the_supervisor(view, supervisor):
    view.refresh()
    assert supervisor.refreshed == 1
