"""alpaca-py's unmodified clients against the simulator: they can parse its responses."""

import asyncio
import datetime as dt

import pytest

from condord.core import occ
from tests.simulator.builders import with_simulator

pytestmark = [
    pytest.mark.slow,
    # alpaca-py 0.44 uses websockets.legacy, which warns on import.
    pytest.mark.filterwarnings("ignore:websockets.legacy is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:websockets.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:alpaca.*"),
]


def trading_client(simulator):
    from alpaca.trading.client import TradingClient

    return TradingClient("k", "s", paper=True, url_override=simulator.url)


@with_simulator(rate=5.0)
async def test_positions_parse(simulator):
    client = trading_client(simulator)
    positions = await asyncio.to_thread(client.get_all_positions)
    assert len(positions) == 43
    short = next(position for position in positions if position.side.value == "short")
    assert float(short.qty) < 0
    position = await asyncio.to_thread(client.get_open_position, short.symbol)
    assert position.symbol == short.symbol


@with_simulator(rate=5.0)
async def test_account_clock_and_calendar_parse(simulator):
    from alpaca.trading.requests import GetCalendarRequest

    client = trading_client(simulator)
    account = await asyncio.to_thread(client.get_account)
    assert account.status.value == "ACTIVE"
    assert 0 < float(account.maintenance_margin) < float(account.equity) != float(account.last_equity)
    clock = await asyncio.to_thread(client.get_clock)
    assert clock.is_open
    assert clock.timestamp < clock.next_close < clock.next_open
    days = await asyncio.to_thread(
        client.get_calendar, GetCalendarRequest(start=clock.timestamp.date(), end=clock.next_open.date())
    )
    assert days[0].date == clock.timestamp.date()


@with_simulator(rate=5.0)
async def test_orders_parse_with_their_legs(simulator):
    from alpaca.trading.enums import OrderClass, QueryOrderStatus
    from alpaca.trading.requests import GetOrdersRequest

    orders = await asyncio.to_thread(
        trading_client(simulator).get_orders, GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True, limit=500)
    )
    condors = [order for order in orders if order.order_class is OrderClass.MLEG and len(order.legs) == 4]
    today = dt.datetime.now(dt.UTC).date()
    filled = [
        order
        for order in condors
        if order.status.value == "filled" and occ.parse(order.legs[0].symbol).expiration >= today - dt.timedelta(days=1)
    ]
    assert len(filled) == 10
    assert min(float(order.filled_avg_price) for order in filled) < 0
    assert {leg.position_intent.value for leg in filled[0].legs} == {"buy_to_open", "sell_to_open"}


@with_simulator(rate=5.0)
async def test_the_working_order_parses_and_names_the_order_it_replaced(simulator):
    from alpaca.trading.enums import QueryOrderStatus
    from alpaca.trading.requests import GetOrdersRequest

    client = trading_client(simulator)
    request = GetOrdersRequest(status=QueryOrderStatus.OPEN, nested=True, limit=500)
    [order] = await asyncio.to_thread(client.get_orders, request)
    assert (order.status.value, order.type.value, order.time_in_force.value) == ("new", "limit", "gtc")
    assert float(order.limit_price) > 0
    assert order.expires_at > order.submitted_at
    assert {leg.position_intent.value for leg in order.legs} == {"buy_to_close", "sell_to_close"}
    request = GetOrdersRequest(status=QueryOrderStatus.CLOSED, nested=True, limit=500)
    closed = {row.id: row for row in await asyncio.to_thread(client.get_orders, request)}
    assert closed[order.replaces].replaced_by == order.id


@with_simulator(rate=5.0)
async def test_dividends_parse(simulator):
    from alpaca.data.enums import CorporateActionsType
    from alpaca.data.historical.corporate_actions import CorporateActionsClient
    from alpaca.data.requests import CorporateActionsRequest

    client = CorporateActionsClient("k", "s", url_override=simulator.url)
    request = CorporateActionsRequest(symbols=["SPY"], types=[CorporateActionsType.CASH_DIVIDEND])
    actions = (await asyncio.to_thread(client.get_corporate_actions, request)).data["cash_dividends"]
    assert {(row.symbol, row.rate, row.special) for row in actions} == {("SPY", 1.97, False)}
    assert all(row.ex_date < row.process_date == row.payable_date for row in actions)


@with_simulator(rate=5.0)
async def test_contracts_parse(simulator):
    from alpaca.trading.requests import GetOptionContractsRequest

    client = trading_client(simulator)
    page = await asyncio.to_thread(
        client.get_option_contracts, GetOptionContractsRequest(underlying_symbols=["XYZ"], limit=5)
    )
    assert len(page.option_contracts) == 5
    assert page.next_page_token
    held = next(symbol for symbol in simulator.account.holdings if symbol.startswith("XYZ1"))
    contract = await asyncio.to_thread(client.get_option_contract, held)
    assert (contract.root_symbol, contract.underlying_symbol) == ("XYZ1", "XYZ")


@with_simulator(rate=5.0)
async def test_quotes_and_snapshots_parse(simulator):
    from alpaca.data.historical.option import OptionHistoricalDataClient
    from alpaca.data.requests import OptionLatestQuoteRequest, OptionSnapshotRequest

    client = OptionHistoricalDataClient("k", "s", url_override=simulator.url)
    symbols = [symbol for symbol in simulator.account.holdings if symbol.startswith("SPY")]
    quotes = await asyncio.to_thread(
        client.get_option_latest_quote, OptionLatestQuoteRequest(symbol_or_symbols=symbols)
    )
    assert set(quotes) == set(symbols)
    snapshots = await asyncio.to_thread(client.get_option_snapshot, OptionSnapshotRequest(symbol_or_symbols=symbols))
    assert all(snapshot.greeks.delta for snapshot in snapshots.values())


@with_simulator(rate=5.0)
async def test_a_wrong_secret_and_a_missing_position_are_api_errors(simulator):
    from alpaca.common.exceptions import APIError

    with pytest.raises(APIError) as raised:
        await asyncio.to_thread(trading_client(simulator).get_open_position, "NONE")
    assert (raised.value.status_code, raised.value.code) == (404, 40410000)


@with_simulator(rate=5.0)
async def test_quotes_arrive_over_the_option_stream(simulator):
    from alpaca.data.live.option import OptionDataStream

    stream = OptionDataStream("k", "s", url_override=simulator.option_stream_url)
    symbol = next(symbol for symbol in simulator.account.holdings if symbol.startswith("SPY"))
    arrived = asyncio.get_running_loop().create_future()

    async def on_quote(quote):
        if not arrived.done():
            arrived.set_result(quote)

    stream.subscribe_quotes(on_quote, symbol)
    running = asyncio.create_task(stream._run_forever())
    quote = await asyncio.wait_for(arrived, 60)
    assert quote.symbol == symbol
    assert 0 < quote.bid_price < quote.ask_price
    await stream.stop_ws()
    await stream.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@with_simulator(rate=5.0)
async def test_a_fill_arrives_over_the_trading_stream(simulator):
    from alpaca.trading.stream import TradingStream

    stream = TradingStream("k", "s", paper=True, url_override=simulator.trading_stream_url)
    updates = asyncio.Queue()
    stream.subscribe_trade_updates(into(updates))
    running = asyncio.create_task(stream._run_forever())
    while not any(row["subscriptions"] for row in simulator.streams.state()["trading"]["open"]):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    put, call = (
        symbol
        for symbol, held in simulator.account.holdings.items()
        if held.symbol.startswith("SPY") and held.quantity < 0
    )
    simulator.fill((put, 1, None), (call, 1, None))
    multi = await asyncio.wait_for(updates.get(), 60)
    assert (multi.event, len(multi.order.legs)) == ("fill", 2)
    simulator.fill((put, 1, None))
    single = await asyncio.wait_for(updates.get(), 60)
    assert (single.order.symbol, single.position_qty) == (put, 0)
    await stream.stop_ws()
    await stream.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@with_simulator(rate=5.0)
async def test_every_event_of_a_working_order_arrives_over_the_trading_stream(simulator):
    from alpaca.trading.stream import TradingStream

    stream = TradingStream("k", "s", paper=True, url_override=simulator.trading_stream_url)
    updates = asyncio.Queue()
    stream.subscribe_trade_updates(into(updates))
    running = asyncio.create_task(stream._run_forever())
    while not any(row["subscriptions"] for row in simulator.streams.state()["trading"]["open"]):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    working, now = simulator.simulation.working_orders, asyncio.get_running_loop().time

    def send(change):
        simulator.simulation.send_updates(change, now())
        return change[-1]["data"]["order"]["id"]

    at = simulator.simulation.at(now())
    [order] = [order for order in simulator.account.orders if order["status"] == "new"]
    replacement = send(working.replace(order["id"], at))
    send(working.fill(replacement, at, units=1))
    send(working.cancel(replacement, at))
    received = [await asyncio.wait_for(updates.get(), 60) for _ in range(4)]
    assert [update.event for update in received] == ["replaced", "new", "partial_fill", "canceled"]
    assert str(received[1].order.replaces) == order["id"]
    assert {str(update.order.id) for update in received[1:]} == {replacement}
    assert (received[2].qty, received[3].order.filled_qty) == (1, "1")
    await stream.stop_ws()
    await stream.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def into(queue):
    async def put(update):
        queue.put_nowait(update)

    return put


@with_simulator(rate=5.0)
async def test_stock_snapshots_parse(simulator):
    from alpaca.data.historical.stock import StockHistoricalDataClient
    from alpaca.data.requests import StockSnapshotRequest

    client = StockHistoricalDataClient("k", "s", url_override=simulator.url)
    request = StockSnapshotRequest(symbol_or_symbols=["SPY", "AAPL", "SPX"])
    snapshots = await asyncio.to_thread(client.get_stock_snapshot, request)
    assert set(snapshots) == {"SPY", "AAPL"}
    for snapshot in snapshots.values():
        assert 0 < snapshot.latest_quote.bid_price <= snapshot.latest_quote.ask_price
        assert snapshot.latest_trade.price == pytest.approx(snapshot.latest_quote.ask_price, rel=0.01)
        assert snapshot.previous_daily_bar.timestamp < snapshot.daily_bar.timestamp <= snapshot.minute_bar.timestamp


@with_simulator(rate=5.0)
async def test_the_sip_feed_is_an_api_error_without_the_plan(simulator):
    from alpaca.common.exceptions import APIError
    from alpaca.data.enums import DataFeed
    from alpaca.data.historical.stock import StockHistoricalDataClient
    from alpaca.data.requests import StockSnapshotRequest

    client = StockHistoricalDataClient("k", "s", url_override=simulator.url)
    request = StockSnapshotRequest(symbol_or_symbols=["SPY"], feed=DataFeed.SIP)
    with pytest.raises(APIError) as raised:
        await asyncio.to_thread(client.get_stock_snapshot, request)
    assert raised.value.status_code == 403


@with_simulator(rate=20.0)
async def test_quotes_and_trades_arrive_over_the_stock_stream(simulator):
    from alpaca.data.live.stock import StockDataStream

    stream = StockDataStream("k", "s", url_override=simulator.stock_stream_url)
    quotes, trades = asyncio.Queue(), asyncio.Queue()
    stream.subscribe_quotes(into(quotes), "SPY", "AAPL")
    stream.subscribe_trades(into(trades), "SPY")
    running = asyncio.create_task(stream._run_forever())
    quote = await asyncio.wait_for(quotes.get(), 60)
    trade = await asyncio.wait_for(trades.get(), 60)
    assert quote.symbol in {"SPY", "AAPL"}
    assert 0 < quote.bid_price < quote.ask_price
    assert (quote.conditions, trade.symbol) == (["R"], "SPY")
    assert trade.price == pytest.approx(simulator.market.spot("SPY"), rel=0.01)
    await stream.stop_ws()
    await stream.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
