import datetime as dt

import msgspec
import pytest

from condord.cli.detail import condor_lines
from condord.cli.screen import Screen
from condord.live import wire
from tests.fakes import documents

NOW = dt.datetime(2026, 11, 20, 15, 31, 9, tzinfo=dt.UTC)


def lines(width=None, outage="", quotes=None, as_of=documents.AS_OF, alerts=(), **changes):
    condor = documents.condor(**changes)
    quotes = [documents.quote(symbol) for symbol in documents.symbols()] if quotes is None else quotes
    parts = documents.document(condors=[condor], quotes=quotes, asOf=as_of, alerts=list(alerts))
    document = msgspec.convert(parts, wire.Document)
    return condor_lines(document, document.condors[0], NOW, Screen(width=width), outage)


def fact(shown, name):
    """The lines of one fact, without its name."""
    start = next(at for at, line in enumerate(shown) if line.startswith(name))
    found = [shown[start][12:]]
    for line in shown[start + 1 :]:
        if not line.startswith(" " * 12):
            break
        found.append(line[12:])
    return found


@pytest.mark.parametrize(
    ("exits", "shown"),
    [
        ({"target": 235, "stop": -940}, "target +235.00, stop -940.00"),
        ({"target": 0, "stop": None}, "target 0.00"),
        ({"target": None, "stop": -918.5}, "stop -918.50"),
    ],
)
def test_exits_by_the_rules_in_force_are_shown(exits, shown):
    assert fact(lines(exits=exits), "exits") == [shown]


def test_without_exit_rules_there_is_no_line_of_exits():
    assert not [line for line in lines(exits={"target": None, "stop": None}) if line.startswith("exits")]


def test_one_condor_is_shown_in_detail():
    quotes = [documents.quote(symbol) for symbol in documents.symbols()[1:]]
    quotes[0] |= {"state": "zeroBid", "bid": 0, "unconfirmed": True}
    assert lines(quotes=quotes, closing=[documents.closing_order()]) == [
        "SPY-261218-560-570-630-640  short condor",
        "expires     Dec 18, 28 days",
        "            may be liquidated from Dec 18 15:15 ET",
        "            orders until Dec 18 15:30 ET",
        "            last trades Dec 18 16:15 ET",
        "quantity    2 x 100",
        "credit      2.35",
        "mark        1.20, close now 1.34",
        "P/L         +230.00, closing now +202.00",
        "            49 % of max profit",
        "            15 % of risk",
        "today       +18.50",
        "max profit  470.00, max loss 1,530.00",
        "breakevens  567.65 and 632.35",
        "underlying  SPY 582.10, expected move 29.14",
        "            12.10 (2.1 %, 0.42 sigma) from the put side",
        "            47.90 (8.2 %, 1.58 sigma) from the call side",
        "greeks      delta -3.20, gamma -0.41, theta +11.80 a day, vega -20.10",
        "probability 64.8 % profit, 61.0 % max profit, 24.5 % max loss",
        "            67.0 % touches the put side, 11.8 % the call side",
        "closing     order for 2 at 1.20, 49 % of max profit",
        "quoted      1.8 s ago",
        "",
        "LEG                 SIDE   STRIKE  RIGHT  QTY  ENTRY   BID   ASK  MARK     P/L      IV  DELTA",
        "SPY261218P00560000  long      560  put      2   1.21     —     —     —  +57.50  18.2 %  -0.12  no quote",
        "SPY261218P00570000  short     570  put      2   1.21  0.00  1.30  1.20  +57.50  18.2 %  -0.12  no bid, unconfirmed",
        "SPY261218C00630000  short     630  call     2   1.21  1.10  1.30  1.20  +57.50  18.2 %  -0.12",
        "SPY261218C00640000  long      640  call     2   1.21  1.10  1.30  1.20  +57.50  18.2 %  -0.12",
    ]


def test_on_the_last_day_each_cut_off_has_the_time_left_by_the_exchanges_clock():
    assert fact(lines(as_of="2026-12-18T20:20:00Z"), "expires")[1:] == [
        "may be liquidated at any time since Dec 18 15:15 ET, 5 min 0 s ago",
        "orders until Dec 18 15:30 ET, in 10 min 0 s",
        "last trades Dec 18 16:15 ET, in 55 min 0 s",
    ]


def test_an_expired_condor_awaits_settlement_and_shows_no_price_for_closing_it():
    shown = lines(as_of="2026-12-18T21:16:00Z", daysToExpiration=0, style="american")
    assert fact(shown, "expires")[0] == "Dec 18, expired, awaits settlement"
    assert not [line for line in shown if "close now" in line or "closing now" in line or "liquidated" in line]


def test_an_am_settled_condor_settles_at_the_opening_prices_of_the_next_day():
    expiry = {"lastTradingAt": "2026-12-17T21:15:00Z", "settlesAt": "2026-12-18T14:30:00Z", "cutoffs": []}
    assert fact(lines(expiry=expiry, settlement="am"), "expires")[1:] == [
        "last trades Dec 17 16:15 ET",
        "settles at the opening prices of Dec 18 09:30 ET",
    ]


def test_a_long_condor_has_a_debit_and_shows_the_prices_that_closing_brings():
    value = documents.valuation(mark=-2.5, natural=-2.25)
    order = documents.closing_order(limitPrice=-3, percentOfMaxProfit=None)
    shown = lines(direction="long", credit=-2.35, valuation=value, closing=[order])
    assert fact(shown, "debit") == ["2.35"]
    assert fact(shown, "mark") == ["2.50, close now 2.25"]
    assert fact(shown, "closing") == ["order for 2 at 3.00"]


def test_a_date_in_another_year_has_its_year():
    assert fact(lines(expiration="2027-01-15"), "expires")[0] == "Jan 15, 2027, 28 days"


def test_a_price_beyond_a_strike_is_described_as_beyond_it():
    distance = {"put": {"dollars": -2, "percent": -0.34, "sigmas": -0.07}, "call": {"dollars": 62}}
    shown = lines(risk=documents.risk(tested="put", breached=True, distance=distance))
    assert fact(shown, "underlying")[1:] == [
        "2.00 (0.34 %, 0.07 sigma) beyond the put side",
        "62.00 (—) from the call side",
    ]
    assert "put breached" in shown


def test_an_unknown_value_is_a_dash():
    unknown = dict.fromkeys(("price", "delta", "gamma", "theta", "vega", "expectedMove", "tested", "breached"))
    risk = documents.risk(**unknown, legs=[], distance={}, probabilities={}, missing=["price"])
    shown = lines(risk=risk, valuation=documents.valuation(dayPl=None), expiry=None)
    assert fact(shown, "expires") == ["Dec 18, 28 days"]
    assert fact(shown, "today") == ["—"]
    assert fact(shown, "underlying") == ["SPY —"]
    assert fact(shown, "greeks") == ["delta —, gamma —, theta — a day, vega —"]
    assert fact(shown, "probability") == [
        "— profit, — max profit, — max loss",
        "— touches the put side, — the call side",
    ]
    assert shown[-1].endswith("  +57.50   —      —")


def test_a_known_price_without_volatility_still_has_distances_in_dollars():
    distance = {"put": {"dollars": 12.1, "percent": 2.08}, "call": {}}
    shown = fact(lines(risk=documents.risk(expectedMove=None, distance=distance)), "underlying")
    assert shown == ["SPY 582.10, expected move —", "12.10 (2.1 %) from the put side", "— from the call side"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"quantity": 1, "percentOfMaxProfit": None}, "order for 1 at 1.20"),
        ({"limitPrice": None, "percentOfMaxProfit": None}, "order for 2 at the market"),
    ],
)
def test_a_working_order_is_described(changes, text):
    assert fact(lines(closing=[documents.closing_order(**changes)]), "closing") == [text]


def test_a_condor_without_working_orders_has_no_line_for_them():
    assert not any(line.startswith("closing") for line in lines())


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_wider_than_the_terminal(width):
    assert max(map(len, lines(width, closing=[documents.closing_order()]))) <= width


def test_during_an_outage_the_numbers_are_old():
    shown = lines(outage="not connected since 10:31:09 ET")
    assert "old" in shown
    assert shown[-1] == "not connected since 10:31:09 ET"


def test_no_figure_has_more_digits_than_are_known():
    distance = {"put": {"dollars": 15.625, "percent": 4.8}, "call": {"dollars": 62}}
    legs = [leg | {"delta": -0.0004} for leg in documents.risk()["legs"]]
    shown = lines(risk=documents.risk(distance=distance, legs=legs))
    assert fact(shown, "underlying")[1].startswith("15.62 (4.8 %) from the put side")
    assert [row.split()[-1] for row in shown if row.startswith("SPY2612")] == ["0.00"] * 4


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("long-put-expiring", "the loss may exceed it: Alpaca may sell the long put or not exercise it"),
        ("ex-dividend", "the loss may exceed it by the dividend: the short call may be exercised early"),
    ],
)
def test_where_the_loss_may_exceed_the_maximum_loss_the_reason_is_shown_below_it(rule, why):
    bound = "470.00, max loss 1,530.00"
    firing = documents.alert(rule=rule, severity="warning")
    assert fact(lines(alerts=[firing]), "max profit") == [bound, why]
    assert fact(lines(alerts=[firing | {"condorId": "QQQ-1"}]), "max profit") == [bound]
    assert fact(lines(alerts=[firing | {"state": "ended"}]), "max profit") == [bound]
    assert fact(lines(), "max profit") == [bound]
