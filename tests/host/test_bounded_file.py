import os
import socket
from pathlib import Path

import pytest

from condord.host.bounded_file import foreign_owner, other_writers, read


def owned_by(user):
    return os.stat_result((0o100600, 0, 0, 1, user, 0, 0, 0, 0, 0))


def refusal(path, max_bytes=10):
    with pytest.raises(OSError) as caught:
        read(path, max_bytes)
    return caught.value.strerror


def test_a_file_is_read_with_its_mode_and_owner(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    path.chmod(0o640)
    raw, status = read(path, 10)
    assert (raw, status.st_mode & 0o777, status.st_uid) == (b"0123456789", 0o640, os.geteuid())


@pytest.mark.parametrize(("owner", "user", "found"), [(7, 7, None), (0, 7, None), (8, 7, 8), (0, 0, None), (7, 0, 7)])
def test_a_file_has_a_foreign_owner_unless_it_belongs_to_the_user_or_root(owner, user, found):
    assert foreign_owner(owned_by(owner), user) == found


@pytest.mark.parametrize(
    ("owner", "mode", "user", "writers"),
    [
        (0, 0o644, 0, ""),
        (7, 0o644, 7, ""),
        (7, 0o664, 7, ""),
        (8, 0o664, 7, ""),
        (7, 0o646, 7, "everyone"),
        (0, 0o666, 7, "everyone"),
        (0, 0o666, 0, "everyone"),
        (0, 0o664, 0, "its group"),
        (7, 0o600, 0, "its owner, user 7,"),
    ],
)
def test_other_writers_are_everybody_and_for_root_the_owner_and_the_group_too(owner, mode, user, writers):
    status = os.stat_result((0o100000 | mode, 0, 0, 1, owner, 0, 0, 0, 0, 0))
    assert other_writers(status, user) == writers


def test_links_are_followed(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    assert read(tmp_path / "link", 10)[0] == b"x"


def test_a_file_larger_than_the_bound_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789a")
    assert refusal(tmp_path / "file") == "it holds more than 10 bytes"


def test_a_directory_a_device_and_a_fifo_without_a_writer_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "link"):
        assert refusal(path) == "it is not a regular file"


def test_a_socket_and_a_missing_file_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert refusal(tmp_path / "socket")
    assert refusal(tmp_path / "none") == "No such file or directory"


def opened():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_no_descriptor_stays_open(tmp_path):
    before = opened()
    refusal(tmp_path)
    assert opened() == before
