"""The scenarios: when the market is open, how fast it moves, and what the account holds."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Literal

import msgspec

from condord.errors import NotFound
from condord.simulator.clock import Opening

Start = Literal["now", "before-open", "after-hours", "expiration-afternoon"]
"""When the simulated time begins.

- `now`: at the real time
- `before-open`: a minute before the open of this trading day, or of the next one
- `after-hours`: at the real time, but on a trading day not before 16:15 in New York (13:15 if it closes early)
- `expiration-afternoon`: at 15:00 in New York on this Friday, or on the next one with a regular session
"""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One way to start the simulator.

    `rate` multiplies the number of quotes; `speed` is simulated seconds in a real one. `portfolio` names the holdings
    of the account. `ex_dividend` is a stock whose next ex-date is tomorrow. With `expires_today`, the nearest listed
    expiration is the day of the start.
    """

    name: str
    description: str
    opening: Opening = "always"
    is_frozen: bool = False
    rate: float = 1.0
    speed: float = 1.0
    start: Start = "now"
    portfolio: str = "default"
    expires_today: bool = False
    ex_dividend: str = ""
    has_opra: bool = False
    has_sip: bool = False
    has_index_values: bool = False


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(name="default", description="A lively market, open at any hour; condors of every kind."),
    Scenario(name="session", description="The market keeps its hours, 09:30 to 16:00 New York time.", opening="hours"),
    Scenario(
        name="day", description="A whole trading day in 6.5 minutes, from one minute before the open.",
        opening="hours", speed=60.0, start="before-open",
    ),
    Scenario(
        name="closed", description="The market is closed; the last quotes stay.", opening="never", start="after-hours",
    ),
    Scenario(name="frozen", description="The market is open and no quote ever moves.", is_frozen=True),
    Scenario(name="empty", description="The account holds nothing.", portfolio="empty"),
    Scenario(name="busy", description="Twenty times as many quotes as usual.", rate=20.0),
    Scenario(name="opra", description="As default, with the OPRA agreement signed.", has_opra=True),
    Scenario(
        name="tested", description="Condors whose short strikes the market has reached or passed.", portfolio="tested"
    ),
    Scenario(
        name="expiration-day", description="The last hour before condors expire: from 15:00 in New York on a Friday.",
        opening="hours", start="expiration-afternoon", portfolio="expiration-day", expires_today=True,
    ),
    Scenario(
        name="ex-dividend", description="Short calls in the money on the eve of an ex-dividend date.",
        portfolio="ex-dividend", ex_dividend="SPY",
    ),
    Scenario(
        name="index", description="Condors on SPX and XSP, with the entitlement to index values.",
        portfolio="index", has_index_values=True,
    ),
)  # fmt: skip


def scenario(name: str) -> Scenario:
    """The scenario called `name`.

    Raises:
        NotFound: there is none. The text names the nearest one, the hint lists all.
    """
    table = {known.name: known for known in SCENARIOS}
    if name in table:
        return table[name]
    nearest = get_close_matches(name, table, n=1)
    meant = f"; the nearest is {nearest[0]}" if nearest else ""
    raise NotFound(f"there is no scenario {name!r}{meant}", f"Known scenarios: {', '.join(table)}.")
