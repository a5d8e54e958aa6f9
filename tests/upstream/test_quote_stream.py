import asyncio
import itertools

import pytest

from condord.live.link import HALT_SECONDS
from condord.upstream.interfaces import Login
from condord.upstream.link_runner import MAX_WAITING
from tests.fakes.alpaca import KEY_ID, LOGIN, SECRET_KEY, wall
from tests.fakes.streams import AUTHENTICATED, CONNECTED, OptionServer, error, frame
from tests.upstream.stream_harnesses import OptionHarness
from tests.virtualtime import run, settle, until


def quote(symbol="A", seconds=0, **fields):
    return {"T": "q", "S": symbol, "t": f"2026-11-20T15:00:{seconds:02d}Z", "bp": 1.0, "ap": 1.2, **fields}


def run_scenario(test):
    """Run `test` with a server on a virtual loop."""

    async def main():
        async with OptionServer() as server:
            await test(server)

    run(main())


def run_live(test):
    """Run `test` with a server, and a harness whose stream is live."""

    @run_scenario
    async def _(server):
        harness = OptionHarness(server)
        async with harness.at_work():
            await until(lambda: harness.state == "live")
            await test(server, harness)


class TestHandshake:
    def test_the_login_and_the_subscription_follow_the_welcome(self):
        @run_scenario
        async def _(server):
            harness = OptionHarness(server, ["B", "A"])
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                assert server.logins == [(KEY_ID, SECRET_KEY)]
                assert server.requests == [("subscribe", ["A", "B"])]
                assert server.peer.request.headers["Content-Type"] == "application/msgpack"

    def test_without_symbols_it_is_live_and_subscribes_to_nothing(self):
        @run_scenario
        async def _(server):
            harness = OptionHarness(server, [])
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                await settle(700.0)
                assert (server.requests, len(harness.stream.streamed), harness.snapshots) == ([], 0, 1)
                assert len(server.all_peers) == 1


class TestErrors:
    def test_a_refused_key_halts_and_closes_from_our_side(self):
        @run_scenario
        async def _(server):
            server.login = error(402, "auth failed")
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "halted")
                await settle()
                assert server.peers == []
                assert server.peer.close_code == 1000
                assert harness.stream.link.fault.code == "authFailed"

    def test_a_halted_stream_tries_again_every_five_minutes(self):
        @run_scenario
        async def _(server):
            server.login = error(402, "auth failed")
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: len(server.joined_at) == 3, within=1000.0)
                waits = [later - earlier for earlier, later in itertools.pairwise(server.joined_at)]
                assert waits == pytest.approx([HALT_SECONDS] * 2, abs=0.1)
                assert harness.stream.link.public_state == "halted"

    def test_a_retry_while_a_refused_connection_closes_is_not_lost(self):
        @run_scenario
        async def _(server):
            granted, server.login = server.login, error(402, "auth failed")
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "closing")
                server.login = granted
                harness.stream.retry()
                await until(lambda: harness.state == "live", within=5.0)

    def test_a_halted_stream_tries_again_on_request(self):
        @run_scenario
        async def _(server):
            server.login = error(402, "auth failed")
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "halted")
                server.login = AUTHENTICATED
                harness.stream.retry()
                await until(lambda: harness.state == "live", within=0.1)
                assert harness.stream.link.fault is None

    def test_a_stream_in_backoff_tries_again_on_request(self):
        @run_scenario
        async def _(server):
            server.login = error(406)
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "backingOff")
                server.login = AUTHENTICATED
                harness.stream.retry()
                await until(lambda: harness.state == "live", within=0.1)

    def test_a_retry_does_nothing_to_a_live_stream(self):
        @run_live
        async def _(server, harness):
            harness.stream.retry()
            await settle(1.0)
            assert len(server.all_peers) == 1

    @pytest.mark.parametrize("when", ["instead of the login", "after the login"])
    def test_a_connection_limit_waits_as_long_as_is_allowed(self, when):
        @run_scenario
        async def _(server):
            server.login = error(406, "connection limit exceeded")
            if when == "after the login":
                server.login = frame({"T": "success", "msg": "authenticated"}, {"T": "error", "code": 406, "msg": "no"})
            harness = OptionHarness(server, most=60.0, chance=0.0)
            async with harness.at_work():
                await until(lambda: len(server.joined_at) == 3)
                waits = [later - earlier for earlier, later in itertools.pairwise(server.joined_at)]
                assert waits == pytest.approx([60.0, 60.0], abs=0.1)
                assert harness.stream.link.fault.code == "connectionLimit"

    @pytest.mark.parametrize(
        ("number", "code", "state"),
        [
            (400, "malformed", "backingOff"),
            (404, "unreachable", "backingOff"),
            (407, "slowClient", "backingOff"),
            (409, "insufficientSubscription", "halted"),
            (411, "insufficientSubscription", "halted"),
            (500, "unreachable", "backingOff"),
        ],
    )
    def test_an_error_on_a_live_stream_ends_it_by_its_code(self, number, code, state):
        @run_live
        async def _(server, harness):
            server.peer.send(error(number))
            await until(lambda: harness.state == state)
            await settle()
            assert server.peers == []
            assert harness.stream.link.fault.code == code

    def test_no_message_contains_a_secret(self):
        @run_scenario
        async def _(server):
            server.login = error(402, f"auth failed for {SECRET_KEY}")
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "halted")
                assert SECRET_KEY not in harness.stream.link.fault.text


class TestQuotes:
    def test_a_batch_is_passed_on_in_order(self):
        @run_live
        async def _(server, harness):
            server.peer.send(frame(quote("A"), quote("B"), quote("A", 1)))
            await until(lambda: harness.sink.offered)
            assert [(tick.symbol, tick.at.second) for tick in harness.sink.offered] == [
                ("A", 0),
                ("B", 0),
                ("A", 1),
            ]
            assert harness.stream.last_message_at == wall()

    def test_ten_thousand_quotes_are_all_passed_on(self):
        @run_live
        async def _(server, harness):
            batch = frame(*[quote("A", number % 60) for number in range(100)])
            for _ in range(100):
                server.peer.send(batch)
            await until(lambda: len(harness.sink.offered) == 10_000)

    @pytest.mark.parametrize("junk", ["text", b"\xc1", b"", b"\x91" * 50_000, frame({"T": "zz"}), frame(None)])
    def test_an_unreadable_frame_costs_only_itself(self, junk):
        @run_live
        async def _(server, harness):
            server.peer.send(junk)
            server.peer.send(frame(quote()))
            await until(lambda: harness.sink.offered)
            assert harness.state == "live"
            assert sum(harness.stream.refused.values()) == 1

    def test_quotes_among_other_messages_are_taken(self):
        @run_live
        async def _(server, harness):
            server.peer.send(frame(quote(), {"T": "t", "S": "A"}, quote("B"), {"T": "error", "code": 407, "msg": ""}))
            await until(lambda: harness.state == "backingOff")
            assert [tick.symbol for tick in harness.sink.offered] == ["A", "B"]

    def test_messages_are_counted_by_kind_over_all_connections(self):
        @run_live
        async def _(server, harness):
            server.peer.send(frame(quote(), {"T": "t", "S": "A"}, quote("B"), {"T": "nobody knows"}, {"T": "b"}))
            server.peer.send(frame(quote(), {"T": "error", "code": 407, "msg": ""}))
            await until(lambda: harness.state == "backingOff")
            await until(lambda: harness.state == "live")
            counted = {"quote": 3, "trade": 1, "success": 4, "subscription": 2, "error": 1, "other": 1}
            assert harness.stream.messages == counted

    def test_quotes_prove_a_connection_so_that_the_next_wait_is_short(self):
        @run_scenario
        async def _(server):
            harness = OptionHarness(server, chance=1.0)
            async with harness.at_work():
                for _ in range(4):
                    await until(lambda: harness.state == "live")
                    server.peer.send(frame(quote()))
                    await settle()
                    server.peer.reset()
                    await until(lambda: harness.state != "live")
                gaps = [later - earlier for earlier, later in itertools.pairwise(server.joined_at)]
                assert max(gaps) < 1.2


class TestSubscriptions:
    def test_a_server_that_requires_endless_messages_is_disconnected(self):
        @run_scenario
        async def _(server):
            harness = OptionHarness(server, ["A"])
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                harness.stream._outbox += [b""] * MAX_WAITING
                harness.stream.want(["A", "B"])
                assert harness.state == "closing"
                assert harness.stream.link.fault.text == "the option stream requires more than 1000 messages at once"

    def test_new_positions_are_subscribed_without_a_reconnect(self):
        @run_scenario
        async def _(server):
            harness = OptionHarness(server, ["A"])
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                harness.stream.want(["A", "B"])
                await until(lambda: len(harness.stream.streamed) == 2)
                assert server.requests == [("subscribe", ["A"]), ("subscribe", ["B"])]
                assert len(server.all_peers) == 1
                assert harness.snapshots == 1

    def test_closed_positions_are_unsubscribed_before_new_ones_are_requested(self):
        @run_scenario
        async def _(server):
            harness = OptionHarness(server, ["A", "B"])
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                harness.stream.want(["B", "C"])
                await until(lambda: server.peer.subscribed == {"B", "C"})
                assert server.requests[1:] == [("unsubscribe", ["A"]), ("subscribe", ["C"])]

    def test_positions_that_change_during_the_handshake_are_caught_up_with(self):
        @run_scenario
        async def _(server):
            server.acknowledges = False
            harness = OptionHarness(server, ["A"])
            async with harness.at_work():
                await until(lambda: server.requests)
                harness.stream.want(["B"])
                server.acknowledges = True
                server.peer.subscribed = {"A"}
                server.peer.send(frame({"T": "subscription", "quotes": ["A"]}))
                await until(lambda: server.peer.subscribed == {"B"})
                assert harness.state == "live"

    def test_a_reconnect_requests_the_symbols_held_then(self):
        @run_scenario
        async def _(server):
            harness = OptionHarness(server, ["A"])
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                server.peer.reset()
                await until(lambda: harness.state == "backingOff")
                harness.stream.want(["C"])
                assert len(harness.stream.streamed) == 0
                await until(lambda: harness.state == "live")
                assert server.requests == [("subscribe", ["A"]), ("subscribe", ["C"])]

    def test_wanting_the_same_symbols_again_sends_nothing(self):
        @run_live
        async def _(server, harness):
            harness.stream.want(["A", "B"])
            await settle(1.0)
            assert len(server.requests) == 1

    def test_an_answer_that_lacks_a_symbol_causes_no_loop(self):
        @run_scenario
        async def _(server):
            server.ignored = {"B"}
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                await settle(10.0)
                assert len(server.requests) == 1
                assert (len(harness.stream.streamed), harness.stream.refused) == (1, {"unacknowledged": 1})

    def test_a_symbol_limit_keeps_the_most_important_and_stays_live(self):
        @run_scenario
        async def _(server):
            server.limit = 3
            symbols = [f"S{number}" for number in reversed(range(10))]
            harness = OptionHarness(server, symbols)
            async with harness.at_work():
                await until(lambda: harness.stream.streamed)
                await settle(1.0)
                assert harness.state == "live"
                assert server.peer.subscribed == {"S9", "S8", "S7"}
                assert harness.stream.is_limited
                assert harness.stream.missing == [f"S{number}" for number in reversed(range(7))]
                assert len(server.all_peers) == 1

    def test_existing_subscriptions_survive_a_symbol_limit(self):
        @run_scenario
        async def _(server):
            server.limit = 2
            harness = OptionHarness(server, ["A", "B"])
            async with harness.at_work():
                await until(lambda: len(harness.stream.streamed) == 2)
                harness.stream.want(["A", "B", "C", "D"])
                await until(lambda: len(server.requests) == 3)
                await settle(1.0)
                assert server.peer.subscribed == {"A", "B"}
                assert [names for _, names in server.requests] == [["A", "B"], ["C", "D"], ["C"]]
                assert harness.stream.missing == ["C", "D"]

    def test_a_limit_met_in_the_handshake_is_found_before_it_is_live(self):
        @run_scenario
        async def _(server):
            server.limit = 3
            harness = OptionHarness(server, [f"S{number}" for number in range(10)])
            streamed = []
            harness.stream.snapshot = lambda: streamed.append(set(harness.stream.streamed))
            async with harness.at_work():
                await until(lambda: harness.state == "live" and len(harness.stream.missing) == 7)
                assert len(streamed[0]) == 2

    def test_with_room_for_no_symbol_it_is_live_and_limited(self):
        @run_scenario
        async def _(server):
            server.limit = 0
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                assert harness.stream.missing == ["A", "B"]
                await settle(100.0)
                assert (harness.state, len(server.all_peers)) == ("live", 1)

    def test_a_limit_that_is_gone_is_noticed_when_it_subscribes_again(self):
        @run_scenario
        async def _(server):
            server.limit = 1
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.stream.missing == ["B"])
                server.limit = None
                harness.stream.subscribe_again()
                await until(lambda: not harness.stream.missing)
                assert server.peer.subscribed == {"A", "B"}

    def test_an_unanswered_subscription_reconnects_a_live_stream(self):
        @run_scenario
        async def _(server):
            harness = OptionHarness(server, ["A"])
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                server.acknowledges = False
                harness.stream.want(["A", "B"])
                await until(lambda: harness.state == "backingOff")
                assert harness.stream.link.fault.text.endswith("did not acknowledge the subscription within 10 s")
                server.acknowledges = True
                await until(lambda: harness.stream.streamed == {"A", "B"})

    @pytest.mark.parametrize("answers", [True, False])
    def test_settled_returns_with_the_answers_or_after_its_timeout(self, answers):
        @run_scenario
        async def _(server):
            harness = OptionHarness(server, ["A"])
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                server.acknowledges = answers
                harness.stream.want(["A", "B"])
                started = harness.stream.now()
                await harness.stream.settled(2.0)
                assert ("B" in harness.stream.streamed) == answers
                assert (harness.stream.now() - started < 1.0) == answers

    def test_waiting_for_answers_ends_when_the_connection_does(self):
        @run_scenario
        async def _(server):
            harness = OptionHarness(server, ["A"])
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                server.acknowledges = False
                harness.stream.want(["A", "B"])
                waiting = asyncio.ensure_future(harness.stream.settled(5.0))
                await settle()
                server.peer.reset()
                started = harness.stream.now()
                await waiting
                assert harness.stream.now() - started < 1.0

    def test_more_than_our_own_limit_is_never_requested(self):
        @run_scenario
        async def _(server):
            harness = OptionHarness(server, ["C", "B", "A"], symbol_limit=2)
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                assert server.requests == [("subscribe", ["B", "C"])]
                assert harness.stream.is_limited

    @pytest.mark.slow
    def test_ten_thousand_symbols_are_subscribed(self):
        @run_scenario
        async def _(server):
            symbols = [f"SPY261218P{number:08d}" for number in range(1, 10_001)]
            harness = OptionHarness(server, symbols, symbol_limit=20_000)
            async with harness.at_work():
                await until(lambda: len(harness.stream.streamed) == 10_000)

    def test_the_status_is_published_when_a_subscription_is_answered(self):
        @run_scenario
        async def _(server):
            harness = OptionHarness(server, ["A"])
            async with harness.at_work():
                await until(lambda: harness.state == "live")
                await asyncio.sleep(0)
                before = harness.changes
                harness.stream.want(["A", "B"])
                await until(lambda: len(harness.stream.streamed) == 2)
                assert harness.changes > before


class TestReload:
    def test_another_key_reconnects_at_once_but_not_before_the_old_connection_has_ended(self):
        @run_live
        async def _(server, harness):
            harness.stream.reload(Login(lambda: "NEWKEY", lambda: "newsecret"), server.url)
            await until(lambda: len(server.logins) == 2, within=4.0)
            assert server.logins[1] == ("NEWKEY", "newsecret")
            await until(lambda: harness.state == "live")
            assert (harness.sink.gaps, harness.snapshots, server.max_open) == (1, 2, 1)

    def test_a_key_that_was_refused_is_replaced_at_once(self):
        @run_scenario
        async def _(server):
            server.login = error(402, "auth failed")
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: harness.state == "halted")
                server.login = AUTHENTICATED
                harness.stream.reload(Login(lambda: "NEWKEY", lambda: "newsecret"), server.url)
                await until(lambda: harness.state == "live", within=1.0)

    @pytest.mark.parametrize("upgrade", [None, 101])
    def test_a_reload_in_the_handshake_ends_it(self, upgrade):
        @run_scenario
        async def _(server):
            server.upgrade, server.welcome = upgrade, None
            harness = OptionHarness(server)
            async with harness.at_work():
                await until(lambda: server.peers)
                await settle(1.0)
                server.upgrade, server.welcome = 101, CONNECTED
                harness.stream.reload(Login(lambda: "NEWKEY", lambda: "newsecret"), server.url)
                await until(lambda: harness.state == "live", within=5.0)
                assert server.logins == [("NEWKEY", "newsecret")]

    def test_the_next_connection_goes_to_the_new_url(self):
        @run_scenario
        async def _(server):
            async with OptionServer() as other:
                harness = OptionHarness(server, ["A", "B", "C"])
                async with harness.at_work():
                    await until(lambda: harness.state == "live")
                    harness.stream.reload(LOGIN, other.url)
                    harness.stream.allow(2)
                    await until(lambda: harness.state == "live" and other.peers)
                    assert (server.peers, other.peer.subscribed) == ([], {"A", "B"})
