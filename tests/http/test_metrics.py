import asyncio
import shutil
import subprocess

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics

from condord.http.app import build
from condord.http.guard import Guard
from condord.http.metrics import OTHER_ROUTE, Metrics, MetricsMiddleware
from condord.live import wire
from tests.http.builders import TOKEN, guard_settings
from tests.http.fake_daemon import NOW_AT, Conversation, FakeDaemon, ask
from tests.http.scrape import UNREAD, VALUES, observed, samples, scraped
from tests.needs import without
from tests.virtualtime import run, settle

needs_promtool = without("promtool", shutil.which("promtool") is None)


class MeasuredDaemon(FakeDaemon):
    """A daemon with metrics, measured by a clock that moves by a millisecond each time it is read."""

    def __init__(self, **options):
        super().__init__(**options)
        self.metrics = Metrics("1.2.3", lambda: VALUES)
        self.reads = 0

    @property
    def registry(self):
        return self.metrics.registry

    def clock(self):
        self.reads += 1
        return self.reads / 1000

    def around(self, app):
        return MetricsMiddleware(app, app.routes, self.metrics, now=self.clock)

    def counted(self, name):
        return {key: value for key, value in scraped(self.metrics).items() if key.startswith(name)}


@pytest.fixture
def daemon():
    return MeasuredDaemon()


@pytest.fixture
def metrics():
    return Metrics("1", lambda: VALUES)


def scrape(daemon, **headers):
    return ask(daemon, "/metrics", headers=headers)


# Format.


def test_a_scrape_is_in_the_text_format_of_prometheus(daemon):
    answer = scrape(daemon)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert samples(answer.body.decode())["condord_condors"] == 3


def test_a_client_that_accepts_openmetrics_gets_it(daemon):
    answer = scrape(daemon, Accept="application/openmetrics-text; version=1.0.0, text/plain; q=0.5")
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.body.endswith(b"# EOF\n")
    found = {family.name: family for family in open_metrics(answer.body.decode())}
    assert found["condord_upstream_messages"].type == "counter"


STRANGE = "text/plain; version=new"


def test_the_library_raises_on_a_version_that_is_not_a_number():
    with pytest.raises(TypeError):
        choose_encoder(STRANGE)


@given(
    st.lists(
        st.sampled_from(
            [STRANGE, "application/openmetrics-text", "version=", "escaping=", ";", ",", "1", ".", "0", "x"]
        )
        | st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=5)
    )
)
@example([STRANGE])
@example(["application/openmetrics-text; version=1.0.0.x"])
def test_any_accept_header_gets_an_exposition(parts):
    answer = scrape(MeasuredDaemon(), Accept="".join(parts).strip())
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(("text/plain", "application/openmetrics-text"))


@needs_promtool
@pytest.mark.parametrize("values", [VALUES, UNREAD], ids=["live", "unread"])
def test_promtool_finds_no_fault(values):
    text = generate_latest(observed(lambda: values).registry)
    result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


# Values.


def test_every_value_of_the_daemon_is_exposed():
    found = scraped(observed())
    expected = {
        "condord_build_info{version=1.2.3}": 1,
        "condord_upstream_connected{stream=trading}": 1,
        "condord_upstream_messages_total{stream=option,type=quote}": 7,
        "condord_upstream_reconnects_total{reason=silent,stream=option}": 2,
        "condord_upstream_failures_total{reason=silent,stream=trading}": 3,
        "condord_last_quote_timestamp_seconds": NOW_AT.timestamp(),
        "condord_positions_timestamp_seconds": NOW_AT.timestamp(),
        "condord_oldest_valuation_timestamp_seconds": NOW_AT.timestamp() - 3600,
        "condord_refused_total{kind=price}": 6,
        "condord_rest_rate_limited_total": 4,
        "condord_market_open": 1,
        "condord_condors": 3,
        "condord_unmatched": 1,
        "condord_quotes": 13,
        "condord_quotes_unconfirmed": 2,
        "condord_quotes_coalesced_total": 5,
        "condord_subscribers": 8,
        "condord_max_subscribers": 1000,
        "condord_frames_total": 90,
        "condord_frames_dropped_total": 9,
        "condord_sent_bytes_total": 9000,
        "condord_resyncs_total{reason=ringOverflow}": 1,
        "condord_disconnects_total{reason=client}": 10,
        "condord_history_rows_total": 21,
        "condord_history_fault": 0,
        "condord_log_dropped_total": 19,
    }
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize("state", ["starting", "live", "closed", "stale", "reconnecting", "halted"])
def test_the_current_state_is_1_and_all_others_are_0(state):
    status = msgspec.structs.replace(VALUES.status, state=state)
    found = scraped(Metrics("1", lambda: msgspec.structs.replace(VALUES, status=status)))
    states = {name: value for name, value in found.items() if name.startswith("condord_stream_state")}
    assert len(states) == 6
    assert [name for name, value in states.items() if value] == [f"condord_stream_state{{state={state}}}"]


@pytest.mark.parametrize("breaker", ["closed", "open", "halfOpen"])
def test_the_breaker_of_each_host_has_one_state(breaker):
    values = msgspec.structs.replace(VALUES, breakers={"trading": breaker, "data": "open"})
    found = scraped(observed(lambda: values))
    true = [name for name, value in found.items() if name.startswith("condord_rest_breaker_state") and value]
    assert true == [
        f"condord_rest_breaker_state{{host=trading,state={breaker}}}",
        "condord_rest_breaker_state{host=data,state=open}",
    ]


def test_an_unknown_value_has_no_sample(metrics):
    unknown = {
        "condord_last_quote_timestamp_seconds",
        "condord_positions_timestamp_seconds",
        "condord_oldest_valuation_timestamp_seconds",
        "condord_market_open",
    }
    assert not unknown & scraped(Metrics("1", lambda: UNREAD)).keys()
    assert unknown <= scraped(metrics).keys()


def test_a_closed_market_is_exposed_as_0():
    market = msgspec.structs.replace(VALUES.status.market, is_open=False)
    status = msgspec.structs.replace(VALUES.status, market=market)
    assert scraped(Metrics("1", lambda: msgspec.structs.replace(VALUES, status=status)))["condord_market_open"] == 0


def test_each_scrape_reads_the_values_once():
    reads = []

    def read_values():
        reads.append(1)
        return msgspec.structs.replace(VALUES, frames=len(reads))

    metrics = Metrics("1", read_values)
    assert reads == []
    assert [scraped(metrics)["condord_frames_total"] for _ in range(2)] == [1, 2]


def test_two_daemons_in_a_process_have_separate_metrics():
    one, other = Metrics("1", lambda: VALUES), Metrics("1", lambda: VALUES)
    one.observe_update(1.0)
    assert scraped(one)["condord_update_latency_seconds_count"] == 1
    assert scraped(other)["condord_update_latency_seconds_count"] == 0


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0004, "0.0005"), (0.26, "0.5"), (9.0, "10.0"), (11.0, "+Inf")])
def test_latencies_have_buckets_from_half_a_millisecond_to_ten_seconds(metrics, seconds, bucket):
    metrics.observe_update(seconds)
    found = scraped(metrics)
    name = "condord_update_latency_seconds_bucket{{le={}}}".format
    bounds = [key for key in found if key.startswith("condord_update_latency_seconds_bucket")]
    assert bounds[0] == name("0.0005")
    assert bounds[-2:] == [name("10.0"), name("+Inf")]
    assert next(key for key in bounds if found[key]) == name(bucket)


def test_requests_to_alpaca_are_counted_by_endpoint_and_code(metrics):
    for endpoint, code in [("quotes", "200"), ("quotes", "200"), ("quotes", "timeout"), ("positions", "503")]:
        metrics.observe_request(endpoint, code, 0.5)
    found = scraped(metrics)
    assert found["condord_rest_request_duration_seconds_count{code=200,endpoint=quotes}"] == 2
    assert found["condord_rest_request_duration_seconds_count{code=timeout,endpoint=quotes}"] == 1
    assert found["condord_rest_request_duration_seconds_sum{code=503,endpoint=positions}"] == 0.5


def test_memory_and_open_files_of_the_process_are_exposed(metrics):
    found = scraped(metrics)
    assert found["process_resident_memory_bytes"] > 0
    assert found["process_open_fds"] > 0


# Requests.


@pytest.mark.parametrize(
    ("path", "options", "route", "status"),
    [
        ("/api/positions", {}, "/api/positions", 200),
        ("/api/positions/SPY-261218-560-570-630-640", {}, "/api/positions/{id}", 200),
        ("/api/positions/unknown", {}, "/api/positions/{id}", 404),
        ("/api/positions", {"method": "DELETE"}, "/api/positions", 405),
        ("/api/refresh", {"method": "POST"}, "/api/refresh", 202),
        ("/metrics", {}, "/metrics", 200),
        ("/nowhere", {}, OTHER_ROUTE, 404),
        ("/nowhere/else", {}, OTHER_ROUTE, 404),
    ],
)
def test_a_request_is_counted_by_route_and_status_and_timed(daemon, path, options, route, status):
    assert ask(daemon, path, around=daemon.around, **options).status == status
    assert daemon.counted("condord_http_requests_total") == {
        f"condord_http_requests_total{{route={route},status={status}}}": 1
    }
    durations = daemon.counted("condord_http_request_duration_seconds_")
    assert durations[f"condord_http_request_duration_seconds_sum{{route={route}}}"] == pytest.approx(0.001)
    assert durations[f"condord_http_request_duration_seconds_count{{route={route}}}"] == 1


def test_a_bug_is_counted_as_a_500(daemon):
    daemon.breaks = True
    ask(daemon, "/api/status", around=daemon.around, raises=True)
    assert daemon.counted("condord_http_requests_total") == {
        "condord_http_requests_total{route=/api/status,status=500}": 1
    }


def test_a_request_that_the_guard_refuses_is_counted(daemon):
    def around(app):
        return MetricsMiddleware(Guard(app, guard_settings(token=TOKEN)), app.routes, daemon.metrics)

    assert ask(daemon, "/api/positions", around=around).status == 401
    assert daemon.counted("condord_http_requests_total") == {
        "condord_http_requests_total{route=/api/positions,status=401}": 1
    }


def test_a_stream_is_counted_when_it_begins_and_has_no_duration(daemon):
    async def scenario():
        conversation = Conversation(daemon.around(build(daemon)), "/api/stream")
        running = asyncio.ensure_future(conversation.run())
        await settle(5.0)
        assert daemon.counted("condord_http_requests_total") == {
            "condord_http_requests_total{route=/api/stream,status=200}": 1
        }
        conversation.hang_up()
        await running

    run(scenario())
    assert daemon.counted("condord_http_request_duration_seconds_") == {}


def test_a_refused_stream_is_counted_and_timed_like_any_request(daemon):
    daemon.room = 0
    assert ask(daemon, "/api/stream", around=daemon.around).status == 503
    assert daemon.counted("condord_http_requests_total") == {
        "condord_http_requests_total{route=/api/stream,status=503}": 1
    }
    assert daemon.counted("condord_http_request_duration_seconds_count") == {
        "condord_http_request_duration_seconds_count{route=/api/stream}": 1
    }


def test_anything_but_a_request_passes_unmeasured(daemon):
    passed = []

    async def app(scope, receive, send):
        passed.append((scope, receive, send))

    scope, receive, send = {"type": "lifespan"}, object(), object()
    asyncio.run(MetricsMiddleware(app, [], daemon.metrics)(scope, receive, send))
    assert passed == [(scope, receive, send)]


def test_a_relay_has_metrics_of_its_service_and_none_of_an_account():
    cluster = wire.ClusterJson(role="relay", source="http://a.example", lag_ms=250, gaps=2, dropped=3, fence=12)
    found = scraped(Metrics("1", lambda: msgspec.structs.replace(VALUES, cluster=cluster)))
    assert found["condord_cluster_role{state=relay}"] == 1
    assert found["condord_cluster_role{state=all}"] == 0
    assert (found["condord_cluster_lag_seconds"], found["condord_cluster_gaps_total"]) == (0.25, 2)
    assert (found["condord_cluster_dropped_total"], found["condord_cluster_fence"]) == (3, 12)
    assert found["condord_subscribers"] == 8
    assert found["condord_stream_state{state=live}"] == 1
    of_account = ("condord_rest", "condord_history", "condord_alerts", "condord_positions_timestamp")
    assert not [name for name in found if name.startswith(of_account)]


def test_a_relay_that_has_read_nothing_has_no_state():
    cluster = wire.ClusterJson(role="relay", source="http://a.example")
    found = scraped(Metrics("1", lambda: msgspec.structs.replace(VALUES, cluster=cluster, status=None)))
    assert not [name for name in found if name.startswith(("condord_stream_state", "condord_condors"))]
    assert not {"condord_cluster_lag_seconds", "condord_cluster_fence"} & found.keys()
