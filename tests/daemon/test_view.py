import asyncio
import datetime as dt
import types

import msgspec
import pytest
from prometheus_client import CollectorRegistry

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord.config.schema import Server
from condord.daemon.counts import Counts
from condord.daemon.subscribers import Subscribers
from condord.daemon.view import ALIVE_SECONDS, RunningDaemon
from condord.errors import Unavailable
from condord.http.tickets import Tickets
from condord.live.wire import NoticeJson, RestError
from condord.live.wire_alerts import AlertsJson
from condord.live.wire_history import HistoryQuery
from condord.live.wire_risk import StocksJson
from tests.fakes.alert_parts import CHANNEL, FakeDelivery
from tests.fakes.history_store import FakeFault, FakeHistoryStore
from tests.http.fake_daemon import NOW_AT, FakeDaemon

STOCKS = StocksJson(state="live", code=None, reason=None, since=NOW_AT, stream=["SPY"], polled=["QQQ"])


class FakeSupervisor:
    """`beat` is when it was last alive, in loop seconds."""

    def __init__(self):
        self.beat = 0.0
        self.reason = None
        self.is_ready = False
        self.refused = {"frame": 2}
        self.published = self.refreshed = 0

    def stocks(self):
        return STOCKS

    def stuck(self, _now):
        return self.reason

    def publish_status(self):
        self.published += 1

    def refresh(self):
        self.refreshed += 1


@pytest.fixture
def supervisor():
    return FakeSupervisor()


class FakePast:
    """The database and the trade book, as far as the view uses them."""

    def __init__(self):
        self.store = FakeHistoryStore()
        self.recorder = types.SimpleNamespace(is_enabled=True, is_known=True, is_shown=True)
        self.trade_book = self

    async def trades(self, from_at, until_at):
        return (from_at, until_at)


@pytest.fixture
def past():
    return FakePast()


class FakeAlertService:
    """The alerts, as far as the view uses them; `seen` are the ids that were acknowledged."""

    def __init__(self):
        self.delivery = FakeDelivery()
        self.seen = []

    def answer(self):
        return AlertsJson(as_of=NOW_AT, alerts=[], rules=[], channels=[CHANNEL])

    async def acknowledge(self, alert_id):
        self.seen.append(alert_id)
        return alert_id == "known"


@pytest.fixture
def alert_service():
    return FakeAlertService()


@pytest.fixture
def daemon():
    return FakeDaemon()


@pytest.fixture
def view(supervisor, past, alert_service, daemon):
    return RunningDaemon(
        publisher=daemon.publisher,
        supervisor=supervisor,
        past=past,
        alerts=alert_service,
        subscribers=Subscribers(daemon.fanout, settings=Server, now_at=lambda: NOW_AT),
        tickets=Tickets("a-token-of-some-length", now_at=lambda: NOW_AT),
        registry=CollectorRegistry(),
        counts=lambda: Counts(subscribers=daemon.fanout.subscribers, frames=4, gaps=2),
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
        (0.0, "the readings have made no progress for 99 s", False),
    ],
)
def test_a_daemon_is_alive_while_its_supervisor_is_and_is_not_stuck(view, supervisor, silent_seconds, reason, is_alive):
    async def check():
        supervisor.beat = asyncio.get_running_loop().time() - silent_seconds
        supervisor.reason = reason
        return view.is_alive

    assert asyncio.run(check()) is is_alive


def test_a_daemon_is_ready_when_its_supervisor_is(view, supervisor):
    assert not view.is_ready
    supervisor.is_ready = True
    assert view.is_ready


def test_the_document_has_the_status_of_this_moment(view, supervisor):
    document = view.document()
    assert (supervisor.published, document.as_of) == (1, NOW_AT)
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


def history_of(view, condor_id):
    return asyncio.run(view.history(HistoryQuery(condor_id=condor_id)))


@pytest.mark.parametrize("is_enabled", [True, False])
def test_history_is_recorded_if_the_configuration_enables_it(view, past, is_enabled):
    past.recorder.is_enabled = is_enabled
    assert view.records_history is is_enabled


@pytest.mark.parametrize("condor_id", ["GONE-261120-1-2-3-4", None])
def test_recorded_history_comes_from_the_database(view, past, condor_id):
    past.store.answers = {condor_id: "its rows"}
    assert history_of(view, condor_id) == "its rows"


def set_status(daemon, error=None, notices=()):
    status = daemon.edition.status
    error = None if error is None else RestError(code=error, text="Alpaca answers 503")
    notices = [NoticeJson(code=code, text=text, symbols=[], since=NOW_AT) for code, text in notices]
    changed = msgspec.structs.replace(
        status, positions=msgspec.structs.replace(status.positions, error=error), notices=notices
    )
    daemon.publisher.set_status(changed, daemon.now, NOW_AT)


@pytest.mark.parametrize("condor_id", ["GONE-261120-1-2-3-4", None])
@pytest.mark.parametrize(
    ("error", "notices", "reason"),
    [
        (None, [], ""),
        ("unreachable", [("stocksUnavailable", "other")], ": Alpaca answers 503"),
        ("unreachable", [("accountUnavailable", "it cannot be read")], ": it cannot be read"),
    ],
)
def test_until_the_account_is_known_its_history_is_unavailable(view, past, daemon, condor_id, error, notices, reason):
    past.recorder.is_known = past.recorder.is_shown = False
    past.store.answers = {None: "those of another account"}
    set_status(daemon, error, notices)
    with pytest.raises(Unavailable) as caught:
        history_of(view, condor_id)
    assert str(caught.value) == "the account is not known yet" + reason


@pytest.mark.parametrize("code", ["authFailed", "forbidden", "refused"])
def test_an_account_whose_key_is_refused_has_no_rows(view, past, daemon, code):
    past.recorder.is_known = past.recorder.is_shown = False
    past.store.answers = {None: "those of another account"}
    set_status(daemon, code)
    assert history_of(view, None).seconds == []
    assert history_of(view, "GONE-261120-1-2-3-4") is None


def test_until_the_positions_are_known_a_condor_without_rows_may_be_held(view, past):
    past.recorder.is_shown = False
    past.store.answers = {"OLD-261120-1-2-3-4": "its rows"}
    assert history_of(view, "OLD-261120-1-2-3-4") == "its rows"
    assert history_of(view, None).seconds == []
    with pytest.raises(Unavailable, match="the positions have not been read yet"):
        history_of(view, "NEW-261120-1-2-3-4")


def test_a_condor_without_rows_has_an_empty_history(view):
    (condor,) = view.document().condors
    recorded = history_of(view, condor.id)
    assert (recorded.id, recorded.opened_at, recorded.resolution_seconds) == (condor.id, condor.opened_at, 60)
    lists = [value for value in msgspec.structs.asdict(recorded).values() if isinstance(value, list)]
    assert lists == [[]] * 7


def test_an_account_without_rows_has_an_empty_history(view):
    recorded = history_of(view, None)
    assert (recorded.id, recorded.opened_at, recorded.seconds) == (None, None, [])


def test_a_condor_that_is_not_held_and_has_no_rows_has_no_history(view):
    assert history_of(view, "GONE-261120-1-2-3-4") is None


def test_a_database_that_cannot_be_read_is_reported(view, past):
    past.store.fault = FakeFault(text="it is locked", since=NOW_AT)
    with pytest.raises(Unavailable, match="it is locked"):
        history_of(view, None)


def test_trades_come_from_the_trade_book(view):
    assert asyncio.run(view.trades(NOW_AT, None)) == (NOW_AT, None)


def test_alerts_come_from_the_alert_service_and_can_be_acknowledged(view, alert_service):
    assert view.alerts().channels == [CHANNEL]
    assert [asyncio.run(view.acknowledge(alert_id)) for alert_id in ("known", "unknown")] == [True, False]
    assert alert_service.seen == ["known", "unknown"]


def test_a_channel_is_tested_by_its_name(view):
    assert list(view.channels) == ["phone"]
    assert asyncio.run(view.test_channel("phone")).status == 204
    assert asyncio.run(view.test_channel("pager")) is None
