"""The whole daemon in this process, with nobody at Alpaca's addresses; tests/e2e has what it does as a program."""

import asyncio
import contextlib
import logging
import os
import signal
import tempfile
import threading
import types
from urllib.parse import urlsplit

import msgspec
import pytest

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord.config.schema import Alpaca, Config, Server, Stream
from condord.daemon import service
from condord.daemon.service import STUCK_LOOKS, Service
from condord.errors import ConfigError, Failed
from condord.upstream.supervisor import Supervisor
from tests import virtualtime
from tests.e2e.running import fetch, until
from tests.fakes import startup

NOBODY = "127.0.0.1:9"
CONFIG = Config(
    alpaca=Alpaca(
        trading_url=f"http://{NOBODY}",
        data_url=f"http://{NOBODY}",
        option_stream_url=f"ws://{NOBODY}/option",
        trading_stream_url=f"ws://{NOBODY}/trading",
    ),
    server=Server(port=0),
)


class Run:
    """A daemon that runs until `visit`, called in a thread once it serves, is over (or, unless `ends`, by itself)."""

    def __init__(self, place, visit, *, ends=True, warnings=(), **options):
        self.lines = []
        self.fault = None
        self._visit = visit
        self._ends = ends
        environ = {
            "APCA_API_KEY_ID": "id",
            "APCA_API_SECRET_KEY": startup.HUSH,
            "RUNTIME_DIRECTORY": str(place / "locks"),
            "STATE_DIRECTORY": str(place / "state"),
        }
        try:
            found = startup.startup(CONFIG, startup.key(), warnings=warnings)
            service.run(found, environ=environ, announce=self._announce, **options)
        finally:
            self._thread.join()
        if self.fault is not None:
            raise self.fault

    def _announce(self, line):
        self.lines.append(line)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        try:
            self._visit(self.lines[0].rpartition(" ")[2])
        except BaseException as error:  # noqa: BLE001 - it is raised in the test's own thread
            self.fault = error
        finally:
            if self._ends:
                os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(autouse=True)
def _process():
    """The log level and the signal handlers as they were: a daemon that has ended ignores signals."""
    root = logging.getLogger()
    level = root.level
    handlers = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    yield
    root.setLevel(level)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_it_announces_where_it_serves_and_ends_at_sigterm(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    seen = {}

    def visit(url):
        seen.update(
            live=fetch(f"{url}/livez")[0], ready=fetch(f"{url}/readyz")[0], report=fetch(f"{url}/api/status")[2]
        )

    ran = Run(tmp_path, visit, warnings=["something is odd"], log_dropped=lambda: 3)
    assert len(ran.lines) == 1
    assert (seen["live"], seen["ready"]) == (200, 503)
    assert seen["report"]["address"] == ran.lines[0].rpartition(" ")[2]
    assert seen["report"]["pid"] == os.getpid()
    assert seen["report"]["subscribers"] == 0
    told = [record.message for record in caplog.records]
    assert [each for each in told if each in {"Configuration warning", "Serving", "Stopped"}] == [
        "Configuration warning",
        "Serving",
        "Stopped",
    ]


def test_a_scrape_has_the_counters_of_every_part(tmp_path):
    seen = []
    Run(tmp_path, lambda url: seen.append(fetch(f"{url}/metrics")[2]), log_dropped=lambda: 3)
    assert "condord_subscribers 0.0" in seen[0]
    assert "condord_log_dropped_total 3.0" in seen[0]


def test_sighup_takes_what_can_be_changed_and_refuses_what_is_faulty(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    files = [
        msgspec.structs.replace(CONFIG, stream=Stream(window_ms=750), server=Server(port=0, max_subscribers=1)),
        ConfigError(["stream.window: unknown"]),
    ]

    def reread():
        found = files.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def told(sentence):
        return any(record.message.startswith(sentence) for record in list(caplog.records))

    def visit(url):
        for sentence in ("Configuration reloaded", "Configuration refused"):
            os.kill(os.getpid(), signal.SIGHUP)
            until(lambda sentence=sentence: told(sentence), sentence)
        assert fetch(f"{url}/api/status")[2]["maxSubscribers"] == 1

    Run(tmp_path, visit, reread=reread)


def test_a_refresh_is_accepted(tmp_path):
    seen = []
    Run(tmp_path, lambda url: seen.append(fetch(f"{url}/api/refresh", method="POST")[0]))
    assert seen == [202]


def test_an_address_that_is_taken_is_an_error_before_anything_is_asked_of_alpaca(tmp_path):
    errors = []

    def visit(url):
        other = msgspec.structs.replace(CONFIG, server=Server(port=urlsplit(url).port))
        try:
            service.run(startup.startup(other, startup.key("another")), environ={}, announce=errors.append)
        except Exception as error:  # noqa: BLE001 - which one it is, the test says
            errors.append(error)

    Run(tmp_path, visit)
    assert [getattr(error, "code", error) for error in errors] == ["unavailable"]


def test_a_supervisor_that_ends_by_itself_ends_the_daemon_with_an_error(tmp_path, monkeypatch):
    async def end(self):
        """End when it is served; it would not be announced otherwise."""
        await asyncio.to_thread(is_visited.wait, 60)

    is_visited = threading.Event()
    monkeypatch.setattr(Supervisor, "run", end)
    with pytest.raises(Failed, match="the supervisor ended by itself"):
        Run(tmp_path, lambda url: is_visited.set(), ends=False)


class FakeDaemon:
    """The parts of a daemon, and systemd, as far as the service uses them; `calls` has what it did with them."""

    def __init__(self):
        self.calls = []
        self.stuck_since = None
        self.state, self.reason = "starting", ""
        self.lags = []
        self.is_serving = asyncio.Event()
        self.is_serving.set()
        supervisor = types.SimpleNamespace(run=self._last, stuck=self._stuck, status=self._status)
        self.parts = types.SimpleNamespace(
            upstream=types.SimpleNamespace(
                supervisor=supervisor,
                past=types.SimpleNamespace(
                    recorder=types.SimpleNamespace(run=self._last, finish=self._finish),
                    trade_book=types.SimpleNamespace(run=self._last),
                ),
                alerts=types.SimpleNamespace(
                    run=self._last, finish=self._store_alerts, delivery=types.SimpleNamespace(run=self._last)
                ),
            ),
            publisher=types.SimpleNamespace(
                book=types.SimpleNamespace(minutes=types.SimpleNamespace(running=lambda: ["the running minute"]))
            ),
            subscribers=types.SimpleNamespace(heartbeats=self._last, say_bye=self._note_later("bye")),
            metrics=types.SimpleNamespace(observe_lag=self.lags.append),
            view=types.SimpleNamespace(address="http://127.0.0.1:8420", is_alive=True),
            listeners=[],
            server=types.SimpleNamespace(
                run_on=self._serve,
                is_serving=self.is_serving,
                stop_accepting=self._note_later("stop accepting"),
                stop=self._stop,
            ),
            reload=types.SimpleNamespace(run=lambda: self.calls.append("reload")),
        )
        self.notifier = types.SimpleNamespace(
            watchdog_seconds=0.5,
            ready=lambda *_: self.calls.append("ready"),
            status=self.calls.append,
            reloading=lambda: self.calls.append("reloading"),
            stopping=lambda: self.calls.append("stopping"),
            ping=lambda: self.calls.append("ping"),
        )
        self.service = Service(self.parts, self.notifier)
        self._is_stopped = asyncio.Event()

    async def _finish(self, rows):
        assert rows == ["the running minute"]
        self.calls.append("last minute")

    async def _store_alerts(self):
        self.calls.append("alerts")

    def _note_later(self, name):
        async def note(*_):
            self.calls.append(name)

        return note

    def _stuck(self, now):
        return "it is stuck" if self.stuck_since is not None and now >= self.stuck_since else None

    def _status(self):
        return types.SimpleNamespace(state=self.state, reason=self.reason, source="simulator", feed="indicative")

    async def _last(self):
        await asyncio.Event().wait()

    async def _serve(self, _listeners):
        await self._is_stopped.wait()

    def _stop(self):
        self.calls.append("stop")
        self._is_stopped.set()

    def count(self, call):
        return self.calls.count(call)

    @contextlib.asynccontextmanager
    async def doing(self, work):
        """Do one task of the service for the length of a block."""
        task = asyncio.create_task(work)
        yield
        task.cancel()
        await asyncio.wait([task])


def test_systemd_is_pinged_twice_a_timeout_only_while_the_daemon_is_alive():
    async def scene():
        daemon = FakeDaemon()
        async with daemon.doing(daemon.service._feed_systemd()):
            await asyncio.sleep(5.1)
            assert daemon.count("ping") == 10
            daemon.parts.view.is_alive = False
            await asyncio.sleep(5)
            assert daemon.count("ping") == 10

    virtualtime.run(scene())


def test_systemd_is_sent_each_state_once():
    async def scene():
        daemon = FakeDaemon()
        async with daemon.doing(daemon.service._feed_systemd()):
            await asyncio.sleep(3)
            daemon.state, daemon.reason = "reconnecting", "Alpaca closed the connection"
            await asyncio.sleep(3)
        assert [call for call in daemon.calls if call != "ping"] == [
            "starting",
            "reconnecting: Alpaca closed the connection",
        ]

    virtualtime.run(scene())


def test_a_supervisor_that_stays_stuck_ends_the_daemon_with_what_is_stuck():
    async def scene():
        daemon = FakeDaemon()
        daemon.stuck_since = asyncio.get_running_loop().time() + 20
        async with daemon.doing(daemon.service._oversee()):
            await asyncio.sleep(20 + STUCK_LOOKS - 2)
            assert daemon.service._lifetime.failure is None
            await asyncio.sleep(3)
        assert str(daemon.service._lifetime.failure).startswith("it is stuck")
        assert daemon.service._lifetime.stopping.is_set()

    virtualtime.run(scene())


def test_a_supervisor_that_is_stuck_now_and_then_is_left_alone():
    async def scene():
        daemon = FakeDaemon()
        loop = asyncio.get_running_loop()
        async with daemon.doing(daemon.service._oversee()):
            for _ in range(5):
                daemon.stuck_since = loop.time()
                await asyncio.sleep(STUCK_LOOKS - 2)
                daemon.stuck_since = None
                await asyncio.sleep(2)
        assert daemon.service._lifetime.failure is None

    virtualtime.run(scene())


def test_once_a_second_the_lag_is_measured_and_the_hang_watchdog_advanced():
    async def scene():
        daemon = FakeDaemon()
        async with daemon.doing(daemon.service._oversee()):
            await asyncio.sleep(5.5)
        assert daemon.lags == [pytest.approx(0.0)] * 5
        assert daemon.service._hang_watchdog._counter == 5

    virtualtime.run(scene())


def test_several_hang_ups_are_one_reload_and_none_comes_before_the_daemon_serves():
    async def scene():
        daemon = FakeDaemon()
        daemon.is_serving.clear()
        async with daemon.doing(daemon.service._reload_on_hang_up()):
            daemon.service._hung_up.set()
            await asyncio.sleep(1)
            assert daemon.calls == []
            daemon.service._hung_up.set()
            daemon.is_serving.set()
            await asyncio.sleep(1)
        assert daemon.calls == ["reloading", "reload", "ready"]

    virtualtime.run(scene())


@pytest.mark.parametrize(("had", "has", "calls"), [(True, False, []), (False, False, ["reloading", "reload", "ready"])])
def test_a_hang_up_of_the_terminal_that_it_was_started_from_ends_the_daemon(monkeypatch, had, has, calls):
    async def scene():
        monkeypatch.setattr(service.terminal, "is_attached", lambda: had)
        daemon = FakeDaemon()
        monkeypatch.setattr(service.terminal, "is_attached", lambda: has)
        async with daemon.doing(daemon.service._reload_on_hang_up()):
            daemon.service._hung_up.set()
            await asyncio.sleep(1)
        assert daemon.calls == calls
        assert daemon.service._lifetime.stopping.is_set() is (had and not has)

    virtualtime.run(scene())


def test_a_stop_first_refuses_connections_then_ends_the_streams_and_then_the_server():
    async def scene():
        daemon = FakeDaemon()
        announced = []
        running = asyncio.create_task(daemon.service._run_tasks(announced.append))
        await asyncio.sleep(0.1)
        daemon.service._lifetime.stopping.set()
        await running
        assert [call for call in daemon.calls if call not in {"ping", "last minute", "alerts"}] == [
            "ready", "stopping", "stop accepting", "bye", "stop",
        ]  # fmt: skip
        assert announced[0].endswith(" serves at http://127.0.0.1:8420")

    virtualtime.run(scene())


def test_a_stop_writes_the_last_minute_and_alerts_while_the_streams_end():
    async def scene():
        daemon = FakeDaemon()
        running = asyncio.create_task(daemon.service._run_tasks(lambda _line: None))
        await asyncio.sleep(5)
        assert (daemon.count("last minute"), daemon.count("alerts")) == (0, 0)
        daemon.service._lifetime.stopping.set()
        await running
        end = daemon.calls[daemon.calls.index("stopping") :]
        assert {*end} == {"stopping", "stop accepting", "last minute", "alerts", "bye", "stop"}
        assert daemon.service._lifetime.failure is None

    virtualtime.run(scene())


def test_history_is_in_the_state_directory(tmp_path):
    with service._history_directory(tmp_path, "simulator") as path:
        assert path == tmp_path


def test_history_of_a_simulator_without_a_state_directory_ends_with_the_daemon():
    with service._history_directory(None, "simulator") as path:
        assert path.stat().st_mode & 0o777 == 0o700
        (path / "history.sqlite3").touch()
    assert not path.exists()


def test_without_any_writable_directory_history_is_not_stored(monkeypatch, tmp_path):
    with service._history_directory(None, "alpaca-paper") as path:
        assert path is None
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with service._history_directory(None, "simulator") as path:
        assert path is None
