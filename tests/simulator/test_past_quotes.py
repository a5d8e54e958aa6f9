import datetime as dt
from decimal import Decimal

import pytest

from condord.core import occ
from condord.simulator.market import Market
from condord.simulator.past_path import PastPath
from condord.simulator.past_quotes import PastQuotes

AT = dt.datetime(2026, 11, 20, 19, 0, tzinfo=dt.UTC).timestamp()
DAY = 86_400.0


@pytest.fixture
def market():
    return Market(seed=1, at=AT)


@pytest.fixture
def path(market):
    return PastPath(market.underlyings, seed=1, started_at=AT, before=dt.date(2026, 11, 19))


@pytest.mark.parametrize("symbol", ["SPY261218P00700000", "NVDA261218C00220000", "XSP261218C00760000"])
def test_at_the_start_past_quotes_equal_the_markets(market, path, symbol):
    quotes, contract = PastQuotes(market, path), occ.parse(symbol)
    spot = path.price(quotes.underlying(contract), AT)
    bid, ask = quotes.cents(contract, AT, spot)
    value = market.latest(symbol)
    assert bid / 100 <= market.theoretical_value(symbol).price <= ask / 100
    assert (bid + ask) / 200 == pytest.approx(value.mid, abs=0.02)
    assert float(quotes.price(contract, AT)) == pytest.approx(market.theoretical_value(symbol).price, abs=0.03)


def test_the_past_is_valued_at_its_time_and_price(market, path):
    quotes, contract = PastQuotes(market, path), occ.parse("SPY261218P00700000")
    market.watch(contract.compact)
    ago = 10 * DAY
    factor = path.price("SPY", AT - ago) / market.underlyings.spot("SPY")
    expected = market.theoretical_value(contract.compact, seconds_ago=ago, spot_factor=factor).price
    assert float(quotes.price(contract, AT - ago)) == pytest.approx(expected, abs=0.006)


def test_the_market_does_not_quote_a_contract_that_has_expired(market, path):
    contract = occ.parse("SPY261106P00700000")
    assert PastQuotes(market, path).price(contract, AT - 30 * DAY) > 0
    assert market.latest(contract.compact) is None


def test_a_worthless_contract_has_no_bid_and_trades_at_a_tick(market, path):
    quotes, contract = PastQuotes(market, path), occ.parse("XYZ1261218P00010000")
    assert quotes.cents(contract, AT, 78.0) == (0, 5)
    assert quotes.price(contract, AT) == Decimal("0.05")


def test_an_unknown_root_is_an_error(market, path):
    with pytest.raises(KeyError):
        PastQuotes(market, path).underlying(occ.parse("NONE261218P00010000"))
