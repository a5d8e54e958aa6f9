import asyncio

import pytest

from condord.live.link import STEP_SECONDS
from condord.upstream import trial
from tests.fakes.alpaca import KEY_ID, LOGIN, SECRET_KEY, wall
from tests.fakes.streams import OptionServer, TradingServer, error
from tests.virtualtime import run, settle


def try_option(server, symbols=("A",), before=lambda server: None):
    """What a trial of the option stream found; no socket may be left."""

    async def whole():
        async with server:
            before(server)
            found = await trial.option_stream(server.url, LOGIN, symbols, symbol_limit=200, now_at=wall)
            await settle()
            assert server.peers == []
            assert server.most <= 1
            return found

    return run(whole())


def try_trading(server):
    async def whole():
        async with server:
            fault = await trial.trading_stream(server.url, LOGIN)
            await settle()
            assert server.peers == []
            return fault

    return run(whole())


def test_a_stream_that_works_authenticates_subscribes_and_is_closed():
    server = OptionServer()
    assert try_option(server) == (None, 1)
    assert server.logins == [(KEY_ID, SECRET_KEY)]
    assert server.requests == [("subscribe", ["A"])]


def test_without_symbols_it_authenticates_alone():
    server = OptionServer()
    assert try_option(server, ()) == (None, 0)
    assert (len(server.logins), server.requests) == (1, [])


@pytest.mark.parametrize(
    ("code", "word"), [(402, "authFailed"), (406, "connectionLimit"), (409, "insufficientSubscription")]
)
def test_a_refusal_is_what_the_daemon_would_call_it_and_is_tried_once(code, word):
    server = OptionServer()
    server.login = error(code)
    fault, granted = try_option(server)
    assert (fault.code, granted) == (word, 0)
    assert len(server.all_peers) == 1


def test_a_symbol_that_is_not_acknowledged_is_not_counted():
    server = OptionServer()
    server.ignored = {"A"}
    assert try_option(server) == (None, 0)


def test_no_room_for_one_symbol_is_no_fault():
    server = OptionServer()
    server.limit = 0
    assert try_option(server) == (None, 0)


def test_a_refused_upgrade_is_a_fault():
    server = OptionServer()
    server.upgrade = 502
    assert "HTTP 502" in try_option(server)[0].text


def test_nobody_there_is_a_fault():
    fault, _ = run(trial.option_stream("ws://127.0.0.1:9/x", LOGIN, (), symbol_limit=1, now_at=wall))
    assert fault.code == "unreachable"


@pytest.mark.parametrize("what", ["welcome", "login"])
def test_a_server_that_falls_silent_is_a_fault_after_a_step(what):
    server = OptionServer()
    setattr(server, what, None)
    assert f"{STEP_SECONDS:g} s" in try_option(server)[0].text


def test_cancelled_it_leaves_no_socket():
    async def whole():
        async with OptionServer() as server:
            server.login = None
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(STEP_SECONDS / 2):
                    await trial.option_stream(server.url, LOGIN, (), symbol_limit=1, now_at=wall)
            await settle()
            assert server.peers == []

    run(whole())


def test_a_bug_of_ours_is_raised(monkeypatch):
    async def broken(_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("condord.upstream.line.Line.run", broken)
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
