"""The whole daemon in this process, without a server at Alpaca's addresses; tests/e2e runs it as a program."""

import asyncio
import logging
import os
import signal
import tempfile
import threading
from urllib.parse import urlsplit

import msgspec
import pytest

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord.config.schema import Alpaca, Config, Server, Stream
from condord.daemon import service
from condord.errors import ConfigError, InternalError
from condord.upstream.supervisor import Supervisor
from tests.e2e.running import fetch, until
from tests.fakes import startup

from .service_runner import restored_process, run_service

CLOSED_PORT = "127.0.0.1:9"
CONFIG = Config(
    alpaca=Alpaca(
        trading_url=f"http://{CLOSED_PORT}",
        data_url=f"http://{CLOSED_PORT}",
        option_stream_url=f"ws://{CLOSED_PORT}/option",
        trading_stream_url=f"ws://{CLOSED_PORT}/trading",
    ),
    server=Server(port=0),
)


def serve(place, visit, *, ends=True, warnings=(), **options):
    """Run a daemon until `visit`, called once it serves, is over (or, unless `ends`, by itself); return its lines."""
    environ = {
        "APCA_API_KEY_ID": "id",
        "APCA_API_SECRET_KEY": startup.HUSH,
        "RUNTIME_DIRECTORY": str(place / "locks"),
        "STATE_DIRECTORY": str(place / "state"),
    }
    found = startup.startup(CONFIG, startup.key(), warnings=warnings)
    return run_service(
        lambda announce: service.run(found, environ=environ, announce=announce, **options), visit, ends=ends
    )


@pytest.fixture(autouse=True)
def _process():
    with restored_process():
        yield


def test_a_daemon_announces_where_it_serves_and_ends_at_sigterm(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    seen = {}

    def visit(url):
        seen.update(
            live=fetch(f"{url}/livez")[0], ready=fetch(f"{url}/readyz")[0], report=fetch(f"{url}/api/status")[2]
        )

    [line] = serve(tmp_path, visit, warnings=["something is odd"], log_dropped=lambda: 3)
    assert (seen["live"], seen["ready"]) == (200, 503)
    assert seen["report"]["address"] == line.rpartition(" ")[2]
    assert seen["report"]["pid"] == os.getpid()
    assert seen["report"]["subscribers"] == 0
    logged = [record.message for record in caplog.records]
    assert [each for each in logged if each in {"Configuration warning", "Serving", "Stopped"}] == [
        "Configuration warning",
        "Serving",
        "Stopped",
    ]


def test_a_scrape_has_the_counters_of_every_part(tmp_path):
    seen = []
    serve(tmp_path, lambda url: seen.append(fetch(f"{url}/metrics")[2]), log_dropped=lambda: 3)
    assert "condord_subscribers 0.0" in seen[0]
    assert "condord_log_dropped_total 3.0" in seen[0]


def test_sighup_applies_live_keys_and_refuses_a_faulty_configuration(tmp_path, caplog):
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

    def has_logged(sentence):
        return any(record.message.startswith(sentence) for record in list(caplog.records))

    def visit(url):
        for sentence in ("Configuration reloaded", "Configuration refused"):
            os.kill(os.getpid(), signal.SIGHUP)
            until(lambda sentence=sentence: has_logged(sentence), sentence)
        assert fetch(f"{url}/api/status")[2]["maxSubscribers"] == 1

    serve(tmp_path, visit, reread=reread)


def test_a_refresh_is_accepted(tmp_path):
    seen = []
    serve(tmp_path, lambda url: seen.append(fetch(f"{url}/api/refresh", method="POST")[0]))
    assert seen == [202]


def test_an_address_in_use_is_an_error_before_any_request_to_alpaca(tmp_path):
    errors = []

    def visit(url):
        other = msgspec.structs.replace(CONFIG, server=Server(port=urlsplit(url).port))
        try:
            service.run(startup.startup(other, startup.key("another")), environ={}, announce=errors.append)
        except Exception as error:  # noqa: BLE001 - the test checks which one it is
            errors.append(error)

    serve(tmp_path, visit)
    assert [getattr(error, "code", error) for error in errors] == ["unavailable"]


def test_a_supervisor_that_ends_by_itself_ends_the_daemon_with_an_error(tmp_path, monkeypatch):
    async def end(self):
        """End once the document is served; the start would not be announced otherwise."""
        await asyncio.to_thread(is_visited.wait, 60)

    is_visited = threading.Event()
    monkeypatch.setattr(Supervisor, "run", end)
    with pytest.raises(InternalError, match="the supervisor ended by itself"):
        serve(tmp_path, lambda url: is_visited.set(), ends=False)


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
