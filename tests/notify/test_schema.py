import contextlib
import datetime as dt
import sqlite3
from pathlib import Path

import pytest

from condord.host import database
from condord.notify.file import AlertFile
from condord.notify.schema import MIGRATIONS
from tests.notify.builders import NOW_AT

VERSIONS = Path(__file__).with_name("versions")
"""Dumps of a database of each version, as the first condord with that version wrote it. They never change."""


def dumped(connection):
    return connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
    ).fetchall()


def of_version(path, number):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((VERSIONS / f"{number}.sql").read_text())
        connection.execute(f"PRAGMA user_version = {number}")


def test_every_table_is_strict_and_has_the_account_in_every_row(tmp_path):
    with contextlib.closing(database.open_writer(tmp_path / "alerts.sqlite3", MIGRATIONS)) as connection:
        tables = connection.execute(
            "SELECT name, strict FROM pragma_table_list WHERE name IN ('alerts', 'outbox', 'channels')"
        )
        assert sorted(tables) == [("alerts", 1), ("channels", 1), ("outbox", 1)]
        for table in ("alerts", "channels", "outbox"):
            columns = list(connection.execute(f"PRAGMA table_info({table})"))
            (account,) = [column for column in columns if column[1] == "account"]
            assert account[3] == 1  # NOT NULL
            assert account[5] == 1  # first of the primary key


def test_there_is_a_file_of_each_version():
    assert {int(path.stem) for path in VERSIONS.glob("*.sql")} == set(range(1, len(MIGRATIONS) + 1))


@pytest.mark.parametrize("number", range(1, len(MIGRATIONS) + 1))
def test_a_database_of_each_earlier_version_gets_the_current_schema_and_keeps_its_rows(tmp_path, number):
    path, new = tmp_path / "old.sqlite3", tmp_path / "new.sqlite3"
    of_version(path, number)
    account = "2c70e12b7a0646f92279"  # a hash of "key"
    file = AlertFile(path, machine_at=lambda: NOW_AT)
    stored = file.read(account)
    file.close()
    states = {each.rule: (each.state, each.last, each.is_first, each.is_silent) for each in stored.records}
    assert states == {
        "firing": ("firing", None, False, False),
        "waits": ("pending", None, True, False),
        "over": ("resolved", "resolved", False, False),
    }
    assert [each.held_seconds for each in stored.records if each.rule == "waits"] == [12.5]
    assert [each.until for each in stored.records if each.rule == "over"] == [NOW_AT + dt.timedelta(seconds=60)]
    assert sorted(each.alert_id.partition(":")[0] for each in stored.messages) == ["firing", "over"]
    errors = {channel.name: channel.last_error for channel in stored.channels}
    assert errors == ({} if number < 2 else {"hook": "The receiver answered 503."})
    with (
        contextlib.closing(database.open_writer(path, MIGRATIONS)) as old,
        contextlib.closing(database.open_writer(new, MIGRATIONS)) as fresh,
    ):
        assert dumped(old) == dumped(fresh)
        assert old.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
