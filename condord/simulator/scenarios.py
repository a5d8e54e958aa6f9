"""Decides which scenarios there are: how the market is opened, how fast it is, what the account holds."""

from __future__ import annotations

from difflib import get_close_matches

import msgspec

from condord.errors import NotFound
from condord.simulator.clock import Opening


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One way to start the simulator."""

    name: str
    sentence: str
    opening: Opening = "always"
    is_frozen: bool = False
    rate: float = 1.0
    speed: float = 1.0
    has_positions: bool = True
    has_opra: bool = False
    starts_before_open: bool = False


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(name="default", sentence="A lively market, open at any hour; condors of every kind."),
    Scenario(name="session", sentence="The market keeps its hours, 09:30 to 16:00 New York time.", opening="hours"),
    Scenario(
        name="day", sentence="A whole trading day in six and a half minutes, from a minute before the open.",
        opening="hours", speed=60.0, starts_before_open=True,
    ),
    Scenario(name="closed", sentence="The market is closed; the last quotes stand.", opening="never"),
    Scenario(name="frozen", sentence="The market is open and no quote ever moves.", is_frozen=True),
    Scenario(name="empty", sentence="The account holds nothing.", has_positions=False),
    Scenario(name="busy", sentence="Twenty times as many quotes as usual.", rate=20.0),
    Scenario(name="opra", sentence="As default, with the OPRA agreement signed.", has_opra=True),
)  # fmt: skip


def scenario(name: str) -> Scenario:
    """The scenario called `name`.

    Raises:
        NotFound: there is none; the text names the nearest, the hint all.
    """
    table = {each.name: each for each in SCENARIOS}
    if name in table:
        return table[name]
    nearest = get_close_matches(name, table, n=1)
    meant = f"; the nearest is {nearest[0]}" if nearest else ""
    raise NotFound(f"there is no scenario {name!r}{meant}", f"Known scenarios: {', '.join(table)}.")
