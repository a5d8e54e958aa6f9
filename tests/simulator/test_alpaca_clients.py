"""alpaca-py's own clients, unchanged, against the simulator: what they parse is shaped as Alpaca's answers are."""

import asyncio

import pytest

from condord.simulator import serve

pytestmark = [
    pytest.mark.slow,
    # alpaca-py 0.44 sits on websockets.legacy, which warns on import.
    pytest.mark.filterwarnings("ignore:websockets.legacy is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:websockets.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:alpaca.*"),
]


def with_simulator(test):
    """Run `test`, a coroutine function, beside a simulator in the same loop."""

    def run():
        async def main():
            async with serve(rate=5.0) as simulator:
                await test(simulator)

        asyncio.run(main())

    run.__name__ = test.__name__
    return run


def trading_client(simulator):
    from alpaca.trading.client import TradingClient

    return TradingClient("k", "s", paper=True, url_override=simulator.url)


@with_simulator
async def test_positions_parse(simulator):
    client = trading_client(simulator)
    positions = await asyncio.to_thread(client.get_all_positions)
    assert len(positions) == 31
    short = next(position for position in positions if position.side.value == "short")
    assert float(short.qty) < 0
    one = await asyncio.to_thread(client.get_open_position, short.symbol)
    assert one.symbol == short.symbol


@with_simulator
async def test_account_clock_and_calendar_parse(simulator):
    from alpaca.trading.requests import GetCalendarRequest

    client = trading_client(simulator)
    account = await asyncio.to_thread(client.get_account)
    assert account.status.value == "ACTIVE"
    clock = await asyncio.to_thread(client.get_clock)
    assert clock.is_open
    assert clock.timestamp < clock.next_close < clock.next_open
    days = await asyncio.to_thread(
        client.get_calendar, GetCalendarRequest(start=clock.timestamp.date(), end=clock.next_open.date())
    )
    assert days[0].date == clock.timestamp.date()


@with_simulator
async def test_orders_parse_with_their_legs(simulator):
    from alpaca.trading.enums import OrderClass, QueryOrderStatus
    from alpaca.trading.requests import GetOrdersRequest

    orders = await asyncio.to_thread(
        trading_client(simulator).get_orders, GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True, limit=500)
    )
    condors = [order for order in orders if order.order_class is OrderClass.MLEG and len(order.legs) == 4]
    assert len(condors) == 7
    assert min(float(order.filled_avg_price) for order in condors) < 0
    assert {leg.position_intent.value for leg in condors[0].legs} == {"buy_to_open", "sell_to_open"}


@with_simulator
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


@with_simulator
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


@with_simulator
async def test_a_wrong_secret_and_a_missing_position_are_api_errors(simulator):
    from alpaca.common.exceptions import APIError

    with pytest.raises(APIError) as raised:
        await asyncio.to_thread(trading_client(simulator).get_open_position, "NONE")
    assert (raised.value.status_code, raised.value.code) == (404, 40410000)


@with_simulator
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
    quote = await asyncio.wait_for(arrived, 10)
    assert quote.symbol == symbol
    assert 0 < quote.bid_price < quote.ask_price
    await stream.stop_ws()
    await stream.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@with_simulator
async def test_a_fill_arrives_over_the_trading_stream(simulator):
    from alpaca.trading.stream import TradingStream

    stream = TradingStream("k", "s", paper=True, url_override=simulator.trading_stream_url)
    updates = asyncio.Queue()
    stream.subscribe_trade_updates(into(updates))
    running = asyncio.create_task(stream._run_forever())
    while not any(each["subscriptions"] for each in simulator.streams.state()["trading"]["open"]):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    put, call = (
        symbol
        for symbol, held in simulator.account.holdings.items()
        if held.symbol.startswith("SPY") and held.quantity < 0
    )
    simulator.fill((put, 1, None), (call, 1, None))
    multi = await asyncio.wait_for(updates.get(), 10)
    assert (multi.event, len(multi.order.legs)) == ("fill", 2)
    simulator.fill((put, 1, None))
    single = await asyncio.wait_for(updates.get(), 10)
    assert (single.order.symbol, single.position_qty) == (put, 0)
    await stream.stop_ws()
    await stream.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def into(queue):
    async def put(update):
        queue.put_nowait(update)

    return put
