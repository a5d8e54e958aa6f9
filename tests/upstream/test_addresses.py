import pytest

from condord.upstream import addresses


@pytest.mark.parametrize("feed", ["indicative", "opra"])
def test_each_feed_has_its_own_option_stream(feed):
    assert addresses.option_stream(feed) == f"wss://stream.data.alpaca.markets/v1beta1/{feed}"


def test_the_paper_account_has_its_own_trading_stream():
    assert addresses.trading_stream(paper=True) == "wss://paper-api.alpaca.markets/stream"


def test_the_live_account_has_its_own_trading_stream():
    assert addresses.trading_stream(paper=False) == "wss://api.alpaca.markets/stream"
