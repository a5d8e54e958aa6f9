import datetime as dt

import msgspec
import pytest

from condord.cli.screen import Screen, folded
from condord.cli.table import condor_lines, document_lines
from condord.live import wire
from tests.fakes import documents

NOW = dt.datetime(2026, 11, 20, 15, 31, 9, tzinfo=dt.UTC)


def lines(width=None, **changes):
    document = msgspec.convert(documents.document(**changes), wire.Document)
    return document_lines(document, NOW, Screen(width=width))


def test_a_condor_is_one_row_where_there_is_room():
    assert lines() == [
        "CONDOR                      EXPIRES          IN  KIND          QTY  CREDIT  MARK  CLOSE      P/L     %MAX  MAX LOSS",
        "SPY-261218-560-570-630-640  2026-12-18  28 days  short condor    2    2.35  1.20   1.34  +230.00  48.94 %  1,530.00",
        "",
        "1 condor · P/L +230.00 · closing now +202.00 · max loss 1,530.00",
        "live · simulator indicative · newest message 1.8 s ago · market open, closes 21:00 UTC",
    ]


def test_at_80_columns_its_name_stands_above_its_numbers():
    assert lines(80) == [
        "  QTY  CREDIT  MARK  CLOSE      P/L     %MAX  MAX LOSS",
        "SPY-261218-560-570-630-640  short condor, 2026-12-18, 28 days",
        "    2    2.35  1.20   1.34  +230.00  48.94 %  1,530.00",
        "",
        "1 condor · P/L +230.00 · closing now +202.00 · max loss 1,530.00",
        "live · simulator indicative · newest message 1.8 s ago",
        "market open, closes 21:00 UTC",
    ]


@pytest.mark.parametrize("width", [24, 30, 40, 50, 58, 80, 131, 132, 400])
def test_no_line_is_wider_than_the_terminal_and_the_profit_is_always_there(width):
    shown = folded(lines(width, unmatched=[documents.unmatched()]), width)
    assert max(map(len, shown)) <= width
    assert sum("+230.00" in line for line in shown) >= 2
    assert any("+13.50" in line for line in shown)


def test_on_a_narrow_terminal_less_stands_beside_the_name_and_columns_go():
    assert lines(40)[:4] == [
        "  QTY  MARK      P/L     %MAX  MAX LOSS",
        "SPY-261218-560-570-630-640  28 days",
        "    2  1.20  +230.00  48.94 %  1,530.00",
        "too narrow for CREDIT, CLOSE",
    ]


def unknown():
    value = documents.valuation(
        mark=None, natural=None, unrealizedPl=None, naturalPl=None, percentOfMaxProfit=None, percentOfRisk=None,
        missing=["SPY261218P00560000"], unconfirmed=True,
    )  # fmt: skip
    return documents.condor(valuation=value, maxLoss=None, brokenWing=True)


def test_what_is_not_known_is_a_dash_and_said_why():
    totals = documents.totals(incomplete=1, unrealizedPl=None, naturalPl=None, maxLoss=None)
    shown = lines(condors=[unknown()], totals=totals)
    assert shown[1] == (
        "SPY-261218-560-570-630-640  2026-12-18  28 days  short condor    2    2.35     —      —    —     —         —"
        "  incomplete: no usable quote of SPY261218P00560000, unconfirmed, broken wing"
    )
    assert shown[3] == "1 condor (1 incomplete) · P/L — · closing now — · max loss —"


def test_what_is_in_no_condor_says_why():
    strange = dict.fromkeys(documents.unmatched()) | {
        "symbol": "SPY\x1b[2J",
        "problem": "no root",
        "uncoveredShort": False,
    }
    shown = lines(unmatched=[documents.unmatched(), strange], totals=documents.totals(unmatchedPl=None, maxLoss=None))
    assert shown[3:6] == [
        "IN NO CONDOR        SIDE   QTY  ENTRY   MARK     P/L",
        "SPY261218P00500000  short    1   1.09  0.955  +13.50  uncovered short",
        "SPY [2J             —        —      —      —       —  no root",
    ]
    assert shown[7] == ("1 condor · P/L +230.00 · closing now +202.00 · in no condor — · max loss without bound")


def test_an_empty_account_is_said_to_be_empty():
    totals = documents.totals(condors=0, unrealizedPl=0, naturalPl=0, maxLoss=0, byUnderlying=[])
    assert lines(condors=[], totals=totals)[:3] == [
        "No condors.",
        "",
        "0 condors · P/L 0.00 · closing now 0.00 · max loss 0.00",
    ]


@pytest.mark.parametrize(
    ("error", "end"), [(None, "."), ({"code": "unreachable", "text": "no\x1broute"}, ": no route")]
)
def test_an_account_that_was_never_read_is_not_said_to_be_empty(error, end):
    status = documents.status(positions={"readAt": None, "error": error, "breaker": "closed"})
    shown = lines(condors=[], quotes=[], totals=documents.totals(condors=0, unrealizedPl=0), status=status)
    assert shown[:2] == [f"Positions have not been read yet{end}", ""]
    assert shown[2].startswith("live · ")
    assert not any("condors" in line for line in shown)


@pytest.mark.parametrize("held", [{}, {"condors": [], "unmatched": [documents.unmatched()]}])
def test_what_is_held_is_shown_though_the_status_knows_of_no_reading(held):
    status = documents.status(positions={"readAt": None, "error": None, "breaker": "closed"})
    assert lines(status=status, **held) == lines(**held)


def test_an_unconfirmed_quote_marks_its_row_in_no_condor_and_the_totals():
    sold, bought = documents.unmatched(), documents.unmatched(symbol="SPY261218P00490000", uncoveredShort=False)
    quotes = [documents.quote(sold["symbol"], unconfirmed=True), documents.quote(bought["symbol"])]
    shown = lines(unmatched=[sold, bought], quotes=quotes)
    assert shown[4].endswith("  unconfirmed, uncovered short")
    assert shown[5].endswith("+13.50")
    assert shown[7].endswith(" · max loss 1,530.00 · unconfirmed")


def test_a_notice_is_one_line_under_the_status():
    long = documents.notice(code="expired", text="still listed: " + "SPY261120P00500000, " * 9)
    status = documents.status(state="stale", reason="no data", notices=[documents.notice(text="not\x1bthese"), long])
    assert lines(80, status=status)[-3:] == [
        "stale for 1 min 9 s: no data",
        "notStreamed: not these",
        "expired: still listed: SPY261120P00500000, SPY261120P00500000, …",
    ]
    assert lines(status=status)[-1].startswith("expired: ")
    assert "…" not in lines(status=status)[-1]
    document = msgspec.convert(documents.document(status=status), wire.Document)
    assert not any("notStreamed" in line for line in document_lines(document, NOW, Screen(), OLD))


def test_several_underlyings_have_a_line():
    parts = [{"underlying": name, "unrealizedPl": 1, "maxLoss": None} for name in ("QQQ", "SPY")]
    condors = [documents.condor(), documents.condor(underlying="QQQ")]
    shown = lines(condors=condors, totals=documents.totals(byUnderlying=parts))
    assert "QQQ +1.00, max loss — · SPY +1.00, max loss —" in shown


def test_an_underlying_without_a_condor_has_no_gain_of_condors():
    parts = [{"underlying": name, "unrealizedPl": 0, "maxLoss": 9} for name in ("QQQ", "SPY")]
    assert "QQQ max loss 9.00 · SPY 0.00, max loss 9.00" in lines(totals=documents.totals(byUnderlying=parts))


def test_a_mark_that_is_held_is_said_in_the_row_and_in_the_detail():
    _, put, call, _ = documents.symbols()
    quotes = [documents.quote(put, state="stub"), documents.quote(call, state="crossed")]
    note = "mark held: stub quote of SPY…P570 and crossed quote of SPY…C630"
    assert lines(quotes=quotes)[1].endswith(f"  {note}")
    detail = msgspec.convert({"asOf": documents.AS_OF, "condor": documents.condor(), "quotes": quotes}, wire.OneCondor)
    assert note in condor_lines(detail, NOW, Screen())


def test_a_stub_without_a_mark_to_hold_is_missing_and_not_held():
    quotes = [documents.quote(documents.symbols()[1], state="stub", mark=None)]
    assert "held" not in lines(quotes=quotes)[1]


def test_where_nobody_asks_the_ask_is_a_dash():
    quotes = [documents.quote(documents.symbols()[0], state="noAsk", ask=0, askSize=0, mark=None)]
    detail = msgspec.convert({"asOf": documents.AS_OF, "condor": documents.condor(), "quotes": quotes}, wire.OneCondor)
    row = next(line for line in condor_lines(detail, NOW, Screen()) if line.startswith("SPY261218P00560000"))
    assert row.split()[6:9] == ["1.10", "—", "—"]
    assert row.endswith("no ask")


OLD = "not connected since 15:31:09: no daemon; prices are old"


@pytest.mark.parametrize("width", [None, 80])
def test_without_a_connection_nothing_is_live_and_every_condor_is_old(width):
    document = msgspec.convert(documents.document(condors=[documents.condor(), unknown()]), wire.Document)
    shown = document_lines(document, NOW, Screen(width=width), OLD)
    assert OLD in shown
    assert not any("live" in line for line in shown)
    assert sum("  old" in line for line in shown) == 2
    detail = condor_lines(one(), NOW, Screen(width=width), OLD)
    assert "old" in detail
    assert detail[-1] == OLD


def test_a_quote_that_came_by_a_delta_is_a_message_too():
    quotes = [documents.quote("A", time="2026-11-20T15:31:08Z"), documents.quote("B", time=None)]
    assert "newest message 1.0 s ago" in lines(quotes=quotes)[-1]
    stream = documents.status()["stream"] | {"lastMessageAt": None}
    assert "newest message never" in lines(quotes=[], status=documents.status(stream=stream))[-1]


def test_trouble_stands_under_the_status():
    shown = lines(80, status=documents.status(state="halted", code="authFailed", reason="Alpaca refuses the key " * 4))
    assert shown[-4:] == [
        "halted · simulator indicative · newest message 1.8 s ago",
        "market open, closes 21:00 UTC",
        "halted for 1 min 9 s (authFailed): Alpaca refuses the key Alpaca refuses the key",
        "Alpaca refuses the key Alpaca refuses the key",
    ]


def one(**changes):
    condor = documents.condor(**changes)
    quotes = [documents.quote(symbol) for symbol in documents.symbols()[1:]]
    quotes[0] |= {"state": "zeroBid", "bid": 0, "unconfirmed": True}
    return msgspec.convert({"asOf": documents.AS_OF, "condor": condor, "quotes": quotes}, wire.OneCondor)


def test_one_condor_is_told_in_detail():
    assert condor_lines(one(), NOW, Screen()) == [
        "SPY-261218-560-570-630-640  short condor",
        "expires     2026-12-18, 28 days",
        "quantity    2 x 100",
        "credit      2.35",
        "mark        1.20, close now 1.34",
        "P/L         +230.00, closing now +202.00",
        "            48.94 % of max profit",
        "            15.03 % of risk",
        "max profit  470.00, max loss 1,530.00",
        "breakevens  567.65 and 632.35",
        "quoted      1.8 s ago",
        "",
        "LEG                 SIDE   STRIKE  RIGHT  QTY  ENTRY   BID   ASK  MARK     P/L",
        "SPY261218P00560000  long      560  put      2   1.21     —     —     —  +57.50  no quote",
        "SPY261218P00570000  short     570  put      2   1.21  0.00  1.30  1.20  +57.50  no bid, unconfirmed",
        "SPY261218C00630000  short     630  call     2   1.21  1.10  1.30  1.20  +57.50",
        "SPY261218C00640000  long      640  call     2   1.21  1.10  1.30  1.20  +57.50",
    ]


def test_a_long_condor_was_paid_for():
    assert "debit       2.35" in condor_lines(one(direction="long", credit=-2.35), NOW, Screen())


WIDE = documents.condor("SPXW-261218-5600-5700-6300-6400", "SPXW", credit=-123.4567, maxLoss=1234567, brokenWing=True)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_wider_than_the_terminal(width):
    leg = documents.unmatched(symbol="X" * 21, problem="what Alpaca calls it cannot be read as an option " * 3)
    shown = lines(width, condors=[WIDE, unknown()], unmatched=[leg], status=documents.status(reason="because " * 40))
    detail = condor_lines(one(valuation=unknown()["valuation"], credit=-123.4567), NOW, Screen(width=width))
    assert max(map(len, shown + detail)) <= width


def test_gains_are_green_and_losses_red_on_a_terminal():
    document = documents.document(condors=[documents.condor(valuation=documents.valuation(unrealizedPl=-5))])
    shown = document_lines(msgspec.convert(document, wire.Document), NOW, Screen(colour=True))
    assert "\x1b[31m-5.00\x1b[0m" in shown[1]
    assert shown[-1].startswith("\x1b[32mlive\x1b[0m · ")
