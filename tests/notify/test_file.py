import contextlib
import sqlite3
import stat

import msgspec
import pytest

from condord.notify.file import AlertFile, Edit, StoredAlerts
from condord.notify.outbox import Outbox
from tests.notify.builders import END_AT, NOW_AT, changes, channel, channel_state, documents, record, transition


def message(name="half"):
    outbox = Outbox("account")
    outbox.set_channels([channel()], NOW_AT)
    changed = changes(transition(name=name))
    outbox.add(changed, documents(changed), now_at=NOW_AT, expires_at=lambda _: END_AT)
    return outbox.take_edits()[0][0]


def edit(*records, messages=(), channels=(), is_whole=False):
    return Edit(
        records={each.id: each for each in records},
        messages={each.key: each for each in messages},
        channels={each.name: each for each in channels},
        is_whole=is_whole,
    )


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


def test_records_and_messages_are_read_as_they_were_written(path):
    with opened(path) as file:
        assert file.read("account") == StoredAlerts()
        file.write("account", edit(record(), messages=[message()], channels=[channel_state()]))
    with opened(path) as file:
        stored = StoredAlerts(records=(record(),), messages=(message(),), channels=(channel_state(),))
        assert file.read("account") == stored
        assert file.read("other") == StoredAlerts()


def test_an_edit_to_none_removes_the_entry(path):
    with opened(path) as file:
        file.read("account")
        file.write("account", edit(record(), messages=[message()], channels=[channel_state()]))
        file.write(
            "account", Edit(records={record().id: None}, messages={message().key: None}, channels={"hook": None})
        )
        assert file.read("account") == StoredAlerts()


def test_only_the_owner_can_read_the_file_and_a_power_cut_loses_nothing(path):
    with opened(path) as file:
        file.read("account")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert file._connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert file._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_was_not_read_needs_a_whole_edit_and_returns_its_messages(path):
    with opened(path) as file:
        file.read("account")
        file.write("account", edit(record("old"), messages=[message("old"), message("known")]))
    with opened(path) as file:
        assert file.write("account", edit(record())).is_incomplete
        written = file.write("account", edit(record(), messages=[message("known")], is_whole=True))
        assert written.recovered == (message("old"),)
        assert not file.write("account", edit(record("next"))).is_incomplete
        assert {each.rule for each in file.read("account").records} == {"half", "next"}


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_that_was_deleted_or_replaced_needs_a_whole_edit(path, replace):
    with opened(path) as file:
        file.read("account")
        path.unlink()
        if replace:
            with opened(path.with_name("other")) as other:
                other.read("account")
                other.write("account", edit(record("foreign")))
            path.with_name("other").rename(path)
        assert file.write("account", edit(record())).is_incomplete


def test_a_damaged_file_is_set_aside_and_reading_it_returns_nothing(path):
    path.parent.mkdir()
    path.write_bytes(b"damaged" * 1000)
    with opened(path) as file:
        assert file.read("account") is None
        assert file.aside is not None
        assert file.aside.read_bytes().startswith(b"damaged")
        file.write("account", edit(record()))
        assert file.read("account") == StoredAlerts(records=(record(),))


def test_damage_within_the_file_is_noticed_when_it_is_read(path):
    with opened(path) as file:
        file.read("account")
        file.write("account", edit(*(record(f"rule-{number}") for number in range(200))))
    raw = bytearray(path.read_bytes())
    raw[8192:12288] = b"\xff" * 4096
    path.write_bytes(raw)
    with opened(path) as file:
        assert file.read("account") is None


def test_after_damage_found_by_a_write_a_whole_edit_is_needed(path):
    with opened(path) as file:
        file.read("account")
        file.close()
        path.write_bytes(b"damaged" * 1000)
        assert file.write("account", edit(record())).is_incomplete
        assert file.aside is not None


def test_a_row_that_cannot_be_decoded_does_not_hide_the_others(path, caplog):
    with opened(path) as file:
        file.read("account")
        file.write("account", edit(record("good"), record("bad")))
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alerts SET record = '{}' WHERE rule = 'bad'")
    with opened(path) as file:
        assert [each.rule for each in file.read("account").records] == ["good"]
    assert [each.fields["id"] for each in caplog.records] == [record("bad").id]


def test_a_write_that_fails_leaves_nothing_behind(path):
    with opened(path) as file:
        file.read("account")
        bad = msgspec.structs.replace(message(), sequence=1 << 70)
        with pytest.raises(OverflowError):
            file.write("account", edit(record(), messages=[bad]))
        assert file.read("account") == StoredAlerts()
