import datetime as dt
import re

import msgspec
import pytest

from condord.cli.detail import condor_lines
from condord.cli.screen import Screen, folded
from condord.cli.table import document_lines, one_lines
from condord.cli.view import DEFAULT, TableView
from condord.live import wire
from tests.fakes import documents

NOW = dt.datetime(2026, 11, 20, 15, 31, 9, tzinfo=dt.UTC)


def lines(width=None, view=DEFAULT, **changes):
    document = msgspec.convert(documents.document(**changes), wire.Document)
    return document_lines(document, NOW, Screen(width=width), view=view)


def detail_lines(width=None, outage="", **changes):
    document = msgspec.convert(documents.document(**changes), wire.Document)
    return condor_lines(document, document.condors[0], NOW, Screen(width=width), outage)


def test_a_condor_is_one_row_if_it_fits():
    assert lines() == [
        "CONDOR                      EXPIRES  KIND            IN  QTY  ENTRY         PRICE  DISTANCE   MARK  CLOSE      P/L   TODAY  %MAX  DELTA   THETA  MAX LOSS",
        "SPY-261218-560-570-630-640  Dec 18   short condor  28 d    2  2.35 credit  582.10  put 2.1 %  1.20   1.34  +230.00  +18.50    49  -3.20  +11.80  1,530.00",
        "",
        "UNDERLYING   PRICE   CHANGE  SHARES      P/L   TODAY   DELTA   THETA  MAX LOSS",
        "SPY         582.10  +0.40 %     100  +230.00  +18.50  +96.80  +11.80  1,530.00  ex-dividend Dec 18: 1.97",
        "",
        "1 condor · P/L +230.00 · today +18.50 · closing now +202.00 · all options: theta +11.80 a day, max loss 1,530.00",
        "account 50,123.40 · today +143.40 · options buying power 20,111.20",
        "live · simulator indicative · newest message 1.8 s ago · market open, closes 16:00 ET",
    ]


def test_alerts_are_two_lines_at_most_below_the_status():
    firing = [
        documents.alert(severity="warning", text="A warning."),
        documents.alert(id="x", text="The put is breached."),
    ]
    totals = documents.totals(alerts={"critical": 1, "warning": 2, "info": 0})
    assert lines(alerts=firing, totals=totals)[-2:] == [
        "live · simulator indicative · newest message 1.8 s ago · market open, closes 16:00 ET",
        "alerts: 1 critical, 2 warning · The put is breached.",
    ]
    assert lines(40, alerts=firing, totals=totals)[-2:] == ["alerts: 1 critical, 2 warning · The put", "is breached."]


def test_alerts_are_also_shown_during_an_outage():
    changed = documents.document(
        alerts=[documents.alert(text="Breached.")], totals=documents.totals(alerts={"critical": 1})
    )
    document = msgspec.convert(changed, wire.Document)
    assert document_lines(document, NOW, Screen(), "not connected")[-1] == "alerts: 1 critical · Breached."


LONG_ID = "NVDA-270115-197.5-202.5-237.5-247.5"


def test_at_120_columns_a_condor_is_one_row_with_its_underlying_its_greeks_and_today():
    held = [documents.condor(LONG_ID), documents.condor(brokenWing=True)]
    assert lines(120, condors=held)[:4] == [
        "CONDOR                                 IN  QTY   PRICE  DISTANCE       P/L   TODAY  %MAX  DELTA   THETA",
        "NVDA-270115-197.5-202.5-237.5-247.5  28 d    2  582.10  put 2.1 %  +230.00  +18.50    49  -3.20  +11.80",
        "SPY-261218-560-570-630-640           28 d    2  582.10  put 2.1 %  +230.00  +18.50    49  -3.20  +11.80  broken wing",
        "too narrow for EXPIRES, KIND, ENTRY, MARK, CLOSE, MAX LOSS",
    ]


def test_at_80_columns_a_condor_is_one_row_with_what_matters_most():
    assert lines(80) == [
        "CONDOR                        IN  DISTANCE       P/L   TODAY  %MAX   THETA",
        "SPY-261218-560-570-630-640  28 d  put 2.1 %  +230.00  +18.50    49  +11.80",
        "too narrow for EXPIRES, KIND, QTY, ENTRY, PRICE, MARK, CLOSE, DELTA, MAX LOSS",
        "",
        "UNDERLYING   PRICE   CHANGE  SHARES      P/L   TODAY   DELTA   THETA  MAX LOSS",
        "SPY         582.10  +0.40 %     100  +230.00  +18.50  +96.80  +11.80  1,530.00",
        "    ex-dividend Dec 18: 1.97",
        "",
        "1 condor · P/L +230.00 · today +18.50 · closing now +202.00",
        "all options: theta +11.80 a day, max loss 1,530.00",
        "account 50,123.40 · today +143.40 · options buying power 20,111.20",
        "live · simulator indicative · newest message 1.8 s ago",
        "market open, closes 16:00 ET",
    ]


def test_a_symbol_shows_what_is_held_on_it_and_counts_the_others():
    totals = documents.totals(condors=2)
    held = {"condors": [documents.condor("A"), documents.condor("B", underlying="QQQ", root="QQQ")]}
    other = documents.unmatched(underlying="QQQ", root="QQQ")
    shown = lines(view=TableView(show="SPY"), unmatched=[documents.unmatched(), other], totals=totals, **held)
    assert [line.split()[0] for line in shown if line] == [
        "CONDOR", "A", "IN", "SPY261218P00500000", "UNDERLYING", "SPY", "1", "account", "live",
    ]  # fmt: skip
    assert shown[-3].startswith("1 shown of 2 condors · ")


def test_a_filter_shows_only_its_condors_and_the_totals_of_all():
    shown = lines(view=TableView(show="losing"), unmatched=[documents.unmatched()])
    assert shown[:2] == ["No condor is losing.", ""]
    assert shown[2].startswith("0 shown of 1 condor · P/L +230.00 · ")
    assert lines(view=TableView(show="QQQ"))[0] == "No condor on QQQ."


@pytest.mark.parametrize(
    ("changes", "distance", "note"),
    [
        ({"tested": "put"}, "put 2.1 %", "put tested"),
        (
            {"tested": "call", "breached": True, "distance": {"call": {"percent": -0.5}}},
            "call -0.50 %",
            "call breached",
        ),
        ({"tested": None, "price": None, "distance": {}}, "—", ""),
    ],
)
def test_a_tested_or_breached_side_is_named(changes, distance, note):
    row = lines(condors=[documents.condor(risk=documents.risk(**changes))])[1]
    assert f"  {distance}  " in row
    assert row.endswith(note or "1,530.00")


def test_a_working_order_that_closes_a_condor_is_noted():
    assert lines(condors=[documents.condor(closing=[documents.closing_order()])])[1].endswith("  closing order")


def test_an_underlying_without_a_confirmed_price_has_the_reason():
    shown = lines(underlyings=[documents.underlying(price=None, percentChange=None, reason="noQuote")])
    assert shown[1].endswith("  no price")
    assert shown[-5].endswith("  no price: Alpaca has no usable quote, ex-dividend Dec 18: 1.97")
    shown = lines(underlyings=[documents.underlying(unconfirmed=True, reason="unreachable")])
    assert shown[1].endswith("  price unconfirmed")
    assert "  price unconfirmed: neither the stream nor REST has answered yet" in shown[-5]


def test_without_a_dividend_an_underlying_has_no_note():
    assert lines(underlyings=[documents.underlying(exDividend=None)])[-5].endswith("  1,530.00")


def test_without_an_account_there_is_no_line_for_it():
    assert not any("account" in line for line in lines(account=None))


def test_condors_whose_theta_is_unknown_are_counted():
    shown = lines(totals=documents.totals(riskIncomplete=2))
    assert any("all options: theta +11.80 a day (2 unknown), max loss" in line for line in shown)


@pytest.mark.parametrize("width", [24, 30, 40, 50, 58, 80, 131, 132, 400])
def test_no_line_is_wider_than_the_terminal_and_the_profit_is_always_shown(width):
    shown = folded(lines(width, unmatched=[documents.unmatched()]), width)
    assert max(map(len, shown)) <= width
    assert sum("+230.00" in line for line in shown) >= 2
    assert any("+13.50" in line for line in shown)


def test_on_a_narrow_terminal_the_name_is_above_the_numbers():
    assert lines(48)[:6] == [
        "   PRICE  DISTANCE   MARK      P/L   TODAY  %MAX",
        "SPY-261218-560-570-630-640  Dec 18, 28 days",
        "  582.10  put 2.1 %  1.20  +230.00  +18.50    49",
        "too narrow for KIND, QTY, ENTRY, CLOSE, DELTA,",
        "THETA, MAX LOSS",
        "",
    ]


def unknown():
    value = documents.valuation(
        mark=None, natural=None, unrealizedPl=None, naturalPl=None, percentOfMaxProfit=None, percentOfRisk=None,
        dayPl=None, missing=["SPY261218P00560000"], unconfirmed=True,
    )  # fmt: skip
    return documents.condor(valuation=value, maxLoss=None, brokenWing=True)


def test_an_unknown_value_is_a_dash_and_the_note_has_the_reason():
    totals = documents.totals(incomplete=1, unrealizedPl=None, naturalPl=None, dayPl=None, theta=None, maxLoss=None)
    shown = lines(condors=[unknown()], totals=totals)
    assert shown[1] == (
        "SPY-261218-560-570-630-640  Dec 18   short condor  28 d    2  2.35 credit  582.10  put 2.1 %     —      —    —"
        "      —     —  -3.20  +11.80         —  quotes unconfirmed, incomplete: no usable quote of SPY261218P00560000, broken wing"
    )
    assert shown[6] == "1 condor (1 incomplete) · P/L — · today — · closing now — · all options: max loss —"


def test_a_leg_in_no_condor_has_a_note_with_the_reason():
    strange = dict.fromkeys(documents.unmatched()) | {
        "symbol": "SPY\x1b[2J",
        "problem": "no root",
        "uncoveredShort": False,
    }
    bare = documents.unmatched(right="call")
    shown = lines(unmatched=[bare, strange], totals=documents.totals(unmatchedPl=None, maxLoss=None))
    assert shown[3:6] == [
        "IN NO CONDOR        SIDE   QTY  ENTRY   MARK     P/L  TODAY",
        "SPY261218P00500000  short    1   1.09  0.955  +13.50  -2.00  uncovered short",
        "SPY [2J             —        —      —      —       —      —  no root",
    ]
    assert shown[10] == (
        "1 condor · P/L +230.00 · today +18.50 · closing now +202.00 · in no condor — · all options: theta +11.80 a day"
        ", max loss unlimited"
    )


def test_an_empty_account_has_no_condors():
    totals = documents.totals(condors=0, unrealizedPl=0, naturalPl=0, dayPl=0, theta=0, maxLoss=0, byUnderlying=[])
    assert lines(condors=[], totals=totals)[:3] == [
        "No condors.",
        "",
        "0 condors · P/L 0.00 · today 0.00 · closing now 0.00 · all options: theta 0.00 a day, max loss 0.00",
    ]


@pytest.mark.parametrize(("error", "end"), [(None, ""), ({"code": "unreachable", "text": "no\x1broute"}, ": no route")])
def test_an_account_that_was_never_read_is_not_shown_as_empty(error, end):
    status = documents.status(positions={"readAt": None, "error": error, "breaker": "closed"})
    shown = lines(condors=[], quotes=[], totals=documents.totals(condors=0, unrealizedPl=0), status=status)
    assert shown[:2] == [f"The positions have not been read yet{end}", ""]
    assert shown[2].startswith("live · ")
    assert not any("condors" in line for line in shown)


@pytest.mark.parametrize("held", [{}, {"condors": [], "unmatched": [documents.unmatched()]}])
def test_condors_are_shown_even_if_the_status_has_no_read_time(held):
    status = documents.status(positions={"readAt": None, "error": None, "breaker": "closed"})
    assert lines(status=status, **held) == lines(**held)


def test_an_unconfirmed_quote_marks_its_unmatched_leg_and_the_totals():
    sold, bought = documents.unmatched(), documents.unmatched(symbol="SPY261218P00490000", uncoveredShort=False)
    quotes = [documents.quote(sold["symbol"], unconfirmed=True), documents.quote(bought["symbol"])]
    shown = lines(unmatched=[sold, bought], quotes=quotes)
    assert shown[4].endswith("  unconfirmed, uncovered short")
    assert shown[5].endswith("+13.50  -2.00")
    assert " · unconfirmed · P/L " in next(line for line in shown if line.startswith("1 condor"))


@pytest.mark.parametrize(
    ("cover", "note"),
    [("sameExpiry", "covered"), ("laterLong", "covered by a later long"), ("shares", "covered by shares")],
)
def test_a_covered_short_shows_what_covers_it(cover, note):
    assert lines(unmatched=[documents.unmatched(uncoveredShort=False, cover=cover)])[4].endswith(f"  {note}")


@pytest.mark.parametrize("width", [None, 120, 40])
def test_notices_of_one_code_are_one_line_with_their_count(width):
    texts = [f"{name}: expires today; Alpaca takes orders until 15:15" for name in ("SPY", "QQQ", "IWM")]
    notices = [documents.notice(code="expiresToday", text=text) for text in texts]
    listed = documents.status(notices=[*notices, documents.notice(code="assignment", text="SPY was assigned")])
    first, second = lines(width, status=listed)[-2:]
    assert first.startswith("expiresToday: SPY: expires")
    assert first.endswith(", and 2 more")
    assert len(first) <= (width or 200)
    assert second == "assignment: SPY was assigned"


def test_among_several_notices_the_one_for_a_condor_still_taking_orders_is_shown():
    over, open_ = (documents.condor(name, daysToExpiration=0, expiry=expiry(until)) for name, until in UNTIL.items())
    notices = [
        documents.notice(code="expiresToday", text=text, condorId=condor)
        for text, condor in (("no condor", None), ("over", over["id"]), ("open", open_["id"]))
    ]
    shown = lines(condors=[over, open_], status=documents.status(notices=notices))
    assert shown[-1] == "expiresToday: open, and 2 more"


UNTIL = {"SPY-1": "2026-11-20T15:31:00Z", "SPY-2": "2026-11-20T15:32:00Z"}


def expiry(until):
    end = "2026-11-20T21:15:00Z"
    return {"lastTradingAt": end, "settlesAt": end, "cutoffs": [{"kind": "orders", "at": until, "source": "config"}]}


def test_a_notice_is_one_line_below_the_status():
    long = documents.notice(code="expired", text="still listed: " + "SPY261120P00500000, " * 9)
    status = documents.status(state="stale", reason="no data", notices=[documents.notice(text="not\x1bthese"), long])
    assert lines(80, status=status)[-3:] == [
        "stale for 1 min 9 s: no data",
        "notStreamed: not these",
        "expired: still listed: SPY261120P00500000, SPY261120P00500000 …",
    ]
    assert lines(status=status)[-1].startswith("expired: ")
    assert "…" not in lines(status=status)[-1]
    document = msgspec.convert(documents.document(status=status), wire.Document)
    assert not any("notStreamed" in line for line in document_lines(document, NOW, Screen(), OLD))


def test_an_underlying_without_a_condor_has_no_profit_of_condors():
    parts = [{"underlying": name, "unrealizedPl": 1, "dayPl": 2, "maxLoss": 9} for name in ("QQQ", "SPY")]
    assert lines(totals=documents.totals(byUnderlying=parts))[3:6] == [
        "UNDERLYING   PRICE   CHANGE  SHARES    P/L  TODAY   DELTA   THETA  MAX LOSS",
        "QQQ              —        —                             —       —      9.00",
        "SPY         582.10  +0.40 %     100  +1.00  +2.00  +96.80  +11.80      9.00  ex-dividend Dec 18: 1.97",
    ]


@pytest.mark.parametrize("rule", ["long-put-expiring", "ex-dividend"])
def test_where_the_loss_may_exceed_the_maximum_each_maximum_loss_is_noted(rule):
    shown = lines(alerts=[documents.alert(rule=rule, severity="warning", text="It may be more.")])
    assert shown[1].endswith("  1,530.00  loss may exceed the maximum")
    assert shown[4].endswith("  1,530.00  ex-dividend Dec 18: 1.97, loss may exceed the maximum")
    assert shown[6].endswith("max loss 1,530.00 or more")


@pytest.mark.parametrize(
    ("at", "text"),
    [
        ("20:14", ""),
        ("20:30", " (of which 2 take no orders)"),
        ("21:15", " (of which 1 expired, 1 takes no orders)"),
        ("21:30", " (of which 2 expired)"),
    ],
)
def test_the_total_for_closing_now_counts_the_condors_that_can_no_longer_be_closed(at, text):
    later = documents.expiry() | {"lastTradingAt": "2026-12-18T21:30:00Z"}
    held = [documents.condor("A"), documents.condor("B", expiry=later), documents.condor("C", expiry=None)]
    found = "\n".join(lines(condors=held, asOf=f"2026-12-18T{at}:00Z"))
    assert f" · closing now +202.00{text} · " in found


def test_an_alert_that_is_over_leaves_the_maximum_loss_as_it_is():
    over = documents.alert(rule="long-put-expiring", state="resolved", until=documents.AS_OF)
    assert not [line for line in lines(alerts=[over]) if "exceed" in line or "or more" in line]


def test_a_held_mark_is_noted_in_the_row_and_in_the_detail():
    _, put, call, _ = documents.symbols()
    quotes = [documents.quote(put, state="stub"), documents.quote(call, state="crossed")]
    note = "mark held: stub quote of SPY…P570 and crossed quote of SPY…C630"
    assert lines(quotes=quotes)[1].endswith(f"  {note}")
    assert note in detail_lines(quotes=quotes)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_columns_make_room_for_the_note_of_a_held_mark(width):
    quotes = [documents.quote(documents.symbols()[1], state="stub")]
    document = msgspec.convert(documents.document(quotes=quotes), wire.Document)
    assert "mark held" in document_lines(document, NOW, Screen(width=width))[1]


def test_a_stub_quote_without_an_earlier_mark_is_not_noted_as_held():
    quotes = [documents.quote(documents.symbols()[1], state="stub", mark=None)]
    assert "held" not in lines(quotes=quotes)[1]


def test_a_missing_ask_is_a_dash():
    quotes = [documents.quote(documents.symbols()[0], state="noAsk", ask=0, askSize=0, mark=None)]
    row = next(line for line in detail_lines(quotes=quotes) if line.startswith("SPY261218P00560000"))
    assert row.split()[6:9] == ["1.10", "—", "—"]
    assert row.endswith("no ask")


OLD = "not connected since 10:31:09 ET: no daemon; prices are old"


@pytest.mark.parametrize("width", [None, 80])
def test_during_an_outage_nothing_is_live_and_every_condor_is_old(width):
    document = msgspec.convert(documents.document(condors=[documents.condor(), unknown()]), wire.Document)
    shown = document_lines(document, NOW, Screen(width=width), OLD)
    assert OLD in shown
    assert not any("live" in line for line in shown)
    assert sum("  old" in line for line in shown) == 2
    detail = detail_lines(width, OLD, quotes=documents.document()["quotes"][1:])
    assert "old" in detail
    assert detail[-1] == OLD


def test_the_newest_message_can_be_a_quote():
    quotes = [documents.quote("A", time="2026-11-20T15:31:08Z"), documents.quote("B", time=None)]
    assert "newest message 1.0 s ago" in lines(quotes=quotes)[-1]
    stream = documents.status()["stream"] | {"lastMessageAt": None}
    assert "newest message never" in lines(quotes=[], status=documents.status(stream=stream))[-1]


@pytest.mark.parametrize("state", ["stale", "reconnecting", "halted"])
@pytest.mark.parametrize("width", [None, 100, 60])
def test_while_the_feed_is_not_live_every_number_is_marked_as_old_with_its_age(width, state):
    status = documents.status(state=state, code="silent", reason="no data")
    shown = lines(width, status=status, unmatched=[documents.unmatched()], quotes=[documents.quote("A")])
    text = " ".join(shown)
    assert re.search(r"SPY-261218-560-570-630-640 .* old\b", text)
    for mark in (" old, uncovered short", " P/L old, ex-dividend", " old, newest message 1.8 s ago"):
        assert mark in text
    assert "unconfirmed" not in text


@pytest.mark.parametrize("state", ["live", "closed"])
def test_while_the_feed_is_live_or_the_market_closed_nothing_is_marked_as_old(state):
    shown = lines(status=documents.status(state=state), unmatched=[documents.unmatched()])
    assert not re.search(r"\bold\b", "\n".join(shown))


def test_the_details_of_a_condor_say_that_the_feed_is_not_live_and_why():
    status = documents.status(state="stale", code="silent", reason="no data, and REST does not answer either")
    document = msgspec.convert(documents.document(status=status), wire.Document)
    shown = one_lines(document, document.condors[0].id, NOW, Screen(), "")
    assert "old" in shown
    assert shown[-1] == "stale for 1 min 9 s (silent): no data, and REST does not answer either"
    document = msgspec.convert(documents.document(status=documents.status(state="reconnecting")), wire.Document)
    assert one_lines(document, document.condors[0].id, NOW, Screen(), "")[-1] == "reconnecting for 1 min 9 s"


def test_faults_are_below_the_status():
    shown = lines(80, status=documents.status(state="halted", code="authFailed", reason="Alpaca refuses the key " * 4))
    assert shown[-4:] == [
        "halted · simulator indicative · newest message 1.8 s ago",
        "market open, closes 16:00 ET",
        "halted for 1 min 9 s (authFailed): Alpaca refuses the key Alpaca refuses the key",
        "Alpaca refuses the key Alpaca refuses the key",
    ]


WIDE = documents.condor("SPXW-261218-5600-5700-6300-6400", "SPXW", credit=-123.4567, maxLoss=1234567, brokenWing=True)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_wider_than_the_terminal(width):
    leg = documents.unmatched(symbol="X" * 21, problem="what Alpaca calls it cannot be read as an option " * 3)
    shown = lines(width, condors=[WIDE, unknown()], unmatched=[leg], status=documents.status(reason="because " * 40))
    odd = documents.condor(valuation=unknown()["valuation"], credit=-123.4567)
    detail = detail_lines(width, condors=[odd])
    assert max(map(len, shown + detail)) <= width


def test_gains_are_green_and_losses_red_on_a_terminal():
    document = documents.document(condors=[documents.condor(valuation=documents.valuation(unrealizedPl=-5))])
    shown = document_lines(msgspec.convert(document, wire.Document), NOW, Screen(colour=True))
    assert "\x1b[31m-5.00\x1b[0m" in shown[1]
    assert shown[-1].startswith("\x1b[32mlive\x1b[0m · ")


def test_a_loss_without_a_bound_is_unlimited_only_with_an_uncovered_call():
    parts = [{"underlying": "SPY", "unrealizedPl": 1, "dayPl": 2, "maxLoss": None}]
    totals = documents.totals(maxLoss=None, byUnderlying=parts)

    def losses(**leg):
        shown = lines(unmatched=[documents.unmatched(**leg)], totals=totals)
        row = next(line for line in shown if line.startswith("SPY  "))
        total = next(line for line in shown if ", max loss " in line)
        return [row.partition("  ex-dividend")[0].split()[-1], total.rpartition(", ")[2]]

    assert losses(right="call") == ["unlimited", "max loss unlimited"]
    assert losses(right="put") == losses(right="call", uncoveredShort=False) == ["—", "max loss —"]


def test_while_a_relay_has_lost_its_source_nothing_is_confirmed():
    lost = {
        **documents.status(),
        "state": "reconnecting",
        "code": "sourceLost",
        "reason": "relay-1 has lost its source",
    }
    shown = lines(status=lost)
    assert "price and quotes unconfirmed" in shown[1]
    assert [line for line in shown if " · unconfirmed · P/L " in line]
    assert not [line for line in lines() if "unconfirmed" in line]


def test_the_totals_name_the_unknown_part_of_todays_pl():
    unknown = documents.condor("A", valuation=documents.valuation("A", dayPl=None))
    two = {"condors": [unknown, documents.condor("B")], "totals": documents.totals(dayPl=None)}
    assert " · today — (unknown for 1 of 2 condors) · " in "\n".join(lines(**two))
    closed = {"condors": [documents.condor()], "totals": documents.totals(dayPl=None)}
    assert " · today — (unknown for what was closed today) · " in "\n".join(lines(**closed))
