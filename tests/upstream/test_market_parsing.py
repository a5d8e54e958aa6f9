import datetime as dt
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.dividend import Dividend
from condord.core.model.figures import OptionSnapshot
from condord.core.quote import Tick
from condord.core.underlying import Bar, IndexValue, StockTrade
from condord.upstream.interfaces import ClosePage
from condord.upstream.market_parsing import (
    day_closes,
    dividends,
    dividends_query,
    index_values,
    option_snapshots,
    stock_snapshots,
)

AT = dt.datetime(2026, 11, 20, 15, 30, 1, tzinfo=dt.UTC)
STOCK = {
    "latestTrade": {"t": "2026-11-20T15:30:00Z", "x": "V", "p": 582.11, "s": 100, "c": ["@"], "i": 1, "z": "B"},
    "latestQuote": {"t": "2026-11-20T15:30:01Z", "ax": "V", "ap": 582.12, "as": 3, "bx": "V", "bp": 582.1, "bs": 2},
    "minuteBar": None,
    "dailyBar": {"t": "2026-11-20T05:00:00Z", "o": 580, "h": 583, "l": 579.5, "c": 582.1, "v": 1000, "n": 9, "vw": 581},
    "prevDailyBar": {"t": "2026-11-19T05:00:00Z", "o": 578, "h": 581, "l": 577, "c": 579.8, "v": 1000, "n": 9},
}
OPTION = "NVDA260911C00217500"
SNAPSHOT = {
    "latestQuote": {"ap": 2.19, "as": 61, "bp": 2.13, "bs": 88, "c": " ", "t": "2026-11-20T15:30:01.253117578Z"},
    "impliedVolatility": 0.4372,
    "greeks": {"delta": 0.5315, "gamma": 0.0798, "rho": 0.0031, "theta": -1.0027, "vega": 0.0453},
}
PAID = {"symbol": "SPY", "ex_date": "2026-12-18", "rate": 1.97, "process_date": "2027-01-30"}


class RefusedRows(list):
    """Counts what cannot be read."""

    def __call__(self, kind):
        self.append(kind)


def stock(**changes):
    """The snapshot of SPY with changed parts, and what was refused."""
    refused = RefusedRows()
    (read,) = stock_snapshots({"SPY": STOCK | changes}, refused)
    return read, refused


class TestStocks:
    def test_a_snapshot_has_its_quote_its_trade_and_the_closes_by_day(self):
        read, refused = stock()
        assert read.quote == Tick(symbol="SPY", at=AT, bid=582.1, ask=582.12, bid_size=2, ask_size=3)
        assert read.trade == StockTrade(price_e4=5_821_100, at=AT - dt.timedelta(seconds=1))
        assert read.today == Bar(day=dt.date(2026, 11, 20), close_e4=5_821_000)
        assert read.before == Bar(day=dt.date(2026, 11, 19), close_e4=5_798_000)
        assert refused == []

    @pytest.mark.parametrize(
        ("at", "day"),
        [
            ("2026-11-20T05:00:00Z", dt.date(2026, 11, 20)),
            ("2026-07-20T04:00:00Z", dt.date(2026, 7, 20)),
            ("2026-07-20T00:00:00-04:00", dt.date(2026, 7, 20)),
        ],
    )
    def test_the_day_of_a_bar_is_the_date_at_the_exchange(self, at, day):
        assert stock(dailyBar={"t": at, "c": 1})[0].today.day == day

    def test_a_price_of_zero_is_not_a_bid_or_ask(self):
        read, refused = stock(latestQuote=STOCK["latestQuote"] | {"bp": 0, "bs": 0, "bx": " "})
        assert (read.quote.bid, read.quote.ask, refused) == (0.0, 582.12, [])

    @pytest.mark.parametrize(
        ("part", "field"),
        [("latestQuote", "quote"), ("latestTrade", "trade"), ("dailyBar", "today"), ("prevDailyBar", "before")],
    )
    def test_an_absent_part_is_none_and_costs_nothing(self, part, field):
        read, refused = stock(**{part: None})
        assert (getattr(read, field), refused) == (None, [])

    @pytest.mark.parametrize(
        ("part", "field", "bad"),
        [
            ("latestQuote", "quote", {"bp": -1, "ap": 1, "t": "2026-11-20T15:30:01Z"}),
            ("latestQuote", "quote", {"bp": 1, "ap": 1}),
            ("latestQuote", "quote", []),
            ("latestTrade", "trade", {"p": 0, "t": "2026-11-20T15:30:01Z"}),
            ("latestTrade", "trade", {"p": "many", "t": "2026-11-20T15:30:01Z"}),
            ("latestTrade", "trade", {"p": 1}),
            ("dailyBar", "today", {"c": float("nan"), "t": "2026-11-20T05:00:00Z"}),
            ("prevDailyBar", "before", "yesterday"),
        ],
    )
    def test_a_bad_part_is_counted_and_the_others_stay(self, part, field, bad):
        read, refused = stock(**{part: bad})
        parts = {"quote": read.quote, "trade": read.trade, "today": read.today, "before": read.before}
        assert [name for name, value in parts.items() if value is None] == [field]
        assert refused == ["stockSnapshotRow"]

    def test_a_row_that_cannot_be_read_is_skipped_and_the_others_are_read(self):
        refused = RefusedRows()
        read = stock_snapshots({"XXX": None, "QQQ": [], "": STOCK, "SPY": STOCK}, refused)
        assert [snapshot.symbol for snapshot in read] == ["SPY"]
        assert refused == ["stockSnapshotRow"] * 2

    def test_an_answer_that_is_not_a_map_is_refused(self):
        with pytest.raises(TypeError, match="list"):
            stock_snapshots([STOCK], RefusedRows())


class TestIndexes:
    def test_values_are_exact_and_have_their_time(self):
        values = {"SPX": {"t": "2026-11-20T15:30:01Z", "v": 6543.21}}
        assert index_values({"values": values}, RefusedRows()) == [IndexValue(symbol="SPX", value_e4=65_432_100, at=AT)]

    @pytest.mark.parametrize("row", [None, [], {"v": 1}, {"v": 0, "t": "2026-11-20T15:30:01Z"}, {"v": True, "t": 1}])
    def test_a_row_that_cannot_be_read_is_skipped_and_the_others_are_read(self, row):
        refused = RefusedRows()
        values = {"VIX": row, "SPX": {"t": "2026-11-20T15:30:01Z", "v": 1}}
        assert [value.symbol for value in index_values({"values": values}, refused)] == ["SPX"]
        assert refused == ["indexRow"]

    @pytest.mark.parametrize("answer", [[], {}, {"values": []}, None, "values"])
    def test_an_answer_without_a_map_of_values_is_refused(self, answer):
        with pytest.raises(TypeError, match="values"):
            index_values(answer, RefusedRows())


class TestOptions:
    def test_the_figures_have_the_time_of_the_quote(self):
        (read,) = option_snapshots({"snapshots": {OPTION: SNAPSHOT}}, RefusedRows())
        assert read == OptionSnapshot(
            symbol=OPTION,
            at=dt.datetime(2026, 11, 20, 15, 30, 1, 253118, tzinfo=dt.UTC),
            iv=0.4372,
            delta=0.5315,
            gamma=0.0798,
            theta=-1.0027,
            vega=0.0453,
        )

    def test_a_contract_without_figures_is_absent_and_nothing_is_wrong(self):
        refused = RefusedRows()
        snapshot = {"latestQuote": SNAPSHOT["latestQuote"], "greeks": None}
        assert option_snapshots({"snapshots": {OPTION: snapshot}}, refused) == []
        assert refused == []

    def test_figures_without_a_quote_have_no_time(self):
        (read,) = option_snapshots({"snapshots": {OPTION: {"impliedVolatility": 0.2}}}, RefusedRows())
        assert (read.at, read.iv, read.delta) == (None, 0.2, None)

    @pytest.mark.parametrize("greeks", [{"delta": "half"}, {"delta": float("inf"), "gamma": None}, [], 7])
    def test_bad_greeks_are_counted_and_the_volatility_stays(self, greeks):
        refused = RefusedRows()
        (read,) = option_snapshots({"snapshots": {OPTION: SNAPSHOT | {"greeks": greeks}}}, refused)
        assert read.iv == 0.4372
        assert (read.delta, read.vega) == (None, None)
        assert refused == ["optionSnapshotRow"]

    @pytest.mark.parametrize(("symbol", "row"), [("SPY", SNAPSHOT), ("", SNAPSHOT), (OPTION, None), (OPTION, [])])
    def test_a_row_that_cannot_be_read_is_skipped_and_the_others_are_read(self, symbol, row):
        refused = RefusedRows()
        other = "NVDA260911C00230000"
        read = option_snapshots({"snapshots": {symbol: row, other: SNAPSHOT}}, refused)
        assert [snapshot.symbol for snapshot in read] == [other]
        assert refused == ["optionSnapshotRow"]

    def test_an_answer_without_a_map_of_snapshots_is_refused(self):
        with pytest.raises(TypeError, match="snapshots"):
            option_snapshots({"snapshots": None}, RefusedRows())


class TestDividends:
    def test_the_query_names_symbols_kind_and_days(self):
        assert dividends_query(["QQQ", "SPY"], dt.date(2026, 11, 15), dt.date(2027, 2, 3)) == {
            "symbols": "QQQ,SPY",
            "types": "cash_dividend",
            "start": "2026-11-15",
            "end": "2027-02-03",
            "limit": "1000",
        }

    def test_dividends_are_by_ex_date_and_exact(self):
        rows = [PAID, PAID | {"symbol": "XLE", "ex_date": "2026-11-30", "rate": "0.123456"}]
        assert dividends({"corporate_actions": {"cash_dividends": rows}}, RefusedRows()) == [
            Dividend(symbol="XLE", ex_date=dt.date(2026, 11, 30), amount_e6=123_456, source="alpaca"),
            Dividend(symbol="SPY", ex_date=dt.date(2026, 12, 18), amount_e6=1_970_000, source="alpaca"),
        ]

    @pytest.mark.parametrize(
        "row", [None, {}, PAID | {"rate": 0}, PAID | {"rate": "x"}, PAID | {"ex_date": "soon"}, PAID | {"symbol": 7}]
    )
    def test_a_row_that_cannot_be_read_is_skipped_and_the_others_are_read(self, row):
        refused = RefusedRows()
        read = dividends({"corporate_actions": {"cash_dividends": [row, PAID]}}, refused)
        assert [dividend.symbol for dividend in read] == ["SPY"]
        assert refused == ["dividendRow"]

    def test_without_announcements_there_are_no_dividends(self):
        assert dividends({"corporate_actions": {}}, RefusedRows()) == []

    @pytest.mark.parametrize("answer", [[], {}, {"corporate_actions": []}])
    def test_an_answer_without_corporate_actions_is_refused(self, answer):
        with pytest.raises(TypeError, match="corporate actions"):
            dividends(answer, RefusedRows())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ODD = JSON | st.sampled_from(["NaN", "1e999999", "-0", "\ud800", "9999-12-31T23:59:59Z", "0" * 99, 1e300])


@st.composite
def with_other_values(draw, whole):
    """A good row of which any values are replaced, at any depth."""
    if not isinstance(whole, dict) or draw(st.integers(0, 9)) == 0:
        return draw(ODD) if draw(st.booleans()) else whole
    return {name: draw(with_other_values(value)) for name, value in whole.items() if draw(st.integers(0, 9))}


class TestAnyRow:
    """A faulty row does not stop the next one from being read, and each row that is read can be encoded."""

    @given(with_other_values(STOCK) | ODD)
    def test_a_snapshot_of_a_stock(self, row):
        read = stock_snapshots({"QQQ": row, "SPY": STOCK}, RefusedRows())
        assert read[-1] == stock()[0]
        msgspec.json.encode(read)
        for snapshot in read:
            assert snapshot.quote is None or snapshot.quote.is_sane
            assert all(bar is None or bar.close_e4 > 0 for bar in (snapshot.today, snapshot.before))

    @given(with_other_values({"t": "2026-11-20T15:30:01Z", "v": 6543.21}) | ODD)
    def test_a_value_of_an_index(self, row):
        read = index_values({"values": {"VIX": row, "SPX": {"t": "2026-11-20T15:30:01Z", "v": 1}}}, RefusedRows())
        assert (read[-1].symbol, all(value.value_e4 > 0 for value in read)) == ("SPX", True)
        msgspec.json.encode(read)

    @given(st.text(max_size=21) | st.just("SPY261218P00560000"), with_other_values(SNAPSHOT) | ODD)
    def test_a_snapshot_of_an_option(self, symbol, row):
        read = option_snapshots({"snapshots": {symbol: row, OPTION: SNAPSHOT}}, RefusedRows())
        assert read[-1].symbol == OPTION
        for snapshot in read:
            figures = (snapshot.iv, snapshot.delta, snapshot.gamma, snapshot.theta, snapshot.vega)
            assert json.loads(json.dumps(figures, allow_nan=False)) == list(figures)
            assert any(figure is not None for figure in figures)

    @given(with_other_values(PAID) | ODD)
    def test_a_dividend(self, row):
        refused = RefusedRows()
        read = dividends({"corporate_actions": {"cash_dividends": [row, PAID]}}, refused)
        assert len(read) + len(refused) == 2
        assert all(dividend.amount_e6 > 0 for dividend in read)
        msgspec.json.encode(read)


BAR_DAY = dt.date(2026, 11, 20)
DAY_BAR = {"t": "2026-11-20T05:00:00Z", "c": 582.1}


class TestDayCloses:
    def test_the_close_of_a_bar_belongs_to_the_day_in_new_york_that_its_time_begins(self):
        answer = {"bars": {"SPY": [DAY_BAR], "QQQ": None, "IWM": []}, "next_page_token": "abc"}
        read = day_closes(answer, [].append)
        assert read == ClosePage(closes_e4={("SPY", BAR_DAY): 5_821_000}, next_token="abc")

    @pytest.mark.parametrize("token", [None, "", 5, "x" * 1000, "line\nbreak"])
    def test_a_token_that_cannot_be_sent_ends_the_pages(self, token):
        assert day_closes({"bars": {}, "next_page_token": token}, [].append).next_token is None

    @pytest.mark.parametrize(
        "bars",
        [
            {"SPY": [None]},
            {"SPY": 5},
            {"": [DAY_BAR]},
            {"SPY": [{**DAY_BAR, "c": 0}]},
            {"SPY": [{**DAY_BAR, "c": "x"}]},
            {"SPY": [{**DAY_BAR, "t": 0}]},
        ],
    )
    def test_a_bar_that_cannot_be_read_is_counted_and_the_others_are_read(self, bars):
        refused = []
        read = day_closes({"bars": {**bars, "QQQ": [DAY_BAR]}}, refused.append)
        assert (list(read.closes_e4), refused) == ([("QQQ", BAR_DAY)], ["dayBarRow"])

    @pytest.mark.parametrize("answer", [None, [], {}, {"bars": []}])
    def test_an_answer_without_a_map_of_bars_is_a_type_error(self, answer):
        with pytest.raises(TypeError):
            day_closes(answer, [].append)

    @given(
        st.dictionaries(
            st.text(max_size=3),
            st.lists(
                st.none()
                | st.fixed_dictionaries(
                    {"t": st.text() | st.just("2026-11-20T05:00:00Z"), "c": st.floats() | st.text(max_size=3)}
                ),
                max_size=3,
            ),
            max_size=3,
        )
    )
    def test_each_bar_is_read_or_counted(self, bars):
        refused = []
        read = day_closes({"bars": bars}, refused.append)
        listed = [name for name, rows in bars.items() for _ in rows]
        assert len(refused) <= len(listed)
        assert len(refused) == len(listed) or read.closes_e4
