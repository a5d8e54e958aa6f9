import pytest

from condord.upstream.supervisor_settings import SupervisorSettings, link_settings
from tests.live.accounts import MODEL


@pytest.mark.parametrize("pong_counts_as_data", [False, True])
def test_a_link_has_the_bounds_of_its_supervisor(pong_counts_as_data):
    settings = SupervisorSettings(
        source="paper",
        feed="indicative",
        model=MODEL,
        option_stream_url="wss://stream.example/options",
        trading_stream_url="wss://paper.example/stream",
        stock_stream_url="wss://stream.example/stocks",
        symbol_limit=200,
        stock_feed="iex",
        stock_symbol_limit=30,
        refresh_seconds=60.0,
        keep_days=400,
        silence_seconds=7.0,
        backoff_min_seconds=0.5,
        backoff_max_seconds=30.0,
    )
    link = link_settings(settings, "option stream", pong_counts_as_data=pong_counts_as_data)
    assert link.name == "option stream"
    assert link.pong_counts_as_data is pong_counts_as_data
    assert (link.silence_seconds, link.backoff_min_seconds, link.backoff_max_seconds) == (7.0, 0.5, 30.0)
