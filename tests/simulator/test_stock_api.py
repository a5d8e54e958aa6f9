import datetime as dt

import pytest

from tests.simulator.conftest import STARTED_AT

SNAPSHOTS = "/v2/stocks/snapshots"
INDEXES = "/v1beta1/indices/latest/values"


def snapshots(harness, symbols="SPY", feed="iex"):
    return harness.request(f"{SNAPSHOTS}?symbols={symbols}&feed={feed}").json


def days(harness):
    snapshot = snapshots(harness)["SPY"]
    return [snapshot[bar]["t"] for bar in ("dailyBar", "prevDailyBar")]


def test_snapshots_are_keyed_by_symbol_and_unknown_symbols_are_left_out(harness):
    answer = snapshots(harness, "SPY,AAPL,SPX,NONE")
    assert set(answer) == {"SPY", "AAPL"}
    for snapshot in answer.values():
        assert set(snapshot) == {"latestTrade", "latestQuote", "minuteBar", "dailyBar", "prevDailyBar"}
        quote = snapshot["latestQuote"]
        assert 0 < quote["bp"] < quote["ap"]
        assert set(snapshot["dailyBar"]) == {"t", "o", "h", "l", "c", "v", "n", "vw"}


def test_the_sip_feed_needs_the_plan(make_harness):
    response = make_harness().request(f"{SNAPSHOTS}?symbols=SPY&feed=sip")
    assert (response.status, response.json) == (
        403,
        {"message": "subscription does not permit querying recent SIP data"},
    )
    assert set(snapshots(make_harness(has_sip=True), feed="sip")) == {"SPY"}
    assert set(snapshots(make_harness(), feed="delayed_sip")) == {"SPY"}
    assert make_harness().request(f"{SNAPSHOTS}?symbols=SPY&feed=odd").status == 400


@pytest.mark.parametrize("path", [SNAPSHOTS, INDEXES])
def test_a_request_without_symbols_gets_400(make_harness, path):
    assert make_harness(has_index_values=True).request(path).status == 400


def test_a_side_that_is_missing_has_a_price_of_zero(harness):
    harness.post("quotes", {"quotes": [{"symbol": "SPY", "bp": 0, "ap": 0}], "pin": True})
    harness.tick(5)
    quote = snapshots(harness)["SPY"]["latestQuote"]
    assert (quote["bp"], quote["bs"], quote["ap"], quote["as"]) == (0, 0, 0, 0)
    harness.post("quotes", {"release": True})
    harness.tick(5)
    assert snapshots(harness)["SPY"]["latestQuote"]["bp"] > 0


def test_bars_cover_the_newest_session_and_the_one_before(harness):
    assert days(harness) == ["2026-11-20T05:00:00Z", "2026-11-19T05:00:00Z"]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-21T17:00:00Z", ["2026-11-20T05:00:00Z", "2026-11-19T05:00:00Z"]),  # Saturday
        ("2026-11-23T14:00:00Z", ["2026-11-20T05:00:00Z", "2026-11-19T05:00:00Z"]),  # before Monday's open
        ("2026-11-23T15:00:00Z", ["2026-11-23T05:00:00Z", "2026-11-20T05:00:00Z"]),
        ("2026-11-27T15:00:00Z", ["2026-11-27T05:00:00Z", "2026-11-25T05:00:00Z"]),  # after Thanksgiving
    ],
)
def test_bars_follow_the_exchanges_calendar(make_harness, at, expected):
    harness = make_harness("session")
    close = snapshots(harness)["SPY"]["dailyBar"]["c"]
    harness.post("market", {"at": at})
    harness.tick()
    assert days(harness) == expected
    if expected[0].startswith("2026-11-20"):
        assert snapshots(harness)["SPY"]["dailyBar"]["c"] == close
    else:
        assert snapshots(harness)["SPY"]["prevDailyBar"]["c"] == close


def test_before_the_open_the_price_is_the_opening_price(make_harness):
    harness = make_harness("day")
    before = snapshots(harness)["SPY"]
    harness.tick(1.05)
    after = snapshots(harness)["SPY"]
    assert after["prevDailyBar"]["c"] == before["dailyBar"]["c"]
    assert after["dailyBar"]["o"] == pytest.approx(before["latestTrade"]["p"], abs=0.05)


def test_closes_do_not_change_while_the_price_moves(harness):
    before = snapshots(harness)["SPY"]
    for _ in range(100):
        harness.tick(0.5)
    after = snapshots(harness)["SPY"]
    assert after["prevDailyBar"] == before["prevDailyBar"]
    assert after["latestQuote"] != before["latestQuote"]


def test_the_quote_is_around_the_price_from_which_options_are_valued(harness):
    for _ in range(20):
        harness.tick(0.5)
        quote = snapshots(harness)["SPY"]["latestQuote"]
        assert (quote["bp"] + quote["ap"]) / 2 == pytest.approx(harness.simulation.market.spot("SPY"), abs=0.1)


def test_index_values_need_the_grant(make_harness):
    response = make_harness().request(f"{INDEXES}?symbols=SPX")
    assert (response.status, response.json) == (403, {"message": "insufficient grants"})
    harness = make_harness("index", has_index_values=True)
    harness.tick(2)
    values = harness.request(f"{INDEXES}?symbols=SPX,XSP,VIX,SPY").json["values"]
    assert set(values) == {"SPX", "XSP"}
    assert values["SPX"]["v"] == harness.simulation.market.spot("SPX")
    assert values["XSP"]["v"] == pytest.approx(values["SPX"]["v"] / 10, abs=0.006)
    assert dt.datetime.fromisoformat(values["SPX"]["t"]) == STARTED_AT + dt.timedelta(seconds=2)


def test_the_time_of_an_index_value_stays_while_the_market_is_closed(make_harness):
    harness = make_harness("closed", has_index_values=True)
    started_at = harness.simulation.at(harness.now)
    harness.tick(600)
    value = harness.request(f"{INDEXES}?symbols=SPX").json["values"]["SPX"]
    assert dt.datetime.fromisoformat(value["t"]) == started_at


@pytest.mark.parametrize(("fault", "status"), [("rest-500", 500), ("rest-429", 429), ("rest-html", 200)])
def test_a_fault_can_name_one_source(harness, fault, status):
    harness.inject(fault, path=SNAPSHOTS)
    response = harness.request(f"{SNAPSHOTS}?symbols=SPY")
    assert response.status == status
    assert "html" in response.headers["content-type"] or status != 200
    options = harness.request("/v1beta1/options/snapshots?symbols=SPY261218C00740000")
    assert options.json["snapshots"]


BARS = "/v2/stocks/bars"


def bars(harness, query="symbols=SPY&start=2026-09-20", **options):
    answer = harness.request(f"{BARS}?timeframe=1Day&{query}", **options)
    assert answer.status == 200, answer.json
    return answer.json


def test_daily_bars_agree_with_the_snapshot(harness):
    snapshot = snapshots(harness)["SPY"]
    answer = bars(harness)
    assert answer["next_page_token"] is None
    *_, before, newest = answer["bars"]["SPY"]
    assert before == snapshot["prevDailyBar"]
    assert newest == snapshot["dailyBar"]
    harness.tick(120)
    assert bars(harness)["bars"]["SPY"][-1] == snapshots(harness)["SPY"]["dailyBar"] != newest


def test_daily_bars_cover_the_sessions_of_the_exchange(harness):
    dates = [row["t"][:10] for row in bars(harness)["bars"]["SPY"]]
    assert dates[0] == "2026-09-21"
    assert dates == sorted(set(dates))
    assert all(dt.date.fromisoformat(each).weekday() < 5 for each in dates)
    assert len(dates) == 45
    for row in bars(harness)["bars"]["SPY"]:
        assert row["l"] <= min(row["o"], row["c"], row["vw"]) <= max(row["o"], row["c"], row["vw"]) <= row["h"]
        assert row["v"] > row["n"] > 0


def test_daily_bars_are_found_by_their_date_in_new_york(harness):
    def days(query):
        return [row["t"] for row in bars(harness, f"symbols=SPY&{query}")["bars"].get("SPY", [])]

    assert days("start=2026-10-30&end=2026-11-02") == ["2026-10-30T04:00:00Z", "2026-11-02T05:00:00Z"]
    assert days("start=2026-10-30T04:00:01Z&end=2026-11-02T05:00:00Z") == ["2026-11-02T05:00:00Z"]
    assert days("start=2026-11-21&end=2026-11-30") == []
    assert days("") == ["2026-11-20T05:00:00Z"]
    assert days("start=2026-11-18&sort=desc")[0] == "2026-11-20T05:00:00Z"


def test_daily_bars_are_paged_by_symbol_and_day(harness):
    query = "symbols=SPY,AAPL,SPX,NONE&start=2026-11-01"
    whole = bars(harness, query)["bars"]
    assert list(whole) == ["AAPL", "SPY"]
    pages, token = [], ""
    while token is not None:
        answer = bars(harness, f"{query}&limit=4{token and f'&page_token={token}'}")
        token = answer["next_page_token"]
        pages += [(symbol, row) for symbol, rows in answer["bars"].items() for row in rows]
    assert pages == [(symbol, row) for symbol, rows in whole.items() for row in rows]


def test_the_bars_of_one_symbol_are_a_list(harness):
    answer = harness.request("/v2/stocks/SPY/bars?timeframe=1Day&start=2026-11-18").json
    assert answer == {
        "bars": bars(harness, "symbols=SPY&start=2026-11-18")["bars"]["SPY"], "symbol": "SPY", "next_page_token": None,
    }  # fmt: skip
    assert harness.request("/v2/stocks/NONE/bars?timeframe=1Day").json["bars"] is None
    assert harness.request("/v2/stocks/SPY/bars?timeframe=1Min").status == 400


def test_dividends_are_taken_out_of_adjusted_bars(make_harness):
    harness = make_harness()
    harness.post("corporate-actions", {"kind": "cash_dividend", "symbol": "SPY", "ex_date": "2026-11-10", "rate": 7.5})
    raw = {row["t"][:10]: row["c"] for row in bars(harness, "symbols=SPY&start=2026-11-02")["bars"]["SPY"]}
    for adjustment in ("all", "dividend", "split,dividend"):
        rows = bars(harness, f"symbols=SPY&start=2026-11-02&adjustment={adjustment}")["bars"]["SPY"]
        adjusted = {row["t"][:10]: row["c"] for row in rows}
        factor = 1 - 7.5 / raw["2026-11-09"]
        for day, close in raw.items():
            assert adjusted[day] == pytest.approx(close * (factor if day < "2026-11-10" else 1), abs=0.006)
    assert bars(harness, "symbols=SPY&start=2026-11-02&adjustment=split")["bars"]["SPY"][0]["c"] == raw["2026-11-02"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("timeframe=1Day", 400),
        ("symbols=SPY", 400),
        ("symbols=SPY&timeframe=1Min", 400),
        ("symbols=SPY&timeframe=1Day&adjustment=odd", 400),
        ("symbols=SPY&timeframe=1Day&sort=odd", 400),
        ("symbols=SPY&timeframe=1Day&feed=odd", 400),
        ("symbols=SPY&timeframe=1Day&start=never", 400),
        ("symbols=SPY&timeframe=1Day&limit=0", 400),
        ("symbols=SPY&timeframe=1Day&feed=sip", 403),
        ("symbols=SPY&timeframe=1Day&feed=sip&end=2026-11-19", 200),
    ],
)
def test_bars_that_cannot_be_served_are_refused(harness, query, status):
    assert harness.request(f"{BARS}?{query}").status == status


def test_a_session_that_ended_while_the_simulator_ran_keeps_its_bar(make_harness):
    harness = make_harness("session")
    harness.tick(60)
    harness.post("market", {"at": "2026-11-20T21:30:00Z"})
    friday = bars(harness)["bars"]["SPY"][-1]
    harness.post("market", {"at": "2026-11-23T15:30:00Z"})
    harness.tick(60)
    harness.post("market", {"at": "2026-11-24T15:30:00Z"})
    harness.tick(60)
    rows = bars(harness)["bars"]["SPY"]
    assert [row["t"][:10] for row in rows[-4:]] == ["2026-11-19", "2026-11-20", "2026-11-23", "2026-11-24"]
    assert rows[-3] == friday
    assert rows[-2:] == [snapshots(harness)["SPY"][bar] for bar in ("prevDailyBar", "dailyBar")]
