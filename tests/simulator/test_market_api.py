import pytest

from condord.simulator import snapshot_figures
from tests.simulator.conftest import STARTED_AT

LATEST = "/v1beta1/options/quotes/latest"
SNAPSHOTS = "/v1beta1/options/snapshots"


def held(bench, root):
    return [symbol for symbol in bench.simulation.account.holdings if symbol.startswith(root) and len(symbol) > 6]


def test_quotes_are_keyed_by_symbol_and_unknown_symbols_are_left_out(bench):
    symbols = held(bench, "SPY")
    quotes = bench.request(f"{LATEST}?symbols={','.join(symbols)},ZZZ261218C00001000,junk").json["quotes"]
    assert set(quotes) == set(symbols)
    for quote in quotes.values():
        assert set(quote) == {"ap", "as", "ax", "bp", "bs", "bx", "c", "t"}
        assert 0 < quote["bp"] < quote["ap"]


def test_no_bid_is_zero_with_a_question_mark(bench):
    wing = min(held(bench, "IWM"), key=lambda symbol: (symbol[9] != "P", symbol))
    quote = bench.request(f"{LATEST}?symbols={wing}").json["quotes"][wing]
    assert (quote["bp"], quote["bs"], quote["bx"]) == (0, 0, "?")


@pytest.mark.parametrize("path", [LATEST, SNAPSHOTS])
def test_a_request_may_have_100_symbols_at_most(bench, path):
    listed = [f"SPY261218C{strike:08d}" for strike in range(600_000, 701_000, 1000)]
    assert bench.request(f"{path}?symbols={','.join(listed[:100])}").status == 200
    assert bench.request(f"{path}?symbols={','.join(listed)}").status == 400
    assert bench.request(path).status == 400


def test_opra_needs_the_agreement(make_bench):
    query = f"{LATEST}?symbols=SPY261218C00740000&feed="
    response = make_bench().request(f"{query}opra")
    assert (response.status, response.json) == (403, {"message": "OPRA agreement is not signed"})
    assert make_bench("opra", has_opra=True).request(f"{query}opra").status == 200
    assert make_bench().request(f"{query}odd").status == 400


def test_a_snapshot_has_quote_trade_and_greeks(bench):
    symbol = held(bench, "SPY")[0]
    snapshot = bench.request(f"{SNAPSHOTS}?symbols={symbol}").json["snapshots"][symbol]
    assert set(snapshot) == {"latestQuote", "latestTrade", "impliedVolatility", "greeks"}
    assert set(snapshot["greeks"]) == {"delta", "gamma", "rho", "theta", "vega"}
    assert snapshot["latestTrade"]["t"] < snapshot["latestQuote"]["t"]


def test_greeks_are_absent_deep_in_the_money(bench):
    symbol = f"SPY{bench.simulation.market.listed.near:%y%m%d}C00500000"
    snapshot = bench.request(f"{SNAPSHOTS}?symbols={symbol}").json["snapshots"][symbol]
    assert not {"greeks", "impliedVolatility"} & set(snapshot)


def test_greeks_and_volatility_follow_from_the_quote_by_alpacas_convention(bench):
    market = bench.simulation.market
    symbol = f"NVDA{market.listed.monthly:%y%m%d}P00210000"
    snapshot = bench.request(f"{SNAPSHOTS}?symbols={symbol}").json["snapshots"][symbol]
    quote = snapshot["latestQuote"]
    days = (market.listed.monthly - STARTED_AT.date()).days
    mid = (quote["bp"] + quote["ap"]) / 2
    expected = snapshot_figures.figures("put", market.spot("NVDA"), 210.0, days, mid)
    assert snapshot["impliedVolatility"] == round(expected.volatility, 4)
    assert snapshot["greeks"]["delta"] == round(expected.delta, 4)
    assert snapshot["greeks"]["theta"] == round(expected.theta, 4)


@pytest.mark.parametrize(("bid", "ask"), [(0, 2.5), (2.5, 0)])
def test_greeks_are_absent_without_a_bid_or_an_ask(bench, bid, ask):
    symbol = f"SPY{bench.simulation.market.listed.monthly:%y%m%d}C00745000"
    bench.post("quotes", {"quotes": [{"symbol": symbol, "bp": bid, "ap": ask}], "pin": True})
    snapshot = bench.request(f"{SNAPSHOTS}?symbols={symbol}").json["snapshots"][symbol]
    assert set(snapshot) == {"latestQuote", "latestTrade"}


def test_greeks_are_absent_on_the_expiration_day_and_for_indexes(make_bench):
    bench = make_bench("expiration-day")
    listed = bench.simulation.market.listed
    symbols = {
        f"SPY{listed.near:%y%m%d}C00742000": False,
        f"SPY{listed.monthly:%y%m%d}C00742000": True,
        f"SPXW{listed.monthly:%y%m%d}C07420000": False,
    }
    answer = bench.request(f"{SNAPSHOTS}?symbols={','.join(symbols)}").json["snapshots"]
    assert {symbol: "greeks" in snapshot for symbol, snapshot in answer.items()} == symbols


def test_only_snapshots_that_were_updated_since_are_returned(bench):
    symbols = held(bench, "SPY")
    query = f"{SNAPSHOTS}?symbols={','.join(symbols)}&updated_since="
    assert set(bench.request(query).json["snapshots"]) == set(symbols)
    assert set(bench.request(f"{query}2026-11-20T15:00:00Z").json["snapshots"]) == set(symbols)
    bench.tick(1)
    at = bench.simulation.at(bench.now)
    assert bench.request(f"{query}{at:%Y-%m-%dT%H:%M:%SZ}").json["snapshots"] == {}
    bench.post("quotes", [{"symbol": symbols[0], "bp": 1.0, "ap": 1.1}])
    assert set(bench.request(f"{query}{at:%Y-%m-%dT%H:%M:%SZ}").json["snapshots"]) == {symbols[0]}
    assert bench.request(f"{query}soon").status == 400
