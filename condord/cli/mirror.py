"""Decides how the events of the stream become the document again: the client's half of the contract.

Rules: a snapshot replaces the document; a delta replaces its parts, whole, by their key (`symbol`, `id`). The
document is plain JSON, as `GET /api/positions` sends it, so that fields of a newer daemon are kept. Without I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from condord.client import Event, decoded


class Mirror:
    """The document as the events tell it.

    `document` is a new object after each change, and None before the first snapshot.
    """

    def __init__(self) -> None:
        self.document: dict[str, Any] | None = None

    def apply(self, event: Event) -> bool:
        """Take an event; whether the document is another one now."""
        if event.name == "snapshot":
            self.document = decoded(event.data.encode(), dict[str, Any])
            return True
        if event.name == "delta" and self.document is not None:
            self.document = _with_delta(self.document, decoded(event.data.encode(), dict[str, Any]), event.id)
            return True
        return False


def _with_delta(document: dict[str, Any], delta: Mapping[str, Any], version: str | None) -> dict[str, Any]:
    changed = {**document, **{key: delta[key] for key in ("asOf", "totals", "status") if key in delta}}
    if version is not None:
        changed["version"] = version
    for part in ("quotes", "unmatched"):
        new = {item["symbol"]: item for item in delta.get(part, ())}
        kept = [new.get(item["symbol"], item) for item in document[part]]
        known = {item["symbol"] for item in kept}
        changed[part] = kept + [item for symbol, item in new.items() if symbol not in known]
    values = {value["id"]: value for value in delta.get("valuations", ())}
    changed["condors"] = [
        {**condor, "valuation": values[condor["id"]]} if condor["id"] in values else condor
        for condor in document["condors"]
    ]
    return changed
