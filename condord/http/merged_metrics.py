"""Metrics of several processes in one scrape: counts are summed, and all other numbers come from one process.

A worker sends `families` of its registry, which are summed by name and labels. What an ended process has counted stays
in the sum, so that a counter never decreases. A front reads all families of its maker.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

OF_REQUESTS = frozenset({"condord_http_requests", "condord_http_request_duration_seconds"})
"""The requests of clients. What the processes ask one another is not counted."""
SUMMED = OF_REQUESTS | {
    "condord_event_loop_lag_seconds",
    "process_cpu_seconds",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_max_fds",
}
"""The families that add up, besides those that the daemon counts itself (`MetricValues`)."""
OF_MAKER = "condord_rest_request_duration_seconds"
"""Every server has this family, and only what reads an account has samples of it."""

_CREATED = "_created"


class SampleValue(msgspec.Struct, frozen=True, array_like=True):
    """One number of a family."""

    name: str
    labels: dict[str, str]
    value: float


class Family(msgspec.Struct, frozen=True, array_like=True):
    """The numbers of one name; `type` is Prometheus's."""

    name: str
    documentation: str
    type: str
    samples: tuple[SampleValue, ...]


Families = Mapping[str, Family]
"""Families by name."""


def families(registry: Collector) -> dict[str, Family]:
    """The families of a registry that add up."""
    return {metric.name: family_of(metric) for metric in registry.collect() if metric.name in SUMMED}


def added(one: Families, other: Families) -> dict[str, Family]:
    """The sum of two processes' families."""
    found = {**one, **other}
    for name in one.keys() & other.keys():
        found[name] = msgspec.structs.replace(one[name], samples=_all((one[name], other[name])))
    return found


def lasting(found: Families) -> dict[str, Family]:
    """The families of a process that has ended: only counters remain."""
    return {name: family for name, family in found.items() if family.type != "gauge"}


def added_up(found: Families) -> dict[str, Family]:
    """The families of a maker that are added to its front's."""
    names = (SUMMED | {"condord_log_dropped"}) - OF_REQUESTS
    return {name: family for name, family in found.items() if name in names}


class LeaderRegistry(Collector):
    """The metrics of a front, joined with those of its makers.

    `counted` are the families that add up, of all makers so far; they are added to those of the front. `found` are all
    families of the maker that runs, of which those are shown that the front does not have.
    """

    def __init__(self, registry: Collector, *, counted: Families, found: Families) -> None:
        self._registry = registry
        self._counted = counted
        self._found = found

    def collect(self) -> Iterator[Metric]:
        """Yield every family once."""
        own: set[str] = set()
        for metric in self._registry.collect():
            if metric.name == OF_MAKER and metric.name in self._found:
                continue
            own.add(metric.name)
            counted = [self._counted[metric.name]] if metric.name in self._counted else []
            yield _metric(family_of(metric), _all([family_of(metric), *counted])) if counted else metric
        for name, family in self._found.items():
            if name not in own:
                yield _metric(family, family.samples)


class MergedRegistry(Collector):
    """The metrics of this process, and `others`, the families of the processes that serve for it."""

    def __init__(self, registry: Collector) -> None:
        self.others: Families = {}
        self._registry = registry

    def set_others(self, families: Families) -> None:
        """Show these families of other processes from now on."""
        self.others = families

    def collect(self) -> Iterator[Metric]:
        """Yield every family once."""
        for metric in self._registry.collect():
            if metric.name not in SUMMED:
                yield metric
                continue
            own = [] if metric.name in OF_REQUESTS else [family_of(metric)]
            found = [*own, *([self.others[metric.name]] if metric.name in self.others else [])]
            yield _metric(family_of(metric), _all(found))


def family_of(metric: Metric) -> Family:
    """The same as a struct."""
    samples = tuple(SampleValue(sample.name, dict(sample.labels), sample.value) for sample in metric.samples)
    return Family(metric.name, metric.documentation, metric.type, samples)


def _all(found: Sequence[Family]) -> tuple[SampleValue, ...]:
    """The samples of all families; equal names and labels make one sample."""
    sums: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for sample in itertools.chain.from_iterable(family.samples for family in found):
        key = sample.name, tuple(sorted(sample.labels.items()))
        if sample.name.endswith(_CREATED):  # an instant
            sums[key] = min(sums.get(key, sample.value), sample.value)
        else:
            sums[key] = sums.get(key, 0.0) + sample.value
    return tuple(SampleValue(name, dict(labels), value) for (name, labels), value in sums.items())


def _metric(family: Family, samples: Iterable[SampleValue]) -> Metric:
    joined = Metric(family.name, family.documentation, family.type)
    for sample in samples:
        joined.add_sample(sample.name, sample.labels, sample.value)
    return joined
