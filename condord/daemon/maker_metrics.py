"""The metrics of the makers of a front, which ask for them at each scrape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from condord.cluster.interfaces import Answer
from condord.errors import Unavailable
from condord.http import merged_metrics
from condord.http.merged_metrics import Families, Family, LeaderRegistry

ANSWER_SECONDS = 1.0
"""How long a maker may take: a scrape is given up after ten seconds."""

_OPENMETRICS = "application/openmetrics-text; version=1.0.0"
_STARTED = "process_start_time_seconds"


class AskMaker(Protocol):
    """Asks a maker."""

    async def __call__(self, target: str, accept: str = "*/*") -> Answer:
        """Return the answer to a GET.

        Raises:
            Unavailable: there is none.
        """


class MakerMetrics:
    """Adds the maker's metrics to the front's while it leads.

    The counts of earlier makers, as of the last scrape, stay in the sums, so no counter decreases.
    """

    def __init__(self, ask_now: AskMaker, *, is_leading: Callable[[], bool]) -> None:
        self._ask_now = ask_now
        self._is_leading = is_leading
        self._past: Families = {}
        self._newest: Families = {}

    async def with_maker(self, registry: Collector) -> Collector:
        """Return all metrics: the ones of `registry`, the sums, and the ones that only a maker has."""
        found = await self._found() if self._is_leading() else {}
        if found:
            if found.get(_STARTED) != self._newest.get(_STARTED):
                self._past = self._counted()
            self._newest = found
        counted = merged_metrics.added(self._past, merged_metrics.added_up(found)) if found else self._counted()
        return LeaderRegistry(registry, counted=counted, found=found)

    def _counted(self) -> Families:
        """The counts of all makers so far."""
        newest = merged_metrics.lasting(merged_metrics.added_up(self._newest))
        return merged_metrics.added(self._past, newest)

    async def _found(self) -> Families:
        """Return the families of the maker that runs; empty if it does not answer."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._ask_now("/metrics", _OPENMETRICS)
        except (Unavailable, TimeoutError):
            return {}
        return _families(answer.body.decode()) if answer.status == 200 else {}


def _families(text: str) -> dict[str, Family]:
    """The families of a text in the format of OpenMetrics."""
    found = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return {metric.name: merged_metrics.family_of(metric) for metric in found}
