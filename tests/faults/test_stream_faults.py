"""A running daemon reports every fault of the streams and of its machine, and recovers without a restart."""

import pytest

from tests.e2e import matrix

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("row", [row for row in matrix.lane("quick") if not row.is_of_rest], ids=lambda row: row.name)
def test_a_fault_is_reported_and_recovers_without_a_restart(pair, row):
    matrix.run(row, *pair)
