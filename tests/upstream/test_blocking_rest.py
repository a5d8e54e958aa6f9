"""The requests of `AlpacaRest`, and their parsed answers."""

import asyncio
import contextlib
import datetime as dt
from decimal import Decimal

import msgspec
import pytest

from condord.core import occ
from condord.upstream.rest_fault import RestFault
from tests.fakes.rest import Answer
from tests.simulator.builders import with_simulator
from tests.upstream.rest_harness import (
    ACCOUNT,
    ACTIONS,
    ACTIVITIES,
    INDEXES,
    NOW_AT,
    ORDERS,
    QUOTES,
    SNAPSHOTS,
    STOCKS,
    SYMBOL,
    Harness,
)

SIMULATED_AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)  # a Friday, 10:00 in New York
LEG = {"symbol": SYMBOL, "position_intent": "buy_to_open", "filled_qty": "1", "filled_avg_price": "1.5"}
ORDER = {"id": "one", "submitted_at": "2025-06-24T16:00:00Z", "status": "partially_filled", "qty": "2"}


class TestMarket:
    """Requests that only risk figures need."""

    def test_stocks_are_read_from_the_feed_two_hundred_a_request(self, server, harness):
        server.script[STOCKS] = lambda query: Answer({key: {} for key in query["symbols"].split(",")})
        stocks = [f"S{number}" for number in range(401)]
        taken = []
        asyncio.run(harness(stock_feed="sip").rest.stock_snapshots(stocks, taken.extend))
        assert sorted(snapshot.symbol for snapshot in taken) == sorted(stocks)
        assert sorted(len(query["symbols"].split(",")) for _, query, _ in server.asked) == [1, 200, 200]
        assert {query["feed"] for _, query, _ in server.asked} == {"sip"}

    def test_figures_are_read_from_the_feed_of_options_a_hundred_a_request(self, server, harness):
        server.script[SNAPSHOTS] = lambda query: Answer(
            {"snapshots": {key: {"impliedVolatility": 0.2} for key in query["symbols"].split(",")}}
        )
        symbols = [f"SPY261218P{strike:08d}" for strike in range(1, 252)]
        taken = []
        asyncio.run(harness(feed="opra").rest.option_snapshots(symbols, taken.extend))
        assert sorted(snapshot.symbol for snapshot in taken) == symbols
        assert sorted(len(query["symbols"].split(",")) for _, query, _ in server.asked) == [51, 100, 100]
        assert {query["feed"] for _, query, _ in server.asked} == {"opra"}

    def test_a_failed_part_does_not_cost_the_others(self, server, harness):
        server.script[STOCKS] = lambda query: Answer(
            {key: {} for key in query["symbols"].split(",")}, 500 if "S0" in query["symbols"].split(",") else 200
        )
        calls = harness(retries=0)
        stocks, taken = [f"S{number}" for number in range(300)], []
        assert calls.fault(lambda: calls.rest.stock_snapshots(stocks, taken.extend)).code == "serverError"
        assert [snapshot.symbol for snapshot in taken] == stocks[200:]

    def test_index_values_are_read(self, server, harness):
        server.script[INDEXES] = [Answer({"values": {"SPX": {"t": "2026-11-20T15:30:01Z", "v": 6543.21}}})]
        (value,) = asyncio.run(harness().rest.index_values(["SPX", "VIX"]))
        assert (value.symbol, value.value_e4, server.asked[0][1]) == ("SPX", 65_432_100, {"symbols": "SPX,VIX"})

    def test_without_the_entitlement_to_indexes_nothing_is_wrong(self, server, harness):
        server.script[INDEXES] = [Answer({"message": "insufficient grants"}, 403)]
        assert asyncio.run(harness().rest.index_values(["SPX"])) is None
        assert len(server.asked) == 1

    @pytest.mark.parametrize(("status", "code"), [(401, "authFailed"), (404, "refused"), (500, "serverError")])
    def test_any_other_refusal_of_indexes_is_a_fault(self, server, harness, status, code):
        server.script[INDEXES] = [Answer({"message": "no"}, status)]
        calls = harness(retries=0)
        assert calls.fault(lambda: calls.rest.index_values(["SPX"])).code == code

    def test_dividends_are_requested_by_symbol_and_process_date(self, server, harness):
        row = {"symbol": "SPY", "rate": 1.97, "ex_date": "2026-12-18"}
        server.script[ACTIONS] = [Answer({"corporate_actions": {"cash_dividends": [row]}})]
        start, end = dt.date(2026, 11, 15), dt.date(2027, 2, 3)
        (dividend,) = asyncio.run(harness().rest.dividends(["QQQ", "SPY"], start, end))
        assert (dividend.symbol, dividend.amount_e6) == ("SPY", 1_970_000)
        (_, query, _) = server.asked[0]
        assert (query["symbols"], query["start"], query["end"]) == ("QQQ,SPY", "2026-11-15", "2027-02-03")

    def test_dividends_of_many_stocks_are_by_ex_date(self, server, harness):
        server.script[ACTIONS] = lambda query: Answer(
            {
                "corporate_actions": {
                    "cash_dividends": [{"symbol": query["symbols"].split(",")[0], "rate": 1, "ex_date": "2026-12-18"}]
                }
            }
        )
        stocks = [f"S{number:03d}" for number in range(400)]
        read = asyncio.run(harness().rest.dividends(stocks, NOW_AT.date(), NOW_AT.date()))
        assert [dividend.symbol for dividend in read] == ["S000", "S200"]

    def test_without_a_service_for_corporate_actions_no_dividend_is_announced(self, server, harness):
        server.script[ACTIONS] = [Answer({"message": "endpoint not found"}, 404)]
        assert asyncio.run(harness().rest.dividends(["SPY"], NOW_AT.date(), NOW_AT.date())) == []

    @pytest.mark.parametrize("call_name", ["stocks", "indexes", "snapshots", "opposites", "dividends"])
    def test_failures_never_open_the_breaker_of_quotes(self, server, harness, call_name):
        server.script |= {path: [Answer({}, 500)] for path in (STOCKS, INDEXES, SNAPSHOTS, ACTIONS, QUOTES)}
        calls = harness(breaker_failures=1, retries=0)
        assert calls.fault(calls.by_name[call_name]).code == "serverError"
        assert calls.rest.breakers == {"trading": "closed", "data": "closed"}

    def test_a_call_for_opposites_does_not_end_the_pending_fault_of_quotes(self, server, harness):
        calls = harness()
        calls.rest._calls.pending_faults.note("quotes", RestFault("timeout", "too slow", may_retry=True))
        asyncio.run(calls.by_name["opposites"]())
        assert calls.rest.pending_fault.code == "timeout"


class TestDay:
    """Requests that only today's profit or loss and closing orders need."""

    DAY = dt.date(2026, 11, 20)

    def test_the_balances_are_read(self, server, harness):
        server.script[ACCOUNT] = [Answer({"id": "one", "equity": "50123.4"})]
        summary = asyncio.run(harness().rest.account_summary())
        assert (summary.equity_e4, summary.read_at, summary.transfers_e4) == (501_234_000, NOW_AT, None)

    def test_the_transfers_of_a_day_are_added(self, server, harness):
        row = {"activity_type": "CSD", "date": "2026-11-20", "net_amount": "1000", "status": "executed"}
        server.script[ACTIVITIES] = [Answer([row, row | {"date": "2026-11-19"}])]
        assert asyncio.run(harness().rest.transfers_e4(self.DAY)) == 10_000_000
        assert server.asked[0][1]["activity_types"] == "CSD,CSW,JNLC"

    def test_working_orders_are_the_open_ones_nested_and_oldest_first(self, server, harness):
        server.script[ORDERS] = [Answer([ORDER | LEG])]
        (order,) = asyncio.run(harness().rest.working_orders())
        assert (order.id, order.quantity) == ("one", 1)
        query = {name: value.lower() for name, value in server.asked[0][1].items()}
        assert query == {"status": "open", "limit": "500", "direction": "asc", "nested": "true"}

    def test_a_page_of_fills_is_read(self, server, harness):
        row = {
            "activity_type": "FILL",
            "id": "one",
            "price": "9.41",
            "qty": "1",
            "side": "buy",
            "symbol": SYMBOL,
            "transaction_time": "2026-11-20T15:30:00Z",
        }
        server.script[ACTIVITIES] = [Answer([row])]
        page = asyncio.run(harness().rest.day_fills(self.DAY, NOW_AT, "token"))
        assert (list(page.fills), page.last_id, page.is_full) == (["one"], "one", False)
        (_, query, _) = server.asked[0]
        assert (query["activity_types"], query["page_token"]) == ("FILL", "token")

    @pytest.mark.parametrize("call_name", ["balances", "transfers", "workingOrders", "dayFills"])
    def test_failures_never_open_the_breaker_of_positions(self, server, harness, call_name):
        server.script |= {path: [Answer({}, 500)] for path in (ACCOUNT, ACTIVITIES, ORDERS)}
        calls = harness(breaker_failures=1, retries=0)
        assert calls.fault(calls.by_name[call_name]).code == "serverError"
        assert calls.rest.breakers == {"trading": "closed", "data": "closed"}
        assert len(asyncio.run(calls.rest.holdings()).options) == 1


@contextlib.contextmanager
def client(simulator):
    """A client of a simulator, which answers as Alpaca does."""
    harness = Harness(simulator.url)
    try:
        yield harness
    finally:
        harness.rest.close()


@with_simulator(scenario="frozen", started_at=SIMULATED_AT)
async def test_stocks_have_a_quote_a_trade_and_two_closes(simulator):
    with client(simulator) as harness:
        taken = []
        await harness.rest.stock_snapshots(["AAPL", "SPY", "NOSUCH"], taken.extend)
        assert [snapshot.symbol for snapshot in taken] == ["AAPL", "SPY"]
        for snapshot in taken:
            assert 0.0 < snapshot.quote.bid <= snapshot.quote.ask
            assert abs(snapshot.trade.price_e4 - snapshot.quote.bid * 10_000) < 50_000
            assert snapshot.before.day < snapshot.today.day == SIMULATED_AT.date()
        assert harness.rest.refused == {}


@with_simulator(scenario="index", started_at=SIMULATED_AT)
async def test_indexes_have_values_with_the_entitlement(simulator):
    with client(simulator) as harness:
        (value,) = await harness.rest.index_values(["SPX"])
        assert (value.symbol, value.value_e4 > 0) == ("SPX", True)


@with_simulator(scenario="default", started_at=SIMULATED_AT)
async def test_without_the_entitlement_indexes_have_no_values(simulator):
    with client(simulator) as harness:
        assert await harness.rest.index_values(["SPX"]) is None


@with_simulator(scenario="frozen", started_at=SIMULATED_AT)
async def test_figures_and_quotes_belong_to_the_contracts(simulator):
    with client(simulator) as harness:
        held = [option.symbol for option in (await harness.rest.holdings()).options]
        figures, quotes = [], []
        await harness.rest.option_snapshots(held, figures.extend)
        await harness.rest.opposite_quotes(held, quotes.extend)
        assert len(figures) > len(held) / 2
        assert {tick.symbol for tick in quotes} == set(held)
        for snapshot in figures:
            assert 0.0 < snapshot.iv < 3.0
            assert (snapshot.delta > 0) == (occ.parse(snapshot.symbol).right == "call")
            assert snapshot.theta <= 0.0 <= snapshot.gamma
            assert snapshot.at <= SIMULATED_AT + dt.timedelta(seconds=60)
        assert harness.rest.refused == {}


@with_simulator(scenario="frozen", started_at=SIMULATED_AT)
async def test_the_account_has_its_balances_and_its_options_their_closes(simulator):
    with client(simulator) as harness:
        summary, held = await harness.rest.account_summary(), await harness.rest.holdings()
        assert None not in msgspec.structs.astuple(msgspec.structs.replace(summary, transfers_e4=0))
        assert set(held.closes_e4) == {option.symbol for option in held.options}
        assert await harness.rest.transfers_e4(SIMULATED_AT.date()) == 0
        assert all(order.quantity > 0 for order in await harness.rest.working_orders())
        assert harness.rest.refused == {}


@with_simulator(scenario="frozen", started_at=SIMULATED_AT)
async def test_a_trade_is_among_the_fills_of_the_day(simulator):
    with client(simulator) as harness:
        held = (await harness.rest.holdings()).options[0]
        simulator.fill((held.symbol, 2, Decimal("1.25")))
        page = await harness.rest.day_fills(SIMULATED_AT.date(), SIMULATED_AT - dt.timedelta(hours=1), None)
        (fill,) = page.fills.values()
        assert (fill.symbol, fill.quantity, fill.price_e6) == (held.symbol, 2, 1_250_000)
        assert fill.order_id is not None
        assert harness.rest.refused == {}


@with_simulator(scenario="frozen", started_at=SIMULATED_AT)
async def test_contracts_have_a_style(simulator):
    with client(simulator) as harness:
        held = (await harness.rest.holdings()).options
        contract = await harness.rest.contract(next(o.symbol for o in held if o.symbol.startswith("SPY")))
        assert (contract.style, contract.multiplier) == ("american", 100)
