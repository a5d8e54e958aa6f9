"""Hold the alerts of the document, and which event brought or removed each of them."""

from __future__ import annotations

from collections.abc import Iterable

from condord.live.wire_alerts import AlertJson


class PublishedAlerts:
    """`shown` has the alerts by id, in document order: by `since`, the newest first, then by id."""

    def __init__(self) -> None:
        self.shown: dict[str, AlertJson] = {}
        self._brought: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._past: dict[str, list[range]] = {}
        """The ranges of events whose documents contained a removed alert, by its id."""
        self._number = 0

    def put(self, alerts: Iterable[AlertJson], number: int) -> None:
        """Hold `alerts` and no others; event `number`, the newest of all, brings and removes what is different."""
        before, self.shown = self.shown, {alert.id: alert for alert in in_order(alerts)}
        for identity in before.keys() - self.shown.keys():
            del self._brought[identity]
            self._past.setdefault(identity, []).append(range(self._since.pop(identity), number))
            self._number = number
        for identity, alert in self.shown.items():
            if alert != before.get(identity):
                self._since.setdefault(identity, number)
                self._brought[identity] = self._number = number

    def since(self, number: int) -> tuple[list[AlertJson], list[str]]:
        """Return the alerts that came or changed after event `number`, and the ids of its alerts that are gone."""
        if self._number <= number:
            return [], []
        brought = [alert for identity, alert in self.shown.items() if self._brought[identity] > number]
        past = self._past.keys() - self.shown.keys()
        return brought, sorted(identity for identity in past if any(number in had for had in self._past[identity]))

    def forget_gone(self) -> None:
        """Forget which alerts were removed: clients at an earlier event get a snapshot."""
        self._past = {}


def in_order(alerts: Iterable[AlertJson]) -> list[AlertJson]:
    """Return `alerts` in document order."""
    return sorted(sorted(alerts, key=lambda alert: alert.id), key=lambda alert: alert.since, reverse=True)
