import logging
import sqlite3
from contextlib import closing

import pytest

from condord.errors import Unavailable
from condord.history import file as file_module
from condord.history.file import HistoryFile, StoredAccount, WriteJob
from condord.host import database
from tests.history.rows import OPEN_AT, SECOND, row

ACCOUNT = StoredAccount("hash", "simulator")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history.sqlite3"


@pytest.fixture
def file(path):
    with closing(HistoryFile(path, machine_at=lambda: OPEN_AT, keep_days=lambda: 1)) as opened:
        yield opened


def job(*rows, account=ACCOUNT):
    return WriteJob(account, lambda _connection, _account, writer: writer.write(rows), rows[-1].second)


def minutes(path):
    with closing(sqlite3.connect(path)) as connection:
        return [pl for (pl,) in connection.execute("SELECT pl FROM minutes ORDER BY time")]


def test_nothing_is_opened_before_the_first_use(path, file):
    file.add(job(row(1, 1000)))
    assert not path.exists()
    file.write()
    assert minutes(path) == [10.0]


def test_a_job_that_fails_waits_and_the_next_write_keeps_the_order(path, file, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    file.write()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        file.add(job(row(1, 1000)))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            file.write()
    file.add(job(row(2, 2000)))
    file.write()
    assert minutes(path) == [10.0, 20.0]


def test_rows_that_can_never_be_stored_are_dropped_and_logged(path, file, caplog):
    caplog.set_level(logging.ERROR, "condord.history.file")
    file.add(job(row(1, 1000), row(2, 2**70)))
    file.add(job(row(3, 3000)))
    file.write()
    assert minutes(path) == [30.0]
    assert [record.fields["code"] for record in caplog.records] == ["unwritableRows"]


def test_the_queue_drops_its_oldest_job(path, file, monkeypatch):
    monkeypatch.setattr(file_module, "MAX_WAITING", 3)
    for minute in range(1, 6):
        file.add(job(row(minute, minute * 100)))
    file.write()
    assert minutes(path) == [3.0, 4.0, 5.0]


def test_a_file_that_was_deleted_or_replaced_is_created_again(path, file):
    file.add(job(row(1, 1000)))
    file.write()
    for each in path.parent.iterdir():
        each.unlink()
    file.add(job(row(2, 2000)))
    file.write()
    assert minutes(path) == [20.0]
    assert file.aside is None


def test_a_directory_that_was_deleted_is_created_again(tmp_path):
    path = tmp_path / "state" / "history.sqlite3"
    with closing(HistoryFile(path, machine_at=lambda: OPEN_AT, keep_days=lambda: 1)) as file:
        file.write()
        for each in path.parent.iterdir():
            each.unlink()
        path.parent.rmdir()
        file.add(job(row(1, 1000)))
        file.write()
    assert minutes(path) == [10.0]


def test_old_minutes_are_reduced_after_a_write(path, file):
    for each in (row(1, 1000), row(1440 * 3, 2000)):
        file.add(job(each))
        file.write()
    assert minutes(path) == [20.0]
    file.add(job(row(2, 3000, second=SECOND + 1440 * 180 + 60)))
    file.write()
    assert minutes(path) == [20.0, 30.0]


@pytest.mark.parametrize(
    "offset", [0, 18, 40, 60, 100, 200, 1000, 4000, 4096, 4100, 6000, 9000, 12_500, 20_000, 40_000, -1]
)
def test_a_file_that_is_damaged_anywhere_is_set_aside_or_still_usable(path, offset):
    with closing(HistoryFile(path, machine_at=lambda: OPEN_AT, keep_days=lambda: 400)) as file:
        for minute in range(1, 40):
            file.add(job(*(row(minute, 1000, condor=f"SPY-{number}") for number in range(20))))
        file.write()
    with path.open("r+b") as raw:
        size = path.stat().st_size
        raw.seek(min(offset, size - 1) if offset >= 0 else size // 2)
        if offset < 0:
            raw.truncate()
        else:
            raw.write(b"\xa5" * 64)
    with closing(HistoryFile(path, machine_at=lambda: OPEN_AT, keep_days=lambda: 400)) as file:
        try:
            for minute in range(1440, 1440 + 10):
                file.add(job(*(row(minute, 2000, condor=f"SPY-{number}") for number in range(20))))
                file.write()
                file.read(lambda connection: connection.execute("SELECT count(*) FROM minutes").fetchone())
        except Unavailable:
            # The damage looks like the version of another program: that file must not be changed.
            assert offset in (18, 40, 60)
            return
        assert file.aside is None or file.aside.exists()
    assert minutes(path).count(20.0) == 200
