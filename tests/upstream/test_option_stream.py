from tests.fakes.streams import OptionServer, error
from tests.upstream.stream_harnesses import OptionHarness
from tests.virtualtime import run, until


def run_scenario(test):
    """Run `test` with a server on a virtual loop."""

    async def main():
        async with OptionServer() as server:
            await test(server)

    run(main())


def test_a_snapshot_is_requested_after_each_time_it_is_live():
    @run_scenario
    async def _(server):
        harness = OptionHarness(server)
        async with harness.at_work():
            for times in (1, 2, 3):
                await until(lambda: harness.state == "live")
                assert harness.snapshots == times
                server.peer.reset()
                await until(lambda: harness.state != "live")


def test_each_lost_connection_is_one_gap():
    @run_scenario
    async def _(server):
        harness = OptionHarness(server)
        async with harness.at_work():
            for times in (1, 2):
                await until(lambda: harness.state == "live")
                server.peer.send(error(407))
                server.peer.close()
                await until(lambda: harness.state == "backingOff")
                assert harness.sink.gaps == times


def test_a_connection_lost_before_it_was_live_is_not_a_gap():
    @run_scenario
    async def _(server):
        server.login = error(406)
        harness = OptionHarness(server)
        async with harness.at_work():
            await until(lambda: harness.state == "backingOff")
            assert harness.sink.gaps == 0


def test_newly_streamed_symbols_are_passed_on():
    @run_scenario
    async def _(server):
        harness = OptionHarness(server, ["A"])
        async with harness.at_work():
            await until(lambda: harness.state == "live")
            harness.stream.want(["A", "B"])
            await until(lambda: len(harness.stream.streamed) == 2)
            assert (harness.sink.followed, harness.sink.resumes) == ([{"A"}, {"B"}], 1)
