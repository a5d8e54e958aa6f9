from tests.fakes.streams import OptionServer, error
from tests.upstream.stream_benches import OptionBench
from tests.virtualtime import run, until


def play(test):
    """Run `test` with a server on a virtual loop."""

    async def whole():
        async with OptionServer() as server:
            await test(server)

    run(whole())


def test_a_snapshot_is_requested_after_each_time_it_is_live():
    @play
    async def _(server):
        bench = OptionBench(server)
        async with bench.at_work():
            for times in (1, 2, 3):
                await until(lambda: bench.state == "live")
                assert bench.snapshots == times
                server.peer.reset()
                await until(lambda: bench.state != "live")


def test_each_lost_connection_is_one_gap():
    @play
    async def _(server):
        bench = OptionBench(server)
        async with bench.at_work():
            for times in (1, 2):
                await until(lambda: bench.state == "live")
                server.peer.send(error(407))
                server.peer.close()
                await until(lambda: bench.state == "backingOff")
                assert bench.sink.gaps == times


def test_a_connection_lost_before_it_was_live_is_not_a_gap():
    @play
    async def _(server):
        server.login = error(406)
        bench = OptionBench(server)
        async with bench.at_work():
            await until(lambda: bench.state == "backingOff")
            assert bench.sink.gaps == 0


def test_newly_streamed_symbols_are_passed_on():
    @play
    async def _(server):
        bench = OptionBench(server, ["A"])
        async with bench.at_work():
            await until(lambda: bench.state == "live")
            bench.stream.want(["A", "B"])
            await until(lambda: len(bench.stream.streamed) == 2)
            assert (bench.sink.followed, bench.sink.resumes) == ([{"A"}, {"B"}], 1)
