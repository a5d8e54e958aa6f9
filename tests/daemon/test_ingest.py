import asyncio
import types

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord.daemon.ingest import Ingest


class FakeParts:
    """The parts of a daemon, as far as its job uses them; `calls` has what it did with them."""

    def __init__(self):
        self.calls = []
        self.state, self.reason = "starting", ""
        self.publisher = types.SimpleNamespace(
            book=types.SimpleNamespace(minutes=types.SimpleNamespace(running=lambda: ["the running minute"]))
        )
        self.upstream = types.SimpleNamespace(
            supervisor=types.SimpleNamespace(
                run="run the supervisor",
                stuck=lambda _now: "stuck",
                status=self._status,
                tick=lambda: self.calls.append("tick"),
            ),
            past=types.SimpleNamespace(
                recorder=types.SimpleNamespace(run="run the recorder", finish=self._finish),
                trade_book=types.SimpleNamespace(run="run the trade book"),
            ),
            alerts=types.SimpleNamespace(
                run="run the alerts", finish=self._store, delivery=types.SimpleNamespace(run="run the delivery")
            ),
            close=lambda: self.calls.append("close"),
        )
        self.reload = types.SimpleNamespace(run=lambda: self.calls.append("reload"))

    def _status(self):
        return types.SimpleNamespace(state=self.state, reason=self.reason, source="simulator", feed="indicative")

    async def _finish(self, rows):
        self.calls.append(rows)

    async def _store(self):
        self.calls.append("alerts")


def test_the_state_for_systemd_follows_the_option_stream():
    parts = FakeParts()
    job = Ingest(parts, {})
    assert job.status_text() == "starting"
    parts.state, parts.reason = "reconnecting", "Alpaca closed the connection"
    assert job.status_text() == "reconnecting: Alpaca closed the connection"
    assert job.log_fields == {"source": "simulator", "feed": "indicative"}
    assert job.stuck(0.0) == "stuck"


def test_after_a_suspension_the_tick_is_done_at_once():
    parts = FakeParts()
    Ingest(parts, {}).note_suspension(10.0)
    assert parts.calls == ["tick"]


def test_writers_run_until_the_last_minute_and_the_alerts_are_stored():
    parts = FakeParts()
    job = Ingest(parts, {})
    assert job.tasks == {each: f"run {each}" for each in ("the supervisor", "the trade book", "the delivery")}
    assert job.writers == {each: f"run {each}" for each in ("the alerts", "the recorder")}
    asyncio.run(job.finish())
    assert sorted(parts.calls, key=str) == [["the running minute"], "alerts"]


def test_reload_and_close_are_passed_on_to_the_parts():
    parts = FakeParts()
    job = Ingest(parts, {})
    job.reload()
    job.close()
    assert parts.calls == ["reload", "close"]
