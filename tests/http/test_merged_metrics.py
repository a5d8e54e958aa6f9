from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from condord.http import merged_metrics
from condord.http.merged_metrics import Family, MergedRegistry, SampleValue, added, families, lasting


class Process:
    """The registry of a process with some of what a daemon counts."""

    def __init__(self):
        self.registry = CollectorRegistry()
        self.requests = Counter("condord_http_requests", "Requests.", ("route",), registry=self.registry)
        self.lag = Histogram("condord_event_loop_lag_seconds", "Lag.", buckets=(1.0,), registry=self.registry)
        self.files = Gauge("process_open_fds", "Files.", registry=self.registry)
        self.own = Gauge("condord_condors", "Condors.", registry=self.registry)


def scraped(registry):
    text = generate_latest(registry).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = {(sample.name, *sample.labels.values()): sample.value for sample in samples}
    assert len(found) == len(samples)
    return found


def test_numbers_that_add_up_are_summed_and_others_come_from_this_process():
    own, workers = Process(), [Process(), Process()]
    merged = MergedRegistry(own.registry)
    own.own.set(3)
    own.lag.observe(0.5)
    own.files.set(5)
    own.requests.labels("/api/stream").inc(2)  # counted only by the workers
    for number, worker in enumerate(workers, 1):
        worker.own.set(99)
        worker.requests.labels("/metrics").inc(number)
        worker.lag.observe(2.0)
        worker.files.set(10)
        merged.set_others(added(merged.others, families(worker.registry)))
    found = scraped(merged)
    assert found["condord_condors",] == 3
    assert found["condord_http_requests_total", "/metrics"] == 3
    assert ("condord_http_requests_total", "/api/stream") not in found
    assert found["process_open_fds",] == 25
    assert found["condord_event_loop_lag_seconds_bucket", "1.0"] == 1
    assert found["condord_event_loop_lag_seconds_bucket", "+Inf"] == 3
    assert found["condord_event_loop_lag_seconds_count",] == 3
    assert found["condord_event_loop_lag_seconds_sum",] == 4.5


def test_without_workers_the_numbers_come_from_this_process():
    own = Process()
    own.files.set(5)
    assert scraped(MergedRegistry(own.registry))["process_open_fds",] == 5


def test_the_creation_time_of_a_counter_is_the_earliest_of_all_processes():
    early, late = (Family("a", "", "counter", (SampleValue("a_created", {}, at),)) for at in (5.0, 7.0))
    assert added({"a": late}, {"a": early})["a"].samples == (SampleValue("a_created", {}, 5.0),)


def test_the_counts_of_an_ended_process_remain():
    worker = Process()
    worker.files.set(5)
    worker.requests.labels("/").inc()
    assert lasting(families(worker.registry)).keys() == {"condord_http_requests", "condord_event_loop_lag_seconds"}


def test_every_family_that_is_summed_exists():
    from condord.http.metrics import Metrics
    from tests.http.test_metrics import VALUES

    names = {metric.name for metric in Metrics("1", lambda: VALUES).registry.collect()}
    assert names >= merged_metrics.SUMMED


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)), max_size=4))
def test_each_label_is_summed_separately_in_any_order(processes):
    created = [
        {"x": Family("x", "", "counter", tuple(SampleValue("x_total", {"l": k}, float(v)) for k, v in each.items()))}
        for each in processes
    ]
    for order in (created, created[::-1]):
        total = {}
        for each in order:
            total = added(total, each)
        found = {sample.labels["l"]: sample.value for family in total.values() for sample in family.samples}
        assert found == {
            label: sum(each.get(label, 0) for each in processes) for label in {k for p in processes for k in p}
        }
