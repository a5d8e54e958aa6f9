"""A server with a job in this process; tests/e2e runs it as a program."""

import asyncio
import contextlib
import signal
import types

import pytest

from condord.daemon import serving
from condord.daemon.serving import STUCK_CHECKS, Service
from condord.errors import AccessDenied
from condord.host.suspensions import Suspensions
from tests import virtualtime


class FakeDaemon:
    """The parts of a daemon, and systemd, as far as the service uses them; `calls` has what it did with them."""

    def __init__(self):
        self.calls = []
        self.stuck_since = None
        self.state = "starting"
        self.has_written = False
        self.lags = []
        self.is_serving = asyncio.Event()
        self.is_serving.set()
        self.job = types.SimpleNamespace(
            tasks={"the reader": self._last},
            writers={"the writer": self._write},
            log_fields={"source": "simulator"},
            stuck=self._stuck,
            note_suspension=lambda seconds: self.calls.append(f"suspended for {seconds:g} s"),
            status_text=lambda: self.state,
            finish=self._finish,
            reload=lambda: self.calls.append("reload"),
            close=lambda: self.calls.append("close"),
        )
        self.parts = types.SimpleNamespace(
            subscribers=types.SimpleNamespace(heartbeats=self._last, say_bye=self._note_later("bye")),
            metrics=types.SimpleNamespace(observe_lag=self.lags.append),
            view=types.SimpleNamespace(address="http://127.0.0.1:8420", is_alive=True),
            listeners=[],
            workers=None,
            server=types.SimpleNamespace(
                run_on=self._serve,
                is_serving=self.is_serving,
                stop_accepting=self._note_later("stop accepting"),
                stop=self._stop,
            ),
        )
        self.notifier = types.SimpleNamespace(
            watchdog_seconds=0.5,
            ready=lambda *_: self.calls.append("ready"),
            status=self.calls.append,
            reloading=lambda: self.calls.append("reloading"),
            stopping=lambda: self.calls.append("stopping"),
            ping=lambda: self.calls.append("ping"),
        )
        self.now = 0.0
        self.suspensions = Suspensions(now=lambda: self.now, machine=lambda: 0.0)
        self.service = Service(self.parts, self.job, self.notifier, self.suspensions)
        self._is_stopped = asyncio.Event()

    async def _finish(self):
        await asyncio.sleep(0.5)
        assert not self.has_written
        self.calls.append("finished")

    async def _write(self):
        try:
            await self._last()
        finally:
            self.has_written = True

    def _note_later(self, name):
        async def note(*_):
            self.calls.append(name)

        return note

    def _stuck(self, now):
        return "it is stuck" if self.stuck_since is not None and now >= self.stuck_since else None

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
    async def scenario():
        daemon = FakeDaemon()
        async with daemon.doing(daemon.service._feed_systemd()):
            await asyncio.sleep(5.1)
            assert daemon.count("ping") == 10
            daemon.parts.view.is_alive = False
            await asyncio.sleep(5)
            assert daemon.count("ping") == 10

    virtualtime.run(scenario())


def test_the_job_learns_at_once_that_the_process_was_suspended():
    async def scenario():
        daemon = FakeDaemon()
        daemon.now = 10.0
        daemon.suspensions.check()
        assert daemon.calls == ["suspended for 10 s"]

    virtualtime.run(scenario())


def test_systemd_is_sent_each_state_once():
    async def scenario():
        daemon = FakeDaemon()
        async with daemon.doing(daemon.service._feed_systemd()):
            await asyncio.sleep(3)
            daemon.state = "reconnecting: Alpaca closed the connection"
            await asyncio.sleep(3)
        assert [call for call in daemon.calls if call != "ping"] == [
            "starting",
            "reconnecting: Alpaca closed the connection",
        ]

    virtualtime.run(scenario())


def test_a_job_that_stays_stuck_ends_the_daemon_and_names_the_stuck_part():
    async def scenario():
        daemon = FakeDaemon()
        daemon.stuck_since = asyncio.get_running_loop().time() + 20
        async with daemon.doing(daemon.service._oversee()):
            await asyncio.sleep(20 + STUCK_CHECKS - 2)
            assert daemon.service._lifetime.failure is None
            await asyncio.sleep(3)
        assert str(daemon.service._lifetime.failure).startswith("it is stuck")
        assert daemon.service._lifetime.stopping.is_set()

    virtualtime.run(scenario())


def test_a_job_that_is_stuck_now_and_then_is_left_alone():
    async def scenario():
        daemon = FakeDaemon()
        loop = asyncio.get_running_loop()
        async with daemon.doing(daemon.service._oversee()):
            for _ in range(5):
                daemon.stuck_since = loop.time()
                await asyncio.sleep(STUCK_CHECKS - 2)
                daemon.stuck_since = None
                await asyncio.sleep(2)
        assert daemon.service._lifetime.failure is None

    virtualtime.run(scenario())


def test_once_a_second_the_lag_is_measured_and_the_hang_watchdog_advanced():
    async def scenario():
        daemon = FakeDaemon()
        async with daemon.doing(daemon.service._oversee()):
            await asyncio.sleep(5.5)
        assert daemon.lags == [pytest.approx(0.0)] * 5
        assert daemon.service._hang_watchdog._counter == 5

    virtualtime.run(scenario())


def test_several_hang_ups_are_one_reload_and_only_after_the_daemon_serves():
    async def scenario():
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

    virtualtime.run(scenario())


def workers(daemon):
    """Workers whose calls are noted with those of `daemon`."""

    async def stop():
        daemon.calls.append("stop workers")

    return types.SimpleNamespace(
        run=daemon._last, stop=stop, is_ready=asyncio.Event(), reload=lambda: daemon.calls.append("reload workers")
    )


def test_workers_are_reloaded_after_the_daemon_and_before_systemd_is_notified():
    async def scenario():
        daemon = FakeDaemon()
        daemon.parts.workers = workers(daemon)
        async with daemon.doing(daemon.service._reload_on_hang_up()):
            daemon.service._hung_up.set()
            await asyncio.sleep(1)
        assert daemon.calls == ["reloading", "reload", "reload workers", "ready"]

    virtualtime.run(scenario())


def test_a_daemon_is_ready_with_its_workers_and_stops_them_before_it_ends_their_streams():
    async def scenario():
        daemon, announced = FakeDaemon(), []
        daemon.parts.workers = workers(daemon)
        running = asyncio.create_task(daemon.service._run_tasks(announced.append))
        await asyncio.sleep(1)
        assert (daemon.count("ready"), announced) == (0, [])
        daemon.parts.workers.is_ready.set()
        await asyncio.sleep(1)
        assert (daemon.count("ready"), len(announced)) == (1, 1)
        daemon.service._lifetime.stopping.set()
        await running
        stopping = [each for each in daemon.calls if each in ("stop workers", "stop accepting", "bye", "stop")]
        assert stopping == ["stop workers", "stop accepting", "bye", "stop"]

    virtualtime.run(scenario())


@pytest.mark.parametrize(("had", "has", "calls"), [(True, False, []), (False, False, ["reloading", "reload", "ready"])])
def test_a_hang_up_of_the_terminal_that_it_was_started_from_ends_the_daemon(monkeypatch, had, has, calls):
    async def scenario():
        monkeypatch.setattr(serving.terminal, "is_attached", lambda: had)
        daemon = FakeDaemon()
        monkeypatch.setattr(serving.terminal, "is_attached", lambda: has)
        async with daemon.doing(daemon.service._reload_on_hang_up()):
            daemon.service._hung_up.set()
            await asyncio.sleep(1)
        assert daemon.calls == calls
        assert daemon.service._lifetime.stopping.is_set() is (had and not has)

    virtualtime.run(scenario())


def test_a_stop_first_refuses_connections_then_ends_the_streams_and_then_the_server():
    async def scenario():
        daemon = FakeDaemon()
        announced = []
        running = asyncio.create_task(daemon.service._run_tasks(announced.append))
        await asyncio.sleep(0.1)
        daemon.service._lifetime.stopping.set()
        await running
        assert [call for call in daemon.calls if call not in {"ping", "finished"}] == [
            "ready", "stopping", "stop accepting", "bye", "stop",
        ]  # fmt: skip
        assert announced[0].endswith(" serves at http://127.0.0.1:8420")

    virtualtime.run(scenario())


def test_a_stop_lets_the_job_finish_while_the_streams_end_and_only_then_ends_the_writers():
    async def scenario():
        daemon = FakeDaemon()
        running = asyncio.create_task(daemon.service._run_tasks(lambda _line: None))
        await asyncio.sleep(5)
        assert daemon.count("finished") == 0
        daemon.service._lifetime.stopping.set()
        await running
        end = daemon.calls[daemon.calls.index("stopping") :]
        assert {*end} == {"stopping", "stop accepting", "finished", "bye", "stop"}
        assert daemon.has_written
        assert daemon.service._lifetime.failure is None

    virtualtime.run(scenario())


def test_a_job_that_cannot_go_on_ends_the_service_with_its_error():
    async def scenario():
        daemon = FakeDaemon()
        running = asyncio.create_task(daemon.service.run(lambda _line: None))
        await asyncio.sleep(1)
        daemon.service.stop(AccessDenied("the source does not accept the token", "Set it."))
        with pytest.raises(AccessDenied, match="does not accept"):
            await running
        assert daemon.calls[-1] == "close"

    with kept_signals():
        virtualtime.run(scenario())


@contextlib.contextmanager
def kept_signals():
    """Restore the handlers of signals: a service that has ended ignores them."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
