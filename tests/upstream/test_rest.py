import asyncio
import datetime as dt
import gzip
import inspect
import json
import socket
import time
import traceback

import pytest
from alpaca.common.rest import RESTClient
from alpaca.trading.client import TradingClient
from requests import Session

from condord.core.position import Contract
from condord.upstream.faults import RestFault
from condord.upstream.rest import AlpacaRest, RestSettings
from tests.fakes.alpaca import KEY_ID, LOGIN, SECRET_KEY
from tests.fakes.rest import Answer, Drip, Drop, Halt, RestServer, Stall

POSITIONS = "/v2/positions"
CLOCK = "/v2/clock"
QUOTES = "/v1beta1/options/quotes/latest"
ORDERS = "/v2/orders"
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
    """A client before `server`, whose waits between attempts take no time and are remembered in `waits`."""

    def __init__(self, url, **given):
        self.waits = []
        settings = {
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
        self.rest = AlpacaRest(
            RestSettings(**{**settings, **given}), LOGIN, now_at=lambda: NOW_AT, sleep=self._note_wait
        )

    async def _note_wait(self, seconds):
        self.waits.append(seconds)

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
        (tick,) = asyncio.run(bench().rest.quotes(["NVDA260911C00205000"]))
        assert (tick.symbol, tick.bid, tick.ask_size) == ("NVDA260911C00205000", 13.06, 78.0)

    def test_quotes_are_of_the_feed(self, server, bench):
        asyncio.run(bench(feed="opra").rest.quotes(["A"]))
        assert server.asked[0][1]["feed"] == "opra"

    def test_symbols_never_quoted_are_left_out(self, server, bench):
        server.script[QUOTES] = [Answer({"quotes": {"B": QUOTE}})]
        assert [tick.symbol for tick in asyncio.run(bench().rest.quotes(["A", "B"]))] == ["B"]

    @pytest.mark.parametrize(
        ("count", "sizes"), [(0, []), (1, [1]), (100, [100]), (101, [1, 100]), (250, [50, 100, 100])]
    )
    def test_a_request_names_a_hundred_symbols_at_most(self, server, bench, count, sizes):
        symbols = [f"S{number}" for number in range(count)]
        ticks = asyncio.run(bench().rest.quotes(symbols))
        assert [tick.symbol for tick in ticks] == symbols
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
        assert made.fault(lambda: made.rest.quotes(["A"])).code == "timeout"

    def test_a_body_that_stops_half_way_is_left_in_time(self, server, bench):
        server.script[POSITIONS] = [Halt()]
        began = time.monotonic()
        assert bench(timeout_seconds=0.1, retries=0).fault().code == "timeout"
        assert time.monotonic() - began < 1.0

    def test_a_timeout_is_tried_again(self, server, bench):
        server.script[POSITIONS] = [Stall(), Answer([ROW])]
        made = bench(timeout_seconds=0.1)
        assert len(asyncio.run(made.rest.holdings()).options) == 1
        assert len(made.waits) == 1

    def test_a_server_that_accepts_nobody_is_left_in_time(self, bench):
        with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            assert bench(trading_url=url, timeout_seconds=0.1, retries=0).fault().code == "timeout"

    @pytest.mark.slow
    def test_a_body_that_drips_is_left_in_time_and_gives_its_thread_back(self, server, bench):
        server.script[POSITIONS] = [Drip()]
        made = bench(timeout_seconds=0.15, retries=0, threads=1)
        assert made.fault().code == "timeout"
        time.sleep(0.2)  # the thread may be in its last wait for a byte
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

    def test_all_calls_share_it(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 500)]
        made = bench(breaker_failures=1, retries=0)
        made.fault()
        assert "too often in a row" in made.fault(lambda: made.rest.quotes(["A"])).text
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


class TestPrivateSurface:
    """Each of these fails when alpaca-py moves what `_tame` touches."""

    def test_the_client_still_asks_through_a_session_of_requests(self):
        client = TradingClient("k", "s", paper=True, raw_data=True)
        assert isinstance(client._session, Session)
        assert "self._session.request(method, url, **opts)" in inspect.getsource(RESTClient._one_request)

    def test_the_client_still_counts_its_retries_in_one_place(self):
        client = TradingClient("k", "s", paper=True, raw_data=True)
        assert client._retry == 3
        assert "retry = self._retry" in inspect.getsource(RESTClient._request)

    def test_its_own_retries_are_off(self, server, bench):
        server.script[POSITIONS] = [Answer({}, 429)]
        bench(retries=0).fault()
        assert len(server.asked) == 1

    def test_the_clients_are_told_apart_by_their_urls(self, bench):
        made = bench(trading_url="", data_url="")
        assert made.rest._trading._base_url == "https://paper-api.alpaca.markets"
        assert made.rest._market._base_url == "https://data.alpaca.markets"
        assert bench(trading_url="", paper=False).rest._trading._base_url == "https://api.alpaca.markets"
