import asyncio

import pytest

from condord.cluster.bus import BusError
from condord.cluster.fenced import FencedKey, FencedValue, StaleFence
from condord.cluster.kv import KvBucket

from .nats_server import running


def run_scenario(nats_server, scenario):
    async def main():
        bus = nats_server().bus()
        async with running(bus):
            await scenario(KvBucket(bus, "condord"))

    asyncio.run(main())


def test_only_the_newest_leader_writes(nats_server):
    async def scenario(bucket):
        old, new = FencedKey(bucket, "a.state.lots"), FencedKey(bucket, "a.state.lots")
        assert await new.read() is None
        await old.write(3, b"one")
        await old.write(3, b"two\nlines")
        assert await new.read() == FencedValue(3, b"two\nlines")
        await new.write(8, b"three")
        for _ in range(2):
            with pytest.raises(StaleFence) as caught:
                await old.write(3, b"late")
            assert (caught.value.fence, caught.value.higher_fence) == (3, 8)
        assert await old.read() == FencedValue(8, b"three")
        await new.write(8, b"")
        assert await old.read() == FencedValue(8, b"")

    run_scenario(nats_server, scenario)


def test_two_writers_with_the_same_fence_may_both_write(nats_server):
    async def scenario(bucket):
        one, two = FencedKey(bucket, "a"), FencedKey(bucket, "a")
        for number in range(3):
            await one.write(5, b"one %d" % number)
            await two.write(5, b"two %d" % number)
        assert await one.read() == FencedValue(5, b"two 2")

    run_scenario(nats_server, scenario)


@pytest.mark.parametrize("stored", [b"", b"12", b"x\ny", b"-1\ny", b"9" * 20 + b"\n"])
def test_values_written_by_other_programs_are_neither_read_nor_replaced(nats_server, stored):
    async def scenario(bucket):
        await bucket.put("a", stored)
        key = FencedKey(bucket, "a")
        with pytest.raises(BusError, match="not written by condord"):
            await key.read()
        for _ in range(2):
            with pytest.raises(BusError, match="not written by condord"):
                await key.write(9, b"x")
        assert (await bucket.get("a")).value == stored

    run_scenario(nats_server, scenario)


def test_a_write_to_a_key_that_keeps_changing_is_given_up(nats_server):
    async def scenario(bucket):
        class Busy:
            get = bucket.get

            async def update(self, key, value, revision):
                await bucket.put(key, b"5\nother")
                return await bucket.update(key, value, revision)

        await bucket.put("a", b"5\nother")
        with pytest.raises(BusError, match="all the time"):
            await FencedKey(Busy(), "a").write(5, b"x")

    run_scenario(nats_server, scenario)


def test_a_new_leader_reads_the_last_value_of_the_former_one_and_ends_its_writes(nats_server):
    async def scenario(bucket):
        old, new = FencedKey(bucket, "a"), FencedKey(bucket, "a")
        assert await new.claim(8) is None
        await old.write(3, b"one")
        assert await new.claim(8) == b"one"
        with pytest.raises(StaleFence):
            await old.write(3, b"late")
        with pytest.raises(StaleFence):
            await old.claim(3)
        await new.write(8, b"two")
        assert await FencedKey(bucket, "a").claim(8) == b"two"

    run_scenario(nats_server, scenario)
