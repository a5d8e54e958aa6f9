"""Name what can make the loss of a condor exceed its maximum loss, which counts on all legs to the expiration.

The daemon's alerts tell when that is so; `web/src/maxLoss.ts` names the same alerts for the page. After the settlement
of a condor its alerts have ended, but which legs were exercised is known only when its legs are booked.
"""

from __future__ import annotations

from collections.abc import Mapping

from condord.cli.last_day import awaits_settlement
from condord.live import wire
from condord.live.wire_condor import CondorJson, LegJson

_WHYS: Mapping[str, str] = {
    "long-put-expiring": "the loss may exceed it: Alpaca may sell the long put or not exercise it",
    "ex-dividend": "the loss may exceed it by the dividend: the short call may be exercised early",
}
"""By the rules whose alerts concern it."""


_UNSETTLED = "the loss may exceed it: which legs were exercised is not known until they are settled"


def whys_above_max_loss(condor: CondorJson, document: wire.Document) -> list[str]:
    """Return a sentence for each reason why the condor may lose more than its maximum loss."""
    firing = {alert.rule for alert in document.alerts if alert.condor_id == condor.id and alert.state == "firing"}
    whys = [why for rule, why in _WHYS.items() if rule in firing]
    return [*whys, _UNSETTLED] if _may_be_exercised_in_part(condor, document) else whys


def may_exceed_max_loss(document: wire.Document) -> set[str]:
    """Return the underlyings of the condors that may lose more than their maximum loss."""
    by_alerts = {
        alert.underlying
        for alert in document.alerts
        if alert.rule in _WHYS and alert.state == "firing" and alert.underlying is not None
    }
    return by_alerts | {each.underlying for each in document.condors if _may_be_exercised_in_part(each, document)}


def _may_be_exercised_in_part(condor: CondorJson, document: wire.Document) -> bool:
    """Return whether it awaits settlement in shares, and a short leg is in the money, as far as is known."""
    if condor.style == "european" or not awaits_settlement(condor, document.as_of):
        return False
    price = next((each.price for each in document.underlyings if each.symbol == condor.underlying), None)
    return any(_is_in_the_money(leg, price) for leg in condor.legs if leg.side == "short")


def _is_in_the_money(leg: LegJson, price: float | None) -> bool:
    """Return whether the leg is in the money, or could be because the price is not known."""
    if price is None:
        return True
    return price < leg.strike if leg.right == "put" else price > leg.strike
