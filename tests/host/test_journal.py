import errno
import io
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord.host import journal
from tests.fakes.journald import Journald

names = st.from_regex(r"\A[A-Z][A-Z0-9_]{0,63}\Z")


@pytest.fixture
def journald(tmp_path):
    with Journald(tmp_path / "socket") as listening:
        yield listening


@pytest.fixture
def ours(journald):
    sending = journal.Journal(journald.address)
    yield sending
    sending.close()


def test_an_entry_is_one_datagram_with_its_fields(journald, ours):
    assert ours.send([("MESSAGE", "It is live"), ("PRIORITY", "6"), ("CONDORD_WHY", "a=b")])
    assert journald.entries() == [{"MESSAGE": [b"It is live"], "PRIORITY": [b"6"], "CONDORD_WHY": [b"a=b"]}]
    assert journald.files == 0


@settings(deadline=None)  # the machine may be busy
@given(entry=st.lists(st.tuples(names, st.text(st.characters(codec=None)))))
def test_any_value_arrives_whole_and_adds_no_field(entry, tmp_path_factory):
    with Journald(tmp_path_factory.mktemp("journald") / "socket") as journald:
        ours = journal.Journal(journald.address)
        assert ours.send(entry)
        ours.close()
        wanted = {}
        for name, value in entry:
            wanted.setdefault(name, []).append(value.encode(errors="backslashreplace"))
        assert journald.entries() == [wanted]


def test_a_value_cannot_add_a_field(journald, ours):
    ours.send([("MESSAGE", "a\nPRIORITY=0\n_UID=0"), ("PRIORITY", "6")])
    assert journald.entries() == [{"MESSAGE": [b"a\nPRIORITY=0\n_UID=0"], "PRIORITY": [b"6"]}]


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_an_entry_too_large_for_a_datagram_is_sent_as_a_sealed_file(journald, ours):
    large = "x\n" * 4_000_000
    before = open_files()
    assert ours.send([("MESSAGE", large), ("PRIORITY", "6")])
    assert open_files() == before
    assert journald.entries() == [{"MESSAGE": [large.encode()], "PRIORITY": [b"6"]}]
    assert journald.files == 1


def test_a_restarted_journald_is_reached(journald, ours, tmp_path):
    journald.__exit__()
    assert not ours.send([("MESSAGE", "nobody listens")])
    Path(journald.address).unlink()
    assert not ours.send([("MESSAGE", "there is no socket")])
    with Journald(journald.address) as another:
        assert ours.send([("MESSAGE", "it is back")])
        assert another.entries() == [{"MESSAGE": [b"it is back"]}]


def test_a_journald_that_does_not_read_blocks_nothing(ours):
    taken = [ours.send([("MESSAGE", str(number))]) for number in range(5000)]
    assert taken[0]
    assert not taken[-1]


def test_without_a_memfd_a_large_entry_is_not_sent(journald, ours, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "memfd_create", refuse)
    assert not ours.send([("MESSAGE", "x" * 8_000_000)])


def test_after_close_nothing_is_sent(journald, ours):
    ours.close()
    assert not ours.send([("MESSAGE", "late")])


class TestOpened:
    def at(self, stream, environ=None):
        status = os.fstat(stream.fileno())
        opened = journal.opened(environ or {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}, stream)
        if opened is not None:
            opened.close()
        return opened

    def test_a_stream_that_leads_to_the_journal_opens_the_journal(self, tmp_path):
        with (tmp_path / "stderr").open("w") as stream:
            assert self.at(stream) is not None

    @pytest.mark.parametrize("variable", ["8:1", "", "x", "8:1:2"])
    def test_a_stream_that_does_not_lead_to_the_journal_opens_none(self, tmp_path, variable):
        with (tmp_path / "stderr").open("w") as stream:
            assert self.at(stream, {"JOURNAL_STREAM": variable}) is None
            assert self.at(stream, {"OTHER": ""}) is None

    def test_a_closed_stream_or_one_without_a_file_opens_none(self, tmp_path):
        with (tmp_path / "stderr").open("w") as stream:
            pass
        for unusable in (io.StringIO(), stream):
            assert journal.opened({"JOURNAL_STREAM": "8:1"}, unusable) is None

    def test_without_a_socket_there_is_no_journal(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise OSError(errno.EAFNOSUPPORT, "no such family")

        monkeypatch.setattr(socket, "socket", refuse)
        with (tmp_path / "stderr").open("w") as stream:
            assert self.at(stream) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("condord_code", "CONDORD_CODE"),
        ("condord_a b\n=ä", "CONDORD_A_B_"),
        ("condord_" + "x" * 99, "CONDORD_" + "X" * 56),
    ],
)
def test_the_name_of_a_field_is_one_that_journald_accepts(text, name):
    assert journal.field_name(text) == name
