import asyncio

import pytest

from condord.cluster.fenced import FencedKey, StaleFence
from condord.cluster.kv import Conflict, KeyState
from condord.cluster.maker_channel import StateCopy
from condord.cluster.state_copies import StateCopies, copied_name

KINDS = ("alerts", "life")


class FakeBucket:
    """Keys with revisions. `before` is called before each change, once."""

    def __init__(self):
        self.keys = {}
        self.revision = 0
        self.before = None

    async def get(self, key):
        return self.keys.get(key)

    async def create(self, key, value):
        return await self._set(key, value, None)

    async def update(self, key, value, revision):
        return await self._set(key, value, revision)

    async def _set(self, key, value, revision):
        before, self.before = self.before, None
        if before is not None:
            await before()
        found = self.keys.get(key)
        if (None if found is None else found.revision) != revision:
            raise Conflict
        self.revision += 1
        self.keys[key] = KeyState(value, self.revision)
        return self.revision


@pytest.fixture
def bucket():
    return FakeBucket()


def copy(text, kind="alerts"):
    return StateCopy(kind=kind, name=f"{kind}.json", content=text.encode())


def leader(bucket, fence):
    return StateCopies(bucket, "account", fence)


def test_a_later_leader_reads_the_last_value_written(bucket):
    async def main():
        first = leader(bucket, 1)
        assert await first.take_over(KINDS) == []
        for text in ("a", "b"):
            await first.write(copy(text))
        await first.write(copy("c", "life"))
        assert set(bucket.keys) == {"account.state.alerts", "account.state.life"}
        assert await leader(bucket, 2).take_over(KINDS) == [copy("b"), copy("c", "life")]

    asyncio.run(main())


def test_an_earlier_leader_cannot_write_once_a_later_one_has_taken_over(bucket):
    async def main():
        first, second = leader(bucket, 1), leader(bucket, 2)
        await first.write(copy("a"))
        await second.take_over(KINDS)
        with pytest.raises(StaleFence):
            await first.write(copy("late"))
        with pytest.raises(StaleFence):
            await leader(bucket, 1).take_over(KINDS)
        await second.write(copy("b"))
        assert await leader(bucket, 3).take_over(KINDS) == [copy("b")]

    asyncio.run(main())


def test_a_value_that_an_earlier_leader_writes_during_the_takeover_is_kept(bucket):
    async def main():
        first, second = leader(bucket, 1), leader(bucket, 2)
        await first.write(copy("a"))
        bucket.before = lambda: first.write(copy("last"))
        assert await second.take_over(KINDS) == [copy("last")]

    asyncio.run(main())


def test_a_key_that_an_earlier_leader_has_made_meanwhile_is_replaced(bucket):
    async def main():
        first, second = leader(bucket, 1), leader(bucket, 2)
        assert await second.take_over(KINDS) == []
        await first.write(copy("late"))
        await second.write(copy("b"))
        with pytest.raises(StaleFence):
            await first.write(copy("late"))
        assert await leader(bucket, 2).take_over(KINDS) == [copy("b")]

    asyncio.run(main())


def test_a_write_whose_answer_was_lost_does_not_prevent_the_next(bucket):
    async def main():
        only = leader(bucket, 1)
        await only.write(copy("a"))
        bucket.before = lambda: StateCopies.write(leader(bucket, 1), copy("a again"))
        await only.write(copy("b"))
        assert await leader(bucket, 2).take_over(KINDS) == [copy("b")]

    asyncio.run(main())


@pytest.mark.parametrize("value", [b"alerts.json\nnot compressed", b"\xff\n"])
def test_a_copy_that_cannot_be_decoded_is_left_out_and_replaced(bucket, value):
    async def main():
        await FencedKey(bucket, "account.state.alerts").write(1, value)
        second = leader(bucket, 2)
        assert await second.take_over(KINDS) == []
        await second.write(copy("b"))
        assert await leader(bucket, 3).take_over(KINDS) == [copy("b")]

    asyncio.run(main())


def test_a_key_that_was_removed_is_created_again(bucket):
    async def main():
        only = leader(bucket, 1)
        await only.write(copy("a"))
        bucket.keys.clear()
        await only.write(copy("b"))
        assert await leader(bucket, 2).take_over(KINDS) == [copy("b")]

    asyncio.run(main())


def test_an_ingester_that_does_not_lead_reads_the_names_of_the_stored_copies(bucket):
    async def main():
        assert await copied_name(bucket, "account", "life") is None
        await leader(bucket, 3).write(copy("a", "life"))
        assert await copied_name(bucket, "account", "life") == "life.json"
        bucket.keys["account.state.life"] = KeyState(b"3\n\xff\xfe", 9)
        assert await copied_name(bucket, "account", "life") == "\ufffd\ufffd"
        await leader(bucket, 4).take_over(KINDS)

    asyncio.run(main())
