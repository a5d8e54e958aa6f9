"""Every quantity and word that a rule may name: its scope, its unit, and when it is evaluated.

A rule compares a quantity with a number. A word is true or false. A condor's facts also hold the quantities of its
underlying and of the account.

- `expiresToday` is false for a condor that was opened that day.
- `uncoveredShort` is true for calls, and for puts that were in a condor or a covered pair before.
- `extrinsicLessThanDividend` applies from 09:30 of the session before the ex-date, while the short call is in the
  money.
- `distanceSigmas` is `BEYOND` where the price is beyond the strike and the implied volatility is not known.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from condord.core.rules.facts import ABSENT, Between, Value
from condord.core.rules.rule import Scope
from condord.core.signed import signed_dollars

Unit = Literal["percent", "dollars", "multiple", "days", "minutes", "sigmas", "ratio", "word"]

_SCOPES: tuple[Scope, ...] = ("condor", "underlying", "account")
"""The scopes from the narrowest to the widest."""


class Quantity(msgspec.Struct, frozen=True, kw_only=True):
    """A quantity or a word.

    `title` names it in a sentence. `has_basis`: it is a profit or loss, or a mark, at mark or at natural. `is_signed`:
    its dollars are shown with a plus or a minus. `is_dated`: it depends on the date, and is evaluated from 09:00 ET of
    a session. `is_daemon_fact`: it is a fact of the daemon, which is always known. `lowest` and `highest` are the
    bounds of its values, None without one.
    """

    name: str
    scope: Scope
    unit: Unit
    title: str
    has_basis: bool = False
    is_signed: bool = False
    is_dated: bool = False
    is_daemon_fact: bool = False
    lowest: float | None = None
    highest: float | None = None

    @property
    def is_word(self) -> bool:
        """Whether it is true or false instead of a number."""
        return self.unit == "word"


def _pl(name: str, unit: Unit, title: str, scope: Scope = "condor", *, is_signed: bool = False) -> Quantity:
    return Quantity(name=name, scope=scope, unit=unit, title=title, has_basis=True, is_signed=is_signed)


def _number(
    name: str,
    unit: Unit,
    title: str,
    scope: Scope = "condor",
    *,
    lowest: float | None = None,
    highest: float | None = None,
    is_signed: bool = False,
) -> Quantity:
    return Quantity(name=name, scope=scope, unit=unit, title=title, lowest=lowest, highest=highest, is_signed=is_signed)


def _date(name: str, unit: Unit, title: str, *, lowest: float | None = None) -> Quantity:
    return Quantity(name=name, scope="condor", unit=unit, title=title, is_dated=True, lowest=lowest)


def _word(name: str, title: str) -> Quantity:
    return Quantity(name=name, scope="condor", unit="word", title=title)


def _daemon_fact(name: str, title: str, scope: Scope = "condor", *, is_dated: bool = False) -> Quantity:
    return Quantity(name=name, scope=scope, unit="word", title=title, is_daemon_fact=True, is_dated=is_dated)


_ALL = (
    _pl("percentOfMaxProfit", "percent", "the profit in percent of the maximum profit"),
    _pl("percentOfRisk", "percent", "the P/L in percent of the maximum loss"),
    _pl("lossMultipleOfCredit", "multiple", "the loss as a multiple of the credit"),
    _pl("unrealizedPl", "dollars", "the P/L", is_signed=True),
    _pl("dayPl", "dollars", "today's P/L", is_signed=True),
    _pl("mark", "dollars", "the price to close"),
    _date("daysToExpiration", "days", "the time to the expiration", lowest=0),
    _date("daysAtOpening", "days", "the time to the expiration at the opening", lowest=0),
    _date("minutesToOrderCutoff", "minutes", "the time to the cut-off for orders"),
    _date("minutesToLiquidation", "minutes", "the time to the earliest liquidation"),
    _number("distancePercent", "percent", "the distance to the nearer strike"),
    _number("distanceSigmas", "sigmas", "the distance to the nearer strike"),
    _number("delta", "dollars", "the delta", is_signed=True),
    _number("theta", "dollars", "the theta", is_signed=True),
    _number("shortDelta", "ratio", "the larger delta of a short leg", lowest=0, highest=1),
    _number("probabilityOfProfit", "percent", "the probability of profit", lowest=0, highest=100),
    _number("probabilityOfTouch", "percent", "the probability of a touch", lowest=0, highest=100),
    _number("extrinsicLessThanDividend", "dollars", "the dividend less the extrinsic value of the short call"),
    _number("underlyingPrice", "dollars", "the price of the underlying", "underlying", lowest=0),
    _number("percentChange", "percent", "the change of the underlying since the previous close", "underlying"),
    _number(
        "underlyingDelta", "dollars", "the delta of all that is held on the underlying", "underlying", is_signed=True
    ),
    _pl("accountDayPl", "dollars", "today's P/L of all condors", "account", is_signed=True),
    _pl("accountUnrealizedPl", "dollars", "the P/L of all condors", "account", is_signed=True),
    _number("accountMaxLoss", "dollars", "the maximum loss of the account", "account", lowest=0),
    _number("optionsBuyingPower", "dollars", "the options buying power", "account"),
    _word("breached", "the underlying is beyond a short strike"),
    _word("tested", "a short strike is tested"),
    _word("nearStrike", "a leg is in the money or near its strike"),
    _daemon_fact("brokenCondor", "the condor lost legs"),
    _daemon_fact("uncoveredShort", "a short is uncovered", "underlying"),
    _daemon_fact("assignment", "a short leg was assigned"),
    _daemon_fact("expiresToday", "the condor expires today", is_dated=True),
    Quantity(
        name="longPutExpiring",
        scope="condor",
        unit="word",
        title="a long put in the money expires without shares",
        is_dated=True,
    ),
    _daemon_fact("feedDown", "prices are not live", "account"),
    _daemon_fact("blind", "the condor cannot be watched"),
)

QUANTITIES: dict[str, Quantity] = {each.name: each for each in _ALL}
"""Every quantity and word by its name, in the order of the documentation."""


def narrowest(scopes: set[Scope]) -> Scope:
    """The narrowest of `scopes` (not empty), which is the scope of the rule's alerts."""
    return min(scopes, key=_SCOPES.index)


def worded(name: str, value: Value) -> str:
    """A value of the quantity `name` for people: `48.9 %`, `+511.00`, `2.1 to 2.2 times the credit`.

    The ends of a range are rounded, as they are only as exact as the quotes.
    """
    if value is None:
        return "not known"
    if value is ABSENT:
        return "does not apply"
    if isinstance(value, Between):
        low, high = _rounded(name, value.low), _rounded(name, value.high)
        return high if low == high else f"{low.partition(' ')[0]} to {high}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    match QUANTITIES[name].unit:
        case "percent":
            return f"{_short(value)} %"
        case "multiple":
            return f"{_short(value)} times the credit"
        case "days" | "minutes" as unit:
            return f"{_short(value)} {unit.removesuffix('s') if abs(value) == 1 else unit}"
        case "sigmas":
            return f"{_short(value)} sigmas"
        case "ratio":
            return f"{value:.2f}"
        case _:
            return signed_dollars(value) if QUANTITIES[name].is_signed else f"{value + 0.0:,.2f}"


def _rounded(name: str, end: float) -> str:
    """An end of a range for people."""
    match QUANTITIES[name].unit:
        case "percent":
            return f"{_short(round(end))} %"
        case "multiple":
            return f"{round(end, 1) + 0.0:,.1f} times the credit"
        case _:
            return worded(name, end)


def _short(value: float) -> str:
    """A number with at most two decimals and no zeros after them."""
    text = f"{value:,.2f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
