"""Numbers to be scraped, a registry in which everything has been observed, and what a scrape says."""

import datetime as dt

import msgspec
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from condord.http.metrics import Metrics
from condord.http.ports import Numbers, StreamNumbers
from condord.live import render
from condord.live.edition import Tally
from tests.http.asking import NOW_AT

_UNREAD = render.unread_status("simulator", "indicative", NOW_AT)
_UP = StreamNumbers(connected=True, messages={"quote": 7}, reconnects={"silent": 2}, failures={"silent": 3})

NUMBERS = Numbers(
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
    superseded=5,
    refused={"price": 6},
    subscribers=8,
    max_subscribers=1000,
    frames=90,
    taken_bytes=9000,
    dropped=9,
    resyncs={"ringOverflow": 1},
    disconnects={"client": 10},
)
UNREAD = msgspec.structs.replace(
    NUMBERS, status=_UNREAD, published=Tally(condors=0, unmatched=0, quotes=0, unconfirmed=0, oldest_valuation_at=None)
)
"""Nothing is known yet."""


def observed(numbers=lambda: NUMBERS) -> Metrics:
    """The metrics of a daemon in which everything has happened once."""
    metrics = Metrics("1.2.3", numbers)
    metrics.observe_update(0.003)
    metrics.observe_lag(0.0)
    metrics.observe_request("positions", "200", 0.02)
    metrics.count_answer("/livez", 200)
    metrics.observe_answer("/livez", 0.001)
    return metrics


def samples(text: str) -> dict:
    """The values by name and labels, as `name{label=value}` with the labels in order."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def said(metrics: Metrics) -> dict:
    """What a scrape of `metrics` finds."""
    return samples(generate_latest(metrics.registry).decode())


def labels(metrics: Metrics) -> dict[str, set[str]]:
    """The names of all metrics but those of the process, as they are queried, and their labels."""
    found = {}
    for family in metrics.registry.collect():
        if not family.name.startswith("process_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    return found
