import asyncio

import pytest

from condord.live.link import STEP_SECONDS
from condord.upstream import stream_trial
from condord.upstream.option_stream import OptionStream
from condord.upstream.stock_stream import StockStream
from tests.fakes.alpaca import KEY_ID, LOGIN, NETWORK, SECRET_KEY, wall
from tests.fakes.streams import OptionServer, StockServer, TradingServer, error
from tests.virtualtime import run, settle


def try_option(server, symbols=("A",), before=lambda server: None):
    """Run a trial of the option stream, check that its socket is closed, and return its result."""

    async def main():
        async with server:
            before(server)
            result = await stream_trial.quote_stream(
                OptionStream, server.url, LOGIN, symbols, network=NETWORK, symbol_limit=200, now_at=wall
            )
            await settle()
            assert server.peers == []
            assert server.max_open <= 1
            return result

    return run(main())


def try_trading(server):
    async def main():
        async with server:
            fault = await stream_trial.trading_stream(server.url, LOGIN, network=NETWORK)
            await settle()
            assert server.peers == []
            return fault

    return run(main())


def test_a_stream_that_works_authenticates_subscribes_and_is_closed():
    server = OptionServer()
    assert try_option(server) == (None, 1)
    assert server.logins == [(KEY_ID, SECRET_KEY)]
    assert server.requests == [("subscribe", ["A"])]


def test_without_symbols_it_only_authenticates():
    server = OptionServer()
    assert try_option(server, ()) == (None, 0)
    assert (len(server.logins), server.requests) == (1, [])


@pytest.mark.parametrize(
    ("code", "word"), [(402, "authFailed"), (406, "connectionLimit"), (409, "insufficientSubscription")]
)
def test_a_refusal_has_the_daemons_code_and_is_not_retried(code, word):
    server = OptionServer()
    server.login = error(code)
    fault, granted = try_option(server)
    assert (fault.code, granted) == (word, 0)
    assert len(server.all_peers) == 1


def test_a_symbol_that_is_not_acknowledged_is_not_counted():
    server = OptionServer()
    server.ignored = {"A"}
    assert try_option(server) == (None, 0)


def test_a_symbol_limit_of_zero_is_not_a_fault():
    server = OptionServer()
    server.limit = 0
    assert try_option(server) == (None, 0)


def test_a_refused_upgrade_is_a_fault():
    server = OptionServer()
    server.upgrade = 502
    assert "HTTP 502" in try_option(server)[0].text


def try_stock(server, symbols=("SPY",)):
    async def main():
        async with server:
            result = await stream_trial.quote_stream(
                StockStream, server.url, LOGIN, symbols, network=NETWORK, symbol_limit=30, now_at=wall
            )
            await settle()
            assert server.peers == []
            return result

    return run(main())


def test_the_stock_stream_authenticates_subscribes_and_is_closed():
    server = StockServer()
    assert try_stock(server) == (None, 1)
    assert server.logins == [(KEY_ID, SECRET_KEY)]
    assert server.requests == [("subscribe", ["SPY"])]


def test_the_stock_stream_refuses_with_its_own_remedy():
    server = StockServer()
    server.login = error(409)
    fault, granted = try_stock(server)
    assert (fault.code, granted) == ("insufficientSubscription", 0)
    assert "alpaca.stock_feed" in fault.remedy


def test_a_closed_port_is_a_fault():
    fault, _ = run(
        stream_trial.quote_stream(
            OptionStream, "ws://127.0.0.1:9/x", LOGIN, (), network=NETWORK, symbol_limit=1, now_at=wall
        )
    )
    assert fault.code == "unreachable"


@pytest.mark.parametrize("what", ["welcome", "login"])
def test_a_server_that_goes_silent_is_a_fault_after_the_timeout_of_a_step(what):
    server = OptionServer()
    setattr(server, what, None)
    assert f"{STEP_SECONDS:g} s" in try_option(server)[0].text


def test_a_cancelled_trial_closes_its_socket():
    async def main():
        async with OptionServer() as server:
            server.login = None
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(STEP_SECONDS / 2):
                    await stream_trial.quote_stream(
                        OptionStream, server.url, LOGIN, (), network=NETWORK, symbol_limit=1, now_at=wall
                    )
            await settle()
            assert server.peers == []

    run(main())


def test_an_unexpected_exception_is_raised(monkeypatch):
    async def broken(_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("condord.upstream.link_runner.LinkRunner.run", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        try_trading(TradingServer())


def test_the_trading_stream_authenticates_and_listens():
    server = TradingServer()
    assert try_trading(server) is None
    assert server.logins == [(KEY_ID, SECRET_KEY)]


def test_the_trading_stream_refuses_a_key():
    server = TradingServer()
    server.status = "unauthorized"
    assert try_trading(server).code == "authFailed"
