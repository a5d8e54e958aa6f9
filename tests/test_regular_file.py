import os
import socket
from pathlib import Path

import pytest

from condord.regular_file import read


def refusal(path, most_bytes=10):
    with pytest.raises(OSError) as caught:
        read(path, most_bytes)
    return caught.value.strerror


def test_what_a_file_holds_is_read_with_its_mode(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    path.chmod(0o640)
    raw, mode = read(path, 10)
    assert (raw, mode & 0o777) == (b"0123456789", 0o640)


def test_links_are_followed(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    assert read(tmp_path / "link", 10)[0] == b"x"


def test_more_than_the_bound_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789a")
    assert refusal(tmp_path / "file") == "it holds more than 10 bytes"


def test_a_directory_a_device_and_a_fifo_to_which_nobody_writes_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "link"):
        assert refusal(path) == "it is no regular file"


def test_a_socket_and_what_is_not_there_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a path of a socket has to be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert refusal(tmp_path / "socket")
    assert refusal(tmp_path / "none") == "No such file or directory"


def opened():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_nothing_stays_open(tmp_path):
    before = opened()
    refusal(tmp_path)
    assert opened() == before
