import datetime as dt
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.calendar import Calendar
from condord.core.quote import Tick
from condord.upstream import rest_parsing

SPREADS = [  # recorded: symbol, qty, side, avg_entry_price, cost_basis, current_price, market_value
    ("AMD270115P00460000", "1", "long", "38.15", "3815", "33.4", "3340"),
    ("AMD270115P00470000", "-1", "short", "41.55", "-4155", "39.55", "-3955"),
    ("NVDA260911C00240000", "1", "long", "0.02", "2", "0", "0"),
    ("NVDA260911P00230000", "-1", "short", "11.55", "-1155", "13.2", "-1320"),
    ("SPY261130P00706000", "1", "long", "7.4", "740", "6.21", "621"),
    ("SPY261130P00721000", "-1", "short", "9.41", "-941", "7.96", "-796"),
]


def row(
    symbol="SPY261130P00706000", qty="1", side="long", average="7.4", basis="740", current="6.21", value="621", **more
):
    return {
        "asset_class": "us_option",
        "asset_id": "00000000-0000-5000-8000-000000000000",
        "asset_marginable": True,
        "avg_entry_price": average,
        "change_today": "-0.05",
        "cost_basis": basis,
        "current_price": current,
        "exchange": "",
        "lastday_price": "6.5",
        "market_value": value,
        "qty": qty,
        "qty_available": qty,
        "side": side,
        "symbol": symbol,
        "unrealized_intraday_pl": "-29",
        "unrealized_intraday_plpc": "-0.04",
        "unrealized_pl": "-119",
        "unrealized_plpc": "-0.16",
        **more,
    }


STOCK = row("XLK", "-24", "short", "82.69", "-1984.56") | {"asset_class": "us_equity", "exchange": "ARCA"}


def refused(decode, *arguments):
    """Return the kinds that `decode` counts."""
    names = []
    decode(*arguments, names.append)
    return names


def positions(answer):
    return list(rest_parsing.holdings(answer, [].append).options)


def ticks(answer):
    return rest_parsing.ticks(answer, [].append)


def position_of(**fields):
    (position,) = positions([row() | fields])
    return position


class TestPositions:
    def test_recorded_rows_are_read_as_they_are(self):
        held = positions([row(*fields) for fields in SPREADS])
        assert [
            (position.symbol, position.quantity, position.average_entry_e4, position.cost_basis_e4, position.problem)
            for position in held
        ] == [
            ("AMD270115P00460000", 1, 381_500, 38_150_000, None),
            ("AMD270115P00470000", -1, 415_500, -41_550_000, None),
            ("NVDA260911C00240000", 1, 200, 20_000, None),
            ("NVDA260911P00230000", -1, 115_500, -11_550_000, None),
            ("SPY261130P00706000", 1, 74_000, 7_400_000, None),
            ("SPY261130P00721000", -1, 94_100, -9_410_000, None),
        ]

    def test_the_contract_is_read_from_the_symbol(self):
        position = position_of()
        assert (position.underlying, position.contract.strike_mills, position.multiplier) == ("SPY", 706_000, 100)
        assert position.multiplier_assumed

    def test_the_weekly_options_on_an_index_have_that_index_before_their_contract_is_read(self):
        position = position_of(symbol="SPXW261130P05600000")
        assert (position.underlying, position.contract.root) == ("SPX", "SPXW")

    def test_stocks_are_left_out(self):
        assert positions([STOCK]) == []

    @pytest.mark.parametrize("named", ["crypto", "crypto_perp", "treasury", "US_EQUITY"])
    def test_classes_that_hold_no_options_are_left_out(self, named):
        other = row("912797XX1") | {"asset_class": named, "exchange": "OPRA"}
        assert [position.symbol for position in positions([row(), other])] == ["SPY261130P00706000"]
        assert refused(rest_parsing.holdings, [other]) == []

    @pytest.mark.parametrize("named", [None, "", 5, ["us_equity"], "us_option_flex", "crypto", "us_equity"])
    def test_a_row_with_the_symbol_of_an_option_is_one_whatever_its_class(self, named):
        (position,) = positions([row() | {"asset_class": named}])
        assert (position.symbol, position.quantity, position.problem) == ("SPY261130P00706000", 1, None)

    @pytest.mark.parametrize("named", [None, "", 5, ["us_equity"], "us_exotic", "us_option"])
    def test_a_symbol_that_cannot_be_parsed_is_a_position_with_a_problem_whatever_its_class(self, named):
        held = positions([row(), STOCK | {"asset_class": named}])
        assert [position.symbol for position in held] == ["SPY261130P00706000", "XLK"]
        assert held[1].problem
        assert held[1].contract is None

    @pytest.mark.parametrize("junk", [None, "row", 3, [], ["us_option"]])
    def test_an_element_that_is_not_a_row_costs_only_itself(self, junk):
        assert len(positions([junk, row()])) == 1
        assert refused(rest_parsing.holdings, [junk, row(), junk]) == ["positionRow", "positionRow"]

    @pytest.mark.parametrize("named", [None, "", 5, [], "\ud800"])
    def test_a_row_that_names_neither_class_nor_symbol_is_counted(self, named):
        assert refused(rest_parsing.holdings, [{"asset_class": named, "symbol": named}]) == ["positionRow"]

    def test_readable_rows_are_not_counted(self):
        assert refused(rest_parsing.holdings, [row(), STOCK, STOCK | {"asset_class": None}, row(symbol=None)]) == []

    @pytest.mark.parametrize("answer", [None, {}, "", 3, {"message": "no"}, True])
    def test_an_answer_that_is_not_a_list_is_refused(self, answer):
        with pytest.raises(TypeError, match="not as a list"):
            positions(answer)

    def test_no_positions_are_an_answer_too(self):
        assert positions([]) == []

    @pytest.mark.parametrize("symbol", ["SPY", "SPY26113XP00706000", "SPY261130P00000000", "", None, 5])
    def test_a_symbol_that_cannot_be_parsed_is_kept_with_a_problem(self, symbol):
        position = position_of(symbol=symbol)
        assert (position.symbol, position.contract, position.quantity) == (str(symbol), None, 1)
        assert "is not an option symbol" in position.problem

    @pytest.mark.parametrize(
        ("symbol", "shown"),
        [
            ("S" * 1000, "S" * 64),
            ("SPY\x00\ud800", "'SPY\\x00\\ud800'"),
            (["SPY"], "a value of type list"),
            (1e999, "inf"),
        ],
    )
    def test_a_symbol_is_shown_so_that_any_reader_can_take_it(self, symbol, shown):
        position = position_of(symbol=symbol, qty=symbol)
        assert position.symbol == shown
        assert len(msgspec.json.encode(position)) < 1000

    def test_a_row_with_endless_nesting_costs_only_itself(self):
        deep = []
        for _ in range(10_000):
            deep = [deep]
        held = positions([dict.fromkeys(row(), deep) | {"asset_class": "us_option"}, row()])
        assert [bool(position.problem) for position in held] == [True, False]

    def test_a_padded_symbol_is_shown_compact(self):
        assert position_of(symbol="SPY   261130P00706000").symbol == "SPY261130P00706000"

    def test_null_values_leave_only_their_own_fields_unknown(self):
        position = position_of(
            market_value=None, current_price=None, lastday_price=None, change_today=None, unrealized_pl=None
        )
        assert position == position_of()

    def test_a_missing_cost_basis_waits_for_the_multiplier(self):
        position = position_of(cost_basis=None, qty="-2", side="short", avg_entry_price="1.5")
        assert (position.average_entry_e4, position.cost_basis_e4, position.problem) == (15_000, None, None)

    def test_a_missing_cost_is_a_problem(self):
        position = position_of(cost_basis=None, avg_entry_price=None)
        assert (position.cost_basis_e4, position.average_entry_e4) == (None, None)
        assert "no cost basis" in position.problem

    def test_an_average_that_does_not_terminate_does_not_move_the_cost(self):
        position = position_of(qty="3", avg_entry_price="1.666666666666666666666667", cost_basis="500")
        assert (position.average_entry_e4, position.cost_basis_e4, position.problem) == (16_667, 5_000_000, None)

    def test_numbers_are_read_as_well_as_strings(self):
        assert position_of(qty=1, avg_entry_price=7.4, cost_basis=740).cost_basis_e4 == 7_400_000

    def test_a_cost_basis_is_taken_as_it_is(self):
        position = position_of(cost_basis="7.4")
        assert (position.cost_basis_e4, position.problem) == (74_000, None)

    @pytest.mark.parametrize(
        ("qty", "side", "quantity"), [("2", "short", -2), ("-2", "long", 2), ("-2", "short", -2), ("2", "long", 2)]
    )
    def test_the_side_gives_the_sign(self, qty, side, quantity):
        assert position_of(qty=qty, side=side).quantity == quantity

    @pytest.mark.parametrize(("qty", "side"), [("2", "short"), ("-2", "long")])
    def test_a_quantity_and_a_side_that_disagree_are_a_problem(self, qty, side):
        assert "disagree" in position_of(qty=qty, side=side, cost_basis="1480").problem

    def test_the_cost_has_the_sign_of_the_quantity(self):
        assert position_of(qty="1", side="short", cost_basis="740").cost_basis_e4 == -7_400_000

    @pytest.mark.parametrize("side", [None, "both", ""])
    def test_without_a_side_the_quantity_gives_the_sign(self, side):
        assert position_of(qty="-3", side=side).quantity == -3

    @pytest.mark.parametrize(
        "qty", [None, "", "two", "0.5", "NaN", "Infinity", "1e13", True, [], "1e1000000", "1e-1000000"]
    )
    def test_a_quantity_that_is_not_a_number_of_contracts_is_a_problem(self, qty):
        position = position_of(qty=qty)
        assert position.quantity is None
        assert "not a whole number of contracts" in position.problem

    @pytest.mark.parametrize("price", ["NaN", "sNaN", "-Infinity", "1e1000000", "9" * 40, "1e999999999999999999"])
    def test_a_price_that_is_not_finite_or_absurdly_large_is_unknown(self, price):
        position = position_of(avg_entry_price=price, cost_basis=price)
        assert (position.average_entry_e4, position.cost_basis_e4) == (None, None)

    def test_a_contract_listed_twice_is_held_once_with_a_problem(self):
        (position,) = positions([row(), row(qty="2", basis="1480")])
        assert (position.quantity, position.cost_basis_e4, position.average_entry_e4) == (3, 22_200_000, None)
        assert "twice" in position.problem

    def test_a_contract_listed_twice_with_an_unknown_part_is_unknown(self):
        (position,) = positions([row(), row(qty=None)])
        assert position.quantity is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NUMBERS = st.decimals().map(str) | st.sampled_from(["1", "-1", "0", "", "1e999999", "1e1000000", "-0"])
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "asset_class": st.sampled_from(["us_option", "us_equity", None]) | JSON,
        "symbol": st.sampled_from(["SPY261130P00706000", "SPY"]) | JSON,
        "qty": NUMBERS | JSON,
        "side": st.sampled_from(["long", "short"]) | JSON,
        "avg_entry_price": NUMBERS | JSON,
        "cost_basis": NUMBERS | JSON,
    },
)
QUOTES = st.fixed_dictionaries(
    {},
    optional={
        "t": st.datetimes().map(str) | JSON,
        "bp": JSON,
        "ap": JSON,
        "bs": JSON,
        "as": JSON,
        "S": JSON,
        "T": JSON,
    },
)


class TestAnyJson:
    @pytest.mark.slow
    @given(JSON)
    def test_positions_raise_a_type_error_or_nothing(self, answer):
        if isinstance(answer, list):
            positions(answer)
        else:
            with pytest.raises(TypeError):
                positions(answer)

    @pytest.mark.slow
    @given(st.lists(ROWS | JSON, max_size=4))
    def test_rows_never_raise(self, answer):
        held = positions(answer)
        assert len({position.symbol for position in held}) == len(held)
        assert all(position.quantity is None or isinstance(position.quantity, int) for position in held)
        assert all(position.contract is not None or position.problem for position in held)

    @pytest.mark.slow
    @given(st.dictionaries(st.text(max_size=4), QUOTES | JSON, max_size=4) | JSON)
    def test_every_quote_is_read_or_counted_and_only_a_map_has_quotes(self, quotes):
        names = []
        try:
            read = rest_parsing.ticks({"quotes": quotes}, names.append)
        except TypeError:
            assert not isinstance(quotes, dict)
        else:
            assert len(read) + len(names) == len(quotes)
            assert all(tick.at.tzinfo is dt.UTC for tick in read)

    @pytest.mark.slow
    @given(st.dictionaries(st.sampled_from(["is_open", "next_open", "next_close", "timestamp"]), JSON) | JSON)
    def test_a_clock_raises_a_validation_error_or_nothing(self, answer):
        with pytest.raises(msgspec.ValidationError):
            rest_parsing.clock(answer, dt.datetime.now(dt.UTC))


class TestQuotes:
    RECORDED = json.loads(
        '{"quotes":{"NVDA260911C00205000":{"ap":13.11,"as":78,"ax":"S","bp":13.06,"bs":26,"bx":"C","c":"A",'
        '"t":"2026-09-10T19:06:18.756509354Z"}}}'
    )

    def test_a_recorded_quote_is_read(self):
        at = dt.datetime(2026, 9, 10, 19, 6, 18, 756509, tzinfo=dt.UTC)
        assert ticks(self.RECORDED) == [
            Tick(symbol="NVDA260911C00205000", at=at, bid=13.06, ask=13.11, bid_size=26, ask_size=78)
        ]

    @pytest.mark.parametrize("fraction", ["", ".7", ".75", ".756509354"])
    def test_a_second_may_have_any_number_of_digits(self, fraction):
        (tick,) = ticks({"quotes": {"A": {"t": f"2026-09-10T19:06:18{fraction}Z", "bp": 1, "ap": 2}}})
        assert tick.at.replace(microsecond=0) == dt.datetime(2026, 9, 10, 19, 6, 18, tzinfo=dt.UTC)

    def test_no_bid_is_zero(self):
        quote = {"t": "2026-09-10T19:06:18Z", "bp": 0, "bs": 0, "bx": "?", "ap": 0.05, "as": 9}
        (tick,) = ticks({"quotes": {"A": quote}})
        assert (tick.bid, tick.ask) == (0.0, 0.05)

    @pytest.mark.parametrize(
        "bad",
        [
            None,
            [],
            {},
            {"t": "2026-09-10T19:06:18Z", "bp": None, "ap": 1},
            {"t": None, "bp": 1, "ap": 1},
            {"t": "2026-09-10T19:06:18", "bp": 1, "ap": 1},
            {"t": "0001-01-01T00:00:00+05:00", "bp": 1, "ap": 1},
            {"t": "9999-12-31T23:59:59Z", "bp": 1, "ap": 1},
            {"t": "2026-09-10T19:06:18Z", "bp": "NaN", "ap": 1},
        ],
        ids=[
            *("null", "list", "empty", "null price", "no time", "time without a zone", "before time", "after time"),
            "NaN",
        ],
    )
    def test_a_quote_that_cannot_be_read_is_left_out_and_counted(self, bad):
        answer = {"quotes": {"BAD": bad, **self.RECORDED["quotes"]}}
        assert [tick.symbol for tick in ticks(answer)] == ["NVDA260911C00205000"]
        assert refused(rest_parsing.ticks, answer) == ["quoteRow"]

    @pytest.mark.parametrize("symbol", ["", "\ud800", "A\x00"])
    def test_a_symbol_that_cannot_be_shown_is_none(self, symbol):
        quote = self.RECORDED["quotes"]["NVDA260911C00205000"]
        assert refused(rest_parsing.ticks, {"quotes": {symbol: quote}}) == ["quoteRow"]

    @pytest.mark.parametrize("answer", [None, [], "", {}, {"message": "no"}, {"quotes": None}, {"quotes": []}])
    def test_an_answer_that_is_not_a_map_is_refused(self, answer):
        with pytest.raises(TypeError, match="not in a map"):
            ticks(answer)


HOURS = {
    "is_open": True,
    "next_close": "2025-06-24T16:00:00-04:00",
    "next_open": "2025-06-25T09:30:00-04:00",
    "timestamp": "2025-06-24T14:15:22-04:00",
}


class TestClock:
    def test_the_documented_clock_is_read_as_utc(self):
        clock = rest_parsing.clock(HOURS, dt.datetime(2025, 6, 24, 18, 15, 22, tzinfo=dt.UTC))
        assert clock.is_open
        assert clock.next_close == dt.datetime(2025, 6, 24, 20, 0, tzinfo=dt.UTC)
        assert clock.next_open.utcoffset() == dt.timedelta()
        assert clock.offset == dt.timedelta()

    def test_a_machine_that_runs_behind_is_noticed(self):
        clock = rest_parsing.clock(HOURS, dt.datetime(2025, 6, 24, 18, 15, 12, tzinfo=dt.UTC))
        assert clock.offset == dt.timedelta(seconds=10)

    @pytest.mark.parametrize("field", list(HOURS))
    @pytest.mark.parametrize(
        "value", [None, "soon", 5, "2025-06-24T16:00:00", "0001-01-01T00:00:00+05:00", "9999-12-31T00:00:00Z"]
    )
    def test_a_field_that_cannot_be_read_is_refused(self, field, value):
        with pytest.raises(msgspec.ValidationError):
            rest_parsing.clock(HOURS | {field: value}, dt.datetime.now(dt.UTC))


class TestCloses:
    """The closes of the session before, which a position does not contain."""

    @pytest.mark.parametrize(
        ("price", "closes_e4"),
        [("9.41", 94_100), ("0", 0), (0.0035, 35), (None, None), ("", None), ("-1", None), ("NaN", None), ([], None)],
    )
    def test_an_option_has_the_close_that_alpaca_gives(self, price, closes_e4):
        symbol = row()["symbol"]
        held = rest_parsing.holdings([row(lastday_price=price), STOCK | {"lastday_price": "82"}], [].append)
        assert held.closes_e4 == ({} if closes_e4 is None else {symbol: closes_e4})

    def test_a_changed_close_does_not_change_a_position(self):
        first, second = (positions([row(lastday_price=price)]) for price in ("1", "2"))
        assert first == second


class TestDates:
    @pytest.mark.parametrize("value", [None, "", "soon", "2026-13-01", "0001-01-01", 20261218, ["2026-12-18"]])
    def test_anything_other_than_a_date_is_none(self, value):
        assert rest_parsing.date_of(value) is None

    def test_a_date_is_read(self):
        assert rest_parsing.date_of("2026-12-18") == dt.date(2026, 12, 18)


class TestStocks:
    @pytest.mark.parametrize(
        ("row", "stocks"),
        [
            ({"asset_class": "us_equity", "symbol": "SPY", "qty": "200", "side": "long"}, {"SPY": 200}),
            ({"asset_class": "us_equity", "symbol": "SPY", "qty": "-200", "side": "short"}, {"SPY": -200}),
            ({"asset_class": "us_equity", "symbol": "SPY", "qty": "200", "side": "short"}, {"SPY": -200}),
            ({"asset_class": "us_equity", "symbol": "SPY", "qty": "0.5", "side": "long"}, {"SPY": 0}),
            ({"asset_class": "us_equity", "symbol": "SPY", "qty": None}, {}),
            ({"asset_class": "crypto", "symbol": "BTCUSD", "qty": "1"}, {}),
        ],
    )
    def test_only_stocks_become_signed_shares_by_symbol(self, row, stocks):
        assert rest_parsing.holdings([row, "nonsense"], [].append).stocks == stocks

    @pytest.mark.parametrize("fields", [{"qty": None}, {"qty": "NaN"}, {"qty": "1e999999"}, {"symbol": None}])
    def test_a_stock_that_cannot_be_read_is_counted(self, fields):
        assert refused(rest_parsing.holdings, [STOCK | fields]) == ["stockRow"]


class TestCalendar:
    DAYS = (
        {"date": "2026-11-25", "open": "09:30", "close": "16:00", "session_open": "0400"},
        {"date": "2026-11-27", "open": "09:30", "close": "13:00"},
    )
    START, END = dt.date(2026, 11, 1), dt.date(2026, 12, 31)

    def read(self, answer, refuse=None):
        return rest_parsing.calendar(answer, self.START, self.END, refuse or [].append)

    def test_the_sessions_are_by_day(self):
        sessions = self.read(list(reversed(self.DAYS))).sessions
        assert [(day.day, hours.close_at) for day, hours in sessions.items()] == [
            (25, dt.datetime(2026, 11, 25, 21, 0, tzinfo=dt.UTC)),
            (27, dt.datetime(2026, 11, 27, 18, 0, tzinfo=dt.UTC)),
        ]

    def test_days_that_were_not_requested_are_left_out(self):
        others = [{"date": day, "open": "09:30", "close": "16:00"} for day in ("1970-01-02", "2999-12-31")]
        assert self.read([*self.DAYS, *others]) == self.read(list(self.DAYS))

    def test_a_calendar_without_a_day_knows_no_session(self):
        assert self.read([]) == Calendar()

    @pytest.mark.parametrize("close", ["25:00", "4 pm", None, "٠٩:30"])
    def test_a_day_whose_hours_cannot_be_read_is_a_regular_session_and_counted(self, close):
        names = []
        found = self.read([self.DAYS[0], {**self.DAYS[1], "close": close}], names.append)
        assert found.on(dt.date(2026, 11, 27)).close_at == dt.datetime(2026, 11, 27, 21, 0, tzinfo=dt.UTC)
        assert names == ["calendarRow"]

    @pytest.mark.parametrize("junk", [None, "2026-11-27", [], {}, {"date": "soon"}, {"date": 5}])
    def test_a_row_without_a_day_is_left_out_and_counted(self, junk):
        names = []
        assert self.read([junk, *self.DAYS], names.append) == self.read(list(self.DAYS))
        assert names == ["calendarRow"]

    def test_a_calendar_without_a_day_that_can_be_read_is_refused(self):
        with pytest.raises(ValueError, match="no day"):
            self.read([None, {}])

    @pytest.mark.parametrize("answer", [None, {}, "", 3])
    def test_a_calendar_that_is_not_a_list_is_refused(self, answer):
        with pytest.raises(TypeError, match="not as a list"):
            self.read(answer)
