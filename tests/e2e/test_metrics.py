"""Scrapes of the running daemon."""

import shutil
import subprocess
from contextlib import closing

import pytest

from tests.e2e.environs import QUICK
from tests.e2e.running import Condord, Follower, closing_program, fetch, until
from tests.http.scrape import labels, observed, samples
from tests.needs import without

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def condord(lasting_simulated):
    """The daemon of all tests here; counts are compared with those before a test."""
    with closing_program(Condord(lasting_simulated, **QUICK)) as program:
        program.await_state("live")
        program.await_priced()
        yield program


@pytest.fixture
def simulated(lasting_simulated):
    yield lasting_simulated
    lasting_simulated.clear()


COUNTS = ("_total", "_count", "_sum", "_bucket")


def scraped(condord) -> dict[str, float]:
    status, text = condord.get("/metrics")
    assert status == 200
    return samples(text)


OF_OTHERS = {"condord_notifications_total", "condord_cluster_lag_seconds", "condord_cluster_fence"}
"""Metrics that are there only for configured channels, which test_alerts.py has, and for relays (tests/cluster)."""


def counted(found: dict[str, float]) -> dict[str, float]:
    """The values that must never decrease."""
    return {name: value for name, value in found.items() if name.partition("{")[0].endswith(COUNTS)}


def test_every_metric_is_present_once_the_daemon_has_run_for_a_second(condord):
    with closing(Follower(condord.url)) as follower:
        until(lambda: "delta" in follower.names, "a delta")

        def missing():
            found = {name.partition("{")[0] for name in scraped(condord)}
            return {name for name in labels(observed()) if not {name, f"{name}_count"} & found} - OF_OTHERS

        until(lambda: not missing(), lambda: f"everything is there but {missing()}")
    found = scraped(condord)
    assert found["condord_stream_state{state=live}"] == 1
    assert found["condord_upstream_connected{stream=option}"] == 1
    assert found["condord_market_open"] == 1
    assert found["condord_condors"] == len(condord.document()["condors"])
    assert found["condord_quotes"] == len(condord.document()["quotes"])
    assert found["condord_rest_request_duration_seconds_count{code=200,endpoint=positions}"] >= 1


def test_no_counter_decreases_when_a_stream_is_cut_and_reconnects(simulated, condord):
    reconnects = "condord_upstream_reconnects_total{reason=unreachable,stream=option}"
    left = "condord_disconnects_total{reason=client}"
    until(lambda: scraped(condord)["condord_subscribers"] == 0, "nobody subscribes")
    with closing(Follower(condord.url)):
        seen = first = scraped(condord)
        assert (seen[reconnects], seen["condord_subscribers"]) == (0, 1)
        simulated.fault("reset")

        def back() -> bool:
            nonlocal seen
            before, seen = counted(seen), scraped(condord)
            assert {name for name, value in before.items() if seen[name] < value} == set()
            return seen[reconnects] == 1 and seen["condord_upstream_connected{stream=option}"] == 1

        until(back, "the reconnect is counted")
    assert seen["condord_upstream_failures_total{reason=unreachable,stream=option}"] >= 1
    until(lambda: scraped(condord)[left] == first[left] + 1, "the client's leaving is counted")
    assert scraped(condord)["condord_subscribers"] == 0


def test_a_stream_is_counted_as_a_request_without_a_duration(condord):
    counts = (
        "condord_http_requests_total{route=/api/stream,status=200}",
        "condord_http_requests_total{route=other,status=404}",
        "condord_http_request_duration_seconds_count{route=other}",
    )
    before = scraped(condord)
    with closing(Follower(condord.url)):
        pass
    condord.get("/nowhere")
    found = scraped(condord)
    assert [found[name] - before.get(name, 0) for name in counts] == [1, 1, 1]
    assert not any("duration" in name and "route=/api/stream" in name for name in found)


def test_requests_that_the_rate_limit_refuses_are_counted(simulated, condord):
    simulated.fault("rest-429")
    fetch(condord.url + "/api/refresh", method="POST")
    until(lambda: scraped(condord)["condord_rest_rate_limited_total"] >= 1, "a 429 is counted")
    assert any("code=429" in name for name in scraped(condord))


@without("promtool", shutil.which("promtool") is None)
def test_promtool_finds_no_fault(condord):
    result = subprocess.run(
        ["promtool", "check", "metrics"],
        input=condord.get("/metrics")[1],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
