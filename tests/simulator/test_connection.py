import asyncio
import contextlib
import math

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from condord.simulator.connection import PING_SECONDS, PONG_SECONDS
from tests.simulator.builders import with_simulator

pytestmark = pytest.mark.slow

HEADERS = {"Content-Type": "application/msgpack"}
AUTH = {"action": "auth", "key": "k", "secret": "s"}
SYMBOL = "SPY261218C00745000"


def encode(message):
    return msgspec.msgpack.encode(message)


async def receive(websocket, seconds=2.0):
    return msgspec.msgpack.decode(await asyncio.wait_for(websocket.recv(), seconds))


@contextlib.asynccontextmanager
async def subscribed(simulator, *symbols, **options):
    async with connect(simulator.option_stream_url, additional_headers=HEADERS, **options) as websocket:
        await receive(websocket)
        await websocket.send(encode(AUTH))
        await receive(websocket)
        await websocket.send(encode({"action": "subscribe", "quotes": list(symbols)}))
        assert (await receive(websocket))[0]["T"] == "subscription"
        yield websocket


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


@with_simulator()
async def test_subscribers_receive_quotes(simulator):
    async with subscribed(simulator, SYMBOL) as websocket:
        (quote, *_) = await receive(websocket, 5.0)
        assert (quote["T"], quote["S"]) == ("q", SYMBOL)


@with_simulator(scenario="frozen")
async def test_subscribing_in_a_frozen_market_sends_no_quotes(simulator):
    async with subscribed(simulator, SYMBOL) as websocket:
        with pytest.raises(TimeoutError):
            await receive(websocket, 0.3)


@with_simulator(scenario="frozen")
async def test_fragmented_messages_are_reassembled(simulator):
    async with connect(simulator.option_stream_url, additional_headers=HEADERS) as websocket:
        await receive(websocket)
        body = encode(AUTH)
        await websocket.send(body[start : start + 3] for start in range(0, len(body), 3))
        assert (await receive(websocket))[0]["msg"] == "authenticated"


@with_simulator(scenario="frozen")
async def test_deflate_is_optional(simulator):
    async with subscribed(simulator, SYMBOL, compression=None) as websocket:
        assert websocket.response.headers.get("Sec-WebSocket-Extensions") is None
    async with subscribed(simulator, SYMBOL) as websocket:
        assert "permessage-deflate" in websocket.response.headers["Sec-WebSocket-Extensions"]


@with_simulator(scenario="frozen")
async def test_pings_are_answered_unless_pongs_are_turned_off(simulator):
    async with subscribed(simulator, SYMBOL) as websocket:
        await asyncio.wait_for(await websocket.ping(), 60)
        simulator.inject("no-pong")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(await websocket.ping(), 0.2)


@with_simulator(scenario="frozen")
async def test_a_second_connection_is_refused_and_the_first_one_stays_open(simulator):
    async with subscribed(simulator, SYMBOL) as first:
        async with connect(simulator.option_stream_url, additional_headers=HEADERS) as second:
            await receive(second)
            await second.send(encode(AUTH))
            assert (await receive(second))[0]["code"] == 406
            assert simulator.streams.state()["option"]["maxOpen"] == 2
        await asyncio.wait_for(await first.ping(), 60)
    async with subscribed(simulator, SYMBOL):
        state = simulator.streams.state()["option"]
        assert (len(state["open"]), state["accepted"], state["maxOpen"]) == (1, 3, 2)


@with_simulator(scenario="frozen")
async def test_a_reset_arrives_without_a_close_frame(simulator):
    async with subscribed(simulator, SYMBOL) as websocket:
        simulator.inject("reset")
        with pytest.raises(ConnectionClosedError) as raised:
            await receive(websocket)
        assert raised.value.rcvd is None
    await until(lambda: not simulator.streams.connections("option"))


@with_simulator(scenario="frozen")
async def test_a_fault_resets_the_connection_in_the_middle_of_a_frame(simulator):
    async with subscribed(simulator, SYMBOL) as websocket:
        simulator.inject("reset-mid-frame")
        with pytest.raises(ConnectionClosedError):
            await receive(websocket)


@with_simulator(scenario="frozen")
async def test_a_fault_closes_the_connection_with_1001(simulator):
    async with subscribed(simulator, SYMBOL) as websocket:
        simulator.inject("close-1001")
        with pytest.raises(ConnectionClosed) as raised:
            await receive(websocket)
        assert raised.value.rcvd.code == 1001


@with_simulator()
async def test_a_mute_connection_answers_pings_and_the_next_connection_gets_data(simulator):
    async with subscribed(simulator, SYMBOL) as websocket:
        simulator.inject("mute")
        # Everything sent before the fault arrives before the pong.
        await asyncio.wait_for(await websocket.ping(), 60)
        with contextlib.suppress(TimeoutError):
            while True:
                await receive(websocket, 0.05)
        with pytest.raises(TimeoutError):
            await receive(websocket, 0.5)
        await asyncio.wait_for(await websocket.ping(), 60)
    async with subscribed(simulator, SYMBOL) as websocket:
        assert await receive(websocket, 5.0)


@with_simulator(scenario="frozen")
async def test_a_fault_leaves_a_close_frame_unanswered(simulator):
    simulator.inject("close-without-echo")
    async with subscribed(simulator, SYMBOL, close_timeout=0.2) as websocket:
        await websocket.close()
        assert websocket.close_code == 1006


@pytest.mark.parametrize(("fault", "status"), [("upgrade-429", 429), ("upgrade-403", 403), ("upgrade-502", 502)])
def test_a_fault_refuses_an_upgrade(fault, status):
    @with_simulator(scenario="frozen")
    async def run(simulator):
        simulator.inject(fault, count=1)
        with pytest.raises(InvalidStatus) as raised:
            async with connect(simulator.option_stream_url):
                pass
        assert raised.value.response.status_code == status
        assert simulator.streams.state()["option"]["accepted"] == 0
        async with connect(simulator.option_stream_url):
            pass

    run()


@with_simulator(scenario="frozen")
async def test_a_fault_redirects_an_upgrade(simulator):
    simulator.inject("upgrade-302", stream="trading", location="ws://other.example/x")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(simulator.url.rpartition(":")[2]))
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13"
    writer.write(
        f"GET /stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}\r\n\r\n".encode()
    )
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.close()
    assert head.startswith("HTTP/1.1 302 ")
    assert "Location: ws://other.example/x\r\n" in head


@with_simulator(scenario="frozen")
async def test_a_ping_flood_sends_only_pings_and_reads_nothing(simulator):
    async with subscribed(simulator, SYMBOL, close_timeout=0.1, ping_interval=None) as websocket:
        simulator.inject("ping-flood")
        connection = simulator.streams.connections("option")[0]
        await until(lambda: not connection.transport.is_reading())
        await until(lambda: websocket.transport.get_write_buffer_size() > 0)
        with pytest.raises(TimeoutError):
            await receive(websocket, 0.1)
        websocket.transport.abort()


@with_simulator(scenario="frozen")
async def test_an_upgrade_to_another_path_gets_404(simulator):
    with pytest.raises(InvalidStatus) as raised:
        async with connect(simulator.option_stream_url + "x"):
            pass
    assert raised.value.response.status_code == 404


@with_simulator(scenario="frozen")
async def test_frame_faults_reach_subscribers(simulator):
    async with subscribed(simulator, SYMBOL, max_size=None) as websocket:
        simulator.inject("text-frame")
        assert isinstance(await websocket.recv(), str)
        simulator.inject("garbage")
        with pytest.raises(msgspec.DecodeError):
            await receive(websocket)
        simulator.inject("oversize-frame")
        assert len(await websocket.recv()) > 1 << 20
        simulator.inject("slow-407")
        assert (await receive(websocket))[0]["code"] == 407
        with pytest.raises(ConnectionClosed):
            await receive(websocket)


@with_simulator(scenario="frozen")
async def test_a_frame_fault_waits_for_a_subscriber(simulator):
    simulator.inject("garbage")
    async with subscribed(simulator, SYMBOL) as websocket:
        with pytest.raises(msgspec.DecodeError):
            await receive(websocket)


@with_simulator(scenario="frozen")
async def test_a_client_without_a_pong_is_dropped_six_seconds_after_the_ping(simulator):
    async with subscribed(simulator, SYMBOL):
        (connection,) = simulator.streams.connections("option")
        now = asyncio.get_running_loop().time() + PING_SECONDS
        connection.tick(now)
        await until(lambda: connection._abort_at == math.inf)  # the client pongs
        connection.tick(now + PONG_SECONDS)
        assert not connection.transport.is_closing()
        connection.tick(now + 2 * PING_SECONDS)
        connection.tick(now + 2 * PING_SECONDS + PONG_SECONDS)
        assert connection.transport.is_closing()


@with_simulator(scenario="frozen")
async def test_a_client_that_does_not_read_is_closed_as_slow(simulator):
    async with subscribed(simulator, SYMBOL, max_queue=1, max_size=None, compression=None) as websocket:
        simulator.inject("oversize-frame", count=12)
        for _ in range(11):
            simulator.simulation.tick(asyncio.get_running_loop().time())
        await asyncio.sleep(0.2)
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.wait_for(websocket.recv(), 60)
        assert websocket.close_code == 1008


async def receive_any(websocket):
    """The next message in the format of its frame."""
    frame = await asyncio.wait_for(websocket.recv(), 60)
    return (msgspec.json if isinstance(frame, str) else msgspec.msgpack).decode(frame)


@contextlib.asynccontextmanager
async def stock_stream(simulator, *symbols, headers=HEADERS):
    async with connect(simulator.stock_stream_url, additional_headers=headers) as websocket:
        await receive_any(websocket)
        for message in (AUTH, {"action": "subscribe", "quotes": list(symbols)}):
            await websocket.send(encode(message) if headers else msgspec.json.encode(message).decode())
            answer = await receive_any(websocket)
        assert answer[0]["quotes"] == list(symbols)
        yield websocket


@pytest.mark.parametrize("headers", [HEADERS, {}], ids=["msgpack", "json"])
@with_simulator(rate=20.0)
async def test_stock_quotes_arrive_beside_the_option_stream_in_either_format(simulator, headers):
    async with subscribed(simulator, SYMBOL), stock_stream(simulator, "SPY", headers=headers) as websocket:
        (quote, *_) = await receive_any(websocket)
        assert (quote["T"], quote["S"], quote["c"]) == ("q", "SPY", ["R"])
        assert isinstance(quote["t"], str) is not bool(headers)
        state = simulator.streams.state()
        assert [state[stream]["maxOpen"] for stream in ("option", "stock", "trading")] == [1, 1, 0]


@with_simulator(scenario="frozen")
async def test_a_second_stock_connection_gets_406_and_the_first_one_stays(simulator):
    url = simulator.stock_stream_url
    async with stock_stream(simulator, "SPY") as first, connect(url, additional_headers=HEADERS) as second:
        await receive(second)
        await second.send(encode(AUTH))
        assert (await receive(second))[0]["code"] == 406
        assert simulator.streams.state()["stock"]["maxOpen"] == 2
        await asyncio.wait_for(await first.ping(), 60)


@with_simulator(scenario="frozen")
async def test_a_fault_of_the_stock_stream_resets_it_and_nothing_else(simulator):
    async with subscribed(simulator, SYMBOL) as options, stock_stream(simulator, "SPY") as stocks:
        simulator.inject("reset", stream="stock")
        with pytest.raises(ConnectionClosedError):
            await receive_any(stocks)
        await asyncio.wait_for(await options.ping(), 60)


@with_simulator(scenario="frozen")
async def test_a_price_that_is_set_is_streamed_at_once(simulator):
    async with stock_stream(simulator, "SPY") as websocket:
        simulator.simulation.set_spots({"SPY": 700.0}, asyncio.get_running_loop().time(), hold=True)
        (quote, *_) = await receive_any(websocket)
        assert quote["bp"] == pytest.approx(700, abs=0.011)


@pytest.mark.parametrize(("fault", "status"), [("upgrade-429", 429), ("upgrade-403", 403), ("upgrade-502", 502)])
@with_simulator(scenario="frozen")
async def test_an_upgrade_fault_of_the_stock_stream_refuses_only_its_upgrade(simulator, fault, status):
    simulator.inject(fault, stream="stock")
    with pytest.raises(InvalidStatus) as raised:
        async with connect(simulator.stock_stream_url, additional_headers=HEADERS):
            pass
    assert raised.value.response.status_code == status
    async with subscribed(simulator, SYMBOL):
        pass


@with_simulator(scenario="frozen")
async def test_no_pong_comes_on_the_stock_stream_while_the_option_stream_answers(simulator):
    async with (
        subscribed(simulator, SYMBOL) as options,
        connect(simulator.stock_stream_url, additional_headers=HEADERS) as stocks,
    ):
        await receive(stocks)
        simulator.inject("no-pong", stream="stock")
        await asyncio.wait_for(await options.ping(), 60)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(await stocks.ping(), 0.2)


@with_simulator(scenario="frozen")
async def test_bad_frames_of_the_stock_stream_arrive_only_there(simulator):
    async with subscribed(simulator, SYMBOL) as options, stock_stream(simulator, "SPY") as stocks:
        simulator.inject("text-frame", stream="stock")
        assert isinstance(await asyncio.wait_for(stocks.recv(), 60), str)
        simulator.inject("garbage", stream="stock")
        with pytest.raises(msgspec.DecodeError):
            await receive_any(stocks)
        simulator.inject("slow-407", stream="stock")
        assert (await receive_any(stocks))[0]["code"] == 407
        with pytest.raises(ConnectionClosed):
            await receive_any(stocks)
        await asyncio.wait_for(await options.ping(), 60)
        with pytest.raises(TimeoutError):
            await receive(options, 0.1)
