import json
from pathlib import Path

import msgspec
import pytest

from condord.cli.left_order import left_order
from condord.live.wire import QuoteJson
from condord.live.wire_broken import BrokenJson
from tests.fakes import documents

CASES = json.loads((Path(__file__).parents[2] / "web" / "tests" / "left.cases.json").read_text())["cases"]
QUOTED = ("bid", "ask", "mark", "state")


def broken(case):
    legs = [
        {name: value for name, value in leg.items() if name not in QUOTED} | {"quantity": case["quantity"]}
        for leg in case["legs"]
    ]
    return msgspec.convert(documents.broken() | {"quantity": case["quantity"], "legs": legs}, BrokenJson)


def quotes(case):
    found = [documents.quote(leg["symbol"], **{name: leg[name] for name in QUOTED}) for leg in case["legs"]]
    return {quote.symbol: quote for quote in msgspec.convert(found, list[QuoteJson])}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_closing_order_is_the_same_as_on_the_card(case):
    order = left_order(broken(case), quotes(case))
    assert order.legs == case["order"]
    assert (order.mid, order.natural) == (case["mid"] or "—", case["natural"] or "—")


def test_a_leg_without_a_quote_leaves_no_limit():
    order = left_order(broken(CASES[0]), {})
    assert (order.mid, order.natural) == ("—", "—")
