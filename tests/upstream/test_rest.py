import asyncio
import contextlib
import datetime as dt
import gzip
import json
import logging
import socket
import time
import traceback

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from condord.core.position import Contract
from condord.upstream import transport
from condord.upstream.faults import RestFault
from condord.upstream.ports import Login
from condord.upstream.rest import AlpacaRest, RestSettings
from tests import virtualtime
from tests.fakes.alpaca import KEY_ID, LOGIN, SECRET_KEY
from tests.fakes.rest import Answer, Canned, Drip, Drop, Halt, HeadDrip, Late, Raw, RestServer, Stall

POSITIONS = "/v2/positions"
CLOCK = "/v2/clock"
QUOTES = "/v1beta1/options/quotes/latest"
ORDERS = "/v2/orders"
CALENDAR = "/v2/calendar"
SYMBOL = "GME1261016C00003000"
CONTRACT = f"/v2/options/contracts/{SYMBOL}"
NOW_AT = dt.datetime(2025, 6, 24, 18, 15, 22, tzinfo=dt.UTC)

ROW = {
    "asset_class": "us_option",
    "symbol": "SPY261130P00721000",
    "exchange": "",
    "qty": "-1",
    "side": "short",
    "avg_entry_price": "9.41",
    "cost_basis": "-941",
    "market_value": None,
}
TREASURY = {"asset_class": "treasury", "symbol": "912797XX1", "exchange": "OPRA", "qty": "1"}
HOURS = {
    "is_open": True,
    "next_close": "2025-06-24T16:00:00-04:00",
    "next_open": "2025-06-25T09:30:00-04:00",
    "timestamp": "2025-06-24T14:15:22-04:00",
}
QUOTE = {
    "ap": 13.11,
    "as": 78,
    "ax": "S",
    "bp": 13.06,
    "bs": 26,
    "bx": "C",
    "c": "A",
    "t": "2026-09-10T19:06:18.756509354Z",
}
MINI = {"symbol": SYMBOL, "multiplier": "10", "size": "100", "underlying_symbol": "GME", "new_field": [1]}
HTML = b"<html><body>Bad gateway</body></html>"


@pytest.fixture
def server():
    with RestServer() as server:
        server.script = {
            POSITIONS: [Answer([ROW])],
            CLOCK: [Answer(HOURS)],
            QUOTES: lambda query: Answer({"quotes": dict.fromkeys(query["symbols"].split(","), QUOTE)}),
        }
        yield server


class Bench:
    """A client before `server`, whose waits take no time and are remembered in `waits`; `seconds` is its clock."""

    def __init__(self, url, **given):
        self.waits = []
        self.seconds = 1000.0
        defaults = {
            "paper": True,
            "feed": "indicative",
            "trading_url": url,
            "data_url": url,
            "timeout_seconds": 5.0,
            "retries": 3,
            "breaker_failures": 100,
            "breaker_reset_seconds": 30.0,
            "threads": 4,
        }
        self.settings = RestSettings(**{**defaults, **given})
        self.rest = AlpacaRest(
            self.settings, LOGIN, now_at=lambda: NOW_AT, sleep=self._note_wait, now=lambda: self.seconds
        )

    async def _note_wait(self, seconds):
        self.waits.append(seconds)
        self.seconds += seconds

    async def quotes(self, symbols=("A",)):
        """What `quotes` gives, whether it fails or not."""
        ticks = []
        await self.rest.quotes(symbols, ticks.extend)
        return ticks

    @property
    def ways(self):
        """Every call, by a short name."""
        return {
            "holdings": self.rest.holdings,
            "clock": self.rest.clock,
            "quotes": self.quotes,
            "orders": lambda: self.rest.orders(NOW_AT),
            "day": lambda: self.rest.trading_day(NOW_AT.date()),
            "contract": lambda: self.rest.contract(SYMBOL),
        }

    def fault(self, call=None):
        """What a call raises."""
        with pytest.raises(RestFault) as caught:
            asyncio.run((call or self.rest.holdings)())
        return caught.value


@pytest.fixture
def bench(server):
    """A function that makes benches, all closed at the end."""
    made = []

    def make(**given):
        made.append(Bench(server.url, **given))
        return made[-1]

    yield make
    for one in made:
        one.rest.close()


class TestAnswers:
    def test_positions_are_read_and_one_strange_row_costs_nothing(self, server, bench):
        server.script[POSITIONS] = [Answer([TREASURY, ROW])]
        (position,) = asyncio.run(bench().rest.holdings()).options
        assert (position.symbol, position.quantity, position.cost_basis_e4) == ("SPY261130P00721000", -1, -9_410_000)

    def test_the_clock_is_read(self, bench):
        clock = asyncio.run(bench().rest.clock())
        assert (clock.is_open, clock.offset) == (True, dt.timedelta())

    def test_quotes_are_read(self, bench):
        (tick,) = asyncio.run(bench().quotes(["NVDA260911C00205000"]))
        assert (tick.symbol, tick.bid, tick.ask_size) == ("NVDA260911C00205000", 13.06, 78.0)

    def test_quotes_are_of_the_feed(self, server, bench):
        asyncio.run(bench(feed="opra").quotes())
        assert server.asked[0][1]["feed"] == "opra"

    def test_symbols_never_quoted_are_left_out(self, server, bench):
        server.script[QUOTES] = [Answer({"quotes": {"B": QUOTE}})]
        assert [tick.symbol for tick in asyncio.run(bench().quotes(["A", "B"]))] == ["B"]

    @pytest.mark.parametrize(
        ("count", "sizes"), [(0, []), (1, [1]), (100, [100]), (101, [1, 100]), (250, [50, 100, 100])]
    )
    def test_a_request_names_a_hundred_symbols_at_most(self, server, bench, count, sizes):
        symbols = [f"S{number}" for number in range(count)]
        ticks = asyncio.run(bench().quotes(symbols))
        assert sorted(tick.symbol for tick in ticks) == sorted(symbols)
        assert sorted(len(query["symbols"].split(",")) for _, query, _ in server.asked) == sizes

    def test_the_key_goes_in_the_headers(self, server, bench):
        asyncio.run(bench().rest.holdings())
        headers = server.asked[0][2]
        assert (headers["APCA-API-KEY-ID"], headers["APCA-API-SECRET-KEY"]) == (KEY_ID, SECRET_KEY)

    def test_a_compressed_answer_is_read(self, server, bench):
        server.script[POSITIONS] = [
            Answer(gzip.compress(json.dumps([ROW]).encode()), headers={"Content-Encoding": "gzip"})
        ]
        assert len(asyncio.run(bench().rest.holdings()).options) == 1

    def test_a_connection_is_used_again(self, server, bench):
        client = bench(threads=1).rest

        async def twice():
            await client.holdings()
            await client.holdings()

        asyncio.run(twice())
        assert server.connections == 1


class TestQuotes:
    """Many symbols are asked for in parts, each of which counts for itself."""

    @staticmethod
    def all_but(bad):
        """Quotes of every symbol, but 500 for a request that names one of `bad`."""

        def answer(query):
            symbols = query["symbols"].split(",")
            return Answer({}, 500) if bad & set(symbols) else Answer({"quotes": dict.fromkeys(symbols, QUOTE)})

        return answer

    SYMBOLS = tuple(f"S{number}" for number in range(450))

    def test_a_part_that_fails_costs_the_others_nothing(self, server, bench):
        server.script[QUOTES] = self.all_but({"S0", "S210"})
        made = bench(retries=0)
        read = []
        assert made.fault(lambda: made.rest.quotes(self.SYMBOLS, read.extend)).code == "serverError"
        expected = [*self.SYMBOLS[100:200], *self.SYMBOLS[300:]]
        assert sorted(tick.symbol for tick in read) == sorted(expected)

    def test_parts_are_taken_as_they_come(self, server, bench):
        server.script[QUOTES] = self.all_but(set())
        parts = []
        asyncio.run(bench().rest.quotes(self.SYMBOLS, parts.append))
        assert sorted(map(len, parts)) == [50, 100, 100, 100, 100]

    def test_a_part_that_fails_is_retried_alone(self, server, bench):
        failing = [Answer({}, 500)]

        def answer(query):
            if "S0" in query["symbols"].split(",") and failing:
                return failing.pop()
            return self.all_but(set())(query)

        server.script[QUOTES] = answer
        assert len(asyncio.run(bench().quotes(self.SYMBOLS))) == 450
        assert len(server.asked) == 6

    def test_what_is_cancelled_asks_for_nothing_more(self, server, bench):
        server.script[QUOTES] = [Stall()]
        made = bench(threads=1)

        async def give_up():
            task = asyncio.ensure_future(made.rest.quotes(self.SYMBOLS, [].append))
            await asyncio.to_thread(server.was_asked.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(give_up())
        assert len(server.asked) == 1

    @pytest.mark.slow
    def test_the_time_of_a_part_does_not_begin_while_it_waits_for_a_thread(self, server, bench):
        server.script[QUOTES] = lambda query: Late(0.1, self.all_but(set())(query))
        made = bench(threads=1, timeout_seconds=0.15, retries=0)
        assert len(asyncio.run(made.quotes(self.SYMBOLS))) == 450

    def test_a_page_token_leads_nowhere(self, server, bench):
        server.script[QUOTES] = [Answer({"quotes": {"A": QUOTE}, "next_page_token": "again"})]
        assert len(asyncio.run(bench().quotes())) == 1
        assert len(server.asked) == 1


class TestContracts:
    def test_raw_keeps_the_multiplier_that_the_model_of_alpaca_py_drops(self, server, bench):
        server.script[CONTRACT] = [Answer(MINI)]
        assert asyncio.run(bench().rest.contract(SYMBOL)) == Contract(multiplier=10, underlying="GME")

    def test_one_that_alpaca_does_not_know_is_none_and_no_fault(self, server, bench):
        server.script[CONTRACT] = [Answer({"code": 40410000, "message": "not found"}, 404)]
        made = bench()
        assert asyncio.run(made.rest.contract(SYMBOL)) is None
        assert len(server.asked) == 1

    def test_one_without_a_multiplier_is_malformed(self, server, bench):
        server.script[CONTRACT] = [Answer({"symbol": SYMBOL})]
        made = bench()
        assert made.fault(lambda: made.rest.contract(SYMBOL)).code == "malformed"


class TestOrders:
    AFTER = dt.datetime(2026, 11, 19, 17, 11, 25, 174640, tzinfo=dt.UTC)

    def test_a_page_is_asked_for_in_ascending_order_and_nested(self, server, bench):
        server.script[ORDERS] = [Answer([])]
        page = asyncio.run(bench().rest.orders(self.AFTER))
        assert (page.orders, page.is_full) == ((), False)
        (_, query, _) = server.asked[0]
        assert dt.datetime.fromisoformat(query.pop("after")) == self.AFTER
        assert {name: value.lower() for name, value in query.items()} == {
            "status": "all",
            "limit": "500",
            "direction": "asc",
            "nested": "true",
        }

    def test_what_is_no_list_is_malformed(self, server, bench):
        server.script[ORDERS] = [Answer({"message": "hello"})]
        made = bench()
        assert made.fault(lambda: made.rest.orders(self.AFTER)).code == "malformed"


class TestSideLane:
    """Contracts and orders cost positions nothing."""

    @pytest.mark.parametrize("path", [CONTRACT, ORDERS])
    def test_their_failures_do_not_open_the_breaker(self, server, bench, path):
        server.script[path] = [Answer({}, 500)]
        made = bench(breaker_failures=1, retries=0)
        ways = {CONTRACT: lambda: made.rest.contract(SYMBOL), ORDERS: lambda: made.rest.orders(NOW_AT)}
        assert [made.fault(ways[path]).code for _ in range(2)] == ["serverError", "serverError"]
        assert "too often in a row" in made.fault(ways[path]).text
        assert made.rest.breaker == "closed"
        assert len(asyncio.run(made.rest.holdings()).options) == 1

    def test_their_stalls_hold_no_thread_of_positions(self, server, bench):
        server.script[CONTRACT] = [Stall()]
        made = bench(threads=1)

        async def both():
            stalled = [asyncio.ensure_future(made.rest.contract(SYMBOL)) for _ in range(4)]
            await asyncio.to_thread(server.was_asked.wait, 5)
            held = await made.rest.holdings()
            for task in stalled:
                task.cancel()
            await asyncio.wait(stalled)
            return held

        assert len(asyncio.run(both()).options) == 1

    def test_other_bounds_count_for_them_too(self, server, bench):
        server.script[ORDERS] = [Answer({}, 500), Answer([])]
        made = bench(breaker_failures=1, retries=0)
        made.fault(lambda: made.rest.orders(NOW_AT))
        made.rest.set_breaker(1, 0.0)
        assert asyncio.run(made.rest.orders(NOW_AT)).orders == ()


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
    def test_what_is_no_list_is_malformed_and_tried_again(self, server, bench, answer):
        server.script[POSITIONS] = [answer, Answer([ROW])]
        made = bench()
        assert len(asyncio.run(made.rest.holdings()).options) == 1
        assert len(made.waits) == 1
        server.script[POSITIONS] = [answer]
        assert made.fault().code == "malformed"

    def test_a_body_cut_off_is_unreachable_or_malformed(self, server, bench):
        server.script[POSITIONS] = [Answer(b'[{"symbol": "SP', length=1000)]
        assert bench().fault().code in ("unreachable", "malformed")

    @pytest.mark.parametrize("answer", [Answer(HTML), Answer(b""), Answer({}), Answer({"is_open": None})])
    def test_a_clock_that_is_none_is_malformed(self, server, bench, answer):
        server.script[CLOCK] = [answer]
        made = bench(retries=0)
        assert made.fault(made.rest.clock).code == "malformed"

    def test_an_error_with_html_is_read_by_its_status(self, server, bench):
        server.script[POSITIONS] = [Answer(HTML, 502)]
        assert bench().fault().code == "serverError"

    def test_a_redirect_is_not_followed(self, server, bench):
        server.script[POSITIONS] = [Answer(b"", 302, {"Location": f"{server.url}{CLOCK}"})]
        assert bench(retries=0).fault().code == "malformed"
        assert [path for path, _, _ in server.asked] == [POSITIONS]


class TestBudget:
    """At most 200 requests a minute for all, of which the side has 60."""

    @staticmethod
    async def repeat(count, call):
        for _ in range(count):
            await call()

    def test_contracts_wait_after_sixty_in_a_minute_and_nothing_else_does(self, server, bench):
        server.script[CONTRACT] = [Answer(MINI)]
        made = bench()
        asyncio.run(self.repeat(60, lambda: made.rest.contract(SYMBOL)))
        asyncio.run(made.rest.holdings())
        asyncio.run(made.quotes())
        assert made.waits == []
        asyncio.run(made.rest.contract(SYMBOL))
        assert made.waits == [60.0]

    def test_retries_count(self, server, bench):
        server.script[CONTRACT] = [Answer({}, 500), Answer(MINI)]
        made = bench()
        asyncio.run(self.repeat(60, lambda: made.rest.contract(SYMBOL)))
        assert len(made.waits) == 2
        assert sum(made.waits) == pytest.approx(60.0)

    def test_what_is_asked_again_on_a_new_connection_counts_and_waits_for_none(self, server, bench):
        server.script[POSITIONS] = [Drop()]
        made = bench(retries=0)
        assert made.fault().code == "unreachable"
        assert len(server.asked) == 2
        for _ in range(137):
            assert made.rest._budget.take("main", "trading", made.seconds)
        assert made.fault().code == "unreachable"
        assert (len(server.asked), made.waits) == (3, [])

    @pytest.mark.parametrize("headers", [{"Retry-After": "7"}, {"X-RateLimit-Reset": None}])
    def test_after_a_429_nobody_asks_that_host_before_the_reset(self, server, bench, headers):
        given = {name: value or str(int(time.time()) + 8) for name, value in headers.items()}
        server.script[POSITIONS] = [Answer({}, 429, given)]
        made = bench(retries=0)
        assert made.fault().code == "rateLimited"
        asyncio.run(made.quotes())
        assert made.waits == []
        asyncio.run(made.rest.clock())
        assert 6.0 < made.waits[0] <= 8.0

    @pytest.mark.parametrize("status", [200, 404, 500])
    def test_when_an_answer_leaves_no_request_nobody_asks_that_host_before_the_reset(self, server, bench, status):
        reset = str(int(NOW_AT.timestamp()) + 20)
        headers = {"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
        server.script[ORDERS] = [Answer([], status, headers)]
        made = bench(retries=0)
        with contextlib.suppress(RestFault):
            asyncio.run(made.rest.orders(NOW_AT))
        asyncio.run(made.quotes())
        assert made.waits == []
        asyncio.run(made.rest.holdings())
        assert made.waits == [20.0]

    def test_a_request_that_waits_is_no_timeout_and_no_outage(self, bench):
        made = bench(timeout_seconds=0.1, breaker_failures=1)
        made.rest._budget.pause("trading", 50.0, made.seconds)
        assert len(asyncio.run(made.rest.holdings()).options) == 1
        assert (made.waits, made.rest.breaker) == ([50.0], "closed")

    def test_a_pause_of_one_host_holds_up_no_reading_of_the_other(self, server, bench):
        server.script[QUOTES] = lambda query: Answer({"quotes": {}})

        async def scene():
            made = AlpacaRest(bench(threads=1).settings, LOGIN, now_at=lambda: NOW_AT)
            loop = asyncio.get_running_loop()
            made._budget.pause("data", 30.0, loop.time())
            quotes = asyncio.ensure_future(made.quotes([f"S{number}" for number in range(500)], [].append))
            await asyncio.sleep(1.0)
            await made.holdings()
            assert not quotes.done()
            await quotes
            made.close()
            return loop.time()

        assert 1030.0 <= virtualtime.run(scene()) < 1031.0

    def test_a_backlog_goes_in_the_order_of_coming(self, bench):
        async def scene():
            made = AlpacaRest(bench().settings, LOGIN, now_at=lambda: NOW_AT)
            made._contract = lambda symbol: symbol
            went, loop = [], asyncio.get_running_loop()

            async def ask(number):
                await made.contract(number)
                went.append((number, loop.time() - 1000.0))

            async with asyncio.TaskGroup() as tasks:
                for number in range(150):
                    tasks.create_task(ask(number))
            made.close()
            return went

        went = virtualtime.run(scene())
        assert [number // 60 for number, _ in went] == [number // 60 for number in range(150)]
        assert [round(at) for _, at in went] == [0] * 60 + [60] * 60 + [120] * 30


class TestRefusals:
    """What cannot be read is counted by name, and told once a kind."""

    @pytest.mark.parametrize(
        ("path", "answer", "way", "refused"),
        [
            (POSITIONS, [ROW, None, 5], "holdings", {"positionRow": 2}),
            (POSITIONS, [ROW, {"asset_class": "us_equity", "symbol": "SPY", "qty": "x"}], "holdings", {"stockRow": 1}),
            (QUOTES, {"quotes": {"A": QUOTE, "B": None, "C": {}}}, "quotes", {"quoteRow": 2}),
            (ORDERS, [None], "orders", {"orderRow": 1}),
            (CALENDAR, [None, {"date": "2025-06-24", "open": "09:30", "close": "16:00"}], "day", {"calendarRow": 1}),
            (CONTRACT, MINI | {"deliverables": [None]}, "contract", {"deliverableRow": 1}),
        ],
    )
    def test_a_part_is_left_out_and_counted(self, server, bench, path, answer, way, refused):
        server.script[path] = [Answer(answer)]
        made = bench()
        asyncio.run(made.ways[way]())
        assert made.rest.refused == refused
        assert len(server.asked) == 1

    @pytest.mark.parametrize(
        ("path", "way", "kind"),
        [
            (POSITIONS, "holdings", "positionsAnswer"),
            (CLOCK, "clock", "clockAnswer"),
            (QUOTES, "quotes", "quotesAnswer"),
            (ORDERS, "orders", "ordersAnswer"),
            (CALENDAR, "day", "calendarAnswer"),
            (CONTRACT, "contract", "contractAnswer"),
        ],
    )
    @pytest.mark.parametrize(
        "answer",
        [
            Answer(HTML),
            Answer(b""),
            Answer(b'[{"symbol": "SP'),
            Answer(b"[" * 100_000),
            Answer(b'{"a":' * 100_000),
            Answer(b"1e999999"),
            Answer(b"9" * 5000),
            Answer(b"NaN"),
            Answer(b"\xff\xfe["),
            Answer("quotes"),
        ],
        ids=["HTML", "empty", "truncated", "deep list", "deep map", "inf", "digits", "NaN", "no UTF-8", "a string"],
    )
    def test_an_answer_that_cannot_be_read_is_malformed_and_counted(self, server, bench, path, way, kind, answer):
        server.script[path] = [answer]
        made = bench(retries=0)
        assert made.fault(made.ways[way]).code == "malformed"
        assert made.rest.refused == {kind: 1}

    def test_a_list_where_a_map_should_be_is_malformed_and_the_other_way_round(self, server, bench):
        server.script |= {path: [Answer([])] for path in (CLOCK, QUOTES, CONTRACT)}
        server.script |= {path: [Answer({})] for path in (POSITIONS, ORDERS, CALENDAR)}
        made = bench(retries=0)
        assert {made.fault(call).code for call in made.ways.values()} == {"malformed"}
        assert sum(made.rest.refused.values()) == 6

    def test_each_kind_is_told_once(self, server, bench, caplog):
        caplog.set_level(logging.WARNING, "condord.upstream.rest")
        server.script[POSITIONS] = [Answer([None, None, ROW])]
        server.script[QUOTES] = [Answer({"quotes": {"A": None}})]
        made = bench()
        for call in (made.rest.holdings, made.rest.holdings, made.quotes):
            asyncio.run(call())
        assert [record.fields for record in caplog.records] == [{"kind": "positionRow"}, {"kind": "quoteRow"}]
        assert made.rest.refused == {"positionRow": 4, "quoteRow": 1}

    def test_what_is_no_http_is_unreachable(self, server, bench):
        server.script[POSITIONS] = [Raw(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")]
        assert bench(retries=0).fault().code == "unreachable"

    def test_a_body_without_an_end_is_left_at_its_bound(self, server, bench, monkeypatch):
        monkeypatch.setattr(transport, "MOST_BYTES", 1 << 18)
        server.script[POSITIONS] = [
            Answer(gzip.compress(b" " * (8 << 20)), headers={"Content-Encoding": "gzip"}),
            Answer([ROW]),
        ]
        made = bench(retries=0)
        assert made.fault().code == "malformed"
        assert len(asyncio.run(made.rest.holdings()).options) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
DAY = {"date": "2025-06-24", "open": "09:30", "close": "16:00"}
LEG = {"symbol": SYMBOL, "position_intent": "buy_to_open", "filled_qty": "1", "filled_avg_price": "1.5"}
ORDER = {"id": "one", "submitted_at": "2025-06-24T16:00:00Z", "filled_at": "2025-06-24T16:00:00Z", "status": "new"}
WHOLE = ([ROW, TREASURY], HOURS, {"quotes": {"A": QUOTE}}, MINI, [ORDER | {"legs": [LEG]}, LEG], [DAY])


@st.composite
def spoilt(draw):
    """A good answer in which one value, at any depth, is another."""
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
    """The bytes of a good answer with others in one place."""
    body = json.dumps(draw(st.sampled_from(WHOLE))).encode()
    start = draw(st.integers(0, len(body)))
    return body[:start] + draw(st.binary(max_size=8)) + body[start + draw(st.integers(0, 40)) :]


@pytest.fixture(scope="module")
def made():
    made = Bench("http://127.0.0.1:9", retries=0, breaker_failures=1_000_000)
    made.canned = Canned()
    for client in made.rest._clients:
        client._session.mount("http://", made.canned)
    yield made
    made.rest.close()


class TestAnyAnswer:
    """Whatever comes, every method answers or raises a `RestFault`, and what is malformed is counted."""

    def answer(self, made, body, status=200):
        made.canned.body, made.canned.status = body, status

        async def ask_all():
            for call in made.ways.values():
                before = sum(made.rest.refused.values())
                code = ""
                try:
                    msgspec.json.encode(await call())
                except RestFault as fault:
                    code = fault.code
                assert code != "malformed" or sum(made.rest.refused.values()) > before
                assert code in ("", "malformed") or status != 200

        asyncio.run(ask_all())

    @pytest.mark.slow
    @given(spoilt() | JSON | st.lists(JSON, max_size=3))
    @hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    def test_of_any_json(self, made, answer):
        self.answer(made, json.dumps(answer).encode())

    @pytest.mark.slow
    @given(st.binary() | garbled(), st.sampled_from([200, 200, 204, 302, 401, 404, 429, 500, 999]))
    @hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    def test_of_any_bytes(self, made, body, status):
        self.answer(made, body, status)


class TestRetries:
    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_server_error_is_tried_again_after_one_two_and_four_seconds(self, server, bench, status):
        server.script[POSITIONS] = [Answer({}, status)]
        made = bench()
        assert made.fault().code == "serverError"
        assert len(server.asked) == 4
        assert [int(wait) for wait in made.waits] == [1, 2, 4]
        assert all(wait - int(wait) <= 0.25 for wait in made.waits)

    def test_the_first_success_ends_the_trying(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 500), Answer({}, 503), Answer([ROW])]
        assert len(asyncio.run(bench().rest.holdings()).options) == 1
        assert len(server.asked) == 3

    def test_without_retries_there_is_one_attempt(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 500)]
        bench(retries=0).fault()
        assert len(server.asked) == 1

    @pytest.mark.parametrize(
        ("status", "code"),
        [(400, "refused"), (401, "authFailed"), (403, "forbidden"), (404, "refused"), (422, "refused")],
    )
    def test_a_refusal_is_not_tried_again(self, server, bench, status, code):
        server.script[POSITIONS] = [Answer({"code": status * 100_000, "message": "no"}, status)]
        made = bench()
        assert made.fault().code == code
        assert (len(server.asked), made.waits) == (1, [])

    def test_retry_after_is_honoured(self, server, bench):
        server.script[POSITIONS] = [Answer({"message": "too many requests."}, 429, {"Retry-After": "7"}), Answer([ROW])]
        made = bench()
        asyncio.run(made.rest.holdings())
        assert made.waits == [7.0]

    def test_the_reset_of_the_rate_limit_is_honoured(self, server, bench):
        reset = str(int(time.time()) + 20)
        server.script[POSITIONS] = [Answer({}, 429, {"X-RateLimit-Reset": reset}), Answer([ROW])]
        made = bench()
        asyncio.run(made.rest.holdings())
        assert 18.0 < made.waits[0] <= 20.0

    def test_no_wait_is_longer_than_a_minute(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 429, {"Retry-After": "86400"}), Answer([ROW])]
        made = bench()
        asyncio.run(made.rest.holdings())
        assert made.waits == [60.0]

    def test_a_reset_that_is_past_is_no_reason_to_hurry(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 429, {"X-RateLimit-Reset": str(int(time.time()) - 5)})]
        made = bench()
        assert made.fault().code == "rateLimited"
        assert [int(wait) for wait in made.waits] == [1, 2, 4]

    def test_a_kept_connection_that_fails_once_is_tried_again_at_once(self, server, bench):
        server.script[POSITIONS] = [Answer([ROW]), Drop(), Answer([ROW])]
        made = bench(threads=1, retries=0, breaker_failures=1)

        async def twice():
            await made.rest.holdings()
            return await made.rest.holdings()

        assert len(asyncio.run(twice()).options) == 1
        assert (made.waits, made.rest.breaker) == ([], "closed")

    def test_a_connection_that_always_fails_is_unreachable(self, server, bench):
        server.script[POSITIONS] = [Drop()]
        made = bench()
        assert made.fault().code == "unreachable"
        assert len(made.waits) == 3

    def test_nobody_there_is_unreachable(self, bench):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            assert bench(trading_url=url).fault().code == "unreachable"


class TestTimeouts:
    @pytest.mark.parametrize("way", ["holdings", "clock"])
    def test_a_stalled_server_is_left_in_time(self, server, bench, way):
        server.script[POSITIONS] = server.script[CLOCK] = [Stall()]
        made = bench(timeout_seconds=0.1, retries=0)
        began = time.monotonic()
        assert made.fault(getattr(made.rest, way)).code == "timeout"
        assert 0.09 < time.monotonic() - began < 1.0

    def test_stalled_quotes_are_left_in_time(self, server, bench):
        server.script[QUOTES] = [Stall()]
        made = bench(timeout_seconds=0.1, retries=0)
        assert made.fault(made.quotes).code == "timeout"

    def test_a_body_that_stops_half_way_is_left_in_time(self, server, bench):
        server.script[POSITIONS] = [Halt()]
        began = time.monotonic()
        assert bench(timeout_seconds=0.1, retries=0).fault().code == "timeout"
        assert time.monotonic() - began < 1.0

    @pytest.mark.slow
    def test_a_timeout_is_tried_again(self, server, bench):
        server.script[POSITIONS] = [Stall(), Answer([ROW])]
        made = bench(timeout_seconds=0.5)
        assert len(asyncio.run(made.rest.holdings()).options) == 1
        assert len(made.waits) == 1

    def test_a_server_that_accepts_nobody_is_left_in_time(self, bench):
        with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            assert bench(trading_url=url, timeout_seconds=0.1, retries=0).fault().code == "timeout"

    @pytest.mark.slow
    def test_a_body_that_drips_is_left_in_time_and_gives_its_thread_back(self, server, bench):
        server.script[POSITIONS] = [Drip()]
        made = bench(timeout_seconds=0.3, retries=0, threads=1)
        assert made.fault().code == "timeout"
        time.sleep(0.4)  # the thread may be in its last wait for a byte
        assert asyncio.run(made.rest.clock()).is_open

    @pytest.mark.slow
    def test_calls_that_hang_hold_no_thread_for_good(self, server, bench):
        server.script[POSITIONS] = [HeadDrip()]
        made = bench(timeout_seconds=0.3, retries=0, threads=1)
        for _ in range(3):
            assert made.fault().code == "timeout"
        assert asyncio.run(made.rest.clock()).is_open

    def test_a_call_given_up_is_no_failure_of_alpaca(self, server, bench):
        server.script[POSITIONS] = [Stall()]
        made = bench(breaker_failures=1)

        async def give_up():
            task = asyncio.ensure_future(made.rest.holdings())
            await asyncio.to_thread(server.was_asked.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(give_up())
        assert made.rest.breaker == "closed"


class TestBreaker:
    def test_it_opens_after_so_many_failures_in_a_row(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 500)]
        made = bench(breaker_failures=3, retries=0)
        for state in ("closed", "closed", "open"):
            assert made.fault().code == "serverError"
            assert made.rest.breaker == state
        assert "too often in a row" in made.fault().text
        assert len(server.asked) == 3

    def test_it_opens_among_the_retries_too(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 500)]
        made = bench(breaker_failures=2, retries=5)
        assert "too often in a row" in made.fault().text
        assert len(server.asked) == 2

    def test_a_success_starts_the_count_again(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 500), Answer([ROW]), Answer({}, 500), Answer([ROW])]
        made = bench(breaker_failures=2, retries=0)
        made.fault()
        asyncio.run(made.rest.holdings())
        made.fault()
        assert made.rest.breaker == "closed"

    @pytest.mark.parametrize("status", [401, 403, 404, 422])
    def test_refusals_do_not_count(self, server, bench, status):
        server.script[POSITIONS] = [Answer({}, status)]
        made = bench(breaker_failures=1)
        for _ in range(3):
            made.fault()
        assert made.rest.breaker == "closed"

    @pytest.mark.parametrize("answer", [Answer(HTML), Answer({}, 429), Answer({}, 503)])
    def test_every_other_failure_counts(self, server, bench, answer):
        server.script[POSITIONS] = [answer]
        made = bench(breaker_failures=1, retries=0)
        made.fault()
        assert made.rest.breaker == "open"

    def test_it_asks_again_after_the_reset_and_closes_on_success(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 500), Answer([ROW])]
        made = bench(breaker_failures=1, retries=0)
        made.fault()
        assert "too often in a row" in made.fault().text
        made.rest.set_breaker(1, 0.0)
        asyncio.run(made.rest.holdings())
        assert made.rest.breaker == "closed"

    def test_it_opens_again_when_the_trial_fails(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 500)]
        made = bench(breaker_failures=1, retries=0)
        made.fault()
        made.rest.set_breaker(5, 0.0)
        assert made.fault().code == "serverError"
        assert made.rest.breaker == "open"

    def test_it_is_half_open_during_the_trial(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 500), Answer([ROW])]
        made = bench(breaker_failures=1, retries=0)
        made.fault()
        made.rest.set_breaker(1, 0.0)

        async def watch():
            task = asyncio.ensure_future(made.rest.holdings())
            await asyncio.sleep(0)
            seen = made.rest.breaker
            await task
            return seen

        assert asyncio.run(watch()) == "halfOpen"

    def test_one_probe_goes_and_the_others_are_told_meanwhile(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 500), Stall()]
        made = bench(breaker_failures=1, retries=0)
        made.fault()
        made.rest.set_breaker(1, 0.0)

        async def watch():
            server.was_asked.clear()
            probe = asyncio.ensure_future(made.rest.holdings())
            await asyncio.to_thread(server.was_asked.wait, 5)
            with pytest.raises(RestFault, match="too often in a row"):
                await made.quotes([f"S{number}" for number in range(1000)])
            probe.cancel()
            with pytest.raises(asyncio.CancelledError):
                await probe
            assert made.rest.breaker == "halfOpen"
            await made.rest.clock()

        asyncio.run(watch())
        assert made.rest.breaker == "closed"
        assert [path for path, _, _ in server.asked] == [POSITIONS, POSITIONS, CLOCK]
        assert made.waits == []

    def test_all_calls_share_it(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 500)]
        made = bench(breaker_failures=1, retries=0)
        made.fault()
        assert "too often in a row" in made.fault(made.quotes).text
        assert "too often in a row" in made.fault(made.rest.clock).text

    def test_other_bounds_do_not_close_it(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 500)]
        made = bench(breaker_failures=1, retries=0)
        made.fault()
        made.rest.set_breaker(10, 30.0)
        assert made.rest.breaker == "open"


class TestSecrets:
    @pytest.mark.parametrize(
        "answer",
        [
            Answer({"message": SECRET_KEY}, 401),
            Answer(SECRET_KEY.encode(), 500),
            Answer(SECRET_KEY.encode()),
            Drop(),
            Stall(),
        ],
        ids=["401", "500", "200", "drop", "stall"],
    )
    def test_no_sentence_of_a_fault_holds_a_secret(self, server, bench, answer):
        server.script[POSITIONS] = [answer]
        fault = bench(timeout_seconds=0.1, retries=0).fault()
        assert SECRET_KEY not in str(fault) + fault.text + repr(fault)
        assert KEY_ID not in str(fault) + fault.text + repr(fault)

    @pytest.mark.parametrize("answer", [Answer({"message": "no"}, 401), Answer({}, 500), Answer(HTML), Drop(), Stall()])
    def test_no_traceback_holds_a_secret(self, server, bench, answer):
        server.script[POSITIONS] = [answer]
        fault = bench(timeout_seconds=0.1, retries=0).fault()
        told = "".join(traceback.format_exception(fault))
        assert SECRET_KEY not in told
        assert KEY_ID not in told


class TestLogin:
    def test_a_new_key_and_feed_count_from_the_next_request_on(self, server, bench):
        made = bench()
        asyncio.run(made.quotes())
        made.rest.relogin(msgspec.structs.replace(made.settings, feed="opra"), Login(lambda: "PKNEW", lambda: "new"))
        asyncio.run(made.quotes())
        asyncio.run(made.rest.holdings())
        assert [headers["APCA-API-KEY-ID"] for _, _, headers in server.asked] == [KEY_ID, "PKNEW", "PKNEW"]
        assert [query["feed"] for _, query, _ in server.asked[:2]] == ["indicative", "opra"]

    def test_breaker_and_budget_stay(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 500)]
        made = bench(breaker_failures=1, retries=0)
        made.fault()
        made.rest._budget.pause("data", 30.0, made.seconds)
        made.rest.relogin(made.settings, LOGIN)
        assert made.rest.breaker == "open"
        assert made.rest._budget.pause_seconds("data", made.seconds) == 30.0

    def test_a_request_under_way_ends_as_it_would(self, server, bench):
        late = Late(5.0, Answer([ROW]))
        server.script[POSITIONS] = [late]
        made = bench()

        async def scene():
            task = asyncio.ensure_future(made.rest.holdings())
            await asyncio.to_thread(server.was_asked.wait, 5)
            made.rest.relogin(made.settings, LOGIN)
            late.released.set()
            return await task

        assert len(asyncio.run(scene()).options) == 1


class TestClients:
    def test_the_clients_are_told_apart_by_their_urls(self, bench):
        made = bench(trading_url="", data_url="")
        assert made.rest._clients.trading._base_url == "https://paper-api.alpaca.markets"
        assert made.rest._clients.market._base_url == "https://data.alpaca.markets"
        assert bench(trading_url="", paper=False).rest._clients.trading._base_url == "https://api.alpaca.markets"


class TestTrouble:
    def test_an_attempt_that_failed_is_told_while_another_is_waited_for(self, server):
        class Watched(Bench):
            told = ()

            async def _note_wait(self, seconds):
                self.told = (*self.told, self.rest.trouble.code)
                await super()._note_wait(seconds)

        server.script[POSITIONS] = [Answer({}, status=500), Answer({}, status=503), Answer([ROW])]
        watched = Watched(server.url)
        try:
            asyncio.run(watched.rest.holdings())
            assert watched.told == ("serverError", "serverError")
            assert watched.rest.trouble is None
        finally:
            watched.rest.close()

    def test_what_nothing_waits_for_is_no_trouble(self, server, bench):
        server.script[CONTRACT] = [Answer({}, status=500)]
        made = bench(retries=0)
        made.fault(made.ways["contract"])
        assert made.rest.trouble is None


class TestMeasures:
    """What is told of each request: what it was for, how it ended, how long it took."""

    class Measured(Bench):
        """Each request takes a quarter of a second of its clock."""

        def __init__(self, url, **given):
            super().__init__(url, **given)
            self.told = []
            self.rest = AlpacaRest(
                self.settings,
                LOGIN,
                now_at=lambda: NOW_AT,
                sleep=self._note_wait,
                now=lambda: self.seconds,
                observe=lambda *told: self.told.append(told),
            )

    @pytest.fixture
    def measured(self, server):
        made = self.Measured(server.url, retries=1, timeout_seconds=0.3)
        yield made
        made.rest.close()

    def test_every_way_has_its_name(self, server, measured):
        server.script |= {ORDERS: [Answer([])], CALENDAR: [Answer([])], CONTRACT: [Answer(MINI)]}
        for way in measured.ways.values():
            asyncio.run(way())
        endpoints = ["positions", "clock", "quotes", "orders", "calendar", "contract"]
        assert [(endpoint, code) for endpoint, code, _ in measured.told] == [(name, "200") for name in endpoints]

    def test_every_attempt_is_told_with_its_status_and_waits_between_them_are_left_out(self, server, measured):
        server.script[POSITIONS] = [Answer({}, status=503), Answer([ROW])]
        asyncio.run(measured.rest.holdings())
        assert measured.waits
        assert measured.told == [("positions", "503", 0.0), ("positions", "200", 0.0)]

    def test_the_time_is_that_of_the_request(self, server, measured):
        def answer(query):
            measured.seconds += 0.25
            return Answer([ROW])

        server.script[POSITIONS] = answer
        asyncio.run(measured.rest.holdings())
        assert measured.told == [("positions", "200", 0.25)]

    @pytest.mark.parametrize(
        ("answer", "code"),
        [(Answer(HTML), "malformed"), (Stall(), "timeout"), (Drop(), "unreachable")],
        ids=["html", "stall", "drop"],
    )
    def test_without_a_status_or_a_readable_answer_it_is_our_code(self, server, measured, answer, code):
        server.script[POSITIONS] = [answer] * 4
        measured.fault()
        assert {told[:2] for told in measured.told} == {("positions", code)}

    def test_a_contract_that_alpaca_does_not_know_has_its_status(self, server, measured):
        server.script[CONTRACT] = [Answer({"code": 40410000, "message": "not found"}, 404)]
        assert asyncio.run(measured.rest.contract(SYMBOL)) is None
        assert measured.told == [("contract", "404", 0.0)]

    def test_answers_that_the_rate_limit_is_reached_are_counted(self, server, measured):
        server.script[POSITIONS] = [Answer({"message": "too many requests."}, 429), Answer([ROW])]
        asyncio.run(measured.rest.holdings())
        assert measured.rest.rate_limited == 1
        assert [code for _, code, _ in measured.told] == ["429", "200"]

    def test_what_nobody_waits_for_any_more_is_not_told(self, server, measured):
        late = Late(5.0, Answer([ROW]))
        server.script[POSITIONS] = [late]

        async def scene():
            task = asyncio.ensure_future(measured.rest.holdings())
            await asyncio.to_thread(server.was_asked.wait, 5)
            task.cancel()
            await asyncio.wait([task])
            late.released.set()

        asyncio.run(scene())
        assert measured.told == []
