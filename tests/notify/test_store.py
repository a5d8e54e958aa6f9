import asyncio
import contextlib
import datetime as dt
import shutil
import sqlite3
import threading

import pytest

from condord.host import database, database_thread
from condord.live.remedies import WRITABLE
from condord.notify import store as store_module
from condord.notify.store import AlertStore
from tests.notify.builders import NOW_AT, channel_state, record
from tests.notify.test_file import message
from tests.virtualtime import run


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "alerts.sqlite3"


@pytest.fixture(autouse=True)
def no_lock_wait(monkeypatch):
    """Do not wait for locks."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)


@contextlib.contextmanager
def opened(path):
    store = AlertStore(path, machine_at=lambda: NOW_AT)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def locked(path, mode="NORMAL"):
    """Another program's lock: `NORMAL` for writers, `EXCLUSIVE` for everyone."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA locking_mode = {mode}")
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.rollback()


def rows(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT rule FROM alerts ORDER BY rule")]
        return names, connection.execute("SELECT count(*) FROM outbox").fetchone()[0]


def test_states_and_outbox_survive_a_restart(path):
    async def first():
        with opened(path) as store:
            assert await store.switch_to("key") == ()
            assert await store.save([record("kept"), record("gone")], [message("kept"), message("gone")])
            assert await store.save([record("gone", state="inactive")], (), [message("gone").key])
            assert not store.is_behind

    async def second():
        with opened(path) as store:
            assert await store.switch_to("key") == (record("kept"),)
            assert store.messages == (message("kept"),)

    run(first())
    run(second())


def test_the_states_of_channels_survive_a_restart_and_a_new_file(path):
    async def first():
        with opened(path) as store:
            await store.switch_to("key")
            assert await store.save((), channels=[channel_state("hook"), channel_state("gone")])
            assert await store.save((), removed_channels=["gone"])
            path.unlink()
            assert await store.save([record()])

    async def second():
        with opened(path) as store:
            await store.switch_to("key")
            assert store.channels == {"hook": channel_state("hook")}
            await store.switch_to("other")
            assert store.channels == {}

    run(first())
    run(second())


def test_accounts_do_not_mix_and_their_keys_are_not_stored(path):
    async def use():
        with opened(path) as store:
            await store.switch_to("PKSECRET")
            await store.save([record()], [message()])
            assert await store.switch_to("other") == ()
            assert store.messages == ()
            assert await store.switch_to("PKSECRET") == (record(),)
            assert "PKSECRET" not in store.account

    run(use())
    assert not [each for each in path.parent.iterdir() if b"PKSECRET" in each.read_bytes()]


@pytest.mark.parametrize("account", [None, "key"])
def test_without_a_directory_or_an_account_nothing_is_stored(path, account):
    async def use():
        with opened(path if account is None else None) as store:
            assert await store.switch_to(account) is None
            assert not await store.save([record()], [message()])
            assert (store.fault, store.is_behind) == (None, False)

    run(use())
    assert not path.exists()


def test_a_damaged_file_is_set_aside_and_is_a_fault_until_the_next_start(path):
    async def first():
        with opened(path) as store:
            assert await store.switch_to("key") is None
            assert store.fault.is_set_aside
            assert "broken-" in store.fault.text
            assert await store.save([record()])
            assert store.fault.is_set_aside
            assert not store.is_behind

    async def second():
        with opened(path) as store:
            assert await store.switch_to("key") == (record(),)
            assert store.fault is None

    path.parent.mkdir()
    path.write_bytes(b"damaged" * 1000)
    run(first())
    run(second())


def test_a_file_that_is_damaged_later_is_written_again_completely(path):
    async def use():
        with opened(path) as store:
            await store.switch_to("key")
            await store.save([record("one")], [message("one")])
            path.unlink()
            for neighbour in path.parent.iterdir():
                neighbour.unlink()
            path.write_bytes(b"damaged" * 1000)
            assert await store.save([record("two")])
            assert rows(path) == (["one", "two"], 1)

    run(use())


def test_changes_that_could_not_be_written_are_written_when_the_lock_is_gone(path):
    async def use():
        with opened(path) as store:
            await store.switch_to("key")
            await store.save([record("one")], [message("one")])
            with locked(path):
                assert not await store.save([record("two")], [message("two")], [message("one").key])
                reason = "another program keeps the database locked; end its transaction"
                assert store.fault.text == f"Alerts are not stored in {path}: {reason}"
                assert store.is_behind
            assert not await store.save([])  # the file is left alone for a while
            await asyncio.sleep(store_module.RETRY_SECONDS)
            assert await store.save([])
            assert (store.fault, store.is_behind) == (None, False)
            assert rows(path) == (["one", "two"], 1)
            assert store.messages == (message("two"),)

    run(use())


def test_a_file_that_could_not_be_read_keeps_its_outbox_and_loses_its_states(path):
    async def use():
        with opened(path) as store:
            await store.switch_to("key")
            await store.save([record("old")], [message("old")])
        with opened(path) as store:
            with locked(path, "EXCLUSIVE"):
                assert await store.switch_to("key") == ()  # nothing is set aside
                assert not await store.save([record("new")])
            await asyncio.sleep(store_module.RETRY_SECONDS)
            assert await store.save([])
            assert store.take_recovered() == (message("old"),)
            assert store.take_recovered() == ()
            assert store.messages == (message("old"),)
        assert rows(path) == (["new"], 1)

    run(use())


def test_a_full_disk_is_a_fault_and_alerts_go_on_in_memory(path):
    async def use():
        with opened(path) as store:
            await store.switch_to("key")
            connection = store._thread.file._connection
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")
            many = [record(f"rule-{number:04}") for number in range(200)]
            assert not await store.save(many, [message()])
            assert store.fault.text == f"Alerts are not stored in {path}: No space left on device; {WRITABLE}"
            assert store.messages == (message(),)
            await asyncio.sleep(store_module.RETRY_SECONDS)
            assert await store.save([])  # on a connection without that limit
            assert store.fault is None
            assert len(rows(path)[0]) == 200

    run(use())


def test_a_directory_that_cannot_be_created_is_a_fault(tmp_path):
    async def use():
        (tmp_path / "file").write_text("")
        with opened(tmp_path / "file" / "alerts.sqlite3") as store:
            assert await store.switch_to("key") == ()
            assert not await store.save([record()])
            assert store.fault is not None

    run(use())


def test_the_states_of_a_file_that_cannot_be_opened_are_lost(path):
    async def use():
        with opened(path) as store:
            assert await store.switch_to("key") is None
            assert "is not a file of condord" in store.fault.text
            assert await store.switch_to("key") is None

    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (id)")
    run(use())


def test_an_inactive_state_is_kept_only_while_it_is_silent(path):
    async def use():
        silent = record(state="inactive", is_silent=True)
        with opened(path) as store:
            await store.switch_to("key")
            await store.save([silent])
        with opened(path) as store:
            assert await store.switch_to("key") == (silent,)
            await store.save([record(state="inactive")])
        with opened(path) as store:
            assert await store.switch_to("key") == ()

    run(use())


def test_a_disk_that_hangs_is_not_used_again_until_it_responds(path, monkeypatch):
    monkeypatch.setattr(store_module, "RETRY_SECONDS", 0.0)

    async def use():
        with opened(path) as store:
            await store.switch_to("key")
            released = threading.Event()
            write = store._thread.file.write

            def slow(*arguments):
                released.wait(60)
                return write(*arguments)

            store._thread.file.write = slow
            with monkeypatch.context() as no_lock_wait:
                no_lock_wait.setattr(database_thread, "DISK_TIMEOUT_SECONDS", 0.05)
                assert not await store.save([record("one")])
            assert store.fault.text == f"Alerts are not stored in {path}: the disk does not respond; {WRITABLE}"
            assert not await store.save([record("two")])
            released.set()
            while not await store.save([]):  # noqa: ASYNC110 - a thread ends it
                await asyncio.sleep(0.01)
            assert store.fault is None
        assert rows(path) == (["one", "two"], 0)

    asyncio.run(use())


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_file_that_is_deleted_is_written_again_by_a_check_or_when_it_is_closed(path, is_closed):
    async def use():
        with opened(path) as store:
            await store.switch_to("key")
            await store.save([record()], [message()])
            path.unlink()
            if not is_closed:
                await store.check()
                assert rows(path) == (["half"], 1)
        assert rows(path) == (["half"], 1)

    run(use())


def test_a_check_of_an_existing_file_writes_nothing(path):
    async def use():
        with opened(path) as store:
            await store.check()  # no account yet
            await store.switch_to("key")
            await store.save([record()])
            before = path.stat().st_mtime_ns, path.with_name(path.name + "-wal").stat().st_mtime_ns
            await store.check()
            assert before == (path.stat().st_mtime_ns, path.with_name(path.name + "-wal").stat().st_mtime_ns)
        with opened(None) as store:
            await store.check()

    run(use())


def test_a_directory_that_is_gone_at_the_end_is_logged(path, caplog):
    async def use():
        with opened(path) as store:
            await store.switch_to("key")
            await store.save([record()])
            shutil.rmtree(path.parent)
            path.parent.write_text("")

    run(use())
    (logged,) = caplog.records
    assert logged.levelname == "WARNING"


def test_a_change_during_a_write_is_written_by_the_next(path):
    async def use():
        with opened(path) as store:
            await store.switch_to("key")
            both = await asyncio.gather(store.save([record(value=1.0)]), store.save([record(value=2.0)]))
            assert both == [True, True]
            assert not store.is_behind
        with opened(path) as store:
            assert await store.switch_to("key") == (record(value=2.0),)

    run(use())


def test_after_close_nothing_is_written(path):
    async def use():
        with opened(path) as store:
            await store.switch_to("key")
            store.close()
            assert not await store.save([record()])
            assert store.fault is None or isinstance(store.fault.since, dt.datetime)

    run(use())
