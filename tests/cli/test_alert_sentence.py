import datetime as dt
import json
from pathlib import Path

import msgspec
import pytest

from condord.cli.alert_sentence import sentence, split
from condord.live import wire
from condord.live.wire_alerts import AlertJson
from tests.fakes import documents

NOW = dt.datetime(2026, 11, 20, 15, 31, 9, tzinfo=dt.UTC)
CASES = json.loads((Path(__file__).parents[2] / "web" / "tests" / "alarm.cases.json").read_text())


def shown(text, now=NOW, document=None, *, has_price=True, **changes):
    alert = msgspec.convert(documents.alert(text=f"SPY 1/2 Dec 18: {text}", **changes), AlertJson)
    return sentence(alert, now, document, has_price=has_price).removeprefix("SPY 1/2 Dec 18: ")


@pytest.mark.parametrize("case", CASES["alerts"], ids=lambda case: case["text"])
def test_an_alert_sentence_has_the_same_form_as_on_the_page(case):
    alert = msgspec.convert(documents.alert(text=case["text"], since=CASES["since"]), AlertJson)
    found = sentence(alert, dt.datetime.fromisoformat(CASES["now"]))
    assert found == case["sentence"].replace("{since}", "14:20 ET")


def test_a_time_of_another_day_has_its_day():
    assert shown("theta is -3.2 (below -3).", since="2026-11-18T15:30:02Z").endswith(" at Wed Nov 18 10:30 ET.")


def test_the_time_of_the_measurement_is_not_that_of_the_opening():
    text = "the expiration is 21 days away; it was opened 23 days before the expiration."
    assert shown(text) == "the expiration was 21 days away at 10:30 ET; it was opened 23 days before the expiration."


def test_the_price_at_that_time_can_be_left_out():
    text = "the short put 740 is 1.43 (0.19 %) away, SPY 741.43."
    assert shown(text, has_price=False) == "the short put 740 was 1.43 (0.19 %) away at 10:30 ET."


@pytest.mark.parametrize("part", ["condors", "broken"])
def test_after_the_cutoff_the_sentence_has_the_time_since_which_no_orders_are_taken(part):
    condor = documents.condor() if part == "condors" else documents.broken(A=1)
    ends = {"orders": "2026-11-20T15:30:00Z", "liquidation": "2026-11-20T15:15:00Z"}
    condor["expiry"] |= {"cutoffs": [{"kind": kind, "at": at, "source": "config"} for kind, at in ends.items()]}
    document = msgspec.convert(documents.document(**({"condors": []} | {part: [condor]})), wire.Document)
    text = "Alpaca takes orders for it until 10:30 ET (as configured) and may liquidate it from 10:15."
    begun = text.replace("from 10:15", "at any time")
    for minute, expected in (
        (14, text),
        (29, begun),
        (30, begun.replace("takes orders for it until", "has taken no orders for it since")),
    ):
        now = dt.datetime(2026, 11, 20, 15, minute, tzinfo=dt.UTC)
        assert shown(text, now, document, condorId=condor["id"]) == expected
    assert shown(text) == text
    for own in (" from 10:15 ET.", " from 10:15 ET on Nov 20."):
        alone = f"Alpaca may liquidate it{own}"
        assert shown(alone, NOW, document, condorId=condor["id"]) == "Alpaca may liquidate it at any time."


def test_the_pl_is_split_from_the_sentence():
    assert split("SPY: breached. P/L not known.") == ("SPY: breached.", "P/L not known")
    assert split("SPY: breached.") == ("SPY: breached.", "")
