import asyncio
import contextlib
import logging

import pytest

from condord.cluster.bus import BusError
from condord.cluster.kv import BusRefusal, KvBucket
from condord.cluster.lease import LEASES, Lease, accounts, holder_of

from .leases import ReadyLease
from .nats_server import eventually, running


def lease(bus, nonce, seconds=60.0, account="acct"):
    return ReadyLease(bus, account, seconds=seconds, nonce=nonce)


def run_scenario(nats_server, scenario):
    async def main():
        server = nats_server()
        bus = server.bus()
        async with running(bus):
            await scenario(server, bus)

    asyncio.run(main())


def test_without_jetstream_the_error_has_the_remedy(nats_server):
    async def main():
        bus = nats_server("nojetstream").bus()
        async with running(bus):
            for ask in (lambda: lease(bus, "n").acquire("a:1"), lambda: accounts(bus)):
                with pytest.raises(BusRefusal, match="JetStream does not answer: the server or this user") as raised:
                    await ask()
                assert "jetstream {" in raised.value.remedy

    asyncio.run(main())


def test_a_lease_has_one_holder_and_its_fence_rises_with_each(nats_server):
    async def scenario(_server, bus):
        one, two = lease(bus, "n1"), lease(bus, "n2")
        assert await holder_of(bus, "acct") is None
        first = await one.acquire("a:1")
        assert await two.acquire("b:2") is None
        assert await holder_of(bus, "acct") == ("a:1", first)
        for _ in range(3):
            assert await one.renew(first)
            assert await holder_of(bus, "acct") == ("a:1", first)  # a renewal does not change the fence
        assert not await two.release(first)
        assert await one.release(first)
        assert await holder_of(bus, "acct") is None
        assert not await one.renew(first)
        second = await two.acquire("b:2")
        assert second > first
        assert not await one.renew(first)
        assert await one.acquire("a:1") is None
        assert await holder_of(bus, "acct") == ("b:2", second)

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_a_lease_ends_without_renewals(nats_server):
    async def scenario(_server, bus):
        one, two = lease(bus, "n1", 2.0), lease(bus, "n2", 2.0)
        first = await one.acquire("a:1")
        for _ in range(6):
            await asyncio.sleep(0.4)
            assert await one.renew(first)
        second = await eventually(lambda: two.acquire("b:2"))
        assert second > first
        assert not await one.renew(first)

    run_scenario(nats_server, scenario)


def test_each_account_has_its_own_lease(nats_server):
    async def scenario(_server, bus):
        assert await accounts(bus) == []
        one, two = lease(bus, "n1", account="one"), lease(bus, "n1", account="two")
        fence = await one.acquire("a:1")
        await two.acquire("a:1")
        assert await accounts(bus) == ["one", "two"]
        await one.release(fence)
        assert await accounts(bus) == ["two"]

    run_scenario(nats_server, scenario)


class FaultyBucket:
    """A bucket of a lease that loses the answers named in `lost`, and does nothing for those in `undone`."""

    def __init__(self, lease):
        self._bucket = lease._bucket
        lease._bucket = self
        self.lost = []
        self.undone = []

    def __getattr__(self, name):
        call = getattr(self._bucket, name)

        async def called(*arguments):
            if name in self.undone:
                raise BusError("nothing was done")
            answer = await call(*arguments)
            if name in self.lost:
                self.lost.remove(name)
                raise BusError("the answer was lost")
            return answer

        return called


def test_after_a_lost_answer_the_key_is_read_again(nats_server):
    async def scenario(_server, bus):
        one, two = lease(bus, "n1"), lease(bus, "n2")
        faulty = FaultyBucket(one)
        faulty.lost = ["create"]
        fence = await one.acquire("a:1")
        assert await holder_of(bus, "acct") == ("a:1", fence)
        faulty.lost = ["update"]
        assert await one.renew(fence)
        assert await one.renew(fence)

        faulty.lost = ["update", "get"]  # whether it was stored is not known, and the next renewal finds out
        with pytest.raises(BusError):
            await one.renew(fence)
        assert await one.renew(fence)

        faulty.undone = ["update"]
        with pytest.raises(BusError, match="not renewed"):
            await one.renew(fence)
        faulty.undone = []
        assert await one.renew(fence)
        assert await holder_of(bus, "acct") == ("a:1", fence)

        await one.release(fence)
        faulty.undone = ["create"]
        with pytest.raises(BusError, match="was not taken"):
            await one.acquire("a:1")
        await two.acquire("b:2")
        faulty.undone = []
        faulty.lost = ["create"]
        assert await one.acquire("a:1") is None

    run_scenario(nats_server, scenario)


def test_a_lease_that_ended_meanwhile_is_not_renewed_after_a_lost_answer(nats_server):
    async def scenario(_server, bus):
        one, two = lease(bus, "n1"), lease(bus, "n2")
        faulty = FaultyBucket(one)
        fence = await one.acquire("a:1")
        bucket = KvBucket(bus, LEASES)
        await bucket.delete("acct", (await bucket.get("acct")).revision)
        faulty.undone = ["update"]
        assert not await one.renew(fence)
        await two.acquire("b:2")
        assert not await one.renew(fence)

    run_scenario(nats_server, scenario)


def test_the_duration_set_by_the_holder_applies_until_the_lease_is_free(nats_server, caplog):
    async def scenario(_server, bus):
        one, two = lease(bus, "n1", 60.0), lease(bus, "n2", 30.0)
        fence = await one.acquire("a:1")
        for _ in range(2):
            assert await two.acquire("b:2") is None
        assert (one.seconds, two.seconds) == (60.0, 60.0)
        await one.release(fence)
        await bus.js(5.0).purge_stream(f"KV_{LEASES}")  # as once the lease has ended
        assert await two.acquire("b:2") is not None
        assert two.seconds == 30.0

    with caplog.at_level(logging.WARNING, logger="condord"):
        run_scenario(nats_server, scenario)
    fields = {"lease_seconds": 30.0}
    assert [(record.message, record.fields) for record in caplog.records] == [
        ("The cluster.lease_seconds of other ingesters applies", fields | {"in_force": 60.0}),
        ("No ingester has a lease, so this ingester's cluster.lease_seconds applies", fields | {"in_force": 30.0}),
    ]


class Clock:
    """A clock that stands."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


async def forget(bus):
    """Have the bus lose its leases."""
    await bus.js(5.0).delete_stream(f"KV_{LEASES}")


def test_after_the_store_is_lost_a_new_lease_waits_for_the_former_one_to_end_and_its_fence_is_higher(
    nats_server, caplog
):
    async def scenario(_server, bus):
        clock = Clock()
        old, new, late = (Lease(bus, "acct", seconds=60.0, nonce=nonce, now=clock) for nonce in "abc")
        other = Lease(bus, "other", seconds=60.0, nonce="a", now=clock)
        fences = []
        for _ in range(3):
            assert [await each.acquire("x") for each in (old, new)] == [None, None]
            clock.now += 59.0
            assert [await each.acquire("x") for each in (old, new, late)] == [None, None, None]
            clock.now += 1.0
            assert await late.acquire("x") is None
            fences.append(await old.acquire("x"))
            for _ in range(20):
                assert await old.renew(fences[-1])
            assert (await holder_of(bus, "acct")).fence == fences[-1]
            assert await new.acquire("x") is None
            assert await other.acquire("x") is not None  # as someone has waited
            await forget(bus)
            with contextlib.suppress(BusError):
                assert not await old.renew(fences[-1])
            assert await holder_of(bus, "acct") is None
        assert fences == sorted(set(fences))
        assert fences[-1] < 2**53  # so that every client can read it

    with caplog.at_level(logging.INFO, logger="condord"):
        run_scenario(nats_server, scenario)
    logged = [record.message for record in caplog.records if "bus" in record.message]
    assert logged.count("The bus has lost its state") == 2 * 4 + 2 - 2


@pytest.mark.parametrize("is_made_again", [False, True])
def test_no_lease_is_taken_if_the_bucket_is_lost_meanwhile(nats_server, is_made_again):
    async def scenario(_server, bus):
        one = Lease(bus, "acct", seconds=60.0, nonce="n1", now=Clock())
        await lease(bus, "n2", account="other").acquire("b:2")
        bucket = one._bucket

        class Lost:
            get, ensure = bucket.get, bucket.ensure

            async def create(self, key, value):
                await forget(bus)
                if is_made_again:
                    await lease(bus, "n2", account="other").acquire("b:2")
                return await bucket.create(key, value)

        one._bucket = Lost()
        with pytest.raises(BusError, match="meanwhile" if is_made_again else "was not taken"):
            await one.acquire("a:1")
        one._bucket = bucket
        for _ in range(2):
            assert await one.acquire("a:1") is None  # what was written keeps everyone out until it ends

    run_scenario(nats_server, scenario)


def test_a_value_written_by_another_program_is_not_a_lease(nats_server):
    async def scenario(_server, bus):
        await KvBucket(bus, LEASES).put("acct", b"mine!")
        with pytest.raises(BusError, match="not written by condord"):
            await holder_of(bus, "acct")
        with pytest.raises(BusError, match="has no TTL"):
            await lease(bus, "n1").acquire("a:1")

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_a_server_that_was_killed_and_is_back_still_has_the_lease(nats_server):
    async def scenario(server, bus):
        one, two = lease(bus, "n1"), lease(bus, "n2")
        fence = await one.acquire("a:1")
        server.kill()
        await eventually(lambda: not bus.is_connected)
        with pytest.raises(BusError):
            await one.renew(fence)
        server.start()
        assert await eventually(lambda: one.renew(fence))
        assert await two.acquire("b:2") is None

    run_scenario(nats_server, scenario)
