import contextlib

from condord.host import database
from condord.notify.schema import MIGRATIONS


def test_every_table_is_strict_and_has_the_account_in_every_row(tmp_path):
    with contextlib.closing(database.open_writer(tmp_path / "alerts.sqlite3", MIGRATIONS)) as connection:
        tables = connection.execute("SELECT name, strict FROM pragma_table_list WHERE name IN ('alerts', 'outbox')")
        assert sorted(tables) == [("alerts", 1), ("outbox", 1)]
        for table in ("alerts", "outbox"):
            columns = list(connection.execute(f"PRAGMA table_info({table})"))
            (account,) = [column for column in columns if column[1] == "account"]
            assert account[3] == 1  # NOT NULL
            assert account[5] == 1  # first of the primary key
