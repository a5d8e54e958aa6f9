import asyncio
import logging

import pytest

from condord.cluster.bus import Unanswered
from condord.cluster.kv import Declined, KvBucket
from condord.cluster.lease import LEASES, Lease, accounts

from .nats_server import eventually, running


def lease(bus, nonce, seconds=60.0, account="acct"):
    return Lease(bus, account, seconds=seconds, nonce=nonce)


def play(nats_server, scene):
    async def whole():
        server = nats_server()
        bus = server.bus()
        async with running(bus):
            await scene(server, bus)

    asyncio.run(whole())


def test_without_jetstream_the_error_has_the_remedy(nats_server):
    async def whole():
        bus = nats_server("nojetstream").bus()
        async with running(bus):
            for ask in (lambda: lease(bus, "n").acquire("a:1"), lambda: accounts(bus)):
                with pytest.raises(Declined, match="JetStream does not answer: the server or this user") as raised:
                    await ask()
                assert "jetstream {" in raised.value.remedy

    asyncio.run(whole())


def test_one_holds_it_and_the_fence_rises_with_each_holder(nats_server):
    async def scene(_server, bus):
        one, two = lease(bus, "n1"), lease(bus, "n2")
        assert await one.look() is None
        first = await one.acquire("a:1")
        assert await two.acquire("b:2") is None
        assert await two.look() == await one.look() == ("a:1", first)
        for _ in range(3):
            assert await one.renew(first)
            assert await two.look() == ("a:1", first)  # a renewal does not change the fence
        assert not await two.release(first)
        assert await one.release(first)
        assert await two.look() is None
        assert not await one.renew(first)
        second = await two.acquire("b:2")
        assert second > first
        assert not await one.renew(first)
        assert await one.acquire("a:1") is None
        assert await one.look() == ("b:2", second)

    play(nats_server, scene)


@pytest.mark.slow
def test_it_ends_without_renewals(nats_server):
    async def scene(_server, bus):
        one, two = lease(bus, "n1", 2.0), lease(bus, "n2", 2.0)
        first = await one.acquire("a:1")
        for _ in range(6):
            await asyncio.sleep(0.4)
            assert await one.renew(first)
        second = await eventually(lambda: two.acquire("b:2"))
        assert second > first
        assert not await one.renew(first)

    play(nats_server, scene)


def test_accounts_have_a_lease_each(nats_server):
    async def scene(_server, bus):
        assert await accounts(bus) == []
        one, two = lease(bus, "n1", account="one"), lease(bus, "n1", account="two")
        fence = await one.acquire("a:1")
        await two.acquire("a:1")
        assert await accounts(bus) == ["one", "two"]
        await one.release(fence)
        assert await accounts(bus) == ["two"]

    play(nats_server, scene)


class Deaf:
    """Stands between a lease and its bucket: what is asked is done, and the answer is lost."""

    def __init__(self, lease):
        self._bucket = lease._bucket
        lease._bucket = self
        self.lost = []
        self.undone = []

    def __getattr__(self, name):
        call = getattr(self._bucket, name)

        async def called(*arguments):
            if name in self.undone:
                raise Unanswered("nothing was done")
            answer = await call(*arguments)
            if name in self.lost:
                self.lost.remove(name)
                raise Unanswered("the answer was lost")
            return answer

        return called


def test_after_a_lost_answer_the_key_is_read_again(nats_server):
    async def scene(_server, bus):
        one, two = lease(bus, "n1"), lease(bus, "n2")
        deaf = Deaf(one)
        deaf.lost = ["create"]
        fence = await one.acquire("a:1")
        assert await two.look() == ("a:1", fence)
        deaf.lost = ["update"]
        assert await one.renew(fence)
        assert await one.renew(fence)

        deaf.lost = ["update", "get"]  # whether it was stored is not known, and the next renewal finds out
        with pytest.raises(Unanswered):
            await one.renew(fence)
        assert await one.renew(fence)

        deaf.undone = ["update"]
        with pytest.raises(Unanswered, match="not renewed"):
            await one.renew(fence)
        deaf.undone = []
        assert await one.renew(fence)
        assert await two.look() == ("a:1", fence)

        await one.release(fence)
        deaf.undone = ["create"]
        with pytest.raises(Unanswered, match="was not taken"):
            await one.acquire("a:1")
        await two.acquire("b:2")
        deaf.undone = []
        deaf.lost = ["create"]
        assert await one.acquire("a:1") is None

    play(nats_server, scene)


def test_a_lease_that_ended_meanwhile_is_not_renewed_after_a_lost_answer(nats_server):
    async def scene(_server, bus):
        one, two = lease(bus, "n1"), lease(bus, "n2")
        deaf = Deaf(one)
        fence = await one.acquire("a:1")
        await KvBucket(bus, LEASES).delete("acct", fence)
        deaf.undone = ["update"]
        assert not await one.renew(fence)
        await two.acquire("b:2")
        assert not await one.renew(fence)

    play(nats_server, scene)


def test_of_two_durations_that_of_the_holder_applies(nats_server, caplog):
    async def scene(_server, bus):
        one, two = lease(bus, "n1", 60.0), lease(bus, "n2", 30.0)
        await one.acquire("a:1")
        assert await two.acquire("b:2") is None
        assert (one.seconds, two.seconds) == (60.0, 60.0)

    with caplog.at_level(logging.WARNING, logger="condord"):
        play(nats_server, scene)
    [record] = caplog.records
    assert record.message == "Other ingesters have another cluster.lease_seconds, which applies"


def test_what_others_have_written_is_not_a_lease(nats_server):
    async def scene(_server, bus):
        await KvBucket(bus, LEASES).put("acct", b"mine!")
        with pytest.raises(Unanswered, match="not written by condord"):
            await lease(bus, "n1").look()
        with pytest.raises(Unanswered, match="has no TTL"):
            await lease(bus, "n1").acquire("a:1")

    play(nats_server, scene)


@pytest.mark.slow
def test_a_server_that_was_killed_and_is_back_still_has_the_lease(nats_server):
    async def scene(server, bus):
        one, two = lease(bus, "n1"), lease(bus, "n2")
        fence = await one.acquire("a:1")
        server.kill()
        await eventually(lambda: not bus.is_connected)
        with pytest.raises(Unanswered):
            await one.renew(fence)
        server.start()
        assert await eventually(lambda: one.renew(fence))
        assert await two.acquire("b:2") is None

    play(nats_server, scene)
