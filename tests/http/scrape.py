"""Values to scrape, metrics with every observation made once, and parsers of what a scrape returns."""

import datetime as dt

import msgspec
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from condord.http.interfaces import MetricValues, StreamCounts
from condord.http.metrics import Metrics
from condord.live import render, wire
from condord.live.published import Tally
from tests.http.fake_daemon import NOW_AT
from tests.live.accounts import MODEL

_UNREAD = render.unread_status("simulator", "indicative", MODEL, NOW_AT)
_UP = StreamCounts(connected=True, messages={"quote": 7}, reconnects={"silent": 2}, failures={"silent": 3})

VALUES = MetricValues(
    status=msgspec.structs.replace(
        _UNREAD,
        state="live",
        market=msgspec.structs.replace(_UNREAD.market, is_open=True),
        stream=msgspec.structs.replace(_UNREAD.stream, last_message_at=NOW_AT),
        positions=msgspec.structs.replace(_UNREAD.positions, read_at=NOW_AT),
    ),
    streams={"option": _UP, "trading": _UP},
    published=Tally(
        condors=3, unmatched=1, quotes=13, unconfirmed=2, oldest_valuation_at=NOW_AT - dt.timedelta(hours=1)
    ),
    rate_limited=4,
    breakers={"trading": "closed", "data": "open"},
    budget_room={"positions": 3, "main": 90},
    budget_waits={"positions": 0, "main": 2},
    superseded=5,
    refused={"price": 6},
    subscribers=8,
    max_subscribers=1000,
    frames=90,
    sent_bytes=9000,
    dropped=9,
    resyncs={"ringOverflow": 1},
    disconnects={"client": 10},
    history_rows=21,
    history_fault=False,
    log_dropped=19,
    alerts={("tested", "firing"): 2, ("tested", "pending"): 1},
    notifications={("phone", "delivered"): 22, ("phone", "failed"): 3},
    rule_evaluations=23,
    cluster=wire.ClusterJson(role="all", lag_ms=5, fence=6),
)
UNREAD = msgspec.structs.replace(
    VALUES, status=_UNREAD, published=Tally(condors=0, unmatched=0, quotes=0, unconfirmed=0, oldest_valuation_at=None)
)
"""The values before the daemon has read anything."""


def observed(read_values=lambda: VALUES) -> Metrics:
    """Metrics with one observation of every kind."""
    metrics = Metrics("1.2.3", read_values)
    metrics.observe_update(0.003)
    metrics.observe_lag(0.0)
    metrics.observe_request("positions", "200", 0.02)
    metrics.count_answer("/livez", 200)
    metrics.observe_answer("/livez", 0.001)
    return metrics


def samples(text: str) -> dict:
    """The values of a scrape by `name{label=value}`, with the labels sorted."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def scraped(metrics: Metrics) -> dict:
    """Scrape `metrics`; returns the same as `samples`."""
    return samples(generate_latest(metrics.registry).decode())


def labels(metrics: Metrics) -> dict[str, set[str]]:
    """The labels of every metric by the name used in queries, without the `process_` metrics."""
    found = {}
    for family in metrics.registry.collect():
        if not family.name.startswith("process_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    return found
