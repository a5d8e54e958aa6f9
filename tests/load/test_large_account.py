"""An account with thousands of legs on one expiration takes time, but the daemon still answers and stops."""

import random
import signal
import time

import pytest

from tests.e2e.running import Condord, closing_program, fetch, held_in, until

pytestmark = pytest.mark.slow

LEGS = 6000


def crowded(legs):
    """A book without structure: a leg with a random sign and 1 to 3 contracts at each strike of both rights."""
    chance = random.Random(legs)
    return [
        {"symbol": f"SPY261218{right}{strike:05d}000", "qty": chance.choice((-1, 1)) * chance.randint(1, 3)}
        for strike in range(1, legs // 2 + 1)
        for right in "PC"
    ]


@pytest.fixture
def condord(simulated):
    with closing_program(Condord(simulated, CONDORD_ALPACA_SYMBOL_LIMIT="30")) as program:
        program.await_state("live")
        program.await_account_read()
        yield program


def test_a_large_account_is_shown_completely_while_probes_and_readers_are_answered(simulated, condord):
    before = held_in(condord.document())
    simulated.post("positions", positions=crowded(LEGS), fill=True)

    def is_shown():
        assert fetch(condord.url + "/livez")[0] == 200
        held = held_in(condord.document())
        assert len(held) in (len(before), len(before) + LEGS)
        return len(held) > len(before)

    until(is_shown, "the large account is shown", timeout=240.0)
    document = condord.document()
    assert len(document["condors"]) > LEGS // 8
    assert any(condor["ambiguous"] for condor in document["condors"])


def test_the_daemon_stops_in_time_while_it_groups_a_large_account(simulated, condord):
    simulated.post("positions", positions=crowded(LEGS), fill=True)
    time.sleep(0.5)  # about the time at which the account has been read and is being grouped
    assert condord.stop(signal.SIGTERM) == 0
