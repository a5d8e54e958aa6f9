import asyncio
import contextlib
import json
import logging
import ssl
import time

import pytest

from condord.cluster.bus import Bus, BusError, BusSettings
from condord.cluster.nats_client import BusLogin
from condord.cluster.outgoing_messages import MAX_QUEUED
from condord.errors import AccessDenied
from condord.host.secret import Secret

from .nats_server import USER, eventually, permitting, running, unexpected


def test_messages_arrive_in_order_with_their_headers(nats_server):
    async def scenario():
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

    asyncio.run(scenario())


def test_a_subscription_that_was_ended_does_not_come_back_after_a_reconnection(nats_server):
    async def scenario():
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

    asyncio.run(scenario())


def test_a_question_is_answered_or_known_to_be_unanswered(nats_server):
    async def scenario():
        server = nats_server()
        one, two = server.bus(), server.bus()
        await two.subscribe("ask", lambda message: two.publish(message.reply, message.data + b"!", message.headers))
        await two.subscribe("silent", lambda message: None)
        with pytest.raises(BusError, match="not connected"):
            await one.ask("ask", b"?", seconds=5)
        async with running(one, two):
            answer = await one.ask("ask", b"?", {"A": "b"}, seconds=30)
            assert (answer.data, answer.headers) == (b"?!", {"A": "b"})
            with pytest.raises(BusError, match="nobody answers"):
                await one.ask("nobody", b"", seconds=30)
            with pytest.raises(BusError, match="no answer in time"):
                await one.ask("silent", b"", seconds=0.1)

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_reconnected_bus_has_its_subscriptions_and_sends_nothing_late(nats_server, caplog):
    caplog.set_level(logging.INFO, logger="condord")

    async def scenario():
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

    asyncio.run(scenario())
    logged = [record.message for record in caplog.records]
    assert logged.count("The bus is lost") == 2
    assert logged.count("The bus is connected") == 4
    assert sum("lasted_seconds" in getattr(record, "fields", {}) for record in caplog.records) == 2


@pytest.mark.slow
def test_a_server_that_hangs_is_lost_within_seconds(nats_server):
    async def scenario():
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

    asyncio.run(scenario())


def test_too_large_messages_are_dropped_and_the_log_has_the_remedy(nats_server, caplog):
    async def scenario():
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

    asyncio.run(scenario())
    logged = [record.message for record in caplog.records]
    assert logged.count("The bus takes only small messages") == 1
    assert logged.count("The bus does not take messages of this size") == 1
    assert "set max_payload: 8MB in the configuration of nats-server" in str(
        [vars(record) for record in caplog.records]
    )


def test_the_queue_of_outgoing_messages_is_bounded(nats_server):
    async def scenario():
        server = nats_server()
        bus = server.bus()
        async with running(bus):
            for _ in range(MAX_QUEUED + 5):  # without an iteration of the loop nothing is sent
                bus.publish("frames", b"x")
            assert bus.dropped == 5
            for _ in range(40):
                bus.publish("frames", b"x" * 1_000_000)
            assert bus.dropped == 45

    asyncio.run(scenario())


@pytest.mark.slow
def test_an_error_in_the_callback_of_a_subscription_ends_the_run(nats_server):
    def take(message):
        raise LookupError(message.data)

    async def scenario():
        server = nats_server()
        bus = server.bus()
        await bus.subscribe("frames", take)
        async with running(bus):
            bus.publish("frames", b"a bug")
            await asyncio.sleep(1)

    with pytest.raises(LookupError, match="a bug"):
        asyncio.run(scenario())


@pytest.mark.slow
def test_the_next_server_is_tried_if_one_is_gone(nats_server):
    async def scenario():
        stopped, started = nats_server(), nats_server()
        settings = started.settings()
        bus = Bus(
            type(settings)(urls=(stopped.url, started.url), login=None, context=settings.context),
            name="test", refused=unexpected, chance=lambda: 0.0,
        )  # fmt: skip
        assert bus.urls == f"{stopped.url},{started.url}"
        stopped.kill()
        async with running(bus):
            started.kill()
            stopped.start()
            await eventually(lambda: not bus.is_connected)
            await eventually(lambda: bus.is_connected)

    asyncio.run(scenario())


def test_refused_credentials_are_reported_and_tried_again(nats_server):
    async def scenario():
        server = nats_server('authorization { token: "right-token" }')
        refusals = []
        wrong = server.bus(refused=refusals.append, login=BusLogin(kind="token", secret=Secret("wrong-token")))
        right = server.bus(login=BusLogin(kind="token", secret=Secret("right-token")))
        task = asyncio.create_task(wrong.run())
        async with running(right):
            await eventually(lambda: len(refusals) > 1)
        assert not wrong.is_connected
        assert all(isinstance(error, AccessDenied) and "cluster.credentials_file" in error.hint for error in refusals)
        assert "wrong-token" not in str(refusals)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())


def test_a_trial_finds_denied_subjects_and_a_later_trial_finds_them_permitted(nats_server):
    async def scenario():
        server = nats_server(permitting(["a"], ["_INBOX.>", "b"]))
        bus = server.bus(login=USER)
        with pytest.raises(BusError, match="not connected"):
            await bus.try_out(publish=("a",))
        async with running(bus):
            assert await bus.try_out(publish=("a",), subscribe=("b",)) is None
            assert await bus.try_out(publish=("a", "x"), subscribe=("b", "y")) == "publish to x"
            assert await bus.try_out(subscribe=("b", "y")) == "subscribe to y"
            assert bus.denials.text.startswith("the bus forbids this user to publish to x; permit it")
            server.reload(permitting(["a", "x"], ["_INBOX.>", "b", "y"]))

            async def is_permitted():
                return await bus.try_out(publish=("x",), subscribe=("y",)) is None

            await eventually(is_permitted)
            assert bus.denials.text is None
            assert bus.is_connected

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_trial_without_an_answer_is_unanswered(nats_server):
    async def scenario():
        server = nats_server()
        bus = server.bus()
        async with running(bus):
            server.pause()
            with pytest.raises(BusError):
                await bus.try_out(publish=("a",))
            server.resume()

    asyncio.run(scenario())


def test_a_request_that_the_server_forbids_has_that_as_the_reason(nats_server):
    async def scenario():
        server = nats_server(permitting(["a"], ["b"]))
        bus = server.bus(login=USER)
        async with running(bus):
            with pytest.raises(
                BusError, match=r"forbids this user to (publish to x|subscribe to _INBOX\.>); permit it"
            ):
                await bus.ask("x", b"", seconds=1)
            assert bus.denials.first(("subscribe to _INBOX.>",))  # that of this connection has a random name

    asyncio.run(scenario())


def test_an_answered_request_ends_the_denial_of_its_subject(nats_server):
    async def scenario():
        server = nats_server(permitting(["answers"], ["_INBOX.>", "x"]))
        bus = server.bus(login=USER)
        await bus.subscribe("x", lambda message: bus.publish(message.reply, b"yes"))

        async def is_answered():
            with contextlib.suppress(BusError):
                return (await bus.ask("x", b"", seconds=0.5)).data == b"yes"

        async with running(bus):
            assert not await is_answered()
            assert bus.denials.first(("publish to x",))
            server.reload(permitting([">"], ["_INBOX.>", "x"]))
            await eventually(is_answered)
            assert bus.denials.text is None

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_denied_subscription_works_once_it_is_permitted(nats_server, caplog, monkeypatch):
    monkeypatch.setattr("condord.cluster.bus.SUBSCRIBE_AGAIN_SECONDS", 0.2)

    async def scenario():
        server = nats_server(permitting([">"], ["b"]))
        bus, got, other = server.bus(login=USER), [], []
        await bus.subscribe("frames", got.append)
        await bus.subscribe("b", other.append)
        async with running(bus):
            await eventually(lambda: bus.denials.first(("subscribe to frames",)))
            await asyncio.sleep(0.5)
            assert bus.denials.first(("subscribe to frames",))
            server.reload(permitting([">"], ["b", "frames"]))
            await eventually(lambda: bus.denials.text is None)
            for subject in ("frames", "b"):
                bus.publish(subject, b"1")
            await eventually(lambda: got and other)
            await asyncio.sleep(0.5)
            assert (len(got), len(other)) == (1, 1)  # none is there twice
            assert bus.is_connected

    asyncio.run(scenario())
    assert caplog.messages.count("The bus forbids something") == 1


def test_an_earlier_denial_is_not_reported_as_the_reason_of_a_lost_connection(nats_server):
    async def scenario():
        server = nats_server(permitting(["a"]))
        bus = server.bus(login=USER)
        async with running(bus):
            await bus.try_out(publish=("x",))
            server.kill()
            await eventually(lambda: not bus.is_connected)
            assert "ermission" not in bus.reason

    asyncio.run(scenario())


class OldServer:
    """Answers as a NATS server of this version does, as far as a connection needs."""

    def __init__(self, version):
        self.version = version

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        info = {"server_id": "x", "version": self.version, "max_payload": 8 << 20, "headers": True, "proto": 1}
        writer.write(b"INFO %b\r\n" % json.dumps(info).encode())
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()


@pytest.mark.parametrize(("version", "is_old"), [("2.8.4", True), ("1.4.0", True), ("2.9.10", False), ("", False)])
def test_a_server_that_is_too_old_is_logged_with_its_version_and_the_required_one(version, is_old, caplog):
    caplog.set_level(logging.INFO, logger="condord")

    async def scenario():
        async with OldServer(version) as server:
            settings = BusSettings(urls=(server.url,), login=None, context=ssl.create_default_context)
            bus = Bus(settings, name="test", refused=unexpected, chance=lambda: 0.0)
            assert bus.version == ""
            async with running(bus):
                assert bus.version == version
            return server.url

    url = asyncio.run(scenario())
    logged = [record.fields for record in caplog.records if record.message == "The NATS server is too old"]
    remedy = "install nats-server 2.14 or newer; condord needs at least 2.9"
    assert logged == ([{"bus": url, "version": version, "remedy": remedy}] if is_old else [])
    (connected,) = [record.fields for record in caplog.records if record.message == "The bus is connected"]
    assert connected == {"bus": url, "version": version}


def test_a_denial_by_the_server_is_logged_once(nats_server, caplog):
    async def scenario():
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

    asyncio.run(scenario())
