import datetime as dt
import re

import msgspec
import pytest

from condord.cli.condor_rows import condor_rows
from condord.cli.screen import Screen
from condord.cli.view import DEFAULT
from condord.live import wire
from tests.fakes import documents

LONG_ID = "NVDA-270115-197.5-202.5-237.5-247.5"
BROKEN = documents.broken("SPY-261218-540-550-560-570", SPY261218P00540000=2, SPY261218P00550000=0)
BEYOND = {
    "put": {"dollars": -10.0, "percent": -4.6, "sigmas": -2.0},
    "call": {"dollars": 40.0, "percent": 18.0, "sigmas": 9.0},
}
TODAY = dt.date(2026, 11, 20)


def rows(width=None, *, colour=False, old=False, **changes):
    """The headings, and the lines of the condors in the order of urgency, each with those below it."""
    document = msgspec.convert(documents.document(**changes), wire.Document)
    found = condor_rows(document, DEFAULT.sorted(document), Screen(width=width, colour=colour), old=old)
    return [found.title, *(line for lines in found.rows for line in lines), *found.left_out]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_no_condor_takes_two_rows(width):
    long_note = documents.risk(LONG_ID, tested="call", breached=True, price=12345.67, delta=-1234.5, theta=-1234.5)
    value = documents.valuation(LONG_ID, unrealizedPl=-12345.5, dayPl=-1234.5, unconfirmed=True)
    held = [
        documents.condor(LONG_ID, risk=long_note, valuation=value, quantity=100, closing=[documents.closing_order()])
    ]
    shown = rows(width, condors=held, alerts=[documents.alert(condorId=LONG_ID)])
    assert shown[1].startswith(f"◆ {LONG_ID}")
    assert all(line.startswith("too narrow") for line in shown[2:3])
    assert "-12,345.50" in shown[1]
    assert max(map(len, shown)) <= width


def test_a_mark_shows_the_most_severe_alert_of_each_condor():
    held = [documents.condor(name) for name in ("A", "B", "C", "D")]
    alerts = [
        documents.alert(condorId="A", severity="info"),
        documents.alert(condorId="B", severity="warning", acknowledgedAt=documents.AS_OF),
        documents.alert(condorId="C", severity="critical"),
        documents.alert(condorId="C", severity="info"),
        documents.alert(condorId="D", severity="critical", state="resolved"),
    ]
    assert [line[:4] for line in rows(condors=held, alerts=alerts)[1:5]] == ["◆ C ", "■ B ", "● A ", "  D "]


@pytest.mark.parametrize("width", [None, 120, 80])
def test_a_broken_condor_is_a_row_titled_with_what_is_missing(width):
    shown = rows(width, broken=[BROKEN])
    assert shown[1].startswith(f"◆ {BROKEN['id']}  ")
    assert "  no put 500  " in shown[1]
    assert "  +15.00  " in shown[1]


def test_a_broken_condor_on_a_narrow_terminal_is_titled_too():
    first, second = rows(50, broken=[BROKEN])[1:3]
    assert first.startswith(f"◆ {BROKEN['id']}")
    assert "  582.10  " in second
    assert "  no put 500  " in second
    assert "+15.00" in second


def test_without_a_price_of_its_underlying_a_broken_condor_has_a_dash_there():
    assert "582.10" not in rows(underlyings=[], condors=[], broken=[BROKEN])[1]
    assert "  582.10  no put 500  " in rows(condors=[], broken=[BROKEN])[1]


@pytest.mark.parametrize("width", [None, 120])
def test_a_price_that_is_not_confirmed_is_shown_and_marked(width):
    held = documents.condor(risk=documents.risk(price=None, missing=["price"]))
    for broken in ([], [documents.broken(A=1)]):
        old = documents.underlying(unconfirmed=True, reason="stale")
        shown = rows(width, condors=[held], broken=broken, underlyings=[old])
        assert [" 582.10 " in line and line.endswith("  price unconfirmed") for line in shown[1 : 2 + len(broken)]] == [
            True
        ] * (1 + len(broken))
    gone = documents.underlying(price=None, reason="noQuote")
    assert "582.10" not in rows(width, condors=[held], underlyings=[gone])[1]


def test_on_the_last_day_a_broken_condor_has_the_time_left_for_orders_in_its_row():
    lost = BROKEN | {"daysToExpiration": 0}
    for time, left in (("19:55:00", "35 min"), ("20:30:00", "no orders")):
        shown = rows(condors=[], broken=[lost], asOf=f"2026-12-18T{time}Z")[1]
        assert f"  {left}  " in shown


def test_a_partly_lost_leg_and_an_uncovered_short_are_named():
    legs = documents.broken(A=1, B=0)
    assert "  no put 500, 1 of 2 put 500  " in rows(broken=[legs])[1]
    assert "  no put 500, no put 500 …  " in rows(broken=[documents.broken(A=0, B=0, C=0)])[1]
    assert "  short uncovered  " in rows(broken=[documents.broken(A=2)])[1]


LOST = documents.broken(LONG_ID, A=1, B=1, C=1, D=0) | {"daysToExpiration": 0}


@pytest.mark.parametrize(
    ("width", "text"),
    [(120, "no put 500, 1 of 2 put 500 …"), (80, "no put 500 …"), (70, "broken")],
)
def test_a_broken_condor_takes_one_row_and_names_as_many_legs_as_fit(width, text):
    shown = rows(width, condors=[], broken=[LOST], asOf="2026-12-18T20:30:00Z")
    assert f"  {text}  " in shown[1]
    assert "no orders" in shown[1]
    assert all(line.startswith("too narrow") for line in shown[2:3])
    assert max(map(len, shown)) <= width


def test_a_note_that_numbers_may_be_old_has_room_before_a_second_leg():
    quotes = [documents.quote("A", unconfirmed=True)]
    shown = rows(90, condors=[], broken=[documents.broken(LONG_ID, A=1, B=0)], quotes=quotes)
    assert "  no put 500 …  " in shown[1]
    assert shown[1].endswith("  unconfirmed")


@pytest.mark.parametrize(("width", "text"), [(50, "no put 500, 1 of 2 put 500 …"), (36, "no put 500 …")])
def test_a_broken_condor_below_its_name_names_as_many_legs_as_fit(width, text):
    shown = rows(width, condors=[], broken=[LOST])
    assert f"  {text}  " in shown[2]
    assert len(shown[2]) <= width


def test_while_nothing_fires_no_room_is_kept_for_marks():
    assert rows()[1].startswith(documents.CONDOR_ID)


def test_a_name_has_the_colour_of_its_mark():
    held = [documents.condor(daysToExpiration=3)]
    shown = rows(colour=True, alerts=[documents.alert()], condors=held, broken=[BROKEN])
    assert shown[2].startswith(f"\x1b[1;31m◆ {BROKEN['id']}\x1b[0m")
    assert "\x1b[1;31mno put 500\x1b[0m" in shown[2]
    assert shown[1].startswith(f"\x1b[1;31m◆ {documents.CONDOR_ID}\x1b[0m")


@pytest.mark.parametrize("width", [None, 80, 120])
def test_old_numbers_are_marked_in_every_row(width):
    shown = rows(width, old=True, condors=[documents.condor(LONG_ID)], broken=[BROKEN], alerts=[documents.alert()])
    assert [line.endswith("  old") for line in shown[1:3]] == [True, True]


def test_a_debit_and_the_prices_to_close_a_long_condor_have_no_sign():
    value = documents.valuation(mark=-6.125, natural=-5.8)
    row = rows(condors=[documents.condor(direction="long", credit=-6.45, valuation=value)])[1]
    assert "long condor" in row
    assert row.split()[8:10] == ["6.45", "debit"]
    assert row.split()[14:16] == ["6.125", "5.80"]


@pytest.mark.parametrize("width", [200, 120, 80, 50])
def test_on_expiration_day_the_time_left_for_orders_replaces_the_days(width):
    held = documents.condor(daysToExpiration=0)
    shown = rows(width, condors=[held], asOf="2026-12-18T19:55:00Z")
    assert re.search(r"\b35 min\b", shown[1])
    assert "today" not in shown[1]


@pytest.mark.parametrize("width", [None, 200, 150, 120, 80, 50])
def test_the_most_important_columns_are_never_left_out(width):
    """The owner must know the cut-off for orders, a breach, a lost leg, and that numbers may be old."""
    risk = documents.risk(LONG_ID, tested="put", breached=True, distance=BEYOND, price=12345.67)
    value = documents.valuation(LONG_ID, unrealizedPl=-12345.5, dayPl=-1234.5, unconfirmed=True)
    terms = {"risk": risk, "valuation": value, "underlying": "SPY", "daysToExpiration": 0, "brokenWing": True}
    held = [documents.condor(LONG_ID, closing=[documents.closing_order()], **terms)]
    price = documents.underlying(unconfirmed=True, reason="stale")
    shown = rows(width, condors=held, broken=[BROKEN], underlyings=[price], asOf="2026-12-18T20:31:00Z")
    row, lost = (" ".join(shown[at : at + (3 if width == 50 else 1)]) for at in condor_at(shown))
    assert "no orders" in row
    assert "put -4.6 %" in row
    assert "no put 500" in lost
    if width == 80:
        assert row.endswith("  old")
    else:
        assert "breached" in row
        assert "unconfirmed" in row
    assert not any("…" in line for line in shown)


def condor_at(shown):
    """The lines on which the condor with the longest name and the broken one begin."""
    return [next(at for at, line in enumerate(shown) if name in line) for name in (LONG_ID, BROKEN["id"])]


@pytest.mark.parametrize(
    ("width", "note"),
    [(200, "put breached"), (120, "put breached"), (100, "put breached"), (80, "put breached"), (77, "breached")],
)
def test_a_breach_is_named_beside_its_row(width, note):
    risk = documents.risk(LONG_ID, tested="put", breached=True, distance=BEYOND)
    assert rows(width, condors=[documents.condor(LONG_ID, risk=risk)])[1].endswith(f"  {note}")


def test_notes_without_room_are_named_below_the_table():
    held = [documents.condor(LONG_ID, ambiguous=True, brokenWing=True)]
    shown = rows(112, condors=held)
    assert shown[1].endswith("  broken wing")
    assert " ".join(shown[2:]).endswith(", some notes")


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_columns_go_before_a_loss_above_the_maximum_and_before_a_closing_order(width):
    risk = documents.risk(tested="put", breached=True, distance=BEYOND)
    value = documents.valuation(unrealizedPl=-1520.0, dayPl=-1534.5)
    terms = {"daysToExpiration": 0, "closing": [documents.closing_order()]}
    held = documents.condor(risk=risk, valuation=value, **terms)
    firing = documents.alert(rule="long-put-expiring")
    shown = rows(width, condors=[held], alerts=[firing], asOf="2026-12-18T20:31:00Z")
    if width == 80:
        assert shown[1].endswith("  may exceed max")
        assert shown[2] == "    closing order"
    else:
        assert re.search(r"  (put )?breached, (loss )?may exceed (the maximum|max), closing( order)?$", shown[1])
    assert max(map(len, shown)) <= width


def test_the_breach_stays_beside_the_row_while_a_longer_note_is_below_it():
    risk = documents.risk(LONG_ID, tested="put", breached=True, distance=BEYOND)
    held = documents.condor(LONG_ID, risk=risk, daysToExpiration=0)
    firing = documents.alert(rule="long-put-expiring", condorId=LONG_ID)
    _, row, below, *_ = rows(80, condors=[held], alerts=[firing], asOf="2026-12-18T20:11:00Z")
    assert row.endswith("  put breached")
    assert below == "    loss may exceed the maximum"


@pytest.mark.parametrize("width", [80, 120])
def test_columns_go_before_the_note_that_the_loss_may_exceed_the_maximum(width):
    title, row, *_ = rows(width, alerts=[documents.alert(rule="ex-dividend", severity="warning")])
    assert "loss may exceed" in row
    assert ("THETA" in title) == (width == 120)


def test_the_price_of_an_outage_is_named_as_unconfirmed():
    price = documents.underlying(unconfirmed=True, reason="unreachable")
    held = documents.condor(risk=documents.risk(tested="put"))
    assert rows(120, old=True, condors=[held], underlyings=[price])[1].endswith("  old, unconfirmed, put tested")


@pytest.mark.parametrize("width", range(24, 52, 2))
def test_details_without_room_in_the_line_above_the_numbers_are_named(width):
    _, above, _, *left_out = rows(width)
    named = " ".join(left_out).removeprefix("too narrow for ").split(", ")
    details = {"EXPIRES": "Dec 18", "KIND": "short condor", "IN": "28 days"}
    missing = [column for column, text in details.items() if text not in above]
    assert [column for column in named if column in details] == named[: len(missing)] == missing


def at_40_columns(*, days, at="2026-12-18T20:16:00Z", width=40):
    """The lines of a condor whose name leaves no room for the days, with the last orders at 15:30."""
    last = "2026-12-18T21:15:00Z"
    ending = {
        "lastTradingAt": last,
        "settlesAt": last,
        "cutoffs": [{"kind": "orders", "at": "2026-12-18T20:30:00Z", "source": "config"}],
    }
    held = [documents.condor(LONG_ID, daysToExpiration=days, expiry=ending), documents.condor(expiry=ending)]
    return rows(width, condors=held, asOf=at, alerts=[documents.alert(condorId=LONG_ID)])


def test_on_the_last_day_the_time_left_stays_on_the_narrowest_terminal():
    title, name, numbers, *_ = at_40_columns(days=0)
    assert title.split() == ["IN", "DISTANCE", "CLOSE", "P/L"]
    assert name == f"◆ {LONG_ID}"
    assert numbers.split() == ["14", "min", "put", "2.1", "%", "1.34", "+230.00"]
    narrower = at_40_columns(days=0, width=24)
    assert narrower[0].split() == ["IN", "P/L"]
    assert "DISTANCE" in " ".join(narrower[-4:])


@pytest.mark.parametrize("width", [80, 120, 200])
def test_an_expired_condor_awaits_settlement_and_cannot_be_closed(width):
    held = documents.condor(daysToExpiration=0, style="american")
    price = documents.underlying(price=558.0)
    title, row, *_ = rows(width, condors=[held], underlyings=[price], asOf="2026-12-18T21:15:00Z")
    assert "  expired  " in row
    assert "loss may exceed" in row
    assert "awaits settlement" in row or width == 80
    if "CLOSE" in title:
        assert row[title.index("CLOSE") :].split()[0] == "—"


def test_between_the_last_trade_and_the_settlement_at_the_open_that_is_noted():
    ending = {"lastTradingAt": "2026-12-17T21:15:00Z", "settlesAt": "2026-12-18T14:30:00Z", "cutoffs": []}
    held = documents.condor(daysToExpiration=1, style="european", settlement="am", expiry=ending)
    assert rows(condors=[held], asOf="2026-12-17T21:16:00Z")[1].endswith("  settles at the open")


@pytest.mark.parametrize("width", range(70, 130, 2))
def test_on_the_last_day_the_cost_of_closing_is_left_out_after_theta_and_the_shares_of_profit_and_today(width):
    held = [documents.condor(), documents.condor(LONG_ID, daysToExpiration=0)]
    title, *_ = rows(width, condors=held, asOf="2026-12-18T20:11:00Z")
    assert "CLOSE" in title or not {"THETA", "%MAX", "TODAY"} & {*title.split()}
    assert "CLOSE" in rows(120, condors=held, asOf="2026-12-18T20:11:00Z")[0]


def test_before_the_last_day_the_days_leave_a_narrow_terminal_before_the_distance():
    assert at_40_columns(days=28, at=documents.AS_OF)[0].split() == ["IN", "DISTANCE", "P/L", "TODAY", "%MAX"]
    shown = at_40_columns(days=28, at=documents.AS_OF, width=38)
    assert shown[0].split() == ["DISTANCE", "P/L", "TODAY", "%MAX"]
    assert " IN" in " ".join(shown[5:])
