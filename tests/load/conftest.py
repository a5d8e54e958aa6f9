import pytest

from condord.simulator.simulation import TICK_SECONDS
from tests.e2e.environs import UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import Simulated, closing_program


@pytest.fixture
def simulated():
    with closing_program(
        Simulated(**replaced(**UNPACED | {"simulator__server__TICK_SECONDS": TICK_SECONDS}))
    ) as program:
        yield program
