import pytest

from tests.e2e.running import Condord, Simulated, closing_program

QUICK = {
    "CONDORD_STREAM_BACKOFF_MIN_SECONDS": "0.05",
    "CONDORD_STREAM_BACKOFF_MAX_SECONDS": "0.5",
    "CONDORD_STREAM_SILENCE_SECONDS": "1",
    "CONDORD_STREAM_WINDOW_MS": "50",
}


@pytest.fixture
def simulated():
    with closing_program(Simulated()) as program:
        yield program


@pytest.fixture
def condord(simulated):
    with closing_program(Condord(simulated, **QUICK)) as program:
        program.await_state("live")
        program.await_priced()
        yield program
