import csv
import io
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.live import csv_text, wire
from condord.live.wire_history import RecordedJson, TradesJson
from tests.fakes import documents

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def document(**changes):
    return msgspec.convert(documents.document(**changes), wire.Document)


def rows(lines, end="\r\n"):
    """The cells by column; every line must end with `end`."""
    text = "".join(lines)
    assert text.endswith(end)
    return list(csv.DictReader(io.StringIO(text, newline="")))


def trade_lines(*trades):
    return list(csv_text.trades_csv(msgspec.convert(documents.trades(*trades), TradesJson), "\r\n"))


def positions(**changes):
    return rows(csv_text.positions_csv(document(**changes), "\r\n"))


def test_the_columns_of_positions_are_fixed():
    assert next(csv_text.positions_csv(document(), "\n")) == (
        "id,kind,direction,underlying,root,expiration,daysToExpiration,quantity,credit,mark,natural,unrealizedPl,"
        "naturalPl,dayPl,percentOfMaxProfit,percentOfRisk,maxProfit,maxLoss,lowerBreakeven,upperBreakeven,price,"
        "putDistance,callDistance,delta,theta,probabilityOfProfit,tested,missing,unconfirmed,openedAt\n"
    )


def test_a_condor_is_one_line():
    condor = documents.condor(openedAt="2026-11-09T14:47:12Z")
    assert list(csv_text.positions_csv(document(condors=[condor]), "\r\n"))[1] == (
        "SPY-261218-560-570-630-640,ironCondor,short,SPY,SPY,2026-12-18,28,2,2.35,1.2,1.34,230,202,18.5,48.94,15.03,"
        "470,1530,567.65,632.35,582.1,12.1,47.9,-3.2,11.8,64.8,none,,false,2026-11-09T14:47:12Z\r\n"
    )


def test_null_is_an_empty_cell_and_missing_legs_are_separated_by_blanks():
    symbols = documents.symbols()[:2]
    value = documents.valuation(mark=None, unrealizedPl=None, missing=symbols, unconfirmed=True)
    (row,) = positions(condors=[documents.condor(valuation=value, credit=None)])
    assert (row["mark"], row["unrealizedPl"], row["credit"], row["openedAt"]) == ("", "", "", "")
    assert (row["missing"], row["unconfirmed"]) == (" ".join(symbols), "true")


def test_contracts_in_no_condor_follow_with_their_signed_quantity():
    short, long = "SPY261218P00500000", "SPY261218P00490000"
    entries = [documents.unmatched(short, quantity=3), documents.unmatched(long, side="long")]
    entries.append(documents.unmatched("???", side=None, quantity=None, underlying=None, expiration=None))
    shown = positions(unmatched=entries, quotes=[documents.quote(short, unconfirmed=True), documents.quote(long)])
    found = [[row[name] for name in ("id", "kind", "direction", "quantity", "unconfirmed")] for row in shown[1:]]
    assert found == [
        [short, "unmatched", "short", "-3", "true"],
        [long, "unmatched", "long", "1", "false"],
        ["???", "unmatched", "", "", ""],
    ]
    assert (shown[1]["mark"], shown[1]["unrealizedPl"], shown[1]["dayPl"]) == ("0.955", "13.5", "-2")
    assert (shown[1]["expiration"], shown[1]["daysToExpiration"], shown[3]["expiration"]) == ("2026-12-18", "", "")


def test_the_csv_of_a_single_condor_has_the_same_columns():
    one = msgspec.convert(documents.one_condor(), wire.OneCondor)
    assert list(csv_text.condor_csv(one, "\n")) == list(csv_text.positions_csv(document(), "\n"))[:2]


def test_trades_have_the_names_of_the_json_with_the_shares_in_three_columns():
    rolled = documents.trade(how="rolled", shares=None, rolledTo="SPY-261218-565-575-630-640", realizedPl=-12.5)
    heading, assigned, rolled = trade_lines(documents.trade(), rolled)
    assert heading == (
        "id,underlying,kind,direction,quantity,openedAt,closedAt,how,credit,debit,realizedPl,percentOfMaxProfit,"
        "daysHeld,worstPl,bestPl,fees,shares.symbol,shares.quantity,shares.price,rolledTo\r\n"
    )
    start = "SPY-261120-560-570-630-640,SPY,ironCondor,short,2,2026-10-21T14:40:11Z,2026-11-20T21:00:00Z,"
    assert assigned == start + "assigned,2.35,0.4,390,82.98,30,-120.5,400,0.16,SPY,-200,629.6,\r\n"
    assert rolled == start + ("rolled,2.35,0.4,-12.5,82.98,30,-120.5,400,0.16,,,,SPY-261218-565-575-630-640\r\n")


def test_history_has_its_lists_as_columns():
    answer = msgspec.convert(documents.recorded(price=[582.1, None]), RecordedJson)
    assert "".join(csv_text.history_csv(answer, "\n")) == (
        "seconds,cents,naturalCents,price,low,high,quantity\n"
        "1795188660,14900,13200,582.1,-2500,15000,\n"
        "1795188720,,,,,,\n"
    )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@given(text=TEXTS)
def test_any_text_survives_and_never_begins_a_formula(end, text):
    entry = documents.unmatched(text, root=text, underlying=text)
    *_, row = rows(csv_text.positions_csv(document(unmatched=[entry]), end), end)
    for name in ("id", "root", "underlying"):
        assert not row[name].startswith(FORMULA_STARTS)
        assert row[name] in (text, f"'{text}")
        assert (row[name] == text) == (not text.startswith(FORMULA_STARTS))


@given(text=st.sampled_from(FORMULA_STARTS).flatmap(lambda start: TEXTS.map(start.__add__)))
def test_a_text_that_a_spreadsheet_would_compute_gets_an_apostrophe(text):
    (row,) = rows(trade_lines(documents.trade(id=text)))
    assert row["id"] == f"'{text}"


@given(st.integers(-(10**9), 10**9))
def test_a_number_stays_a_number(amount_e4):
    dollars = amount_e4 / 10_000
    (row,) = rows(trade_lines(documents.trade(realizedPl=dollars)))
    assert json.loads(row["realizedPl"]) == dollars
