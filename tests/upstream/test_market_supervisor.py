import asyncio
import contextlib
import logging

import msgspec

from condord.live.freshness import RESUBSCRIBE_SECONDS, STUCK_SECONDS
from condord.upstream.market_reader import CONFIRM_SECONDS, PRICE_SECONDS
from condord.upstream.market_supervisor import MarketSupervisor
from condord.upstream.stock_stream import QUIET_SECONDS
from tests.fakes.alpaca import KEY_ID, LOGIN, OPEN, OUTAGE, SHUT, holding, snapshot, wall
from tests.fakes.streams import AUTHENTICATED, StockServer, error, frame
from tests.upstream.stream_benches import link
from tests.upstream.test_supervisor import OTHER, OTHER_LOGIN, play
from tests.virtualtime import settle, until

IWM = "IWM261218C00250000"


def quote(symbol="SPY"):
    return {"T": "q", "S": symbol, "t": wall().isoformat(), "bp": 582.08, "ap": 582.1}


def given(bench, what):
    """How often the sink was given `what`."""
    return [name for name, *_ in bench.sink.given].count(what)


def stocks(bench):
    """The status of the stock stream."""
    return bench.supervisor.stocks()


def codes(bench):
    return [notice.code for notice in bench.status.notices]


async def streaming(bench, *symbols):
    """Wait until exactly `symbols` are streamed."""
    await until(lambda: stocks(bench).stream == list(symbols))


async def keep_quoting(peer, symbol="SPY", period=1.0):
    """Send a quote of `symbol` once per `period`, until cancelled."""
    while True:
        peer.send(frame(quote(symbol)))
        await asyncio.sleep(period)


@contextlib.asynccontextmanager
async def quoting(peer, symbol="SPY"):
    task = asyncio.ensure_future(keep_quoting(peer, symbol))
    try:
        yield
    finally:
        task.cancel()


async def newer(symbols, take):
    """REST, with quotes that are always new."""
    take([snapshot(symbol, at=wall()) for symbol in symbols])


class TestNeed:
    def test_the_stocks_of_what_is_held_are_streamed(self):
        @play
        async def _(bench):
            async with bench.at_work():
                assert (stocks(bench).state, stocks(bench).stream) == ("starting", [])
                await streaming(bench, "SPY")
                assert bench.stocks.logins == [(KEY_ID, LOGIN.secret_key)]
                assert (stocks(bench).state, stocks(bench).code, stocks(bench).polled) == ("live", None, [])
                bench.stocks.peer.send(frame(quote()))
                bench.stocks.peer.send(b"\xc1")
                await until(lambda: bench.supervisor.refused.get("stockFrame"))
                assert given(bench, "offer_stocks") == bench.supervisor.market.messages["quote"] == 1

    def test_without_stocks_there_is_no_connection(self):
        @play
        async def _(bench):
            bench.brokerage.held = []
            async with bench.at_work():
                await until(lambda: bench.supervisor.is_ready)
                await settle(30.0)
                assert bench.stocks.all_peers == []
                assert (stocks(bench).state, stocks(bench).reason, stocks(bench).polled) == ("closed", None, [])
                assert codes(bench) == []
                assert sum(bench.supervisor.market.messages.values()) == len(bench.supervisor.market.refused) == 0
                bench.supervisor.retry()
                await settle(5.0)
                assert bench.stocks.all_peers == []

    def test_new_stocks_are_subscribed_on_the_same_connection(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await streaming(bench, "SPY")
                bench.brokerage.held.append(holding(OTHER))
                bench.supervisor.refresh()
                await streaming(bench, "SPY", "QQQ")
                assert len(bench.stocks.all_peers) == 1

    def test_the_connection_ends_with_the_last_stock_and_begins_with_the_next(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                held, bench.brokerage.held = bench.brokerage.held, []
                bench.supervisor.refresh()
                await until(lambda: bench.stocks.peers == [])
                assert stocks(bench).state == "closed"
                await until(lambda: bench.supervisor.market.links == ())
                await settle(2 * STUCK_SECONDS)
                bench.brokerage.held = held
                bench.supervisor.refresh()
                await streaming(bench, "SPY")
                assert (len(bench.stocks.all_peers), bench.stocks.most) == (2, 1)


class TestPolls:
    def test_a_stock_that_is_streamed_is_only_confirmed_now_and_then(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await streaming(bench, "SPY")
                async with quoting(bench.stocks.peer):
                    await settle(10.0)
                    before = len(bench.brokerage.times("stocks"))
                    await settle(2 * CONFIRM_SECONDS + PRICE_SECONDS)
                    assert len(bench.brokerage.times("stocks")) == before + 2

    def test_without_the_stream_prices_and_figures_are_read_as_soon_as_positions_are(self):
        @play
        async def _(bench):
            bench.stocks.login = error(402)
            async with bench.at_work():
                await until(lambda: bench.supervisor.is_ready)
                await settle(1.0)
                assert len(bench.brokerage.times("stocks")) == len(bench.brokerage.times("snapshots")) == 1

    def test_stocks_beyond_the_limit_are_polled_every_five_seconds(self):
        @play(stock_symbol_limit=1)
        async def _(bench):
            bench.brokerage.held += [holding(OTHER), holding(IWM)]
            async with bench.at_work():
                await streaming(bench, "SPY")
                assert (stocks(bench).state, stocks(bench).code) == ("live", "symbolLimit")
                assert stocks(bench).polled == ["QQQ", "IWM"]
                async with quoting(bench.stocks.peer):
                    await settle(10.0)
                    before = len(bench.brokerage.asked)
                    await settle(20.0)
                    asked = [symbols for what, _, symbols in bench.brokerage.asked[before:] if what == "stocks"]
                    assert asked == [("QQQ", "IWM")] * int(20.0 / PRICE_SECONDS)

    def test_a_quiet_stock_is_polled_until_it_is_quoted_again(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await streaming(bench, "SPY")
                bench.stocks.peer.send(frame(quote()))
                await settle(QUIET_SECONDS + PRICE_SECONDS)
                before = len(bench.brokerage.times("stocks"))
                await settle(2 * PRICE_SECONDS)
                assert len(bench.brokerage.times("stocks")) == before + 2

    def test_without_the_stream_all_are_polled(self):
        @play
        async def _(bench):
            bench.stocks.login = error(406)
            async with bench.at_work():
                await until(lambda: stocks(bench).code == "connectionLimit")
                await settle(10.0)
                before = len(bench.brokerage.times("stocks"))
                await settle(20.0)
                assert len(bench.brokerage.times("stocks")) == before + 4
                assert stocks(bench).polled == ["SPY"]


class TestFaults:
    def test_a_fault_of_the_stock_stream_changes_only_its_own_state_and_a_notice(self):
        @play
        async def _(bench):
            bench.stocks.login = error(402)
            async with bench.at_work():
                await bench.ready()
                await until(lambda: stocks(bench).state == "halted")
                assert (stocks(bench).code, stocks(bench).stream) == ("authFailed", [])
                assert (bench.status.state, bench.status.code, bench.status.reason) == ("live", None, None)
                assert bench.supervisor.is_ready
                assert codes(bench) == ["stocksUnavailable"]
                assert stocks(bench).reason in bench.status.notices[0].text

    def test_a_fault_of_the_option_stream_does_not_change_the_stock_stream(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.options.login = error(402)
                bench.options.peer.reset()
                await until(lambda: bench.status.state == "halted")
                assert stocks(bench).state == "live"
                assert len(bench.stocks.all_peers) == 1

    def test_a_cut_is_not_a_lapse_and_is_read_over_rest_when_it_is_back(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.stocks.peer.reset()
                await until(lambda: stocks(bench).state == "reconnecting")
                assert given(bench, "lapse_prices") == 0
                before = len(bench.brokerage.times("stocks"))
                await streaming(bench, "SPY")
                await settle(2 * PRICE_SECONDS)
                assert len(bench.brokerage.times("stocks")) > before
                assert stocks(bench).state == "live"
                assert bench.sink.gaps == 0

    def test_without_rest_the_notice_names_both_and_ends_with_them(self):
        @play
        async def _(bench):
            bench.stocks.login = error(406)
            bench.brokerage.failures["stocks"] = OUTAGE
            async with bench.at_work():
                await bench.ready()
                await until(lambda: "stocksUnavailable" in codes(bench))
                (notice,) = [each for each in bench.status.notices if each.code == "stocksUnavailable"]
                assert OUTAGE.text in notice.text
                assert "one stock stream" in notice.text
                bench.stocks.login = AUTHENTICATED
                del bench.brokerage.failures["stocks"]
                bench.supervisor.retry()
                await until(lambda: codes(bench) == [])

    def test_a_silent_stream_is_probed_only_while_the_market_is_open(self):
        @play(silence_seconds=20.0)
        async def _(bench):
            bench.brokerage.hours = SHUT
            async with bench.at_work():
                await bench.ready()
                await settle(60.0)
                assert stocks(bench).state == "closed"
                bench.brokerage.hours = OPEN
                bench.supervisor.refresh()
                await until(lambda: stocks(bench).code == "silent", within=60.0)
                assert stocks(bench).state == "stale"

    def test_a_silent_connection_in_a_quiet_market_is_not_a_notice_but_its_prices_are_polled(self):
        @play(silence_seconds=20.0)
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                await until(lambda: "REST has no newer quotes" in (stocks(bench).reason or ""), within=60.0)
                assert (stocks(bench).state, stocks(bench).polled) == ("stale", ["SPY"])
                assert "stocksUnavailable" not in codes(bench)
                before = len(bench.brokerage.times("stocks"))
                await settle(2 * PRICE_SECONDS)
                assert len(bench.brokerage.times("stocks")) == before + 2
                bench.stocks.peer.send(frame(quote()))
                await until(lambda: stocks(bench).state == "live")

    def test_a_silent_stream_that_has_missed_quotes_reconnects(self):
        @play(silence_seconds=20.0)
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.brokerage.stock_snapshots = newer
                await until(lambda: len(bench.stocks.all_peers) == 2, within=60.0)
                assert stocks(bench).code == "silent"

    def test_a_probe_counts_what_rest_answered_before_it_failed(self):
        @play(silence_seconds=20.0)
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.brokerage.failures["stocks"] = OUTAGE
                await until(lambda: stocks(bench).state == "stale", within=60.0)
                await settle(10.0)
                assert len(bench.stocks.all_peers) == 1

    def test_stocks_that_are_not_streamed_are_subscribed_again_once_a_minute(self):
        @play
        async def _(bench):
            bench.stocks.ignored = {"QQQ"}
            bench.brokerage.held.append(holding(OTHER))
            async with bench.at_work():
                await streaming(bench, "SPY")
                bench.stocks.ignored = set()
                before = wall()
                await until(lambda: "QQQ" in stocks(bench).stream, within=2 * RESUBSCRIBE_SECONDS)
                assert (wall() - before).total_seconds() > RESUBSCRIBE_SECONDS / 2

    def test_a_retry_ends_a_halt(self):
        @play
        async def _(bench):
            bench.stocks.login = error(402)
            async with bench.at_work():
                await until(lambda: stocks(bench).state == "halted")
                bench.stocks.login = AUTHENTICATED
                bench.supervisor.retry()
                await streaming(bench, "SPY")

    def test_after_a_suspend_the_prices_need_a_confirmation(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                before = len(bench.brokerage.times("stocks"))
                bench.suspended = type(bench.suspended)(seconds=60)
                await until(lambda: given(bench, "lapse_prices") == 1)
                await settle(6.0)
                assert len(bench.brokerage.times("stocks")) > before

    def test_a_link_that_is_about_to_start_is_not_stuck(self):
        @play
        async def _(bench):
            bench.brokerage.held = []
            async with bench.at_work():
                await until(lambda: bench.supervisor.is_ready)
                await settle(2 * STUCK_SECONDS)
                bench.sink.stocks = ("SPY",)
                bench.supervisor.market.want()
                while not bench.stocks.all_peers:
                    assert bench.supervisor.stuck(bench.supervisor.stream.now()) is None
                    await asyncio.sleep(0)
                bench.brokerage.held = [holding(OTHER)]
                bench.supervisor.refresh()
                await streaming(bench, "QQQ")

    def test_a_stuck_link_is_reported(self, monkeypatch):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                await settle(STUCK_SECONDS)
                now = bench.supervisor.stream.now()
                assert bench.supervisor.stuck(now) is None
                late = link("the stock stream")  # never started, so its deadline is long past
                monkeypatch.setattr(MarketSupervisor, "links", (late,))
                assert bench.supervisor.stuck(now).startswith("the stock stream is starting")

    def test_a_change_of_state_is_logged_once(self, caplog):
        caplog.set_level(logging.INFO, "condord.upstream.stream_state")

        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                bench.stocks.login = error(402)
                bench.stocks.peer.reset()
                await settle(20.0)

        lines = [
            (record.levelname, record.fields["state"])
            for record in caplog.records
            if record.message == "Stock stream changed state"
        ]
        assert lines == [("INFO", "live"), ("WARNING", "reconnecting"), ("ERROR", "halted")]


class TestReload:
    def test_another_key_reconnects_and_reads_everything_again(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                before = len(bench.brokerage.times("balances"))
                bench.reload(OTHER_LOGIN)
                await until(lambda: len(bench.stocks.logins) == 2)
                assert bench.stocks.logins[1][0] == "PKOTHER"
                assert bench.stocks.most == 1
                await until(lambda: len(bench.brokerage.times("balances")) > before, within=20.0)

    def test_another_feed_reconnects_only_the_stock_stream(self):
        @play
        async def _(bench):
            async with StockServer() as other, bench.at_work():
                await bench.ready()
                bench.reload(stock_feed="sip", stock_stream_url=other.url)
                await until(lambda: other.peers)
                await streaming(bench, "SPY")
                assert bench.stocks.peers == []
                assert len(bench.options.all_peers) == 1
                assert [arguments for name, *arguments in bench.sink.given if name == "set_stock_feed"] == [
                    ["iex"],
                    ["sip"],
                ]
                bench.reload(stock_feed="iex", stock_stream_url=bench.stocks.url)
                await until(lambda: bench.stocks.peers)

    def test_a_lower_limit_unsubscribes_without_a_reconnect(self):
        @play
        async def _(bench):
            bench.brokerage.held.append(holding(OTHER))
            async with bench.at_work():
                await streaming(bench, "SPY", "QQQ")
                bench.reload(stock_symbol_limit=1)
                await streaming(bench, "SPY")
                assert stocks(bench).polled == ["QQQ"]
                assert len(bench.stocks.all_peers) == 1

    def test_a_reload_without_a_connection_applies_to_the_next(self):
        @play
        async def _(bench):
            bench.brokerage.held = []
            async with StockServer() as other, bench.at_work():
                await until(lambda: bench.supervisor.is_ready)
                bench.reload(stock_stream_url=other.url, stock_symbol_limit=1)
                bench.brokerage.held = [holding(OTHER), holding(IWM)]
                bench.supervisor.refresh()
                await until(lambda: other.requests == [("subscribe", ["QQQ"])])

    def test_the_assumptions_in_force_are_in_the_status(self):
        @play
        async def _(bench):
            async with bench.at_work():
                model = msgspec.structs.replace(bench.settings.model, rate=0.01)
                bench.reload(model=model)
                assert bench.status.model == model


class TestReads:
    def test_a_fill_reads_balances_working_orders_and_fills_again(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                await settle(30.0)
                before = {what: len(bench.brokerage.times(what)) for what in ("balances", "workingOrders", "dayFills")}
                bench.trading.say(bench.trading.peer, {"stream": "trade_updates", "data": {"event": "fill"}})
                await settle(1.0)
                after = {what: len(bench.brokerage.times(what)) for what in before}
                assert after == {what: count + 1 for what, count in before.items()}

    def test_their_failures_are_notices_and_leave_positions_and_quotes_alone(self):
        @play
        async def _(bench):
            names = ("snapshots", "dividends", "balances", "workingOrders", "dayFills")
            bench.brokerage.failures |= dict.fromkeys(names, OUTAGE)
            async with bench.at_work():
                await bench.ready()
                assert sorted(codes(bench)) == [
                    "accountUnavailable",
                    "activitiesUnavailable",
                    "dividendsUnavailable",
                    "ordersUnavailable",
                    "snapshotsUnavailable",
                ]
                assert bench.status.positions.error is None
                assert bench.supervisor.is_ready

    def test_working_orders_are_traced_through_the_order_history(self):
        @play
        async def _(bench):
            async with bench.at_work():
                await bench.ready()
                assert bench.supervisor.market._origin("unknown") == "unknown"
