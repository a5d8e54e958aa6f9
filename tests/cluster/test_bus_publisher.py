import asyncio

import pytest

from condord.cluster.bus_frames import SNAPSHOTS, head_of
from condord.cluster.fenced import FencedKey
from condord.cluster.kv import BusRefusal, KvBucket

from .leader import ACCOUNT, Leader, working
from .nats_server import USER, eventually, permitting


def run_scenario(nats_server, scenario):
    """Play `scenario(leader, frames, stored)`: a leader, the frames that came over the bus, and the stored snapshot."""

    async def main():
        server = nats_server()
        bus, frames = server.bus(), []
        await bus.subscribe(f"condord.{ACCOUNT}.frames", frames.append)
        leader = Leader(bus, fence=7)
        key = FencedKey(KvBucket(bus, SNAPSHOTS), ACCOUNT)

        async def stored():
            return await key.read()

        async with working(leader):
            await scenario(leader, frames, stored)

    asyncio.run(main())


@pytest.mark.slow
def test_each_event_is_published_unchanged_with_the_one_before_it(nats_server):
    async def scenario(leader, frames, _stored):
        leader.pump()  # it does not lead yet
        leader.move()
        leader.begin()
        leader.move(3)
        leader.service.fanout.heartbeat(leader.service.now_at)
        leader.pump()
        await eventually(lambda: len(frames) >= 4)
        heads = [head_of(frame.headers) for frame in frames[:4]]
        numbers = [head.number for head in heads]
        assert numbers[1:3] == [numbers[0] + 1, numbers[0] + 2]
        assert [head.base for head in heads] == [None, numbers[0], numbers[1], None]
        assert [(head.fence, head.kind) for head in heads] == [(7, "delta")] * 3 + [(7, "heartbeat")]
        assert (heads[3].version, heads[3].leader) == (heads[2].version, "a:1")
        assert frames[0].data.startswith(b"event: delta\nid: k3f9-")
        count = len(frames)
        leader.publisher.step_down()
        leader.move()
        await asyncio.sleep(0.3)
        assert len(frames) <= count + 1  # a heartbeat may have been on its way

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_a_snapshot_is_stored_at_once_and_after_each_change_of_positions(nats_server):
    async def scenario(leader, _frames, stored):
        leader.begin()
        first = await eventually(stored)
        assert first.fence == 7
        assert first.value == leader.snapshot()[1]
        leader.service.set_positions(())
        leader.pump()

        async def is_new():
            return (await stored()).value == leader.snapshot()[1]

        await eventually(is_new)

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_changed_prices_are_stored_after_a_delay(nats_server, monkeypatch):
    monkeypatch.setattr("condord.cluster.bus_publisher.SNAPSHOT_SECONDS", 0.2)

    async def scenario(leader, _frames, stored):
        leader.begin()
        await eventually(stored)
        leader.move()

        async def is_new():
            return (await stored()).value == leader.snapshot()[1]

        await eventually(is_new)

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_a_leader_that_was_replaced_notices_it_and_stops_publishing(nats_server, caplog):
    async def scenario(leader, frames, stored):
        other = FencedKey(KvBucket(leader.bus, SNAPSHOTS), ACCOUNT)
        await other.write(9, b"of another")
        leader.begin()
        await eventually(lambda: leader.overtaken == [7])
        frames.clear()
        leader.move()
        await asyncio.sleep(0.3)
        assert frames == []
        assert (await stored()).value == b"of another"

    run_scenario(nats_server, scenario)
    [logged] = [record for record in caplog.records if record.message == "Another leader has a higher fence"]
    assert logged.fields == {"own_fence": 7, "higher_fence": 9}


@pytest.mark.parametrize(
    ("publish", "subscribe", "what"),
    [
        (["x"], [">"], "publish to condord.acct.frames"),
        ([">"], ["x"], "subscribe to condord.acct.resume"),
        ([">"], ["condord.acct.resume"], "subscribe to condord.acct.ask"),
    ],
)
def test_a_leader_needs_a_user_that_may_publish_and_take_questions(nats_server, monkeypatch, publish, subscribe, what):
    monkeypatch.setattr("condord.cluster.bus_publisher.CHECK_SECONDS", 0.1)
    monkeypatch.setattr("condord.cluster.bus.SUBSCRIBE_AGAIN_SECONDS", 0.1)

    async def scenario():
        server = nats_server(permitting(publish, subscribe))
        leader = Leader(server.bus(login=USER))
        async with working(leader):
            await eventually(lambda: leader.bus.denials.text or publish == ["x"])
            with pytest.raises(BusRefusal, match=f"the bus forbids this user to {what}") as caught:
                await leader.publisher.require_permission()
            assert "docs/examples/nats-server.conf" in caught.value.remedy
            assert leader.publisher.forbidden == what
            server.reload(permitting([">"]))

            async def is_permitted():
                await leader.publisher.require_permission()
                return True

            await eventually(is_permitted)
            assert leader.publisher.forbidden is None

    asyncio.run(scenario())


def test_a_leader_that_may_not_publish_any_longer_notices_it(nats_server):
    async def scenario():
        server = nats_server(permitting([">"]))
        leader, received = Leader(server.bus(login=USER)), []
        await leader.bus.subscribe(
            f"condord.{ACCOUNT}.frames", lambda message: received.append(head_of(message.headers))
        )
        async with working(leader):
            await leader.publisher.require_permission()
            await leader.publisher.require_permission()
            leader.begin()
            leader.move()
            await eventually(lambda: any(received))
            assert received.count(None) == 1  # the trial, which has no head, so followers ignore it
            assert leader.publisher.forbidden is None
            server.reload(permitting(["_INBOX.>"]))
            await eventually(lambda: leader.publisher.forbidden == f"publish to condord.{ACCOUNT}.frames")
            assert leader.bus.is_connected

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_state_that_cannot_be_stored_is_logged_once_and_tried_again(nats_server, monkeypatch, caplog):
    monkeypatch.setattr("condord.cluster.bus_publisher.SNAPSHOT_SECONDS", 0.1)
    monkeypatch.setattr("condord.cluster.bus_publisher.MIN_SNAPSHOT_SECONDS", 0.0)

    async def scenario(leader, _frames, stored):
        other = KvBucket(leader.bus, SNAPSHOTS)
        await other.put(ACCOUNT, b"no fence")
        leader.begin()
        await eventually(lambda: "cannot be stored" in caplog.text)
        await asyncio.sleep(0.5)
        assert caplog.text.count("The snapshot cannot be stored on the bus") == 1
        await other.put(ACCOUNT, b"1\nold")

        async def is_new():
            return (await stored()).value == leader.snapshot()[1]

        await eventually(is_new)

    run_scenario(nats_server, scenario)
