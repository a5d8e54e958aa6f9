"""Faults that the daemon detects only after a while are reported too, and it recovers from them without a restart."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e import matrix
from tests.e2e.preloaded import replaced

pytestmark = pytest.mark.slow

LANES = [name for name in matrix.LANES if name != "quick"]
ENVIRON = {
    "CONDORD_REST_TIMEOUT_SECONDS": "2",  # responses are slow on a busy machine
    **replaced(
        live__link__STEP_SECONDS=3.0,
        upstream__link_runner__STEP_SECONDS=3.0,
        upstream__link_runner__PROBE_PONG_SECONDS=2.0,
        live__link__PING_SECONDS=2.0,
        live__link__DEAD_SECONDS=9.0,
        live__freshness__RESUBSCRIBE_SECONDS=10.0,
        simulator__rate_limiter__WINDOW_SECONDS=10,
    ),
}
"""A third or less of what the daemon waits elsewhere; tests/live and benchmarks/faults.py use the actual durations."""


def run_lane(name: str) -> list[str]:
    """Run the rows of a lane against their own simulator and daemon; returns the failures."""
    failures = []
    with matrix.pair(**ENVIRON) as pair:
        for row in matrix.lane(name):
            try:
                matrix.run(row, *pair)
            except AssertionError as error:
                failures.append(f"{row.name}: {error}")
    return failures


def test_faults_that_take_long_to_detect_are_reported_and_recover():
    with ThreadPoolExecutor(len(LANES)) as pool:
        failures = [failure for failures in pool.map(run_lane, LANES) for failure in failures]
    assert failures == []
