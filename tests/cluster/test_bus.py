import asyncio
import logging
import time

import pytest

from condord.cluster.bus import MAX_QUEUED, Bus, Unanswered
from condord.cluster.nats_client import BusLogin
from condord.errors import Refused
from condord.host.secret import Secret

from .nats_server import eventually, running, unexpected


def test_messages_arrive_in_order_with_their_headers(nats_server):
    async def scene():
        server = nats_server()
        one, two = server.bus(), server.bus()
        got = []
        await two.subscribe("condord.x.frames", got.append)
        async with running(one, two):
            for number in range(500):
                one.publish("condord.x.frames", b"data %d" % number, {"Version": f"k-{number}"})
            one.publish("condord.y.frames", b"for another account")
            await eventually(lambda: len(got) == 500)
        assert [message.data for message in got] == [b"data %d" % number for number in range(500)]
        assert got[7].headers == {"Version": "k-7"}
        assert got[7].reply == ""
        assert one.dropped == 0

    asyncio.run(scene())


def test_a_subscription_can_end_and_stays_over(nats_server):
    async def scene():
        server = nats_server()
        bus = server.bus()
        got, kept = [], []
        early = await bus.subscribe("frames", got.append)
        await early.end()
        async with running(bus):
            subscription = await bus.subscribe("frames", got.append)
            await bus.subscribe("frames", kept.append)
            bus.publish("frames", b"one")
            await eventually(lambda: got and kept)
            await subscription.end()
            await subscription.end()
            server.kill()
            await eventually(lambda: not bus.is_connected)
            server.start()
            await eventually(lambda: bus.is_connected)
            bus.publish("frames", b"two")
            await eventually(lambda: len(kept) == 2)
            assert [message.data for message in got] == [b"one"]

    asyncio.run(scene())


def test_a_question_is_answered_or_known_to_be_unanswered(nats_server):
    async def scene():
        server = nats_server()
        one, two = server.bus(), server.bus()
        await two.subscribe("ask", lambda message: two.publish(message.reply, message.data + b"!", message.headers))
        await two.subscribe("silent", lambda message: None)
        with pytest.raises(Unanswered, match="not connected"):
            await one.ask("ask", b"?", seconds=5)
        async with running(one, two):
            answer = await one.ask("ask", b"?", {"A": "b"}, seconds=30)
            assert (answer.data, answer.headers) == (b"?!", {"A": "b"})
            with pytest.raises(Unanswered, match="nobody answers"):
                await one.ask("nobody", b"", seconds=30)
            with pytest.raises(Unanswered, match="no answer in time"):
                await one.ask("silent", b"", seconds=0.1)

    asyncio.run(scene())


@pytest.mark.slow
def test_it_comes_back_with_its_subscriptions_and_sends_nothing_late(nats_server, caplog):
    caplog.set_level(logging.INFO, logger="condord")

    async def scene():
        server = nats_server()
        one, two = server.bus(), server.bus()
        got, changes = [], []
        await two.subscribe("frames", got.append)
        two.watch(lambda: changes.append(two.is_connected))
        async with running(one, two):
            server.kill()
            await eventually(lambda: not one.is_connected and not two.is_connected)
            one.publish("frames", b"late")
            assert one.dropped == 1
            await eventually(lambda: "cannot be reached" in two.reason)
            server.start()
            await eventually(lambda: one.is_connected and two.is_connected)
            one.publish("frames", b"on time")
            await eventually(lambda: got)
            assert [message.data for message in got] == [b"on time"]
            assert changes == [True, False, True]

    asyncio.run(scene())
    said = [record.message for record in caplog.records]
    assert said.count("The bus is lost") == 2
    assert said.count("The bus is connected") == 4
    assert sum("lasted_seconds" in getattr(record, "fields", {}) for record in caplog.records) == 2


@pytest.mark.slow
def test_a_server_that_hangs_is_lost_within_seconds(nats_server):
    async def scene():
        server = nats_server()
        bus = server.bus()
        async with running(bus):
            server.pause()
            begun = time.monotonic()
            bus.publish("frames", b"x" * 1_000_000)
            await eventually(lambda: not bus.is_connected)
            assert time.monotonic() - begun > 1.0  # a moment without an answer is not an outage
            server.resume()
            await eventually(lambda: bus.is_connected)

    asyncio.run(scene())


def test_too_large_messages_are_dropped_and_the_log_has_the_remedy(nats_server, caplog):
    async def scene():
        server = nats_server(max_payload="64KB")
        bus = server.bus()
        got = []
        await bus.subscribe("frames", got.append)
        async with running(bus):
            assert bus.max_payload == 65_536
            for _ in range(3):
                bus.publish("frames", b"x" * 65_536)
            bus.publish("frames", b"x" * 60_000, {"Version": "k-1"})
            await eventually(lambda: got)
            assert bus.dropped == 3
            assert [len(message.data) for message in got] == [60_000]

    asyncio.run(scene())
    said = [record.message for record in caplog.records]
    assert said.count("The bus takes only small messages") == 1
    assert said.count("The bus does not take messages of this size") == 1
    assert "set max_payload: 8MB in the configuration of nats-server" in str(
        [vars(record) for record in caplog.records]
    )


def test_what_waits_is_bounded(nats_server):
    async def scene():
        server = nats_server()
        bus = server.bus()
        async with running(bus):
            for _ in range(MAX_QUEUED + 5):  # without a turn of the loop nothing is sent
                bus.publish("frames", b"x")
            assert bus.dropped == 5
            for _ in range(40):
                bus.publish("frames", b"x" * 1_000_000)
            assert bus.dropped == 45

    asyncio.run(scene())


@pytest.mark.slow
def test_an_error_of_a_taker_ends_the_run(nats_server):
    def take(message):
        raise LookupError(message.data)

    async def scene():
        server = nats_server()
        bus = server.bus()
        await bus.subscribe("frames", take)
        async with running(bus):
            bus.publish("frames", b"a bug")
            await asyncio.sleep(1)

    with pytest.raises(LookupError, match="a bug"):
        asyncio.run(scene())


@pytest.mark.slow
def test_the_next_server_is_tried_where_one_is_gone(nats_server):
    async def scene():
        gone, there = nats_server(), nats_server()
        settings = there.settings()
        bus = Bus(
            type(settings)(urls=(gone.url, there.url), login=None, context=settings.context),
            name="test", refused=unexpected, chance=lambda: 0.0,
        )  # fmt: skip
        assert bus.urls == f"{gone.url},{there.url}"
        gone.kill()
        async with running(bus):
            there.kill()
            gone.start()
            await eventually(lambda: not bus.is_connected)
            await eventually(lambda: bus.is_connected)

    asyncio.run(scene())


def test_refused_credentials_are_reported_and_tried_again(nats_server):
    async def scene():
        server = nats_server('authorization { token: "right-token" }')
        refusals = []
        wrong = server.bus(refused=refusals.append, login=BusLogin(kind="token", secret=Secret("wrong-token")))
        right = server.bus(login=BusLogin(kind="token", secret=Secret("right-token")))
        task = asyncio.create_task(wrong.run())
        async with running(right):
            await eventually(lambda: len(refusals) > 1)
        assert not wrong.is_connected
        assert all(isinstance(error, Refused) and "cluster.credentials_file" in error.hint for error in refusals)
        assert "wrong-token" not in str(refusals)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scene())


def test_what_the_server_forbids_is_logged_once(nats_server, caplog):
    async def scene():
        server = nats_server(
            'authorization { users: [{ user: u, password: p, permissions: { publish: ["allowed"], subscribe: [">"] } }] }'
        )
        bus = server.bus(login=BusLogin(kind="password", secret=Secret("u:p")))
        async with running(bus):
            for subject in ("$KV.Forbidden", "$KV.Forbidden", "other"):
                bus.publish(subject, b"x")
            await eventually(lambda: caplog.messages.count("The bus forbids something") == 2)
            first, second = [record.fields["what"] for record in caplog.records[-2:]]
            assert (first, second) == ("publish to $KV.Forbidden", "publish to other")
            assert "docs/examples/nats-server.conf" in caplog.records[-1].fields["remedy"]
            assert bus.is_connected

    asyncio.run(scene())
