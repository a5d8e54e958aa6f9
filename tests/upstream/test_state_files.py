import asyncio
import json
import logging
import os
import resource
import stat
import threading
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from condord.live.remedies import NOT_A_DIRECTORY_REMEDY
from condord.upstream import state_files
from condord.upstream.state_files import Store


class Row(msgspec.Struct, frozen=True):
    name: str
    number: int


ROWS = [Row("one", 1), Row("two", 2)]


@pytest.fixture
def logs(caplog):
    caplog.set_level(logging.INFO, "condord.upstream.state_files")
    return caplog


def write(path, content=ROWS, kind="rows", account="A"):
    with closing(Store(path, account=account)) as store:
        asyncio.run(store.write(kind, content))


def read(path, shape=list[Row], kind="rows", account="A"):
    with closing(Store(path, account=account)) as store:
        return asyncio.run(store.read(kind, shape))


def only_file(path):
    (file,) = path.iterdir()
    return file


class TestDirectory:
    def test_the_units_directory_is_used(self):
        assert state_files.directory({"STATE_DIRECTORY": "/var/lib/condord"}, lasts=True) == Path("/var/lib/condord")

    def test_the_first_of_several_is_used(self):
        assert state_files.directory({"STATE_DIRECTORY": "/a:/b"}, lasts=False) == Path("/a")

    def test_without_a_unit_the_users_directory_is_used(self):
        assert state_files.directory({}, lasts=True).name == "condord"

    def test_without_a_home_there_is_no_directory_and_a_warning_if_state_should_last(self, monkeypatch, logs):
        monkeypatch.setattr(state_files.directories, "state_directory", lambda: None)
        assert state_files.directory({}, lasts=False) is None
        assert logs.records == []
        assert state_files.directory({}, lasts=True) is None
        (record,) = logs.records
        assert (record.levelname, record.fields["code"]) == ("WARNING", "noState")

    def test_an_account_that_does_not_last_has_no_directory_without_a_unit(self):
        assert state_files.directory({}, lasts=False) is None


class TestFiles:
    def test_a_file_is_read_by_another_run(self, tmp_path):
        write(tmp_path)
        assert read(tmp_path) == ROWS

    def test_a_missing_file_is_none_and_is_not_logged(self, tmp_path, logs):
        assert read(tmp_path) is None
        assert logs.records == []

    def test_a_file_is_replaced_by_the_next_write(self, tmp_path):
        write(tmp_path)
        write(tmp_path, ROWS[:1])
        assert read(tmp_path) == ROWS[:1]

    def test_the_directory_is_created_for_its_owner_only(self, tmp_path):
        write(tmp_path / "new" / "state")
        assert read(tmp_path / "new" / "state") == ROWS
        assert stat.S_IMODE((tmp_path / "new" / "state").stat().st_mode) & 0o077 == 0

    def test_kinds_do_not_mix(self, tmp_path):
        write(tmp_path, kind="contracts")
        assert read(tmp_path, kind="orders") is None

    def test_accounts_do_not_mix_and_appear_in_no_file_or_file_name(self, tmp_path):
        write(tmp_path, account="PKSECRET")
        assert read(tmp_path, account="PKOTHER") is None
        assert "PKSECRET" not in str(only_file(tmp_path)) + only_file(tmp_path).read_text()

    def test_until_the_account_is_known_nothing_is_stored(self, tmp_path, logs):
        write(tmp_path, account=None)
        assert read(tmp_path, account=None) is None
        assert list(tmp_path.iterdir()) == []
        assert logs.records == []

    def test_other_accounts_have_their_files_in_the_same_directory(self, tmp_path):
        with closing(Store(tmp_path)) as store:
            asyncio.run(store.of("A").write("rows", ROWS))
        assert read(tmp_path, account="A") == ROWS
        assert read(tmp_path, account="B") is None

    def test_only_its_owner_can_read_a_file(self, tmp_path):
        before = os.umask(0)
        try:
            write(tmp_path / "state")
        finally:
            os.umask(before)
        assert stat.S_IMODE(only_file(tmp_path / "state").stat().st_mode) == 0o600

    def test_no_temporary_file_is_left(self, tmp_path):
        write(tmp_path)
        assert only_file(tmp_path).suffix == ".json"

    def test_without_a_directory_nothing_is_stored(self, logs):
        write(None)
        assert read(None) is None
        assert logs.records == []


def damage(path, how):
    whole = json.loads(path.read_bytes())
    path.write_bytes(
        {
            "empty": b"",
            "cut": path.read_bytes()[:-5],
            "no JSON": b"\xff\x00",
            "no envelope": b"[]",
            "other version": json.dumps(whole | {"version": 99}).encode(),
            "other kind": json.dumps(whole | {"kind": "orders"}).encode(),
            "other shape": json.dumps(whole | {"content": [{"name": 1}]}).encode(),
        }[how]
    )


class TestBadFiles:
    @pytest.mark.parametrize(
        "how", ["empty", "cut", "no JSON", "no envelope", "other version", "other kind", "other shape"]
    )
    def test_a_file_that_cannot_be_read_counts_as_missing_and_is_logged(self, tmp_path, logs, how):
        write(tmp_path)
        damage(only_file(tmp_path), how)
        assert read(tmp_path) is None
        assert [record.levelname for record in logs.records] == ["WARNING"]
        assert logs.records[0].fields["path"] == str(only_file(tmp_path))

    def test_a_damaged_file_is_replaced_by_the_next_write(self, tmp_path):
        write(tmp_path)
        damage(only_file(tmp_path), "cut")
        write(tmp_path)
        assert read(tmp_path) == ROWS

    def test_a_file_that_is_too_large_counts_as_missing(self, tmp_path, logs, monkeypatch):
        write(tmp_path)
        monkeypatch.setattr(state_files, "_MAX_BYTES", 10)
        assert read(tmp_path) is None
        assert logs.records[0].fields["reason"] == "it holds more than 10 bytes"

    @pytest.mark.parametrize("kind", ["FIFO", "device"])
    def test_a_fifo_or_a_device_counts_as_missing_without_a_wait_and_is_replaced(self, tmp_path, logs, kind):
        write(tmp_path)
        path = only_file(tmp_path)
        path.unlink()
        if kind == "FIFO":
            os.mkfifo(path)  # without a writer, so that a reader would wait
        else:
            path.symlink_to("/dev/zero")
        assert read(tmp_path) is None
        assert [record.fields["reason"] for record in logs.records] == ["it is not a regular file"]
        write(tmp_path)
        assert read(tmp_path) == ROWS

    def test_a_fifo_instead_of_the_temporary_file_does_not_block_a_write(self, tmp_path, logs):
        write(tmp_path)
        temporary = only_file(tmp_path).with_suffix(".tmp")
        os.mkfifo(temporary)  # without a reader, so that a writer would wait
        write(tmp_path, ROWS[:1])
        assert read(tmp_path) == ROWS[:1]
        assert logs.records == []

    def test_a_directory_instead_of_the_file_is_logged_and_left(self, tmp_path, logs):
        write(tmp_path)
        path = only_file(tmp_path)
        path.unlink()
        path.mkdir()
        assert read(tmp_path) is None
        write(tmp_path)
        assert len(logs.records) == 2
        assert list(tmp_path.iterdir()) == [path]

    def test_failed_writes_are_logged_once_until_one_succeeds(self, tmp_path, logs):
        path = tmp_path / "state"
        path.touch()  # a file where the directory should be

        async def scenario(store):
            await store.write("rows", ROWS)
            await store.write("rows", ROWS)
            path.unlink()
            await store.write("rows", ROWS)
            assert await store.read("rows", list[Row]) == ROWS

        with closing(Store(path, account="A")) as store:
            asyncio.run(scenario(store))
        assert [record.fields["action"] for record in logs.records] == ["write"]

    def test_the_write_fault_comes_from_the_last_write(self, tmp_path):
        path = tmp_path / "file" / "state"
        (tmp_path / "file").touch()
        with closing(Store(path, account="A")) as store:
            assert store.write_fault is None
            asyncio.run(store.write("rows", ROWS))
            assert store.write_fault == f"{path}: {tmp_path}/file is not a directory; {NOT_A_DIRECTORY_REMEDY}"
            asyncio.run(store.read("rows", list[Row]))
            assert store.write_fault == f"{path}: {tmp_path}/file is not a directory; {NOT_A_DIRECTORY_REMEDY}"
            (tmp_path / "file").unlink()
            asyncio.run(store.write("rows", ROWS))
            assert store.write_fault is None

    def test_failed_writes_are_a_fault_until_a_retry_has_written_all_of_them(self, tmp_path, logs):
        path = tmp_path / "state"
        path.touch()  # a file where the directory should be

        async def scenario(store, other):
            await store.write("rows", ROWS)
            await other.write("rows", ROWS[:1])
            await store.write("others", ROWS[1:])
            await store.retry()
            assert store.write_fault == f"{path} is not a directory; {NOT_A_DIRECTORY_REMEDY}"
            path.unlink()
            await store.write("others", ROWS)
            assert store.write_fault == f"{path} is not a directory; {NOT_A_DIRECTORY_REMEDY}"
            await store.retry()
            assert store.write_fault is None
            assert await store.read("rows", list[Row]) == ROWS
            assert await store.read("others", list[Row]) == ROWS
            assert await other.read("rows", list[Row]) == ROWS[:1]

        with closing(Store(path, account="A")) as store:
            asyncio.run(scenario(store, store.of("B")))
        assert [record.fields["action"] for record in logs.records] == ["write"] * 3

    def test_a_file_that_is_written_while_another_is_retried_is_not_retried(self, tmp_path):
        path = tmp_path / "state"
        path.touch()  # a file where the directory should be

        async def scenario(store):
            for kind in ("one", "two"):
                await store.write(kind, ROWS)
            path.unlink()
            await asyncio.gather(store.write("two", ROWS[:1]), store.retry())
            assert store.write_fault is None
            assert await store.read("two", list[Row]) == ROWS[:1]

        with closing(Store(path, account="A")) as store:
            asyncio.run(scenario(store))

    def test_a_full_disk_leaves_the_old_file(self, tmp_path, logs):
        write(tmp_path)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        try:
            write(tmp_path, ROWS[:1])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert read(tmp_path) == ROWS
        assert only_file(tmp_path).suffix == ".json"
        assert len(logs.records) == 1

    def test_a_link_instead_of_the_temporary_file_is_not_followed(self, tmp_path):
        write(tmp_path / "state")
        victim = tmp_path / "victim"
        victim.write_text("mine")
        only_file(tmp_path / "state").with_suffix(".tmp").symlink_to(victim)
        write(tmp_path / "state", ROWS[:1])
        assert victim.read_text() == "mine"

    def test_a_disk_that_does_not_respond_is_not_used_again(self, tmp_path, logs, monkeypatch):
        answer = threading.Event()
        monkeypatch.setattr(state_files.bounded_file, "read", lambda _path, _most: answer.wait())
        monkeypatch.setattr(state_files, "DISK_TIMEOUT_SECONDS", 0.05)
        began = time.monotonic()

        async def scenario(store):
            assert await store.read("rows", list[Row]) is None
            await store.write("rows", ROWS)

        with closing(Store(tmp_path, account="A")) as store:
            asyncio.run(scenario(store))
        assert time.monotonic() - began < 30.0
        assert [record.fields["reason"] for record in logs.records] == ["the disk does not respond"]
        answer.set()  # lets the thread go on

    def test_the_files_that_another_ingester_needs_are_copied_when_they_are_read_or_written(self, tmp_path):
        copies = []

        async def scenario(store):
            assert await store.read("names", list[Row]) is None
            await store.write("names", ROWS)
            await store.write("rows", ROWS)
            await store.of("B").write("life", ROWS)
            assert await store.read("names", list[Row]) == ROWS

        with closing(Store(tmp_path / "a", account="A", copy=lambda *copy: copies.append(copy))) as store:
            asyncio.run(scenario(store))
        assert [name.partition("-")[2] for name, _ in copies] == ["names.json", "life.json", "names.json"]
        for name, content in copies:
            assert (tmp_path / "a" / name).read_bytes() == content
        with closing(Store(tmp_path / "b", handed_over=dict(copies))) as store:
            assert asyncio.run(store.of("A").read("names", list[Row])) == ROWS
            assert asyncio.run(store.of("B").read("life", list[Row])) == ROWS
        assert read(tmp_path / "b", kind="names") == ROWS
        assert read(tmp_path / "b", kind="life", account="B") == ROWS

    def test_a_state_that_is_handed_over_is_used_and_copied_again_even_if_the_disk_fails(self, tmp_path):
        write(tmp_path, kind="names")
        name, content = only_file(tmp_path).name, only_file(tmp_path).read_bytes()
        (tmp_path / "file").touch()
        copies = []

        async def scenario(store):
            assert await store.read("names", list[Row]) == ROWS
            assert store.write_fault
            (tmp_path / "file").unlink()
            await store.retry()

        directory = tmp_path / "file" / "state"
        with closing(
            Store(directory, account="A", copy=lambda *copy: copies.append(copy), handed_over={name: content})
        ) as store:
            asyncio.run(scenario(store))
        assert copies == [(name, content)]
        assert read(directory, kind="names") == ROWS

    def test_an_unusable_state_that_is_handed_over_is_logged_and_the_file_is_read(self, tmp_path, logs):
        name = f"{state_files.hash_of('A')}-names.json"
        write(tmp_path, kind="names")
        with closing(Store(tmp_path, account="A", handed_over={name: b"no JSON"})) as store:
            assert asyncio.run(store.read("names", list[Row])) == ROWS
        assert [(each.fields["code"], each.fields["kind"]) for each in logs.records] == [("noStateCopy", "names")]
