import pytest

from condord.simulator import snapshot_figures
from tests.simulator.conftest import STARTED_AT

LATEST = "/v1beta1/options/quotes/latest"
SNAPSHOTS = "/v1beta1/options/snapshots"


def held(harness, root):
    return [symbol for symbol in harness.simulation.account.holdings if symbol.startswith(root) and len(symbol) > 6]


def test_quotes_are_keyed_by_symbol_and_unknown_symbols_are_left_out(harness):
    symbols = held(harness, "SPY")
    quotes = harness.request(f"{LATEST}?symbols={','.join(symbols)},ZZZ261218C00001000,junk").json["quotes"]
    assert set(quotes) == set(symbols)
    for quote in quotes.values():
        assert set(quote) == {"ap", "as", "ax", "bp", "bs", "bx", "c", "t"}
        assert 0 < quote["bp"] < quote["ap"]


def test_no_bid_is_zero_with_a_question_mark(harness):
    wing = min(held(harness, "IWM"), key=lambda symbol: (symbol[9] != "P", symbol))
    quote = harness.request(f"{LATEST}?symbols={wing}").json["quotes"][wing]
    assert (quote["bp"], quote["bs"], quote["bx"]) == (0, 0, "?")


@pytest.mark.parametrize("path", [LATEST, SNAPSHOTS])
def test_a_request_may_have_100_symbols_at_most(harness, path):
    listed = [f"SPY261218C{strike:08d}" for strike in range(600_000, 701_000, 1000)]
    assert harness.request(f"{path}?symbols={','.join(listed[:100])}").status == 200
    assert harness.request(f"{path}?symbols={','.join(listed)}").status == 400
    assert harness.request(path).status == 400


def test_opra_needs_the_agreement(make_harness):
    query = f"{LATEST}?symbols=SPY261218C00740000&feed="
    response = make_harness().request(f"{query}opra")
    assert (response.status, response.json) == (403, {"message": "OPRA agreement is not signed"})
    assert make_harness("opra", has_opra=True).request(f"{query}opra").status == 200
    assert make_harness().request(f"{query}odd").status == 400


def test_a_snapshot_has_quote_trade_and_greeks(harness):
    symbol = held(harness, "SPY")[0]
    snapshot = harness.request(f"{SNAPSHOTS}?symbols={symbol}").json["snapshots"][symbol]
    assert set(snapshot) == {"latestQuote", "latestTrade", "impliedVolatility", "greeks"}
    assert set(snapshot["greeks"]) == {"delta", "gamma", "rho", "theta", "vega"}
    assert snapshot["latestTrade"]["t"] < snapshot["latestQuote"]["t"]


def test_greeks_are_absent_deep_in_the_money(harness):
    symbol = f"SPY{harness.simulation.market.listed.near:%y%m%d}C00500000"
    snapshot = harness.request(f"{SNAPSHOTS}?symbols={symbol}").json["snapshots"][symbol]
    assert not {"greeks", "impliedVolatility"} & set(snapshot)


def test_greeks_and_volatility_follow_from_the_quote_by_alpacas_convention(harness):
    market = harness.simulation.market
    symbol = f"NVDA{market.listed.monthly:%y%m%d}P00210000"
    snapshot = harness.request(f"{SNAPSHOTS}?symbols={symbol}").json["snapshots"][symbol]
    quote = snapshot["latestQuote"]
    days = (market.listed.monthly - STARTED_AT.date()).days
    mid = (quote["bp"] + quote["ap"]) / 2
    expected = snapshot_figures.figures("put", market.spot("NVDA"), 210.0, days, mid)
    assert snapshot["impliedVolatility"] == round(expected.volatility, 4)
    assert snapshot["greeks"]["delta"] == round(expected.delta, 4)
    assert snapshot["greeks"]["theta"] == round(expected.theta, 4)


@pytest.mark.parametrize(("bid", "ask"), [(0, 2.5), (2.5, 0)])
def test_greeks_are_absent_without_a_bid_or_an_ask(harness, bid, ask):
    symbol = f"SPY{harness.simulation.market.listed.monthly:%y%m%d}C00745000"
    harness.post("quotes", {"quotes": [{"symbol": symbol, "bp": bid, "ap": ask}], "pin": True})
    snapshot = harness.request(f"{SNAPSHOTS}?symbols={symbol}").json["snapshots"][symbol]
    assert set(snapshot) == {"latestQuote", "latestTrade"}


def test_greeks_are_absent_on_the_expiration_day_and_for_indexes(make_harness):
    harness = make_harness("expiration-day")
    listed = harness.simulation.market.listed
    symbols = {
        f"SPY{listed.near:%y%m%d}C00742000": False,
        f"SPY{listed.monthly:%y%m%d}C00742000": True,
        f"SPXW{listed.monthly:%y%m%d}C07420000": False,
    }
    answer = harness.request(f"{SNAPSHOTS}?symbols={','.join(symbols)}").json["snapshots"]
    assert {symbol: "greeks" in snapshot for symbol, snapshot in answer.items()} == symbols


def test_only_snapshots_that_were_updated_since_are_returned(harness):
    symbols = held(harness, "SPY")
    query = f"{SNAPSHOTS}?symbols={','.join(symbols)}&updated_since="
    assert set(harness.request(query).json["snapshots"]) == set(symbols)
    assert set(harness.request(f"{query}2026-11-20T15:00:00Z").json["snapshots"]) == set(symbols)
    harness.tick(1)
    at = harness.simulation.at(harness.now)
    assert harness.request(f"{query}{at:%Y-%m-%dT%H:%M:%SZ}").json["snapshots"] == {}
    harness.post("quotes", [{"symbol": symbols[0], "bp": 1.0, "ap": 1.1}])
    assert set(harness.request(f"{query}{at:%Y-%m-%dT%H:%M:%SZ}").json["snapshots"]) == {symbols[0]}
    assert harness.request(f"{query}soon").status == 400
