"""The profit or loss at which the rules in force end a condor: its target and its stop.

With the profit or loss u, the profit r of the condor's rolls, the credit C (dollars) and the maximum loss L:

    percentOfMaxProfit   = 100 (u + r) / (max profit + r)      u = threshold / 100 x (max profit + r) - r
    lossMultipleOfCredit = -(u + r) / (C + r)                  u = -threshold x (C + r) - r
    percentOfRisk        = 100 (u + r) / (L - r)               u = threshold / 100 x (L - r) - r

A rule counts if such a comparison is the only one in `when`. Of several, those of the highest severity count, and of
these the one that fires first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import NamedTuple

from condord.core.condor import Condor
from condord.core.rules.evaluating import matches, when
from condord.core.rules.facts import Facts
from condord.core.rules.rule import SEVERITIES, Condition, Rule


class Exits(NamedTuple):
    """Profit or loss of the whole quantity in 1e-4 dollars, without that of rolls; None without such a rule."""

    target_e4: int | None = None
    stop_e4: int | None = None


def exits(rules: Iterable[Rule], condor: Condor) -> Exits:
    """The profit and the loss at which the enabled rules for `condor` fire; None beyond its greatest profit or loss."""
    facts = facts_of(condor)
    found = [(rule, when(rule, facts)[0]) for rule in rules if _is_single(rule, facts)]
    target_e4 = min(_amounts(condor, found, _TARGETS), default=None)
    stop_e4 = max(_amounts(condor, found, _STOPS), default=None)
    highest, lowest = condor.max_profit_e4, condor.max_loss_e4
    return Exits(
        target_e4=None if target_e4 is None or highest is None or target_e4 > highest else target_e4,
        stop_e4=None if stop_e4 is None or lowest is None or stop_e4 < -lowest else stop_e4,
    )


def facts_of(condor: Condor) -> Facts:
    """The facts of a condor that `match` looks at, without any value."""
    return Facts(
        scope="condor",
        subject=condor.id,
        underlying=condor.underlying,
        kind=condor.kind,
        direction=condor.direction,
    )


def loss_base_e4(condor: Condor) -> int | None:
    """The divisor of `lossMultipleOfCredit`, in 1e-4 dollars: the credit and the profit of rolls.

    None if it is not known, or does not apply because it is not positive, as for debits.
    """
    received_e4 = _received_e4(condor)
    base_e4 = None if received_e4 is None else received_e4 + (condor.realized_e4 or 0)
    return base_e4 if base_e4 is not None and base_e4 > 0 else None


def _is_single(rule: Rule, facts: Facts) -> bool:
    return rule.enabled and matches(rule, facts) and len(when(rule, facts)) == 1


def _amounts(
    condor: Condor, found: Iterable[tuple[Rule, Condition]], kinds: dict[tuple[str, str | None], _Amount]
) -> list[int]:
    """The amounts in 1e-4 dollars at which the rules of the highest severity fire."""
    rated = [
        (SEVERITIES.index(rule.severity), amount)
        for rule, condition in found
        if (kind := kinds.get((condition.quantity, condition.operator)))
        and (amount := kind(condor, Fraction(str(condition.threshold)))) is not None
    ]
    highest = max((severity for severity, _ in rated), default=0)
    return [amount for severity, amount in rated if severity == highest]


def _target_e4(condor: Condor, percent: Fraction) -> int | None:
    base_e4, realized_e4 = condor.max_profit_e4, condor.realized_e4 or 0
    if base_e4 is None or base_e4 + realized_e4 <= 0:
        return None
    return math.ceil(percent / 100 * (base_e4 + realized_e4)) - realized_e4


def _stop_of_credit_e4(condor: Condor, multiple: Fraction) -> int | None:
    base_e4 = loss_base_e4(condor)
    return None if base_e4 is None else math.floor(-multiple * base_e4) - (condor.realized_e4 or 0)


def _stop_of_risk_e4(condor: Condor, percent: Fraction) -> int | None:
    base_e4, realized_e4 = condor.max_loss_e4, condor.realized_e4 or 0
    if base_e4 is None or base_e4 - realized_e4 <= 0:
        return None
    return math.floor(percent / 100 * (base_e4 - realized_e4)) - realized_e4


def _received_e4(condor: Condor) -> int | None:
    """The net credit of the whole quantity in 1e-4 dollars, negative for a debit."""
    costs = [leg.cost_basis_e4 for leg in condor.legs]
    known = [cost for cost in costs if cost is not None]
    return -sum(known) if len(known) == len(costs) else None


_Amount = Callable[[Condor, Fraction], int | None]
_TARGETS: dict[tuple[str, str | None], _Amount] = {("percentOfMaxProfit", ">="): _target_e4}
_STOPS: dict[tuple[str, str | None], _Amount] = {
    ("lossMultipleOfCredit", ">="): _stop_of_credit_e4,
    ("percentOfRisk", "<="): _stop_of_risk_e4,
}
