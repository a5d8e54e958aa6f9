"""A subscriber's document equals the daemon's, through cuts, faults and restarts."""

import asyncio
import signal
import time
from contextlib import ExitStack, closing

import pytest

from tests.e2e.environs import QUICK
from tests.e2e.running import STOP_SECONDS, Condord, Follower, Program, closing_program, compare_samples, until

pytestmark = pytest.mark.slow


@pytest.fixture
def simulated(lasting_simulated):
    """The simulator of all tests here, without faults."""
    yield lasting_simulated
    lasting_simulated.clear()


def accepted(simulated) -> int:
    """How many connections of the option stream there have been."""
    return simulated.state()["streams"]["option"]["accepted"]


class TestOneDaemon:
    """One daemon outlives all faults; each test leaves it live."""

    @pytest.fixture
    def condord(self, simulated, lasting_condord):
        yield lasting_condord
        simulated.clear()
        lasting_condord.await_state("live")

    def test_a_client_has_the_document_of_get_positions_at_every_sampled_version(self, simulated, condord):
        simulated.post("market", rate=5)
        with closing(Follower(condord.url)) as follower:
            assert compare_samples(condord, follower, 15) >= 15
            assert follower.names[0] == "snapshot"
            assert "delta" in follower.names
        simulated.post("market", rate=1)

    @pytest.mark.parametrize("fault", ["close-1001", "reset", "mute", "garbage", "slow-407"])
    def test_a_stream_fault_recovers_without_a_restart_and_without_a_second_connection(self, simulated, condord, fault):
        status = condord.status()
        pid, before = status["pid"], status["reconnects"]
        with closing(Follower(condord.url)) as follower:
            simulated.fault(fault)
            if fault != "garbage":
                until(
                    lambda: any(d["status"]["state"] == "reconnecting" for d in list(follower.documents.values())),
                    "the client receives the outage",
                )
                until(lambda: condord.status()["reconnects"] > before, "reconnected")
            condord.await_state("live")
            until(
                lambda: not any(quote["unconfirmed"] for quote in condord.document()["quotes"]),
                "quotes are confirmed again",
            )
            assert compare_samples(condord, follower, 3) >= 3
        assert condord.status()["pid"] == pid
        assert simulated.state()["streams"]["option"]["maxOpen"] == 1

    def test_a_refused_slot_is_reported_and_used_once_it_is_free(self, simulated, condord):
        simulated.fault("connection-406", seconds=2)
        simulated.fault("close-1001")
        status = condord.await_state("reconnecting")
        until(lambda: condord.status()["code"] == "connectionLimit", "the cause is reported")
        assert "reason" in status
        condord.await_state("live")
        assert condord.status()["code"] is None

    def test_a_refused_key_halts_the_stream_and_sighup_retries(self, simulated, condord):
        simulated.fault("auth-402")
        simulated.fault("close-1001")
        status = condord.await_state("halted")
        assert status["code"] == "authFailed"
        assert "key" in status["reason"]
        assert condord.get("/livez")[0] == 200
        assert condord.get("/readyz")[0] == 503
        simulated.clear()
        condord.process.send_signal(signal.SIGHUP)
        condord.await_state("live")
        assert condord.get("/readyz")[0] == 200

    def test_changed_positions_reach_subscribers_as_a_snapshot_without_a_reconnect(self, simulated, condord):
        before = accepted(simulated)
        with closing(Follower(condord.url)) as follower:
            until(lambda: follower.documents, "first document")
            leg = condord.document()["condors"][0]["legs"][0]["symbol"]
            simulated.post("positions", positions=[{"symbol": leg, "qty": 0}], fill=True)
            until(lambda: all(q["symbol"] != leg for q in condord.document()["quotes"]), "the contract is gone")
            until(lambda: follower.names.count("snapshot") >= 2, "a second snapshot")
            assert compare_samples(condord, follower, 3) >= 3
        assert accepted(simulated) == before


def test_failing_rest_requests_keep_the_last_document_and_report_the_cause(simulated):
    environ = {**QUICK, "CONDORD_REST_RETRIES": "0", "CONDORD_REST_REFRESH_SECONDS": "1"}
    with closing_program(Condord(simulated, **environ)) as condord:
        held = condord.await_priced()
        simulated.fault("rest-500")
        failing = until(lambda: condord.status()["positions"]["error"], "the failure is reported")
        assert failing["code"] == "serverError"
        assert [c["id"] for c in condord.document()["condors"]] == [c["id"] for c in held["condors"]]
        until(lambda: condord.status()["positions"]["breaker"] == "open", "the breaker opens")
        simulated.clear()


def test_a_client_resumes_after_a_cut_and_after_a_restart_of_the_daemon(simulated):
    with ExitStack() as stack:
        first = stack.enter_context(closing_program(Condord(simulated, **QUICK)))
        first.await_priced()
        first.await_account_read()
        with closing(Follower(first.url)) as follower:
            until(lambda: len(follower.documents) > 3, "some events")
        with closing(Follower(first.url, **{"Last-Event-ID": follower.last_id})) as resumed:
            until(lambda: resumed.events, "something after the cut")
            assert resumed.names[0] == "delta"
        port = first.url.rsplit(":", 1)[1]
        assert first.stop() == 0
        second = stack.enter_context(closing_program(Condord(simulated, "--port", port, **QUICK)))
        with closing(Follower(second.url, **{"Last-Event-ID": resumed.last_id})) as again:
            until(lambda: again.names, "something after the restart")
            assert again.names[0] == "snapshot"
            second.await_priced()
            assert compare_samples(second, again, 3) >= 3


def test_the_stream_command_resumes_after_a_restart(simulated):
    with ExitStack() as stack:
        first = stack.enter_context(closing_program(Condord(simulated, **QUICK)))
        port = first.url.rsplit(":", 1)[1]
        command = stack.enter_context(closing_program(Program("stream", "--json", "--url", first.url)))
        lines: list[str] = []
        until(lambda: lines.append(command.process.stdout.readline()) or '"delta"' in lines[-1], "a delta")
        assert first.stop() == 0
        until(lambda: lines.append(command.process.stdout.readline()) or '"bye"' in lines[-1], "bye")
        stack.enter_context(closing_program(Condord(simulated, "--port", port, **QUICK)))
        until(lambda: lines.append(command.process.stdout.readline()) or '"snapshot"' in lines[-1], "a new snapshot")


def test_sigterm_sends_bye_to_fifty_streams_and_exits_with_0_within_5_s(simulated):
    with closing_program(Condord(simulated, **QUICK)) as condord:
        condord.await_priced()
        port = int(condord.url.rsplit(":", 1)[1])

        async def follow(started: asyncio.Event) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = await reader.read(100)
            started.set()
            received += await reader.read(-1)
            writer.close()
            return received

        async def scenario() -> tuple[list[bytes], float]:
            started = [asyncio.Event() for _ in range(50)]
            streams = [asyncio.create_task(follow(event)) for event in started]
            await asyncio.gather(*(event.wait() for event in started))
            begin = time.monotonic()
            condord.process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(condord.wait)
            took = time.monotonic() - begin
            assert code == 0
            return await asyncio.gather(*streams), took

        streams, took = asyncio.run(scenario())
        assert len([stream for stream in streams if b"event: bye" in stream]) == 50
        assert took < STOP_SECONDS
        assert "Traceback" not in "".join(condord.stderr)


def test_a_stalled_rest_request_does_not_delay_the_shutdown(simulated, condord):
    simulated.fault("rest-stall")
    condord.get("/api/status")
    fetch_refresh(condord)
    until(lambda: simulated.state()["requests"], "asked")
    begin = time.monotonic()
    assert condord.stop() == 0
    assert time.monotonic() - begin < STOP_SECONDS


def fetch_refresh(condord) -> None:
    from tests.e2e.running import fetch

    assert fetch(condord.url + "/api/refresh", method="POST")[0] == 202
