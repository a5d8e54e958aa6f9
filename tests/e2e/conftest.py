from contextlib import closing

import pytest

from tests.e2e.alerting import CALM, AlertFiles, Receiver, market_of_one
from tests.e2e.environs import FEW_TICKS, QUICK
from tests.e2e.preloaded import replaced
from tests.e2e.running import Condord, Simulated, closing_program


@pytest.fixture
def simulated():
    with closing_program(Simulated(**replaced(**FEW_TICKS))) as program:
        yield program


@pytest.fixture(scope="module")
def lasting_simulated():
    """The simulator of all tests of a file, which they leave as it was."""
    with closing_program(Simulated(**replaced(**FEW_TICKS))) as program:
        yield program


@pytest.fixture(scope="class")
def lasting_condord(lasting_simulated):
    """The daemon of all tests of a class, which they leave live and priced."""
    with closing_program(Condord(lasting_simulated, **QUICK)) as program:
        program.await_state("live")
        program.await_priced()
        yield program


@pytest.fixture
def condord(simulated):
    with closing_program(Condord(simulated, **QUICK)) as program:
        program.await_state("live")
        program.await_priced()
        yield program


@pytest.fixture(scope="module")
def lasting_market():
    """The market of all tests of a file."""
    with market_of_one() as market:
        yield market


@pytest.fixture
def market(lasting_market):
    """A still market with one condor, calm and without faults."""
    lasting_market.simulated.clear()
    lasting_market.move(CALM)
    return lasting_market


@pytest.fixture
def receiver():
    with closing(Receiver()) as receiver:
        yield receiver


@pytest.fixture
def files(tmp_path, market, receiver):
    """A configuration with a rule for the condor of the market, and the receiver's webhook."""
    return AlertFiles(tmp_path, market, receiver)
