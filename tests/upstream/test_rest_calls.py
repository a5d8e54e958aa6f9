import asyncio
import contextlib
import socket
import time
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from condord.upstream.rest import AlpacaRest
from condord.upstream.rest_fault import RestFault
from tests import virtualtime
from tests.examples import examples
from tests.fakes.alpaca import LOGIN, NETWORK
from tests.fakes.rest import STALL_SECONDS, Answer, Drip, Drop, Halt, HeadDrip, Late, Stall
from tests.upstream.rest_harness import (
    ACCOUNT,
    ACTIONS,
    ACTIVITIES,
    BARS,
    CALENDAR,
    CLOCK,
    CONTRACT,
    HTML,
    INDEXES,
    MINI,
    NOW_AT,
    ORDERS,
    POSITIONS,
    QUOTES,
    ROW,
    SNAPSHOTS,
    STOCKS,
    SYMBOL,
    Harness,
)


class TestLanes:
    """Quotes, contracts and orders never delay positions."""

    @pytest.mark.parametrize("call_name", ["contract", "orders", "calendar"])
    def test_failures_that_are_not_vital_do_not_open_the_breaker(self, server, harness, call_name):
        server.script |= {path: [Answer({}, 500)] for path in (CONTRACT, ORDERS, CALENDAR)}
        calls = harness(breaker_failures=1, retries=0)
        assert [calls.fault(calls.by_name[call_name]).code for _ in range(3)] == ["serverError"] * 3
        assert calls.rest.breakers == {"trading": "closed", "data": "closed"}
        assert len(asyncio.run(calls.rest.holdings()).options) == 1

    @pytest.mark.parametrize("path", [CONTRACT, QUOTES])
    def test_stalled_calls_of_other_kinds_hold_no_thread_of_positions(self, server, harness, path):
        server.script[path] = [Stall()]
        calls = harness(threads=1)
        call_name = {CONTRACT: "contract", QUOTES: "quotes"}[path]

        async def stall_and_read():
            stalled = [asyncio.ensure_future(calls.by_name[call_name]()) for _ in range(4)]
            await asyncio.to_thread(server.was_asked.wait, 60)
            held = await calls.rest.holdings()
            for task in stalled:
                task.cancel()
            await asyncio.wait(stalled)
            return held

        assert len(asyncio.run(stall_and_read()).options) == 1


class TestBudget:
    """A budget of 200 requests a minute in total, divided into shares."""

    @staticmethod
    async def repeat(count, call):
        for _ in range(count):
            await call()

    def test_only_contracts_wait_after_twenty_in_a_minute(self, server, harness):
        server.script |= {CONTRACT: [Answer(MINI)], ORDERS: [Answer([])], CALENDAR: [Answer([])]}
        calls = harness()
        asyncio.run(self.repeat(20, calls.by_name["contract"]))
        for call_name in ("holdings", "clock", "quotes", "orders", "calendar"):
            asyncio.run(calls.by_name[call_name]())
        assert calls.waits == []
        asyncio.run(calls.by_name["contract"]())
        assert calls.waits == [60.0]
        assert calls.rest.budget_waits == {
            "positions": 0,
            "main": 0,
            "side": 0,
            "spare": 1,
            "account": 0,
            "past": 0,
            "prices": 0,
            "figures": 0,
            "closes": 0,
        }
        assert calls.rest.budget_room == {
            "positions": 3,
            "main": 95,
            "side": 20,
            "spare": 19,
            "account": 20,
            "past": 5,
            "prices": 6,
            "figures": 30,
            "closes": 10,
        }

    def test_positions_wait_four_seconds_at_most_however_many_other_requests_there_are(self, server, harness):
        server.script |= {CONTRACT: [Answer(MINI)], ORDERS: [Answer([])]}
        calls = harness()
        for call_name, most in (("contract", 20), ("orders", 20), ("quotes", 95), ("holdings", 3)):
            asyncio.run(self.repeat(most, calls.by_name[call_name]))
        assert calls.waits == []
        asyncio.run(self.repeat(30, calls.rest.holdings))
        assert calls.waits == [4.0] * 10

    def test_retries_count(self, server, harness):
        server.script[CONTRACT] = [Answer({}, 500), Answer(MINI)]
        calls = harness()
        asyncio.run(self.repeat(20, calls.by_name["contract"]))
        assert len(calls.waits) == 2
        assert sum(calls.waits) == pytest.approx(60.0)

    def test_a_request_repeated_on_a_new_connection_counts_without_waiting(self, server, harness):
        server.script[POSITIONS] = [Drop()]
        calls = harness(retries=0)
        assert calls.fault().code == "unreachable"
        assert len(server.asked) == 2
        assert calls.fault().code == "unreachable"
        assert (len(server.asked), calls.waits) == (3, [])

    @pytest.mark.parametrize("headers", [{"Retry-After": "7"}, {"X-RateLimit-Reset": None}])
    def test_after_a_429_that_host_gets_no_request_before_the_reset(self, server, harness, headers):
        sent = {name: value or str(int(time.time()) + 8) for name, value in headers.items()}
        server.script[POSITIONS] = [Answer({}, 429, sent)]
        calls = harness(retries=0)
        assert calls.fault().code == "rateLimited"
        asyncio.run(calls.quotes())
        assert calls.waits == []
        asyncio.run(calls.rest.clock())
        assert 6.0 < calls.waits[0] <= 8.0

    @pytest.mark.parametrize("status", [200, 404, 500])
    def test_after_an_answer_that_leaves_no_request_that_host_gets_none_before_the_reset(self, server, harness, status):
        reset = str(int(NOW_AT.timestamp()) + 20)
        headers = {"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
        server.script[ORDERS] = [Answer([], status, headers)]
        calls = harness(retries=0)
        with contextlib.suppress(RestFault):
            asyncio.run(calls.rest.orders(NOW_AT))
        asyncio.run(calls.quotes())
        assert calls.waits == []
        asyncio.run(calls.rest.holdings())
        assert calls.waits == [20.0]

    @pytest.mark.parametrize(("remaining", "waits"), [("61", []), ("60", [20.0])])
    def test_the_past_waits_for_the_reset_while_others_need_the_last_requests(self, server, harness, remaining, waits):
        reset = str(int(NOW_AT.timestamp()) + 20)
        headers = {"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset}
        server.script |= {ORDERS: [Answer([], 200, headers)], ACTIVITIES: [Answer([])]}
        calls = harness(retries=0)
        for call_name in ("orders", "holdings", "activities", "past"):
            asyncio.run(calls.by_name[call_name]())
        assert calls.waits == waits

    def test_a_request_that_waits_is_neither_a_timeout_nor_an_outage(self, harness):
        calls = harness(timeout_seconds=0.1, breaker_failures=1)
        calls.rest._calls.budget.pause("trading", 50.0, calls.seconds)
        assert len(asyncio.run(calls.rest.holdings()).options) == 1
        assert (calls.waits, calls.rest.breaker) == ([50.0], "closed")

    def test_a_pause_of_one_host_does_not_delay_the_other(self, server, harness):
        server.script[QUOTES] = lambda query: Answer({"quotes": {}})

        async def scenario():
            calls = AlpacaRest(harness(threads=1).settings, LOGIN, now_at=lambda: NOW_AT, network=NETWORK)
            loop = asyncio.get_running_loop()
            calls._calls.budget.pause("data", 30.0, loop.time())
            quotes = asyncio.ensure_future(calls.quotes([f"S{number}" for number in range(500)], [].append))
            await asyncio.sleep(1.0)
            await calls.holdings()
            assert not quotes.done()
            await quotes
            calls.close()
            return loop.time()

        assert 1030.0 <= virtualtime.run(scenario()) < 1031.0

    def test_a_backlog_is_served_first_come_first_served(self, harness):
        async def scenario():
            calls = AlpacaRest(harness().settings, LOGIN, now_at=lambda: NOW_AT, network=NETWORK)
            calls._blocking.contract = lambda symbol: symbol
            requests_at, loop = [], asyncio.get_running_loop()

            async def ask(number):
                await calls.contract(number)
                requests_at.append((number, loop.time() - 1000.0))

            async with asyncio.TaskGroup() as tasks:
                for number in range(50):
                    tasks.create_task(ask(number))
            calls.close()
            return requests_at

        requests_at = virtualtime.run(scenario())
        assert [number // 20 for number, _ in requests_at] == [number // 20 for number in range(50)]
        assert [round(at) for _, at in requests_at] == [0] * 20 + [60] * 20 + [120] * 10


class TestAnyCrowd:
    """Callers of every kind, in any order, with an Alpaca that answers at once."""

    KINDS = ("quotes", "clock", "orders", "calendar", "contract", "stocks", "snapshots", "fills")
    DATA = frozenset({"quotes", "stocks", "snapshots"})
    CLOCK_PER_MINUTE = 30
    REQUESTS = ("quotes", "orders", "calendar", "contract", "stock_snapshots", "option_snapshots", "day_fills")
    PACE_SECONDS = 1.5
    """The interval of requests for positions, shorter than any of the supervisor."""

    async def crowd(self, canned_harness, callers):
        """Return when requests went, by endpoint, and how long each call for positions took, over two minutes."""
        loop, requests_at, took = asyncio.get_running_loop(), {}, []
        rest = AlpacaRest(
            canned_harness.settings,
            LOGIN,
            now_at=lambda: NOW_AT,
            network=NETWORK,
            observe=lambda endpoint, *_: requests_at.setdefault(endpoint, []).append(loop.time() - 1000.0),
        )
        rest._blocking = SimpleNamespace(
            holdings=list,
            clock=list,
            clients=SimpleNamespace(close=lambda: None),
            **dict.fromkeys(self.REQUESTS, lambda *_: []),
        )
        calls_by_kind = {
            "quotes": lambda: rest.quotes(["A"], [].append),
            "clock": rest.clock,
            "orders": lambda: rest.orders(NOW_AT),
            "calendar": lambda: rest.calendar(NOW_AT.date(), NOW_AT.date()),
            "contract": lambda: rest.contract(SYMBOL),
            "stocks": lambda: rest.stock_snapshots(["SPY"], [].append),
            "snapshots": lambda: rest.option_snapshots(["A"], [].append),
            "fills": lambda: rest.day_fills(NOW_AT.date(), NOW_AT, None),
        }

        async def come(seconds, kind, count):
            await asyncio.sleep(seconds)
            await asyncio.gather(*(calls_by_kind[kind]() for _ in range(count)))

        crowd = [asyncio.ensure_future(come(*caller)) for caller in callers]
        while loop.time() < 1120.0:
            began = loop.time()
            await rest.holdings()
            took.append(loop.time() - began)
            await asyncio.sleep(max(0.0, began + self.PACE_SECONDS - loop.time()))
        for caller in crowd:
            caller.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        rest.close()
        return requests_at, took

    @pytest.mark.slow
    @given(
        st.lists(st.tuples(st.floats(0.0, 100.0), st.sampled_from(KINDS), st.integers(1, 150)), max_size=10),
    )
    @hypothesis_settings(
        max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.differing_executors]
    )
    def test_no_minute_has_more_than_two_hundred_for_an_api_and_positions_never_wait(self, canned_harness, callers):
        requests_at, took = virtualtime.run(self.crowd(canned_harness, callers))
        clock = requests_at.pop("clock", [])
        data = sorted(at for endpoint in self.DATA for at in requests_at.pop(endpoint, []))
        trading = sorted(at for times in requests_at.values() for at in times)
        # The clock shares its part of the budget with quotes, and the supervisor reads it every 2 s at most.
        for times, most in ((data, 200), (trading, 200 - self.CLOCK_PER_MINUTE), (clock, 200)):
            assert all(later - earlier >= 60.0 - 1e-6 for earlier, later in zip(times, times[most:], strict=False))
        assert max(took) <= 0.001


class TestRetries:
    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_server_error_is_tried_again_after_one_two_and_four_seconds(self, server, harness, status):
        server.script[POSITIONS] = [Answer({}, status)]
        calls = harness()
        assert calls.fault().code == "serverError"
        assert len(server.asked) == 4
        assert [int(wait) for wait in calls.waits] == [1, 2, 4]
        assert all(wait - int(wait) <= 0.25 for wait in calls.waits)

    def test_the_first_success_ends_the_trying(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 500), Answer({}, 503), Answer([ROW])]
        assert len(asyncio.run(harness().rest.holdings()).options) == 1
        assert len(server.asked) == 3

    def test_without_retries_there_is_one_attempt(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 500)]
        harness(retries=0).fault()
        assert len(server.asked) == 1

    @pytest.mark.parametrize(
        ("status", "code"),
        [(400, "refused"), (401, "authFailed"), (403, "forbidden"), (404, "refused"), (422, "refused")],
    )
    def test_a_refusal_is_not_tried_again(self, server, harness, status, code):
        server.script[POSITIONS] = [Answer({"code": status * 100_000, "message": "no"}, status)]
        calls = harness()
        assert calls.fault().code == code
        assert (len(server.asked), calls.waits) == (1, [])

    def test_retry_after_is_honoured(self, server, harness):
        server.script[POSITIONS] = [Answer({"message": "too many requests."}, 429, {"Retry-After": "7"}), Answer([ROW])]
        calls = harness()
        asyncio.run(calls.rest.holdings())
        assert calls.waits == [7.0]

    def test_the_reset_of_the_rate_limit_is_honoured(self, server, harness):
        reset = str(int(time.time()) + 20)
        server.script[POSITIONS] = [Answer({}, 429, {"X-RateLimit-Reset": reset}), Answer([ROW])]
        calls = harness()
        asyncio.run(calls.rest.holdings())
        assert 18.0 < calls.waits[0] <= 20.0

    def test_no_wait_is_longer_than_a_minute(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 429, {"Retry-After": "86400"}), Answer([ROW])]
        calls = harness()
        asyncio.run(calls.rest.holdings())
        assert calls.waits == [60.0]

    def test_a_past_reset_is_ignored(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 429, {"X-RateLimit-Reset": str(int(time.time()) - 5)})]
        calls = harness()
        assert calls.fault().code == "rateLimited"
        assert [int(wait) for wait in calls.waits] == [1, 2, 4]

    def test_a_kept_connection_that_fails_once_is_tried_again_at_once(self, server, harness):
        server.script[POSITIONS] = [Answer([ROW]), Drop(), Answer([ROW])]
        calls = harness(threads=1, retries=0, breaker_failures=1)

        async def twice():
            await calls.rest.holdings()
            return await calls.rest.holdings()

        assert len(asyncio.run(twice()).options) == 1
        assert (calls.waits, calls.rest.breaker) == ([], "closed")

    def test_a_connection_that_always_fails_is_unreachable(self, server, harness):
        server.script[POSITIONS] = [Drop()]
        calls = harness()
        assert calls.fault().code == "unreachable"
        assert sum(wait >= 1.0 for wait in calls.waits) == 3

    def test_a_port_that_does_not_listen_is_unreachable(self, harness):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            assert harness(trading_url=url).fault().code == "unreachable"


class TestTimeouts:
    @pytest.mark.parametrize("call_name", ["holdings", "clock"])
    def test_a_stalled_server_times_out(self, server, harness, call_name):
        server.script[POSITIONS] = server.script[CLOCK] = [Stall()]
        calls = harness(timeout_seconds=0.1, retries=0)
        began = time.monotonic()
        assert calls.fault(getattr(calls.rest, call_name)).code == "timeout"
        assert 0.09 < time.monotonic() - began < STALL_SECONDS / 2

    def test_stalled_quotes_time_out(self, server, harness):
        server.script[QUOTES] = [Stall()]
        calls = harness(timeout_seconds=0.1, retries=0)
        assert calls.fault(calls.quotes).code == "timeout"

    def test_a_body_that_stops_half_way_times_out(self, server, harness):
        server.script[POSITIONS] = [Halt()]
        began = time.monotonic()
        assert harness(timeout_seconds=0.1, retries=0).fault().code == "timeout"
        assert time.monotonic() - began < STALL_SECONDS / 2

    @pytest.mark.slow
    def test_a_timeout_is_tried_again(self, server, harness):
        server.script[POSITIONS] = [Stall(), Answer([ROW])]
        calls = harness(timeout_seconds=1.0)
        assert len(asyncio.run(calls.rest.holdings()).options) == 1
        assert len(calls.waits) == 1

    def test_a_server_that_accepts_no_connection_times_out(self, harness):
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full_backlog:
            url = f"http://127.0.0.1:{full_backlog.getsockname()[1]}"
            assert harness(trading_url=url, timeout_seconds=0.1, retries=0).fault().code == "timeout"

    @pytest.mark.slow
    def test_a_dripping_body_times_out_and_returns_its_thread(self, server, harness):
        server.script[POSITIONS] = [Drip()]
        calls = harness(timeout_seconds=0.7, retries=0, threads=1)
        assert calls.fault().code == "timeout"
        time.sleep(0.8)  # the thread may be in its last wait for a byte
        assert asyncio.run(calls.rest.clock()).is_open

    @pytest.mark.slow
    def test_hanging_calls_do_not_use_up_the_threads(self, server, harness):
        server.script[POSITIONS] = [HeadDrip()]
        calls = harness(timeout_seconds=0.7, retries=0, threads=1)
        for _ in range(3):
            assert calls.fault().code == "timeout"
        assert asyncio.run(calls.rest.clock()).is_open

    def test_a_cancelled_call_does_not_count_as_a_failure(self, server, harness):
        server.script[POSITIONS] = [Stall()]
        calls = harness(breaker_failures=1)

        async def give_up():
            task = asyncio.ensure_future(calls.rest.holdings())
            await asyncio.to_thread(server.was_asked.wait, 60)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(give_up())
        assert calls.rest.breaker == "closed"


class TestBreaker:
    def test_the_breaker_opens_after_the_configured_number_of_failures_in_a_row(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 500)]
        calls = harness(breaker_failures=3, retries=0)
        for state in ("closed", "closed", "open"):
            assert calls.fault().code == "serverError"
            assert calls.rest.breaker == state
        assert "too often in a row" in calls.fault().text
        assert len(server.asked) == 3

    def test_the_breaker_opens_during_retries_too(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 500)]
        calls = harness(breaker_failures=2, retries=5)
        assert "too often in a row" in calls.fault().text
        assert len(server.asked) == 2

    def test_a_success_starts_the_count_again(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 500), Answer([ROW]), Answer({}, 500), Answer([ROW])]
        calls = harness(breaker_failures=2, retries=0)
        calls.fault()
        asyncio.run(calls.rest.holdings())
        calls.fault()
        assert calls.rest.breaker == "closed"

    @pytest.mark.parametrize("status", [401, 403, 404, 422])
    def test_refusals_do_not_count(self, server, harness, status):
        server.script[POSITIONS] = [Answer({}, status)]
        calls = harness(breaker_failures=1)
        for _ in range(3):
            calls.fault()
        assert calls.rest.breaker == "closed"

    def test_a_429_does_not_count_as_the_budget_keeps_us_from_that_host(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 429)]
        calls = harness(breaker_failures=1, retries=2)
        assert calls.fault().code == "rateLimited"
        assert calls.rest.breaker == "closed"

    @pytest.mark.parametrize("answer", [Answer(HTML), Answer({}, 408), Answer({}, 503)])
    def test_all_other_failures_count(self, server, harness, answer):
        server.script[POSITIONS] = [answer]
        calls = harness(breaker_failures=1, retries=0)
        calls.fault()
        assert calls.rest.breaker == "open"

    def test_the_breaker_probes_after_the_reset_and_closes_on_success(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 500), Answer([ROW])]
        calls = harness(breaker_failures=1, retries=0)
        calls.fault()
        assert "too often in a row" in calls.fault().text
        calls.rest.set_breaker(1, 0.0)
        asyncio.run(calls.rest.holdings())
        assert calls.rest.breaker == "closed"

    def test_the_breaker_opens_again_when_the_probe_fails(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 500)]
        calls = harness(breaker_failures=1, retries=0)
        calls.fault()
        calls.rest.set_breaker(5, 0.0)
        assert calls.fault().code == "serverError"
        assert calls.rest.breaker == "open"

    def test_a_healthy_data_api_does_not_hide_a_trading_api_that_fails(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 500)]
        calls = harness(breaker_failures=3, retries=0)
        for _ in range(3):
            assert calls.fault().code == "serverError"
            asyncio.run(calls.quotes())
        assert calls.rest.breakers == {"trading": "open", "data": "closed"}
        assert calls.rest.breaker == "open"
        asyncio.run(calls.quotes())

    def test_a_healthy_trading_api_does_not_hide_a_data_api_that_fails(self, server, harness):
        server.script[QUOTES] = [Answer({}, 500)]
        calls = harness(breaker_failures=3, retries=0)
        for _ in range(3):
            assert calls.fault(calls.quotes).code == "serverError"
            asyncio.run(calls.rest.holdings())
        assert calls.rest.breakers == {"trading": "closed", "data": "open"}
        assert "too often in a row" in calls.fault(calls.quotes).text
        assert len(asyncio.run(calls.rest.holdings()).options) == 1

    def test_orders_that_work_do_not_hide_positions_that_fail(self, server, harness):
        server.script |= {POSITIONS: [Answer({}, 500)], ORDERS: [Answer([])]}
        calls = harness(breaker_failures=2, retries=0)
        for _ in range(2):
            calls.fault()
            if calls.rest.breaker == "closed":
                asyncio.run(calls.by_name["orders"]())
        assert calls.rest.breaker == "open"

    def test_orders_wait_for_positions_or_the_clock_to_close_it(self, server, harness):
        server.script |= {POSITIONS: [Answer({}, 500), Answer([ROW])], ORDERS: [Answer([])]}
        calls = harness(breaker_failures=1, retries=0)
        calls.fault()
        calls.rest.set_breaker(1, 0.0)
        assert "too often in a row" in calls.fault(calls.by_name["orders"]).text
        asyncio.run(calls.rest.clock())
        asyncio.run(calls.by_name["orders"]())
        assert [path for path, _, _ in server.asked] == [POSITIONS, CLOCK, ORDERS]

    def test_the_breaker_is_half_open_during_the_probe(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 500), Answer([ROW])]
        calls = harness(breaker_failures=1, retries=0)
        calls.fault()
        calls.rest.set_breaker(1, 0.0)

        async def watch():
            task = asyncio.ensure_future(calls.rest.holdings())
            await asyncio.sleep(0)
            seen = calls.rest.breaker
            await task
            return seen

        assert asyncio.run(watch()) == "halfOpen"

    def test_only_one_probe_is_sent_and_other_calls_are_refused_meanwhile(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 500), Stall()]
        calls = harness(breaker_failures=1, retries=0)
        calls.fault()
        calls.rest.set_breaker(1, 0.0)

        async def watch():
            server.was_asked.clear()
            probe = asyncio.ensure_future(calls.rest.holdings())
            await asyncio.to_thread(server.was_asked.wait, 60)
            with pytest.raises(RestFault, match="too often in a row"):
                await calls.rest.clock()
            probe.cancel()
            with pytest.raises(asyncio.CancelledError):
                await probe
            assert calls.rest.breaker == "halfOpen"
            await calls.rest.clock()

        asyncio.run(watch())
        assert calls.rest.breaker == "closed"
        assert [path for path, _, _ in server.asked] == [POSITIONS, POSITIONS, CLOCK]
        assert calls.waits == []

    def test_all_calls_to_a_host_share_it(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 500)]
        calls = harness(breaker_failures=1, retries=0)
        calls.fault()
        for call_name in ("clock", "orders", "calendar", "contract"):
            assert "too often in a row" in calls.fault(calls.by_name[call_name]).text

    def test_changed_bounds_do_not_close_it(self, server, harness):
        server.script[POSITIONS] = [Answer({}, 500)]
        calls = harness(breaker_failures=1, retries=0)
        calls.fault()
        calls.rest.set_breaker(10, 30.0)
        assert calls.rest.breaker == "open"


class TestPendingFaults:
    """The faults of calls under way, for the status."""

    class Watched(Harness):
        """Records the pending fault at every wait."""

        def __init__(self, url, **options):
            super().__init__(url, **options)
            self.observed = []
            self.meanwhile = None

        async def _note_wait(self, seconds):
            if self.meanwhile:
                await self.meanwhile()
            self.observed.append(self.rest.pending_fault)
            await super()._note_wait(seconds)

        @property
        def codes(self):
            return [fault and fault.code for fault in self.observed]

    @pytest.fixture
    def watched(self, server):
        calls = self.Watched(server.url)
        yield calls
        calls.rest.close()

    def test_a_failed_attempt_is_pending_while_the_next_one_waits(self, server, watched):
        server.script[POSITIONS] = [Answer({}, status=500), Answer({}, status=503), Answer([ROW])]
        asyncio.run(watched.rest.holdings())
        assert watched.codes == ["serverError", "serverError"]
        assert watched.rest.pending_fault is None

    def test_a_call_that_has_failed_is_left_to_its_caller(self, server, watched):
        server.script[POSITIONS] = [Answer({}, status=500)]
        watched.fault()
        assert watched.rest.pending_fault is None

    def test_quotes_that_arrive_do_not_hide_positions_that_do_not(self, server, watched):
        server.script[POSITIONS] = [Answer({}, status=500), Answer([ROW])]
        watched.meanwhile = watched.quotes
        asyncio.run(watched.rest.holdings())
        assert watched.codes == ["serverError"]

    def test_a_wait_for_the_budget_is_pending_with_its_end(self, server, watched):
        for _ in range(95):
            watched.rest._calls.budget.take("main", "data", watched.seconds)
        asyncio.run(watched.quotes())
        (fault,) = watched.observed
        assert fault.code == "budgetUsedUp"
        assert fault.text.startswith("Alpaca gets the next request at 18:16:22 UTC")
        assert watched.rest.pending_fault is None

    def test_a_pause_that_alpaca_sets_is_pending_with_its_end(self, watched):
        watched.rest._calls.budget.pause("trading", 30.0, watched.seconds)
        asyncio.run(watched.rest.holdings())
        (fault,) = watched.observed
        assert (fault.code, fault.text) == ("rateLimited", "Alpaca allows no request before 18:15:52 UTC")
        assert watched.rest.pending_fault is None

    def test_the_wait_after_a_429_is_pending_with_its_end(self, server, watched):
        server.script[POSITIONS] = [Answer({}, 429, {"Retry-After": "30"}), Answer([ROW])]
        asyncio.run(watched.rest.holdings())
        assert {(fault.code, fault.text) for fault in watched.observed} == {
            ("rateLimited", "Alpaca allows no request before 18:15:52 UTC")
        }
        assert watched.rest.pending_fault is None

    def test_a_429_without_a_wait_is_pending_as_a_rate_limit(self, server, watched):
        server.script[POSITIONS] = [Answer({}, 429), Answer([ROW])]
        asyncio.run(watched.rest.holdings())
        (fault,) = watched.observed
        assert (fault.code, fault.text) == ("rateLimited", "Alpaca's rate limit is reached (429)")

    def test_a_short_wait_is_not_pending(self, watched):
        watched.rest._calls.budget.pause("trading", 1.9, watched.seconds)
        asyncio.run(watched.rest.holdings())
        assert watched.codes == [None]

    @pytest.mark.parametrize("call_name", ["contract", "orders", "calendar"])
    def test_calls_that_are_not_vital_are_never_pending(self, server, watched, call_name):
        server.script |= {path: [Answer({}, status=500)] for path in (CONTRACT, ORDERS, CALENDAR)}
        watched.rest._calls.budget.pause("trading", 30.0, watched.seconds)
        watched.fault(watched.by_name[call_name])
        assert watched.codes == [None] * 4


class TestMeasures:
    """Each request is observed: its endpoint, its end and its seconds."""

    class Measured(Harness):
        """A harness whose requests each take a quarter of a second of its clock."""

        def __init__(self, url, **options):
            super().__init__(url, **options)
            self.observed = []
            self.rest = AlpacaRest(
                self.settings,
                LOGIN,
                now_at=lambda: NOW_AT,
                network=NETWORK,
                sleep=self._note_wait,
                now=lambda: self.seconds,
                observe=lambda *observed: self.observed.append(observed),
            )

    @pytest.fixture
    def measured(self, server):
        calls = self.Measured(server.url, retries=1, timeout_seconds=30.0)
        yield calls
        calls.rest.close()

    def test_every_method_is_observed_with_the_name_of_its_endpoint(self, server, measured):
        server.script |= {path: [Answer([])] for path in (ORDERS, ACTIVITIES, CALENDAR)}
        server.script |= {CONTRACT: [Answer(MINI)], ACTIONS: [Answer({"corporate_actions": {}})]}
        server.script |= {ACCOUNT: [Answer({"id": "one"})], STOCKS: [Answer({})], INDEXES: [Answer({"values": {}})]}
        server.script |= {SNAPSHOTS: [Answer({"snapshots": {}})], BARS: [Answer({"bars": {}})]}
        for call in measured.by_name.values():
            asyncio.run(call())
        endpoints = [
            *("positions", "clock", "quotes", "orders", "activities", "corporateActions", "calendar", "contract"),
            *("account", "stocks", "indexes", "snapshots", "opposites", "dividends", "balances", "transfers"),
            *("workingOrders", "pastActivities", "pastActivities", "dayBars", "dayFills"),
        ]
        assert [(endpoint, code) for endpoint, code, _ in measured.observed] == [(name, "200") for name in endpoints]

    def test_every_attempt_is_observed_with_its_status_without_the_waits_between(self, server, measured):
        server.script[POSITIONS] = [Answer({}, status=503), Answer([ROW])]
        asyncio.run(measured.rest.holdings())
        assert measured.waits
        assert measured.observed == [("positions", "503", 0.0), ("positions", "200", 0.0)]

    def test_the_time_is_that_of_the_request(self, server, measured):
        def answer(query):
            measured.seconds += 0.25
            return Answer([ROW])

        server.script[POSITIONS] = answer
        asyncio.run(measured.rest.holdings())
        assert measured.observed == [("positions", "200", 0.25)]

    @pytest.mark.parametrize(
        ("answer", "code"),
        [(Answer(HTML), "malformed"), (Stall(), "timeout"), (Drop(), "unreachable")],
        ids=["html", "stall", "drop"],
    )
    def test_without_a_status_or_a_readable_answer_it_is_our_code(self, server, answer, code):
        server.script[POSITIONS] = [answer] * 4
        measured = self.Measured(server.url, retries=1, timeout_seconds=0.3 if code == "timeout" else 30.0)
        measured.fault()
        measured.rest.close()
        assert {observed[:2] for observed in measured.observed} == {("positions", code)}

    def test_a_contract_that_alpaca_does_not_know_has_its_status(self, server, measured):
        server.script[CONTRACT] = [Answer({"code": 40410000, "message": "not found"}, 404)]
        assert asyncio.run(measured.rest.contract(SYMBOL)) is None
        assert measured.observed == [("contract", "404", 0.0)]

    def test_answers_that_the_rate_limit_is_reached_are_counted(self, server, measured):
        server.script[POSITIONS] = [Answer({"message": "too many requests."}, 429), Answer([ROW])]
        asyncio.run(measured.rest.holdings())
        assert measured.rest.rate_limited == 1
        assert [code for _, code, _ in measured.observed] == ["429", "200"]

    def test_an_abandoned_request_is_not_observed(self, server, measured):
        late = Late(5.0, Answer([ROW]))
        server.script[POSITIONS] = [late]

        async def scenario():
            task = asyncio.ensure_future(measured.rest.holdings())
            await asyncio.to_thread(server.was_asked.wait, 60)
            task.cancel()
            await asyncio.wait([task])
            late.released.set()

        asyncio.run(scenario())
        assert measured.observed == []
