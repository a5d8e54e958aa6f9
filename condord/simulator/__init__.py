"""The local Alpaca: an account, a market, REST and both streams on one port, with faults on demand.

A program of its own, for demonstrations and tests, that nothing else in condord imports but the command that starts
it. `run` serves until a signal; `serve` does the same inside a running loop.
"""

from __future__ import annotations

from condord.simulator.scenarios import SCENARIOS, Scenario
from condord.simulator.server import Simulator, run, serve

__all__ = ["SCENARIOS", "Scenario", "Simulator", "run", "serve"]
