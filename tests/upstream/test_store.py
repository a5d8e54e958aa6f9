import asyncio
import json
import logging
import os
import resource
import stat
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from condord.upstream import store
from condord.upstream.store import Store


class Row(msgspec.Struct, frozen=True):
    name: str
    number: int


ROWS = [Row("one", 1), Row("two", 2)]


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "condord.upstream.store")
    return caplog


def write(place, content=ROWS, kind="rows", account="A"):
    with closing(Store(place, account=account)) as made:
        asyncio.run(made.write(kind, content))


def read(place, shape=list[Row], kind="rows", account="A"):
    with closing(Store(place, account=account)) as made:
        return asyncio.run(made.read(kind, shape))


def only_file(place):
    (path,) = place.iterdir()
    return path


class TestDirectory:
    def test_it_is_that_of_the_unit(self):
        assert store.directory({"STATE_DIRECTORY": "/var/lib/condord"}, lasts=True) == Path("/var/lib/condord")

    def test_of_several_it_is_the_first(self):
        assert store.directory({"STATE_DIRECTORY": "/a:/b"}, lasts=False) == Path("/a")

    def test_without_a_unit_it_is_that_of_the_user(self):
        assert store.directory({}, lasts=True).name == "condord"

    def test_what_does_not_last_leaves_nothing_with_the_user(self):
        assert store.directory({}, lasts=False) is None


class TestFiles:
    def test_what_is_written_is_read_by_another_run(self, tmp_path):
        write(tmp_path)
        assert read(tmp_path) == ROWS

    def test_what_was_never_written_is_not_there_and_no_word_is_lost_on_it(self, tmp_path, said):
        assert read(tmp_path) is None
        assert said.records == []

    def test_the_newest_counts(self, tmp_path):
        write(tmp_path)
        write(tmp_path, ROWS[:1])
        assert read(tmp_path) == ROWS[:1]

    def test_the_directory_is_made(self, tmp_path):
        write(tmp_path / "new" / "state")
        assert read(tmp_path / "new" / "state") == ROWS
        assert stat.S_IMODE((tmp_path / "new" / "state").stat().st_mode) & 0o077 == 0

    def test_kinds_do_not_mix(self, tmp_path):
        write(tmp_path, kind="contracts")
        assert read(tmp_path, kind="orders") is None

    def test_accounts_do_not_mix_and_stand_in_no_name(self, tmp_path):
        write(tmp_path, account="PKSECRET")
        assert read(tmp_path, account="PKOTHER") is None
        assert "PKSECRET" not in str(only_file(tmp_path)) + only_file(tmp_path).read_text()

    def test_only_the_owner_may_read_it(self, tmp_path):
        before = os.umask(0)
        try:
            write(tmp_path / "state")
        finally:
            os.umask(before)
        assert stat.S_IMODE(only_file(tmp_path / "state").stat().st_mode) == 0o600

    def test_nothing_is_left_beside_it(self, tmp_path):
        write(tmp_path)
        assert only_file(tmp_path).suffix == ".json"

    def test_without_a_place_nothing_is_kept(self, said):
        write(None)
        assert read(None) is None
        assert said.records == []


def spoil(path, how):
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
    def test_one_that_cannot_be_read_counts_as_absent_and_is_told(self, tmp_path, said, how):
        write(tmp_path)
        spoil(only_file(tmp_path), how)
        assert read(tmp_path) is None
        assert [record.levelname for record in said.records] == ["WARNING"]
        assert said.records[0].fields["path"] == str(only_file(tmp_path))

    def test_one_that_cannot_be_read_is_replaced(self, tmp_path):
        write(tmp_path)
        spoil(only_file(tmp_path), "cut")
        write(tmp_path)
        assert read(tmp_path) == ROWS

    def test_one_that_is_too_large_counts_as_absent(self, tmp_path, said, monkeypatch):
        write(tmp_path)
        monkeypatch.setattr(store, "_MOST_BYTES", 10)
        assert read(tmp_path) is None
        assert "too large" in said.records[0].fields["reason"]

    def test_a_directory_in_its_place_is_no_end(self, tmp_path, said):
        write(tmp_path)
        path = only_file(tmp_path)
        path.unlink()
        path.mkdir()
        assert read(tmp_path) is None
        write(tmp_path)
        assert len(said.records) == 2
        assert list(tmp_path.iterdir()) == [path]

    def test_what_cannot_be_written_is_told_once_until_it_can(self, tmp_path, said):
        place = tmp_path / "state"
        place.touch()  # a file where the directory should be

        async def play(made):
            await made.write("rows", ROWS)
            await made.write("rows", ROWS)
            place.unlink()
            await made.write("rows", ROWS)
            assert await made.read("rows", list[Row]) == ROWS

        with closing(Store(place, account="A")) as made:
            asyncio.run(play(made))
        assert [record.fields["action"] for record in said.records] == ["write"]

    def test_a_full_disk_leaves_what_was_there(self, tmp_path, said):
        write(tmp_path)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        try:
            write(tmp_path, ROWS[:1])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert read(tmp_path) == ROWS
        assert only_file(tmp_path).suffix == ".json"
        assert len(said.records) == 1

    def test_a_link_beside_it_is_not_followed(self, tmp_path):
        write(tmp_path / "state")
        victim = tmp_path / "victim"
        victim.write_text("mine")
        only_file(tmp_path / "state").with_suffix(".tmp").symlink_to(victim)
        write(tmp_path / "state", ROWS[:1])
        assert victim.read_text() == "mine"

    def test_a_disk_that_does_not_answer_is_asked_no_more(self, tmp_path, said, monkeypatch):
        write(tmp_path)
        path = only_file(tmp_path)
        path.unlink()
        os.mkfifo(path)
        monkeypatch.setattr(store, "PATIENCE_SECONDS", 0.05)
        began = time.monotonic()

        async def play(made):
            assert await made.read("rows", list[Row]) is None
            await made.write("rows", ROWS)

        with closing(Store(tmp_path, account="A")) as made:
            asyncio.run(play(made))
        assert time.monotonic() - began < 2.0
        assert [record.fields["reason"] for record in said.records] == ["the disk does not answer"]
        path.open("r+b", buffering=0).close()  # lets the thread go on
