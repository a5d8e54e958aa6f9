from tests.e2e.conftest import simulated  # noqa: F401 - a fixture
