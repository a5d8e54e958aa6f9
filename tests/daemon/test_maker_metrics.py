import asyncio
import shutil
import subprocess

import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as text_string_to_openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from condord.cluster.interfaces import Answer
from condord.daemon.maker_metrics import ANSWER_SECONDS, MakerMetrics
from condord.errors import Unavailable
from condord.http.merged_metrics import OF_MAKER
from condord.http.metrics import Metrics
from tests.http.scrape import VALUES, observed, samples
from tests.virtualtime import run


class Maker:
    """Answers with the metrics of a daemon that was `started` at this time."""

    def __init__(self, started=100.0):
        self.registry = CollectorRegistry()
        Gauge("process_start_time_seconds", "Start.", registry=self.registry).set(started)
        self.cpu = Counter("process_cpu_seconds", "Time.", registry=self.registry)
        self.memory = Gauge("process_resident_memory_bytes", "Memory.", registry=self.registry)
        self.rest = Counter("condord_rest_rate_limited", "Answers.", registry=self.registry)
        self.requests = Counter("condord_http_requests", "Requests.", ("route",), registry=self.registry)
        self.subscribers = Gauge("condord_subscribers", "Subscribers.", registry=self.registry)
        self.requests.labels("/api/stream").inc()
        self.subscribers.set(1)

    async def ask_now(self, target, accept="*/*"):
        assert target == "/metrics"
        assert "openmetrics" in accept
        return Answer(200, {}, generate_openmetrics(self.registry))


class Front:
    """A front whose makers follow each other; `maker` is the function that answers for the current one."""

    def __init__(self, maker=None):
        self.registry = CollectorRegistry()
        Gauge("process_start_time_seconds", "Start.", registry=self.registry).set(5)
        Counter("process_cpu_seconds", "Time.", registry=self.registry).inc(7)
        Gauge("process_resident_memory_bytes", "Memory.", registry=self.registry).set(40)
        Counter("condord_http_requests", "Requests.", ("route",), registry=self.registry).labels("/").inc(3)
        Gauge("condord_subscribers", "Subscribers.", registry=self.registry).set(9)
        Gauge("condord_max_subscribers", "The limit.", registry=self.registry).set(1000)
        self.maker = maker
        self.is_leading = True
        self.metrics = MakerMetrics(self._ask, is_leading=lambda: self.is_leading)

    async def _ask(self, target, accept="*/*"):
        return await self.maker(target, accept)

    def scrape(self):
        """The samples, after a check that no family and no sample appears twice."""

        async def scraped():
            return generate_latest(await self.metrics.with_maker(self.registry)).decode()

        text = run(scraped())
        types = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
        assert len(types) == len(set(types))
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        found = {(sample.name, *sample.labels.values()): sample.value for sample in samples}
        assert len(found) == len(samples)
        return found


def test_while_it_leads_a_front_has_the_metrics_of_its_maker_and_the_sums_of_both_processes():
    maker = Maker()
    maker.cpu.inc(30)
    maker.memory.set(100)
    maker.rest.inc(2)
    found = Front(maker.ask_now).scrape()
    assert found["condord_rest_rate_limited_total",] == 2
    assert found["process_cpu_seconds_total",] == 37
    assert found["process_resident_memory_bytes",] == 140
    assert found["process_start_time_seconds",] == 5
    assert (found["condord_subscribers",], found["condord_max_subscribers",]) == (9, 1000)
    assert found["condord_http_requests_total", "/"] == 3
    assert ("condord_http_requests_total", "/api/stream") not in found  # the front's own


def test_a_standby_has_no_metrics_of_a_maker_and_no_counter_decreases():
    first, front = Maker(), Front()
    first.cpu.inc(30)
    first.memory.set(100)
    front.maker = first.ask_now
    front.scrape()
    front.is_leading = False
    found = front.scrape()
    assert ("condord_rest_rate_limited_total",) not in found
    assert found["process_cpu_seconds_total",] == 37
    assert found["process_resident_memory_bytes",] == 40
    second = Maker(started=200.0)
    second.cpu.inc(1)
    front.maker, front.is_leading = second.ask_now, True
    assert front.scrape()["process_cpu_seconds_total",] == 38
    second.cpu.inc(1)
    assert front.scrape()["process_cpu_seconds_total",] == 39
    front.is_leading = False
    assert front.scrape()["process_cpu_seconds_total",] == 39


async def gone(target, accept):
    raise Unavailable("the source is lost", "")


async def failing(target, accept):
    return Answer(500, {}, b"")


async def hanging(target, accept):
    await asyncio.sleep(10 * ANSWER_SECONDS)


@pytest.mark.parametrize("maker", [gone, failing, hanging])
def test_while_its_maker_does_not_answer_a_front_has_its_own_metrics_and_earlier_counts(maker):
    before, front = Maker(), Front()
    before.cpu.inc(30)
    front.maker = before.ask_now
    front.scrape()
    front.maker = maker
    found = front.scrape()
    assert found["process_cpu_seconds_total",] == 37
    assert found["condord_subscribers",] == 9
    assert ("condord_rest_rate_limited_total",) not in found


def test_a_front_of_real_registries_has_every_metric_of_a_daemon_once():
    async def ask(_target, _accept):
        return Answer(200, {}, generate_openmetrics(daemon.registry))

    async def merged():
        return await MakerMetrics(ask, is_leading=lambda: True).with_maker(relay.registry)

    leads = msgspec.structs.replace(VALUES, cluster=msgspec.structs.replace(VALUES.cluster, role="leader"))
    daemon, relay = observed(lambda: VALUES), Metrics("1.2.3", lambda: leads)
    registry = run(merged())
    names = [metric.name for metric in registry.collect()]
    assert sorted(names) == sorted({metric.name for metric in daemon.registry.collect()})
    found = samples(generate_latest(registry).decode())
    assert found["condord_cluster_role{state=leader}"] == 1
    assert found[f"{OF_MAKER}_count{{code=200,endpoint=positions}}"] == 1
    assert found["condord_log_dropped_total"] == 2 * VALUES.log_dropped
    assert found["condord_history_rows_total"] == VALUES.history_rows
    openmetrics = list(text_string_to_openmetrics_families(generate_openmetrics(registry).decode()))
    assert sorted(family.name for family in openmetrics) == sorted(names)
    if shutil.which("promtool"):
        result = subprocess.run(["promtool", "check", "metrics"], input=generate_latest(registry), capture_output=True)
        assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
