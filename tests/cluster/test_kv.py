import asyncio

import pytest

from condord.cluster.bus import BusError
from condord.cluster.kv import BusRefusal, Conflict, KeyState, KvBucket

from .nats_server import eventually, running


def run_scenario(nats_server, scenario, *lines):
    async def main():
        server = nats_server(*lines)
        bus = server.bus()
        async with running(bus):
            await scenario(server, bus)

    asyncio.run(main())


def test_a_value_has_a_revision_that_a_change_expects(nats_server):
    async def scenario(_server, bus):
        bucket = KvBucket(bus, "condord")
        assert await bucket.get("a.lease") is None  # not even the bucket exists
        first = await bucket.put("a.lease", b"one")
        assert await bucket.get("a.lease") == KeyState(b"one", first)
        second = await bucket.update("a.lease", b"two", first)
        assert second > first
        for revision in (first, second + 7):
            with pytest.raises(Conflict):
                await bucket.update("a.lease", b"three", revision)
        with pytest.raises(Conflict):
            await bucket.create("a.lease", b"three")
        assert await bucket.get("a.lease") == KeyState(b"two", second)
        with pytest.raises(Conflict):
            await bucket.delete("a.lease", first)
        await bucket.delete("a.lease", second)
        assert await bucket.get("a.lease") is None
        assert await bucket.create("a.lease", b"three") > second
        await bucket.put("b.lease", b"")
        assert await bucket.get("b.lease") == KeyState(b"", 5)
        assert await bucket.keys() == ["a.lease", "b.lease"]

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_a_value_of_megabytes_comes_back(nats_server):
    async def scenario(_server, bus):
        bucket = KvBucket(bus, "condord")
        value = bytes(range(256)) * 4096 * 7
        revision = await bucket.put("snapshot", value)
        assert await bucket.get("snapshot") == KeyState(value, revision)

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_values_expire_after_the_time_that_their_bucket_sets(nats_server):
    async def scenario(_server, bus):
        short, other = KvBucket(bus, "leases", ttl_seconds=1.0), KvBucket(bus, "leases", ttl_seconds=30.0)
        assert (await other.ensure()).ttl_seconds == 30.0
        assert (await short.ensure()).ttl_seconds == 1.0  # nothing is in it yet
        await short.put("a", b"x")
        assert (await other.ensure()).ttl_seconds == 1.0
        assert await other.get("a") is not None

        async def is_gone():
            return await other.get("a") is None

        await eventually(is_gone)
        assert await other.keys() == []
        assert (await other.ensure()).ttl_seconds == 30.0

    run_scenario(nats_server, scenario)


def test_a_bucket_that_the_server_has_lost_is_created_again(nats_server):
    async def scenario(_server, bus):
        bucket = KvBucket(bus, "condord")
        await bucket.put("a", b"x")
        await bus.js(5.0).delete_key_value("condord")
        assert await bucket.get("a") is None
        assert await bucket.keys() == []
        assert await bucket.put("a", b"y") == 1

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_without_a_server_there_is_no_answer(nats_server):
    async def scenario(server, bus):
        bucket = KvBucket(bus, "condord", seconds=0.5)
        revision = await bucket.put("a", b"x")
        server.pause()
        with pytest.raises(BusError):
            await bucket.update("a", b"y", revision)
        server.resume()
        server.kill()
        await eventually(lambda: not bus.is_connected)
        with pytest.raises(BusError, match="not connected"):
            await bucket.get("a")
        server.start()
        await eventually(lambda: bus.is_connected)

        async def is_there():
            return (await bucket.get("a")).value in (b"x", b"y")

        await eventually(is_there)

    run_scenario(nats_server, scenario)


def test_a_server_without_jetstream_is_reported_as_such(nats_server):
    async def scenario(_server, bus):
        bucket = KvBucket(bus, "condord")
        with pytest.raises(BusError, match="JetStream"):
            await bucket.ensure()
        with pytest.raises(BusError, match="JetStream"):
            await bucket.put("a", b"x")

    run_scenario(nats_server, scenario, "nojetstream")


def test_a_refusal_by_jetstream_has_its_reason(nats_server):
    async def scenario(_server, bus):
        await bus.js(5.0).add_stream(name="other", subjects=["$KV.condord.>"])
        with pytest.raises(BusRefusal, match="JetStream refuses: subjects overlap"):
            await KvBucket(bus, "condord").ensure()

    run_scenario(nats_server, scenario)
