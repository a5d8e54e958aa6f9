import json
from pathlib import Path

import msgspec
import pytest

from condord.cli.find import finder
from condord.live.wire_broken import BrokenJson
from condord.live.wire_condor import CondorJson
from tests.fakes import documents

FILE = json.loads((Path(__file__).parents[2] / "web" / "tests" / "find.cases.json").read_text())
STRIKES = (705, 715, 770, 780)


def condor(entry):
    """The condor or broken condor of an entry of the file, which has only the unusual fields."""
    own = {name: entry[name] for name in ("id", "underlying", "root", "expiration")}
    own |= {"daysToExpiration": entry["days"]}
    own |= {name: entry[name] for name in ("kind", "direction") if name in entry}
    if entry.get("isBroken"):
        return msgspec.convert(documents.broken() | own | {"unrealizedPl": entry["pl"]}, BrokenJson)
    body = documents.condor(
        brokenWing=entry.get("brokenWing", False),
        risk=documents.risk(tested=entry.get("tested", "none"), breached=entry.get("breached", False)),
        valuation=documents.valuation(
            unrealizedPl=entry["pl"], missing=entry.get("missing", []), unconfirmed=entry.get("unconfirmed", False)
        ),
        closing=[documents.closing_order()] if entry.get("closing") else [],
    )
    legs = [leg | {"strike": strike} for leg, strike in zip(body["legs"], entry.get("strikes", STRIKES), strict=True)]
    return msgspec.convert(body | own | {"legs": legs}, CondorJson)


HELD = [(condor(entry), entry.get("severity")) for entry in FILE["entries"]]


@pytest.mark.parametrize(("text", "wanted"), FILE["cases"], ids=[text for text, _ in FILE["cases"]])
def test_the_terminal_finds_the_same_condors_as_the_page(text, wanted):
    test = finder(text)
    assert [held.root for held, severity in HELD if test(held, severity)] == wanted
