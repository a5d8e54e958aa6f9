"""The environments of the daemons and simulators that tests start."""

from collections.abc import Iterator
from contextlib import contextmanager

from condord.upstream.rate_limit import SHARES
from tests.e2e.preloaded import replaced
from tests.e2e.running import Condord, Simulated, closing_program

UNPACED = {
    "upstream__poller__PACE_SECONDS": 0.2,
    "upstream__quote_polls__PACE_SECONDS": 0.2,
    "upstream__rate_limit__SHARES": dict.fromkeys(SHARES, (200, 10.0)),
    "simulator__rate_limiter__WINDOW_SECONDS": 2,
}
"""Removes the limits and pauses that only protect Alpaca, in the daemon and the simulator; tests/load/test_floods.py has them."""
FEW_TICKS = {**UNPACED, "simulator__server__TICK_SECONDS": 0.2}
"""For a simulator without faults that end with a tick: it sends as many quotes, but more of them at once.

This takes half of the processor time.
"""
QUICK = {
    "CONDORD_STREAM_BACKOFF_MIN_SECONDS": "0.05",
    "CONDORD_STREAM_BACKOFF_MAX_SECONDS": "0.5",
    "CONDORD_STREAM_SILENCE_SECONDS": "1",
    "CONDORD_STREAM_WINDOW_MS": "100",
    **replaced(**UNPACED),
}
UNHURRIED = {
    "CONDORD_REST_TIMEOUT_SECONDS": "2",
    "CONDORD_REST_REFRESH_SECONDS": "1",
    "CONDORD_REST_BREAKER_FAILURES": "3",
    "CONDORD_STREAM_SILENCE_SECONDS": "10",
    **replaced(**UNPACED),
}
"""Patience for busy machines, where responses are slow and streams seem silent. No fault of the quick lane is silence."""

RISK = {**QUICK, "CONDORD_MODEL_INTERVAL_SECONDS": "0.5", "CONDORD_REST_RETRIES": "0"}
"""Figures follow soon, and a failing read is reported at once."""


@contextmanager
def trading(scenario: str, *faults: dict, **environ: str) -> Iterator[tuple[Simulated, Condord]]:
    """A simulator of `scenario`, with `faults` from the start, and a daemon whose option stream is live."""
    with closing_program(Simulated("--scenario", scenario)) as simulated:
        for fault in faults:
            simulated.fault(**fault)
        with closing_program(Condord(simulated, **{**RISK, **environ})) as condord:
            condord.await_state("live")
            condord.await_priced()
            yield simulated, condord
