"""The sentence of an alert as of now: it was written when the alert fired, and may be hours old."""

from __future__ import annotations

import datetime as dt
import re

from condord.cli import formatting
from condord.live import wire
from condord.live.urgency import held
from condord.live.wire_alerts import AlertJson

_PRICE = r", [A-Z0-9.]+ [0-9,]+\.[0-9]{2}"
_MEASURED = re.compile(rf" is (?=.*[0-9])(.*?)({_PRICE})?(?=[;.](?: |\Z))", re.ASCII)
"""The measured part of a sentence, with the price at its end if it has one: ` is breached, SPY 568.10`"""
_COUNT = " (1 condor)"
"""This follows the text of a notice about a condor. The sentence names the condor."""
_LASTING = ("breached", "tested")
_UNTIL = re.compile(r" takes orders( for it)? until ")
_FROM = re.compile(r" may liquidate( it)? from [0-9:]+( ET( on [A-Z][a-z]+ [0-9]+)?)?", re.ASCII)


def split(text: str) -> tuple[str, str]:
    """Return the sentence of an alert, and the P/L that follows it; empty if none does."""
    reason, found, profit = text.rpartition(". P/L ")
    return (f"{reason}.", f"P/L {profit.removesuffix('.')}") if found else (text, "")


def sentence(
    alert: AlertJson, now: dt.datetime, document: wire.Document | None = None, *, has_price: bool = True
) -> str:
    """Return the sentence of an alert that fires, without the P/L, and with the time of what was measured.

    `now` is by the exchange's clock, as cut-offs are: the time of the document or of the alerts.
    After the cut-off for orders it has the time since which none are taken, and once Alpaca may liquidate it states
    that, if the condor is in `document`. The page has the same form, in `web/src/alarm.ts`. Without `has_price` it
    leaves out the price of that time.
    """

    def dated(found: re.Match[str]) -> str:
        price = (found[2] or "") if has_price else ""
        lasts = found[1].startswith(_LASTING)  # as long as the alert fires
        at = "since" if lasts and not price else "at"
        return f" {'has been' if lasts else 'was'} {found[1]}{price} {at} {formatting.moment(alert.since, now)}"

    text = _MEASURED.sub(dated, split(alert.text)[0].replace(_COUNT, ""), count=1)
    passed = _passed(alert, now, document)
    text = _UNTIL.sub(r" has taken no orders\1 since ", text) if "orders" in passed else text
    return _FROM.sub(r" may liquidate\1 at any time", text) if "liquidation" in passed else text


def _passed(alert: AlertJson, now: dt.datetime, document: wire.Document | None) -> set[str]:
    """Return which cut-offs of its condor are known to have passed."""
    condors = () if document is None else held(document)
    expiry = next((condor.expiry for condor in condors if condor.id == alert.condor_id), None)
    return {cutoff.kind for cutoff in expiry.cutoffs if cutoff.at <= now} if expiry is not None else set()
