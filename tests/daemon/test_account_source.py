import pytest

from condord.config.schema import Alpaca, Config
from condord.daemon import account_source


@pytest.mark.parametrize(
    ("alpaca", "source"),
    [
        (Alpaca(), "alpaca-paper"),
        (Alpaca(paper=False), "alpaca-live"),
        (Alpaca(trading_url="http://127.0.0.1:8425"), "simulator"),
        (Alpaca(trading_url="https://proxy.example"), "alpaca-paper"),
    ],
)
def test_the_source_is_the_account_or_a_simulator_on_this_machine(alpaca, source):
    assert account_source.source(Config(alpaca=alpaca)) == source
