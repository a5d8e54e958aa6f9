import asyncio
import datetime as dt
import gzip
import json
import logging

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from condord.core.position import Contract
from condord.upstream.interfaces import Login
from condord.upstream.rest_fault import RestFault
from tests.fakes.alpaca import KEY_ID, LOGIN, SECRET_KEY
from tests.fakes.rest import Answer, Late, Raw, Stall
from tests.upstream.rest_harness import (
    ACCOUNT,
    ACTIONS,
    ACTIVITIES,
    BARS,
    CALENDAR,
    CLOCK,
    CONTRACT,
    HOURS,
    HTML,
    INDEXES,
    MINI,
    NOW_AT,
    ORDERS,
    POSITIONS,
    QUOTE,
    QUOTES,
    ROW,
    SNAPSHOTS,
    STOCKS,
    SYMBOL,
    TREASURY,
)


class TestAnswers:
    def test_an_unreadable_row_does_not_affect_the_other_positions(self, server, harness):
        server.script[POSITIONS] = [Answer([TREASURY, ROW])]
        (position,) = asyncio.run(harness().rest.holdings()).options
        assert (position.symbol, position.quantity, position.cost_basis_e4) == ("SPY261130P00721000", -1, -9_410_000)

    def test_the_clock_is_read(self, harness):
        clock = asyncio.run(harness().rest.clock())
        assert (clock.is_open, clock.offset) == (True, dt.timedelta())

    def test_quotes_are_read(self, harness):
        (tick,) = asyncio.run(harness().quotes(["NVDA260911C00205000"]))
        assert (tick.symbol, tick.bid, tick.ask_size) == ("NVDA260911C00205000", 13.06, 78.0)

    def test_quotes_come_from_the_configured_feed(self, server, harness):
        asyncio.run(harness(feed="opra").quotes())
        assert server.asked[0][1]["feed"] == "opra"

    def test_symbols_never_quoted_are_left_out(self, server, harness):
        server.script[QUOTES] = [Answer({"quotes": {"B": QUOTE}})]
        assert [tick.symbol for tick in asyncio.run(harness().quotes(["A", "B"]))] == ["B"]

    @pytest.mark.parametrize(
        ("count", "sizes"), [(0, []), (1, [1]), (100, [100]), (101, [1, 100]), (250, [50, 100, 100])]
    )
    def test_a_request_names_a_hundred_symbols_at_most(self, server, harness, count, sizes):
        symbols = [f"S{number}" for number in range(count)]
        ticks = asyncio.run(harness().quotes(symbols))
        assert sorted(tick.symbol for tick in ticks) == sorted(symbols)
        assert sorted(len(query["symbols"].split(",")) for _, query, _ in server.asked) == sizes

    def test_the_key_goes_in_the_headers(self, server, harness):
        asyncio.run(harness().rest.holdings())
        headers = server.asked[0][2]
        assert (headers["APCA-API-KEY-ID"], headers["APCA-API-SECRET-KEY"]) == (KEY_ID, SECRET_KEY)

    def test_a_compressed_answer_is_read(self, server, harness):
        server.script[POSITIONS] = [
            Answer(gzip.compress(json.dumps([ROW]).encode()), headers={"Content-Encoding": "gzip"})
        ]
        assert len(asyncio.run(harness().rest.holdings()).options) == 1

    def test_a_connection_is_used_again(self, server, harness):
        client = harness(threads=1).rest

        async def twice():
            await client.holdings()
            await client.holdings()

        asyncio.run(twice())
        assert server.connections == 1


class TestQuotes:
    """Many symbols are requested in parts, each of which counts by itself."""

    @staticmethod
    def all_but(bad):
        """Answer with quotes of every symbol, or with 500 if one of them is in `bad`."""

        def answer(query):
            symbols = query["symbols"].split(",")
            return Answer({}, 500) if bad & set(symbols) else Answer({"quotes": dict.fromkeys(symbols, QUOTE)})

        return answer

    SYMBOLS = tuple(f"S{number}" for number in range(450))

    def test_a_failed_part_does_not_cost_the_others(self, server, harness):
        server.script[QUOTES] = self.all_but({"S0", "S210"})
        calls = harness(retries=0)
        read = []
        assert calls.fault(lambda: calls.rest.quotes(self.SYMBOLS, read.extend)).code == "serverError"
        expected = [*self.SYMBOLS[100:200], *self.SYMBOLS[300:]]
        assert sorted(tick.symbol for tick in read) == sorted(expected)

    def test_parts_are_taken_as_they_arrive(self, server, harness):
        server.script[QUOTES] = self.all_but(set())
        parts = []
        asyncio.run(harness().rest.quotes(self.SYMBOLS, parts.append))
        assert sorted(map(len, parts)) == [50, 100, 100, 100, 100]

    def test_only_a_failed_part_is_retried(self, server, harness):
        failing = [Answer({}, 500)]

        def answer(query):
            if "S0" in query["symbols"].split(",") and failing:
                return failing.pop()
            return self.all_but(set())(query)

        server.script[QUOTES] = answer
        assert len(asyncio.run(harness().quotes(self.SYMBOLS))) == 450
        assert len(server.asked) == 6

    def test_a_cancelled_call_sends_no_further_request(self, server, harness):
        server.script[QUOTES] = [Stall()]
        calls = harness(threads=1)

        async def give_up():
            task = asyncio.ensure_future(calls.rest.quotes(self.SYMBOLS, [].append))
            await asyncio.to_thread(server.was_asked.wait, 60)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(give_up())
        assert len(server.asked) == 1

    @pytest.mark.slow
    def test_the_time_of_a_part_does_not_begin_while_it_waits_for_a_thread(self, server, harness):
        server.script[QUOTES] = lambda query: Late(0.25, self.all_but(set())(query))
        calls = harness(threads=1, timeout_seconds=0.5, retries=0)
        assert len(asyncio.run(calls.quotes(self.SYMBOLS))) == 450

    def test_a_page_token_is_not_followed(self, server, harness):
        server.script[QUOTES] = [Answer({"quotes": {"A": QUOTE}, "next_page_token": "again"})]
        assert len(asyncio.run(harness().quotes())) == 1
        assert len(server.asked) == 1


class TestContracts:
    def test_raw_keeps_the_multiplier_that_the_model_of_alpaca_py_drops(self, server, harness):
        server.script[CONTRACT] = [Answer(MINI)]
        assert asyncio.run(harness().rest.contract(SYMBOL)) == Contract(multiplier=10, underlying="GME")

    def test_the_deliverables_are_requested(self, server, harness):
        server.script[CONTRACT] = [Answer(MINI)]
        asyncio.run(harness().rest.contract(SYMBOL))
        assert server.asked[0][1] == {"show_deliverables": "true"}

    def test_an_unknown_contract_is_none_and_not_a_fault(self, server, harness):
        server.script[CONTRACT] = [Answer({"code": 40410000, "message": "not found"}, 404)]
        calls = harness()
        assert asyncio.run(calls.rest.contract(SYMBOL)) is None
        assert len(server.asked) == 1

    def test_a_contract_without_a_multiplier_is_malformed(self, server, harness):
        server.script[CONTRACT] = [Answer({"symbol": SYMBOL})]
        calls = harness()
        assert calls.fault(lambda: calls.rest.contract(SYMBOL)).code == "malformed"


class TestAccount:
    def test_only_the_id_of_the_account_is_read(self, server, harness):
        server.script[ACCOUNT] = [Answer({"id": "d66d53bc-6347-5c64-89bc-bf340553b3fa", "equity": None})]
        assert asyncio.run(harness().rest.account_id()) == "d66d53bc-6347-5c64-89bc-bf340553b3fa"

    @pytest.mark.parametrize("answer", [{}, {"id": None}, {"id": ""}, {"id": 7}, {"id": "a\nb"}, []])
    def test_an_account_without_an_id_is_malformed(self, server, harness, answer):
        server.script[ACCOUNT] = [Answer(answer)]
        calls = harness()
        assert calls.fault(calls.rest.account_id).code == "malformed"


class TestOrders:
    AFTER = dt.datetime(2026, 11, 19, 17, 11, 25, 174640, tzinfo=dt.UTC)

    def test_a_page_is_requested_in_ascending_order_and_nested(self, server, harness):
        server.script[ORDERS] = [Answer([])]
        page = asyncio.run(harness().rest.orders(self.AFTER))
        assert (page.orders, page.is_full) == ((), False)
        (_, query, _) = server.asked[0]
        assert dt.datetime.fromisoformat(query.pop("after")) == self.AFTER
        assert {name: value.lower() for name, value in query.items()} == {
            "status": "all",
            "limit": "500",
            "direction": "asc",
            "nested": "true",
        }

    def test_an_answer_that_is_not_a_list_is_malformed(self, server, harness):
        server.script[ORDERS] = [Answer({"message": "hello"})]
        calls = harness()
        assert calls.fault(lambda: calls.rest.orders(self.AFTER)).code == "malformed"


class TestActivities:
    AFTER = dt.datetime(2026, 11, 19, 17, 11, 25, tzinfo=dt.UTC)

    @pytest.mark.parametrize(("token", "more"), [(None, {}), ("last", {"page_token": "last"})])
    def test_a_page_is_requested_in_ascending_order(self, server, harness, token, more):
        server.script[ACTIVITIES] = [Answer([])]
        page = asyncio.run(harness().rest.activities(("OPASN", "SPLIT"), self.AFTER, token))
        assert (page.activities, page.is_full) == ((), False)
        (_, query, _) = server.asked[0]
        assert dt.datetime.fromisoformat(query.pop("after")) == self.AFTER
        assert query == {"activity_types": "OPASN,SPLIT", "direction": "asc", "page_size": "100", **more}

    def test_splits_are_requested_by_symbol_and_day(self, server, harness):
        row = {"symbol": "SPY", "new_rate": 4, "old_rate": 1, "ex_date": "2026-11-20"}
        server.script[ACTIONS] = [Answer({"corporate_actions": {"forward_splits": [row]}})]
        day = dt.date(2026, 11, 20)
        (split,) = asyncio.run(harness().rest.splits(["QQQ", "SPY"], day, day))
        assert (split.symbol, split.ratio, split.day) == ("SPY", 4, day)
        (_, query, _) = server.asked[0]
        assert (query["symbols"], query["start"], query["end"]) == ("QQQ,SPY", "2026-11-20", "2026-11-20")
        assert query["types"] == "forward_split,reverse_split"

    def test_without_a_service_for_corporate_actions_no_split_is_announced(self, server, harness):
        server.script[ACTIONS] = [Answer({"message": "endpoint not found"}, 404)]
        calls = harness()
        assert asyncio.run(calls.rest.splits(["SPY"], NOW_AT.date(), NOW_AT.date())) == []
        assert len(server.asked) == 1

    def test_another_refusal_is_a_fault(self, server, harness):
        server.script[ACTIONS] = [Answer({"message": "forbidden"}, 403)]
        calls = harness()
        assert calls.fault(lambda: calls.rest.splits(["SPY"], NOW_AT.date(), NOW_AT.date())).code == "forbidden"


class TestPast:
    KINDS = "FILL,OPASN,OPEXC,OPEXP,OPCSH,OPTRD,SPLIT,FEE"

    @pytest.mark.parametrize(("token", "more"), [(None, {}), ("last", {"page_token": "last"})])
    def test_a_page_is_requested_newest_first_until_an_instant(self, server, harness, token, more):
        server.script[ACTIVITIES] = [Answer([])]
        asyncio.run(harness().rest.past_activities(NOW_AT, token))
        (_, query, _) = server.asked[0]
        assert dt.datetime.fromisoformat(query.pop("until")) == NOW_AT
        assert query == {"activity_types": self.KINDS, "direction": "desc", "page_size": "100", **more}

    def test_the_same_kinds_are_requested_oldest_first_after_an_instant(self, server, harness):
        server.script[ACTIVITIES] = [Answer([])]
        asyncio.run(harness().rest.later_activities(NOW_AT, "last"))
        (_, query, _) = server.asked[0]
        assert dt.datetime.fromisoformat(query.pop("after")) == NOW_AT
        common = {"activity_types": self.KINDS, "page_size": "100", "page_token": "last"}
        assert query == {**common, "direction": "asc"}

    def test_five_pages_go_at_once_and_then_twenty_a_minute(self, server, harness):
        server.script[ACTIVITIES] = [Answer([])]
        calls = harness()

        async def read():
            for _ in range(25):
                await calls.rest.past_activities(NOW_AT, None)
            await calls.rest.holdings()
            await calls.rest.clock()

        asyncio.run(read())
        assert calls.waits == [15.0] * 4


class TestDayCloses:
    DAY = dt.date(2026, 11, 20)

    def bar(self, day, close):
        return {"t": f"2026-11-{day:02d}T05:00:00Z", "o": 1, "h": 9, "l": 1, "c": close, "v": 5, "n": 2, "vw": 3.3}

    def test_all_pages_are_read_without_adjustment_for_splits(self, server, harness):
        first = {"bars": {"QQQ": [self.bar(19, 500.25)]}, "next_page_token": "more"}
        second = {"bars": {"SPY": [self.bar(19, 582.1), self.bar(20, 583)]}, "next_page_token": None}
        server.script[BARS] = lambda query: Answer(second if "page_token" in query else first)
        closes = asyncio.run(harness().rest.day_closes(["QQQ", "SPY"], dt.date(2026, 11, 19), self.DAY))
        day = dt.date(2026, 11, 19)
        assert closes == {("QQQ", day): 5_002_500, ("SPY", day): 5_821_000, ("SPY", self.DAY): 5_830_000}
        common = {"symbols": "QQQ,SPY", "timeframe": "1Day", "adjustment": "raw", "feed": "sip", "limit": "1000"}
        days = {"start": "2026-11-19T05:00:00Z", "end": "2026-11-21T04:59:59Z"}
        assert [query for _, query, _ in server.asked] == [{**common, **days}, {**common, **days, "page_token": "more"}]

    def test_a_token_that_repeats_ends_the_reading(self, server, harness):
        server.script[BARS] = [Answer({"bars": {}, "next_page_token": "same"})]
        assert asyncio.run(harness().rest.day_closes(["SPY"], self.DAY, self.DAY)) == {}
        assert len(server.asked) == 2

    def test_two_hundred_stocks_are_asked_for_at_once(self, server, harness):
        server.script[BARS] = [Answer({"bars": {}, "next_page_token": None})]
        asyncio.run(harness().rest.day_closes([f"S{number}" for number in range(201)], self.DAY, self.DAY))
        assert [len(query["symbols"].split(",")) for _, query, _ in server.asked] == [200, 1]

    def test_without_a_service_for_bars_no_close_is_known(self, server, harness):
        server.script[BARS] = [Answer({"message": "endpoint not found"}, 404)]
        assert asyncio.run(harness().rest.day_closes(["SPY"], self.DAY, self.DAY)) == {}
        assert len(server.asked) == 1


class TestBadAnswers:
    @pytest.mark.parametrize(
        "answer",
        [
            Answer(HTML, headers={"Content-Type": "text/html"}),
            Answer(b""),
            Answer(b'[{"symbol": "SP'),
            Answer(b"null"),
            Answer({"message": "hello"}),
            Answer(b"\xff\xfe\xff"),
        ],
        ids=["HTML", "empty", "truncated", "null", "a map", "no text"],
    )
    def test_an_answer_that_is_not_a_list_is_malformed_and_retried(self, server, harness, answer):
        server.script[POSITIONS] = [answer, Answer([ROW])]
        calls = harness()
        assert len(asyncio.run(calls.rest.holdings()).options) == 1
        assert len(calls.waits) == 1
        server.script[POSITIONS] = [answer]
        assert calls.fault().code == "malformed"

    def test_a_body_cut_off_is_unreachable_or_malformed(self, server, harness):
        server.script[POSITIONS] = [Answer(b'[{"symbol": "SP', length=1000)]
        assert harness().fault().code in ("unreachable", "malformed")

    @pytest.mark.parametrize("answer", [Answer(HTML), Answer(b""), Answer({}), Answer({"is_open": None})])
    def test_an_invalid_clock_is_malformed(self, server, harness, answer):
        server.script[CLOCK] = [answer]
        calls = harness(retries=0)
        assert calls.fault(calls.rest.clock).code == "malformed"

    def test_an_error_with_html_is_read_by_its_status(self, server, harness):
        server.script[POSITIONS] = [Answer(HTML, 502)]
        assert harness().fault().code == "serverError"

    def test_a_redirect_is_not_followed(self, server, harness):
        server.script[POSITIONS] = [Answer(b"", 302, {"Location": f"{server.url}{CLOCK}"})]
        assert harness(retries=0).fault().code == "malformed"
        assert [path for path, _, _ in server.asked] == [POSITIONS]


class TestRefusals:
    """Unreadable rows are counted by kind, and each kind is logged once."""

    @pytest.mark.parametrize(
        ("path", "answer", "call_name", "refused"),
        [
            (POSITIONS, [ROW, None, 5], "holdings", {"positionRow": 2}),
            (POSITIONS, [ROW, {"asset_class": "us_equity", "symbol": "SPY", "qty": "x"}], "holdings", {"stockRow": 1}),
            (QUOTES, {"quotes": {"A": QUOTE, "B": None, "C": {}}}, "quotes", {"quoteRow": 2}),
            (ORDERS, [None], "orders", {"orderRow": 1}),
            (ACTIVITIES, [None], "activities", {"activityRow": 1}),
            (ACTIONS, {"corporate_actions": {"forward_splits": [None]}}, "splits", {"corporateActionRow": 1}),
            (
                CALENDAR,
                [None, {"date": "2025-06-24", "open": "09:30", "close": "16:00"}],
                "calendar",
                {"calendarRow": 1},
            ),
            (CONTRACT, MINI | {"deliverables": [None]}, "contract", {"deliverableRow": 1}),
            (STOCKS, {"SPY": 5}, "stocks", {"stockSnapshotRow": 1}),
            (INDEXES, {"values": {"SPX": None}}, "indexes", {"indexRow": 1}),
            (SNAPSHOTS, {"snapshots": {SYMBOL: None}}, "snapshots", {"optionSnapshotRow": 1}),
            (QUOTES, {"quotes": {"A": None}}, "opposites", {"quoteRow": 1}),
            (ACTIONS, {"corporate_actions": {"cash_dividends": [None]}}, "dividends", {"dividendRow": 1}),
            (ACCOUNT, {"equity": "much"}, "balances", {"balance": 1}),
            (ACTIVITIES, [None], "transfers", {"transferRow": 1}),
            (ORDERS, [None], "workingOrders", {"workingOrderRow": 1}),
            (ACTIVITIES, [None], "dayFills", {"fillRow": 1}),
            (ACTIVITIES, [None], "past", {"activityRow": 1}),
            (ACTIVITIES, [None], "later", {"activityRow": 1}),
            (BARS, {"bars": {"SPY": [None]}}, "closes", {"dayBarRow": 1}),
        ],
    )
    def test_a_part_is_left_out_and_counted(self, server, harness, path, answer, call_name, refused):
        server.script[path] = [Answer(answer)]
        calls = harness()
        asyncio.run(calls.by_name[call_name]())
        assert calls.rest.refused == refused
        assert len(server.asked) == 1

    @pytest.mark.parametrize(
        ("path", "call_name", "kind"),
        [
            (POSITIONS, "holdings", "positionsAnswer"),
            (CLOCK, "clock", "clockAnswer"),
            (QUOTES, "quotes", "quotesAnswer"),
            (ORDERS, "orders", "ordersAnswer"),
            (ACTIVITIES, "activities", "activitiesAnswer"),
            (ACTIONS, "splits", "corporateActionsAnswer"),
            (CALENDAR, "calendar", "calendarAnswer"),
            (CONTRACT, "contract", "contractAnswer"),
            (ACCOUNT, "account", "accountAnswer"),
            (STOCKS, "stocks", "stocksAnswer"),
            (INDEXES, "indexes", "indexesAnswer"),
            (SNAPSHOTS, "snapshots", "snapshotsAnswer"),
            (QUOTES, "opposites", "oppositesAnswer"),
            (ACTIONS, "dividends", "dividendsAnswer"),
            (ACCOUNT, "balances", "balancesAnswer"),
            (ACTIVITIES, "transfers", "transfersAnswer"),
            (ORDERS, "workingOrders", "workingOrdersAnswer"),
            (ACTIVITIES, "dayFills", "dayFillsAnswer"),
            (ACTIVITIES, "past", "pastActivitiesAnswer"),
            (ACTIVITIES, "later", "pastActivitiesAnswer"),
            (BARS, "closes", "dayBarsAnswer"),
        ],
    )
    def test_an_answer_that_cannot_be_read_is_malformed_and_counted(self, server, harness, path, call_name, kind):
        unreadable = {
            "HTML": HTML,
            "empty": b"",
            "truncated": b'[{"symbol": "SP',
            "deep list": b"[" * 100_000,
            "deep map": b'{"a":' * 100_000,
            "inf": b"1e999999",
            "digits": b"9" * 5000,
            "NaN": b"NaN",
            "no UTF-8": b"\xff\xfe[",
            "a string": "quotes",
        }
        calls = harness(retries=0)
        for count, (name, body) in enumerate(unreadable.items(), start=1):
            server.script[path] = [Answer(body)]
            assert calls.fault(calls.by_name[call_name]).code == "malformed", name
            assert calls.rest.refused == {kind: count}, name

    def test_a_list_where_a_map_should_be_is_malformed_and_the_other_way_round(self, server, harness):
        maps = (CLOCK, QUOTES, CONTRACT, ACCOUNT, ACTIONS, STOCKS, INDEXES, SNAPSHOTS, BARS)
        server.script |= {path: [Answer([])] for path in maps}
        server.script |= {path: [Answer({})] for path in (POSITIONS, ORDERS, ACTIVITIES, CALENDAR)}
        calls = harness(retries=0)
        assert {calls.fault(call).code for call in calls.by_name.values()} == {"malformed"}
        assert sum(calls.rest.refused.values()) == 21

    def test_each_kind_is_logged_once(self, server, harness, caplog):
        caplog.set_level(logging.WARNING, "condord.upstream.rest")
        server.script[POSITIONS] = [Answer([None, None, ROW])]
        server.script[QUOTES] = [Answer({"quotes": {"A": None}})]
        calls = harness()
        for call in (calls.rest.holdings, calls.rest.holdings, calls.quotes):
            asyncio.run(call())
        assert [record.fields for record in caplog.records] == [{"kind": "positionRow"}, {"kind": "quoteRow"}]
        assert calls.rest.refused == {"positionRow": 4, "quoteRow": 1}

    def test_an_answer_that_is_not_http_is_unreachable(self, server, harness):
        server.script[POSITIONS] = [Raw(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")]
        assert harness(retries=0).fault().code == "unreachable"

    def test_an_endless_body_is_read_up_to_its_limit(self, server, harness):
        server.script[POSITIONS] = [
            Answer(gzip.compress(b" " * (9 << 20)), headers={"Content-Encoding": "gzip"}),
            Answer([ROW]),
        ]
        calls = harness(retries=0)
        assert calls.fault().code == "malformed"
        assert len(asyncio.run(calls.rest.holdings()).options) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
DAY = {"date": "2025-06-24", "open": "09:30", "close": "16:00"}
LEG = {"symbol": SYMBOL, "position_intent": "buy_to_open", "filled_qty": "1", "filled_avg_price": "1.5"}
ORDER = {"id": "one", "submitted_at": "2025-06-24T16:00:00Z", "filled_at": "2025-06-24T16:00:00Z", "status": "new"}
WHOLE = (
    [ROW, TREASURY],
    HOURS,
    {
        "quotes": {"A": QUOTE},
        "values": {"SPX": {"t": QUOTE["t"], "v": 1}},
        "snapshots": {SYMBOL: {"latestQuote": QUOTE}},
    },
    MINI,
    [ORDER | {"legs": [LEG]}, LEG],
    [DAY],
    {"SPY": {"latestQuote": QUOTE, "latestTrade": {"p": 1, "t": QUOTE["t"]}, "dailyBar": {"c": 1, "t": QUOTE["t"]}}},
)


@st.composite
def with_other_values(draw):
    """A good answer with one value replaced, at any depth."""
    answer = json.loads(json.dumps(draw(st.sampled_from(WHOLE))))
    place = answer
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = draw(st.sampled_from(keys))
        if isinstance(place[key], (dict, list)) and draw(st.booleans()):
            place = place[key]
            continue
        place[key] = draw(JSON | st.sampled_from(["NaN", "1e999999", "-0", "\ud800", "9999-12-31T23:59:59Z", "0" * 99]))
        break
    return answer


@st.composite
def garbled(draw):
    """The bytes of a good answer with some replaced."""
    body = json.dumps(draw(st.sampled_from(WHOLE))).encode()
    start = draw(st.integers(0, len(body)))
    return body[:start] + draw(st.binary(max_size=8)) + body[start + draw(st.integers(0, 40)) :]


class TestAnyAnswer:
    """Whatever the answer, every method returns or raises a `RestFault`, and malformed answers are counted."""

    def answer(self, canned_harness, body, status=200):
        canned_harness.canned.body, canned_harness.canned.status = body, status

        async def ask_all():
            for call in canned_harness.by_name.values():
                before = sum(canned_harness.rest.refused.values())
                code = ""
                try:
                    msgspec.json.encode(await call())
                except RestFault as fault:
                    code = fault.code
                assert code != "malformed" or sum(canned_harness.rest.refused.values()) > before
                assert code in ("", "malformed") or status != 200

        asyncio.run(ask_all())

    @pytest.mark.slow
    @given(with_other_values() | JSON | st.lists(JSON, max_size=3))
    @hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    def test_an_answer_of_any_json(self, canned_harness, answer):
        self.answer(canned_harness, json.dumps(answer).encode())

    @pytest.mark.slow
    @given(st.binary() | garbled(), st.sampled_from([200, 200, 204, 302, 401, 404, 429, 500, 999]))
    @hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    def test_an_answer_of_any_bytes(self, canned_harness, body, status):
        self.answer(canned_harness, body, status)


class TestLogin:
    def test_a_new_key_and_feed_count_from_the_next_request_on(self, server, harness):
        calls = harness()
        asyncio.run(calls.quotes())
        calls.rest.relogin(msgspec.structs.replace(calls.settings, feed="opra"), Login(lambda: "PKNEW", lambda: "new"))
        asyncio.run(calls.quotes())
        asyncio.run(calls.rest.holdings())
        assert [headers["APCA-API-KEY-ID"] for _, _, headers in server.asked] == [KEY_ID, "PKNEW", "PKNEW"]
        assert [query["feed"] for _, query, _ in server.asked[:2]] == ["indicative", "opra"]

    def test_breaker_and_budget_stay(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 500)]
        calls = harness(breaker_failures=1, retries=0)
        calls.fault()
        calls.rest._calls.budget.pause("data", 30.0, calls.seconds)
        calls.rest.relogin(calls.settings, LOGIN)
        assert calls.rest.breaker == "open"
        assert calls.rest._calls.budget.pause_seconds("data", calls.seconds) == 30.0

    def test_a_request_under_way_ends_as_it_would(self, server, harness):
        late = Late(5.0, Answer([ROW]))
        server.script[POSITIONS] = [late]
        calls = harness()

        async def scenario():
            task = asyncio.ensure_future(calls.rest.holdings())
            await asyncio.to_thread(server.was_asked.wait, 60)
            calls.rest.relogin(calls.settings, LOGIN)
            late.released.set()
            return await task

        assert len(asyncio.run(scenario()).options) == 1


class TestClients:
    def test_each_client_has_its_own_url(self, harness):
        calls = harness(trading_url="", data_url="")
        assert calls.rest._blocking.clients.trading._base_url == "https://paper-api.alpaca.markets"
        assert calls.rest._blocking.clients.market._base_url == "https://data.alpaca.markets"
        assert (
            harness(trading_url="", paper=False).rest._blocking.clients.trading._base_url
            == "https://api.alpaca.markets"
        )
