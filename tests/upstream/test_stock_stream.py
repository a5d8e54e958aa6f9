import msgspec
import pytest

from condord.upstream.stock_stream import QUIET_SECONDS
from tests.fakes.alpaca import KEY_ID, SECRET_KEY, STARTED_AT, snapshot, wall
from tests.fakes.streams import StockServer, error, frame
from tests.upstream.stream_harnesses import StockHarness
from tests.virtualtime import run, settle, until

AT = msgspec.msgpack.Ext(-1, int(STARTED_AT.timestamp()).to_bytes(4, "big"))


def quote(symbol="SPY", at=None, **fields):
    """A quote as the stock stream sends it, with its exchanges and conditions."""
    return {
        "T": "q",
        "S": symbol,
        "bx": "V",
        "bp": 582.08,
        "bs": 3,
        "ax": "V",
        "ap": 582.1,
        "as": 2,
        "c": ["R"],
        "t": AT if at is None else at.isoformat(),
        "z": "B",
        **fields,
    }


def run_scenario(test):
    """Run `test` with a server on a virtual loop."""

    async def main():
        async with StockServer() as server:
            await test(server)

    run(main())


def run_live(test):
    """Run `test` with a server, and a harness whose stream is live."""

    @run_scenario
    async def _(server):
        harness = StockHarness(server)
        async with harness.at_work():
            await until(lambda: harness.state == "live")
            await test(server, harness)


def test_the_stock_stream_logs_in_with_messagepack_and_subscribes_to_quotes_only():
    @run_live
    async def _(server, harness):
        assert server.logins == [(KEY_ID, SECRET_KEY)]
        assert server.requests == [("subscribe", ["QQQ", "SPY"])]
        assert server.peer.request.headers["Content-Type"] == "application/msgpack"


def test_quotes_are_passed_on_as_alpaca_sends_them():
    @run_live
    async def _(server, harness):
        server.peer.send(frame(quote(), quote("QQQ", bp=510, ap=511, c=None)))
        await until(lambda: harness.offered)
        spy, qqq = harness.offered
        assert (spy.symbol, spy.bid, spy.ask, spy.bid_size, spy.ask_size) == ("SPY", 582.08, 582.1, 3.0, 2.0)
        assert (qqq.symbol, qqq.bid, qqq.ask) == ("QQQ", 510.0, 511.0)
        assert spy.at == STARTED_AT


@pytest.mark.parametrize("kind", ["b", "d", "u", "c", "x", "l", "s", "t"])
def test_other_messages_are_ignored_and_refuse_nothing(kind):
    @run_live
    async def _(server, harness):
        server.peer.send(frame(quote(), {"T": kind, "S": "SPY", "t": AT, "p": None, "c": 5}, quote("QQQ")))
        await until(lambda: harness.offered)
        assert [tick.symbol for tick in harness.offered] == ["SPY", "QQQ"]
        assert harness.stream.refused == {}
        assert harness.stream.messages["other"] + harness.stream.messages["trade"] == 1


def test_unreadable_messages_are_counted_separately_from_the_option_stream():
    @run_scenario
    async def _(server):
        server.ignored = {"QQQ"}
        harness = StockHarness(server)
        async with harness.at_work():
            await until(lambda: harness.state == "live")
            server.peer.send(frame(quote(bp=None)))
            server.peer.send(b"\xc1")
            server.peer.send(frame(quote()))
            await until(lambda: harness.offered)
            assert harness.stream.refused == {"stockElement": 1, "stockFrame": 1, "stockUnacknowledged": 1}


def test_no_more_stocks_than_the_limit_are_requested_and_the_first_come_first():
    @run_scenario
    async def _(server):
        harness = StockHarness(server, ("SPY", "QQQ", "IWM"), symbol_limit=2)
        async with harness.at_work():
            await until(lambda: harness.state == "live")
            assert server.requests == [("subscribe", ["QQQ", "SPY"])]
            assert (harness.stream.missing, harness.stream.is_limited) == (["IWM"], True)


def test_a_plan_that_streams_fewer_stocks_keeps_the_connection():
    @run_scenario
    async def _(server):
        server.limit = 1
        harness = StockHarness(server)
        async with harness.at_work():
            await until(lambda: harness.stream.streamed == {"SPY"})
            assert (harness.state, harness.stream.is_limited, harness.stream.missing) == ("live", True, ["QQQ"])


def test_after_each_reconnect_missed_prices_are_read_over_rest():
    @run_scenario
    async def _(server):
        harness = StockHarness(server)
        async with harness.at_work():
            for times in (1, 2, 3):
                await until(lambda: harness.state == "live")
                assert harness.snapshots == times
                server.peer.reset()
                await until(lambda: harness.state != "live")


@pytest.mark.parametrize(
    ("number", "code", "state", "remedy"),
    [
        (402, "authFailed", "halted", "check the key"),
        (406, "connectionLimit", "backingOff", "stop the other program"),
        (407, "slowClient", "backingOff", "if it lasts"),
        (409, "insufficientSubscription", "halted", 'set alpaca.stock_feed = "iex"'),
        (411, "insufficientSubscription", "halted", 'set alpaca.stock_feed = "iex"'),
        (500, "unreachable", "backingOff", ""),
    ],
)
def test_a_refusal_ends_the_connection_by_its_code_with_a_remedy_for_stocks(number, code, state, remedy):
    @run_scenario
    async def _(server):
        server.login = error(number)
        harness = StockHarness(server)
        async with harness.at_work():
            await until(lambda: harness.state == state)
            fault = harness.stream.link.fault
            assert fault.code == code
            assert fault.remedy.startswith(remedy)
            assert "option" not in fault.text


class TestDelivered:
    def test_a_stock_is_delivered_from_its_first_quote_until_it_is_quiet(self):
        @run_live
        async def _(server, harness):
            assert harness.stream.delivered == frozenset()
            server.peer.send(frame(quote()))
            await until(lambda: harness.offered)
            assert harness.stream.delivered == {"SPY"}
            await settle(QUIET_SECONDS - 1.0)
            assert harness.stream.delivered == {"SPY"}
            await settle(2.0)
            assert harness.stream.delivered == frozenset()

    def test_nothing_is_delivered_without_a_live_connection(self):
        @run_live
        async def _(server, harness):
            server.peer.send(frame(quote()))
            await until(lambda: harness.stream.delivered)
            server.peer.reset()
            await until(lambda: harness.state != "live")
            assert harness.stream.delivered == frozenset()
            await until(lambda: harness.state == "live")
            assert harness.stream.delivered == frozenset()

    def test_a_stock_that_was_not_asked_for_is_not_delivered(self):
        @run_live
        async def _(server, harness):
            server.peer.send(frame(quote("AAPL"), quote("SPY")))
            await until(lambda: harness.offered)
            assert harness.stream.delivered == {"SPY"}


class TestSilence:
    def test_a_silent_stream_reconnects_if_rest_has_newer_quotes(self):
        @run_scenario
        async def _(server):
            harness = StockHarness(server, silence_seconds=20.0)
            harness.newer = True
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                harness.stream.watch(is_expecting=True)
                await until(lambda: len(server.all_peers) == 2)
                assert harness.stream.link.failures == {"silent": 1}

    def test_a_quiet_market_keeps_the_connection(self):
        @run_scenario
        async def _(server):
            harness = StockHarness(server, silence_seconds=20.0)
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                harness.stream.watch(is_expecting=True)
                await until(lambda: harness.state == "stale")
                await settle(30.0)
                assert len(server.all_peers) == 1

    def test_a_quote_of_rest_was_missed_if_it_is_newer_than_the_streamed_one(self):
        @run_live
        async def _(server, harness):
            await settle(5.0)
            server.peer.send(frame(quote(at=wall())))
            sent_at = wall()
            await until(lambda: harness.offered)
            assert not harness.stream.has_missed([snapshot("SPY", at=sent_at)])
            await settle(1.0)
            assert harness.stream.has_missed([snapshot("SPY", at=wall())])

    def test_a_quote_from_before_the_subscription_was_not_missed(self):
        @run_live
        async def _(server, harness):
            assert not harness.stream.has_missed([snapshot("SPY", at=STARTED_AT)])
            assert not harness.stream.has_missed([msgspec.structs.replace(snapshot("SPY"), quote=None)])

    def test_a_stock_that_is_not_streamed_misses_nothing(self):
        @run_live
        async def _(server, harness):
            await settle(5.0)
            assert not harness.stream.has_missed([snapshot("IWM", at=wall())])

    def test_a_quote_from_the_future_does_not_make_later_ones_look_old(self):
        @run_live
        async def _(server, harness):
            server.peer.send(frame(quote(at=wall().replace(year=2099))))
            await until(lambda: harness.offered)
            await settle(5.0)
            assert harness.stream.has_missed([snapshot("SPY", at=wall())])
