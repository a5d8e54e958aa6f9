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
from tests.upstream.stream_harnesses import link
from tests.upstream.test_supervisor import OTHER, OTHER_LOGIN, run_ready, run_scenario
from tests.virtualtime import settle, until

IWM = "IWM261218C00250000"


def quote(symbol="SPY"):
    return {"T": "q", "S": symbol, "t": wall().isoformat(), "bp": 582.08, "ap": 582.1}


def count_of(harness, what):
    """How often `what` of the sink was called."""
    return [name for name, *_ in harness.sink.calls].count(what)


def stocks(harness):
    """The status of the stock stream."""
    return harness.supervisor.stocks()


def codes(harness):
    return [notice.code for notice in harness.status.notices]


async def streaming(harness, *symbols):
    """Wait until exactly `symbols` are streamed."""
    await until(lambda: stocks(harness).stream == list(symbols))


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
    def test_the_stocks_of_held_options_are_streamed(self):
        @run_scenario
        async def _(harness):
            async with harness.at_work():
                assert (stocks(harness).state, stocks(harness).stream) == ("starting", [])
                await streaming(harness, "SPY")
                assert harness.stocks.logins == [(KEY_ID, LOGIN.secret_key)]
                assert (stocks(harness).state, stocks(harness).code, stocks(harness).polled) == ("live", None, [])
                harness.stocks.peer.send(frame(quote()))
                harness.stocks.peer.send(b"\xc1")
                await until(lambda: harness.supervisor.refused.get("stockFrame"))
                assert count_of(harness, "offer_stocks") == harness.supervisor.market.messages["quote"] == 1

    def test_without_stocks_there_is_no_connection(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.held = []
            async with harness.at_work():
                await until(lambda: harness.supervisor.is_ready)
                await settle(30.0)
                assert harness.stocks.all_peers == []
                assert (stocks(harness).state, stocks(harness).reason, stocks(harness).polled) == ("closed", None, [])
                assert codes(harness) == []
                assert sum(harness.supervisor.market.messages.values()) == len(harness.supervisor.market.refused) == 0
                harness.supervisor.retry()
                await settle(5.0)
                assert harness.stocks.all_peers == []

    def test_new_stocks_are_subscribed_on_the_same_connection(self):
        @run_scenario
        async def _(harness):
            async with harness.at_work():
                await streaming(harness, "SPY")
                harness.brokerage.held.append(holding(OTHER))
                harness.supervisor.refresh()
                await streaming(harness, "SPY", "QQQ")
                assert len(harness.stocks.all_peers) == 1

    def test_the_connection_ends_with_the_last_stock_and_begins_with_the_next(self):
        @run_ready
        async def _(harness):
            held, harness.brokerage.held = harness.brokerage.held, []
            harness.supervisor.refresh()
            await until(lambda: harness.stocks.peers == [])
            assert stocks(harness).state == "closed"
            await until(lambda: harness.supervisor.market.links == ())
            await settle(2 * STUCK_SECONDS)
            harness.brokerage.held = held
            harness.supervisor.refresh()
            await streaming(harness, "SPY")
            assert (len(harness.stocks.all_peers), harness.stocks.max_open) == (2, 1)


class TestPolls:
    def test_a_stock_that_is_streamed_is_only_confirmed_now_and_then(self):
        @run_scenario
        async def _(harness):
            async with harness.at_work():
                await streaming(harness, "SPY")
                async with quoting(harness.stocks.peer):
                    await settle(10.0)
                    before = len(harness.brokerage.times("stocks"))
                    await settle(2 * CONFIRM_SECONDS + PRICE_SECONDS)
                    assert len(harness.brokerage.times("stocks")) == before + 2

    def test_without_the_stream_prices_and_figures_are_read_as_soon_as_positions_are(self):
        @run_scenario
        async def _(harness):
            harness.stocks.login = error(402)
            async with harness.at_work():
                await until(lambda: harness.supervisor.is_ready)
                await settle(1.0)
                assert len(harness.brokerage.times("stocks")) == len(harness.brokerage.times("snapshots")) == 1

    def test_stocks_beyond_the_limit_are_polled_every_five_seconds(self):
        @run_scenario(stock_symbol_limit=1)
        async def _(harness):
            harness.brokerage.held += [holding(OTHER), holding(IWM)]
            async with harness.at_work():
                await streaming(harness, "SPY")
                assert (stocks(harness).state, stocks(harness).code) == ("live", "symbolLimit")
                assert stocks(harness).polled == ["QQQ", "IWM"]
                async with quoting(harness.stocks.peer):
                    await settle(10.0)
                    before = len(harness.brokerage.asked)
                    await settle(20.0)
                    asked = [symbols for what, _, symbols in harness.brokerage.asked[before:] if what == "stocks"]
                    assert asked == [("QQQ", "IWM")] * int(20.0 / PRICE_SECONDS)

    def test_a_quiet_stock_is_polled_until_it_is_quoted_again(self):
        @run_scenario
        async def _(harness):
            async with harness.at_work():
                await streaming(harness, "SPY")
                harness.stocks.peer.send(frame(quote()))
                await settle(QUIET_SECONDS + PRICE_SECONDS)
                before = len(harness.brokerage.times("stocks"))
                await settle(2 * PRICE_SECONDS)
                assert len(harness.brokerage.times("stocks")) == before + 2

    def test_without_the_stream_all_stocks_are_polled(self):
        @run_scenario
        async def _(harness):
            harness.stocks.login = error(406)
            async with harness.at_work():
                await until(lambda: stocks(harness).code == "connectionLimit")
                await settle(10.0)
                before = len(harness.brokerage.times("stocks"))
                await settle(20.0)
                assert len(harness.brokerage.times("stocks")) == before + 4
                assert stocks(harness).polled == ["SPY"]


class TestFaults:
    def test_a_fault_of_the_stock_stream_changes_only_its_own_state_and_a_notice(self):
        @run_scenario
        async def _(harness):
            harness.stocks.login = error(402)
            async with harness.at_work():
                await harness.ready()
                await until(lambda: stocks(harness).state == "halted")
                assert (stocks(harness).code, stocks(harness).stream) == ("authFailed", [])
                assert (harness.status.state, harness.status.code, harness.status.reason) == ("live", None, None)
                assert harness.supervisor.is_ready
                assert codes(harness) == ["stocksUnavailable"]
                assert stocks(harness).reason in harness.status.notices[0].text

    def test_a_fault_of_the_option_stream_does_not_change_the_stock_stream(self):
        @run_ready
        async def _(harness):
            harness.options.login = error(402)
            harness.options.peer.reset()
            await until(lambda: harness.status.state == "halted")
            assert stocks(harness).state == "live"
            assert len(harness.stocks.all_peers) == 1

    def test_a_cut_is_not_a_lapse_and_is_read_over_rest_when_it_is_back(self):
        @run_ready
        async def _(harness):
            harness.stocks.peer.reset()
            await until(lambda: stocks(harness).state == "reconnecting")
            assert count_of(harness, "lapse_prices") == 0
            before = len(harness.brokerage.times("stocks"))
            await streaming(harness, "SPY")
            await settle(2 * PRICE_SECONDS)
            assert len(harness.brokerage.times("stocks")) > before
            assert stocks(harness).state == "live"
            assert harness.sink.gaps == 0

    def test_without_rest_the_notice_names_both_and_ends_with_them(self):
        @run_scenario
        async def _(harness):
            harness.stocks.login = error(406)
            harness.brokerage.failures["stocks"] = OUTAGE
            async with harness.at_work():
                await harness.ready()
                await until(lambda: "stocksUnavailable" in codes(harness))
                (notice,) = [each for each in harness.status.notices if each.code == "stocksUnavailable"]
                assert OUTAGE.text in notice.text
                assert "one stock stream" in notice.text
                harness.stocks.login = AUTHENTICATED
                del harness.brokerage.failures["stocks"]
                harness.supervisor.retry()
                await until(lambda: codes(harness) == [])

    def test_a_silent_stream_is_probed_only_while_the_market_is_open(self):
        @run_scenario(silence_seconds=20.0)
        async def _(harness):
            harness.brokerage.hours = SHUT
            async with harness.at_work():
                await harness.ready()
                await settle(60.0)
                assert stocks(harness).state == "closed"
                harness.brokerage.hours = OPEN
                harness.supervisor.refresh()
                await until(lambda: stocks(harness).code == "silent", within=60.0)
                assert stocks(harness).state == "stale"

    def test_a_silent_connection_in_a_quiet_market_is_not_a_notice_but_its_prices_are_polled(self):
        @run_ready(silence_seconds=20.0)
        async def _(harness):
            await until(lambda: "REST has no newer quotes" in (stocks(harness).reason or ""), within=60.0)
            assert (stocks(harness).state, stocks(harness).polled) == ("stale", ["SPY"])
            assert "stocksUnavailable" not in codes(harness)
            before = len(harness.brokerage.times("stocks"))
            await settle(2 * PRICE_SECONDS)
            assert len(harness.brokerage.times("stocks")) == before + 2
            harness.stocks.peer.send(frame(quote()))
            await until(lambda: stocks(harness).state == "live")

    def test_a_silent_stream_that_has_missed_quotes_reconnects(self):
        @run_ready(silence_seconds=20.0)
        async def _(harness):
            harness.brokerage.stock_snapshots = newer
            await until(lambda: len(harness.stocks.all_peers) == 2, within=60.0)
            assert stocks(harness).code == "silent"

    def test_a_silent_stream_is_not_called_quiet_if_rest_does_not_answer(self):
        @run_ready(silence_seconds=20.0)
        async def _(harness):
            harness.brokerage.failures["stocks"] = OUTAGE
            reason = f"REST does not answer either: {OUTAGE.text}"
            await until(lambda: reason in (stocks(harness).reason or ""), within=60.0)
            assert (stocks(harness).state, stocks(harness).code) == ("stale", "silent")
            assert len(harness.stocks.all_peers) == 1
            assert (stocks(harness).stream, stocks(harness).polled) == ([], ["SPY"])
            (notice,) = (each for each in harness.status.notices if each.code == "stocksUnavailable")
            assert notice.text.startswith("the prices of underlyings cannot be read: ")

    def test_a_probe_counts_the_answers_of_rest_before_its_failure(self):
        @run_ready(silence_seconds=20.0)
        async def _(harness):
            async def partly_newer(symbols, take):
                await newer(symbols, take)
                raise OUTAGE

            harness.brokerage.stock_snapshots = partly_newer
            await until(lambda: len(harness.stocks.all_peers) == 2, within=60.0)
            assert "REST has newer quotes" in stocks(harness).reason

    def test_stocks_that_are_not_streamed_are_subscribed_again_once_a_minute(self):
        @run_scenario
        async def _(harness):
            harness.stocks.ignored = {"QQQ"}
            harness.brokerage.held.append(holding(OTHER))
            async with harness.at_work():
                await streaming(harness, "SPY")
                harness.stocks.ignored = set()
                before = wall()
                await until(lambda: "QQQ" in stocks(harness).stream, within=2 * RESUBSCRIBE_SECONDS)
                assert (wall() - before).total_seconds() > RESUBSCRIBE_SECONDS / 2

    def test_a_retry_ends_a_halt(self):
        @run_scenario
        async def _(harness):
            harness.stocks.login = error(402)
            async with harness.at_work():
                await until(lambda: stocks(harness).state == "halted")
                harness.stocks.login = AUTHENTICATED
                harness.supervisor.retry()
                await streaming(harness, "SPY")

    def test_after_a_suspension_the_prices_need_a_confirmation(self):
        @run_ready
        async def _(harness):
            before = len(harness.brokerage.times("stocks"))
            harness.suspended = type(harness.suspended)(seconds=60)
            await until(lambda: count_of(harness, "lapse_prices") == 1)
            await settle(6.0)
            assert len(harness.brokerage.times("stocks")) > before

    def test_a_link_that_is_about_to_start_is_not_stuck(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.held = []
            async with harness.at_work():
                await until(lambda: harness.supervisor.is_ready)
                await settle(2 * STUCK_SECONDS)
                harness.sink.stocks = ("SPY",)
                harness.supervisor.market.want()
                while not harness.stocks.all_peers:
                    assert harness.supervisor.stuck(harness.supervisor.stream.now()) is None
                    await asyncio.sleep(0)
                harness.brokerage.held = [holding(OTHER)]
                harness.supervisor.refresh()
                await streaming(harness, "QQQ")

    def test_a_stuck_link_is_reported(self, monkeypatch):
        @run_ready
        async def _(harness):
            await settle(STUCK_SECONDS)
            now = harness.supervisor.stream.now()
            assert harness.supervisor.stuck(now) is None
            late = link("the stock stream")  # never started, so its deadline is long past
            monkeypatch.setattr(MarketSupervisor, "links", (late,))
            assert harness.supervisor.stuck(now).startswith("the stock stream is starting")

    def test_a_change_of_state_is_logged_once(self, caplog):
        caplog.set_level(logging.INFO, "condord.upstream.stream_state")

        @run_ready
        async def _(harness):
            harness.stocks.login = error(402)
            harness.stocks.peer.reset()
            await settle(20.0)

        lines = [
            (record.levelname, record.fields["state"])
            for record in caplog.records
            if record.message == "Stock stream changed state"
        ]
        assert lines == [("INFO", "live"), ("WARNING", "reconnecting"), ("ERROR", "halted")]


class TestReload:
    def test_another_key_reconnects_and_reads_everything_again(self):
        @run_ready
        async def _(harness):
            before = len(harness.brokerage.times("balances"))
            harness.reload(OTHER_LOGIN)
            await until(lambda: len(harness.stocks.logins) == 2)
            assert harness.stocks.logins[1][0] == "PKOTHER"
            assert harness.stocks.max_open == 1
            await until(lambda: len(harness.brokerage.times("balances")) > before, within=20.0)

    def test_another_feed_reconnects_only_the_stock_stream(self):
        @run_scenario
        async def _(harness):
            async with StockServer() as other, harness.at_work():
                await harness.ready()
                harness.reload(stock_feed="sip", stock_stream_url=other.url)
                await until(lambda: other.peers)
                await streaming(harness, "SPY")
                assert harness.stocks.peers == []
                assert len(harness.options.all_peers) == 1
                assert [arguments for name, *arguments in harness.sink.calls if name == "set_stock_feed"] == [
                    ["iex"],
                    ["sip"],
                ]
                harness.reload(stock_feed="iex", stock_stream_url=harness.stocks.url)
                await until(lambda: harness.stocks.peers)

    def test_a_lower_limit_unsubscribes_without_a_reconnect(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.held.append(holding(OTHER))
            async with harness.at_work():
                await streaming(harness, "SPY", "QQQ")
                harness.reload(stock_symbol_limit=1)
                await streaming(harness, "SPY")
                assert stocks(harness).polled == ["QQQ"]
                assert len(harness.stocks.all_peers) == 1

    def test_a_reload_without_a_connection_applies_to_the_next(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.held = []
            async with StockServer() as other, harness.at_work():
                await until(lambda: harness.supervisor.is_ready)
                harness.reload(stock_stream_url=other.url, stock_symbol_limit=1)
                harness.brokerage.held = [holding(OTHER), holding(IWM)]
                harness.supervisor.refresh()
                await until(lambda: other.requests == [("subscribe", ["QQQ"])])

    def test_the_assumptions_in_force_are_in_the_status(self):
        @run_scenario
        async def _(harness):
            async with harness.at_work():
                model = msgspec.structs.replace(harness.settings.model, rate=0.01)
                harness.reload(model=model)
                assert harness.status.model == model


class TestReads:
    def test_a_fill_reads_balances_working_orders_and_fills_again(self):
        @run_ready
        async def _(harness):
            await settle(30.0)
            before = {what: len(harness.brokerage.times(what)) for what in ("balances", "workingOrders", "dayFills")}
            harness.trading.send_message(harness.trading.peer, {"stream": "trade_updates", "data": {"event": "fill"}})
            await settle(1.0)
            after = {what: len(harness.brokerage.times(what)) for what in before}
            assert after == {what: count + 1 for what, count in before.items()}

    def test_failures_of_stock_prices_are_notices_and_leave_positions_and_quotes_alone(self):
        @run_scenario
        async def _(harness):
            names = ("snapshots", "dividends", "balances", "workingOrders", "dayFills")
            harness.brokerage.failures |= dict.fromkeys(names, OUTAGE)
            async with harness.at_work():
                await harness.ready()
                assert sorted(codes(harness)) == [
                    "accountUnavailable",
                    "activitiesUnavailable",
                    "dividendsUnavailable",
                    "ordersUnavailable",
                    "snapshotsUnavailable",
                ]
                assert harness.status.positions.error is None
                assert harness.supervisor.is_ready

    def test_working_orders_are_traced_through_the_order_history(self):
        @run_ready
        async def _(harness):
            assert harness.supervisor.market._origin("unknown") == "unknown"
