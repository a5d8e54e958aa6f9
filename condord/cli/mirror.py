"""Apply the events of the stream to the document, as every client has to. No I/O.

The document is plain JSON as `GET /api/positions` sends it, so that fields of a newer daemon are kept.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from condord.client.http import decoded
from condord.client.sse import ServerSentEvent
from condord.live.wire_broken import left_pl

_WHOLE = ("asOf", "totals", "account", "status")
_BY_SYMBOL = ("quotes", "unmatched", "underlyings")


class Mirror:
    """The document as of the last event.

    `document` is a new object after each change, and None before the first snapshot.
    """

    def __init__(self) -> None:
        self.document: dict[str, Any] | None = None

    @property
    def as_of(self) -> dt.datetime | None:
        """The time of the last event with one, by the exchange's clock; None before the first snapshot."""
        return None if self.document is None else dt.datetime.fromisoformat(self.document["asOf"])

    def apply(self, event: ServerSentEvent) -> bool:
        """Apply an event; return whether the document has changed.

        A heartbeat moves only `asOf`, from which the time until a cut-off counts. That is not a change.

        Raises:
            Unavailable: the event cannot be decoded.
        """
        if event.name == "snapshot":
            self.document = decoded(event.data.encode(), dict[str, Any])
            return True
        if event.name == "delta" and self.document is not None:
            self.document = _with_delta(self.document, decoded(event.data.encode(), dict[str, Any]), event.id)
            return True
        if event.name == "heartbeat" and self.document is not None:
            as_of = decoded(event.data.encode(), dict[str, Any]).get("asOf", self.document.get("asOf"))
            self.document = {**self.document, "asOf": as_of}
        return False


def _with_delta(document: dict[str, Any], delta: Mapping[str, Any], version: str | None) -> dict[str, Any]:
    """Replace whole objects by their key (`symbol`, `id`), lists of `closing`, and append the points of `history`.

    An older daemon has no underlyings and no alerts.
    """
    changed = {**document, **{key: delta[key] for key in _WHOLE if key in delta}}
    if version is not None:
        changed["version"] = version
    for part in (part for part in _BY_SYMBOL if part in document or part in delta):
        new = {item["symbol"]: item for item in delta.get(part, ())}
        kept = [new.get(item["symbol"], item) for item in document.get(part, ())]
        known = {item["symbol"] for item in kept}
        changed[part] = kept + [item for symbol, item in new.items() if symbol not in known]
    if "alerts" in delta or "alertsGone" in delta:
        changed["alerts"] = _with_alerts(document.get("alerts", ()), delta)
    parts: dict[str, dict[str, Any]] = {}
    for name, part in (("valuations", "valuation"), ("risks", "risk")):
        for item in delta.get(name, ()):
            parts.setdefault(item["id"], {})[part] = item
    for item in delta.get("closing", ()):
        parts.setdefault(item["id"], {})["closing"] = item["orders"]
    new_points = {points["id"]: points for points in delta.get("history", ())}
    changed["condors"] = [
        {**condor, **parts.get(condor["id"], {}), **_extended_history(condor, new_points.get(condor["id"]))}
        for condor in document["condors"]
    ]
    if "broken" in document:
        # No delta has the profit or loss of a broken condor: it is the sum over its unmatched entries.
        entries = {entry["symbol"]: entry for entry in changed["unmatched"]}
        changed["broken"] = [_revalued(broken, entries) for broken in document["broken"]]
    return changed


def _with_alerts(before: Iterable[dict[str, Any]], delta: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the alerts after `delta`, in the order of the document: by `since`, the newest first, then by `id`."""
    alerts = {alert["id"]: alert for alert in (*before, *delta.get("alerts", ()))}
    left = [alerts[identity] for identity in sorted(alerts.keys() - {*delta.get("alertsGone", ())})]
    # Instants in UTC sort as texts, except that the Z would sort behind the fraction of a second.
    return sorted(left, key=lambda alert: alert["since"].removesuffix("Z"), reverse=True)


def _revalued(broken: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    left = [(leg["held"], entries.get(leg["symbol"], {})) for leg in broken["legs"] if leg["held"]]
    parts = ((held, entry.get("quantity"), entry.get("unrealizedPl")) for held, entry in left)
    return {**broken, "unrealizedPl": left_pl(parts)}


def _extended_history(condor: Mapping[str, Any], points: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the condor's `history` with the new points as a key to merge; nothing without new points."""
    if points is None:
        return {}
    history = condor["history"]
    return {"history": {**history, **{name: [*history[name], *points[name]] for name in ("seconds", "cents")}}}
