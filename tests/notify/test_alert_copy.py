import asyncio
import contextlib

import msgspec
import pytest

from condord.notify.alert_copy import encoded, restore
from condord.notify.file import AlertFile, Stored
from condord.notify.store import AlertStore
from tests.notify.made import NOW_AT, channel_state, record
from tests.notify.test_file import edit, message

STORED = Stored(records=(record(),), messages=(message(),), channels=(channel_state(),))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "alerts.sqlite3"


@contextlib.contextmanager
def opened(path):
    file = AlertFile(path, machine_at=lambda: NOW_AT)
    try:
        yield file
    finally:
        file.close()


def test_a_copy_replaces_only_what_is_stored_for_its_account(path):
    with opened(path) as file:
        file.write(
            "hash", edit(record("old"), messages=[message("old")], channels=[channel_state("old")], is_whole=True)
        )
        file.write("other", edit(record("other"), is_whole=True))
    restore(path, encoded("hash", STORED), machine_at=lambda: NOW_AT)
    with opened(path) as file:
        assert file.read("hash") == STORED
        assert file.read("other").records == (record("other"),)


def test_what_is_not_a_copy_is_an_error(path):
    with pytest.raises(msgspec.DecodeError):
        restore(path, b"{}", machine_at=lambda: NOW_AT)
    assert not path.exists()


def test_a_file_that_cannot_be_written_is_logged(tmp_path, caplog):
    (tmp_path / "file").touch()
    restore(tmp_path / "file" / "alerts.sqlite3", encoded("hash", STORED), machine_at=lambda: NOW_AT)
    assert [each.fields["code"] for each in caplog.records] == ["alertsNotStored"]


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
    assert copies[:2] == [encoded(account, Stored()), encoded(account, STORED)]
    assert len(copies) == 3
    restore(tmp_path / "b.sqlite3", copies[-1], machine_at=lambda: NOW_AT)

    async def recall():
        store = AlertStore(tmp_path / "b.sqlite3", machine_at=lambda: NOW_AT)
        try:
            assert set(await store.switch_to("key")) == {record(), record("second")}
            assert store.messages == (message(),)
            assert store.channels == {"hook": channel_state()}
        finally:
            store.close()

    asyncio.run(recall())
