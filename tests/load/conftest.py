import pytest

from tests.e2e.environs import UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import Simulated, closing_program


@pytest.fixture
def simulated():
    with closing_program(Simulated(**replaced(**UNPACED))) as program:
        yield program
