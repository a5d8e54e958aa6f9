"""The parts of a daemon that is built and not started: nothing is sent to Alpaca, and no socket is opened."""

import asyncio
import contextlib
import datetime as dt
import json
import socket
import types

import msgspec
import pytest

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord.config.schema import Alpaca, Config, History, Server, Stream
from condord.daemon.build import Upstream, build
from condord.daemon.place import Place
from condord.daemon.reload import Inputs
from condord.host.instance_lock import Locks
from condord.host.secret import Secret
from condord.live.published import EVERYTHING
from tests.fakes import startup
from tests.http.fake_daemon import LEGS, Conversation, held, tick

TOKEN = "a-token-of-some-length"
HOUR = dt.timedelta(hours=1)
CONFIG = Config(
    alpaca=Alpaca(
        trading_url="http://127.0.0.1:9",
        data_url="http://127.0.0.1:9",
        option_stream_url="ws://127.0.0.1:9/option",
        trading_stream_url="ws://127.0.0.1:9/trading",
    ),
    stream=Stream(window_ms=500, min_change=0.05),
    server=Server(max_subscribers=2),
)
ENVIRON = {"APCA_API_KEY_ID": "id", "APCA_API_SECRET_KEY": startup.HUSH}
LEG = next(iter(LEGS))


class FakeListener:
    """A listening socket that has only an address."""

    family = socket.AF_INET

    def getsockname(self):
        return ("127.0.0.1", 8420)


@pytest.fixture(autouse=True)
def _restored_logger():
    with startup.restored_root_logger():
        yield


@pytest.fixture
def built(tmp_path):
    """A context in which a daemon is built, within a running loop; its parts are closed afterwards."""

    @contextlib.contextmanager
    def make(token=None, reread=lambda: CONFIG, log_dropped=lambda: 0, history=None):
        with Locks(tmp_path / "locks") as locks:
            found = startup.startup(CONFIG, startup.key(), token)
            inputs = Inputs(found, environ=ENVIRON, reread=reread, locks=locks)
            place = Place(listeners=[FakeListener()], address="http://127.0.0.1:8420", takes_any_host=False)
            parts = build(inputs, place=place, state=None, history=history, log_dropped=log_dropped)
            try:
                yield parts
            finally:
                parts.upstream.close()

    return make


def sink_of(parts):
    """The sink to which the supervisor passes the account and the quotes."""
    return parts.upstream.supervisor._sink


def publish_condor(parts):
    sink_of(parts).set_positions([held(symbol, quantity) for symbol, quantity in LEGS.items()])


async def fetch(parts, path, **headers):
    """The answer of the application that the server has."""
    return await Conversation(parts.server.config.app, path, headers=headers).run()


def test_before_the_start_the_document_is_empty_and_names_the_configured_source(built):
    async def scenario():
        with built() as parts:
            document = parts.view.document()
            assert (document.condors, document.quotes, document.unmatched) == ([], [], [])
            assert (document.status.source, document.status.feed) == ("simulator", "indicative")
            assert not parts.view.is_ready

    asyncio.run(scenario())


def test_each_run_has_its_own_epoch_so_that_versions_of_another_are_recognised(built):
    async def scenario():
        versions = []
        for _ in range(2):
            with built() as parts:
                versions.append(parts.view.document().version)
        assert versions[0] != versions[1]

    asyncio.run(scenario())


def test_readings_of_the_supervisor_reach_the_view_the_subscribers_and_the_metrics(built):
    async def scenario():
        with built() as parts:
            wakes = []
            subscriber = parts.subscribers.subscribe(EVERYTHING, 0.0, None, "identity", lambda: wakes.append(1))
            subscriber.take(parts.subscribers.now_at)
            publish_condor(parts)
            (condor,) = parts.view.document().condors
            assert parts.view.condor(condor.id) is not None
            assert wakes
            assert parts.view.report().subscribers == 1
            body = (await fetch(parts, "/metrics")).body.decode()
            assert "condord_subscribers 1.0" in body
            assert "condord_condors 1.0" in body

    asyncio.run(scenario())


def test_all_parts_read_the_exchanges_clock_which_the_supervisor_corrects(built):
    async def scenario():
        with built(token=Secret(TOKEN)) as parts:
            before = parts.view.document().as_of
            parts.upstream.supervisor._now_at.offset = HOUR
            assert parts.view.document().as_of - before >= HOUR
            assert parts.subscribers.now_at() - before >= HOUR
            assert parts.view.tickets.issue().expires_at - before >= HOUR
            assert sink_of(parts)._now_at() - before >= HOUR

    asyncio.run(scenario())


def test_quotes_are_published_with_the_window_and_the_least_change_of_the_configuration(built):
    async def scenario():
        with built() as parts:
            publisher = parts.view._publisher
            assert publisher.coalescer.window_seconds == 0.5
            assert publisher.book.changes.min_change_e4 == 500
            publish_condor(parts)
            sink_of(parts).confirm([tick(LEG, 1.0, 1.2)], sink_of(parts).generation)
            assert [quote.bid for quote in parts.view.document().quotes if quote.symbol == LEG] == [1.0]

    asyncio.run(scenario())


def test_a_reload_reaches_the_parts_that_serve(built):
    changed = Config(
        alpaca=CONFIG.alpaca,
        stream=Stream(window_ms=750),
        server=Server(max_subscribers=1, allowed_hosts=("a.example",)),
    )

    async def scenario():
        with built(reread=lambda: changed) as parts:
            assert (await fetch(parts, "/api/positions", Host="a.example")).status == 421
            parts.reload.run()
            assert parts.view._publisher.coalescer.window_seconds == 0.75
            assert parts.view.report().max_subscribers == 1
            assert (await fetch(parts, "/api/positions", Host="a.example")).status != 421
            parts.subscribers.subscribe(EVERYTHING, 0.0, None, "identity", lambda: None)
            assert not parts.subscribers.has_room

    asyncio.run(scenario())


def test_without_the_token_a_request_is_refused_and_counted(built):
    async def scenario():
        with built(token=Secret(TOKEN)) as parts:
            assert (await fetch(parts, "/api/status")).status == 401
            answer = await fetch(parts, "/api/status", Authorization=f"Bearer {TOKEN}")
            assert answer.status == 200
            assert json.loads(answer.body)["address"] == "http://127.0.0.1:8420"
            metrics = await fetch(parts, "/metrics", Authorization=f"Bearer {TOKEN}")
            assert 'status="401"' in metrics.body.decode()

    asyncio.run(scenario())


def test_requests_to_alpaca_and_lost_log_lines_are_in_the_metrics(built):
    async def scenario():
        with built(log_dropped=lambda: 3) as parts:
            parts.upstream.brokerage._calls._observe("positions", "503", 0.25)
            sink_of(parts)._observe(0.01)
            body = (await fetch(parts, "/metrics")).body.decode()
            assert "condord_log_dropped_total 3.0" in body
            assert 'code="503"' in body
            assert "condord_update_latency_seconds_count 1.0" in body

    asyncio.run(scenario())


def test_a_reload_changes_how_long_history_is_kept(built, tmp_path):
    changed = msgspec.structs.replace(CONFIG, history=History(keep_days=7))

    async def scenario():
        with built(reread=lambda: changed, history=tmp_path) as parts:
            keep_days = parts.upstream.past.store._writing.file._keep_days
            assert keep_days() == 400
            parts.reload.run()
            assert keep_days() == 7
            parts.reload._release.cancel()

    asyncio.run(scenario())


def test_rows_of_a_minute_reach_the_recorder_and_the_past_reaches_the_document(built, tmp_path):
    async def scenario():
        with built(history=tmp_path) as parts:
            past = parts.upstream.past
            assert parts.publisher.recorder == past.recorder.record
            assert past.trade_book._recall == parts.publisher.book.recall_past
            assert parts.upstream.supervisor.settings.keep_days == 400

    asyncio.run(scenario())


def test_the_upstream_closes_threads_then_connections_then_files():
    closed = []
    parts = {
        name: types.SimpleNamespace(close=lambda name=name: closed.append(name))
        for name in ("store", "brokerage", "grouper", "past", "alerts")
    }
    Upstream(publisher=None, supervisor=None, **parts).close()
    assert closed == ["grouper", "past", "alerts", "brokerage", "store"]
