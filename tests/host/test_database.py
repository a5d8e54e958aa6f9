import datetime as dt
import os
import resource
import sqlite3
import stat
import subprocess
import sys
import types
from contextlib import closing

import pytest

from condord.errors import Unavailable
from condord.host import database

AT = dt.datetime(2026, 11, 20, 15, 31, 7, tzinfo=dt.UTC)
FIRST = "CREATE TABLE words (word TEXT NOT NULL) STRICT;"
SECOND = "ALTER TABLE words ADD COLUMN language TEXT; UPDATE words SET language = 'en';"


def written(path, migrations=(FIRST,)):
    with closing(database.open_writer(path, migrations)) as connection:
        connection.execute("INSERT INTO words (word) VALUES ('leg')")


def read(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM words").fetchall()


def test_a_new_file_has_the_schema_and_the_pragmas(tmp_path):
    with closing(database.open_writer(tmp_path / "a" / "b" / "words.sqlite3", (FIRST, SECOND))) as connection:
        pragmas = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("user_version", "journal_mode", "synchronous")
        ]
        assert pragmas == [2, "wal", 1]
    with closing(database.open_writer(tmp_path / "full.sqlite3", (FIRST,), synchronous="FULL")) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_only_its_owner_can_read_the_file_and_those_beside_it(tmp_path):
    path = tmp_path / "state" / "words.sqlite3"
    before = os.umask(0)
    try:
        with closing(database.open_writer(path, (FIRST,))) as connection:
            connection.execute("INSERT INTO words VALUES ('leg')")
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["words.sqlite3", "words.sqlite3-wal", "words.sqlite3-shm"], 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_others_could_read_is_made_private(tmp_path):
    path = tmp_path / "words.sqlite3"
    written(path)
    path.chmod(0o644)
    written(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("use", [database.open_writer, database.open_reader])
@pytest.mark.parametrize("name", ["words.sqlite3", "words.sqlite3-wal", "words.sqlite3-shm"])
@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/dev/null"), os.mkfifo, os.mkdir])
def test_links_fifos_and_directories_are_refused(tmp_path, use, name, make):
    make(tmp_path / name)
    with pytest.raises(Unavailable, match=f"{name} is not a regular file"):
        use(tmp_path / "words.sqlite3", (FIRST,))
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_file_of_an_earlier_version_is_migrated_and_keeps_its_rows(tmp_path):
    path = tmp_path / "words.sqlite3"
    written(path)
    database.open_writer(path, (FIRST, SECOND)).close()
    assert read(path) == [("leg", "en")]


def test_a_migration_that_fails_leaves_the_earlier_version(tmp_path):
    path = tmp_path / "words.sqlite3"
    written(path)
    with pytest.raises(sqlite3.OperationalError):
        database.open_writer(path, (FIRST, "ALTER TABLE words ADD COLUMN a TEXT; SELECT nonsense;"))
    written(path)
    assert read(path) == [("leg",), ("leg",)]


def begun_by_another_program(path, version, mode):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE theirs (a)")
        connection.execute(f"PRAGMA user_version = {version}")


def state(directory):
    """The content, the mode and the time of the last change of each file."""
    return {
        each.name: (each.read_bytes(), each.stat().st_mode, each.stat().st_mtime_ns) for each in directory.iterdir()
    }


@pytest.mark.parametrize("use", [database.open_writer, database.open_reader])
def test_a_file_of_a_later_version_is_refused_and_nothing_is_touched(tmp_path, use):
    path = tmp_path / "words.sqlite3"
    written(path, (FIRST, SECOND))
    path.chmod(0o644)
    before = state(tmp_path)
    with pytest.raises(
        Unavailable, match=r"words\.sqlite3 is of a later version of condord: its schema is 2, .* knows 1"
    ):
        use(path, (FIRST,))
    assert state(tmp_path) == before


@pytest.mark.parametrize("use", [database.open_writer, database.open_reader])
@pytest.mark.parametrize("version", [0, 1, 99])
@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_file_of_another_program_is_refused_and_nothing_is_touched(tmp_path, use, version, mode):
    path = tmp_path / "words.sqlite3"
    begun_by_another_program(path, version, mode)
    path.chmod(0o644)
    before = state(tmp_path)
    with pytest.raises(Unavailable, match=r"words\.sqlite3 is not a file of condord"):
        use(path, (FIRST,))
    assert state(tmp_path) == before


@pytest.mark.parametrize("use", [database.open_writer, database.open_reader])
def test_a_later_version_that_only_the_write_ahead_log_has_is_refused(tmp_path, use):
    path = tmp_path / "words.sqlite3"
    written(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 2")
        before = path.read_bytes()
        with pytest.raises(Unavailable, match="is of a later version"):
            use(path, (FIRST,))
        assert path.read_bytes() == before


def test_a_check_releases_no_lock_of_this_process(tmp_path):
    path = tmp_path / "words.sqlite3"
    script = (
        f"import sqlite3; c = sqlite3.connect({str(path)!r}, timeout=0); "
        "c.execute('PRAGMA locking_mode = EXCLUSIVE'); c.execute('BEGIN EXCLUSIVE')"
    )
    with closing(database.open_writer(path, (FIRST,))) as connection:
        connection.execute("INSERT INTO words VALUES ('leg')")
        database.open_reader(path, (FIRST,)).close()
        with pytest.raises(Unavailable):
            database.open_reader(path, ("CREATE TABLE others (a);",))
        ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert "database is locked" in ended.stderr


def test_a_reader_cannot_write(tmp_path):
    path = tmp_path / "words.sqlite3"
    written(path)
    with (
        closing(database.open_reader(path, (FIRST,))) as connection,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        connection.execute("DELETE FROM words")


def test_a_reader_does_not_create_a_file(tmp_path):
    with pytest.raises(Unavailable, match=r"words\.sqlite3 is empty or does not exist"):
        database.open_reader(tmp_path / "words.sqlite3", (FIRST,))
    assert list(tmp_path.iterdir()) == []


def test_a_reader_needs_all_migrations(tmp_path):
    path = tmp_path / "words.sqlite3"
    written(path)
    with pytest.raises(Unavailable, match="its schema is 1, and this version needs 2"):
        database.open_reader(path, (FIRST, SECOND))


def test_a_name_with_special_characters_is_a_file_name(tmp_path):
    path = tmp_path / "a?mode=memory#b%41.sqlite3"
    written(path)
    assert read(path) == [("leg",)]


@pytest.mark.parametrize("damage", [b"", b"not a database" * 100])
def test_a_damaged_file_is_recognized_and_an_empty_one_gets_the_schema(tmp_path, damage):
    path = tmp_path / "words.sqlite3"
    path.write_bytes(damage)
    if not damage:
        written(path)
        return
    with pytest.raises(sqlite3.DatabaseError) as caught:
        database.open_writer(path, (FIRST,))
    assert database.is_damaged(caught.value)


def test_other_errors_do_not_count_as_damage(tmp_path):
    path = tmp_path / "words.sqlite3"
    written(path)
    with closing(sqlite3.connect(path, timeout=0)) as one, closing(sqlite3.connect(path, timeout=0)) as other:
        one.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as caught:
            other.execute("BEGIN IMMEDIATE")
    assert not database.is_damaged(caught.value)
    assert not database.is_damaged(OSError("no such table"))


def test_a_file_is_set_aside_under_a_free_name_with_its_log(tmp_path):
    path = tmp_path / "words.sqlite3"
    for number in range(2):
        path.write_text(str(number))
        path.with_name("words.sqlite3-wal").write_text("log")
        database.set_aside(path, AT)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "words.sqlite3.broken-20261120T153107Z",
        "words.sqlite3.broken-20261120T153107Z-2",
        "words.sqlite3.broken-20261120T153107Z-2-wal",
        "words.sqlite3.broken-20261120T153107Z-wal",
    ]


def test_a_lock_and_a_full_disk_are_named_and_other_failures_have_their_code(tmp_path, monkeypatch):
    path = tmp_path / "words.sqlite3"

    def failed(code, name, text="disk I/O error"):
        error = sqlite3.OperationalError(text)
        error.sqlite_errorcode, error.sqlite_errorname = code, name
        return database.reason(error, path)

    def disk(free, files=1000, free_files=1):
        monkeypatch.setattr(
            os,
            "statvfs",
            lambda _: types.SimpleNamespace(f_bavail=free // 4096, f_frsize=4096, f_files=files, f_favail=free_files),
        )

    disk(free=1 << 30)
    assert failed(sqlite3.SQLITE_BUSY_SNAPSHOT, "SQLITE_BUSY_SNAPSHOT") == "another program keeps the database locked"
    assert failed(sqlite3.SQLITE_FULL, "SQLITE_FULL") == "No space left on device"
    assert failed(sqlite3.SQLITE_IOERR_SHMSIZE, "SQLITE_IOERR_SHMSIZE") == "disk I/O error (SQLITE_IOERR_SHMSIZE)"
    limit = resource.RLIM_INFINITY, resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda _: limit)
    assert failed(sqlite3.SQLITE_IOERR_WRITE, "SQLITE_IOERR_WRITE") == "disk I/O error (SQLITE_IOERR_WRITE)"
    limit = 40_960, resource.RLIM_INFINITY
    too_large = "this process may not write files of more than 40,960 bytes"
    assert failed(sqlite3.SQLITE_IOERR_SHMSIZE, "SQLITE_IOERR_SHMSIZE") == too_large
    limit = 1 << 20, resource.RLIM_INFINITY
    assert failed(sqlite3.SQLITE_IOERR_WRITE, "SQLITE_IOERR_WRITE") == "disk I/O error (SQLITE_IOERR_WRITE)"
    path.with_name(f"{path.name}-wal").write_bytes(bytes(1_000_000))
    assert failed(sqlite3.SQLITE_IOERR_WRITE, "SQLITE_IOERR_WRITE").endswith("1,048,576 bytes")
    disk(free=8192)
    assert failed(sqlite3.SQLITE_IOERR_SHMSIZE, "SQLITE_IOERR_SHMSIZE") == "No space left on device"
    assert (
        failed(sqlite3.SQLITE_READONLY, "SQLITE_READONLY", "attempt to write") == "attempt to write (SQLITE_READONLY)"
    )
    disk(free=1 << 30, free_files=0)
    assert failed(sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN") == "No space left on device"
    disk(free=1 << 30, files=0, free_files=0)  # btrfs does not count them
    assert failed(sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN") == "disk I/O error (SQLITE_CANTOPEN)"
    monkeypatch.undo()
    assert database.reason(PermissionError(13, "Permission denied"), path) == "Permission denied"
    assert database.reason(OSError("text"), path) == "text"
    assert database.reason(Unavailable("it is of another program", ""), path) == "it is of another program"
    failure = sqlite3.OperationalError("unable to open")
    failure.sqlite_errorcode, failure.sqlite_errorname = sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN"
    assert database.reason(failure, tmp_path / "gone" / "words.sqlite3") == "unable to open (SQLITE_CANTOPEN)"
