"""A local Alpaca: an account, a market, REST and every stream on one port, with faults on demand.

It is a separate program for demonstrations and tests. In condord only the command that starts it imports it. `run`
serves until a signal arrives; `serve` does the same inside a running loop.
"""

from __future__ import annotations

from condord.simulator.scenarios import SCENARIOS, Scenario
from condord.simulator.server import Simulator, run, serve

__all__ = ["SCENARIOS", "Scenario", "Simulator", "run", "serve"]
