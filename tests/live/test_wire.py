import json
import re

import msgspec
import pytest

from condord.live import wire

from .accounts import ACCOUNTS, C650, EPOCH_AT, PublishingService, position, spy, status, tick

# Transcribed from the contract: the names of every object of the document.
DOCUMENT = {
    *("version", "asOf", "status", "account", "underlyings", "condors", "broken", "unmatched", "quotes", "alerts"),
    "totals",
}
STATUS = {"state", "reason", "code", "since", "source", "feed", "market", "stream", "positions", "notices", "model"}
MARKET = {"isOpen", "nextOpen", "nextClose"}
STREAM = {"connected", "subscribed", "requested", "reconnects", "lastMessageAt", "nextAttemptAt"}
POSITIONS = {"readAt", "error", "breaker"}
CONDOR = {
    *("id", "kind", "direction", "underlying", "root", "expiration", "daysToExpiration", "quantity", "multiplier"),
    *("brokenWing", "ambiguous", "legs", "credit", "maxProfit", "maxLoss", "putWidth", "callWidth", "breakevens"),
    *("style", "settlement", "entrySource", "openedAt", "realizedPl", "expiry", "closing", "exits", "valuation"),
    *("risk", "history"),
}
LEG = {
    *("symbol", "right", "strike", "side", "quantity", "averageEntryPrice", "costBasis", "multiplierAssumed", "problem")
}
VALUATION = {
    *("id", "asOf", "mark", "natural", "unrealizedPl", "naturalPl", "dayPl", "worstPl", "bestPl"),
    *("percentOfMaxProfit", "percentOfRisk"),
    *("missing", "unconfirmed", "legs", "plBounds"),
}
UNMATCHED = {
    *("symbol", "underlying", "root", "expiration", "right", "strike", "side", "quantity", "multiplier"),
    *("averageEntryPrice", "costBasis", "mark", "unrealizedPl", "dayPl", "uncoveredShort", "cover", "problem"),
    "multiplierAssumed",
}
QUOTE = {"symbol", "bid", "bidSize", "ask", "askSize", "mark", "state", "time", "unconfirmed"}
BROKEN = {
    *("id", "kind", "direction", "underlying", "root", "expiration", "daysToExpiration", "quantity", "openedAt"),
    *("legs", "missing", "unrealizedPl", "since", "expiry"),
}
TOTALS = {
    *("condors", "incomplete", "unrealizedPl", "naturalPl", "dayPl", "unmatchedPl", "unmatchedDayPl", "closedDayPl"),
    *("maxLoss", "theta", "riskIncomplete", "alerts", "byUnderlying"),
}
UNDERLYING = {
    *("symbol", "price", "source", "time", "unconfirmed", "reason", "previousClose", "change", "percentChange"),
    *("shares", "delta", "gamma", "theta", "vega", "exDividend"),
}
RISK = {
    *("id", "asOf", "price", "delta", "gamma", "theta", "vega", "legs", "distance", "tested", "breached"),
    *("expectedMove", "probabilities", "missing"),
}
PROBABILITIES = {
    *("profit", "maxProfit", "maxLoss", "touchPut", "touchCall", "profitByCredit", "profitByDelta"),
}
DELTA = {"asOf", "quotes", "valuations", "unmatched", "totals"}
UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


@pytest.fixture
def document():
    service = PublishingService((*spy(), position(C650, 3, 0.40)))
    service.offer(*(tick(symbol, 1.0, 1.2) for symbol in service.book.symbols))
    service.offer_stocks(tick("SPY", 599.9, 600.1))
    error = wire.RestError(code="unreachable", text="connection refused")
    service.set_status(status(positions=wire.Positions(read_at=EPOCH_AT, error=error, breaker="halfOpen")))
    return json.loads(wire.encode(service.edition.document(service.now_at)))


def test_the_document_has_the_names_of_the_contract(document):
    assert document.keys() == DOCUMENT


def test_the_status_has_the_names_of_the_contract(document):
    assert document["status"].keys() == STATUS
    assert document["status"]["market"].keys() == MARKET
    assert document["status"]["stream"].keys() == STREAM
    assert document["status"]["positions"].keys() == POSITIONS
    assert document["status"]["positions"]["error"].keys() == {"code", "text"}


def test_a_condor_has_the_names_of_the_contract(document):
    [condor] = document["condors"]
    assert condor.keys() == CONDOR
    assert condor["breakevens"].keys() == {"lower", "upper"}
    assert condor["history"] == {"seconds": [], "cents": []}
    assert condor["exits"].keys() == {"target", "stop"}
    assert [leg.keys() for leg in condor["legs"]] == [LEG] * 4
    assert condor["valuation"].keys() == VALUATION
    assert [leg.keys() for leg in condor["valuation"]["legs"]] == [{"symbol", "unrealizedPl"}] * 4


def test_an_unmatched_entry_has_the_names_of_the_contract(document):
    assert [entry.keys() for entry in document["unmatched"]] == [UNMATCHED]


def test_a_broken_condor_has_the_names_of_the_contract():
    service = PublishingService(spy())
    service.set_positions(spy()[:3])
    [broken] = json.loads(wire.encode(service.edition.document(service.now_at)))["broken"]
    assert broken.keys() == BROKEN
    assert [leg.keys() for leg in broken["legs"]] == [{"symbol", "right", "strike", "side", "quantity", "held"}] * 4


def test_a_quote_has_the_names_of_the_contract(document):
    assert {frozenset(quote) for quote in document["quotes"]} == {frozenset(QUOTE)}


def test_the_totals_have_the_names_of_the_contract(document):
    assert document["totals"].keys() == TOTALS
    assert document["totals"]["alerts"] == {"critical": 0, "warning": 0, "info": 0}
    [part] = document["totals"]["byUnderlying"]
    assert part.keys() == {"underlying", "unrealizedPl", "dayPl", "maxLoss"}


def test_an_underlying_has_the_names_of_the_contract(document):
    assert [underlying.keys() for underlying in document["underlyings"]] == [UNDERLYING]


def test_a_risk_has_the_names_of_the_contract(document):
    [condor] = document["condors"]
    risk = condor["risk"]
    assert risk.keys() == RISK
    assert [leg.keys() for leg in risk["legs"]] == [{"symbol", "iv", "delta", "gamma", "theta", "vega", "source"}] * 4
    assert risk["distance"].keys() == {"put", "call"}
    assert {frozenset(side) for side in risk["distance"].values()} == {frozenset({"dollars", "percent", "sigmas"})}
    assert risk["probabilities"].keys() == PROBABILITIES
    assert condor["expiry"].keys() == {"lastTradingAt", "settlesAt", "cutoffs"}


@pytest.mark.parametrize("account", sorted(ACCOUNTS))
def test_no_name_is_left_out_because_its_value_is_not_known(account):
    document = json.loads(wire.encode(PublishingService(ACCOUNTS[account]).edition.document(EPOCH_AT)))
    assert {name for condor in document["condors"] for name in condor} <= CONDOR
    assert all(condor.keys() == CONDOR for condor in document["condors"])
    assert all(condor["valuation"].keys() == VALUATION for condor in document["condors"])
    assert all(entry.keys() == UNMATCHED for entry in document["unmatched"])
    assert all(quote.keys() == QUOTE for quote in document["quotes"])


def test_a_delta_names_totals_and_status_only_when_they_changed():
    delta = wire.Delta(as_of=EPOCH_AT, quotes=[], valuations=[], unmatched=[])
    assert json.loads(wire.encode(delta)).keys() == DELTA - {"totals"}
    changed = msgspec.structs.replace(delta, status=status())
    assert json.loads(wire.encode(changed)).keys() == (DELTA - {"totals"}) | {"status"}


def times(value, name=""):
    if isinstance(value, dict):
        return [found for key, part in value.items() for found in times(part, key)]
    if isinstance(value, list):
        return [found for part in value for found in times(part, name)]
    is_time = name in ("asOf", "since", "time", "readAt", "lastMessageAt", "nextOpen", "nextClose", "settlesAt")
    return [value] if is_time else []


def test_times_are_rfc_3339_in_utc(document):
    found = times(document)
    assert len(found) == 15
    assert all(UTC.fullmatch(time) for time in found)


def test_an_expiration_is_a_date(document):
    assert document["condors"][0]["expiration"] == "2026-12-18"
