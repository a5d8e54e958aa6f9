import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.alpaca import KEY_ID, SECRET_KEY
from tests.fakes.streams import TradingServer
from tests.upstream.stream_harnesses import TradingHarness
from tests.virtualtime import run, settle, until

FILL = {
    "stream": "trade_updates",
    "data": {
        "at": "2025-01-21T07:32:40.70095Z",
        "event_id": "01JJ3WE73W5PG672TC4XACXH5R",
        "event": "fill",
        "timestamp": "2025-01-21T07:32:40.695569506Z",
        "order": {"order_class": "mleg", "filled_avg_price": "1.62", "symbol": "", "legs": [{"qty": "1"}]},
        "price": "1.62",
        "qty": "1",
        "position_qtys": {"AAPL250321P00200000": "1", "AAPL250321C00380000": "1"},
        "legs": [{"qty": "1", "price": "1.6", "symbol": "AAPL250321P00200000"}],
    },
}


def run_scenario(test):
    """Run `test` with a server on a virtual loop."""

    async def main():
        async with TradingServer() as server:
            await test(server)

    run(main())


def run_live(test):
    """Run `test` with a server, and a harness whose stream is live."""

    @run_scenario
    async def _(server):
        harness = TradingHarness(server)
        async with harness.at_work():
            await until(lambda: harness.state == "live")
            await test(server, harness)


@pytest.mark.parametrize("is_text", [False, True], ids=["paper", "live"])
def test_a_fill_causes_a_reading_of_positions(is_text):
    @run_scenario
    async def _(server):
        server.is_text = is_text
        harness = TradingHarness(server)
        async with harness.at_work():
            await until(lambda: harness.state == "live")
            before = harness.traded
            server.send_message(server.peer, FILL)
            await until(lambda: harness.traded == before + 1)


def test_the_login_names_key_and_secret():
    @run_live
    async def _(server, harness):
        assert server.logins == [(KEY_ID, SECRET_KEY)]


@pytest.mark.parametrize("event", ["new", "partial_fill", "canceled", "expired", "nobody_knows_this_yet"])
def test_any_order_event_is_a_hint(event):
    @run_live
    async def _(server, harness):
        server.send_message(server.peer, {"stream": "trade_updates", "data": {"event": event}})
        await until(lambda: harness.traded == 2)


def test_events_missed_in_a_gap_are_made_up_for_when_it_is_live_again():
    @run_scenario
    async def _(server):
        harness = TradingHarness(server)
        async with harness.at_work():
            for times in (1, 2, 3):
                await until(lambda: harness.state == "live")
                assert harness.traded == times
                server.peer.reset()
                await until(lambda: harness.state != "live")


def test_a_refused_key_halts():
    @run_scenario
    async def _(server):
        server.status = "unauthorized"
        harness = TradingHarness(server)
        async with harness.at_work():
            await until(lambda: harness.state == "halted")
            await settle()
            assert server.peers == []
            assert harness.updates.link.fault.code == "authFailed"
            assert SECRET_KEY not in harness.updates.link.fault.text


@pytest.mark.parametrize("mute", [{"upgrade": None}, {"status": None}, {"listens": False}])
def test_a_server_that_falls_silent_in_the_handshake_times_out_after_ten_seconds(mute):
    @run_scenario
    async def _(server):
        for name, value in mute.items():
            setattr(server, name, value)
        harness = TradingHarness(server)
        async with harness.at_work():
            await until(lambda: harness.state == "backingOff", within=10.5)
            await settle()
            assert server.peers == []


def test_a_quiet_account_is_not_suspicious():
    @run_live
    async def _(server, harness):
        await settle(700.0)
        assert harness.state == "live"
        assert len(server.all_peers) == 1


def test_no_other_source_has_newer_trade_updates():
    @run_scenario
    async def _(server):
        harness = TradingHarness(server, silence_seconds=5.0)
        async with harness.at_work():
            await until(lambda: harness.state == "live")
            harness.updates.watch(is_expecting=True)
            await until(lambda: harness.state == "stale")
            await settle(1.0)
            assert harness.state == "stale"


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "null",
        "[]",
        "{",
        b"\xff\xfe",
        b'{"stream":"\xff"}',
        b'{"stream":"authorization","data":"\xff"}',
        b'{"stream":"x","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        json.dumps({"stream": 5}),
        json.dumps({"stream": "authorization", "data": None}),
        json.dumps({"stream": "authorization", "data": {"status": None}}),
    ],
    ids=range(11),
)
def test_unreadable_frames_are_counted_and_cost_only_themselves(junk):
    @run_live
    async def _(server, harness):
        server.peer.send(junk)
        server.send_message(server.peer, FILL)
        await until(lambda: harness.traded == 2)
        assert (harness.state, harness.updates.refused) == ("live", {"tradeFrame": 1})


@pytest.mark.parametrize(
    "message", [{}, {"action": "error", "data": {"error_message": "internal server error"}}, {"stream": "news"}]
)
def test_unsolicited_messages_change_nothing(message):
    @run_live
    async def _(server, harness):
        server.send_message(server.peer, message)
        await settle()
        assert (harness.state, harness.traded, harness.updates.refused) == ("live", 1, {})


class NoServer:
    url = "ws://127.0.0.1:1/"


@pytest.mark.slow
@given(st.binary(max_size=100) | st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_no_bytes_ever_raise(data):
    harness = TradingHarness(NoServer())
    harness.updates.now = lambda: 1000.0
    harness.updates.read(data if isinstance(data, bytes) else json.dumps(data).encode())


def test_messages_are_counted_by_kind_and_unknown_kinds_together():
    @run_live
    async def _(server, harness):
        for message in (FILL, FILL, {"stream": "news"}, {"stream": "weather"}):
            server.send_message(server.peer, message)
        await until(lambda: harness.updates.messages["other"] == 2)
        assert harness.updates.messages == {"authorization": 1, "listening": 1, "trade_updates": 2, "other": 2}
