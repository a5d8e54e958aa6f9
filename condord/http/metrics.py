"""Metrics in the text format of Prometheus, and the middleware that measures requests.

Each daemon has its own registry, so two daemons in one process do not mix. Counts and states that the daemon keeps
anyway are read at each scrape. Only durations are observed as they happen: once per request, frame or second.

A stream is counted as a request but has no duration, because its client decides how long it lasts. An unknown value has
no sample. Labels have few values, which are known beforehand or are HTTP status codes.
"""

from __future__ import annotations

import datetime as dt
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from condord.http.answer import REVALIDATE
from condord.http.interfaces import DaemonView, MetricValues, StreamCounts
from condord.live import wire

OTHER_ROUTE = "other"
"""The label of requests to an unknown path, and of those refused before their path was read."""

_UPDATE_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)
_REST_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
_HTTP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_STREAM_TYPE = b"text/event-stream"


async def exposition(request: Request) -> Response:
    """Answer `GET /metrics`: the text format of Prometheus, or OpenMetrics if `Accept` asks for it."""
    daemon: DaemonView = request.app.state.daemon
    return answer_with(daemon.registry, request)


def answer_with(registry: Collector, request: Request) -> Response:
    """The answer with all metrics of a registry, in the format that the request accepts."""
    encode, content_type = _encoder(request.headers.get("accept", ""))
    return Response(encode(registry), headers={**REVALIDATE, "Content-Type": content_type})


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return choose_encoder(accept)
    except TypeError:
        # prometheus-client 0.26 compares a version that is not a number with one. This can go when
        # `test_the_library_raises_on_a_version_that_is_not_a_number` fails.
        return choose_encoder("")


class Metrics:
    """The metrics of one daemon, in `registry`. `read_values` is called at each scrape."""

    def __init__(self, version: str, read_values: Callable[[], MetricValues]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_ValuesCollector(version, read_values))
        histogram = functools.partial(Histogram, registry=self.registry)
        self._update = histogram(
            "condord_update_latency_seconds",
            "Time from receiving the oldest quote of a delta to its last write, including the wait for the window.",
            buckets=_UPDATE_SECONDS,
        )
        self._lag = histogram(
            "condord_event_loop_lag_seconds",
            "How late a timer of the event loop fired, once a second.",
            buckets=_LAG_SECONDS,
        )
        self._rest = histogram(
            "condord_rest_request_duration_seconds",
            "Duration of requests to Alpaca's REST API, by endpoint and HTTP status or error code.",
            ("endpoint", "code"),
            buckets=_REST_SECONDS,
        )
        self._durations = histogram(
            "condord_http_request_duration_seconds",
            "Duration of requests to this daemon, except streams.",
            ("route",),
            buckets=_HTTP_SECONDS,
        )
        self._requests = Counter(
            "condord_http_requests",
            "Requests to this daemon that got an answer.",
            ("route", "status"),
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)

    def observe_update(self, seconds: float) -> None:
        """Record that a frame was written `seconds` after its oldest quote was received."""
        self._update.observe(seconds)

    def observe_lag(self, seconds: float) -> None:
        """Record how late the event loop ran a timer."""
        self._lag.observe(seconds)

    def observe_request(self, endpoint: str, code: str, seconds: float) -> None:
        """Record a request to Alpaca's REST API; `code` is its HTTP status or an error code."""
        self._rest.labels(endpoint, code).observe(seconds)

    def count_refusal(self, status: int) -> None:
        """Count an answer that a connection gave instead of the application."""
        self.count_answer(OTHER_ROUTE, status)

    def count_answer(self, route: str, status: int) -> None:
        """Count an answer that has begun."""
        self._requests.labels(route, str(status)).inc()

    def observe_answer(self, route: str, seconds: float) -> None:
        """Record that an answer ended `seconds` after its request arrived."""
        self._durations.labels(route).observe(seconds)


class MetricsMiddleware:
    """ASGI middleware that counts and times requests by the route they match, including refused ones.

    `now` is a clock in seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Sequence[BaseRoute],
        metrics: Metrics,
        *,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._app = app
        self._routes = [route for route in routes if isinstance(route, Route)]
        self.metrics = metrics
        self.now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and measure its answer."""
        if scope["type"] == "http":
            send = _MeasuredSend(self, self._route(scope), send)
        await self._app(scope, receive, send)

    def _route(self, scope: Scope) -> str:
        """The path template of the matching route. The path itself would make one more series for each condor."""
        _, is_whole_url, rest = scope["path"].partition("://")
        if is_whole_url and not scope["path"].startswith("/"):
            scope = {**scope, "path": "/" + rest.partition("/")[2]}
        return next((route.path for route in self._routes if route.matches(scope)[0] != Match.NONE), OTHER_ROUTE)


class _MeasuredSend:
    """A `send` that counts and times the answer. It has slots, because each open stream keeps one."""

    __slots__ = ("_middleware", "_route", "_send", "_started")

    def __init__(self, middleware: MetricsMiddleware, route: str, send: Send) -> None:
        self._middleware = middleware
        self._route = route
        self._send = send
        self._started: float | None = middleware.now()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._middleware.metrics.count_answer(self._route, message["status"])
            if _is_stream(message):
                self._started = None
        await self._send(message)
        is_end = message["type"] == "http.response.body" and not message.get("more_body", False)
        if is_end and self._started is not None:
            self._middleware.metrics.observe_answer(self._route, self._middleware.now() - self._started)


def _is_stream(message: Message) -> bool:
    return any(name == b"content-type" and value.startswith(_STREAM_TYPE) for name, value in message.get("headers", ()))


class _ValuesCollector(Collector):
    """The daemon's own values, as families of samples."""

    def __init__(self, version: str, read_values: Callable[[], MetricValues]) -> None:
        self._version = version
        self._read_values = read_values

    def collect(self) -> Iterator[Metric]:
        """Read the values once, and yield every family."""
        values = self._read_values()
        yield _gauge("condord_build_info", "The version of this daemon.", {(self._version,): 1}, "version")
        yield from _cluster(values.cluster)
        if values.status is not None:
            yield from _status(values.status)
            yield from _published(values)
        if values.status is not None and values.cluster.role == "all":  # no event carries only a newer `readAt`
            read_at = values.status.positions.read_at
            yield _instant("condord_positions_timestamp_seconds", "When the positions were last read.", read_at)
        yield from _subscribers(values)
        if values.cluster.role == "all":
            yield from _upstream(values)
            yield from _rest(values)
            yield _counter("condord_history_rows", "Rows of history that were recorded.", {(): values.history_rows})
            yield _gauge("condord_history_fault", "Whether history cannot be recorded.", {(): values.history_fault})
            yield from _alerts(values)
        yield _counter("condord_log_dropped", "Log lines that could not be written.", {(): values.log_dropped})


def _alerts(values: MetricValues) -> Iterator[Metric]:
    yield _gauge("condord_alerts", "Alerts that are pending or firing.", values.alerts, "rule", "state")
    results = values.notifications
    yield _counter("condord_notifications", "Messages to a channel, by their result.", results, "channel", "result")
    evaluations: _Samples = {(): values.rule_evaluations}
    yield _counter(
        "condord_rule_evaluations", "Evaluations of a rule for a condor, underlying or account.", evaluations
    )


def _cluster(cluster: wire.ClusterJson) -> Iterator[Metric]:
    yield _state("condord_cluster_role", "What this process is among several.", wire.Role, cluster.role)
    fence: _Samples = {} if cluster.fence is None else {(): cluster.fence}
    yield _gauge("condord_cluster_fence", "The number of the leader on the bus, which rises with each leader.", fence)
    lag: _Samples = {} if cluster.lag_ms is None else {(): cluster.lag_ms / 1000}
    yield _gauge(
        "condord_cluster_lag_seconds",
        "How much longer a relay's newest event took than the fastest one, or its age while the source is lost.",
        lag,
    )
    yield _counter("condord_cluster_gaps", "Missing events that a snapshot of the source replaced.", {(): cluster.gaps})
    yield _counter(
        "condord_cluster_dropped", "Events of the source that were older than the document.", {(): cluster.dropped}
    )


def _status(status: wire.Status) -> Iterator[Metric]:
    yield _state("condord_stream_state", "The state of the option stream.", wire.State, status.state)
    newest_at = status.stream.last_message_at
    yield _instant("condord_last_quote_timestamp_seconds", "When the option stream sent the newest quote.", newest_at)
    is_open = status.market.is_open
    yield _gauge("condord_market_open", "Whether the market is open.", {} if is_open is None else {(): is_open})


def _upstream(values: MetricValues) -> Iterator[Metric]:
    streams = values.streams
    up: _Samples = {(name,): stream.connected for name, stream in streams.items()}
    yield _gauge("condord_upstream_connected", "Whether an Alpaca stream is connected.", up, "stream")
    yield _by_stream("messages", "Messages that a stream has delivered.", streams, "type")
    yield _by_stream("reconnects", "Reconnections of a stream, by the reason for the loss.", streams, "reason")
    yield _by_stream("failures", "Connections to a stream that were lost or could not be made.", streams, "reason")
    refused = _by_name(values.refused)
    yield _counter("condord_refused", "Data from Alpaca that was implausible or unreadable.", refused, "kind")
    yield _counter(
        "condord_quotes_coalesced",
        "Quotes that a newer one replaced before they were sent.",
        {(): values.superseded},
    )


def _by_stream(what: str, help_text: str, streams: Mapping[str, StreamCounts], label: str) -> Metric:
    counts: _Samples = {
        (name, each): count for name, stream in streams.items() for each, count in getattr(stream, what).items()
    }
    return _counter(f"condord_upstream_{what}", help_text, counts, "stream", label)


def _rest(values: MetricValues) -> Iterator[Metric]:
    limited: _Samples = {(): values.rate_limited}
    yield _counter("condord_rest_rate_limited", "Answers of Alpaca's REST API with 429.", limited)
    breakers: _Samples = {
        (host, state): state == current
        for host, current in values.breakers.items()
        for state in get_args(wire.BreakerState)
    }
    yield _gauge("condord_rest_breaker_state", "The state of a host's circuit breaker.", breakers, "host", "state")
    room, waits = _by_name(values.budget_room), _by_name(values.budget_waits)
    yield _gauge("condord_rest_budget_room", "Requests that a share of the budget permits now.", room, "share")
    yield _counter("condord_rest_budget_waits", "Requests that waited for room in their share.", waits, "share")


def _published(values: MetricValues) -> Iterator[Metric]:
    published = values.published
    yield _gauge("condord_condors", "Condors in the document.", {(): published.condors})
    yield _gauge("condord_unmatched", "Contracts in no condor.", {(): published.unmatched})
    yield _gauge("condord_quotes", "Contracts in the document, with or without a quote.", {(): published.quotes})
    yield _gauge(
        "condord_quotes_unconfirmed", "Quotes not confirmed since the stream was cut.", {(): published.unconfirmed}
    )
    yield _instant(
        "condord_oldest_valuation_timestamp_seconds",
        "The oldest of the condors' newest quotes.",
        published.oldest_valuation_at,
    )


def _subscribers(values: MetricValues) -> Iterator[Metric]:
    yield _gauge("condord_subscribers", "Connected subscribers.", {(): values.subscribers})
    yield _gauge("condord_max_subscribers", "The limit of subscribers.", {(): values.max_subscribers})
    yield _counter("condord_frames", "Frames queued, counted once for each subscriber.", {(): values.frames})
    yield _counter("condord_frames_dropped", "Frames that slow subscribers lost.", {(): values.dropped})
    yield _counter("condord_sent_bytes", "Bytes sent in frames, after compression.", {(): values.sent_bytes})
    yield _counter(
        "condord_resyncs",
        "Snapshots sent in place of missed frames.",
        _by_name(values.resyncs),
        "reason",
    )
    yield _counter("condord_disconnects", "Subscribers that left, by reason.", _by_name(values.disconnects), "reason")


_Samples = Mapping[tuple[str, ...], float]


def _gauge(name: str, help_text: str, samples: _Samples, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(name, help_text, labels=labels), samples)


def _counter(name: str, help_text: str, samples: _Samples, *labels: str) -> Metric:
    return _filled(CounterMetricFamily(name, help_text, labels=labels), samples)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: _Samples) -> Metric:
    for labels, value in samples.items():
        family.add_metric(labels, value)
    return family


def _state(name: str, help_text: str, states: object, current: str) -> Metric:
    """One sample for each of `states`, a Literal: 1 for the current one, 0 for the others."""
    return _gauge(name, help_text, {(state,): state == current for state in get_args(states)}, "state")


def _instant(name: str, help_text: str, at: dt.datetime | None) -> Metric:
    return _gauge(name, help_text, {} if at is None else {(): at.timestamp()})


def _by_name(counts: Mapping[str, int]) -> _Samples:
    return {(name,): count for name, count in counts.items()}
