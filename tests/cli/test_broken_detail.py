import msgspec
import pytest

from condord.cli.broken_detail import broken_lines
from condord.cli.screen import Screen
from condord.live import wire
from condord.live.lost_source import unconfirmed_if_lost
from tests.fakes import documents

PUT, CALL, WING = "SPY261218P00570000", "SPY261218C00630000", "SPY261218C00640000"


def leg(symbol, strike, side, held, quantity=2):
    right = "put" if "P" in symbol[3:] else "call"
    return {"symbol": symbol, "right": right, "strike": strike, "side": side, "quantity": quantity, "held": held}


def document(**changes):
    """A condor of quantity 2 that has no long put and one of its two long calls; four short calls are held."""
    legs = [
        leg("SPY261218P00560000", 560, "long", 0),
        leg(PUT, 570, "short", 2),
        leg(CALL, 630, "short", 2),
        leg(WING, 640, "long", 1),
    ]
    lost = documents.broken() | {"legs": legs, "missing": ["SPY261218P00560000", WING], "unrealizedPl": -45}
    entries = [
        documents.unmatched(
            PUT, strike=570, quantity=2, unrealizedPl=-51, averageEntryPrice=1.21, uncoveredShort=False
        ),
        documents.unmatched(CALL, right="call", strike=630, quantity=4, unrealizedPl=12.5, averageEntryPrice=0.9),
        documents.unmatched(WING, right="call", strike=640, side="long", quantity=1, uncoveredShort=False),
    ]
    parts = [{"underlying": "SPY", "unrealizedPl": None, "dayPl": None, "maxLoss": None}]
    quotes = [documents.quote(symbol) for symbol in (PUT, CALL, WING)]
    body = documents.document(
        condors=[], broken=[lost], unmatched=entries, quotes=quotes, totals=documents.totals(byUnderlying=parts)
    )
    return msgspec.convert(body | changes, wire.Document)


def lines(width=None, outage="", **changes):
    shown = unconfirmed_if_lost(document(**changes))
    return broken_lines(shown, shown.broken[0], Screen(width=width), outage)


def test_a_broken_condor_is_shown_with_what_is_missing_what_is_left_and_what_closes_it():
    assert lines() == [
        "SPY-261218-500-510-560-570  broken short condor",
        "broken      no put 560, 1 of 2 call 640, since 10:31 ET",
        "expires     Dec 18, 28 days",
        "            may be liquidated from Dec 18 15:15 ET",
        "            orders until Dec 18 15:30 ET",
        "            last trades Dec 18 16:15 ET",
        "quantity    2",
        "P/L         -45.00 of what is left",
        "max loss    unlimited, of all options on SPY",
        "underlying  SPY 582.10",
        "to close    a debit of 3.60 at mid",
        "            a debit of 4.10 at bid and ask",
        "            Buy to close 2 SPY Dec 18, 2026 570 put",
        "            Buy to close 2 SPY Dec 18, 2026 630 call",
        "            Sell to close 1 SPY Dec 18, 2026 640 call",
        "",
        "LEG                 SIDE   QTY  HELD  ENTRY   BID   ASK  MARK     P/L",
        "SPY261218P00560000  long     2     0      —     —     —     —       —",
        "SPY261218P00570000  short    2     2   1.21  1.10  1.30  1.20  -51.00",
        "SPY261218C00630000  short    2     2   0.90  1.10  1.30  1.20   +6.25  uncovered short",
        "SPY261218C00640000  long     2     1   1.09  1.10  1.30  1.20  +13.50",
    ]


def test_after_the_cut_off_the_closing_order_begins_with_the_time_since_which_no_orders_are_taken():
    before, after = ("\n".join(lines(asOf=f"2026-12-18T{time}Z")) for time in ("20:29:00", "20:35:00"))
    assert "orders until Dec 18 15:30 ET, in 1 min 0 s\n" in before
    assert "to close    a debit of 3.60 at mid\n" in before
    assert "no orders since Dec 18 15:30 ET, 5 min 0 s ago\n" in after
    assert "to close    Alpaca has taken no orders for it since 15:30 ET\n            a debit of 3.60 at mid\n" in after


def test_an_expired_one_awaits_settlement_and_shows_no_order_that_closes_it():
    shown = "\n".join(lines(asOf="2026-12-18T21:15:00Z"))
    assert "Dec 18, expired, awaits settlement\n" in shown
    assert "to close" not in shown
    assert "orders" not in shown


def test_a_price_or_an_entry_that_is_not_known_is_a_dash():
    shown = "\n".join(lines(quotes=[], underlyings=[], unmatched=[], totals=documents.totals(byUnderlying=[])))
    assert "max loss    —, of all options on SPY" in shown
    assert "underlying  SPY —" in shown
    assert "to close    — at mid\n            — at bid and ask" in shown
    assert "SPY261218P00570000  short    2     2      —    —    —     —    —  no quote" in shown


@pytest.mark.parametrize("code", ["sourceLost", None])
def test_quotes_that_may_be_old_are_marked(code):
    status = documents.status(state="reconnecting", code=code, reason="x") if code else documents.status()
    quotes = [documents.quote(PUT, unconfirmed=code is None, state="stub")]
    shown = lines(status=status, quotes=quotes)
    assert next(line for line in shown if "unconfirmed" in line and not line.startswith("SPY")).endswith(
        "quotes unconfirmed"
    )
    assert next(line for line in shown if line.startswith(PUT)).endswith("  stub quote, unconfirmed")


def test_without_a_connection_the_detail_is_marked_old():
    shown = lines(outage="not connected since 10:30")
    assert "old" in shown
    assert shown[-2:] == ["", "not connected since 10:30"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_detail_of_a_broken_condor_fits_a_terminal(width):
    assert max(map(len, lines(width))) <= width
