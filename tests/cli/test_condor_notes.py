import json
from pathlib import Path

import msgspec
import pytest

from condord.cli.condor_notes import condor_notes, has_old_quotes, why_broken
from condord.cli.row_notes import full_text
from condord.live.wire import QuoteJson
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import CondorJson
from condord.live.wire_risk import UnderlyingJson
from tests.fakes import documents

CASES = json.loads((Path(__file__).parents[2] / "web" / "tests" / "missing.cases.json").read_text())
LEG = "SPY261218P00560000"


def noted(*, price=None, old=False, **changes):
    condor = msgspec.convert(documents.condor(**changes), CondorJson)
    underlying = None if price is None else msgspec.convert(documents.underlying(**price), UnderlyingJson)
    return condor_notes(condor, {}, underlying, old=old)


def quotes(**changes):
    return {LEG: msgspec.convert(documents.quote(LEG, **changes), QuoteJson)}


def test_reasons_to_doubt_the_numbers_come_first_then_the_short_strikes():
    value = documents.valuation(missing=[LEG], unconfirmed=True)
    risk = documents.risk(tested="put", breached=True)
    others = {"brokenWing": True, "ambiguous": True}
    notes = noted(valuation=value, risk=risk, price={"unconfirmed": True}, old=True, **others)
    assert full_text(notes) == (
        f"old, price and quotes unconfirmed, put breached, incomplete: no usable quote of {LEG}, broken wing, ambiguous"
    )
    assert [note.vital for note in notes if note.vital] == ["old, unconfirmed", "breached"]


@pytest.mark.parametrize(
    ("price", "has_old_leg", "old", "forms"),
    [
        ({}, False, True, ("old",)),
        ({"unconfirmed": True}, False, False, ("price unconfirmed", "unconfirmed", "old")),
        ({"reason": "stale"}, True, False, ("price and quotes unconfirmed", "unconfirmed", "old")),
        ({}, True, False, ("quotes unconfirmed", "unconfirmed", "old")),
        ({"unconfirmed": True}, False, True, ("old, price unconfirmed", "old, unconfirmed", "old")),
        ({"price": None, "reason": "noQuote"}, False, False, ("no price",)),
    ],
)
def test_an_old_number_is_described_in_as_many_words_as_there_is_room_for(price, has_old_leg, old, forms):
    value = documents.valuation(unconfirmed=has_old_leg)
    assert [note.forms for note in noted(price=price, valuation=value, old=old)] == [forms]


def test_a_mark_that_is_held_is_named_with_its_leg():
    condor = msgspec.convert(documents.condor(), CondorJson)
    assert full_text(condor_notes(condor, quotes(state="stub"))) == "mark held: stub quote of SPY\u2026P560"


def test_a_broken_condor_with_old_numbers_has_a_note():
    broken = msgspec.convert(documents.broken("SPY-1", **{LEG: 1}), BrokenJson)
    price = msgspec.convert(documents.underlying(unconfirmed=True), UnderlyingJson)
    assert full_text(condor_notes(broken, quotes(unconfirmed=True), price)) == "price and quotes unconfirmed"
    assert condor_notes(broken, quotes()) == []
    lost = msgspec.convert(documents.broken("SPY-1", **{LEG: 0}), BrokenJson)
    assert not has_old_quotes(lost, quotes(unconfirmed=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["all"])
def test_the_lost_legs_of_a_broken_condor_are_named_as_on_the_page(case):
    legs = [
        {"symbol": "A", "right": right, "strike": strike, "side": "long", "quantity": quantity, "held": held}
        for right, strike, quantity, held in case["legs"]
    ]
    lost = msgspec.convert(documents.broken() | {"legs": legs}, BrokenJson)
    assert (why_broken(lost), why_broken(lost, 1)) == (case["all"], case["first"])
