import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from condord.history.schema import MIGRATIONS
from condord.host import database

VERSIONS = Path(__file__).with_name("versions")
"""Dumps of a database of each released version, with rows. They never change."""


def dumped(connection):
    return connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
    ).fetchall()


def of_version(path, number):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((VERSIONS / f"{number}.sql").read_text())
        connection.execute(f"PRAGMA user_version = {number}")


def test_there_is_a_file_of_each_version():
    assert {int(path.stem) for path in VERSIONS.glob("*.sql")} == set(range(1, len(MIGRATIONS) + 1))


@pytest.mark.parametrize("number", range(len(MIGRATIONS) + 1))
def test_a_database_of_each_earlier_version_gets_the_current_schema_and_keeps_its_rows(tmp_path, number):
    path, new = tmp_path / "old.sqlite3", tmp_path / "new.sqlite3"
    if number:
        of_version(path, number)
    with (
        closing(database.open_writer(path, MIGRATIONS)) as old,
        closing(database.open_writer(new, MIGRATIONS)) as fresh,
    ):
        assert dumped(old) == dumped(fresh)
        assert old.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert old.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for view in ("minutes", "quarter_hours", "holdings", "closed_trades", "account_activities"):
            rows = old.execute(f"SELECT * FROM {view}").fetchall()  # noqa: S608
            assert bool(rows) is bool(number), view


def test_every_table_is_strict(tmp_path):
    with closing(database.open_writer(tmp_path / "new.sqlite3", MIGRATIONS)) as connection:
        tables = connection.execute(
            "SELECT name, wr, strict FROM pragma_table_list WHERE type = 'table' AND schema = 'main'"
        ).fetchall()
    own = {name: (wr, strict) for name, wr, strict in tables if not name.startswith("sqlite_")}
    assert {name for name, (_, strict) in own.items() if not strict} == set()
    assert {name for name, (wr, _) in own.items() if not wr} == {"points", "quarters"}
