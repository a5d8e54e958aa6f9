import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from websockets.sync.client import connect

from condord.errors import NotFound, Unavailable
from condord.simulator import run, serve

PROGRAM = """
import sys
from condord.simulator import run
run(scenario=sys.argv[1], on_ready=lambda url: print(url, flush=True))
"""


def test_an_unknown_scenario_is_not_found():
    with pytest.raises(NotFound, match="odd"):
        run(scenario="odd", on_ready=print)


def test_a_port_that_is_taken_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Unavailable, match=str(port)):
            run(port=port, on_ready=print)


@pytest.mark.slow
def test_in_process_a_simulator_exposes_its_urls_and_parts_and_frees_the_port():
    async def main():
        async with serve(scenario="frozen", credentials=("k", "s"), symbol_limit=3, stock_symbol_limit=4) as simulator:
            port = int(simulator.url.rpartition(":")[2])
            assert simulator.option_stream_url == f"ws://127.0.0.1:{port}/v1beta1/indicative"
            assert simulator.stock_stream_url == f"ws://127.0.0.1:{port}/v2/iex"
            assert simulator.trading_stream_url == f"ws://127.0.0.1:{port}/stream"
            assert simulator.simulation.entitlements.symbol_limit == 3
            assert simulator.simulation.entitlements.stock_symbol_limit == 4
            assert len(simulator.account.holdings) == 43
            target = f"{simulator.url}/simulator/state"
            body = await asyncio.to_thread(lambda: urllib.request.urlopen(target).read())
            assert json.loads(body)["scenario"] == "frozen"
        socket.create_server(("127.0.0.1", port)).close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


@pytest.mark.slow
def test_an_error_inside_the_context_is_raised_unchanged():
    async def main():
        async with serve(scenario="empty"):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        asyncio.run(main())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_simulator_soon_and_cleanly_with_open_sockets(number):
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, "default"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        url = program.stdout.readline().strip()
        websocket = connect(url.replace("http", "ws") + "/stream")
        host, port = url.removeprefix("http://").split(":")
        idle = socket.create_connection((host, int(port)))
        fault = json.dumps({"fault": "rest-stall"}).encode()
        urllib.request.urlopen(f"{url}/simulator/faults", data=fault).close()
        stalled = socket.create_connection((host, int(port)))
        keys = "APCA-API-KEY-ID: k\r\nAPCA-API-SECRET-KEY: s\r\n"
        stalled.sendall(f"GET /v2/clock HTTP/1.1\r\nHost: x\r\n{keys}\r\n".encode())
        begun = time.monotonic()
        program.send_signal(number)
        output, errors = program.communicate(timeout=60)
        assert time.monotonic() - begun < 20  # 0.2 on an idle machine; the stalled request takes longer
        assert (program.returncode, output, errors) == (0, "", "")
        idle.close()
        stalled.close()
        websocket.socket.close()
        websocket.recv_events_thread.join(60)
