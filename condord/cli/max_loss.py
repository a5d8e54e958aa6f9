"""Name what can make the loss of a condor exceed its maximum loss, which counts on all legs to the expiration.

The daemon's alerts tell when that is so. `web/src/maxLoss.ts` has the same rules for the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from condord.live.wire_alerts import AlertJson
from condord.live.wire_condor import CondorJson

_WHYS: Mapping[str, str] = {
    "long-put-expiring": "the loss may exceed it: Alpaca may sell the long put or not exercise it",
    "ex-dividend": "the loss may exceed it by the dividend: the short call may be exercised early",
}
"""By the rules whose alerts concern it."""


def whys_above_max_loss(condor: CondorJson, alerts: Iterable[AlertJson]) -> list[str]:
    """Return a sentence for each reason why the condor may lose more than its maximum loss."""
    firing = {alert.rule for alert in alerts if alert.condor_id == condor.id and alert.state == "firing"}
    return [why for rule, why in _WHYS.items() if rule in firing]


def may_exceed_max_loss(alerts: Iterable[AlertJson]) -> set[str]:
    """Return the underlyings of the condors that may lose more than their maximum loss."""
    return {
        alert.underlying
        for alert in alerts
        if alert.rule in _WHYS and alert.state == "firing" and alert.underlying is not None
    }
