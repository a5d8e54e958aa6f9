"""Decides what `GET /metrics` says: the daemon in numbers, for Prometheus or whoever reads its text.

Rules: there is no global registry, so that two daemons in a process know nothing of each other. What the house counts
is read when somebody scrapes, and costs nothing before; only durations are taken down as they happen, once a request,
a frame or a second. A stream lasts as long as its client likes: it is counted as a request, and has no duration.
What is not known has no sample. Labels have few values, which are known beforehand or are codes of HTTP.
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

from condord.http.ports import Daemon, Numbers, StreamNumbers
from condord.live import wire

ELSEWHERE = "other"
"""The route of what asks for none of ours, or is refused before it is known what it asks for."""

_UPDATE_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)
_REST_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
_HTTP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_STREAM_TYPE = b"text/event-stream"


async def exposition(request: Request) -> Response:
    """`GET /metrics`: the text of Prometheus, or OpenMetrics for who asks for that."""
    daemon: Daemon = request.app.state.daemon
    encode, content_type = _encoder(request.headers.get("accept", ""))
    return Response(encode(daemon.registry), headers={"Content-Type": content_type, "Cache-Control": "no-cache"})


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return choose_encoder(accept)
    except TypeError:
        # prometheus-client 0.26 compares any version with a number; needless once
        # `test_that_the_library_stumbles_over_a_version_that_is_no_number` fails.
        return choose_encoder("")


class Metrics:
    """All metrics of one daemon of `version`, in `registry`; `numbers` is asked at each scrape."""

    def __init__(self, version: str, numbers: Callable[[], Numbers]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Numbers(version, numbers))
        histogram = functools.partial(Histogram, registry=self.registry)
        self._update = histogram(
            "condord_update_latency_seconds",
            "From the oldest quote of a delta coming off the stream to the end of writing it to everybody.",
            buckets=_UPDATE_SECONDS,
        )
        self._lag = histogram(
            "condord_event_loop_lag_seconds",
            "How late a timer of the event loop was, once a second.",
            buckets=_LAG_SECONDS,
        )
        self._rest = histogram(
            "condord_rest_request_duration_seconds",
            "Requests to Alpaca's REST, by what they ask for and how they end.",
            ("endpoint", "code"),
            buckets=_REST_SECONDS,
        )
        self._durations = histogram(
            "condord_http_request_duration_seconds",
            "Requests that this daemon has answered, without streams.",
            ("route",),
            buckets=_HTTP_SECONDS,
        )
        self._requests = Counter(
            "condord_http_requests",
            "Requests that this daemon has begun to answer.",
            ("route", "status"),
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)

    def observe_update(self, seconds: float) -> None:
        """A frame is written whose oldest quote came so long ago."""
        self._update.observe(seconds)

    def observe_lag(self, seconds: float) -> None:
        """The event loop was so late."""
        self._lag.observe(seconds)

    def observe_request(self, endpoint: str, code: str, seconds: float) -> None:
        """A request to Alpaca's REST has ended."""
        self._rest.labels(endpoint, code).observe(seconds)

    def count_refusal(self, status: int) -> None:
        """A connection has answered instead of the application."""
        self.count_answer(ELSEWHERE, status)

    def count_answer(self, route: str, status: int) -> None:
        """An answer begins."""
        self._requests.labels(route, str(status)).inc()

    def observe_answer(self, route: str, seconds: float) -> None:
        """An answer has ended so long after the request came."""
        self._durations.labels(route).observe(seconds)


class Measured:
    """ASGI middleware around everything, refusals too, that takes down what is asked of `routes`.

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
        """Answer one request."""
        if scope["type"] == "http":
            send = _Answer(self, self._route(scope), send)
        await self._app(scope, receive, send)

    def _route(self, scope: Scope) -> str:
        """The path as the table of routes has it: what stands in for a name would be one more series each."""
        _, is_whole_url, rest = scope["path"].partition("://")
        if is_whole_url and not scope["path"].startswith("/"):
            scope = {**scope, "path": "/" + rest.partition("/")[2]}
        return next((route.path for route in self._routes if route.matches(scope)[0] != Match.NONE), ELSEWHERE)


class _Answer:
    """What an application sends with; small, as each subscriber keeps one."""

    __slots__ = ("_asked", "_measured", "_route", "_send")

    def __init__(self, measured: Measured, route: str, send: Send) -> None:
        self._measured = measured
        self._route = route
        self._send = send
        self._asked: float | None = measured.now()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._measured.metrics.count_answer(self._route, message["status"])
            if _is_stream(message):
                self._asked = None
        await self._send(message)
        is_end = message["type"] == "http.response.body" and not message.get("more_body", False)
        if is_end and self._asked is not None:
            self._measured.metrics.observe_answer(self._route, self._measured.now() - self._asked)


def _is_stream(message: Message) -> bool:
    return any(name == b"content-type" and value.startswith(_STREAM_TYPE) for name, value in message.get("headers", ()))


class _Numbers(Collector):
    """What the house counts, as families of samples."""

    def __init__(self, version: str, numbers: Callable[[], Numbers]) -> None:
        self._version = version
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        """Everything, as it is now."""
        numbers = self._numbers()
        yield _gauge("condord_build_info", "The version of this daemon.", {(self._version,): 1}, "version")
        yield from _upstream(numbers)
        yield from _rest(numbers)
        yield from _published(numbers)
        yield from _audience(numbers)


def _upstream(numbers: Numbers) -> Iterator[Metric]:
    status, streams = numbers.status, numbers.streams
    yield _state("condord_stream_state", "The state of the option stream.", wire.State, status.state)
    up: _Samples = {(name,): stream.connected for name, stream in streams.items()}
    yield _gauge("condord_upstream_connected", "Whether a stream of Alpaca is up.", up, "stream")
    yield _by_stream("messages", "Messages that a stream has brought.", streams, "type")
    yield _by_stream("reconnects", "Times that a stream was up again, by what it was lost by.", streams, "reason")
    yield _by_stream("failures", "Connections to a stream that were lost or could not be had.", streams, "reason")
    heard_at = status.stream.last_message_at
    yield _instant("condord_last_quote_timestamp_seconds", "When the stream brought the newest quote.", heard_at)
    yield _counter("condord_refused", "What was not believed or could not be read.", _by_one(numbers.refused), "kind")


def _by_stream(what: str, about: str, streams: Mapping[str, StreamNumbers], label: str) -> Metric:
    counts: _Samples = {
        (name, each): count for name, stream in streams.items() for each, count in getattr(stream, what).items()
    }
    return _counter(f"condord_upstream_{what}", about, counts, "stream", label)


def _rest(numbers: Numbers) -> Iterator[Metric]:
    positions, is_open = numbers.status.positions, numbers.status.market.is_open
    yield _instant("condord_positions_timestamp_seconds", "When the positions were read last.", positions.read_at)
    limited: _Samples = {(): numbers.rate_limited}
    yield _counter("condord_rest_rate_limited", "Answers of Alpaca's REST that its rate limit is reached.", limited)
    breaker = positions.breaker
    yield _state("condord_rest_breaker_state", "The state of the circuit breaker.", wire.BreakerState, breaker)
    yield _gauge("condord_market_open", "Whether the market is open.", {} if is_open is None else {(): is_open})


def _published(numbers: Numbers) -> Iterator[Metric]:
    published = numbers.published
    yield _gauge("condord_condors", "Condors in the document.", {(): published.condors})
    yield _gauge("condord_unmatched", "Contracts in no condor.", {(): published.unmatched})
    yield _gauge("condord_quotes", "Contracts in the document, quoted or not.", {(): published.quotes})
    yield _gauge("condord_quotes_unconfirmed", "Quotes that nobody has confirmed.", {(): published.unconfirmed})
    yield _instant(
        "condord_oldest_valuation_timestamp_seconds",
        "Of each condor the newest quote, and of these the oldest.",
        published.oldest_valuation_at,
    )
    yield _counter(
        "condord_quotes_coalesced",
        "Quotes of the stream that a newer one has replaced before they left.",
        {(): numbers.superseded},
    )


def _audience(numbers: Numbers) -> Iterator[Metric]:
    yield _gauge("condord_subscribers", "Subscribers that are connected.", {(): numbers.subscribers})
    yield _gauge("condord_max_subscribers", "How many there may be.", {(): numbers.max_subscribers})
    yield _counter("condord_frames", "Frames made for subscribers, one for each.", {(): numbers.frames})
    yield _counter("condord_frames_dropped", "Those of them that a slow one lost.", {(): numbers.dropped})
    yield _counter("condord_sent_bytes", "Bytes of frames written, deflated or not.", {(): numbers.taken_bytes})
    yield _counter(
        "condord_resyncs",
        "Snapshots that stand for what a subscriber has missed.",
        _by_one(numbers.resyncs),
        "reason",
    )
    yield _counter("condord_disconnects", "Subscribers that are gone.", _by_one(numbers.disconnects), "reason")


_Samples = Mapping[tuple[str, ...], float]


def _gauge(name: str, about: str, samples: _Samples, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(name, about, labels=labels), samples)


def _counter(name: str, about: str, samples: _Samples, *labels: str) -> Metric:
    return _filled(CounterMetricFamily(name, about, labels=labels), samples)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: _Samples) -> Metric:
    for labels, value in samples.items():
        family.add_metric(labels, value)
    return family


def _state(name: str, about: str, states: object, current: str) -> Metric:
    """One of `states`, a Literal, is true."""
    return _gauge(name, about, {(state,): state == current for state in get_args(states)}, "state")


def _instant(name: str, about: str, at: dt.datetime | None) -> Metric:
    return _gauge(name, about, {} if at is None else {(): at.timestamp()})


def _by_one(counts: Mapping[str, int]) -> _Samples:
    return {(name,): count for name, count in counts.items()}
