import asyncio
import contextlib
import datetime as dt
import hashlib
import itertools
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from condord.errors import Unavailable
from condord.history import store as store_module
from condord.history.file import StoredAccount
from condord.history.store import HistoryStore
from condord.host import database, database_thread
from condord.live.minutes import Extremes, HoldingPeriod, RecordedPast
from condord.live.remedies import FILE_SIZE_REMEDY, NOT_A_DIRECTORY_REMEDY, WRITABLE
from condord.live.wire_history import HistoryQuery
from tests import needs
from tests.history.rows import CONDOR, NOW_AT, OPEN_AT, OPENED_AT, SECOND, begin, opened, row
from tests.history.test_evidence import ACTIVITY, TRADE

HOLDING = HoldingPeriod(condor_id=CONDOR, opened_at=OPENED_AT)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "history.sqlite3"


@pytest.fixture
def no_lock_wait(monkeypatch):
    """Do not wait for locks."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)


def fill(path):
    """Write a file until its disk is full."""
    with contextlib.suppress(OSError), path.open("wb") as file:
        for _ in range(2000):
            file.write(b"x" * 1024)
            file.flush()


def rows_in(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM minutes").fetchone()[0]


def other_file(path, table):
    """A file of a later version or of another program, which everybody can read."""
    other = path.with_name("other.sqlite3")
    with contextlib.closing(sqlite3.connect(other)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"CREATE TABLE {table} (a)")
        connection.execute("PRAGMA user_version = 99")
    other.chmod(0o644)
    return other


async def seconds(store, condor=CONDOR, **parameters):
    answer = await store.query(HistoryQuery(condor_id=condor, **parameters), NOW_AT)
    return None if answer is None else [second - SECOND for second in answer.seconds]


class TestRecording:
    def test_recorded_minutes_survive_a_restart(self, path):
        async def first():
            with opened(path) as store:
                assert await begin(store) == RecordedPast()
                await store.record([row(1, 1000), row(1, 1000, condor=None)])
                await store.record([row(2, 1200), row(2, None, condor=None)])
                assert store.fault is None

        async def second():
            with opened(path) as store:
                past = await begin(store)
                assert past.extremes == {HOLDING: Extremes(worst=950, best=1250)}
                assert (past.lines[CONDOR].seconds, past.lines[CONDOR].cents) == (
                    [SECOND + 60, SECOND + 120],
                    [1000, 1200],
                )
                assert (past.quantities, past.credits_e4) == ({CONDOR: 1}, {CONDOR: 21_500})
                answer = await store.query(HistoryQuery(condor_id=CONDOR), NOW_AT)
                assert (answer.id, answer.opened_at, answer.resolution_seconds) == (CONDOR, OPENED_AT, 60)
                assert (answer.cents, answer.natural_cents, answer.price) == (
                    [1000, 1200],
                    [700, 900],
                    [582.105, 582.105],
                )
                account = await store.query(HistoryQuery(condor_id=None), NOW_AT)
                assert (account.id, account.opened_at, account.cents) == (None, None, [1000, None])
                assert (account.price, account.quantity) == ([None, None], [None, None])
                assert await store.extremes([HOLDING]) == {HOLDING: Extremes(worst=950, best=1250)}

        asyncio.run(first())
        asyncio.run(second())

    def test_accounts_do_not_mix_and_their_keys_are_not_stored(self, path):
        async def use():
            with opened(path) as store:
                await begin(store, "PKSECRET")
                await store.record([row(1, 1000)])
                await store.add_activities([ACTIVITY], OPEN_AT)
                await store.save_trades([TRADE])
                assert await begin(store, "other") == RecordedPast()
                assert (await seconds(store), await store.extremes([HOLDING])) == (None, {})
                assert (await store.load_activities(), await store.load_trades()) == (((), None), ())
                assert await begin(store, "PKSECRET") != RecordedPast()
                assert (await store.load_activities(), await store.load_trades()) == (((ACTIVITY,), OPEN_AT), (TRADE,))

        asyncio.run(use())
        assert not [each for each in path.parent.iterdir() if b"PKSECRET" in each.read_bytes()]

    def test_rows_can_be_recorded_with_only_the_hash_of_the_account(self, path):
        account = StoredAccount(hashlib.sha256(b"account").hexdigest()[:20], "simulator")

        async def use():
            with opened(path) as store:
                store.use(account)
                await store.record([row(1, 1000)])
            with opened(path) as store:
                assert (await begin(store, "account")).lines[CONDOR].cents == [1000]
                assert await begin(store, "other") == RecordedPast()

        asyncio.run(use())

    def test_without_an_account_or_a_directory_nothing_is_stored(self, path):
        async def use(store, account):
            await store.switch_to(account, "simulator", OPEN_AT.date())
            await store.record([row(1, 1000)])
            await store.add_activities([ACTIVITY], OPEN_AT)
            await store.save_trades([TRADE])
            assert (await store.load_activities(), await store.load_trades()) == (((), None), ())
            with pytest.raises(Unavailable):
                await seconds(store)
            assert store.fault is None

        with opened(path) as store:
            asyncio.run(use(store, None))
        with opened(None) as store:
            asyncio.run(use(store, "account"))
        assert not path.exists()

    def test_an_account_without_rows_is_empty_and_an_unknown_condor_gives_none(self, path):
        async def use():
            with opened(path) as store:
                await begin(store)
                assert await seconds(store, None) == []
                assert await seconds(store, "SPY-1") is None

        asyncio.run(use())

    def test_a_range_of_many_days_in_one_point_keeps_a_crash_of_one_minute(self, path):
        async def use():
            with opened(path) as store:
                await begin(store)
                for day in range(5):
                    await store.record([row(day * 1440 + 10, 1000, low=-70_000 if day == 2 else 900)])
                for points in range(1, 6):
                    answer = await store.query(HistoryQuery(condor_id=CONDOR, points=points), NOW_AT)
                    assert min(answer.low) == -70_000
                    assert all(second % answer.resolution_seconds == 0 for second in answer.seconds)
                answer = await store.query(HistoryQuery(condor_id=CONDOR, points=1), NOW_AT)
                assert (answer.low, answer.high, answer.cents) == ([-70_000], [1050], [1000])
                assert answer.resolution_seconds % 86_400 == 0

        asyncio.run(use())

    def test_with_an_unknown_opening_the_extremes_come_from_the_only_holding(self, path):
        unknown = HoldingPeriod(condor_id=CONDOR, opened_at=None)
        later = HoldingPeriod(condor_id=CONDOR, opened_at=OPEN_AT + dt.timedelta(days=1))

        async def use():
            with opened(path) as store:
                await begin(store)
                await store.record([row(1, 1000, opened_at=None)])
                found = Extremes(worst=950, best=1050)
                assert await store.extremes([unknown, HOLDING, later]) == {unknown: found, HOLDING: found}
                await store.record([row(1441, 3000, opened_at=later.opened_at)])
                assert await store.extremes([unknown, later]) == {later: Extremes(worst=2950, best=3050)}

        asyncio.run(use())

    def test_the_end_of_a_range_is_not_included(self, path):
        async def use():
            with opened(path) as store:
                await begin(store)
                for minute in range(1, 5):
                    await store.record([row(minute, 1000)])
                from_at, until_at = (OPEN_AT + dt.timedelta(minutes=minute) for minute in (2, 4))
                assert await seconds(store, from_at=from_at, until_at=until_at) == [120, 180]
                assert await seconds(store, until_at=from_at) == [60]
                answer = await store.query(HistoryQuery(condor_id=CONDOR), from_at)
                assert len(answer.seconds) == 2

        asyncio.run(use())

    def test_other_programs_can_read_the_file_while_it_is_written(self, path):
        async def use():
            with opened(path) as store:
                await begin(store)
                await store.record([row(1, 1000)])
                with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
                    reader.execute("BEGIN")
                    seen = [reader.execute("SELECT count(*) FROM minutes").fetchone()[0]]
                    for minute in range(2, 30):
                        await store.record([row(minute, 1000)])
                    assert store.fault is None
                    seen.append(reader.execute("SELECT count(*) FROM minutes").fetchone()[0])
                    reader.execute("COMMIT")
                    seen.append(reader.execute("SELECT count(*) FROM minutes").fetchone()[0])
                assert seen == [1, 1, 29]

        asyncio.run(use())

    def test_nothing_is_written_after_close(self, path):
        async def use():
            with opened(path) as store:
                await begin(store)
            store.close()
            await store.record([row(1, 1000)])
            assert await store.load_trades() == ()
            with pytest.raises(Unavailable):
                await seconds(store)

        asyncio.run(use())


class TestFaults:
    def test_a_locked_database_is_a_fault_until_the_next_write_and_loses_nothing(self, path, no_lock_wait):
        async def use():
            with opened(path) as store:
                await begin(store)
                with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    await store.record([row(1, 1000)])
                    await store.save_trades([TRADE])
                    assert (store.fault.text, store.fault.is_set_aside) == (
                        f"Nothing is recorded in {path}: another program keeps the database locked; end its transaction",
                        False,
                    )
                    assert store.fault.since == OPEN_AT
                    assert await seconds(store) is None
                await store.record([row(2, 1000)])
                assert store.fault is None
                assert (await seconds(store), await store.load_trades()) == ([60, 120], (TRADE,))

        asyncio.run(use())

    def test_a_database_that_is_locked_at_the_start_is_used_later(self, path, no_lock_wait):
        async def use():
            with opened(path) as store:
                await begin(store)
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other, opened(path) as store:
                other.execute("BEGIN IMMEDIATE")
                assert await begin(store, "another") == RecordedPast()
                assert store.fault is not None
                other.execute("ROLLBACK")
                await store.record([row(1, 1000)])
                assert (store.fault, await seconds(store)) == (None, [60])

        asyncio.run(use())

    def test_a_database_of_a_later_version_is_a_fault_and_is_not_changed(self, path):
        async def use():
            with opened(path) as store:
                await begin(store)
            await wait_until_closed(path)
            with contextlib.closing(sqlite3.connect(path)) as other:
                other.execute("PRAGMA user_version = 99")
            before = path.read_bytes()
            with opened(path) as store:
                assert await begin(store) == RecordedPast()
                await store.record([row(1, 1000)])
                assert "history.sqlite3 is of a later version of condord: its schema is 99" in store.fault.text
            assert path.read_bytes() == before

        asyncio.run(use())

    @pytest.mark.parametrize(
        ("begin_file", "reason"),
        [
            (lambda path: path.symlink_to(other_file(path, "theirs")), "history.sqlite3 is not a regular file"),
            (lambda path: other_file(path, "theirs").rename(path), "history.sqlite3 is not a file of condord"),
            (lambda path: other_file(path, "series").rename(path), "history.sqlite3 is of a later version of condord"),
        ],
    )
    def test_a_file_that_is_not_used_is_reported_the_same_way_by_notice_and_query_and_not_touched(
        self, path, begin_file, reason
    ):
        path.parent.mkdir()
        begin_file(path)
        before = {each.name: (each.read_bytes(), each.lstat().st_mode) for each in path.parent.iterdir()}

        async def use():
            with opened(path) as store:
                await begin(store)
                assert store.fault.text.startswith(f"Nothing is recorded in {path}: {reason}")
                with pytest.raises(Unavailable, match=f"^{reason}"):
                    await seconds(store)
                await store.retry()
                assert store.fault.text.startswith(f"Nothing is recorded in {path}: {reason}")

        asyncio.run(use())
        assert {each.name: (each.read_bytes(), each.lstat().st_mode) for each in path.parent.iterdir()} == before

    def test_a_query_before_the_file_exists_fails_with_the_reason(self, path):
        path.parent.write_text("a file")

        async def use():
            with opened(path) as store:
                await begin(store)
                with pytest.raises(Unavailable, match=r"history\.sqlite3 cannot be read: .* is not a directory"):
                    await seconds(store)
                path.parent.unlink()
                path.parent.mkdir()
                with pytest.raises(Unavailable, match=r"history\.sqlite3 is empty or does not exist"):
                    await seconds(store)

        asyncio.run(use())

    def test_a_retry_ends_a_fault_whose_cause_is_gone_and_writes_the_waiting_jobs(self, path, no_lock_wait):
        async def use():
            with opened(path) as store:
                await begin(store)
                await store.retry()
                with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    await store.record([row(1, 1000)])
                    await store.retry()
                    assert store.fault is not None
                await store.retry()
                assert (store.fault, await seconds(store)) == (None, [60])

        asyncio.run(use())

    @pytest.mark.parametrize("account", ["account", None])
    def test_a_retry_with_nothing_to_write_ends_a_fault_only_when_the_account_can_be_written(
        self, path, no_lock_wait, account
    ):
        async def use():
            with opened(path) as store:
                await begin(store)
                with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    await begin(store)
                    await begin(store, account)
                    await store.retry()
                    assert (store.fault is None) is (account is None)
                await store.retry()
                assert store.fault is None

        asyncio.run(use())

    def test_at_most_one_write_and_one_query_wait_for_a_lock(self, path):
        most = []

        def counted(pool):
            submit, under_way = pool.submit, set()

            def counting(*arguments):
                future = submit(*arguments)
                under_way.add(future)
                most.append(len(under_way))
                future.add_done_callback(under_way.discard)
                return future

            pool.submit = counting

        async def use():
            with opened(path) as store:
                await begin(store)
                counted(store._writing._thread)
                counted(store._reading)
                await asyncio.gather(
                    *(store.record([row(minute, 1000)]) for minute in range(5)), *(seconds(store) for _ in range(5))
                )
                assert len(most) == 10

        asyncio.run(use())
        assert set(most) == {1}

    def test_a_query_that_waits_for_others_does_not_blame_the_disk(self, path, monkeypatch):
        async def use():
            with opened(path) as store:
                await begin(store)
                monkeypatch.setattr(database_thread, "DISK_TIMEOUT_SECONDS", 0.01)
                async with store._read_turn:
                    with pytest.raises(Unavailable, match="earlier requests are still being answered"):
                        await seconds(store)

        asyncio.run(use())

    @pytest.mark.parametrize("place", ["header", "middle"])
    def test_a_damaged_file_is_replaced_and_is_a_fault_until_the_next_start(self, path, place):
        async def use():
            with opened(path) as store:
                await begin(store)
                for minute in range(1, 200):
                    await store.record([row(minute, 1000, condor=f"SPY-{number}") for number in range(3)])
            await wait_until_closed(path)
            raw = bytearray(path.read_bytes())
            begins = 0 if place == "header" else 4096
            raw[begins : None if begins else 100] = b"\xa5" * len(raw[begins : None if begins else 100])
            path.write_bytes(raw)
            with opened(path) as store:
                await begin(store)
                await store.record([row(1, 1000)])
                await store.record([row(2, 1000)])
                aside = "history.sqlite3.broken-20261120T143000Z"
                assert path.with_name(aside).read_bytes() == raw
                assert store.fault.is_set_aside
                assert store.fault.text == (
                    f"history.sqlite3 was damaged. It was renamed to {aside}, and a new file was begun."
                )
                assert await seconds(store) == [60, 120]
            with opened(path) as store:
                await begin(store)
                assert store.fault is None

        asyncio.run(use())

    def test_damage_that_a_query_finds_sets_the_file_aside(self, path):
        async def use():
            with opened(path) as store:
                await begin(store)
                await store.record([row(1, 1000)])

                def damaged(*_arguments):
                    error = sqlite3.DatabaseError("database disk image is malformed")
                    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                    raise error

                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(store_module.queries, "recorded", damaged)
                    with pytest.raises(Unavailable, match="malformed"):
                        await seconds(store)
                assert store.fault is not None
                await store.record([row(2, 1000)])
                assert store.fault.is_set_aside
                assert await seconds(store) == [120]

        asyncio.run(use())

    def test_a_path_that_is_not_a_directory_is_a_fault(self, path):
        path.parent.write_text("a file")

        async def use():
            with opened(path) as store:
                await begin(store)
                await store.record([row(1, 1000)])
                assert (
                    store.fault.text
                    == f"Nothing is recorded in {path}: {path.parent} is not a directory; {NOT_A_DIRECTORY_REMEDY}"
                )
                path.parent.unlink()
                await store.record([row(2, 1000)])
                assert (store.fault, await seconds(store)) == (None, [60, 120])

        asyncio.run(use())

    def test_a_file_that_cannot_grow_causes_a_fault_and_no_loss(self, path):
        async def use():
            with opened(path) as store:
                await begin(store)
                limits = resource.getrlimit(resource.RLIMIT_FSIZE)
                before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                try:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
                    for minute in range(1, 40):
                        await store.record([row(minute, 1000, condor=f"SPY-{number}") for number in range(10)])
                    text = "this process may not write files of more than 60,000 bytes"
                    assert store.fault.text == f"Nothing is recorded in {path}: {text}; {FILE_SIZE_REMEDY}"
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
                    signal.signal(signal.SIGXFSZ, before)
                await store.record([row(40, 1000)])
                assert store.fault is None
            assert rows_in(path) == 391

        asyncio.run(use())

    def test_a_full_disk_causes_a_fault_and_no_loss(self, tmp_path):
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
        if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
            needs.lacking("a small disk")
        ballast = disk / "ballast"
        full = f"Nothing is recorded in {disk}/history.sqlite3: No space left on device; {WRITABLE}"

        async def use():
            with opened(disk / "history.sqlite3") as store:
                await begin(store)
                await store.record([row(1, 1000)])
                fill(ballast)
                for minute in range(2, 60):
                    await store.record([row(minute, 1000, condor=f"SPY-{number}") for number in range(10)])
                assert store.fault.text == full
                ballast.unlink()
                await store.record([row(60, 1000)])
                assert store.fault is None
            await wait_until_closed(disk / "history.sqlite3")
            assert rows_in(disk / "history.sqlite3") == 582
            fill(ballast)
            with opened(disk / "history.sqlite3") as store:
                assert await begin(store) == RecordedPast()
                assert store.fault.text == full
                with pytest.raises(Unavailable, match=r"history\.sqlite3 cannot be read: No space left on device"):
                    await seconds(store)

        try:
            asyncio.run(use())
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)

    def test_a_disk_that_hangs_is_abandoned_and_used_again_when_it_responds(self, path, monkeypatch):
        monkeypatch.setattr(database_thread, "DISK_TIMEOUT_SECONDS", 0.05)
        release = threading.Event()
        store = HistoryStore(path, machine_at=lambda: OPEN_AT, keep_days=lambda: 400)
        file = store._writing.file
        write = file.write
        monkeypatch.setattr(file, "write", lambda: (release.wait(60), write()))

        async def use():
            with contextlib.closing(store):
                store._account = store_module.StoredAccount("hash", "simulator")
                await store.record([row(1, 1000)])
                assert store.fault.text == f"Nothing is recorded in {path}: the disk does not respond; {WRITABLE}"
                began = time.monotonic()
                for minute in range(2, 50):
                    await store.record([row(minute, 1000)])
                assert time.monotonic() - began < 5
                release.set()
                monkeypatch.setattr(database_thread, "DISK_TIMEOUT_SECONDS", 60)
                for minute in itertools.count(50):
                    await store.record([row(minute, 1000)])
                    if store.fault is None:
                        break
                    await asyncio.sleep(0.01)
                assert len(await seconds(store)) == minute

        asyncio.run(use())

    def test_a_query_is_abandoned_when_the_disk_hangs(self, path, monkeypatch):
        release = threading.Event()

        async def use():
            with opened(path) as store:
                await begin(store)
                monkeypatch.setattr(database_thread, "DISK_TIMEOUT_SECONDS", 0.05)
                monkeypatch.setattr(store_module.queries, "recorded", lambda *_: release.wait(60))
                with pytest.raises(Unavailable, match="the disk does not respond"):
                    await seconds(store)
                release.set()

        asyncio.run(use())

    def test_activities_that_cannot_be_read_are_a_fault(self, path):
        async def use():
            with opened(path) as store:
                await begin(store)
                await store.add_activities([ACTIVITY], OPEN_AT)
                with contextlib.closing(sqlite3.connect(path)) as other, other:
                    other.execute("UPDATE activities SET kind = 'NEW'")
                assert await store.load_activities() == ((), None)
                assert "NEW" in store.fault.text

        asyncio.run(use())


async def wait_until_closed(path):
    """Wait until the thread of a closed store has closed its file, which removes the log."""
    await until(lambda: not path.with_name(path.name + "-wal").exists())


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a thread ends it
            await asyncio.sleep(0.001)


@pytest.mark.slow
def test_a_killed_process_loses_at_most_the_minute_it_was_writing(path):
    choose, minute, written = random.Random(1), 0, set()
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.history.child", str(path), str(minute)], cwd=ROOT, stdout=subprocess.PIPE
        )
        with child:
            written.add(int(child.stdout.readline()))
            time.sleep(choose.uniform(0, 0.05))
            child.kill()
            written |= {int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")}
        minute = max(written)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            found = connection.execute("SELECT time, count(*) FROM minutes GROUP BY time").fetchall()
        assert {count for _, count in found} == {2}
        assert len(written) <= len(found) <= len(written) + 3
    assert [each.name for each in path.parent.iterdir() if "broken" in each.name] == []
