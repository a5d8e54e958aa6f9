import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.simulator.market_api import instant_ns

LATEST = "/v1beta1/options/quotes/latest"
SNAPSHOTS = "/v1beta1/options/snapshots"


def held(bench, root):
    return [symbol for symbol in bench.simulation.account.holdings if symbol.startswith(root) and len(symbol) > 6]


def test_quotes_come_by_symbol_and_unknown_ones_are_absent(bench):
    symbols = held(bench, "SPY")
    quotes = bench.ask(f"{LATEST}?symbols={','.join(symbols)},ZZZ261218C00001000,junk").json["quotes"]
    assert set(quotes) == set(symbols)
    for quote in quotes.values():
        assert set(quote) == {"ap", "as", "ax", "bp", "bs", "bx", "c", "t"}
        assert 0 < quote["bp"] < quote["ap"]


def test_no_bid_is_zero_with_a_question_mark(bench):
    wing = min(held(bench, "IWM"), key=lambda symbol: (symbol[9] != "P", symbol))
    quote = bench.ask(f"{LATEST}?symbols={wing}").json["quotes"][wing]
    assert (quote["bp"], quote["bs"], quote["bx"]) == (0, 0, "?")


@pytest.mark.parametrize("path", [LATEST, SNAPSHOTS])
def test_a_hundred_symbols_are_the_most(bench, path):
    listed = [f"SPY261218C{strike:08d}" for strike in range(600_000, 701_000, 1000)]
    assert bench.ask(f"{path}?symbols={','.join(listed[:100])}").status == 200
    assert bench.ask(f"{path}?symbols={','.join(listed)}").status == 400
    assert bench.ask(path).status == 400


def test_opra_needs_the_agreement(make_bench):
    query = f"{LATEST}?symbols=SPY261218C00740000&feed="
    refused = make_bench().ask(f"{query}opra")
    assert (refused.status, refused.json) == (403, {"message": "OPRA agreement is not signed"})
    assert make_bench("opra", has_opra=True).ask(f"{query}opra").status == 200
    assert make_bench().ask(f"{query}odd").status == 400


def test_a_snapshot_has_quote_trade_and_greeks(bench):
    symbol = held(bench, "SPY")[0]
    snapshot = bench.ask(f"{SNAPSHOTS}?symbols={symbol}").json["snapshots"][symbol]
    assert set(snapshot) == {"latestQuote", "latestTrade", "impliedVolatility", "greeks"}
    assert set(snapshot["greeks"]) == {"delta", "gamma", "rho", "theta", "vega"}
    assert snapshot["latestTrade"]["t"] < snapshot["latestQuote"]["t"]


def test_greeks_are_absent_deep_in_the_money(bench):
    symbol = f"SPY{bench.simulation.market.listed.near:%y%m%d}C00500000"
    snapshot = bench.ask(f"{SNAPSHOTS}?symbols={symbol}").json["snapshots"][symbol]
    assert not {"greeks", "impliedVolatility"} & set(snapshot)


@given(st.integers(0, 4 * 10**18))
def test_instants_have_zero_to_nine_digits_and_no_trailing_zeros(at_ns):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z", instant_ns(at_ns))
