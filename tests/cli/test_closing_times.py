import msgspec
import pytest

from condord.cli.closing_times import market_hours
from condord.live import wire
from tests.fakes import documents

LATE = "2026-11-20T21:15:00Z"
"""16:15 in New York."""


def condor(root, last="2026-12-18T21:15:00Z"):
    ending = {"lastTradingAt": last, "settlesAt": last, "cutoffs": []}
    return documents.condor(f"{root}-261218-560-570-630-640", root) | {"underlying": root, "expiry": ending}


def hours(*roots, close=LATE, as_of=documents.AS_OF, unmatched=(), **market):
    status = documents.status()
    status["market"] |= {"nextClose": close} | market
    condors = [condor(root) if isinstance(root, str) else root for root in roots]
    parts = documents.document(status=status, condors=condors, unmatched=list(unmatched), asOf=as_of)
    return market_hours(msgspec.convert(parts, wire.Document))


def test_where_some_options_stop_earlier_the_earlier_close_comes_first():
    assert hours("SPY", "AAPL", "QQQ") == "market open, closes 16:00 ET (QQQ, SPY 16:15)"
    loose = documents.unmatched(underlying="INTC")
    assert hours("SPY", unmatched=[loose]) == "market open, closes 16:00 ET (SPY 16:15)"


def test_where_all_options_stop_together_there_is_one_time():
    assert hours("SPY", "QQQ") == "market open, closes 16:15 ET"
    assert hours("AAPL", close="2026-11-20T21:00:00Z") == "market open, closes 16:00 ET"
    assert hours("SPY", unmatched=[documents.unmatched(underlying=None)]) == "market open, closes 16:15 ET"


def test_an_index_option_on_its_last_day_stops_at_the_close_of_the_exchange():
    last = condor("XSP", "2026-11-20T21:00:00Z")
    assert hours(last, "SPY") == "market open, closes 16:00 ET (SPY 16:15)"
    assert hours(last, "XSP") == "market open, closes 16:00 ET (XSP 16:15)"


def test_on_a_day_with_an_early_close_the_times_are_earlier():
    early = {"close": "2026-11-27T18:15:00Z", "as_of": "2026-11-27T15:00:00Z"}
    assert hours("SPY", "AAPL", **early) == "market open, closes 13:00 ET (SPY 13:15)"


def test_in_the_last_quarter_of_an_hour_only_what_still_trades_is_named():
    assert hours("SPY", "AAPL", as_of="2026-11-20T21:05:00Z") == "market open for SPY, closes 16:15 ET"


def test_many_underlyings_are_counted():
    assert hours("SPY", "QQQ", "IWM", "DIA", "TLT", "AAPL").endswith(" (5 underlyings 16:15)")


@pytest.mark.parametrize(
    ("market", "text"),
    [
        ({"isOpen": False}, "market closed, opens Mon Nov 23 09:30 ET"),
        ({"close": None}, "market open"),
        ({"close": "2026-11-20T23:45:00Z"}, "market open, closes 18:45 ET"),
    ],
)
def test_otherwise_the_time_is_that_of_the_next_change(market, text):
    assert hours("SPY", "AAPL", **market) == text
