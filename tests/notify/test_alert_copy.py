import asyncio
import contextlib
import hashlib

import msgspec
import pytest

from condord.notify import store as store_module
from condord.notify.alert_copy import decoded, encoded, keep_none
from condord.notify.file import StoredAlerts
from condord.notify.store import AlertStore
from tests.notify.builders import NOW_AT, channel_state, record
from tests.notify.test_file import message
from tests.virtualtime import run

STORED = StoredAlerts(records=(record(),), messages=(message(),), channels=(channel_state(),))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "alerts.sqlite3"


def handed_over(path, stored=STORED, copy=keep_none):
    """A store that begins with `stored`, which another ingester has handed over for the account `key`."""
    content = encoded(hashlib.sha256(b"key").hexdigest()[:20], stored)
    return AlertStore(path, machine_at=lambda: NOW_AT, copy=copy, handed_over=decoded(content))


def test_a_copy_replaces_only_the_stored_alerts_of_its_account(path):
    async def main():
        with contextlib.closing(AlertStore(path, machine_at=lambda: NOW_AT)) as store:
            for key in ("key", "other"):
                await store.switch_to(key)
                await store.save([record("old")], [message("old")], channels=[channel_state("old")])
        with contextlib.closing(handed_over(path)) as store:
            assert await store.switch_to("other") == (record("old"),)
            assert await store.switch_to("key") == STORED.records
            assert store.take_recovered() == ()
        with contextlib.closing(AlertStore(path, machine_at=lambda: NOW_AT)) as store:
            assert await store.switch_to("key") == STORED.records
            assert store.messages == STORED.messages
            assert list(store.channels.values()) == list(STORED.channels)
            assert await store.switch_to("other") == (record("old"),)

    asyncio.run(main())


def test_a_content_that_is_not_a_copy_is_an_error():
    with pytest.raises(msgspec.DecodeError):
        decoded(b"{}")


@pytest.mark.parametrize("has_path", [True, False], ids=["full disk", "no directory"])
def test_handed_over_alerts_are_used_and_copied_again_even_if_they_cannot_be_stored(tmp_path, has_path):
    (tmp_path / "file").touch()
    copies = []

    async def copy(content):
        copies.append(decoded(content).stored)
        return True

    async def main():
        path = tmp_path / "file" / "alerts.sqlite3" if has_path else None
        with contextlib.closing(handed_over(path, copy=copy)) as store:
            assert await store.switch_to("key") == STORED.records
            assert store.messages == STORED.messages
            assert (store.fault is not None) == has_path
            await store.save([record("second")])

    asyncio.run(main())
    assert copies[0] == STORED
    assert set(copies[1].records) == {record(), record("second")}


def test_outdated_alerts_of_a_disk_that_works_again_are_replaced(path):
    """The leader has meanwhile delivered a message that an earlier run of this ingester had stored."""

    async def main():
        with contextlib.closing(AlertStore(path, machine_at=lambda: NOW_AT)) as store:
            await store.switch_to("key")
            await store.save([record("old")], [message("old")])
        aside = path.parent.rename(path.parent.with_name("aside"))
        path.parent.touch()
        with contextlib.closing(handed_over(path)) as store:
            assert await store.switch_to("key") == STORED.records
            path.parent.unlink()
            aside.rename(path.parent)
            await asyncio.sleep(store_module.RETRY_SECONDS)
            assert await store.save([record("second")])
            assert store.take_recovered() == ()
            assert store.fault is None
        with contextlib.closing(AlertStore(path, machine_at=lambda: NOW_AT)) as store:
            assert set(await store.switch_to("key")) == {record(), record("second")}
            assert store.messages == STORED.messages

    run(main())


def test_the_store_copies_everything_after_each_change_and_waits_for_it(path, tmp_path):
    copies = []

    async def copy(content):
        await asyncio.sleep(0)
        copies.append(content)
        return True

    async def use():
        store = AlertStore(path, machine_at=lambda: NOW_AT, copy=copy)
        try:
            await store.save([record("before")])  # of no account
            await store.switch_to("key")
            await store.save([record()], [message()], channels=[channel_state()])
            await store.save([record("second")])
            return store.account
        finally:
            store.close()

    account = asyncio.run(use())
    assert copies[:2] == [encoded(account, StoredAlerts()), encoded(account, STORED)]
    assert len(copies) == 3

    async def recall():
        store = AlertStore(tmp_path / "b.sqlite3", machine_at=lambda: NOW_AT, handed_over=decoded(copies[-1]))
        try:
            assert set(await store.switch_to("key")) == {record(), record("second")}
            assert store.messages == (message(),)
            assert store.channels == {"hook": channel_state()}
        finally:
            store.close()

    asyncio.run(recall())
