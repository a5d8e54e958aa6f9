import pytest

from tests.e2e import matrix
from tests.e2e.environs import UNHURRIED


@pytest.fixture(scope="module")
def pair():
    """A simulator, and a daemon that is live, for one fault after the other."""
    with matrix.pair(**UNHURRIED) as both:
        yield both
