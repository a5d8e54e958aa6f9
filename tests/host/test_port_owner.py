import errno
import ipaddress
import os
import socket
import struct
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.host.port_owner import inodes, named, pid_at

TAKEN = OSError(errno.EADDRINUSE, "Address already in use")


def line(host: str, port: int, *, state: str = "0A", inode: str = "77") -> str:
    """A line of /proc/net/tcp or tcp6, as proc(5) describes it."""
    packed = ipaddress.ip_address(host).packed
    words = "".join(f"{word:08X}" for word in struct.unpack(f"={len(packed) // 4}I", packed))
    return (
        f"   0: {words}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  0  0 {inode} 1 0 100 0"
    )


@given(st.ip_addresses(), st.integers(1, 65535))
def test_a_listener_is_found_by_its_address_and_port(address, port):
    assert list(inodes([line(str(address), port)], str(address), port)) == ["77"]
    assert list(inodes([line(str(address), port)], str(address), port ^ 1)) == []


@pytest.mark.parametrize(
    ("found", "wanted"),
    [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"), ("::", "127.0.0.1"), ("::ffff:127.0.0.1", "127.0.0.1")],  # noqa: S104
)
def test_a_listener_on_all_addresses_conflicts_with_one_address_and_vice_versa(found, wanted):
    assert list(inodes([line(found, 80)], wanted, 80)) == ["77"]


def test_a_listener_on_another_address_does_not_conflict():
    assert list(inodes([line("127.0.0.2", 80)], "127.0.0.1", 80)) == []


def test_a_connection_is_not_a_listener():
    assert list(inodes([line("127.0.0.1", 80, state="01")], "127.0.0.1", 80)) == []


@given(st.lists(st.text()))
def test_malformed_lines_are_skipped(lines):
    assert list(inodes([*lines, line("127.0.0.1", 80)], "127.0.0.1", 80)) == ["77"]


@given(st.text("0123456789ABCDEFx:- ", max_size=60))
def test_malformed_addresses_are_skipped(local):
    broken = f"0: {local} 0:0 0A 0 0 0 0 0 77"
    assert list(inodes([broken, line("127.0.0.1", 80, inode="78")], "127.0.0.1", 80))[-1] == "78"


def test_a_process_is_found_by_its_open_files(tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text("header\n" + line("127.0.0.1", 80) + "\n")
    for pid, target in ((12, "socket:[76]"), (13, "socket:[77]"), (14, "/dev/null")):
        (tmp_path / str(pid) / "fd").mkdir(parents=True)
        (tmp_path / str(pid) / "fd" / "3").symlink_to(target)
    (tmp_path / "15").mkdir()  # a process of another user: its files cannot be read
    assert pid_at("127.0.0.1", 80, tmp_path) == 13
    assert pid_at("127.0.0.1", 81, tmp_path) is None


def test_a_socket_of_a_process_whose_files_cannot_be_read_has_no_known_owner(tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text("header\n" + line("127.0.0.1", 80) + "\n")
    (tmp_path / "15").mkdir()
    (tmp_path / "16" / "fd" / "3").mkdir(parents=True)  # no link any more, as the file was closed meanwhile
    assert pid_at("127.0.0.1", 80, tmp_path) is None


@pytest.mark.parametrize("address", ["0100007F01:0050", "0100007F0100007F:0050", ":0050"])
def test_an_address_of_another_length_is_skipped(address):
    assert list(inodes([f"0: {address} 0:0 0A 0 0 0 0 0 77"], "127.0.0.1", 80)) == []


def test_without_a_table_of_sockets_no_process_is_found(tmp_path):
    assert pid_at("127.0.0.1", 80, tmp_path) is None


def test_for_a_host_name_no_process_is_found():
    assert pid_at("localhost", 80) is None


def test_the_error_of_a_taken_port_names_the_process():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        error = named(TAKEN, "127.0.0.1", taken.getsockname()[1])
    assert (error.errno, error.strerror) == (errno.EADDRINUSE, f"Address already in use by process {os.getpid()}")


def test_other_errors_and_those_without_a_known_process_stay_unchanged():
    denied = PermissionError(errno.EACCES, "Permission denied")
    assert named(denied, "127.0.0.1", 80) is denied
    assert named(TAKEN, "192.0.2.1", 80) is TAKEN
