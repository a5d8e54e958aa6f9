"""Tests of what both streams share, with the option stream, whose handshake is longer."""

import asyncio
import contextlib
import itertools
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord.host.network import Network
from condord.live.link import STEP_SECONDS, LinkFault
from condord.upstream.rest_fault import RestFault
from tests.examples import examples
from tests.fakes.alpaca import LOGIN
from tests.fakes.faulty_link import FaultyLink
from tests.fakes.streams import AUTHENTICATED, CONNECTED, OptionServer, error, frame
from tests.live.accounts import REPEATABLE
from tests.upstream.stream_harnesses import END_SECONDS, OptionHarness
from tests.virtualtime import run, settle, until


def quote(symbol="A", seconds=0):
    return frame({"T": "q", "S": symbol, "t": f"2026-11-20T15:00:{seconds:02d}Z", "bp": 1.0, "ap": 1.2})


def now():
    return asyncio.get_running_loop().time()


def with_server(test):
    """Run a test with a server on a virtual loop."""

    def run_scenario():
        async def scenario():
            async with OptionServer() as server:
                await test(server)

        run(scenario())

    run_scenario.__name__ = test.__name__
    return run_scenario


class TestHandshake:
    @pytest.mark.parametrize(
        ("mute", "state", "cause"),
        [
            ({"upgrade": None}, "connecting", "did not answer in time"),
            ({"welcome": None}, "connecting", "did not accept the connection within 10 s"),
            ({"login": None}, "authenticating", "did not answer the authentication within 10 s"),
            ({"acknowledges": False}, "subscribing", "did not acknowledge the subscription within 10 s"),
        ],
        ids=["before the upgrade", "after the upgrade", "after connected", "after the subscription"],
    )
    def test_a_server_that_falls_silent_in_the_handshake_times_out_after_ten_seconds(self, mute, state, cause):
        async def scenario():
            async with OptionServer() as server:
                for name, value in mute.items():
                    setattr(server, name, value)
                harness = OptionHarness(server)
                async with harness.at_work():
                    await until(lambda: harness.state == state, within=0.5)
                    began = now()
                    await until(lambda: harness.state == "backingOff")
                    assert STEP_SECONDS <= now() - began < STEP_SECONDS + 0.2
                    await settle()
                    assert server.peers == []
                    assert harness.stream.link.fault.code == "unreachable"
                    assert cause in harness.stream.link.fault.text

        run(scenario())

    @pytest.mark.parametrize(
        ("status", "code"), [(403, "unreachable"), (429, "unreachable"), (502, "unreachable"), (401, "authFailed")]
    )
    def test_a_refused_upgrade_leaves_no_socket(self, status, code):
        async def scenario():
            async with OptionServer() as server:
                server.upgrade = status
                harness = OptionHarness(server)
                async with harness.at_work():
                    await until(lambda: harness.state in ("backingOff", "halted"))
                    await settle()
                    assert server.peers == []
                    assert harness.stream.link.fault.code == code

        run(scenario())

    def test_an_unreachable_server_is_tried_again_with_growing_waits(self):
        async def scenario():
            async with OptionServer() as server, FaultyLink(server.port) as link:
                link.refuses = True
                tries = []
                harness = OptionHarness(server, url=f"ws://127.0.0.1:{link.port}/", chance=1.0)
                begin = harness.stream.begin
                harness.stream.begin = lambda: (tries.append(now()), begin())
                async with harness.at_work():
                    await until(lambda: len(tries) > 8)
                waits = [round(after - before) for before, after in itertools.pairwise(tries)]
                assert waits == [1, 2, 4, 8, 16, 32, 60, 60]

        run(scenario())

    def test_a_closed_port_is_unreachable(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server, url="ws://127.0.0.1:1/")
            async with harness.at_work():
                await until(lambda: harness.state == "backingOff")
                assert harness.stream.link.fault.code == "unreachable"

        scenario()

    def test_a_proxy_without_its_package_is_a_fault_and_not_a_crash(self):

        @with_server
        async def scenario(server):
            harness = OptionHarness(
                server, url="wss://stream.example/", network=Network({"ALL_PROXY": "socks5://127.0.0.1:1"})
            )
            async with harness.at_work():
                await until(lambda: harness.state == "backingOff")
                assert "SOCKS proxy" in harness.stream.link.fault.text

        scenario()


class TestEnds:
    @pytest.mark.parametrize("way", ["close", "reset", "cut"])
    def test_a_connection_that_ends_is_made_again(self, way):
        async def scenario():
            async with OptionServer() as server:
                harness = OptionHarness(server)
                async with harness.at_work():
                    await until(lambda: harness.state == "live")
                    getattr(server.peer, way)()
                    await until(lambda: harness.state != "live", within=0.1)
                    assert harness.stream.link.public_state == "reconnecting"
                    await until(lambda: harness.state == "live", within=3.0)
                    assert len(server.all_peers) == 2
                    assert harness.stream.link.reconnects == 1

        run(scenario())

    def test_a_close_right_after_the_upgrade_has_its_code(self):
        @with_server
        async def scenario(server):
            server.opened = lambda peer: peer.close(1001)
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "backingOff")
                assert "closed with 1001" in harness.stream.link.fault.text

        scenario()

    def test_a_close_without_an_end_is_aborted_within_the_ping_and_the_bound(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                server.hangs_up = False
                server.peer.close(1001)
                await until(lambda: harness.state == "backingOff", within=13.5)
                await settle()
                assert server.peers == []

        scenario()

    def test_a_close_without_an_echo_is_aborted_after_three_seconds(self):
        @with_server
        async def scenario(server):
            server.login = frame({"T": "error", "code": 402, "msg": "auth failed"})
            server.echoes = server.hangs_up = False
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "closing")
                began = now()
                await until(lambda: harness.state == "halted")
                assert 2.9 < now() - began < 3.2
                await settle()
                assert server.peers == []

        scenario()

    def test_an_incomplete_frame_is_not_delivered(self):
        @with_server
        async def scenario(server):
            async with FaultyLink(server.port) as link:
                harness = OptionHarness(server, url=f"ws://127.0.0.1:{link.port}/")
                async with harness.at_work():
                    await until(lambda: harness.state == "live")
                    link.cut_after = link.bytes_down + 1
                    server.peer.send(quote())
                    await until(lambda: harness.state == "backingOff")
                    assert harness.sink.offered == []
                    link.cut_after = None
                    await until(lambda: harness.state == "live")

        scenario()

    def test_a_frame_beyond_the_bound_ends_the_connection(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                server.peer.send(b"\xc0" * (8 * 2**20 + 1))
                await until(lambda: harness.state == "backingOff")
                assert harness.stream.refused == {}

        scenario()

    def test_a_network_that_swallows_everything_is_noticed_within_half_a_minute(self):
        @with_server
        async def scenario(server):
            async with FaultyLink(server.port) as link:
                harness = OptionHarness(server, url=f"ws://127.0.0.1:{link.port}/")
                async with harness.at_work():
                    await until(lambda: harness.state == "live")
                    link.stall()
                    await until(lambda: harness.state == "backingOff", within=34.0)
                    assert harness.sink.gaps == 1
                    link.resume()

        scenario()

    def test_a_server_without_pongs_is_disconnected(self, caplog):
        caplog.set_level(logging.INFO)

        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                server.pongs = False
                await until(lambda: harness.state == "backingOff", within=34.0)
                server.pongs = True
                await until(lambda: harness.state == "live", within=5.0)

        scenario()
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []

    def test_a_server_that_reads_nothing_does_not_delay_the_handshake_timeout(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            harness.stream.authentication = lambda: b"\x00" * 32 * 2**20
            server.opened = lambda peer: (OptionServer.opened(server, peer), peer.stop_reading())
            async with harness.at_work():
                await until(lambda: harness.state == "authenticating", within=0.5)
                await until(lambda: harness.state == "backingOff", within=STEP_SECONDS + END_SECONDS)
                server.peer.cut()

        scenario()


class TestBugs:
    def test_a_bug_in_read_is_not_swallowed(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)

            def fail(ticks):
                raise ZeroDivisionError

            harness.sink.offer = fail
            with contextlib.suppress(asyncio.CancelledError):
                task = asyncio.ensure_future(harness.stream.run())
            await until(lambda: harness.state == "live")
            server.peer.send(quote())
            with pytest.raises(ExceptionGroup) as caught:
                await task
            assert caught.group_contains(ZeroDivisionError)
            await settle()
            assert server.peers == []

        scenario()


STEPS = {  # a step, and how the server is set so that the link stays in it
    "connecting": {"upgrade": None},
    "welcomed": {"welcome": None},
    "authenticating": {"login": None},
    "subscribing": {"acknowledges": False},
    "live": {},
    "closing": {"login": frame({"T": "error", "code": 402, "msg": "no"}), "echoes": False, "hangs_up": False},
    "halted": {"login": frame({"T": "error", "code": 402, "msg": "no"})},
    "backingOff": {"login": frame({"T": "error", "code": 406, "msg": "no"})},
}


class TestCancellation:
    @pytest.mark.parametrize("step", STEPS)
    def test_cancelling_leaves_no_socket(self, step):
        async def scenario():
            async with OptionServer() as server:
                for name, value in STEPS[step].items():
                    setattr(server, name, value)
                harness = OptionHarness(server)
                async with harness.at_work():
                    state = "connecting" if step == "welcomed" else step
                    await until(lambda: harness.state == state and (server.peers or step in ("halted", "backingOff")))
                    await settle()

        run(scenario())

    @pytest.mark.slow
    @pytest.mark.parametrize("iterations", range(40))
    def test_cancelling_after_any_number_of_loop_iterations_leaves_no_socket(self, iterations):
        async def scenario():
            async with OptionServer() as server:
                harness = OptionHarness(server)
                async with harness.at_work():
                    for _ in range(iterations):
                        await asyncio.sleep(0)

        run(scenario())

    def test_cancelling_while_the_server_does_not_echo_ends_within_the_bound(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                server.echoes = server.hangs_up = False

        scenario()

    @pytest.mark.parametrize("iterations", range(8))
    @pytest.mark.parametrize("way", ["error", "close", "reset", "cut"])
    def test_cancelling_while_the_connection_ends_is_not_lost(self, way, iterations):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                if way == "error":
                    server.peer.send(frame({"T": "error", "code": 407, "msg": "slow client"}))
                else:
                    getattr(server.peer, way)()
                for _ in range(iterations):
                    await asyncio.sleep(0)

        scenario()

    def test_cancelling_twice_aborts_at_once(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            async with harness.at_work() as task:
                await until(lambda: harness.state == "live")
                server.echoes = server.hangs_up = False
                task.cancel()
                await settle(0.5)
                assert len(server.peers) == 1
                task.cancel()
                await settle()
                assert server.peers == []

        scenario()

    def test_cancelling_in_a_probe_leaves_no_socket(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server, silence_seconds=5.0)
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                server.pongs = False
                harness.stream.watch(is_expecting=True)
                await until(lambda: harness.state == "stale")

        scenario()


class TestSilence:
    """The market is open, and no data arrives."""

    async def silent(self, server, harness):
        await until(lambda: harness.state == "live")
        harness.stream.watch(is_expecting=True)
        server.peer.send(quote())
        await until(lambda: harness.sink.offered)

    def test_silence_is_noticed_without_any_other_event(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                await settle(5.0)
                harness.stream.watch(is_expecting=True)
                await until(lambda: harness.state == "stale", within=61.0)

        scenario()

    def test_newer_quotes_at_rest_mean_a_reconnect(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            harness.newer = True
            async with harness.at_work():
                await self.silent(server, harness)
                await until(lambda: harness.state == "backingOff", within=62.0)
                assert harness.stream.link.fault.code == "silent"
                assert harness.asked_newer == 1
                assert harness.sink.gaps == 1
                await until(lambda: harness.state == "live", within=5.0)

        scenario()

    def test_a_quiet_market_stays_stale_and_is_probed_again(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            async with harness.at_work():
                await self.silent(server, harness)
                await until(lambda: harness.state == "stale", within=61.0)
                await settle(125.0)
                assert harness.state == "stale"
                assert "the market may be quiet" in harness.stream.link.fault.text
                assert harness.asked_newer == 3
                assert len(server.all_peers) == 1

        scenario()

    def test_silence_that_rest_cannot_judge_is_not_called_quiet(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            harness.fault = RestFault("serverError", "Alpaca's REST fails (500)", may_retry=True, remedy="wait")
            async with harness.at_work():
                await self.silent(server, harness)
                text = "the option stream is silent, and REST does not answer either: Alpaca's REST fails (500)"
                fault = LinkFault(code="silent", text=text, remedy="wait")
                await until(lambda: harness.stream.link.fault == fault, within=62.0)
                assert harness.stream.link.public_state == "stale"
                await settle(200.0)
                assert (harness.stream.link.fault, len(server.all_peers)) == (fault, 1)
                server.peer.send(quote())
                await until(lambda: harness.stream.link.public_state == "live", within=5.0)

        scenario()

    def test_a_failure_of_rest_after_data_came_does_not_end_the_connection(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            harness.fault = RestFault("serverError", "Alpaca's REST fails (500)", may_retry=True)
            async with harness.at_work():
                await self.silent(server, harness)
                harness.wait_seconds = 10.0
                await until(lambda: harness.state == "stale", within=62.0)
                await until(lambda: harness.asked_newer == 1)
                server.peer.send(quote())
                await settle(20.0)
                assert harness.state == "live"
                assert len(server.all_peers) == 1

        scenario()

    def test_after_ten_times_the_silence_a_quiet_market_is_treated_as_a_dead_connection(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            async with harness.at_work():
                await self.silent(server, harness)
                began = now()
                await until(lambda: harness.state == "backingOff", within=700.0)
                assert 598.0 < now() - began < 602.0

        scenario()

    def test_data_ends_the_silence(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            async with harness.at_work():
                await self.silent(server, harness)
                await until(lambda: harness.state == "stale", within=61.0)
                server.peer.send(quote(seconds=1))
                await until(lambda: harness.state == "live", within=0.5)
                assert harness.stream.link.fault is None
                assert harness.sink.gaps == 0

        scenario()

    def test_silence_after_data_is_noticed_again(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            async with harness.at_work():
                await self.silent(server, harness)
                await until(lambda: harness.state == "stale", within=61.0)
                server.peer.send(quote(seconds=1))
                await until(lambda: harness.state == "live")
                await until(lambda: harness.state == "stale", within=61.0)
                await until(lambda: harness.asked_newer == 2, within=1.0)

        scenario()

    def test_no_pong_to_the_probe_means_a_reconnect(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server, silence_seconds=4.0)
            async with harness.at_work():
                await self.silent(server, harness)
                server.pongs = False
                await until(lambda: harness.state == "stale", within=5.0)
                began = now()
                await until(lambda: harness.state in ("closing", "backingOff"), within=6.0)
                assert 4.9 < now() - began < 5.2
                assert "did not answer a ping" in harness.stream.link.fault.text
                assert harness.asked_newer == 0

        scenario()

    def test_data_during_a_probe_over_rest_keeps_the_connection(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            answered = asyncio.Event()

            async def newer():
                await answered.wait()
                return True

            harness.stream._newer = newer
            async with harness.at_work():
                await self.silent(server, harness)
                await until(lambda: harness.state == "stale", within=61.0)
                server.peer.send(quote(seconds=1))
                await until(lambda: harness.state == "live")
                answered.set()
                await settle(1.0)
                assert harness.state == "live"
                assert len(server.all_peers) == 1

        scenario()

    def test_data_before_a_late_pong_keeps_the_connection(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server, silence_seconds=4.0)
            async with harness.at_work():
                await self.silent(server, harness)
                server.pongs = False
                await until(lambda: harness.state == "stale", within=5.0)
                server.peer.send(quote(seconds=1))
                await settle(3.0)
                server.peer.send(quote(seconds=2))
                await settle(3.0)
                assert harness.state == "live"

        scenario()

    def test_a_probe_belongs_to_its_connection(self):
        @with_server
        async def scenario(server):
            server.pongs = False
            harness = OptionHarness(server, silence_seconds=4.0)
            async with harness.at_work():
                for _ in range(3):
                    await until(lambda: harness.state == "live", within=5.0)
                    harness.stream.watch(is_expecting=True)
                    began = now()
                    await until(lambda: harness.state == "closing", within=10.0)
                    assert 8.9 < now() - began < 9.2  # 4 s of silence, and 5 s for the pong

        scenario()

    def test_a_closed_market_is_never_silent(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            async with harness.at_work():
                await self.silent(server, harness)
                harness.stream.watch(is_expecting=False)
                await settle(700.0)
                assert harness.state == "live"
                assert len(server.all_peers) == 1

        scenario()

    def test_a_silence_ends_when_the_market_closes(self):
        @with_server
        async def scenario(server):
            harness = OptionHarness(server)
            async with harness.at_work():
                await self.silent(server, harness)
                await until(lambda: harness.state == "stale", within=61.0)
                harness.stream.watch(is_expecting=False)
                assert harness.state == "live"

        scenario()


# Never two sockets.

HEALTHY = {"upgrade": 101, "welcome": CONNECTED, "login": AUTHENTICATED, "echoes": True, "hangs_up": True}
SERVERS = {
    "heal": HEALTHY,
    "refuse the key": {"login": error(402)},
    "limit": {"login": error(406)},
    "go mute": {"welcome": None},
    "refuse the upgrade": {"upgrade": 502},
    "never upgrade": {"upgrade": None},
    "do not echo": {"echoes": False, "hangs_up": False},
}
PEERS = {
    "reset": lambda peer: peer.reset(),
    "cut": lambda peer: peer.cut(),
    "close": lambda peer: peer.close(),
    "quote": lambda peer: peer.send(quote()),
}
OURS = {
    "retry": lambda stream, url: stream.retry(),
    "reload": lambda stream, url: stream.reload(LOGIN, url),
    "want more": lambda stream, url: stream.want([*stream.symbols, f"S{len(stream.symbols)}"]),
}


def do(deed, server, stream):
    """Do one thing to a connection, from either side."""
    for name, value in SERVERS.get(deed, {}).items():
        setattr(server, name, value)
    for peer in list(server.peers) if deed in PEERS else ():
        PEERS[deed](peer)
    if deed in OURS:
        OURS[deed](stream, server.url)


@pytest.mark.slow
@settings(REPEATABLE, max_examples=examples(60))
@given(
    st.lists(
        st.tuples(st.sampled_from([*SERVERS, *PEERS, *OURS]), st.sampled_from([0.0, 0.01, 0.2, 1.0, 3.1, 12.0, 40.0])),
        max_size=25,
    )
)
def test_after_any_faults_there_were_never_two_sockets_and_the_link_is_live_in_the_end(deeds):
    async def scenario():
        async with OptionServer() as server:
            harness = OptionHarness(server, least=0.05, most=2.0)
            async with harness.at_work():
                for deed, seconds in deeds:
                    do(deed, server, harness.stream)
                    await settle(seconds)
                    assert server.max_open <= 1
                do("heal", server, harness.stream)
                harness.stream.retry()
                await until(lambda: harness.state == "live", within=90.0)
                assert server.max_open <= 1

    run(scenario())
