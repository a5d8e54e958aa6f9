import asyncio
import contextlib
import math

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from condord.simulator import serve
from condord.simulator.connection import PING_SECONDS, PONG_SECONDS

pytestmark = pytest.mark.slow

HEADERS = {"Content-Type": "application/msgpack"}
AUTH = {"action": "auth", "key": "k", "secret": "s"}
SYMBOL = "SPY261218C00745000"


def pack(message):
    return msgspec.msgpack.encode(message)


async def hear(websocket, seconds=2.0):
    return msgspec.msgpack.decode(await asyncio.wait_for(websocket.recv(), seconds))


@contextlib.asynccontextmanager
async def subscribed(simulator, *symbols, **options):
    async with connect(simulator.option_stream_url, additional_headers=HEADERS, **options) as websocket:
        await hear(websocket)
        await websocket.send(pack(AUTH))
        await hear(websocket)
        await websocket.send(pack({"action": "subscribe", "quotes": list(symbols)}))
        assert (await hear(websocket))[0]["T"] == "subscription"
        yield websocket


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


def with_simulator(scenario="default"):
    """Run a test inside a simulator."""

    def wrap(test):
        def run():
            async def main():
                async with serve(scenario=scenario) as simulator:
                    await test(simulator)

            asyncio.run(main())

        run.__name__ = test.__name__
        return run

    return wrap


@with_simulator()
async def test_quotes_flow_to_who_subscribed(simulator):
    async with subscribed(simulator, SYMBOL) as websocket:
        (quote, *_) = await hear(websocket, 5.0)
        assert (quote["T"], quote["S"]) == ("q", SYMBOL)


@with_simulator("frozen")
async def test_nothing_is_sent_on_subscribe_where_nothing_moves(simulator):
    async with subscribed(simulator, SYMBOL) as websocket:
        with pytest.raises(TimeoutError):
            await hear(websocket, 0.3)


@with_simulator("frozen")
async def test_fragmented_messages_are_put_together(simulator):
    async with connect(simulator.option_stream_url, additional_headers=HEADERS) as websocket:
        await hear(websocket)
        body = pack(AUTH)
        await websocket.send(body[place : place + 3] for place in range(0, len(body), 3))
        assert (await hear(websocket))[0]["msg"] == "authenticated"


@with_simulator("frozen")
async def test_deflate_is_optional(simulator):
    async with subscribed(simulator, SYMBOL, compression=None) as websocket:
        assert websocket.response.headers.get("Sec-WebSocket-Extensions") is None
    async with subscribed(simulator, SYMBOL) as websocket:
        assert "permessage-deflate" in websocket.response.headers["Sec-WebSocket-Extensions"]


@with_simulator("frozen")
async def test_pings_are_answered_unless_pongs_are_off(simulator):
    async with subscribed(simulator, SYMBOL) as websocket:
        await asyncio.wait_for(await websocket.ping(), 2)
        simulator.strike("no-pong")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(await websocket.ping(), 0.2)


@with_simulator("frozen")
async def test_a_second_connection_is_refused_and_the_first_one_stays(simulator):
    async with subscribed(simulator, SYMBOL) as first:
        async with connect(simulator.option_stream_url, additional_headers=HEADERS) as second:
            await hear(second)
            await second.send(pack(AUTH))
            assert (await hear(second))[0]["code"] == 406
            assert simulator.streams.state()["option"]["maxOpen"] == 2
        await asyncio.wait_for(await first.ping(), 2)
    async with subscribed(simulator, SYMBOL):
        state = simulator.streams.state()["option"]
        assert (len(state["open"]), state["accepted"], state["maxOpen"]) == (1, 3, 2)


@with_simulator("frozen")
async def test_a_reset_is_no_end(simulator):
    async with subscribed(simulator, SYMBOL) as websocket:
        simulator.strike("reset")
        with pytest.raises(ConnectionClosedError) as raised:
            await hear(websocket)
        assert raised.value.rcvd is None
    await until(lambda: not simulator.streams.connections("option"))


@with_simulator("frozen")
async def test_a_reset_may_come_in_the_middle_of_a_frame(simulator):
    async with subscribed(simulator, SYMBOL) as websocket:
        simulator.strike("reset-mid-frame")
        with pytest.raises(ConnectionClosedError):
            await hear(websocket)


@with_simulator("frozen")
async def test_the_server_may_go_away(simulator):
    async with subscribed(simulator, SYMBOL) as websocket:
        simulator.strike("close-1001")
        with pytest.raises(ConnectionClosed) as raised:
            await hear(websocket)
        assert raised.value.rcvd.code == 1001


@with_simulator()
async def test_a_mute_connection_still_pongs_and_the_next_one_speaks(simulator):
    async with subscribed(simulator, SYMBOL) as websocket:
        simulator.strike("mute")
        # What was sent before is here before the pong.
        await asyncio.wait_for(await websocket.ping(), 2)
        with contextlib.suppress(TimeoutError):
            while True:
                await hear(websocket, 0.05)
        with pytest.raises(TimeoutError):
            await hear(websocket, 0.5)
        await asyncio.wait_for(await websocket.ping(), 2)
    async with subscribed(simulator, SYMBOL) as websocket:
        assert await hear(websocket, 5.0)


@with_simulator("frozen")
async def test_a_close_may_stay_without_echo(simulator):
    simulator.strike("close-without-echo")
    async with subscribed(simulator, SYMBOL, close_timeout=0.2) as websocket:
        await websocket.close()
        assert websocket.close_code == 1006


@pytest.mark.parametrize(("fault", "status"), [("upgrade-429", 429), ("upgrade-403", 403), ("upgrade-502", 502)])
def test_an_upgrade_may_be_refused(fault, status):
    @with_simulator("frozen")
    async def run(simulator):
        simulator.strike(fault, count=1)
        with pytest.raises(InvalidStatus) as raised:
            async with connect(simulator.option_stream_url):
                pass
        assert raised.value.response.status_code == status
        assert simulator.streams.state()["option"]["accepted"] == 0
        async with connect(simulator.option_stream_url):
            pass

    run()


@with_simulator("frozen")
async def test_other_paths_are_no_streams(simulator):
    with pytest.raises(InvalidStatus) as raised:
        async with connect(simulator.option_stream_url + "x"):
            pass
    assert raised.value.response.status_code == 404


@with_simulator("frozen")
async def test_strange_frames_reach_subscribers(simulator):
    async with subscribed(simulator, SYMBOL, max_size=None) as websocket:
        simulator.strike("text-frame")
        assert isinstance(await websocket.recv(), str)
        simulator.strike("garbage")
        with pytest.raises(msgspec.DecodeError):
            await hear(websocket)
        simulator.strike("oversize-frame")
        assert len(await websocket.recv()) > 1 << 20
        simulator.strike("slow-407")
        assert (await hear(websocket))[0]["code"] == 407
        with pytest.raises(ConnectionClosed):
            await hear(websocket)


@with_simulator("frozen")
async def test_a_frame_fault_waits_for_a_subscriber(simulator):
    simulator.strike("garbage")
    async with subscribed(simulator, SYMBOL) as websocket:
        with pytest.raises(msgspec.DecodeError):
            await hear(websocket)


@with_simulator("frozen")
async def test_who_does_not_pong_is_dropped_six_seconds_after_the_ping(simulator):
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


@with_simulator("frozen")
async def test_who_does_not_read_is_slow(simulator):
    async with subscribed(simulator, SYMBOL, max_queue=1, max_size=None, compression=None) as websocket:
        simulator.strike("oversize-frame", count=12)
        for _ in range(11):
            simulator.simulation.tick(asyncio.get_running_loop().time())
        await asyncio.sleep(0.2)
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.wait_for(websocket.recv(), 2)
        assert websocket.close_code == 1008
