import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.live import wire

from .accounts import ACCOUNTS, C650, EPOCH_AT, House, events, position, spy, status, tick

# Transcribed from the contract: the names of every object of the document.
DOCUMENT = {"version", "asOf", "status", "condors", "unmatched", "quotes", "totals"}
STATUS = {"state", "reason", "code", "since", "source", "feed", "market", "stream", "positions", "notices"}
MARKET = {"isOpen", "nextOpen", "nextClose"}
STREAM = {"connected", "subscribed", "requested", "reconnects", "lastMessageAt", "nextAttemptAt"}
POSITIONS = {"readAt", "error", "breaker"}
CONDOR = {
    *("id", "kind", "direction", "underlying", "root", "expiration", "daysToExpiration", "quantity", "multiplier"),
    *("brokenWing", "ambiguous", "legs", "credit", "maxProfit", "maxLoss", "putWidth", "callWidth", "breakevens"),
    *("entrySource", "openedAt", "realizedPl", "valuation", "history"),
}
LEG = {
    *("symbol", "right", "strike", "side", "quantity", "averageEntryPrice", "costBasis", "multiplierAssumed", "problem")
}
VALUATION = {
    *("id", "asOf", "mark", "natural", "unrealizedPl", "naturalPl", "percentOfMaxProfit", "percentOfRisk"),
    *("missing", "unconfirmed", "legs", "plBounds"),
}
UNMATCHED = {
    *("symbol", "underlying", "root", "expiration", "right", "strike", "side", "quantity", "multiplier"),
    *("averageEntryPrice", "costBasis", "mark", "unrealizedPl", "uncoveredShort", "problem"),
    "multiplierAssumed",
}
QUOTE = {"symbol", "bid", "bidSize", "ask", "askSize", "mark", "state", "time", "unconfirmed"}
TOTALS = {"condors", "incomplete", "unrealizedPl", "naturalPl", "unmatchedPl", "maxLoss", "byUnderlying"}
DELTA = {"asOf", "quotes", "valuations", "unmatched", "totals"}
UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


@pytest.fixture
def document():
    house = House((*spy(), position(C650, 3, 0.40)))
    house.offer(*(tick(symbol, 1.0, 1.2) for symbol in house.book.symbols))
    error = wire.RestError(code="unreachable", text="it is away")
    house.set_status(status(positions=wire.Positions(read_at=EPOCH_AT, error=error, breaker="halfOpen")))
    return json.loads(wire.encode(house.edition.document(house.now_at)))


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
    assert [leg.keys() for leg in condor["legs"]] == [LEG] * 4
    assert condor["valuation"].keys() == VALUATION
    assert [leg.keys() for leg in condor["valuation"]["legs"]] == [{"symbol", "unrealizedPl"}] * 4


def test_what_is_unmatched_has_the_names_of_the_contract(document):
    assert [entry.keys() for entry in document["unmatched"]] == [UNMATCHED]


def test_a_quote_has_the_names_of_the_contract(document):
    assert {frozenset(quote) for quote in document["quotes"]} == {frozenset(QUOTE)}


def test_the_totals_have_the_names_of_the_contract(document):
    assert document["totals"].keys() == TOTALS
    [part] = document["totals"]["byUnderlying"]
    assert part.keys() == {"underlying", "unrealizedPl", "maxLoss"}


@pytest.mark.parametrize("account", sorted(ACCOUNTS))
def test_no_name_is_left_out_because_its_value_is_not_known(account):
    document = json.loads(wire.encode(House(ACCOUNTS[account]).edition.document(EPOCH_AT)))
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
    is_time = name in ("asOf", "since", "time", "readAt", "lastMessageAt", "nextOpen", "nextClose")
    return [value] if is_time else []


def test_times_are_rfc_3339_in_utc(document):
    found = times(document)
    assert len(found) == 12
    assert all(UTC.fullmatch(time) for time in found)


def test_an_expiration_is_a_date(document):
    assert document["condors"][0]["expiration"] == "2026-12-18"


@pytest.mark.parametrize(
    ("amount_e4", "text"),
    [
        (0, b"0"),
        (1, b"0.0001"),
        (-1, b"-0.0001"),
        (12_000, b"1.2"),
        (20_000, b"2"),
        (-20_000, b"-2"),
        (-5_000, b"-0.5"),
        (23_500, b"2.35"),
        (10_000 * 10_000 * 1_000_000, b"10000000000"),
    ],
)
def test_dollars_are_written_as_a_person_would(amount_e4, text):
    assert wire.encode(wire.dollars(amount_e4)) == text


@given(st.integers(-(10**13), 10**13))
def test_dollars_are_exact_to_a_hundredth_of_a_cent(amount_e4):
    written = wire.encode(wire.dollars(amount_e4))
    assert msgspec.json.decode(written, type=float) == amount_e4 / 10_000
    assert round(float(written) * 10_000) == amount_e4
    assert b"e" not in written


def test_what_is_not_known_is_null():
    assert wire.dollars_or_none(None) is None
    assert wire.dollars_or_none(15_000) == 1.5


def test_a_frame_has_its_event_id_and_data_and_ends_with_an_empty_line():
    frame = wire.frame("bye", wire.Bye(reason="so"), "k3f9-7")
    assert frame == b'event: bye\nid: k3f9-7\ndata: {"reason":"so"}\n\n'


def test_a_frame_without_a_version_has_no_id():
    assert wire.frame("heartbeat", wire.Heartbeat(as_of=EPOCH_AT)) == (
        b'event: heartbeat\ndata: {"asOf":"2026-11-20T15:00:00Z"}\n\n'
    )


@given(st.text())
def test_no_text_breaks_out_of_its_frame(text):
    assert events(wire.frame("bye", wire.Bye(reason=text))) == [("bye", None, {"reason": text})]
