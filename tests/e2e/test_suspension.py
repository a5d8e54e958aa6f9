"""A daemon that was suspended shows nothing old as live when it continues, not even to requests that have waited."""

import json
import signal
import time
from contextlib import closing

import pytest

from condord.live.freshness import SUSPEND_SECONDS, TICK_SECONDS
from tests.e2e.environs import FEW_TICKS, QUICK
from tests.e2e.preloaded import replaced
from tests.e2e.running import Condord, Follower, Simulated, closing_program, until
from tests.e2e.suspending import Waiting, children_of, stopped

pytestmark = pytest.mark.slow

SUSPENDED_SECONDS = TICK_SECONDS + SUSPEND_SECONDS + 2
PATIENT = {**QUICK, "CONDORD_STREAM_SILENCE_SECONDS": "600", "CONDORD_REST_RETRIES": "0"}


@pytest.fixture
def simulated():
    with closing_program(Simulated(**replaced(**FEW_TICKS))) as program:
        program.post("market", rate=5)
        yield program


@pytest.fixture
def condord(simulated):
    with closing_program(Condord(simulated, **PATIENT)) as program:
        program.await_state("live")
        program.await_priced()
        yield program


def are_unconfirmed(quotes):
    return quotes and all(quote["unconfirmed"] for quote in quotes)


def test_requests_that_have_waited_get_every_quote_unconfirmed_and_no_live_status(simulated, condord):
    with stopped([condord.process.pid]):
        time.sleep(SUSPENDED_SECONDS)  # meanwhile quotes wait in the connection
        simulated.fault("mute", seconds=600)
        simulated.fault("rest-500")
        waiting = Waiting(condord.url)
    waiting.read()
    for document in waiting.documents:
        assert are_unconfirmed(document["quotes"])
        assert all(condor["valuation"]["unconfirmed"] for condor in document["condors"])
        assert document["status"]["state"] != "live"
    assert waiting.status["state"] != "live"
    assert not waiting.is_ready
    assert f"condord_quotes_unconfirmed {len(waiting.documents[0]['quotes'])}.0" in waiting.metrics


def test_the_first_event_that_subscribers_get_has_every_quote_unconfirmed(simulated, condord):
    with closing(Follower(condord.url)) as follower:
        until(lambda: len(follower.documents) > 2, "events")
        with stopped([condord.process.pid]):
            time.sleep(SUSPENDED_SECONDS)
            before = len(follower.events)
            simulated.fault("mute", seconds=600)
            simulated.fault("rest-500")

        def deltas():
            return [json.loads(event.data) for event in [*follower.events][before:] if event.name == "delta"]

        until(lambda: any("status" in delta for delta in deltas()), "an event with a status")
        # The stop may have come between the publication of an event and its sending.
        delta = next(delta for delta in deltas()[:2] if "status" in delta)
    assert delta["status"]["state"] == "stale"
    assert len(delta["quotes"]) == len(follower.document["quotes"])
    assert are_unconfirmed(delta["quotes"])


def test_after_a_suspension_the_daemon_is_live_again_with_the_quotes_of_alpaca_now(condord):
    with stopped([condord.process.pid]):
        time.sleep(SUSPENDED_SECONDS)
    condord.await_line("The process was suspended or blocked")
    condord.await_state("live")
    until(lambda: not any(quote["unconfirmed"] for quote in condord.document()["quotes"]), "all are confirmed")
    assert condord.stop(signal.SIGTERM) == 0


def test_workers_that_were_suspended_with_their_daemon_show_that_they_have_lost_it(simulated):
    with closing_program(Condord(simulated, **PATIENT, CONDORD_SERVER_WORKERS="2")) as condord:
        condord.await_state("live")
        condord.await_priced()
        pid = condord.process.pid
        with stopped([pid, *children_of(pid)]):
            time.sleep(SUSPENDED_SECONDS)
            simulated.fault("mute", seconds=600)
            simulated.fault("rest-500")
            waiting = Waiting(condord.url)
        waiting.read()
        for document in waiting.documents:
            assert document["status"]["code"] == "sourceLost" or are_unconfirmed(document["quotes"])
        assert waiting.status["state"] != "live"
        assert not waiting.is_ready
